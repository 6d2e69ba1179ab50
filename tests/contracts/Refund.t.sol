// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer, RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract RefundTest is TrainerTest {
    function _three() private pure returns (bytes[] memory) {
        return list(Samples.run(1, 0, 100), Samples.one(1, 150), Samples.one(0, 200));
    }

    /// From the second of the refund wait on the whole deposit comes back, and the contributor gains standing.
    function test_TheDepositComesBackFromTheRefundWaitOn() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        uint256 depositWei = uint256(batch.depositPerUnit) * batch.units;
        skip(REFUND_WAIT_S);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Refunded(0, alice, depositWei, 7, 0);
        assertEq(refund(batch, samples, 7), depositWei);
        assertEq(alice.balance, 1000 ether);
        assertEq(address(trainer).balance, 0);
        (uint256 settled, uint256 paidWei, bool swept) = incentive.stakeOf(0);
        assertEq(settled, 7);
        assertEq(paidWei, depositWei);
        assertFalse(swept);
    }

    /// A second before the refund wait it does not.
    function test_AClaimASecondTooEarlyIsRefused() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        uint256 availableAt = block.timestamp + REFUND_WAIT_S;
        RefundClaim[] memory claims = refundOf(batch, samples, 7);
        vm.warp(availableAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IIncentiveMechanism.TooEarly.selector, 0, availableAt, availableAt - 1)
        );
        vm.prank(alice);
        trainer.refund(claims);
    }

    /// Nobody else gets a contributor's deposit back.
    function test_OnlyTheContributorIsRefunded() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = refundOf(batch, samples, 7);
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.NotContributor.selector, 0, bob, alice));
        vm.prank(bob);
        trainer.refund(claims);
    }

    /// A mask claims part of a batch; the rest stays open, and what is settled is skipped the next time.
    function test_AMaskClaimsPartOfABatch() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        assertEq(refund(batch, samples, 4), batch.depositPerUnit, "one unit");
        assertEq(refund(batch, samples, 5), 2 * uint256(batch.depositPerUnit), "100 features are two units");
        assertEq(refund(batch, samples, 5), 0, "both settled");
        assertEq(refund(batch, samples, 7), batch.depositPerUnit, "the last one");
    }

    /// The account of a large batch has two slots; a sample is paid once on either side of where they meet.
    function test_SamplesOfALargeBatchArePaidOnce() public {
        bytes[] memory samples = new bytes[](256);
        for (uint16 i = 0; i < 256; i++) {
            samples[i] = Samples.one(1, i);
        }
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        uint256 edge = (1 << 127) | (1 << 128) | (1 << 255);
        assertEq(refund(batch, samples, edge), 3 * uint256(batch.depositPerUnit));
        (uint256 settled, uint256 paidWei,) = incentive.stakeOf(batch.id);
        assertEq(settled, edge);
        assertEq(paidWei, 3 * uint256(batch.depositPerUnit));
        assertEq(refund(batch, samples, edge | 1), batch.depositPerUnit);
        assertEq(refund(batch, samples, ALL), 252 * uint256(batch.depositPerUnit));
        assertEq(refund(batch, samples, ALL), 0);
        (settled,,) = incentive.stakeOf(batch.id);
        assertEq(settled, ALL);
    }

    /// Samples that the model disagrees with stay open, and are paid once it agrees.
    function test_DisagreedSamplesStayOpenUntilTheModelAgrees() public {
        bytes[] memory samples = list(Samples.one(1, 1), Samples.one(1, 2));
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        teach(bob, 0, 2);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Refunded(0, alice, 0, 0, 2);
        assertEq(refund(batch, samples, 2), 0);
        teach(bob, 1, 2);
        assertEq(refund(batch, samples, 3), 2 * uint256(batch.depositPerUnit));
    }

    /// The deposit of a sample leaves once, however often it is claimed in one transaction.
    function test_ABatchClaimedTwiceInOneTransactionIsPaidOnce() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        contribute(bob, samples);
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = new RefundClaim[](2);
        claims[0] = refundOf(batch, samples, 7)[0];
        claims[1] = claims[0];
        vm.prank(alice);
        assertEq(trainer.refund(claims), uint256(batch.depositPerUnit) * 4);
    }

    /// Many batches are refunded by one transaction and one payment.
    function test_ManyBatchesAreRefundedAtOnce() public {
        RefundClaim[] memory claims = new RefundClaim[](5);
        for (uint16 i = 0; i < 5; i++) {
            bytes[] memory samples = list(Samples.one(1, i));
            claims[i] = refundOf(contribute(alice, samples), samples, 1)[0];
            skip(60);
        }
        skip(REFUND_WAIT_S);
        vm.prank(alice);
        trainer.refund(claims);
        assertEq(alice.balance, 1000 ether);
    }

    /// One bad claim undoes the others.
    function test_OneWrongClaimRevertsAll() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = new RefundClaim[](2);
        claims[0] = refundOf(batch, samples, 7)[0];
        batch.depositPerUnit++;
        claims[1] = refundOf(batch, samples, 7)[0];
        vm.expectRevert(abi.encodeWithSelector(ICollaborativeTrainer.UnknownBatch.selector, 0));
        vm.prank(alice);
        trainer.refund(claims);
        (uint256 settled,,) = incentive.stakeOf(0);
        assertEq(settled, 0);
    }

    /// The payload must be the committed one, to the byte, even if the verdict would be the same.
    function testFuzz_AnotherPayloadIsRefused(uint256 position, uint8 change) public {
        bytes[] memory samples = list(Samples.run(1, 0, 20), Samples.run(0, 100, 20));
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = refundOf(batch, samples, 3);
        bytes memory payload = claims[0].payload;
        position = bound(position, 0, payload.length - 1);
        payload[position] ^= bytes1(uint8(bound(change, 1, 255)));
        vm.expectRevert();
        vm.prank(alice);
        trainer.refund(claims);
        (uint256 settled,,) = incentive.stakeOf(0);
        assertEq(settled, 0);
    }

    /// A wrong payload is named with both roots.
    function test_AWrongPayloadIsNamedWithBothRoots() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        bytes[] memory others = list(Samples.one(1, 0), Samples.one(1, 150), Samples.one(0, 200));
        RefundClaim[] memory claims = refundOf(batch, others, 7);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICollaborativeTrainer.WrongPayload.selector, 0, batch.samplesRoot, Samples.root(others)
            )
        );
        vm.prank(alice);
        trainer.refund(claims);
    }

    /// A mask asks for at least one sample, and only for samples of the batch.
    function test_MasksBeyondTheBatchAreRefused() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        uint256[3] memory masks = [uint256(0), 8, ALL];
        for (uint256 i = 0; i < masks.length; i++) {
            RefundClaim[] memory claims = refundOf(batch, samples, masks[i]);
            vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.InvalidMask.selector, 0, masks[i], 3));
            vm.prank(alice);
            trainer.refund(claims);
        }
    }

    /// No claim in the second of a contribution, so a verdict cannot be bought and used at once.
    function test_NoRefundInTheSecondOfAContribution() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        contribute(alice, samples);
        RefundClaim[] memory claims = refundOf(batch, samples, 7);
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.ContributionThisSecond.selector, block.timestamp)
        );
        vm.prank(alice);
        trainer.refund(claims);
        skip(1);
        assertGt(refund(batch, samples, 7), 0);
    }

    /// Only refunds for samples of which the model predicted another label count as standing.
    function test_OnlyInformativeSamplesGiveStanding() public {
        bytes[] memory samples = list(Samples.one(1, 1), Samples.one(1, 1), Samples.one(1, 1));
        Batch memory batch = contribute(alice, samples);
        assertEq(batch.informative, 1, "the second is within the margin, the third beyond it");
        skip(REFUND_WAIT_S);
        assertEq(refund(batch, samples, 7), 3 * uint256(batch.depositPerUnit));
        assertEq(incentive.validatedUnits(alice), 1);
        assertEq(incentive.totalValidatedUnits(), 1);
    }

    /// A claim on a swept batch gets nothing, and does not stop the claims beside it.
    function test_ASweptBatchIsSkipped() public {
        bytes[] memory samples = _three();
        Batch memory batch = contribute(alice, samples);
        skip(PUBLIC_WAIT_S);
        vm.prank(bob);
        trainer.sweep(batch);
        assertEq(refund(batch, samples, 7), 0);
    }

    /// What could be contributed can be refunded: one sample at a time costs less gas than the contribution, even if
    /// the model has been moved so far that its weights are read the slow way.
    function test_APartOfABatchCostsLessThanItsContribution() public {
        bytes[] memory samples = new bytes[](40);
        for (uint16 i = 0; i < 40; i++) {
            samples[i] = Samples.run(uint8(i % 2), i, 200);
        }
        bytes memory payload = Samples.join(samples);
        vm.prank(bob);
        uint256 before = gasleft();
        trainer.contribute{value: 1 ether}(payload);
        uint256 contributionGas = before - gasleft();
        Batch memory batch = contribute(alice, samples);
        uint256[] memory extreme = new uint256[](1);
        extreme[0] = uint256(32_767) << 240;
        vm.prank(address(trainer));
        model.writeWeights(0, extreme);
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = refundOf(batch, samples, 1 << 39);
        vm.prank(alice);
        before = gasleft();
        trainer.refund(claims);
        assertLt(before - gasleft(), contributionGas);
    }

    /// No claims at all pay nothing.
    function test_NoClaimsPayNothing() public {
        skip(1);
        vm.prank(alice);
        assertEq(trainer.refund(new RefundClaim[](0)), 0);
    }
}
