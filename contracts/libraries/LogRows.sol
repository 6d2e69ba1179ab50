// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedLog} from "./FixedLog.sol";
import {RowTable, Table} from "./RowTable.sol";

/// @notice How the counts of a feature become what it adds to the scores.
/// @param fixedLog The table of logarithms.
/// @param smoothing What is added to every count, in 1/256.
/// @param minus What is taken from the logarithm of each class's count; in the multinomial model the same for all features.
/// @param samples The samples of each class.
struct Logs {
    uint256 fixedLog;
    uint256 smoothing;
    uint256[] minus;
    uint256[] samples;
}

/// @title Rows of logarithms in memory, made of rows of counts in storage
/// @notice What a feature adds to the score of a class takes the place of its count in the table's copy in memory, so that scores
/// are sums of rows. A feature that no class has seen adds nothing. All are below 2^24, whatever the counts, so that 16 rows can
/// always be added up at a time.
///
/// When all verdicts are known, the same memory holds what the samples add to the counts.
library LogRows {
    using RowTable for Table;

    uint256 private constant BIAS = 0x8000000080000000800000008000000080000000800000008000000080000000;
    uint256 private constant LOW_32 = 0xffffffff;
    /// @dev What a logarithm costs more in storage than in memory, where samples share it, in gas, about.
    uint256 private constant LOG_GAS = 250;
    /// @dev With so many features per feature of the model hardly any stays untouched.
    uint256 private constant ALL_AT_ONCE = 3;

    /// @notice Sets up rows for the multinomial model, in memory if that pays.
    /// @param room How many features the payload has room for, which decides whether it pays.
    /// @param features How many features the samples have together that will be looked at, repeated ones included.
    function open(Table memory table, Logs memory logs, uint256 room, uint256 features) internal view {
        unchecked {
            if (!table.pays(room * (RowTable.DIRECT_GAS + LOG_GAS * logs.minus.length))) return;
            uint256 nFeatures = table.format.nFeatures;
            bool allAtOnce = features >= ALL_AT_ONCE * nFeatures;
            table.allocate(allAtOnce ? 0 : (features < nFeatures ? features : nFeatures));
            if (!allAtOnce) return;
            for (uint256 index = 0; index < nFeatures; index++) {
                _make(table, logs, index, table.first + (index << table.shift));
            }
        }
    }

    /// @notice Sets up all rows for the Bernoulli model.
    /// @param bases What each class's score begins with; what a sample without features gets is added to it.
    function openBernoulli(Table memory table, Logs memory logs, int256[] memory bases) internal view {
        unchecked {
            table.allocate(0);
            uint256 nFeatures = table.format.nFeatures;
            bool wide = table.shift > 5;
            for (uint256 index = 0; index < nFeatures; index++) {
                (uint256 high, uint256 low) = countsOf(table, index);
                bool seen = high | low != 0;
                if (wide) _put(table, index, 0, seen ? _bernoulli(table, logs, high, 0, bases) : BIAS);
                low = seen ? _bernoulli(table, logs, low, wide ? table.lanes : 0, bases) : BIAS;
                _put(table, index, wide ? 1 : 0, low);
            }
        }
    }

    /// @notice Makes the rows that a sample needs.
    /// @dev Features that do not exist are passed over: `IModel.assess` may be handed garbage.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function load(Table memory table, Logs memory logs, uint256 features, uint256 end) internal view {
        if (table.list == 0) return;
        // Rows are loaded whatever the values.
        // slither-disable-next-line unused-return
        (uint256 step, uint256 indexShift,) = RowTable.reading(table.format);
        uint256 first = table.first;
        uint256 shift = table.shift;
        while (true) {
            uint256 index;
            assembly ("memory-safe") {
                // To the next feature that has no row.
                for {} lt(features, end) { features := add(features, step) } {
                    index := shr(indexShift, calldataload(features))
                    if iszero(and(mload(add(first, shl(shift, index))), LOW_32)) { break }
                }
            }
            if (features >= end) return;
            unchecked {
                features += step;
                if (index >= table.format.nFeatures) continue;
                _make(table, logs, index, first + (index << shift));
                uint256 list = table.list + 32 * table.loaded++;
                uint256 unit = shift > 5 ? index : (index << shift) >> 5;
                assembly ("memory-safe") {
                    mstore(list, unit)
                }
            }
        }
    }

    /// @notice Adds to each class's score what a sample's features add, straight from storage.
    function scoreInStorage(
        Table memory table,
        Logs memory logs,
        uint256 features,
        uint256 end,
        int256[] memory scores
    ) internal view {
        unchecked {
            (uint256 step, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
            for (; features < end; features += step) {
                uint256 index;
                int256 value;
                uint256 row;
                assembly ("memory-safe") {
                    let feature := calldataload(features)
                    index := shr(indexShift, feature)
                    value := or(signextend(0, byte(valueByte, feature)), eq(valueByte, 32))
                    // Free memory as scratch: nothing of it is kept.
                    row := mload(0x40)
                    mstore(row, 0)
                    mstore(add(row, 32), 0)
                }
                _make(table, logs, index, row);
                for (uint256 c = 0; c < scores.length; c++) {
                    (uint256 half, uint256 up) = table.laneOf(c);
                    int256 lane;
                    assembly ("memory-safe") {
                        lane := sub(and(shr(up, mload(add(row, shl(5, half)))), LOW_32), 0x80000000)
                    }
                    scores[c] += value * lane;
                }
            }
        }
    }

    /// @notice The counts of a feature.
    /// @return high The first 32 bytes of a row of 64.
    /// @return low The row, or its last 32 bytes, in the low bytes; nothing stands before them.
    function countsOf(Table memory table, uint256 index) internal view returns (uint256 high, uint256 low) {
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let at := shl(shift, index)
            let place := add(mload(add(table, 0x80)), shr(5, at))
            low := sload(place)
            switch lt(shift, 5)
            case 0 {
                if gt(shift, 5) {
                    high := low
                    low := sload(add(place, 1))
                }
            }
            default {
                let size := shl(shift, 1)
                low := shr(sub(256, shl(3, size)), shl(shl(3, and(at, 31)), low))
            }
        }
    }

    /// @notice Empties the rows, for what samples add to the counts.
    function clear(Table memory table) internal pure {
        if (!table.cached) return;
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let start := mload(table)
            let size := shl(6, mload(add(table, 0xa0)))
            if lt(shift, 6) {
                start := add(start, sub(32, shl(shift, 1)))
                size := shr(1, size)
            }
            calldatacopy(start, calldatasize(), size)
        }
    }

    /// @notice Adds a sample to the counts of a class, in memory.
    /// @return added The sum of its values.
    function add(Table memory table, uint256 class, uint256 features, uint256 end)
        internal
        pure
        returns (uint256 added)
    {
        unchecked {
            (uint256 half, uint256 up) = table.laneOf(class);
            uint256 base = table.first + 32 * half - up / 8;
            if (table.inBlocks()) {
                // Each number grows by one, whatever it was.
                // slither-disable-next-line unused-return
                table.addBlocks(base, features, end, 1);
                return (end - features) / 2;
            }
            (uint256 step, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
            assembly ("memory-safe") {
                let shift := mload(add(table, 0x20))
                for {} lt(features, end) { features := add(features, step) } {
                    let feature := calldataload(features)
                    let value := or(byte(valueByte, feature), eq(valueByte, 32))
                    let at := add(base, shl(shift, shr(indexShift, feature)))
                    mstore(at, add(mload(at), value))
                    added := add(added, value)
                }
            }
        }
    }

    /// @notice Adds a sample to the counts of a class, in storage.
    /// @return added The sum of its values.
    /// @return seen How many of its features no class had seen.
    function addInStorage(Table memory table, uint256 class, uint256 features, uint256 end)
        internal
        returns (uint256 added, uint256 seen)
    {
        unchecked {
            (uint256 half, uint256 up) = table.laneOf(class);
            (uint256 step, uint256 indexShift, uint256 valueByte) = RowTable.reading(table.format);
            // Lanes of row 0 of a word are so far up.
            if (table.shift < 5) up += 256 - (8 << table.shift);
            for (; features < end; features += step) {
                uint256 index;
                uint256 value;
                assembly ("memory-safe") {
                    let feature := calldataload(features)
                    index := shr(indexShift, feature)
                    value := or(byte(valueByte, feature), eq(valueByte, 32))
                }
                (uint256 high, uint256 low) = countsOf(table, index);
                if (high | low == 0) seen++;
                added += value;
                assembly ("memory-safe") {
                    let at := shl(mload(add(table, 0x20)), index)
                    let place := add(add(mload(add(table, 0x80)), half), shr(5, at))
                    sstore(place, add(sload(place), shl(sub(up, shl(3, and(at, 31))), value)))
                }
            }
        }
    }

    /// @notice Adds to the counts in storage what the samples add.
    /// @return seen How many features no class had seen.
    function store(Table memory table) internal returns (uint256 seen) {
        if (!table.cached) return 0;
        assembly ("memory-safe") {
            // A row's first lane never has its top bit, so a row is not 0 if adding this one sets the row's top bit.
            function isSeen(word, fill) -> bits {
                bits := and(add(word, fill), not(fill))
            }
            let shift := mload(add(table, 0x20))
            let wide := gt(shift, 5)
            let slot := mload(add(table, 0x80))
            let list := mload(add(table, 0x120))
            let count := mload(add(table, 0xa0))
            if list { count := mload(add(table, 0x100)) }
            let start := mload(table)
            if lt(shift, 5) { start := add(start, sub(32, shl(shift, 1))) }
            // All bits but the top one of each row.
            let fill := not(shl(255, 1))
            if lt(shift, 5) {
                let rowBits := shl(add(shift, 3), 1)
                fill := not(shl(sub(rowBits, 1), div(not(0), sub(shl(rowBits, 1), 1))))
            }
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let unit := i
                if list { unit := mload(add(list, shl(5, i))) }
                let place := add(slot, shl(wide, unit))
                let at := add(start, shl(add(5, wide), unit))
                let delta := mload(at)
                // A unit may be listed several times.
                mstore(at, 0)
                let before := 0
                let increased := 0
                if wide {
                    before := sload(place)
                    increased := delta
                    if delta { sstore(place, add(before, delta)) }
                    place := add(place, 1)
                    delta := mload(add(at, 32))
                    mstore(add(at, 32), 0)
                }
                increased := or(increased, delta)
                if increased {
                    let word := sload(place)
                    let bits := isSeen(add(word, delta), fill)
                    switch wide
                    case 0 { bits := and(bits, not(isSeen(word, fill))) }
                    default { bits := iszero(or(before, word)) }
                    if delta { sstore(place, add(word, delta)) }
                    for {} bits { seen := add(seen, 1) } { bits := and(bits, sub(bits, 1)) }
                }
            }
        }
    }

    /// @dev Makes the row of a feature in the multinomial model: log2(count) - minus, with each lane's bias. The logarithms are made
    /// even for a feature that no class has seen, so that it costs the same before and after.
    /// @param target Where the first 32 bytes of the row end; the row itself is 0 there, what is before it stays.
    function _make(Table memory table, Logs memory logs, uint256 index, uint256 target) private view {
        assembly ("memory-safe") {
            // FixedLog.log2, for less than 2^40.
            function logarithm(fixedLog, x) -> result {
                let e := shl(5, gt(x, LOW_32))
                e := or(e, shl(4, gt(shr(e, x), 0xffff)))
                e := or(e, shl(3, gt(shr(e, x), 0xff)))
                e := or(e, and(mload(add(add(fixedLog, 993), shr(e, x))), 0xff))
                let t := shr(e, shl(16, x))
                let entry := mload(add(sub(fixedLog, 28), and(shr(6, t), 0x3fc)))
                let slope := shr(8, mul(and(entry, 0xffff), and(t, 0xff)))
                result := add(add(shl(16, e), and(shr(16, entry), 0xffff)), slope)
            }
            let fixedLog := mload(logs)
            let smoothing := mload(add(logs, 0x20))
            let minus := mload(add(logs, 0x40))
            let end := add(add(minus, 32), shl(5, mload(minus)))
            minus := add(minus, 32)
            let counts
            let others := 0 // the second half of a row of 64 bytes
            let zero := BIAS
            {
                let shift := mload(add(table, 0x20))
                let at := shl(shift, index)
                let place := add(mload(add(table, 0x80)), shr(5, at))
                counts := sload(place)
                if lt(shift, 5) {
                    let mask := sub(shl(shl(shift, 8), 1), 1)
                    counts := and(shr(shl(3, sub(sub(32, shl(shift, 1)), and(at, 31))), counts), mask)
                    zero := and(BIAS, mask)
                }
                if gt(shift, 5) { others := sload(add(place, 1)) }
            }
            let seen := or(counts, others)
            for {} lt(minus, end) { target := add(target, 32) } {
                let row := zero
                let up := shl(5, mload(add(table, 0x60)))
                for {} mul(up, lt(minus, end)) { minus := add(minus, 32) } {
                    up := sub(up, 32)
                    let log := logarithm(fixedLog, add(shl(8, and(shr(up, counts), LOW_32)), smoothing))
                    // Carries into the lanes before cancel out: each lane as a whole is positive.
                    row := add(row, shl(up, sub(log, mload(minus))))
                }
                if iszero(seen) { row := zero }
                mstore(target, or(mload(target), row))
                counts := others
            }
        }
    }

    /// @dev Puts a row, or half of one, into its place, which is empty.
    function _put(Table memory table, uint256 index, uint256 half, uint256 row) private pure {
        assembly ("memory-safe") {
            let shift := mload(add(table, 0x20))
            let at := add(add(mload(table), shl(shift, index)), shl(5, half))
            // What is before the row in the word stays as it is.
            if lt(shift, 5) { row := and(row, sub(shl(shl(shift, 8), 1), 1)) }
            mstore(at, or(mload(at), row))
        }
    }

    /// @dev log2(present) - log2(absent) of each class from the given one on, with the lane's bias; the absence is added to the
    /// bases.
    function _bernoulli(
        Table memory table,
        Logs memory logs,
        uint256 counts,
        uint256 class,
        int256[] memory bases
    ) private pure returns (uint256 row) {
        assembly ("memory-safe") {
            // FixedLog.log2, for less than 2^40.
            function logarithm(fixedLog, x) -> result {
                let e := shl(5, gt(x, LOW_32))
                e := or(e, shl(4, gt(shr(e, x), 0xffff)))
                e := or(e, shl(3, gt(shr(e, x), 0xff)))
                e := or(e, and(mload(add(add(fixedLog, 993), shr(e, x))), 0xff))
                let t := shr(e, shl(16, x))
                let entry := mload(add(sub(fixedLog, 28), and(shr(6, t), 0x3fc)))
                let slope := shr(8, mul(and(entry, 0xffff), and(t, 0xff)))
                result := add(add(shl(16, e), and(shr(16, entry), 0xffff)), slope)
            }
            let fixedLog := mload(logs)
            let smoothing := mload(add(logs, 0x20))
            let base := add(add(bases, 32), shl(5, class))
            let end := add(add(bases, 32), shl(5, mload(bases)))
            // Arrays of the same length: from an element of the one it is so far to that of another.
            let toMinus := sub(mload(add(logs, 0x40)), bases)
            let toSamples := sub(mload(add(logs, 0x60)), bases)
            let up := shl(5, sub(mload(add(table, 0x60)), 1))
            row := BIAS
            for {} lt(base, end) { base := add(base, 32) } {
                if gt(up, 255) { break }
                let count := and(shr(up, counts), LOW_32)
                let others := sub(mload(add(base, toSamples)), count)
                if slt(others, 0) { others := 0 }
                let absent := logarithm(fixedLog, add(shl(8, others), smoothing))
                let present := logarithm(fixedLog, add(shl(8, count), smoothing))
                mstore(base, add(mload(base), sub(absent, mload(add(base, toMinus)))))
                // Carries into the lanes before cancel out: each lane as a whole is positive.
                row := add(row, shl(up, sub(present, absent)))
                up := sub(up, 32)
            }
        }
    }
}
