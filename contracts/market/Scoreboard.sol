// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The bits of a score: 2^16 features of 2^15 each, the bias, and the sign.
uint256 constant SCORE_PLANES = 33;

/// @notice The test samples of a market, as a step keeps them in memory.
/// @param table Where the table of features stands. An entry is a feature's number + 1 in its low 32 bits, and above them a
/// bit for each test sample that has the feature; 0 is no entry.
/// @param mask The size of the table in bytes, less 32.
/// @param factor What the number of a feature is multiplied with to find its place.
/// @param planes Where the scores stand: bit t of word k is bit k of the score of test sample t.
/// @param labels Bit t is the label of test sample t.
/// @param live Bit t is set if there is a test sample t.
/// @param curve What its square is multiplied with. With the factor alone, features that follow each other would for some
/// seeds lie in heaps, and be found so slowly that no step fits into a transaction.
struct Board {
    uint256 table;
    uint256 mask;
    uint256 factor;
    uint256 planes;
    uint256 labels;
    uint256 live;
    uint256 curve;
}

/// @title How many test samples a binary perceptron gets right, while it trains
/// @notice Scores are kept, not computed again: a sample that trains the model adds 1 (or -1) to the score of a test sample for
/// the bias and for each feature that both have. All test samples are counted at once: numbers stand across words, one bit
/// of each number in one word ("bit-sliced"), so that one operation works on all of them.
/// @dev Without values, and while no weight is at its limit; the market sees to both. A score here is one less than the
/// model's: class 1 is predicted if the model's is above 0, so if this one is not negative.
library Scoreboard {
    /// @dev The bits of an entry above the number of its feature.
    uint256 internal constant MAX_TESTS = 224;
    uint256 private constant SIGN = 32;
    /// @dev The bits of a count of features, which are at most 2^16 and the bias.
    uint256 private constant COUNT_PLANES = 17;
    uint256 private constant HEADER_BYTES = 3;
    uint256 private constant EVERY_2 = 0x5555555555555555555555555555555555555555555555555555555555555555;
    uint256 private constant EVERY_4 = 0x3333333333333333333333333333333333333333333333333333333333333333;
    uint256 private constant EVERY_8 = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant EVERY_FIRST = 0x0101010101010101010101010101010101010101010101010101010101010101;
    /// @dev The high bits of a product depend on all bits of the number.
    uint256 private constant PLACE_SHIFT = 224;

    /// @notice Reads the test samples. All scores are those of a model of zeros.
    /// @param tests The samples in memory, found right before, with 2-byte indices and without values.
    /// @param nFeatures How many features there are.
    /// @param seed What nobody knew when tests and samples were chosen: the places in the table follow from it, so that nobody
    /// can choose them to lie together.
    function open(bytes memory tests, uint256 nFeatures, uint256 seed)
        internal
        pure
        returns (Board memory board)
    {
        unchecked {
            // At most three quarters of the table are filled: a feature takes two bytes.
            uint256 features = tests.length / 2 < nFeatures ? tests.length / 2 : nFeatures;
            uint256 entries = 16;
            while (3 * entries < 4 * features) entries <<= 1;
            uint256 table;
            uint256 planes;
            assembly ("memory-safe") {
                table := mload(0x40)
                planes := add(table, shl(5, entries))
                mstore(0x40, add(planes, shl(5, SCORE_PLANES)))
                // Memory is not always fresh.
                calldatacopy(table, calldatasize(), shl(5, entries))
            }
            board.table = table;
            board.mask = (entries << 5) - 32;
            board.factor = seed | 1;
            board.curve = uint256(keccak256(abi.encode(seed)));
            board.planes = planes;
            _index(board, tests);
            uint256 live = board.live;
            for (uint256 k = 0; k < SCORE_PLANES; k++) {
                assembly ("memory-safe") {
                    mstore(add(planes, shl(5, k)), live)
                }
            }
        }
    }

    /// @notice Takes the change that one training makes into all scores.
    /// @param sample Where the sample stands in memory: its label, that of its header.
    function learn(Board memory board, uint256 sample) internal pure {
        uint256[COUNT_PLANES] memory counts;
        assembly ("memory-safe") {
            let table := mload(board)
            let mask := mload(add(board, 0x20))
            let factor := mload(add(board, 0x40))
            let curve := mload(add(board, 0xc0))
            let planes := mload(add(board, 0x60))
            let live := mload(add(board, 0xa0))
            let header := mload(sample)
            let position := add(sample, HEADER_BYTES)
            let end := add(position, shl(1, and(shr(232, header), 0xffff)))
            // Every test sample has the bias.
            mstore(counts, live)
            let top := 32
            for {} lt(position, end) { position := add(position, 2) } {
                let key := add(shr(240, mload(position)), 1)
                let place := and(shr(PLACE_SHIFT, mul(key, add(factor, mul(key, curve)))), mask)
                let entry := mload(add(table, place))
                for {} and(iszero(eq(and(entry, 0xffffffff), key)), gt(entry, 0)) {} {
                    place := and(add(place, 32), mask)
                    entry := mload(add(table, place))
                }
                let carry := shr(32, entry)
                let plane := counts
                for {} carry {} {
                    let count := mload(plane)
                    mstore(plane, xor(count, carry))
                    carry := and(count, carry)
                    plane := add(plane, 32)
                }
                if gt(sub(plane, counts), top) { top := sub(plane, counts) }
            }
            // Label 1 adds; label 0 subtracts: adds what is left when all bits are turned, and 1.
            let turn := mul(live, iszero(byte(0, header)))
            let carry := turn
            for { let k := 0 } lt(k, shl(5, SCORE_PLANES)) { k := add(k, 32) } {
                let addend := turn
                if lt(k, top) { addend := xor(mload(add(counts, k)), turn) }
                let plane := add(planes, k)
                let old := mload(plane)
                let half := xor(old, addend)
                mstore(plane, xor(half, carry))
                carry := or(and(old, addend), and(half, carry))
            }
        }
    }

    /// @notice Takes the scores of a model that is not one of zeros.
    /// @param tests The samples that the board was opened with.
    /// @param words The words of a perceptron with 16-bit weights; the bias in the last one.
    function score(Board memory board, bytes memory tests, uint256[] memory words) internal pure {
        assembly ("memory-safe") {
            let planes := mload(add(board, 0x60))
            let first := add(words, 32)
            let bias := signextend(1, shr(240, mload(add(words, shl(5, mload(words))))))
            for { let k := 0 } lt(k, shl(5, SCORE_PLANES)) { k := add(k, 32) } { mstore(add(planes, k), 0) }
            let bit := 1
            let position := add(tests, 32)
            let last := add(position, mload(tests))
            for {} lt(position, last) { bit := shl(1, bit) } {
                let end := add(add(position, HEADER_BYTES), shl(1, and(shr(232, mload(position)), 0xffff)))
                let sum := sub(bias, 1)
                for { position := add(position, HEADER_BYTES) } lt(position, end) {
                    position := add(position, 2)
                } {
                    // Weight i is at byte 2 i.
                    let weight := shr(240, mload(add(first, shl(1, shr(240, mload(position))))))
                    sum := add(sum, signextend(1, weight))
                }
                let plane := planes
                for { let k := 0 } lt(k, SCORE_PLANES) { k := add(k, 1) } {
                    mstore(plane, or(mload(plane), mul(bit, and(shr(k, sum), 1))))
                    plane := add(plane, 32)
                }
            }
        }
    }

    /// @notice Keeps the scores for the next step.
    function save(Board memory board, uint256[SCORE_PLANES] storage kept) internal {
        uint256 planes = board.planes;
        for (uint256 k = 0; k < SCORE_PLANES; k++) {
            uint256 plane;
            assembly ("memory-safe") {
                plane := mload(add(planes, shl(5, k)))
            }
            if (kept[k] != plane) kept[k] = plane;
        }
    }

    /// @notice Takes the scores that the last step kept.
    function load(Board memory board, uint256[SCORE_PLANES] storage kept) internal view {
        uint256 planes = board.planes;
        for (uint256 k = 0; k < SCORE_PLANES; k++) {
            uint256 plane = kept[k];
            assembly ("memory-safe") {
                mstore(add(planes, shl(5, k)), plane)
            }
        }
    }

    /// @notice How many test samples the model predicts the label of.
    function correct(Board memory board) internal pure returns (uint256) {
        uint256 sign;
        uint256 planes = board.planes;
        assembly ("memory-safe") {
            sign := mload(add(planes, shl(5, SIGN)))
        }
        // Negative is class 0.
        return _count((sign ^ board.labels) & board.live);
    }

    /// @dev Fills the table, the labels and the bits of the test samples.
    function _index(Board memory board, bytes memory tests) private pure {
        assembly ("memory-safe") {
            let table := mload(board)
            let mask := mload(add(board, 0x20))
            let factor := mload(add(board, 0x40))
            let curve := mload(add(board, 0xc0))
            let labels := 0
            let bit := 1
            let position := add(tests, 32)
            let last := add(position, mload(tests))
            for {} lt(position, last) { bit := shl(1, bit) } {
                let header := mload(position)
                if byte(0, header) { labels := or(labels, bit) }
                position := add(position, HEADER_BYTES)
                let end := add(position, shl(1, and(shr(232, header), 0xffff)))
                for {} lt(position, end) { position := add(position, 2) } {
                    let key := add(shr(240, mload(position)), 1)
                    let place := and(shr(PLACE_SHIFT, mul(key, add(factor, mul(key, curve)))), mask)
                    let entry := mload(add(table, place))
                    for {} and(iszero(eq(and(entry, 0xffffffff), key)), gt(entry, 0)) {} {
                        place := and(add(place, 32), mask)
                        entry := mload(add(table, place))
                    }
                    mstore(add(table, place), or(or(entry, key), shl(32, bit)))
                }
            }
            mstore(add(board, 0x80), labels)
            mstore(add(board, 0xa0), sub(bit, 1))
        }
    }

    /// @dev How many bits are set.
    function _count(uint256 bits) private pure returns (uint256) {
        unchecked {
            bits -= bits >> 1 & EVERY_2;
            bits = (bits & EVERY_4) + (bits >> 2 & EVERY_4);
            bits = bits + (bits >> 4) & EVERY_8;
            // Byte sums of 28 bytes at most 224: they fit into the highest byte.
            return bits * EVERY_FIRST >> 248;
        }
    }
}
