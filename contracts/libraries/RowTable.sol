// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format} from "./PayloadDecoder.sol";

/// @notice The numbers of all features and classes: a row of lanes for each feature, a lane for each class.
/// @param first Row i ends with the 32 bytes at `first + (i << shift)`; a row of 64 bytes begins with them.
/// @param shift A row takes 2^shift bytes, 8 to 64.
/// @param width The bits of a lane, 16 or 32.
/// @param lanes How many lanes of a row stand in one word, at most 8 or 16; a row of 64 bytes is two words.
/// @param slot The storage slot of word 0.
/// @param units How many words there are, or pairs of words where a row is a pair.
/// @param bias The top bit of each lane; in memory it is flipped.
/// @param large The bits by which a word that was loaded has numbers too large to be added up 16 at a time; else 0.
/// @param loaded How many units were loaded one by one.
/// @param list Where their numbers stand; 0 if all units were loaded at once.
/// @param cached Whether there is a copy in memory; otherwise storage is read and written row by row.
/// @param format How samples are read.
struct Table {
    uint256 first;
    uint256 shift;
    uint256 width;
    uint256 lanes;
    uint256 slot;
    uint256 units;
    uint256 bias;
    uint256 large;
    uint256 loaded;
    uint256 list;
    bool cached;
    Format format;
}

