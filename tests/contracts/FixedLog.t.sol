// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {FixedLog} from "../../contracts/libraries/FixedLog.sol";

/// The logarithm against golden values, and against what a logarithm is.
contract FixedLogTest is Test {
    /// Golden logarithms, up to 2^110, are reproduced.
    function test_GoldenLogarithmsAreReproduced() public view {
        string memory json = vm.readFile("tests/golden/log2.json");
        uint256[] memory x = vm.parseJsonUintArray(json, ".x");
        uint256[] memory expected = vm.parseJsonUintArray(json, ".log2");
        assertGe(x.length, 300);
        uint256 table = FixedLog.load();
        for (uint256 i = 0; i < x.length; i++) {
            assertEq(FixedLog.log2(table, x[i]), expected[i]);
        }
    }

    /// All 256 steps of the table are in their places: one is told from its neighbours by what 2^-8 more or less adds.
    function test_TheTableIsALogarithmTable() public pure {
        uint256 table = FixedLog.load();
        for (uint256 k = 0; k < 256; k++) {
            uint256 step = FixedLog.log2(table, 257 + k) - FixedLog.log2(table, 256 + k);
            // 65536 / ln 2 = 94548.4, divided by a number between both ends.
            assertGe(step, 94_548 / (257 + k));
            assertLe(step, 94_549 / (256 + k) + 1);
        }
    }

    /// A greater number never has a smaller logarithm, and twice a number has the logarithm plus one.
    function testFuzz_ItGrowsAsALogarithm(uint256 x, uint256 more, uint256 size) public pure {
        size = bound(size, 1, 108);
        x = bound(x, 1, 1 << size);
        more = bound(more, 0, 1 << size);
        uint256 table = FixedLog.load();
        assertLe(FixedLog.log2(table, x), FixedLog.log2(table, x + more));
        assertEq(FixedLog.log2(table, 2 * x), FixedLog.log2(table, x) + 65_536);
    }
}
