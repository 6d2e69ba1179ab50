// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrainerPart} from "../TrainerPart.sol";
import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {Format, PayloadDecoder} from "../libraries/PayloadDecoder.sol";
import {SampleMerkle} from "../libraries/SampleMerkle.sol";
import {StoredWeights, Weights} from "../libraries/StoredWeights.sol";
import {Cache, WeightCache} from "../libraries/WeightCache.sol";

/// @title A binary perceptron with a bias and a margin, in exact integers
/// @notice score = bias + sum of weight[i] * value[i]; class 1 if score > 0, else class 0. With y = 1 for label 1 and -1 for
/// label 0, a sample with n features trains the model if y * score <= margin * n: then weight[i] += y * value[i] and
/// bias += y, each kept within -32767 to 32767.
///
/// A word holds 16 weights as int16, the first in the most significant lane; the word behind the last one holds the bias in
/// its first lane.
contract Perceptron is IModel, TrainerPart {
    using PayloadDecoder for Format;
    using WeightCache for Cache;
    using StoredWeights for Weights;

    uint256 private constant MAX_FEATURES = 2 ** 24;
    uint256 private constant LANES = 16;
    uint256 private constant CLASSES = 2;
    uint256 private constant HEADER_BYTES = PayloadDecoder.HEADER_BYTES;

    // In the slot of the trainer's address: a call reads one slot to know everything but the weights.
    uint32 private _nFeatures;
    uint16 private _maxFeatures;
    bool private _valued;
    uint16 private _margin;

    Weights private _weights;

    /// @dev One batch at work.
    /// @param format How its samples are read.
    /// @param cached Whether the weights are cached; otherwise they are read and written in storage one by one.
    /// @param cache The cached weights.
    /// @param bias The bias.
    struct Run {
        Format format;
        bool cached;
        Cache cache;
        int256 bias;
    }

    /// @inheritdoc IModel
    function initialize(address trainer_, ModelParams calldata params_) external {
        _bind(trainer_);
        if (params_.nFeatures < 2 || params_.nFeatures > MAX_FEATURES || params_.maxFeatures == 0) {
            revert InvalidModelParams(params_);
        }
        _nFeatures = params_.nFeatures;
        _maxFeatures = params_.maxFeatures;
        _valued = params_.valued;
        _margin = params_.margin;
    }

    /// @inheritdoc IModel
    function measure(bytes calldata payload) external view returns (uint256 count, uint256 units) {
        unchecked {
            Format memory format = _format();
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            while (start < payloadEnd) {
                (, uint256 n, uint256 end) = format.readHeader(count++, start, payloadEnd);
                units += format.unitsOf(n, start + HEADER_BYTES, end);
                start = end;
            }
        }
    }

    /// @inheritdoc IModel
    function train(bytes calldata payload)
        external
        onlyTrainer
        returns (uint256 informative, bytes32 samplesRoot)
    {
        unchecked {
            bytes32[] memory leaves = new bytes32[](PayloadDecoder.MAX_SAMPLES);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            Run memory run = _start(payload.length / 2);
            int256 margin = int256(uint256(_margin));
            uint256 count;
            while (start < payloadEnd) {
                (uint256 label, uint256 n, uint256 end) = run.format.readHeader(count, start, payloadEnd);
                if (label >= CLASSES) revert InvalidLabel(count, label, CLASSES);
                run.format.requireValidFeatures(count, start + HEADER_BYTES, end);
                leaves[count] = PayloadDecoder.hashOf(start, end);
                int256 step = label == 1 ? int256(1) : int256(-1);
                if (step * _score(run, start + HEADER_BYTES, end) <= margin * int256(n)) {
                    informative |= 1 << count;
                    _update(run, start + HEADER_BYTES, end, step);
                }
                count++;
                start = end;
            }
            if (informative != 0) _finish(run);
            samplesRoot = SampleMerkle.root(leaves, count);
        }
    }

    /// @inheritdoc IModel
    function assess(bytes calldata payload, uint256 mask)
        external
        view
        returns (bytes32 samplesRoot, uint256 agreed, bytes memory units)
    {
        unchecked {
            uint256 features;
            (samplesRoot, units, features) = _examine(payload, mask);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            Run memory run = _start(features);
            for (uint256 bit = 1; start < payloadEnd; bit <<= 1) {
                (uint256 label, uint256 end) = run.format.skipHeader(start);
                if (mask & bit != 0 && _classOf(_score(run, start + HEADER_BYTES, end)) == label) {
                    agreed |= bit;
                }
                start = end;
            }
        }
    }

    /// @inheritdoc IModel
    function predict(bytes calldata payload) external view returns (bytes memory labels) {
        unchecked {
            labels = new bytes(PayloadDecoder.MAX_SAMPLES);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            Run memory run = _start(payload.length / 2);
            uint256 count;
            while (start < payloadEnd) {
                (,, uint256 end) = run.format.readHeader(count, start, payloadEnd);
                run.format.requireValidFeatures(count, start + HEADER_BYTES, end);
                labels[count++] = bytes1(uint8(_classOf(_score(run, start + HEADER_BYTES, end))));
                start = end;
            }
            assembly ("memory-safe") {
                mstore(labels, count)
            }
        }
    }

    /// @inheritdoc IModel
    function writeWeights(uint256 firstWord, uint256[] calldata words) external onlyTrainer {
        _requireWords(firstWord, words.length);
        uint256 biasWord = _biasWord();
        for (uint256 i = 0; i < words.length; i++) {
            uint256 number = firstWord + i;
            uint256 used = number == biasWord ? 1 : _nFeatures - LANES * number;
            StoredWeights.requireValidWord(number, words[i], used);
            _weights.words[number] = words[i];
        }
        emit WeightsWritten(firstWord, words);
    }

    /// @inheritdoc IModel
    function weights(uint256 firstWord, uint256 count) external view returns (uint256[] memory words) {
        _requireWords(firstWord, count);
        words = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            words[i] = _weights.words[firstWord + i];
        }
    }

    /// @inheritdoc IModel
    function totalWords() external view returns (uint256) {
        return _biasWord() + 1;
    }

    /// @inheritdoc IModel
    function params() external view returns (ModelParams memory) {
        return
            ModelParams({nFeatures: _nFeatures, maxFeatures: _maxFeatures, valued: _valued, margin: _margin});
    }

    /// @inheritdoc IModel
    function classes() external pure returns (uint256) {
        return CLASSES;
    }

    /// @dev Prepares for samples with so many features altogether.
    function _start(uint256 features) private view returns (Run memory run) {
        run.format = _format();
        run.bias = _weights.get(LANES * _biasWord());
        run.cached = run.format.featureBytes == 2;
        if (run.cached) {
            uint256 slot;
            assembly ("memory-safe") {
                slot := _weights.slot
            }
            run.cache = WeightCache.open(slot, _biasWord(), features);
        }
    }

    /// @dev The score of a sample.
    function _score(Run memory run, uint256 features, uint256 end) private view returns (int256) {
        if (!run.cached) return run.bias + _weights.score(run.format, features, end);
        run.cache.load(features, end);
        return run.bias + run.cache.score(features, end);
    }

    /// @dev Trains with a sample.
    function _update(Run memory run, uint256 features, uint256 end, int256 step) private {
        if (run.cached) run.cache.update(features, end, step);
        else _weights.update(run.format, features, end, step);
        run.bias = StoredWeights.saturate(run.bias + step);
    }

    /// @dev Writes back what training changed.
    function _finish(Run memory run) private {
        if (run.cached) run.cache.store();
        _weights.set(LANES * _biasWord(), run.bias);
    }

    /// @dev Hashes all samples, notes their units, and counts the features of those in the mask.
    function _examine(bytes calldata payload, uint256 mask)
        private
        view
        returns (bytes32 samplesRoot, bytes memory units, uint256 features)
    {
        unchecked {
            Format memory format = _format();
            bytes32[] memory leaves = new bytes32[](PayloadDecoder.MAX_SAMPLES);
            // 4 bytes for every sample, and room to write the last ones as a whole word.
            units = new bytes(4 * PayloadDecoder.MAX_SAMPLES + 28);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            uint256 count;
            while (start < payloadEnd) {
                (, uint256 n, uint256 end) = format.readHeader(count, start, payloadEnd);
                leaves[count] = PayloadDecoder.hashOf(start, end);
                uint256 sampleUnits = format.unitsOf(n, start + HEADER_BYTES, end);
                assembly ("memory-safe") {
                    mstore(add(add(units, 32), shl(2, count)), shl(224, sampleUnits))
                }
                if ((mask >> count) & 1 == 1) features += n;
                count++;
                start = end;
            }
            assembly ("memory-safe") {
                mstore(units, shl(2, count))
            }
            samplesRoot = SampleMerkle.root(leaves, count);
        }
    }

    function _format() private view returns (Format memory) {
        return PayloadDecoder.formatOf(_nFeatures, _maxFeatures, _valued);
    }

    /// @dev The number of the word that holds the bias: how many words the weights fill.
    function _biasWord() private view returns (uint256) {
        return (uint256(_nFeatures) + LANES - 1) / LANES;
    }

    function _requireWords(uint256 firstWord, uint256 count) private view {
        uint256 total = _biasWord() + 1;
        if (firstWord > total || count > total - firstWord) revert WordsOutOfRange(firstWord, count, total);
    }

    function _classOf(int256 score) private pure returns (uint256) {
        return score > 0 ? 1 : 0;
    }
}
