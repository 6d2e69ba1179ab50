// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer, SampleProof} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// Bob has three quarters of all standing and Carol one quarter. Alice's batch has three samples; the model comes to disagree
/// with the second one, and the clock stands at the report wait.
contract ReportTest is TrainerTest {
    Batch internal batch;
    bytes[] internal samples;
    uint256 internal depositWei;

    function setUp() public override {
        super.setUp();
        // One unit each, all in one second after an idle one: all deposits are equal.
        bytes[] memory bobs = list(Samples.one(0, 10), Samples.one(0, 11), Samples.one(0, 12));
        bytes[] memory carols = list(Samples.one(0, 13));
        // The first two samples let the model predict the other label for each of them.
        contribute(bob, list(Samples.run(1, 10, 4), Samples.run(1, 10, 4)));
        Batch memory bobsBatch = contribute(bob, bobs);
        Batch memory carolsBatch = contribute(carol, carols);
        skip(REFUND_WAIT_S);
        assertEq(bobsBatch.informative, 7);
        assertEq(carolsBatch.informative, 1);
        refund(bobsBatch, bobs, 7);
        refund(carolsBatch, carols, 1);
        assertEq(incentive.validatedUnits(bob), 3 * incentive.validatedUnits(carol));

        samples.push(Samples.run(1, 30, 70));
        samples.push(Samples.one(1, 150));
        samples.push(Samples.one(0, 200));
        batch = contribute(alice, samples);
        depositWei = batch.depositPerUnit;
        teach(makeAddr("teacher"), 0, 150);
        vm.warp(batch.addedAt + REPORT_WAIT_S);
    }

    /// A reporter takes the part of the deposit that it has in all standing, from the second of the report wait on.
    function test_AReporterTakesItsShare() public {
        uint256 shareWei = depositWei * incentive.validatedUnits(bob) / incentive.totalValidatedUnits();
        uint256 before = bob.balance;
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Reported(batch.id, bob, shareWei, 2);
        assertEq(report(bob, batch, samples, 1), shareWei);
        assertEq(bob.balance, before + shareWei);
        assertEq(incentive.reportedWei(batch.id, 1), shareWei);
        assertTrue(incentive.hasReported(batch.id, 1, bob));
        assertFalse(incentive.hasReported(batch.id, 0, bob));
        (uint256 settled, uint256 paidWei,) = incentive.stakeOf(batch.id);
        assertEq(settled, 0, "Carol's share is left");
        assertEq(paidWei, shareWei);
    }

    /// Several reporters share a deposit; the contributor gets what they left, once the model agrees again.
    function test_TheContributorGetsWhatReportersLeft() public {
        uint256 bobsWei = report(bob, batch, samples, 1);
        teach(makeAddr("teacher"), 1, 150);
        assertEq(refund(batch, samples, 2), depositWei - bobsWei);
        (uint256 settled,,) = incentive.stakeOf(batch.id);
        assertEq(settled, 2);
        assertEq(incentive.validatedUnits(alice), 1, "standing counts units, not wei");
    }

    /// A reporter whose share is more than what is left takes that, and the sample is settled.
    function test_TheLastReporterTakesWhatIsLeft() public {
        uint256 bobsWei = report(bob, batch, samples, 1);
        // Carol's share becomes nearly all, while a quarter is left: by a sample that has most features of the first one, and so is
        // predicted otherwise.
        bytes[] memory more = list(Samples.run(0, 0, 200));
        vm.warp(block.timestamp + 30 days);
        Batch memory large = contribute(carol, more);
        skip(REFUND_WAIT_S);
        refund(large, more, 1);
        teach(makeAddr("teacher"), 0, 150);
        assertEq(report(carol, batch, samples, 1), depositWei - bobsWei);
        (uint256 settled,,) = incentive.stakeOf(batch.id);
        assertEq(settled, 2);
        assertEq(refund(batch, samples, 2), 0);
    }

    /// A share of exactly what is left settles the sample.
    function test_AShareOfAllThatIsLeftSettlesTheSample() public {
        vm.store(address(incentive), bytes32(validatedSlot() + 1), bytes32(incentive.validatedUnits(bob)));
        assertEq(report(bob, batch, samples, 1), depositWei, "Bob has all standing");
        (uint256 settled,,) = incentive.stakeOf(batch.id);
        assertEq(settled, 2);
    }

    /// A second before the report wait nobody reports.
    function test_AReportASecondTooEarlyIsRefused() public {
        uint256 availableAt = batch.addedAt + REPORT_WAIT_S;
        vm.warp(availableAt - 1);
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IIncentiveMechanism.TooEarly.selector, batch.id, availableAt, availableAt - 1
            )
        );
        vm.prank(bob);
        trainer.report(batch, proofs);
    }

    /// Contributors do not report themselves.
    function test_ContributorsCannotReportThemselves() public {
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IIncentiveMechanism.ReporterIsContributor.selector, batch.id, alice)
        );
        vm.prank(alice);
        trainer.report(batch, proofs);
    }

    /// Without a refunded informative sample there is no standing, and without standing no report.
    function test_ReportersNeedStanding() public {
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.ReporterNotValidated.selector, owner));
        vm.prank(owner);
        trainer.report(batch, proofs);
    }

    /// A reporter takes its share of a sample once, in one transaction or in two.
    function test_AReporterTakesItsShareOnce() public {
        SampleProof[] memory twice = new SampleProof[](2);
        twice[0] = twice[1] = proofOf(samples, 1)[0];
        bytes memory refusal =
            abi.encodeWithSelector(IIncentiveMechanism.AlreadyReported.selector, batch.id, 1, bob);
        vm.expectRevert(refusal);
        vm.prank(bob);
        trainer.report(batch, twice);
        report(bob, batch, samples, 1);
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(refusal);
        vm.prank(bob);
        trainer.report(batch, proofs);
    }

    /// Samples that the model agrees with are safe, beside others that are not.
    function test_AgreedSamplesAreSafe() public {
        SampleProof[] memory proofs = new SampleProof[](3);
        // In an order of the reporter's own: what is agreed belongs to the list, not to the batch.
        proofs[0] = proofOf(samples, 1)[0];
        proofs[1] = proofOf(samples, 2)[0];
        proofs[2] = proofOf(samples, 0)[0];
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Reported(batch.id, bob, depositWei * 3 / 4, 2);
        vm.prank(bob);
        assertEq(trainer.report(batch, proofs), depositWei * 3 / 4);
        assertFalse(incentive.hasReported(batch.id, 0, bob));
    }

    /// Settled samples are passed over.
    function test_SettledSamplesAreSkipped() public {
        refund(batch, samples, 1);
        teach(makeAddr("teacher"), 0, 30);
        vm.warp(batch.addedAt + PUBLIC_WAIT_S);
        vm.prank(carol);
        trainer.sweep(batch);
        assertEq(report(bob, batch, samples, 1), 0);
        assertFalse(incentive.hasReported(batch.id, 1, bob));
    }

    /// A share that rounds to nothing takes nothing and does not count as a report.
    function test_AShareThatRoundsToNothingIsNoReport() public {
        // All standing but a unit is somebody else's: set as no history of reasonable length would.
        bytes32 slot = keccak256(abi.encode(bob, uint256(validatedSlot())));
        assertEq(uint256(vm.load(address(incentive), slot)), incentive.validatedUnits(bob));
        vm.store(address(incentive), slot, bytes32(uint256(1)));
        vm.store(address(incentive), bytes32(validatedSlot() + 1), bytes32(depositWei + 1));
        assertEq(incentive.validatedUnits(bob), 1);
        assertEq(incentive.totalValidatedUnits(), depositWei + 1);
        assertEq(report(bob, batch, samples, 1), 0);
        assertFalse(incentive.hasReported(batch.id, 1, bob));
    }

    /// The place of the standings in storage: the slot before the total.
    function validatedSlot() private view returns (uint256 slot) {
        while (uint256(vm.load(address(incentive), bytes32(slot + 1))) != incentive.totalValidatedUnits()) {
            slot++;
        }
    }

    /// No report in the second of a contribution, so a verdict cannot be bought and used at once.
    function test_NoReportInTheSecondOfAContribution() public {
        contribute(bob, list(Samples.one(0, 150)));
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.ContributionThisSecond.selector, block.timestamp)
        );
        vm.prank(bob);
        trainer.report(batch, proofs);
    }

    /// A sample with another number, other bytes, or a proof of another length is not the batch's.
    function test_AWrongSampleIsRefused() public {
        SampleProof[] memory proofs = proofOf(samples, 1);
        proofs[0].index = 0;
        _expectWrongSample(proofs);
        proofs[0].index = 5;
        _expectWrongSample(proofs);
        proofs = proofOf(samples, 1);
        proofs[0].sample = Samples.one(1, 151);
        _expectWrongSample(proofs);
        proofs = proofOf(samples, 1);
        proofs[0].proof = new bytes32[](1);
        proofs[0].proof[0] = Samples.proof(samples, 1)[0];
        _expectWrongSample(proofs);
    }

    /// The padding beside the last sample is no sample.
    function test_PaddingIsNoSample() public {
        SampleProof[] memory proofs = proofOf(samples, 2);
        (proofs[0].index, proofs[0].sample) = (3, "");
        proofs[0].proof[0] = keccak256(samples[2]);
        _expectWrongSample(proofs);
    }

    /// A batch with a changed field is unknown to a report.
    function test_ReportsNeedTheCommittedMetaData() public {
        Batch memory other = batch;
        other.units++;
        SampleProof[] memory proofs = proofOf(samples, 1);
        vm.expectRevert(abi.encodeWithSelector(ICollaborativeTrainer.UnknownBatch.selector, batch.id));
        vm.prank(bob);
        trainer.report(other, proofs);
    }

    /// A report without samples is refused.
    function test_AReportHasAtLeastOneSample() public {
        vm.expectRevert(IModel.EmptyPayload.selector);
        vm.prank(bob);
        trainer.report(batch, new SampleProof[](0));
    }

    /// Whatever reporters and the contributor do in whatever order, a deposit leaves once.
    function testFuzz_ADepositLeavesOnce(uint256 seed) public {
        uint256 paidWei;
        address teacher = makeAddr("teacher");
        for (uint256 step = 0; step < 6; step++) {
            uint256 choice = uint256(keccak256(abi.encode(seed, step))) % 4;
            if (choice == 0) teach(teacher, uint8(step % 2), 150);
            else if (choice == 1) paidWei += refund(batch, samples, 2);
            else paidWei += _tryReport(choice == 2 ? bob : carol);
        }
        assertLe(paidWei, depositWei);
        (, uint256 recordedWei,) = incentive.stakeOf(batch.id);
        assertEq(recordedWei, paidWei);
    }

    function _tryReport(address reporter) private returns (uint256) {
        return incentive.hasReported(batch.id, 1, reporter) ? 0 : report(reporter, batch, samples, 1);
    }

    function _expectWrongSample(SampleProof[] memory proofs) private {
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.WrongSample.selector, batch.id, proofs[0].index)
        );
        vm.prank(bob);
        trainer.report(batch, proofs);
    }
}

/// The same where a sample costs more than 2^64 wei: what is above that is kept, too.
contract DearReportTest is ReportTest {
    function wealthWei() internal pure override returns (uint256) {
        return 1e9 ether;
    }

    function defaultTerms() internal view override returns (Terms memory terms) {
        terms = super.defaultTerms();
        terms.costWeightWei = 1e21;
    }

    /// Two reports of a sample add up beyond 2^64, and the contributor gets the rest.
    function test_ReportsAddUpBeyond64Bits() public {
        uint256 bobsWei = report(bob, batch, samples, 1);
        uint256 carolsWei = report(carol, batch, samples, 1);
        assertGt(bobsWei, type(uint64).max);
        assertEq(incentive.reportedWei(batch.id, 1), bobsWei + carolsWei);
        teach(makeAddr("teacher"), 1, 150);
        assertEq(refund(batch, samples, 2), depositWei - bobsWei - carolsWei);
    }
}
