// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {PackedWeights} from "../libraries/PackedWeights.sol";
import {Format} from "../libraries/PayloadDecoder.sol";
import {RowTable, Table} from "../libraries/RowTable.sol";
import {Run, SparseModel} from "./SparseModel.sol";

/// @title A perceptron for 3 to 16 classes, with a bias for each and a margin, in exact integers
/// @notice score[c] = bias[c] + sum of weight[i][c] * value[i]; the class is the one with the highest score, the lowest of them
/// if several have it. Let r be the best class besides the label y: a sample with n features trains the model if
/// score[y] - score[r] <= margin * n. Then weight[i][y] += value[i], weight[i][r] -= value[i], bias[y] += 1, bias[r] -= 1, each
/// kept within -32767 and 32767. It is informative if the class was another one before that: a sample within the margin trains the
/// model without being informative.
///
/// Weights are lanes of 16 bits in rows of the least power of two that is not below the number of classes (see `RowTable`). The
/// word behind them holds the biases, that of class c in lane c.
contract MulticlassPerceptron is SparseModel {
    using RowTable for Table;

    uint256 private constant WIDTH = 16;
    int256 private constant LIMIT = 32_767;

    /// @dev One payload at work.
    /// @param table The weights.
    /// @param biases The biases.
    /// @param scores The scores of the last sample.
    /// @param margin What a score must exceed, per feature.
    /// @param changed Whether any weight was changed.
    struct State {
        Table table;
        int256[] biases;
        int256[] scores;
        int256 margin;
        bool changed;
    }

    /// @inheritdoc IModel
    function modelType() external pure returns (string memory) {
        return "multiclass-perceptron";
    }

    /// @inheritdoc SparseModel
    function _isValid(ModelParams calldata params_) internal pure override returns (bool) {
        return
            params_.classes > 2 && params_.weightBits == WIDTH && params_.smoothing == 0 && !params_.bernoulli;
    }

    /// @inheritdoc SparseModel
    function _totalWords() internal view override returns (uint256) {
        return _biasWord() + 1;
    }

    /// @inheritdoc SparseModel
    function _isValidWord(uint256 number, uint256 word) internal view override returns (bool) {
        if (number == _biasWord()) return PackedWeights.isValid(word, WIDTH, _params.classes);
        return PackedWeights.isValid(word, WIDTH, 256 / WIDTH)
            && RowTable.isPadded(number, word, _params.nFeatures, _params.classes, WIDTH);
    }

    /// @inheritdoc SparseModel
    function _open(Format memory format, uint256 room, uint256 features)
        internal
        view
        override
        returns (Run run)
    {
        unchecked {
            State[] memory box = new State[](1);
            State memory state = box[0];
            uint256 classes = _params.classes;
            state.biases = new int256[](classes);
            state.scores = new int256[](classes);
            state.margin = int256(uint256(_params.margin));
            uint256 word = _words[_biasWord()];
            for (uint256 c = 0; c < classes; c++) {
                state.biases[c] = int16(uint16(word >> (240 - 16 * c)));
            }
            uint256 slot;
            assembly ("memory-safe") {
                slot := _words.slot
                run := box
            }
            state.table = RowTable.describe(slot, format, classes, WIDTH);
            state.table.cache(room, features);
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
            int256[] memory scores = _score(state, first, end);
            int256 own = scores[label];
            scores[label] = type(int256).min;
            uint256 rival = _best(scores);
            int256 lead = own - scores[rival];
            if (lead > state.margin * int256(n)) return (false, false);
            _move(state, label, rival, first, end);
            state.changed = true;
            // The lower class wins ties.
            return (true, lead < 0 || (lead == 0 && rival < label));
        }
    }

    /// @inheritdoc SparseModel
    function _close(Run run) internal override {
        unchecked {
            State memory state = _boxOf(run)[0];
            if (!state.changed) return;
            state.table.store();
            uint256 word;
            for (uint256 c = 0; c < state.biases.length; c++) {
                word |= uint256(uint16(int16(state.biases[c]))) << (240 - 16 * c);
            }
            _words[_biasWord()] = word;
        }
    }

    /// @inheritdoc SparseModel
    function _classify(Run run, uint256 first, uint256 end) internal view override returns (uint256) {
        return _best(_score(_boxOf(run)[0], first, end));
    }

    /// @dev The scores of a sample, one for each class; valid until the next call.
    function _score(State memory state, uint256 first, uint256 end)
        private
        view
        returns (int256[] memory scores)
    {
        unchecked {
            scores = state.scores;
            for (uint256 c = 0; c < scores.length; c++) {
                scores[c] = state.biases[c];
            }
            state.table.load(first, end);
            state.table.score(first, end, scores);
        }
    }

    /// @dev The class with the highest score, the lowest of them if several have it.
    function _best(int256[] memory scores) private pure returns (uint256 best) {
        unchecked {
            for (uint256 c = 1; c < scores.length; c++) {
                if (scores[c] > scores[best]) best = c;
            }
        }
    }

    /// @dev Moves the weights and biases towards a class, away from another.
    function _move(State memory state, uint256 label, uint256 rival, uint256 features, uint256 end) private {
        unchecked {
            Table memory table = state.table;
            // Sixteen lanes of 16 bits are one word: there is no other half.
            // slither-disable-next-line unused-return
            (, uint256 up) = table.laneOf(label);
            // As above.
            // slither-disable-next-line unused-return
            (, uint256 down) = table.laneOf(rival);
            if (table.inBlocks()) {
                // The rule does not depend on what the weights were.
                // slither-disable-next-line unused-return
                table.addBlocks(table.first, features, end, (1 << up) - (1 << down));
            } else if (table.cached) {
                _moveOneByOne(table, up, features, end, 1);
                _moveOneByOne(table, down, features, end, -1);
            } else {
                _moveInStorage(table, up, features, end, 1);
                _moveInStorage(table, down, features, end, -1);
            }
            if (state.biases[label] < LIMIT) state.biases[label]++;
            if (state.biases[rival] > -LIMIT) state.biases[rival]--;
        }
    }

    /// @dev Adds step times value to the weights of a lane in memory.
    function _moveOneByOne(Table memory table, uint256 up, uint256 features, uint256 end, int256 step)
        private
        pure
    {
        (uint256 size, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
        assembly ("memory-safe") {
            let base := sub(mload(table), shr(3, up))
            let shift := mload(add(table, 0x20))
            for {} lt(features, end) { features := add(features, size) } {
                let feature := calldataload(features)
                let delta := mul(step, or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32)))
                let at := add(base, shl(shift, shr(indexShift, feature)))
                let word := mload(at)
                let weight := and(word, 0xffff)
                let moved := add(weight, delta)
                if slt(moved, 1) { moved := 1 }
                if sgt(moved, 0xffff) { moved := 0xffff }
                mstore(at, xor(word, xor(weight, moved)))
            }
        }
    }

    /// @dev Adds step times value to the weights of a lane in storage.
    function _moveInStorage(Table memory table, uint256 up, uint256 features, uint256 end, int256 step)
        private
    {
        (uint256 size, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let slot := mload(add(table, 0x80))
            // Lanes of row 0 of a word are so far up.
            up := add(up, sub(256, shl(shift, 8)))
            for {} lt(features, end) { features := add(features, size) } {
                let feature := calldataload(features)
                let delta := mul(step, or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32)))
                let at := shl(shift, shr(indexShift, feature))
                let bits := sub(up, shl(3, and(at, 31)))
                at := add(slot, shr(5, at))
                let word := sload(at)
                let weight := xor(and(shr(bits, word), 0xffff), 0x8000)
                let moved := add(weight, delta)
                if slt(moved, 1) { moved := 1 }
                if sgt(moved, 0xffff) { moved := 0xffff }
                sstore(at, xor(word, shl(bits, xor(weight, moved))))
            }
        }
    }

    /// @dev The number of the word that holds the biases: how many words the weights fill.
    function _biasWord() private view returns (uint256) {
        return RowTable.wordsOf(_params.nFeatures, _params.classes, WIDTH);
    }

    /// @dev The state, as an array of one: a variable that is an array takes no memory until it has a value.
    function _boxOf(Run run) private pure returns (State[] memory box) {
        assembly ("memory-safe") {
            box := run
        }
    }
}
