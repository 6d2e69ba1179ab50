// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {Format} from "../libraries/PayloadDecoder.sol";
import {PackedWeights} from "../libraries/PackedWeights.sol";
import {Cache, WeightCache} from "../libraries/WeightCache.sol";
import {Run, SparseModel} from "./SparseModel.sol";

/// @title A binary perceptron with a bias and a margin, in exact integers
/// @notice score = bias + sum of weight[i] * value[i]; class 1 if score > 0, else class 0. With y = 1 for label 1 and -1 for
/// label 0, a sample with n features trains the model if y * score <= margin * n: then weight[i] += y * value[i] and
/// bias += y, each kept within its limits. It is informative if the class was another one before that: a sample within the margin
/// trains the model without being informative.
///
/// A word holds 16 weights of 16 bits, -32767 to 32767, or 32 of 8 bits, -127 to 127 (`PackedWeights` has their order). The
/// word behind the last one holds the bias in its first 16 bits, -32767 to 32767.
contract Perceptron is SparseModel {
    using WeightCache for Cache;

    int256 private constant BIAS_LIMIT = 32_767;

    /// @dev One payload at work.
    /// @param format How its samples are read.
    /// @param weightBits 16 or 8.
    /// @param margin What a score must exceed, per feature.
    /// @param cached Whether the weights are cached; otherwise they are read and written in storage one by one.
    /// @param changed Whether any weight was changed.
    /// @param cache The cached weights.
    /// @param bias The bias.
    struct State {
        Format format;
        uint256 weightBits;
        int256 margin;
        bool cached;
        bool changed;
        Cache cache;
        int256 bias;
    }

    /// @inheritdoc IModel
    function modelType() external pure returns (string memory) {
        return "perceptron";
    }

    /// @inheritdoc SparseModel
    function _isValid(ModelParams calldata params_) internal pure override returns (bool) {
        return params_.classes == 2 && (params_.weightBits == 16 || params_.weightBits == 8)
            && params_.smoothing == 0 && !params_.bernoulli;
    }

    /// @inheritdoc SparseModel
    function _totalWords() internal view override returns (uint256) {
        return _biasWord() + 1;
    }

    /// @inheritdoc SparseModel
    function _isValidWord(uint256 number, uint256 word) internal view override returns (bool) {
        if (number == _biasWord()) return PackedWeights.isValid(word, 16, 1);
        uint256 lanes = 256 / _params.weightBits;
        return PackedWeights.isValid(word, _params.weightBits, _params.nFeatures - lanes * number);
    }

    /// @inheritdoc SparseModel
    function _open(Format memory format, uint256, uint256 features) internal view override returns (Run run) {
        State[] memory box = new State[](1);
        State memory state = box[0];
        state.format = format;
        state.weightBits = _params.weightBits;
        state.margin = int256(uint256(_params.margin));
        state.bias = int16(uint16(_words[_biasWord()] >> 240));
        // Samples with values or 3-byte indices go the general way.
        state.cached = format.featureBytes == 2;
        if (state.cached) {
            state.cache = WeightCache.open(_slot(), format.nFeatures, state.weightBits, features);
        }
        assembly ("memory-safe") {
            run := box
        }
    }

    /// @inheritdoc SparseModel
    function _learn(Run run, uint256 label, uint256 n, uint256 first, uint256 end)
        internal
        override
        returns (bool learned, bool informative)
    {
        unchecked {
            State memory state = _boxOf(run)[0];
            int256 step = label == 1 ? int256(1) : int256(-1);
            int256 score = _score(state, first, end);
            if (step * score > state.margin * int256(n)) return (false, false);
            if (state.cached) state.cache.update(first, end, step);
            else PackedWeights.update(_words, state.weightBits, state.format, first, end, step);
            int256 bias = state.bias + step;
            state.bias = bias > BIAS_LIMIT ? BIAS_LIMIT : (bias < -BIAS_LIMIT ? -BIAS_LIMIT : bias);
            state.changed = true;
            return (true, (score > 0) != (label == 1));
        }
    }

    /// @inheritdoc SparseModel
    function _close(Run run) internal override {
        State memory state = _boxOf(run)[0];
        if (!state.changed) return;
        if (state.cached) state.cache.store();
        _words[_biasWord()] = uint256(uint16(int16(state.bias))) << 240;
    }

    /// @inheritdoc SparseModel
    function _classify(Run run, uint256 first, uint256 end) internal view override returns (uint256) {
        return _score(_boxOf(run)[0], first, end) > 0 ? 1 : 0;
    }

    /// @dev The score of a sample.
    function _score(State memory state, uint256 first, uint256 end) private view returns (int256) {
        unchecked {
            if (!state.cached) {
                return state.bias + PackedWeights.score(_words, state.weightBits, state.format, first, end);
            }
            state.cache.load(first, end);
            return state.bias + state.cache.score(first, end);
        }
    }

    /// @dev The number of the word that holds the bias: how many words the weights fill.
    function _biasWord() private view returns (uint256) {
        uint256 lanes = 256 / _params.weightBits;
        return (_params.nFeatures + lanes - 1) / lanes;
    }

    function _slot() private pure returns (uint256 slot) {
        assembly ("memory-safe") {
            slot := _words.slot
        }
    }

    /// @dev The state, as an array of one: a variable that is an array takes no memory until it has a value.
    function _boxOf(Run run) private pure returns (State[] memory box) {
        assembly ("memory-safe") {
            box := run
        }
    }
}
