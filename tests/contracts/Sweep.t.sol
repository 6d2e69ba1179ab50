// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract SweepTest is TrainerTest {
    Batch internal batch;
    bytes[] internal samples;
    uint256 internal depositWei;

    function setUp() public override {
        super.setUp();
        samples.push(Samples.run(1, 30, 70));
        samples.push(Samples.one(0, 200));
        batch = contribute(alice, samples);
        depositWei = uint256(batch.depositPerUnit) * batch.units;
    }

    function _expectTooEarly(address sweeper, uint256 waitS) private {
        uint256 availableAt = batch.addedAt + waitS;
        vm.warp(availableAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IIncentiveMechanism.TooEarly.selector, batch.id, availableAt, availableAt - 1
            )
        );
        vm.prank(sweeper);
        trainer.sweep(batch);
        vm.warp(availableAt);
    }

    /// The owner takes what is left from the second of the owner wait on, not before.
    function test_TheOwnerSweepsFromTheOwnerWaitOn() public {
        _expectTooEarly(owner, OWNER_WAIT_S);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Swept(batch.id, owner, depositWei);
        vm.prank(owner);
        assertEq(trainer.sweep(batch), depositWei);
        assertEq(owner.balance, 1000 ether + depositWei);
    }

    /// Anyone takes it from the second of the public wait on, not before.
    function test_AnyoneSweepsFromThePublicWaitOn() public {
        _expectTooEarly(bob, PUBLIC_WAIT_S);
        vm.prank(bob);
        assertEq(trainer.sweep(batch), depositWei);
        (uint256 settled, uint256 paidWei, bool swept) = incentive.stakeOf(batch.id);
        assertEq(settled, 3);
        assertEq(paidWei, depositWei);
        assertTrue(swept);
    }

    /// A sweep takes what refunds have left.
    function test_ASweepTakesOnlyWhatIsLeft() public {
        skip(REFUND_WAIT_S);
        uint256 refundedWei = refund(batch, samples, 1);
        skip(PUBLIC_WAIT_S);
        vm.prank(bob);
        assertEq(trainer.sweep(batch), depositWei - refundedWei);
        assertEq(address(trainer).balance, 0);
    }

    /// Nothing is swept twice, nor after everything was refunded.
    function test_NothingLeftIsRefused() public {
        skip(PUBLIC_WAIT_S);
        refund(batch, samples, 3);
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.NothingLeft.selector, batch.id));
        vm.prank(owner);
        trainer.sweep(batch);
    }

    /// The contributor may sweep like anyone, so that a disagreed deposit is not lost to it for good.
    function test_TheContributorIsAnyone() public {
        skip(PUBLIC_WAIT_S);
        vm.prank(alice);
        trainer.sweep(batch);
        assertEq(alice.balance, 1000 ether);
    }

    /// A batch with a changed field is unknown to a sweep.
    function test_SweepsNeedTheCommittedMetaData() public {
        skip(PUBLIC_WAIT_S);
        batch.addedAt--;
        vm.expectRevert(abi.encodeWithSelector(ICollaborativeTrainer.UnknownBatch.selector, batch.id));
        vm.prank(owner);
        trainer.sweep(batch);
    }

    /// Ether that somebody forced in is nobody's deposit, and changes nothing.
    function test_ForcedEtherStays() public {
        useModel("forced", defaultShape());
        vm.prank(owner);
        trainer.seal();
        Batch memory forced = contribute(alice, list(Samples.one(1, 1)));
        vm.deal(address(trainer), address(trainer).balance + 5 ether);
        skip(PUBLIC_WAIT_S);
        vm.prank(bob);
        assertEq(trainer.sweep(forced), forced.depositPerUnit);
        assertEq(address(trainer).balance, 5 ether);
    }
}
