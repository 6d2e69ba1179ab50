// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Board, Scoreboard} from "../../contracts/market/Scoreboard.sol";

/// Scores that are kept up to date, against scores that are computed again each time.
contract ScoreboardTest is Test {
    using Scoreboard for Board;

    uint256 private constant FEATURES = 300;
    int256[FEATURES] private _weights;
    int256 private _bias;

    /// Random tests and trainings: after each the same number of test samples is right.
    /// forge-config: ci.fuzz.runs = 200
    function testFuzz_KeptScoresAreThoseOfTheModel(uint256 seed, uint8 count, uint16 range) public {
        uint256 tests = 1 + count % Scoreboard.MAX_TESTS;
        uint256 features = 2 + range % (FEATURES - 1);
        bytes memory set;
        for (uint256 i = 0; i < tests; i++) {
            set = bytes.concat(set, _sample(uint256(keccak256(abi.encode(seed, i))), features));
        }
        Board memory board = Scoreboard.open(set, features);
        assertEq(board.correct(), _correct(set));
        for (uint256 i = 0; i < 20; i++) {
            bytes memory sample = _sample(uint256(keccak256(abi.encode(seed, "training", i))), features);
            _learn(sample);
            uint256 at;
            assembly {
                at := add(sample, 32)
            }
            board.learn(at);
            assertEq(board.correct(), _correct(set));
        }
    }

    function test_GasOfScores() public {
        bytes memory set;
        for (uint256 i = 0; i < 100; i++) {
            set = bytes.concat(set, _sample(uint256(keccak256(abi.encode(7, i))), FEATURES));
        }
        uint256 gas = gasleft();
        Board memory board = Scoreboard.open(set, FEATURES);
        emit log_named_uint("open", gas - gasleft());
        emit log_named_uint("bytes", set.length);
        bytes memory sample = _sample(uint256(keccak256("y")), FEATURES);
        uint256 at;
        assembly {
            at := add(sample, 32)
        }
        gas = gasleft();
        board.learn(at);
        emit log_named_uint("learn", gas - gasleft());
        emit log_named_uint("features", sample.length / 2);
        gas = gasleft();
        board.correct();
        emit log_named_uint("correct", gas - gasleft());
    }

    function _sample(uint256 seed, uint256 features) private pure returns (bytes memory sample) {
        uint16 n;
        bytes memory indices;
        for (uint16 index = 0; index < features; index++) {
            if (uint256(keccak256(abi.encode(seed, index))) % 3 != 0) continue;
            indices = bytes.concat(indices, bytes2(index));
            n++;
        }
        if (n == 0) (n, indices) = (1, hex"0000");
        return bytes.concat(bytes1(uint8(seed & 1)), bytes2(n), indices);
    }

    function _learn(bytes memory sample) private {
        int256 step = sample[0] == 0 ? -int256(1) : int256(1);
        for (uint256 at = 3; at < sample.length; at += 2) {
            _weights[uint256(uint8(sample[at])) << 8 | uint8(sample[at + 1])] += step;
        }
        _bias += step;
    }

    function _correct(bytes memory set) private view returns (uint256 right) {
        uint256 at;
        while (at < set.length) {
            uint8 label = uint8(set[at]);
            uint256 end = at + 3 + 2 * (uint256(uint8(set[at + 1])) << 8 | uint8(set[at + 2]));
            int256 score = _bias;
            for (at += 3; at < end; at += 2) {
                score += _weights[uint256(uint8(set[at])) << 8 | uint8(set[at + 1])];
            }
            if ((score > 0 ? 1 : 0) == label) right++;
        }
    }
}
