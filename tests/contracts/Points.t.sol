// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer, RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IPoints} from "../../contracts/interfaces/IPoints.sol";
import {ITrainerPart} from "../../contracts/interfaces/ITrainerPart.sol";
import {PointsTest} from "./support/PointsTest.sol";
import {Samples} from "./support/Samples.sol";

/// Model points: what they cost, and how they are earned.
contract PointsEarningTest is PointsTest {
    /// Nothing is asked for a batch, and what was sent comes back.
    function test_ContributingCostsNothing() public {
        vm.deal(alice, 1 ether);
        assertEq(trainer.quote(1_000_000), 0);
        vm.prank(alice);
        trainer.contribute{value: 1 ether}(Samples.one(1, 1));
        assertEq(alice.balance, 1 ether);
        assertEq(address(trainer).balance, 0);
    }

    /// From the second of the wait on each informative sample that the model agrees with is a point; no wei is paid.
    function test_ARefundEarnsAPointForEachInformativeSample() public {
        bytes[] memory samples = lessons(0, 4);
        Batch memory batch = contribute(alice, samples);
        assertEq(batch.informative, 15);
        skip(REFUND_WAIT_S);
        vm.expectEmit(address(points));
        emit IPoints.PointsEarned(alice, 0, 4, 4);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Refunded(0, alice, 0, 15, 0);
        assertEq(refund(batch, samples, 15), 0);
        assertPoints(alice, 4, 0, 0);
        (uint256 settled, uint256 paidWei, bool swept) = incentive.stakeOf(0);
        assertEq(settled, 15);
        assertEq(paidWei, 0);
        assertFalse(swept);
    }

    /// Samples that the model predicted, within the margin or beyond it, are settled without a point, and make nobody a contributor.
    function test_UninformativeSamplesEarnNothing() public {
        bytes[] memory samples = list(Samples.run(1, 0, 10), Samples.run(1, 0, 10));
        contribute(bob, list(samples[0]));
        // The score is 11, the margin 20; the first one moves it to 22.
        Batch memory batch = contribute(alice, samples);
        assertEq(batch.informative, 0);
        skip(REFUND_WAIT_S);
        refund(batch, samples, 3);
        (uint256 settled,,) = incentive.stakeOf(batch.id);
        assertEq(settled, 3);
        assertPoints(alice, 0, 0, 0);
        assertEq(points.contributorCount(), 0);
    }

    /// A sample that the model disagrees with earns nothing until it agrees.
    function test_ADisagreedSampleEarnsItsPointLater() public {
        bytes[] memory samples = list(Samples.one(1, 1), Samples.one(0, 2));
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        teach(bob, 0, 1);
        refund(batch, samples, 3);
        assertPoints(alice, 1, 0, 0);
        teach(bob, 1, 1);
        refund(batch, samples, 3);
        assertPoints(alice, 2, 0, 0);
    }

    /// However often it is claimed, also in one transaction, a sample is one point.
    function test_ASampleEarnsOnce() public {
        bytes[] memory samples = lessons(0, 4);
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        refund(batch, samples, 2);
        RefundClaim[] memory claims = new RefundClaim[](2);
        claims[0] = refundOf(batch, samples, 7)[0];
        claims[1] = refundOf(batch, samples, 15)[0];
        vm.prank(alice);
        trainer.refund(claims);
        refund(batch, samples, 15);
        assertPoints(alice, 4, 0, 0);
    }

    /// A batch of 256 samples has room for 256 points.
    function test_AFullBatchEarnsAPointForEverySample() public {
        earn(alice, 0, 256);
        assertPoints(alice, 256, 0, 0);
    }

    /// Only the contributor claims, not before the wait, and only samples that there are.
    function test_ClaimsOutOfTurnAreRefused() public {
        bytes[] memory samples = lessons(0, 3);
        Batch memory batch = contribute(alice, samples);
        uint256 availableAt = block.timestamp + REFUND_WAIT_S;
        vm.warp(availableAt - 1);
        _expectRefusal(
            batch,
            samples,
            1,
            alice,
            abi.encodeWithSelector(IIncentiveMechanism.TooEarly.selector, 0, availableAt, availableAt - 1)
        );
        vm.warp(availableAt);
        _expectRefusal(
            batch,
            samples,
            1,
            bob,
            abi.encodeWithSelector(IIncentiveMechanism.NotContributor.selector, 0, bob, alice)
        );
        for (uint256 mask = 0; mask <= 8; mask += 8) {
            _expectRefusal(
                batch,
                samples,
                mask,
                alice,
                abi.encodeWithSelector(IIncentiveMechanism.InvalidMask.selector, 0, mask, 3)
            );
        }
    }

    /// Only the trainer credits points.
    function test_OnlyTheTrainerCredits() public {
        Batch memory batch;
        vm.expectRevert(abi.encodeWithSelector(ITrainerPart.NotTrainer.selector, alice, trainer));
        vm.prank(alice);
        incentive.settleRefund(batch, 1, "");
    }

    /// There is nothing to take: reports and sweeps are refused whenever they come, also by the mechanism itself.
    function test_NothingIsAtStake() public {
        bytes[] memory samples = lessons(0, 2);
        Batch memory batch = contribute(alice, samples);
        skip(10_000 days);
        bytes memory refusal = abi.encodeWithSelector(IPoints.NothingAtStake.selector, 0);
        vm.expectRevert(refusal);
        vm.prank(bob);
        trainer.report(batch, proofOf(samples, 0));
        vm.expectRevert(refusal);
        vm.prank(owner);
        trainer.sweep(batch);
        vm.startPrank(address(trainer));
        vm.expectRevert(refusal);
        incentive.settleReport(batch, bob, new uint256[](0), 0, "");
        vm.expectRevert(refusal);
        incentive.settleSweep(batch, bob, owner);
    }

    /// Whatever is asked about money is 0.
    function test_ThereIsNoMoneyInTheBooks() public {
        earn(alice, 0, 2);
        assertEq(incentive.validatedUnits(alice), 0);
        assertEq(incentive.totalValidatedUnits(), 0);
        assertEq(incentive.reportedWei(0, 0), 0);
        assertFalse(incentive.hasReported(0, 0, bob));
    }

    function _expectRefusal(
        Batch memory batch,
        bytes[] memory samples,
        uint256 mask,
        address claimant,
        bytes memory reason
    ) private {
        RefundClaim[] memory claims = refundOf(batch, samples, mask);
        vm.expectRevert(reason);
        vm.prank(claimant);
        trainer.refund(claims);
    }
}

