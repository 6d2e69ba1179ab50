// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    ICollaborativeTrainer,
    RefundClaim,
    SampleProof
} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// Contributors, reporters and sweepers who act at random, and the books that an outsider would keep of them.
contract Crowd is TrainerTest {
    Batch[] private _batches;
    mapping(uint256 batchId => bytes[]) private _samples;
    mapping(uint256 batchId => mapping(uint256 index => uint256)) public reportedWei;
    uint256 public depositedWei;
    uint256 public paidWei;

    constructor(ICollaborativeTrainer trainer_) {
        useTrainer(address(trainer_));
    }

    function setUp() public override {}

    function give(uint256 who, uint256 draw) external {
        bytes[] memory samples = new bytes[](1 + draw % 3);
        for (uint256 i = 0; i < samples.length; i++) {
            draw = uint256(keccak256(abi.encode(draw)));
            // Few features and long samples, so that the model changes its mind about old samples.
            samples[i] = Samples.run(uint8(draw % 2), uint16((draw >> 8) % 6), uint16(1 + (draw >> 16) % 80));
        }
        Batch memory batch = contribute(_person(who), samples);
        _batches.push(batch);
        _samples[batch.id] = samples;
        depositedWei += uint256(batch.depositPerUnit) * batch.units;
    }

    function passTime(uint256 seconds_) external {
        skip(bound(seconds_, 6 hours, 1 days));
    }

    function claim(uint256 which, uint256 mask) external {
        if (_batches.length == 0) return;
        skip(which % 2);
        Batch memory batch = _batches[which % _batches.length];
        mask = mask % (everySample(batch)) + 1;
        RefundClaim[] memory claims = refundOf(batch, _samples[batch.id], mask);
        vm.prank(batch.contributor);
        try trainer.refund(claims) returns (uint256 amountWei) {
            paidWei += amountWei;
        } catch (bytes memory reason) {
            _expectOneOf(
                reason,
                IIncentiveMechanism.TooEarly.selector,
                ICollaborativeTrainer.ContributionThisSecond.selector,
                0
            );
        }
    }

    /// Reports all samples of a batch that the reporter has not yet reported.
    function accuse(uint256 which, uint256 who) external {
        if (_batches.length == 0) return;
        Batch memory batch = _batches[which % _batches.length];
        address reporter = _person(who);
        skip(1);
        for (uint256 index = 0; index < batch.count; index++) {
            if (!incentive.hasReported(batch.id, index, reporter)) _accuse(batch, index, reporter);
        }
    }

    function _accuse(Batch memory batch, uint256 index, address reporter) private {
        SampleProof[] memory proofs = proofOf(_samples[batch.id], index);
        vm.prank(reporter);
        try trainer.report(batch, proofs) returns (uint256 amountWei) {
            paidWei += amountWei;
            reportedWei[batch.id][index] += amountWei;
        } catch (bytes memory reason) {
            if (bytes4(reason) == IIncentiveMechanism.ReporterIsContributor.selector) return;
            _expectOneOf(
                reason,
                IIncentiveMechanism.TooEarly.selector,
                ICollaborativeTrainer.ContributionThisSecond.selector,
                IIncentiveMechanism.ReporterNotValidated.selector
            );
        }
    }

    function clean(uint256 which, uint256 who) external {
        if (_batches.length == 0) return;
        Batch memory batch = _batches[which % _batches.length];
        vm.prank(_person(who));
        try trainer.sweep(batch) returns (uint256 amountWei) {
            paidWei += amountWei;
        } catch (bytes memory reason) {
            _expectOneOf(
                reason, IIncentiveMechanism.TooEarly.selector, IIncentiveMechanism.NothingLeft.selector, 0
            );
        }
    }

    /// The deposits of all batches less what their accounts say was paid.
    function openWei() external view returns (uint256 total) {
        for (uint256 i = 0; i < _batches.length; i++) {
            (, uint256 paid,) = incentive.stakeOf(i);
            total += uint256(_batches[i].depositPerUnit) * _batches[i].units - paid;
        }
    }

    /// Whether what reports took is what the account of each sample says.
    function reportsAreBooked() external view returns (bool) {
        for (uint256 i = 0; i < _batches.length; i++) {
            for (uint256 index = 0; index < _batches[i].count; index++) {
                if (incentive.reportedWei(i, index) != reportedWei[i][index]) return false;
            }
        }
        return true;
    }

    function totalStandingWei() external view returns (uint256 total) {
        for (uint256 who = 0; who < 4; who++) {
            total += incentive.validatedWei(_person(who));
        }
    }

    function _person(uint256 who) private view returns (address) {
        return [owner, alice, bob, carol][who % 4];
    }

    /// Fails unless the reason is one of these errors.
    function _expectOneOf(bytes memory reason, bytes4 a, bytes4 b, bytes4 c) private pure {
        bytes4 selector = bytes4(reason);
        require(selector == a || selector == b || selector == c, string(reason));
    }
}

contract MoneyTest is TrainerTest {
    Crowd internal crowd;

    function setUp() public override {
        super.setUp();
        crowd = new Crowd(trainer);
        targetContract(address(crowd));
        bytes4[] memory acts = new bytes4[](10);
        acts[0] = acts[1] = acts[2] = crowd.give.selector;
        acts[3] = acts[4] = acts[5] = crowd.passTime.selector;
        acts[6] = acts[7] = crowd.claim.selector;
        acts[8] = crowd.accuse.selector;
        acts[9] = crowd.clean.selector;
        targetSelector(FuzzSelector({addr: address(crowd), selectors: acts}));
    }

    /// The trainer holds exactly the open deposits, whatever the crowd does.
    function invariant_TheBalanceIsTheOpenDeposits() public view {
        assertEq(address(trainer).balance, crowd.openWei());
        assertEq(address(trainer).balance, crowd.depositedWei() - crowd.paidWei());
    }

    /// What reports took is booked to the sample, and all standing is somebody's.
    function invariant_AccountsAddUp() public view {
        assertTrue(crowd.reportsAreBooked());
        assertEq(crowd.totalStandingWei(), incentive.totalValidatedWei());
    }

    /// Ether that somebody forced in is nobody's deposit, and changes nothing.
    function test_ForcedEtherStays() public {
        bytes[] memory samples = list(Samples.one(1, 1));
        Batch memory batch = contribute(alice, samples);
        vm.deal(address(trainer), address(trainer).balance + 5 ether);
        skip(PUBLIC_WAIT_S);
        vm.prank(bob);
        assertEq(trainer.sweep(batch), batch.depositPerUnit);
        assertEq(address(trainer).balance, 5 ether);
    }
}
