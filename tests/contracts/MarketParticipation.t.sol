// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel} from "../../contracts/interfaces/IModel.sol";
import {
    IPredictionMarket,
    MarketParams,
    Participant,
    Phase
} from "../../contracts/interfaces/IPredictionMarket.sol";
import {CodeStorage} from "../../contracts/libraries/CodeStorage.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// Committing, the price of it, and revealing.
contract MarketParticipationTest is MarketTest {
    function setUp() public override {
        super.setUp();
        openMarket();
    }

    function _samples(uint256 count) private pure returns (bytes memory payload) {
        for (uint256 i = 0; i < count; i++) {
            payload = bytes.concat(payload, Samples.one(uint8(i % 2), uint16(i % 40)));
        }
    }

    function _expectTooMany(uint256 units, uint256 limit) private {
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.TooManyUnits.selector, units, limit));
        vm.prank(alice);
        market.commit{value: 500 ether}(SALT, units);
    }

    function _expectWrongTime(uint256 from, uint256 until) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.WrongTime.selector, vm.getBlockTimestamp(), from, until)
        );
    }

    // Committing

    /// Stake, units and commitment are written down, and change comes back.
    function test_WhoCommitsTakesPart() public {
        uint256 stakeWei = market.quote(3);
        uint256 before = alice.balance;
        vm.expectEmit(address(market));
        emit IPredictionMarket.Committed(alice, 0, 3, stakeWei);
        vm.prank(alice);
        market.commit{value: stakeWei + 5}(SALT, 3);
        assertEq(before - alice.balance, stakeWei);
        Participant memory she = participant(alice);
        assertEq(she.commitment, SALT);
        assertEq(she.stakeWei, stakeWei);
        assertEq(she.units, 3);
        assertEq(she.samples, 0);
        assertEq(she.owedWei, 0);
        assertEq(market.unitsTaken(), 3);
        commit(bob, _samples(1));
        assertEq(market.participants().length, 2);
        assertEq(market.participants()[1], bob);
        assertEq(
            address(market).balance,
            market.leftWei() + participant(alice).stakeWei + participant(bob).stakeWei
        );
    }

    /// The first unit costs the stake and a 40th of it, the next a 20th more each, and the last twice the stake less a 40th.
    function test_ThePriceRisesWithTheQuota() public {
        assertEq(market.quote(0), 0);
        assertEq(market.quote(1), 1.025 ether);
        assertEq(market.quote(2), 1.025 ether + 1.075 ether);
        assertEq(market.quote(20), 20 * 1.5 ether);
        commit(alice, _samples(10));
        commit(bob, _samples(9));
        assertEq(market.quote(1), 1.975 ether);
    }

    /// However units are cut into participants, they cost the same, but for less than a wei each.
    function testFuzz_CuttingDoesNotChangeThePrice(uint256 draw, uint96 stakeWei) public {
        MarketParams memory params = marketParams("cut");
        params.rules.stakeWei = 1 + stakeWei % (2 ** 96 - 1);
        params.rules.maxUnits = uint16(1 + draw % 1024);
        params.rules.maxUnitsEach = params.rules.maxUnits;
        openMarket(params);
        uint256 units = 1 + (draw >> 16) % params.rules.maxUnits;
        uint256 wholeWei = market.quote(units);
        uint256 sumWei;
        uint256 count;
        for (uint256 taken = 0; taken < units && count < 64; count++) {
            draw = uint256(keccak256(abi.encode(draw)));
            uint256 part = count == 63 ? units - taken : 1 + draw % (units - taken);
            uint256 partWei = market.quote(part);
            sumWei += partWei;
            address who = address(uint160(0xabc000 + count));
            vm.deal(who, partWei);
            vm.prank(who);
            market.commit{value: partWei}(SALT, part);
            taken += part;
        }
        assertGe(sumWei, wholeWei);
        assertLe(sumWei - wholeWei, count);
        assertLe(wholeWei, 2 * uint256(params.rules.stakeWei) * units);
    }

    /// A wei less than the price is refused: it may have risen since it was asked for.
    function test_AStakeBelowThePriceIsRefused() public {
        uint256 quotedWei = market.quote(2);
        commit(bob, _samples(1));
        uint256 stakeWei = market.quote(2);
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.InsufficientPayment.selector, quotedWei, stakeWei)
        );
        vm.prank(alice);
        market.commit{value: quotedWei}(SALT, 2);
    }

    /// Nobody has more units than each may, and all have no more than there are.
    function test_UnitsAreLimited() public {
        _expectTooMany(0, 10);
        _expectTooMany(11, 10);
        _expectTooMany(type(uint256).max, 10);
        _expectTooMany(uint256(type(uint16).max) + 2, 10);
        commit(bob, _samples(10));
        commit(carol, _samples(7));
        _expectTooMany(4, 3);
        commit(alice, _samples(3));
        assertEq(market.unitsTaken(), 20);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.TooManyUnits.selector, 1, 0));
        vm.prank(anyone);
        market.commit{value: 10 ether}(SALT, 1);
    }

    /// Once each.
    function test_NobodyCommitsTwice() public {
        commit(alice, _samples(1));
        uint256 stakeWei = market.quote(1);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.AlreadyCommitted.selector, alice));
        vm.prank(alice);
        market.commit{value: stakeWei}(SALT, 1);
    }

    /// 64 take part, and no more.
    function test_ThereAreAtMost64Participants() public {
        MarketParams memory params = marketParams("many");
        params.rules.maxUnits = 1000;
        openMarket(params);
        for (uint256 i = 0; i < 64; i++) {
            address who = address(uint160(0xabc000 + i));
            vm.deal(who, 10 ether);
            commit(who, _samples(1));
        }
        uint256 stakeWei = market.quote(1);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.TooManyParticipants.selector, 64));
        vm.prank(alice);
        market.commit{value: stakeWei}(SALT, 1);
    }

    /// From the second of opening to the last of participation.
    function test_CommitmentsHaveTheirTime() public {
        (uint256 from, uint256 until) = (market.since(), market.since() + PARTICIPATE_S - 1);
        commit(alice, _samples(1));
        vm.warp(until);
        commit(bob, _samples(1));
        vm.warp(until + 1);
        uint256 stakeWei = market.quote(1);
        _expectWrongTime(from, until);
        vm.prank(carol);
        market.commit{value: stakeWei}(SALT, 1);
    }

    /// Nobody commits before the market is open, nor after the tests are known.
    function test_CommitmentsHaveTheirPhase() public {
        evaluateFrom("mix");
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Publishing));
        market.commit{value: 0}(SALT, 1);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Publishing));
        market.reveal(SALT, "");
        createMarket(marketParams("other"));
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Drawing));
        market.commit(SALT, 1);
    }

    /// A commitment is for one account, one number of units, one market and one chain.
    function test_ACommitmentIsItsAccountsOnly() public {
        bytes memory payload = _samples(2);
        bytes32 commitment = market.commitmentOf(alice, 2, SALT, payload);
        assertEq(commitment, commitmentOf(alice, 2, SALT, payload));
        assertTrue(market.commitmentOf(bob, 2, SALT, payload) != commitment);
        assertTrue(market.commitmentOf(alice, 3, SALT, payload) != commitment);
        // Bob copies what Alice sends, and cannot show it.
        uint256 stakeWei = market.quote(2);
        vm.prank(alice);
        market.commit{value: stakeWei}(commitment, 2);
        stakeWei = market.quote(2);
        vm.prank(bob);
        market.commit{value: stakeWei}(commitment, 2);
        payloadOf[alice] = payload;
        goToReveals();
        reveal(alice);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongReveal.selector, bob));
        vm.prank(bob);
        market.reveal(SALT, payload);
        vm.chainId(block.chainid + 1);
        assertTrue(market.commitmentOf(alice, 2, SALT, payload) != commitment);
    }

    // Revealing

    /// What was committed is shown once, and kept.
    function test_WhatWasCommittedIsRevealed() public {
        bytes memory payload = _samples(3);
        commit(bob, _samples(1));
        commit(alice, payload);
        goToReveals();
        vm.expectEmit(address(market));
        emit IPredictionMarket.Revealed(alice, 1, 3, payload);
        reveal(alice);
        assertEq(participant(alice).samples, 3);
        assertEq(participant(bob).samples, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongReveal.selector, alice));
        reveal(alice);
    }

    /// The public model does not change before all is known.
    function test_RevealsDoNotTrain() public {
        commit(alice, _samples(3));
        revealAll();
        assertEq(allWords(replay.working()), new uint256[](4));
        assertEq(allWords(model), new uint256[](4));
    }

    /// Another salt, another payload, and somebody who does not take part.
    function test_WhatWasNotCommittedIsRefused() public {
        bytes memory payload = _samples(2);
        commit(alice, payload);
        goToReveals();
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongReveal.selector, alice));
        market.reveal(keccak256("another"), payload);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongReveal.selector, alice));
        market.reveal(SALT, _samples(1));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongReveal.selector, carol));
        vm.prank(carol);
        market.reveal(SALT, payload);
    }

    /// Whoever paid for more or fewer units than it has to show shows nothing.
    function test_SamplesOfOtherUnitsAreRefused() public {
        bytes memory payload = _samples(2);
        commit(alice, payload, 3);
        commit(bob, payload, 1);
        goToReveals();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongSize.selector, 2, 3));
        reveal(alice);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongSize.selector, 2, 1));
        reveal(bob);
        assertEq(participant(alice).samples, 0);
    }

    /// From the first second after participation to the last of reveals.
    function test_RevealsHaveTheirTime() public {
        commit(alice, _samples(1));
        commit(bob, _samples(1));
        uint256 from = market.since() + PARTICIPATE_S;
        uint256 until = from + REVEAL_S - 1;
        vm.warp(from - 1);
        _expectWrongTime(from, until);
        reveal(alice);
        vm.warp(from);
        reveal(alice);
        vm.warp(until + 1);
        _expectWrongTime(from, until);
        reveal(bob);
        vm.warp(until);
        reveal(bob);
    }

    /// What no model takes, in each way.
    function test_SamplesThatTheModelRefusesAreRefused() public {
        bytes memory good = Samples.one(1, 0);
        bytes[6] memory payloads = [
            bytes(""),
            bytes.concat(good, hex"0100"),
            bytes.concat(good, Samples.one(2, 0)),
            bytes.concat(good, hex"010000"),
            bytes.concat(good, Samples.one(1, 40)),
            bytes.concat(good, hex"01000200070007")
        ];
        bytes[6] memory expected = [
            abi.encodeWithSelector(IModel.EmptyPayload.selector),
            abi.encodeWithSelector(IModel.TruncatedSample.selector, 1, 3, 2),
            abi.encodeWithSelector(IModel.InvalidLabel.selector, 1, 2, 2),
            abi.encodeWithSelector(IModel.InvalidFeatureCount.selector, 1, 0, 40),
            abi.encodeWithSelector(IModel.FeatureOutOfRange.selector, 1, 40, 40),
            abi.encodeWithSelector(IModel.FeaturesNotIncreasing.selector, 1, 7, 7)
        ];
        for (uint256 i = 0; i < 6; i++) {
            commit(address(uint160(0xabc000 + i)), payloads[i], 2);
        }
        goToReveals();
        for (uint256 i = 0; i < 6; i++) {
            vm.expectRevert(expected[i]);
            reveal(address(uint160(0xabc000 + i)));
        }
    }

    function commit(address who, bytes memory payload, uint256 units) internal override {
        if (who.balance == 0) vm.deal(who, 100 ether);
        super.commit(who, payload, units);
    }

    /// More samples than fit into a bitmap, and more bytes than fit into a contract: who commits to them loses its stake.
    function test_PayloadsThatCannotBeKeptAreRefused() public {
        MarketParams memory params = marketParams("large");
        (params.model.nFeatures, params.model.maxFeatures) = (4096, 4096);
        (params.rules.maxUnits, params.rules.maxUnitsEach) = (1024, 1024);
        openMarket(params);
        bytes memory many = _samples(257);
        bytes memory long = Samples.run(1, 0, 4095);
        long = bytes.concat(long, long, long);
        commit(alice, many, 257);
        commit(bob, long);
        commit(carol, _samples(256));
        goToReveals();
        vm.expectRevert(abi.encodeWithSelector(IModel.TooManySamples.selector, 256));
        reveal(alice);
        assertEq(long.length, 24_579);
        vm.expectRevert(abi.encodeWithSelector(CodeStorage.InvalidSize.selector, 24_579, 24_575));
        reveal(bob);
        reveal(carol);
        uint256 lostWei = uint256(participant(alice).stakeWei) + participant(bob).stakeWei;
        revealTests();
        assertEq(BURN.balance, lostWei);
    }

    /// When the tests are out, stakes of those who did not reveal are burned, once.
    function test_UnrevealedStakesAreBurned() public {
        commit(alice, _samples(2));
        commit(bob, _samples(1));
        goToReveals();
        reveal(alice);
        uint256 lostWei = participant(bob).stakeWei;
        revealTests();
        assertEq(BURN.balance, lostWei);
        drawOrder("mix");
        finish(100);
        assertEq(participant(bob).owedWei, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, bob));
        market.collect(bob);
    }
}
