// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarketReplay} from "../../contracts/interfaces/IMarketReplay.sol";
import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// Worked examples. Tests are (1, f0), (0, f1), (1, f2), (0, f3), and a model of zeros predicts 0: it gets two right.
/// A sample trains if y * score <= 0. A test sample more or less is worth 4 ether / 10 / 4 = 0.1 ether in each of 10 rounds.
///
/// Alice's sample is (1, f0 f2), Bob's (0, f1 f3), Carol's (0, f0 f2). One after the other they do this:
///
///     Alice  f0 +1, f2 +1, bias +1  scores  1+1, 0+1, 1+1, 0+1  classes 1 1 1 1  two right:  0
///     Bob    f1 -1, f3 -1, bias  0  scores  1, -1, 1, -1        classes 1 0 1 0  four right: +2
///     Carol  f0  0, f2  0, bias -1  scores -1, -2, -1, -2       classes 0 0 0 0  two right:  -2
///     Alice  f0 +1, f2 +1, bias  0  as after Bob                                 four right: +2
contract MarketRewardTest is MarketTest {
    uint256 private constant ROUND_WEI = 0.1 ether;
    bytes private _good = abi.encodePacked(uint8(1), uint16(2), uint16(0), uint16(2));
    bytes private _better = abi.encodePacked(uint8(0), uint16(2), uint16(1), uint16(3));
    bytes private _bad = abi.encodePacked(uint8(0), uint16(2), uint16(0), uint16(2));

    function setUp() public override {
        super.setUp();
        openMarket();
    }

    function _evaluate(uint256[] memory numbers, bytes memory correct, uint256 rounds, uint256 burnedWei)
        private
    {
        revealAll();
        revealTests();
        drawOrder(mixFor(numbers));
        vm.expectEmit(address(replay));
        emit IMarketReplay.Evaluated(0, 0, correct);
        vm.expectEmit(address(market));
        emit IPredictionMarket.Settled(2, rounds, burnedWei);
        assertEq(step(99), numbers.length);
        assertEq(replay.correctBefore(), 2);
        assertEq(BURN.balance, burnedWei);
        assertEq(market.leftFrom(), block.timestamp + COLLECT_S);
    }

    function _assertOutcome(address who, int256 score, bool removed, uint256 owedWei) private view {
        assertEq(participant(who).score, score, "score");
        assertEq(participant(who).removed, removed, "removed");
        assertEq(participant(who).owedWei, owedWei, "owed");
    }

    /// Bob gets 10 rounds of 2 test samples; Alice changed nothing, and has her stake again.
    function test_WhoHelpsIsPaidInEveryRound() public {
        commit(alice, _good);
        commit(bob, _better);
        uint256 leftWei = market.leftWei();
        _evaluate(numbers2(0, 1), hex"0204", 10, 0);
        assertPhase(Phase.Publishing);
        _assertOutcome(alice, 0, false, 1.025 ether);
        _assertOutcome(bob, 2, false, 1.075 ether + 10 * 2 * ROUND_WEI);
        assertEq(market.leftWei(), leftWei - 2 ether - 26 * STEP_FEE_WEI);
    }

    /// In another order the same two samples are worth something else: the first one gets what there is to get.
    function test_TheOrderDecidesWhoHelped() public {
        commit(alice, _good);
        commit(bob, _better);
        // Bob: f1 -1, f3 -1, bias -1: all 0, two right. Alice: score -1, trains; f0, f2 +1, bias 0: four right.
        _evaluate(numbers2(1, 0), hex"0204", 10, 0);
        _assertOutcome(alice, 2, false, 1.025 ether + 10 * 2 * ROUND_WEI);
        _assertOutcome(bob, 0, false, 1.075 ether);
    }

    /// In two orders the samples are scored in both: what each changed adds up, and counts half.
    function test_InTwoOrdersBothCount() public {
        MarketParams memory params = marketParams("orders");
        params.rules.orders = 2;
        openMarket(params);
        commit(alice, _good);
        commit(bob, _better);
        revealAll();
        revealTests();
        bytes32 mixHash = _mixForBoth();
        drawOrder(mixHash);
        uint256 leftWei = market.leftWei();
        vm.expectEmit(address(replay));
        emit IMarketReplay.Evaluated(0, 0, hex"0204");
        assertEq(step(99), 2);
        assertPhase(Phase.Resetting);
        assertEq(market.ordersTried(), 1);
        assertEq(market.leftFrom(), 0);
        assertEq(step(99), 1);
        assertPhase(Phase.Evaluating);
        assertEq(allWords(replay.working()), new uint256[](4));
        assertEq(replay.order(), 1);
        assertEq(replay.seed(), keccak256(abi.encode(drawnBy(mixHash))));
        vm.expectEmit(address(replay));
        emit IMarketReplay.Evaluated(1, 0, hex"0204");
        vm.expectEmit(address(market));
        emit IPredictionMarket.Settled(2, 10, 0);
        assertEq(step(99), 2);
        assertPhase(Phase.Publishing);
        _assertOutcome(alice, 2, false, 1.025 ether + 10 * ROUND_WEI);
        _assertOutcome(bob, 2, false, 1.075 ether + 10 * ROUND_WEI);
        assertEq(market.leftWei(), leftWei - 2 ether - 5 * STEP_FEE_WEI);
    }

    /// A `mixHash` that draws Alice's sample first at first, and last then.
    function _mixForBoth() private view returns (bytes32 mixHash) {
        for (uint256 i = 0; i < 1_000; i++) {
            mixHash = keccak256(abi.encode("both", i));
            (, uint256[] memory first) = orderOf(mixHash);
            (, uint256[] memory second) = orderOf(mixHash, 1);
            if (first[0] == 0 && second[0] == 1) return mixHash;
        }
        revert("no such order");
    }

    /// Carol's stake of 1.125 ether pays 5 rounds of 0.2 ether, which are burned; for the sixth it does not last.
    function test_WhoseStakeDoesNotLastPaysWhatItCan() public {
        commit(alice, _good);
        commit(bob, _better);
        commit(carol, _bad);
        uint256 leftWei = market.leftWei();
        _evaluate(numbers3(0, 1, 2), hex"020402", 10, 1 ether);
        assertPhase(Phase.Resetting);
        _assertOutcome(alice, 0, false, 1.025 ether);
        _assertOutcome(bob, 2, false, 1.075 ether + 2 ether);
        _assertOutcome(carol, -2, true, 0.125 ether);
        // What Carol lost goes to nobody.
        assertEq(market.leftWei(), leftWei - 2 ether - 27 * STEP_FEE_WEI);
        // 4 words of zeros, then two contributions.
        assertEq(step(9), 1);
        assertPhase(Phase.Replaying);
        assertEq(allWords(replay.working()), new uint256[](4));
        assertEq(step(1), 1);
        assertEq(step(9), 1);
        assertPhase(Phase.Publishing);
        assertEq(step(9), 1);
        uint256 weights = uint256(0x0001_ffff_0001_ffff) << 192;
        assertEq(model.weights(0, 1)[0], weights);
        assertEq(model.weights(3, 1)[0], 0);
    }

    /// Alice changes 4 test samples with 3, Bob 2 and Carol -4: gains of 6 a round, so 4 ether last for 6 rounds, and
    /// Carol's 2.5 ether for 6 rounds of 0.4 ether. She pays them all, and is removed all the same.
    function test_TheBountyEndsTheRounds() public {
        commit(alice, bytes.concat(_good, _good, _good));
        commit(bob, _better);
        commit(carol, bytes.concat(_bad, _bad));
        assertEq(participant(carol).stakeWei, 2.5 ether);
        uint256[] memory numbers = new uint256[](6);
        (numbers[1], numbers[2], numbers[4]) = (1, 2, 2);
        uint256 leftWei = market.leftWei();
        _evaluate(numbers, hex"020402040204", 6, 2.4 ether);
        assertPhase(Phase.Resetting);
        _assertOutcome(alice, 4, false, participant(alice).stakeWei + 6 * 4 * ROUND_WEI);
        _assertOutcome(bob, 2, false, participant(bob).stakeWei + 6 * 2 * ROUND_WEI);
        _assertOutcome(carol, -4, true, 0.1 ether);
        assertEq(market.leftWei(), leftWei - 3.6 ether - 30 * STEP_FEE_WEI);
    }

    /// Whose stake is exactly used up by all rounds is owed nothing.
    function test_AStakeThatJustLasts() public {
        MarketParams memory params = marketParams("exact");
        // The third unit costs 9/8 of this, rounded up: 2 ether, which are 10 rounds of 0.2.
        params.rules.stakeWei = 1_777_777_777_777_777_777;
        openMarket(params);
        commit(alice, _good);
        commit(bob, _better);
        commit(carol, _bad);
        assertEq(participant(carol).stakeWei, 2 ether);
        _evaluate(numbers3(0, 1, 2), hex"020402", 10, 2 ether);
        assertPhase(Phase.Resetting);
        _assertOutcome(carol, -2, true, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, carol));
        market.collect(carol);
    }

    /// A wei less, and the last round cannot be paid.
    function test_AWeiLessIsNot() public {
        MarketParams memory params = marketParams("wei");
        params.rules.stakeWei = 1_777_777_777_777_777_776;
        openMarket(params);
        commit(alice, _good);
        commit(bob, _better);
        commit(carol, _bad);
        assertLt(participant(carol).stakeWei, 2 ether);
        _evaluate(numbers3(0, 1, 2), hex"020402", 10, 1.8 ether);
        _assertOutcome(carol, -2, true, participant(carol).stakeWei - 1.8 ether);
    }

    /// Where a round costs more than a stake, who harms has not paid. That is what rounds are many for.
    function test_AStakeBelowOneRoundIsGivenBack() public {
        MarketParams memory params = marketParams("coarse");
        params.rules.rounds = 1;
        openMarket(params);
        commit(alice, _good);
        commit(bob, _better);
        commit(carol, _bad);
        _evaluate(numbers3(0, 1, 2), hex"020402", 1, 0);
        _assertOutcome(bob, 2, false, 1.075 ether + 2 ether);
        _assertOutcome(carol, -2, true, 1.125 ether);
    }

    /// Where the bounty does not last for one round, there is none: nobody is paid, nobody pays; but the harm is taken out.
    function test_ABountyBelowOneRoundIsLeft() public {
        MarketParams memory params = marketParams("coarse");
        params.rules.rounds = 1;
        openMarket(params);
        commit(alice, bytes.concat(_good, _good, _good));
        commit(bob, _better);
        commit(carol, bytes.concat(_bad, _bad));
        uint256[] memory numbers = new uint256[](6);
        (numbers[1], numbers[2], numbers[4]) = (1, 2, 2);
        _evaluate(numbers, hex"020402040204", 0, 0);
        _assertOutcome(alice, 4, false, participant(alice).stakeWei);
        _assertOutcome(carol, -4, true, participant(carol).stakeWei);
        assertPhase(Phase.Resetting);
    }

    /// What does not divide is left.
    function test_WhatDoesNotDivideIsLeft() public {
        MarketParams memory params = marketParams("odd");
        params.rules.bountyWei = 83;
        openMarket(params);
        commit(alice, _good);
        commit(bob, _better);
        uint256 leftWei = market.leftWei();
        // 83 / 10 / 4 = 2 wei for each test sample and round.
        _evaluate(numbers2(0, 1), hex"0204", 10, 0);
        _assertOutcome(bob, 2, false, 1.075 ether + 40);
        assertEq(market.leftWei(), leftWei - 40 - 26 * STEP_FEE_WEI);
    }

    /// Everybody who took part harmed: nothing is paid, rounds are all there are, and the model is published without any.
    function test_AllCanBeRemoved() public {
        uint256[] memory words = new uint256[](1);
        words[0] = uint256(0x0001_ffff_0001_ffff) << 192;
        createMarket(marketParams("all"));
        vm.prank(provider);
        market.writeInitialWeights(0, words);
        openCreated();
        commit(carol, _bad);
        revealAll();
        revealTests();
        drawOrder("mix");
        assertEq(replay.correctBefore(), 4);
        // Score 2, trains: f0, f2, bias: 0, 0, -1. All 0: two right. 1.025 ether is 5 rounds of 0.2.
        vm.expectEmit(address(market));
        emit IPredictionMarket.Settled(4, 10, 1 ether);
        step(1);
        _assertOutcome(carol, -2, true, 0.025 ether);
        stepThrough(Phase.Resetting, 1);
        assertEq(allWords(replay.working())[0], words[0]);
        assertEq(step(9), 1);
        assertPhase(Phase.Publishing);
        finish(1);
        assertEq(model.weights(0, 1), words);
    }

    /// A sample that the model knows already does not train it, and is worth nothing.
    function test_WhatTheModelKnowsScoresNothing() public {
        commit(alice, _good);
        commit(bob, bytes.concat(_better, _better));
        _evaluate(numbers3(0, 1, 1), hex"020404", 10, 0);
        _assertOutcome(bob, 2, false, participant(bob).stakeWei + 2 ether);
    }
}
