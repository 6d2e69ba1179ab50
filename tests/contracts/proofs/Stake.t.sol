// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {StakeIncentive} from "../../../contracts/incentives/StakeIncentive.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {Terms} from "../../../contracts/interfaces/IIncentiveMechanism.sol";
import {SymTest} from "./SymTest.sol";

/// Proofs (halmos) about who is paid what of a deposit. The contract of proofs is the trainer: it calls as the trainer does,
/// with any verdicts of a model.
contract StakeProofs is SymTest {
    uint256 private constant ADDED_AT = 1_800_000_000;
    uint256 private constant UNITS_OF_SECOND = 3;

    StakeIncentive internal incentive = StakeIncentive(Clones.clone(address(new StakeIncentive())));
    address internal constant CONTRIBUTOR = address(0xc0);
    address internal constant REPORTER = address(0x4e);
    address internal constant ANOTHER = address(0xa4);
    uint256[2] internal paidWei;

    function setUp() public {
        vm.warp(ADDED_AT);
        incentive.initialize(
            address(this),
            Terms({
                refundWaitS: 1 days,
                reportWaitS: 2 days,
                ownerWaitS: 7 days,
                publicWaitS: 9 days,
                minGapS: 1 days,
                maxIdleS: 1 hours,
                costWeightWei: 1e11
            })
        );
        // Standing of 1, 5 and 2 wei, of other batches: shares of eighths are easy to reason about.
        _giveStanding(1, CONTRIBUTOR, 1);
        _giveStanding(2, REPORTER, 5);
        _giveStanding(3, ANOTHER, 2);
    }

    function _giveStanding(uint256 id, address contributor, uint256 amountWei) private {
        Batch memory batch = _batch(amountWei);
        (batch.id, batch.contributor, batch.informative, batch.count, batch.units) =
        (id, contributor, 1, 1, 1);
        incentive.settleRefund(batch, 1, hex"00000001");
    }

    /// Two samples, of one and of three units.
    function _batch(uint256 depositPerUnit) private pure returns (Batch memory batch) {
        batch.contributor = CONTRIBUTOR;
        batch.addedAt = uint64(ADDED_AT);
        batch.depositPerUnit = uint128(depositPerUnit);
        batch.count = 2;
        batch.units = uint32(1 + UNITS_OF_SECOND);
        batch.informative = 3;
    }

    /// One claim on one sample, or a sweep, whatever the model says.
    function _actOn(Batch memory batch, uint256 index) private {
        uint256 act = svm.createUint(2, "act");
        bool agrees = svm.createBool("agrees");
        if (act == 0) {
            uint256 open = incentive.authorizeRefund(batch, CONTRIBUTOR, 1 << index);
            if (open == 0 || !agrees) return;
            paidWei[index] += incentive.settleRefund(batch, open, hex"0000000100000003");
        } else if (act < 3) {
            address reporter = REPORTER;
            if (act == 2) reporter = ANOTHER;
            uint256[] memory indexes = new uint256[](1);
            indexes[0] = index;
            bytes memory units = index == 0 ? bytes(hex"00000001") : bytes(hex"00000003");
            (uint256 amountWei,) = incentive.settleReport(batch, reporter, indexes, agrees ? 1 : 0, units);
            paidWei[index] += amountWei;
        } else {
            // Of a sweep only the sum is known: all goes to the first sample's books.
            paidWei[0] += incentive.settleSweep(batch, REPORTER, REPORTER);
        }
    }

    /// After the last wait, two claims or sweeps of any kind, in any order, on the same sample.
    function check_NoSampleIsPaidTwice() public {
        _requireNoMoreThanTheDeposit(0, 0);
    }

    /// And on two samples of a batch.
    function check_NoSamplePaysForAnother() public {
        _requireNoMoreThanTheDeposit(0, 1);
    }

    /// Of a sample never more is paid than its deposit, of the batch never more than all, and what is booked is what was paid.
    function _requireNoMoreThanTheDeposit(uint256 first, uint256 second) private {
        vm.warp(ADDED_AT + 9 days);
        uint256 depositPerUnit = svm.createUint(16, "depositPerUnit");
        vm.assume(depositPerUnit > 0);
        Batch memory batch = _batch(depositPerUnit);
        _actOn(batch, first);
        _actOn(batch, second);
        (uint256 settled, uint256 bookedWei, bool swept) = incentive.stakeOf(batch.id);
        assert(paidWei[0] + paidWei[1] == bookedWei);
        assert(paidWei[1] <= depositPerUnit * UNITS_OF_SECOND);
        if (swept) {
            assert(settled == 3 && bookedWei == depositPerUnit * batch.units);
        } else {
            assert(paidWei[0] <= depositPerUnit);
            assert((settled & 1 == 1) == (paidWei[0] == depositPerUnit));
        }
    }

    /// Nobody but the contributor is refunded, and it not before the wait, whatever the batch and the mask.
    function check_OnlyTheContributorIsRefunded() public {
        Batch memory batch = _batch(svm.createUint(128, "depositPerUnit"));
        batch.id = svm.createUint(256, "id");
        batch.contributor = svm.createAddress("contributor");
        batch.addedAt = uint64(svm.createUint(40, "addedAt"));
        uint256 timestamp = svm.createUint(40, "timestamp");
        vm.warp(timestamp);
        address claimant = svm.createAddress("claimant");
        try incentive.authorizeRefund(batch, claimant, svm.createUint(256, "mask")) {
            assert(claimant == batch.contributor && timestamp >= batch.addedAt + 1 days);
        } catch {}
    }

    /// Nobody reports its own samples, without standing, or before the wait.
    function check_OnlyOthersWithStandingReport() public {
        Batch memory batch = _batch(1);
        batch.contributor = svm.createAddress("contributor");
        batch.addedAt = uint64(svm.createUint(40, "addedAt"));
        uint256 timestamp = svm.createUint(40, "timestamp");
        vm.warp(timestamp);
        address reporter = svm.createAddress("reporter");
        try incentive.settleReport(batch, reporter, new uint256[](1), 0, hex"00000001") {
            assert(reporter != batch.contributor && timestamp >= batch.addedAt + 2 days);
            assert(reporter == CONTRIBUTOR || reporter == REPORTER || reporter == ANOTHER);
        } catch {}
    }

    /// Nobody sweeps before the public wait, but the owner from its wait on.
    function check_SweepsWait() public {
        Batch memory batch = _batch(1);
        batch.addedAt = uint64(svm.createUint(40, "addedAt"));
        uint256 timestamp = svm.createUint(40, "timestamp");
        vm.warp(timestamp);
        address sweeper = svm.createAddress("sweeper");
        address owner = svm.createAddress("owner");
        try incentive.settleSweep(batch, sweeper, owner) {
            assert(timestamp >= batch.addedAt + (sweeper == owner ? 7 days : 9 days));
        } catch {}
    }

    /// Nobody but the trainer settles anything.
    function check_OnlyTheTrainerSettles() public {
        Batch memory batch = _batch(svm.createUint(128, "depositPerUnit"));
        address caller = svm.createAddress("caller");
        vm.assume(caller != address(this));
        uint256 act = svm.createUint(2, "act");
        bytes memory units = hex"0000000100000003";
        bytes memory data = act == 0
            ? abi.encodeCall(incentive.settleRefund, (batch, svm.createUint(2, "refunded"), units))
            : act == 1
                ? abi.encodeCall(incentive.settleReport, (batch, caller, new uint256[](1), 0, units))
                : abi.encodeCall(incentive.settleSweep, (batch, caller, caller));
        vm.prank(caller);
        (bool done,) = address(incentive).call(data);
        assert(!done);
    }
}
