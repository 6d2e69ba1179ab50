// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    ICollaborativeTrainer,
    RefundClaim,
    SampleProof
} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../../contracts/interfaces/IIncentiveMechanism.sol";
import {Books} from "./Books.sol";

/// Contributors, reporters, sweepers and time, at random. Whoever is not entitled tries, too, and must be refused by the
/// error for it; whoever is must be paid to the wei.
abstract contract Crowd is Books {
    function give(uint256 who, uint256 draw) external {
        bytes[] memory samples = new bytes[](1 + draw % 3);
        for (uint256 i = 0; i < samples.length; i++) {
            draw = uint256(keccak256(abi.encode(draw)));
            // Few features and long samples, so that the model changes its mind about old samples.
            samples[i] = _sample(draw % 256, (draw >> 8) % 6, 1 + (draw >> 16) % 80);
        }
        _give(_person(who), samples);
    }

    function passTime(uint256 seconds_) external {
        skip(_bound(seconds_, 6 hours, 1 days));
    }

    /// Claims some samples of a batch: mostly its contributor, sometimes a stranger.
    function claim(uint256 which, uint256 mask, uint256 who) external {
        if (_batches.length == 0) return;
        skip(which % 2);
        Batch memory batch = _batches[which % _batches.length];
        _claim(batch, mask % everySample(batch) + 1, who % 4 == 0 ? _person(who / 4) : batch.contributor);
    }

    function _claim(Batch memory batch, uint256 mask, address claimant) internal {
        RefundClaim[] memory claims = refundOf(batch, _samples[batch.id], mask);
        _reenterer.arm(address(trainer), abi.encodeCall(trainer.refund, (claims)));
        bytes4 expected = _refusalOfClaim(batch, claimant);
        vm.recordLogs();
        vm.prank(claimant);
        try trainer.refund(claims) returns (uint256 amountWei) {
            require(expected == 0, "a claim out of turn");
            require(claimant != address(_refuser) || amountWei == 0, "a refused payment");
            _bookRefund(batch, _refundedIn(vm.getRecordedLogs()) & mask, amountWei);
            times[amountWei > 0 ? "refunded" : "disagreed"]++;
        } catch (bytes memory reason) {
            if (claimant == address(_refuser) && expected == 0) {
                expected = ICollaborativeTrainer.PaymentFailed.selector;
            }
            _requireRefusal(reason, expected, "claim refused");
        }
    }

    function _refusalOfClaim(Batch memory batch, address claimant) private view returns (bytes4) {
        if (vm.getBlockTimestamp() == trainer.lastContributedAt()) {
            return ICollaborativeTrainer.ContributionThisSecond.selector;
        }
        if (claimant != batch.contributor) return IIncentiveMechanism.NotContributor.selector;
        if (vm.getBlockTimestamp() < batch.addedAt + REFUND_WAIT_S) {
            return IIncentiveMechanism.TooEarly.selector;
        }
        return 0;
    }

    function _bookRefund(Batch memory batch, uint256 refunded, uint256 amountWei) private {
        for (uint256 i = 0; i < batch.count; i++) {
            if ((refunded >> i) & 1 == 0) continue;
            uint256 leftWei = _leftWei(batch.id, i);
            require(leftWei > 0, "a settled sample");
            _book(batch.id, i, leftWei);
            if ((batch.informative >> i) & 1 == 1) {
                _earnedUnits[batch.contributor] += _depositWei[batch.id][i] / batch.depositPerUnit;
            }
            amountWei -= leftWei;
        }
        require(amountWei == 0, "more than was left");
    }

    /// Reports one sample.
    function accuse(uint256 which, uint256 index, uint256 who) external {
        if (_batches.length == 0) return;
        skip(which % 2);
        Batch memory batch = _batches[which % _batches.length];
        _accuse(batch, index % batch.count, _person(who));
    }

    /// Reports one sample by everybody, one after the other.
    function accuseTogether(uint256 which, uint256 index) external {
        if (_batches.length == 0) return;
        skip(1);
        Batch memory batch = _batches[which % _batches.length];
        for (uint256 who = 0; who < _people.length; who++) {
            _accuse(batch, index % batch.count, _people[who]);
        }
    }

    function _accuse(Batch memory batch, uint256 index, address reporter) internal {
        SampleProof[] memory proofs = proofOf(_samples[batch.id], index);
        _reenterer.arm(address(trainer), abi.encodeCall(trainer.report, (batch, proofs)));
        bytes4 expected = _refusalOfReport(batch, index, reporter);
        uint256 standing = incentive.validatedUnits(reporter);
        uint256 allStanding = incentive.totalValidatedUnits();
        vm.prank(reporter);
        try trainer.report(batch, proofs) returns (uint256 amountWei) {
            require(expected == 0, "a report out of turn");
            times[amountWei > 0 ? "reported" : "nothing to report"]++;
            if (amountWei == 0) return;
            require(reporter != address(_refuser), "a refused payment");
            // Whoever reports its own sample from a second address gets no more than its share of all standing, either.
            uint256 shareWei = _depositWei[batch.id][index] * standing / allStanding;
            uint256 leftWei = _leftWei(batch.id, index);
            require(amountWei == (shareWei < leftWei ? shareWei : leftWei), "another share");
            _book(batch.id, index, amountWei);
            _reportedWei[batch.id][index] += amountWei;
        } catch (bytes memory reason) {
            if (reporter == address(_refuser) && expected == 0) {
                expected = ICollaborativeTrainer.PaymentFailed.selector;
            }
            _requireRefusal(reason, expected, "report refused");
        }
    }

    function _refusalOfReport(Batch memory batch, uint256 index, address reporter)
        private
        view
        returns (bytes4)
    {
        if (vm.getBlockTimestamp() == trainer.lastContributedAt()) {
            return ICollaborativeTrainer.ContributionThisSecond.selector;
        }
        if (reporter == batch.contributor) return IIncentiveMechanism.ReporterIsContributor.selector;
        if (vm.getBlockTimestamp() < batch.addedAt + REPORT_WAIT_S) {
            return IIncentiveMechanism.TooEarly.selector;
        }
        if (incentive.validatedUnits(reporter) == 0) {
            return IIncentiveMechanism.ReporterNotValidated.selector;
        }
        if (incentive.hasReported(batch.id, index, reporter)) {
            return IIncentiveMechanism.AlreadyReported.selector;
        }
        return 0;
    }

    /// Sweeps a batch, at times after a long wait.
    function clean(uint256 which, uint256 who, bool late) external {
        if (_batches.length == 0) return;
        if (late && which % 8 == 0) skip(OWNER_WAIT_S);
        _clean(_batches[which % _batches.length], who % 2 == 0 ? owner : _person(who / 2));
    }

    function _clean(Batch memory batch, address sweeper) internal {
        uint256 waitS = sweeper == owner ? OWNER_WAIT_S : PUBLIC_WAIT_S;
        bool early = vm.getBlockTimestamp() < batch.addedAt + waitS;
        _reenterer.arm(address(trainer), abi.encodeCall(trainer.sweep, (batch)));
        uint256 leftWei;
        for (uint256 i = 0; i < batch.count; i++) {
            leftWei += _leftWei(batch.id, i);
        }
        vm.prank(sweeper);
        try trainer.sweep(batch) returns (uint256 amountWei) {
            require(!early && sweeper != address(_refuser), "a sweep out of turn");
            require(amountWei == leftWei, "another amount than was left");
            for (uint256 i = 0; i < batch.count; i++) {
                _book(batch.id, i, _leftWei(batch.id, i));
            }
            times[sweeper == owner ? "swept by owner" : "swept by anyone"]++;
        } catch (bytes memory reason) {
            bytes4 expected = early
                ? IIncentiveMechanism.TooEarly.selector
                : leftWei == 0
                    ? IIncentiveMechanism.NothingLeft.selector
                    : ICollaborativeTrainer.PaymentFailed.selector;
            require(early || leftWei == 0 || sweeper == address(_refuser), "a sweep in turn was refused");
            _requireRefusal(reason, expected, "sweep refused");
        }
    }

    /// Invariant 7 and the end of all money: whoever contributed can ask for its samples one by one, and after the last wait
    /// nothing stays but what was forced in.
    function settleEverything() external {
        skip(REFUND_WAIT_S);
        for (uint256 id = 0; id < _batches.length; id++) {
            for (uint256 i = 0; i < _batches[id].count; i++) {
                _claim(_batches[id], 1 << i, _batches[id].contributor);
            }
        }
        skip(PUBLIC_WAIT_S);
        for (uint256 id = 0; id < _batches.length; id++) {
            _clean(_batches[id], bob);
        }
        require(address(trainer).balance == forcedWei, "money is stuck");
    }
}
