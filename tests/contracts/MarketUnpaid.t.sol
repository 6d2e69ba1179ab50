// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// Each step that a market needs pays something: one that does not, nobody takes who is here for the fees.
contract MarketUnpaidTest is MarketTest {
    /// 8 words.
    function marketShape() internal pure override returns (ModelParams memory shape) {
        shape = defaultShape();
        (shape.nFeatures, shape.maxFeatures, shape.margin) = (112, 112, 0);
    }

    /// A market in which the provider wrote its words in two parts, up to its first reset, which is that before the second order.
    function _toReset(uint256 firstPart, uint256 secondPart) private {
        MarketParams memory params = marketParams("unpaid");
        params.rules.orders = 2;
        createMarket(params);
        vm.startPrank(provider);
        market.writeInitialWeights(0, new uint256[](firstPart));
        market.writeInitialWeights(firstPart, new uint256[](secondPart));
        vm.stopPrank();
        openCreated();
        commit(alice, Samples.one(1, 0));
        evaluateFrom(keccak256("unpaid"));
        step(1);
        assertPhase(Phase.Resetting);
    }

    /// However a reset is cut, each of its steps pays, and all together pay the same.
    function test_EachStepOfAResetPays() public {
        for (uint256 firstPart = 1; firstPart < 8; firstPart++) {
            for (uint256 secondPart = 1; secondPart <= 8 - firstPart; secondPart++) {
                uint256 snapshot = vm.snapshotState();
                _toReset(firstPart, secondPart);
                uint256 cut = vm.snapshotState();
                for (uint256 limit = 1; limit < 6; limit++) {
                    uint256 paid;
                    while (market.phase() == Phase.Resetting) {
                        uint256 done = step(limit);
                        assertGt(done, 0, "a step of a reset that pays nothing");
                        paid += done;
                    }
                    assertEq(paid, (8 + firstPart + secondPart + 3) / 4);
                    vm.revertToState(cut);
                }
                vm.revertToState(snapshot);
            }
        }
    }

    /// Where everybody harmed, nothing is left to train with; the step that finds that out pays, too, and the reserve is enough.
    function test_AReplayOfNothingPays() public {
        // Three of label 0, which are right at first; Alice makes all predictions 1.
        pieces[0] = bytes.concat(Samples.one(0, 0), Samples.one(0, 1));
        MarketParams memory params = marketParams("unpaid");
        // The step that is paid for nothing is one of those that were not.
        (params.rules.maxUnits, params.rules.maxUnitsEach) = (1, 1);
        openMarket(params);
        commit(alice, Samples.one(1, 1));
        evaluateFrom(keccak256("unpaid"));
        step(1);
        assertTrue(participant(alice).removed, "removed");
        stepThrough(Phase.Resetting, 1);
        assertPhase(Phase.Replaying);
        uint256 leftWei = market.leftWei();
        assertEq(step(1), 1, "a step of a replay that pays nothing");
        assertEq(market.leftWei(), leftWei - STEP_FEE_WEI);
        stepThrough(Phase.Publishing, 1);
        assertPhase(Phase.Published);
        assertGe(market.leftWei(), BOUNTY_WEI);
    }
}
