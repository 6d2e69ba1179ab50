// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {Format} from "../libraries/PayloadDecoder.sol";
import {RowTable, Table} from "../libraries/RowTable.sol";
import {Counting, CountingModel} from "./CountingModel.sol";
import {Run, SparseModel} from "./SparseModel.sol";

/// @title Nearest centroid, in exact integers
/// @notice Of each class the sums of its samples' values by feature are kept, the number of its samples, and the squares of the
/// sums, added up. With D[c] the dot product of a sample and the sums, the class is the one with the least
/// (squares[c] - 2 * samples[c] * D[c]) / samples[c]^2, which is the square of the distance to the mean of the class, less what is
/// the same for all; it is compared without a division. Of several the lowest; classes without samples have no part. Training adds
/// the values to the sums of the label's class, and 2 * D[label] + the sum of value^2 to its squares.
///
/// Sums are lanes of 32 bits, two's complement (see `RowTable`), squares the totals of the class words (see `CountingModel`).
contract NearestCentroid is CountingModel {
    using RowTable for Table;

    /// @inheritdoc IModel
    function modelType() external pure returns (string memory) {
        return "nearest-centroid";
    }

    /// @inheritdoc SparseModel
    function _isValid(ModelParams calldata params_) internal pure override returns (bool) {
        return
            params_.weightBits == WIDTH && params_.margin == 0 && params_.smoothing == 0 && !params_.bernoulli;
    }

    /// @inheritdoc SparseModel
    function _totalWords() internal view override returns (uint256) {
        return _classWord() + (_params.classes + 1) / 2;
    }

    /// @inheritdoc SparseModel
    function _isValidWord(uint256 number, uint256 word) internal view override returns (bool) {
        if (number >= _classWord()) return _isValidClassWord(number, word);
        return _isValidFeatureWord(number, word, -MAX_WRITTEN);
    }

    /// @inheritdoc SparseModel
    function _open(Format memory format, uint256 room, uint256 features)
        internal
        view
        override
        returns (Run)
    {
        (Run run, Counting memory counting) = _start(format);
        counting.table.cache(room, features);
        return run;
    }

    /// @inheritdoc CountingModel
    /// @dev Squares are below 2^95 and dot products below 2^55, so nothing here overflows.
    function _verdict(Counting memory counting, uint256 first, uint256 end)
        internal
        view
        override
        returns (uint256 nearest)
    {
        unchecked {
            int256[] memory dots = counting.scores;
            uint256[] memory samples = counting.samples;
            int256[] memory squares = counting.totals;
            for (uint256 c = 0; c < dots.length; c++) {
                dots[c] = 0;
            }
            counting.table.load(first, end);
            counting.table.score(first, end, dots);
            int256 least;
            int256 scale;
            for (uint256 c = 0; c < dots.length; c++) {
                int256 count = int256(samples[c]);
                if (count == 0) continue;
                int256 distance = squares[c] - 2 * count * dots[c];
                if (scale == 0 || distance * scale < least * count * count) {
                    (nearest, least, scale) = (c, distance, count * count);
                }
            }
        }
    }

    /// @inheritdoc CountingModel
    function _prepare(Counting memory) internal override {}

    /// @inheritdoc CountingModel
    /// @dev No sum gets out of its lane: 2^30 and 2^23 samples of at most 127 are below 2^31.
    function _count(Counting memory counting, uint256 label, uint256 features, uint256 end)
        internal
        override
        returns (int256 added)
    {
        unchecked {
            Table memory table = counting.table;
            (uint256 half, uint256 up) = table.laneOf(label);
            if (!table.cached) return _countInStorage(table, half, up, features, end);
            uint256 base = table.first + 32 * half - up / 8;
            if (!table.inBlocks()) return _countOneByOne(table, base, features, end);
            return 2 * table.addBlocks(base, features, end, 1) + int256((end - features) / 2);
        }
    }

    /// @dev Counts in memory, whatever the sums and values.
    function _countOneByOne(Table memory table, uint256 base, uint256 features, uint256 end)
        private
        pure
        returns (int256 added)
    {
        (uint256 size, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            for {} lt(features, end) { features := add(features, size) } {
                let feature := calldataload(features)
                let value := or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32))
                let at := add(base, shl(shift, shr(indexShift, feature)))
                let word := mload(at)
                mstore(at, add(word, value))
                let sum := sub(and(word, 0xffffffff), 0x80000000)
                added := add(added, mul(value, add(add(sum, sum), value)))
            }
        }
    }

    /// @dev Counts in storage.
    function _countInStorage(Table memory table, uint256 half, uint256 up, uint256 features, uint256 end)
        private
        returns (int256 added)
    {
        (uint256 size, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let slot := add(mload(add(table, 0x80)), half)
            if lt(shift, 5) { up := add(up, sub(256, shl(shift, 8))) }
            for {} lt(features, end) { features := add(features, size) } {
                let feature := calldataload(features)
                let value := or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32))
                let at := shl(shift, shr(indexShift, feature))
                let bits := sub(up, shl(3, and(at, 31)))
                at := add(slot, shr(5, at))
                let word := sload(at)
                let lane := and(shr(bits, word), 0xffffffff)
                let sum := signextend(3, lane)
                sstore(at, xor(word, shl(bits, xor(lane, and(add(sum, value), 0xffffffff)))))
                added := add(added, mul(value, add(add(sum, sum), value)))
            }
        }
    }

    /// @inheritdoc CountingModel
    function _store(Counting memory counting) internal override {
        counting.table.store();
    }

    /// @inheritdoc CountingModel
    function _isValidTotal(int256 total) internal pure override returns (bool) {
        return total <= MAX_WRITTEN_TOTAL && total >= -MAX_WRITTEN_TOTAL;
    }
}