/// Which terms there are without money.
contract PointsTermsTest is PointsTest {
    function setUp() public override {}

    /// A refund wait up to a century is taken and told again, with nothing beside it.
    function testFuzz_OnlyARefundWaitIsTaken(uint64 refundWaitS) public {
        Terms memory terms = pointsTerms(uint64(bound(refundWaitS, 1, 36_525 days)));
        IIncentiveMechanism mechanism = freshMechanism();
        mechanism.initialize(alice, terms);
        assertEq(abi.encode(mechanism.terms()), abi.encode(terms));
        assertEq(ITrainerPart(address(mechanism)).trainer(), alice);
    }

    /// No wait, one above a century, or anything in another field is refused.
    function testFuzz_OtherTermsAreRefused(uint256 field, uint64 value) public {
        value = uint64(bound(value, 1, type(uint64).max));
        Terms memory terms = pointsTerms(REFUND_WAIT_S);
        field = field % 8;
        if (field == 0) terms.refundWaitS = 0;
        if (field == 1) terms.refundWaitS = uint64(bound(value, 36_525 days + 1, type(uint64).max));
        if (field == 2) terms.reportWaitS = value;
        if (field == 3) terms.ownerWaitS = value;
        if (field == 4) terms.publicWaitS = value;
        if (field == 5) terms.minGapS = value;
        if (field == 6) terms.maxIdleS = value;
        if (field == 7) terms.costWeightWei = value;
        IIncentiveMechanism mechanism = freshMechanism();
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.InvalidTerms.selector, terms));
        mechanism.initialize(alice, terms);
    }

    /// A clone is initialised once, and the implementation never.
    function test_InitialisedOnce() public {
        address implementation = vm.deployCode("PointsIncentive.sol:PointsIncentive");
        vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
        IIncentiveMechanism(implementation).initialize(alice, pointsTerms(1));
        IIncentiveMechanism mechanism = freshMechanism();
        mechanism.initialize(alice, pointsTerms(1));
        vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
        mechanism.initialize(bob, pointsTerms(1));
    }
}
