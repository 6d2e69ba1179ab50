// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {PriceMath} from "../../contracts/libraries/PriceMath.sol";

contract PriceTest is Test {
    /// @dev In the alphabetical order of the names in the file, which is how forge reads it.
    struct Case {
        uint256 costWeightWei;
        uint256 depositPerUnit;
        uint256 idleS;
        uint256 units;
    }

    uint256 private constant COST_WEIGHT_WEI = 1e11;

    /// Every golden price is computed to the wei.
    function test_GoldenPricesAreReproduced() public view {
        string memory json = vm.readFile("tests/golden/price.json");
        Case[] memory cases = abi.decode(vm.parseJson(json), (Case[]));
        assertEq(cases.length, 200);
        for (uint256 i = 0; i < cases.length; i++) {
            Case memory c = cases[i];
            assertEq(PriceMath.depositPerUnit(c.costWeightWei, c.units, c.idleS), c.depositPerUnit);
        }
    }

    /// One unit after three seconds or more costs what the reference implementation's rule says, up to its rounding.
    function testFuzz_OneUnitCostsWhatTheReferenceAsks(uint256 root) public pure {
        root = bound(root, 2, 1000);
        assertEq(
            PriceMath.depositPerUnit(COST_WEIGHT_WEI, 1, root * root), ceilDiv(COST_WEIGHT_WEI * 3600, root)
        );
    }

    /// Cutting a batch in two, at whatever moment, is never cheaper than sending it at once, but for rounding.
    function testFuzz_SplittingABatchIsNeverCheaper(
        uint256 units,
        uint256 first,
        uint256 idleS,
        uint256 firstIdleS
    ) public pure {
        units = bound(units, 2, 20_000);
        first = bound(first, 1, units - 1);
        idleS = bound(idleS, 0, 100_000);
        firstIdleS = bound(firstIdleS, 0, idleS);
        uint256 whole = PriceMath.depositPerUnit(COST_WEIGHT_WEI, units, idleS) * units;
        uint256 split = PriceMath.depositPerUnit(COST_WEIGHT_WEI, first, firstIdleS) * first
            + PriceMath.depositPerUnit(COST_WEIGHT_WEI, units - first, idleS - firstIdleS) * (units - first);
        // Roots have nine decimals and every unit is rounded up.
        assertGe(split + split / 1e8 + units, whole);
    }

    /// More units never cost less, each or together, and waiting never costs more.
    function testFuzz_PriceRisesWithUnitsAndFallsWithIdleTime(uint256 units, uint256 idleS) public pure {
        units = bound(units, 1, 1e6);
        idleS = bound(idleS, 0, 1e6);
        uint256 price = PriceMath.depositPerUnit(COST_WEIGHT_WEI, units, idleS);
        uint256 tolerance = price / 1e8 + 1;
        assertGe(PriceMath.depositPerUnit(COST_WEIGHT_WEI, units + 1, idleS) + tolerance, price);
        assertLe(PriceMath.depositPerUnit(COST_WEIGHT_WEI, units, idleS + 1), price + tolerance);
    }

    function ceilDiv(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }
}
