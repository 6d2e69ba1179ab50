// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The bits of a score: 2^16 features of 2^15 each, the bias, and the sign.
uint256 constant SCORE_PLANES = 33;

/// @notice The test samples of a market, as a step keeps them in memory.
/// @param numbers Where it stands which features test samples have: two bytes for each feature of the model, 0 if none has it.
/// Nothing is searched, so whoever chooses features cannot make it dear to find them.
/// @param holders Where a word stands for each such number: bit t is set if test sample t has the feature. That of 0 is empty.
/// @param planes Where the scores stand: bit t of word k is bit k of the score of test sample t.
/// @param labels Bit t is the label of test sample t.
/// @param live Bit t is set if there is a test sample t.
struct Board {
    uint256 numbers;
    uint256 holders;
    uint256 planes;
    uint256 labels;
    uint256 live;
}

/// @title How many test samples a binary perceptron gets right, while it trains
/// @notice Scores are kept, not computed again: a sample that trains the model adds 1 (or -1) to the score of a test sample for
/// the bias and for each feature that both have. All test samples are counted at once: numbers stand across words, one bit
/// of each number in one word ("bit-sliced"), so that one operation works on all of them.
/// @dev Without values, and while no weight is at its limit; the market sees to both. A score here is one less than the
/// model's: class 1 is predicted if the model's is above 0, so if this one is not negative.
library Scoreboard {
    /// @dev As many as `_count` can count.
    uint256 internal constant MAX_TESTS = 224;
    uint256 private constant SIGN = 32;
    /// @dev The bits of a count of features, which are at most 2^16 and the bias.
    uint256 private constant COUNT_PLANES = 17;
    uint256 private constant HEADER_BYTES = 3;
    uint256 private constant EVERY_2 = 0x5555555555555555555555555555555555555555555555555555555555555555;
    uint256 private constant EVERY_4 = 0x3333333333333333333333333333333333333333333333333333333333333333;
    uint256 private constant EVERY_8 = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant EVERY_FIRST = 0x0101010101010101010101010101010101010101010101010101010101010101;

    /// @notice Reads the test samples. All scores are those of a model of zeros.
    /// @param tests The samples in memory, found right before, with 2-byte indices and without values.
    /// @param nFeatures How many features there are.
    function open(bytes memory tests, uint256 nFeatures) internal pure returns (Board memory board) {
        unchecked {
            uint256 numbers;
            uint256 planes;
            assembly ("memory-safe") {
                planes := mload(0x40)
                numbers := add(planes, shl(5, SCORE_PLANES))
                // What is written of a number reaches into the word behind the last.
                let size := add(and(add(shl(1, nFeatures), 31), not(31)), 32)
                // Memory is not always fresh.
                calldatacopy(numbers, calldatasize(), size)
                mstore(add(board, 0x20), add(numbers, size))
            }
            board.numbers = numbers;
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
            let numbers := mload(board)
            let holders := mload(add(board, 0x20))
            let planes := mload(add(board, 0x40))
            let live := mload(add(board, 0x80))
            let header := mload(sample)
            let position := add(sample, HEADER_BYTES)
            let end := add(position, shl(1, and(shr(232, header), 0xffff)))
            // Every test sample has the bias.
            mstore(counts, live)
            let top := 32
            for {} lt(position, end) { position := add(position, 2) } {
                let which := shr(240, mload(add(numbers, shl(1, shr(240, mload(position))))))
                let carry := mload(add(holders, shl(5, which)))
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
            let planes := mload(add(board, 0x40))
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

    /// @dev Fills in which test samples have which features, their labels and their bits.
    function _index(Board memory board, bytes memory tests) private pure {
        assembly ("memory-safe") {
            let numbers := mload(board)
            let holders := mload(add(board, 0x20))
            let labels := 0
            let bit := 1
            let count := 0
            mstore(holders, 0)
            let position := add(tests, 32)
            let last := add(position, mload(tests))
            for {} lt(position, last) { bit := shl(1, bit) } {
                let header := mload(position)
                if byte(0, header) { labels := or(labels, bit) }
                position := add(position, HEADER_BYTES)
                let end := add(position, shl(1, and(shr(232, header), 0xffff)))
                for {} lt(position, end) { position := add(position, 2) } {
                    let place := add(numbers, shl(1, shr(240, mload(position))))
                    let which := shr(240, mload(place))
                    switch which
                    case 0 {
                        count := add(count, 1)
                        mstore(place, or(shl(240, count), shr(16, shl(16, mload(place)))))
                        mstore(add(holders, shl(5, count)), bit)
                    }
                    default {
                        let holder := add(holders, shl(5, which))
                        mstore(holder, or(mload(holder), bit))
                    }
                }
            }
            mstore(0x40, add(holders, shl(5, add(count, 1))))
            mstore(add(board, 0x60), labels)
            mstore(add(board, 0x80), sub(bit, 1))
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