/// @title A table of signed numbers by feature and class, 16 or 32 bits each
/// @notice Lane 0 is the most significant of its word. The lanes of a feature stand side by side and are as many as the least
/// power of two that is not below the number of classes, so that a row never straddles words (it may be two). The lowest number
/// of a width never occurs.
///
/// A copy in memory has the same order, with the top bit of each lane flipped: what is a number plus 2^(width - 1) needs no sign
/// extension, and 0, which it never is, means that it is not loaded. One `mload` ends with a row; whatever stands before it in
/// the word cannot disturb sums, since carries go the other way.
/// @dev Memory-safe: `open` allocates 32 bytes before the first row, since a lane is written together with the bytes before it,
/// which keep their value.
library RowTable {
    uint256 private constant BIAS_16 = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant BIAS_32 = 0x8000000080000000800000008000000080000000800000008000000080000000;
    /// @dev Every other lane, the last one included.
    uint256 private constant ODD_16 = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant ODD_32 = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    /// @dev What is 0 of `x ^ (x << 1)` if no lane of x exceeds 1/32 of its range.
    uint256 private constant TOP_16 = 0xf800f800f800f800f800f800f800f800f800f800f800f800f800f800f800f800;
    uint256 private constant TOP_32 = 0xf8000000f8000000f8000000f8000000f8000000f8000000f8000000f8000000;
    uint256 private constant EVERY_32 = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant LOW_32 = 0xffffffff;

    /// @dev With so many features per unit hardly any unit stays untouched, and looking for them costs more than loading them.
    uint256 private constant ALL_AT_ONCE = 3;
    /// @dev What a feature costs more in storage than in memory, in gas, about; less than that.
    uint256 internal constant DIRECT_GAS = 120;
    /// @dev So many values of -127 to 127, times lanes of 16 bits, do not overflow lanes of 32 bits.
    uint256 private constant CHUNK = 255;

    /// @notice The bytes of a row, as a power of two.
    function shiftOf(uint256 classes, uint256 width) internal pure returns (uint256 shift) {
        unchecked {
            shift = width == 16 ? 1 : 2;
            for (uint256 lanes = 1; lanes < classes; lanes <<= 1) {
                shift++;
            }
        }
    }

    /// @notice How many words of storage the rows fill.
    function wordsOf(uint256 nFeatures, uint256 classes, uint256 width) internal pure returns (uint256) {
        return ((nFeatures << shiftOf(classes, width)) + 31) >> 5;
    }

    /// @notice Whether all lanes of a word that belong to no class of no feature are 0.
    /// @param number The number of the word.
    function isPadded(uint256 number, uint256 word, uint256 nFeatures, uint256 classes, uint256 width)
        internal
        pure
        returns (bool)
    {
        unchecked {
            uint256 rowLanes = (8 << shiftOf(classes, width)) / width;
            uint256 lane = number * (256 / width);
            for (uint256 left = 256; left > 0; lane++) {
                left -= width;
                bool used = lane % rowLanes < classes && lane / rowLanes < nFeatures;
                if (!used && (word >> left) & ((1 << width) - 1) != 0) return false;
            }
            return true;
        }
    }

    /// @notice A table without a copy in memory.
    /// @param slot The storage slot of word 0.
    /// @param format How samples are read.
    /// @param classes How many classes there are.
    /// @param width The bits of a lane.
    function describe(uint256 slot, Format memory format, uint256 classes, uint256 width)
        internal
        pure
        returns (Table memory table)
    {
        unchecked {
            uint256 shift = shiftOf(classes, width);
            uint256 unitShift = shift > 5 ? shift : 5;
            table.first = shift < 5 ? (1 << shift) - 32 : 0;
            table.shift = shift;
            table.width = width;
            table.lanes = (8 << (shift < 5 ? shift : 5)) / width;
            table.slot = slot;
            table.units = ((format.nFeatures << shift) + (1 << unitShift) - 1) >> unitShift;
            table.bias = width == 16 ? BIAS_16 : BIAS_32;
            table.format = format;
        }
    }

    /// @notice Sets up a copy in memory if that pays; loads all units if the features will touch nearly all of them anyway.
    /// @param room How many features the payload has room for, which decides whether it pays.
    /// @param features How many features the samples have together that will be looked at, repeated ones included.
    function cache(Table memory table, uint256 room, uint256 features) internal view {
        if (!pays(table, room * DIRECT_GAS)) return;
        bool allAtOnce = features >= ALL_AT_ONCE * table.units;
        allocate(table, allAtOnce ? 0 : (features < table.units ? features : table.units));
        if (allAtOnce) _loadAll(table);
    }

    /// @notice Whether so much gas buys the memory for a copy.
    function pays(Table memory table, uint256 savedGas) internal pure returns (bool) {
        uint256 words = table.units << (table.shift > 5 ? 1 : 0);
        return 3 * words + words * words / 512 <= savedGas;
    }

    /// @notice Makes room for all rows, and for a list of units that are loaded one by one.
    /// @param listed How long the list may become; 0 if there is none.
    function allocate(Table memory table, uint256 listed) internal pure {
        table.cached = true;
        assembly ("memory-safe") {
            let free := mload(0x40)
            let start := add(free, 32)
            let list := add(start, shl(add(5, gt(mload(add(table, 0x20)), 5)), mload(add(table, 0xa0))))
            mstore(0x40, add(list, shl(5, listed)))
            // Memory is not always fresh: zeros mean "not loaded".
            calldatacopy(free, calldatasize(), sub(list, free))
            mstore(table, add(start, mload(table)))
            if listed { mstore(add(table, 0x120), list) }
        }
    }

    /// @notice Loads the units that a sample touches.
    /// @dev Units that do not exist are passed over: `IModel.assess` may be handed garbage.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function load(Table memory table, uint256 features, uint256 end) internal view {
        if (table.list == 0) return;
        uint256 loaded = table.loaded;
        uint256 large;
        (uint256 step, uint256 indexShift,) = reading(table.format);
        assembly ("memory-safe") {
            let first := mload(table)
            let shift := mload(add(table, 0x20))
            let mark := sub(shl(mload(add(table, 0x40)), 1), 1)
            let slot := mload(add(table, 0x80))
            let units := mload(add(table, 0xa0))
            let bias := mload(add(table, 0xc0))
            let list := mload(add(table, 0x120))
            let wide := gt(shift, 5)
            let start := first
            if lt(shift, 5) { start := add(first, sub(32, shl(shift, 1))) }
            for {} lt(features, end) { features := add(features, step) } {
                let row := shl(shift, shr(indexShift, calldataload(features)))
                if iszero(and(mload(add(first, row)), mark)) {
                    let unit := shr(add(5, wide), row)
                    if lt(unit, units) {
                        let place := shl(wide, unit)
                        let at := add(start, shl(5, place))
                        let word := sload(add(slot, place))
                        large := or(large, xor(word, shl(1, word)))
                        mstore(at, xor(word, bias))
                        if wide {
                            word := sload(add(add(slot, place), 1))
                            large := or(large, xor(word, shl(1, word)))
                            mstore(add(at, 32), xor(word, bias))
                        }
                        mstore(add(list, shl(5, loaded)), unit)
                        loaded := add(loaded, 1)
                    }
                }
            }
        }
        table.loaded = loaded;
        table.large |= large & (table.width == 16 ? TOP_16 : TOP_32);
    }

    /// @notice Adds to each class's score the sum of number times value over a sample's features; its units are loaded.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    /// @param scores The scores, one for each class.
    function score(Table memory table, uint256 features, uint256 end, int256[] memory scores) internal view {
        unchecked {
            bool blocks = inBlocks(table);
            uint256 chunk = table.width == 16 ? CHUNK * table.format.featureBytes : end - features;
            for (uint256 class = 0; class < scores.length; class += table.lanes) {
                uint256 half = class == 0 ? 0 : 1;
                if (blocks) {
                    _sumBlocks(table, half, features, end, scores);
                    continue;
                }
                for (uint256 from = features; from < end; from += chunk) {
                    uint256 to = end - from < chunk ? end : from + chunk;
                    _sumOneByOne(table, half, from, to, scores);
                }
            }
        }
    }

    /// @notice Whether a sample's rows can be worked on 16 at a time: its features are nothing but 2-byte indices, and all numbers
    /// that were loaded are so small that 16 of them can be added up in their lane.
    function inBlocks(Table memory table) internal pure returns (bool) {
        return table.cached && table.large == 0 && table.format.featureBytes == 2;
    }

    /// @notice Adds a number to the rows of a sample, 16 at a time (see `inBlocks`); no lane reaches its limit.
    /// @param base Row i ends with the 32 bytes there, plus i times the size of a row; it may end with any lane.
    /// @param features Where the sample's first feature stands in calldata.
    /// @param end Where its last one ends.
    /// @param delta What to add to a row.
    /// @return dot The sum of what stood in the last lane of each row.
    function addBlocks(Table memory table, uint256 base, uint256 features, uint256 end, uint256 delta)
        internal
        pure
        returns (int256 dot)
    {
        assembly ("memory-safe") {
            let bases := mul(base, EVERY_32)
            let shift := mload(add(table, 0x20))
            let top := sub(shr(3, mload(add(table, 0x40))), 1)
            let bytesInFirst := add(and(sub(sub(end, features), 1), 31), 1)
            let fill := shr(1, sub(32, bytesInFirst))
            let word := shr(shl(4, fill), calldataload(features))
            let position := add(features, bytesInFirst)
            // Each block begins with what takes the bias of its 16 lanes away again. The first one is filled up with row 0, from
            // which its steps are subtracted beforehand. Whatever is borrowed here from the bytes before comes back with them.
            let bias := shl(sub(mload(add(table, 0x40)), 1), 1)
            let unbias := mul(bias, not(15))
            let row := sub(mload(base), mul(fill, delta))
            mstore(base, row)
            let sum := add(unbias, mul(fill, sub(bias, row)))
            sum := sub(sum, mul(delta, shr(1, mul(fill, sub(fill, 1)))))
            for {} 1 {} {
                let rows := add(bases, shl(shift, and(shr(16, word), ODD_16)))
                let at
                mstore(0x20, rows)
                at := shr(224, rows)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x8), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0xc), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x10), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x14), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x18), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x1c), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(rows, LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                rows := add(bases, shl(shift, and(word, ODD_16)))
                mstore(0x20, rows)
                at := shr(224, rows)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x8), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0xc), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x10), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x14), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x18), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(mload(0x1c), LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                at := and(rows, LOW_32)
                row := mload(at)
                sum := add(sum, row)
                mstore(at, add(row, delta))
                dot := add(dot, signextend(top, sum))
                if iszero(lt(position, end)) { break }
                word := calldataload(position)
                position := add(position, 32)
                sum := unbias
            }
        }
    }

    /// @notice Where a class stands in a row.
    /// @return half Which word of the row.
    /// @return up How many bits are below its lane.
    function laneOf(Table memory table, uint256 class) internal pure returns (uint256 half, uint256 up) {
        unchecked {
            uint256 lanes = table.lanes;
            half = class < lanes ? 0 : 1;
            up = table.width * (lanes - 1 - (class & (lanes - 1)));
        }
    }

    /// @notice How features are read.
    /// @return step The bytes of a feature.
    /// @return indexShift How far to shift what stands at a feature to get its index.
    /// @return valueByte Which byte its value is; 32 without values.
    function reading(Format memory format)
        internal
        pure
        returns (uint256 step, uint256 indexShift, uint256 valueByte)
    {
        unchecked {
            step = format.featureBytes;
            uint256 indexBytes = step - (format.valued ? 1 : 0);
            indexShift = 256 - 8 * indexBytes;
            valueByte = format.valued ? indexBytes : 32;
        }
    }

    /// @notice Writes all loaded units back. A word that did not change costs 100 gas, no more than finding that out.
    function store(Table memory table) internal {
        if (!table.cached) return;
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let slot := mload(add(table, 0x80))
            let bias := mload(add(table, 0xc0))
            let list := mload(add(table, 0x120))
            let wide := gt(shift, 5)
            let start := mload(table)
            if lt(shift, 5) { start := add(start, sub(32, shl(shift, 1))) }
            switch list
            case 0 {
                let end := add(slot, shl(wide, mload(add(table, 0xa0))))
                for {} lt(slot, end) { slot := add(slot, 1) } {
                    sstore(slot, xor(mload(start), bias))
                    start := add(start, 32)
                }
            }
            default {
                let listEnd := add(list, shl(5, mload(add(table, 0x100))))
                for {} lt(list, listEnd) { list := add(list, 32) } {
                    let place := shl(wide, mload(list))
                    let at := add(start, shl(5, place))
                    sstore(add(slot, place), xor(mload(at), bias))
                    if wide { sstore(add(add(slot, place), 1), xor(mload(add(at, 32)), bias)) }
                }
            }
        }
    }

    /// @dev Loads every unit.
    function _loadAll(Table memory table) private view {
        uint256 large;
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let slot := mload(add(table, 0x80))
            let bias := mload(add(table, 0xc0))
            let at := mload(table)
            if lt(shift, 5) { at := add(at, sub(32, shl(shift, 1))) }
            let end := add(slot, shl(gt(shift, 5), mload(add(table, 0xa0))))
            for {} lt(slot, end) { slot := add(slot, 1) } {
                let word := sload(slot)
                large := or(large, xor(word, shl(1, word)))
                mstore(at, xor(word, bias))
                at := add(at, 32)
            }
        }
        table.large = large & (table.width == 16 ? TOP_16 : TOP_32);
    }

    /// @dev The sums for one word of each row, 16 rows at a time: lanes are small enough for that. The first block takes what the
    /// others, full ones, leave; it is filled up with feature 0, which is subtracted beforehand.
    function _sumBlocks(
        Table memory table,
        uint256 half,
        uint256 features,
        uint256 end,
        int256[] memory scores
    ) private pure {
        uint256 even;
        uint256 odd;
        assembly ("memory-safe") {
            let first := add(mload(table), shl(5, half))
            let firsts := mul(first, EVERY_32)
            let shift := mload(add(table, 0x20))
            let width := mload(add(table, 0x40))
            let bias := mload(add(table, 0xc0))
            let mask := ODD_16
            if eq(width, 32) { mask := ODD_32 }
            let bytesInFirst := add(and(sub(sub(end, features), 1), 31), 1)
            let fill := shr(1, sub(32, bytesInFirst))
            let word := shr(shl(4, fill), calldataload(features))
            let position := add(features, bytesInFirst)
            // Each block begins with what takes the bias of its 16 rows away again, but one.
            let unbias := mul(bias, not(14))
            let sum := add(unbias, mul(fill, sub(bias, mload(first))))
            for {} 1 {} {
                // The addresses of the 16 rows, in containers of 32 bits; from scratch memory each is one load away.
                let rows := add(firsts, shl(shift, and(shr(16, word), ODD_16)))
                mstore(0x20, rows)
                sum := add(sum, mload(shr(224, rows)))
                sum := add(sum, mload(and(mload(0x8), LOW_32)))
                sum := add(sum, mload(and(mload(0xc), LOW_32)))
                sum := add(sum, mload(and(mload(0x10), LOW_32)))
                sum := add(sum, mload(and(mload(0x14), LOW_32)))
                sum := add(sum, mload(and(mload(0x18), LOW_32)))
                sum := add(sum, mload(and(mload(0x1c), LOW_32)))
                sum := add(sum, mload(and(rows, LOW_32)))
                rows := add(firsts, shl(shift, and(word, ODD_16)))
                mstore(0x20, rows)
                sum := add(sum, mload(shr(224, rows)))
                sum := add(sum, mload(and(mload(0x8), LOW_32)))
                sum := add(sum, mload(and(mload(0xc), LOW_32)))
                sum := add(sum, mload(and(mload(0x10), LOW_32)))
                sum := add(sum, mload(and(mload(0x14), LOW_32)))
                sum := add(sum, mload(and(mload(0x18), LOW_32)))
                sum := add(sum, mload(and(mload(0x1c), LOW_32)))
                sum := add(sum, mload(and(rows, LOW_32)))
                even := add(even, and(shr(width, sum), mask))
                odd := add(odd, and(sum, mask))
                if iszero(lt(position, end)) { break }
                word := calldataload(position)
                position := add(position, 32)
                sum := unbias
            }
        }
        unchecked {
            _addLanes(table, half, even, odd, ((end - features + 31) >> 5) << (table.width - 1), scores);
        }
    }

    /// @dev The sums for one word of each row, whatever the numbers and values.
    function _sumOneByOne(
        Table memory table,
        uint256 half,
        uint256 features,
        uint256 end,
        int256[] memory scores
    ) private view {
        (uint256 step, uint256 indexShift, uint256 valueByte) = reading(table.format);
        uint256 even;
        uint256 odd;
        uint256 zero;
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let width := mload(add(table, 0x40))
            let mask := ODD_16
            if eq(width, 32) { mask := ODD_32 }
            // Sums may be negative meanwhile: the top bit of each double lane is added beforehand.
            even := and(shl(width, mload(add(table, 0xc0))), not(mask))
            odd := even
            let values := 0
            switch mload(add(table, 0x140))
            case 0 {
                let slot := add(mload(add(table, 0x80)), half)
                let bias := mload(add(table, 0xc0))
                // Row 0 of a word has to be shifted by so many bytes.
                let low := 0
                if lt(shift, 5) { low := sub(32, shl(shift, 1)) }
                for {} lt(features, end) { features := add(features, step) } {
                    let feature := calldataload(features)
                    let at := shl(shift, shr(indexShift, feature))
                    let row := shr(shl(3, sub(low, and(at, 31))), xor(sload(add(slot, shr(5, at))), bias))
                    // A byte beyond the word is 0: then there are no values, and all are 1.
                    let value := or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32))
                    even := add(even, mul(value, and(shr(width, row), mask)))
                    odd := add(odd, mul(value, and(row, mask)))
                    values := add(values, value)
                }
            }
            default {
                let base := add(mload(table), shl(5, half))
                for {} lt(features, end) { features := add(features, step) } {
                    let feature := calldataload(features)
                    let row := mload(add(base, shl(shift, shr(indexShift, feature))))
                    let value := or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32))
                    even := add(even, mul(value, and(shr(width, row), mask)))
                    odd := add(odd, mul(value, and(row, mask)))
                    values := add(values, value)
                }
            }
            zero := add(shl(sub(shl(1, width), 1), 1), mul(values, shl(sub(width, 1), 1)))
        }
        _addLanes(table, half, even, odd, zero, scores);
    }

    /// @dev Adds the double lanes to the scores of their classes.
    /// @param even Lanes 0, 2, ... of the row.
    /// @param odd Lanes 1, 3, ...
    /// @param zero What stands for 0 in them.
    function _addLanes(
        Table memory table,
        uint256 half,
        uint256 even,
        uint256 odd,
        uint256 zero,
        int256[] memory scores
    ) private pure {
        assembly ("memory-safe") {
            let double := shl(1, mload(add(table, 0x40)))
            let mask := sub(shl(double, 1), 1)
            let lanes := mload(add(table, 0x60))
            let from := mul(half, lanes)
            let to := add(from, lanes)
            if gt(to, mload(scores)) { to := mload(scores) }
            let at := add(add(scores, 32), shl(5, from))
            let end := add(add(scores, 32), shl(5, to))
            for { let up := mul(double, sub(shr(1, lanes), 1)) } lt(at, end) { up := sub(up, double) } {
                mstore(at, sub(add(mload(at), and(shr(up, even), mask)), zero))
                at := add(at, 32)
                if lt(at, end) {
                    mstore(at, sub(add(mload(at), and(shr(up, odd), mask)), zero))
                    at := add(at, 32)
                }
            }
        }
    }
}
