// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICollaborativeTrainer, RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {ReenteringReceiver, RefusingReceiver} from "../../contracts/mocks/Receivers.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract ReentrancyTest is TrainerTest {
    ReenteringReceiver internal attacker;
    bytes[] internal samples;

    function setUp() public override {
        super.setUp();
        attacker = new ReenteringReceiver();
        samples.push(Samples.one(1, 1));
        // Others' money, which an attacker could be after.
        contribute(bob, samples);
    }

    /// The attacker's batch, contributed for the exact price, so that no change wakes the attacker.
    function _contributeAsAttacker(address who) private returns (Batch memory batch) {
        uint256 depositWei = trainer.quote(1);
        vm.recordLogs();
        RefusingReceiver(payable(who)).execute{value: depositWei}(
            address(trainer), abi.encodeCall(trainer.contribute, (samples[0]))
        );
        uint256 informative = informativeOf(vm.getRecordedLogs());
        batch = Batch({
            id: 1,
            contributor: who,
            addedAt: uint64(block.timestamp),
            depositPerUnit: uint128(depositWei),
            count: 1,
            units: 1,
            informative: informative,
            samplesRoot: keccak256(samples[0])
        });
        assertTrue(dataHandler.verify(batch));
    }

    function _refundCall(Batch memory batch) private view returns (bytes memory) {
        return abi.encodeCall(trainer.refund, (refundOf(batch, samples, 1)));
    }

    /// A contributor that is paid cannot claim, sweep or contribute again while it is.
    function test_NothingIsEnteredWhileARefundIsPaid() public {
        Batch memory batch = _contributeAsAttacker(address(attacker));
        vm.warp(block.timestamp + PUBLIC_WAIT_S);
        bytes[3] memory calls = [
            _refundCall(batch),
            abi.encodeCall(trainer.sweep, (batch)),
            abi.encodeCall(trainer.contribute, (samples[0]))
        ];
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < calls.length; i++) {
            attacker.arm(address(trainer), calls[i]);
            uint256 before = address(attacker).balance;
            attacker.execute(address(trainer), _refundCall(batch));
            assertEq(address(attacker).balance - before, batch.depositPerUnit, "paid once");
            assertFalse(attacker.reentered());
            assertEq(
                bytes4(attacker.answers(0)), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
            );
            vm.revertToState(snapshot);
        }
    }

    /// Nor can a sweeper, nor a contributor that is paid its change.
    function test_NothingIsEnteredWhileASweepOrChangeIsPaid() public {
        Batch memory batch = _contributeAsAttacker(address(attacker));
        vm.warp(block.timestamp + PUBLIC_WAIT_S);
        attacker.arm(address(trainer), _refundCall(batch));
        attacker.execute(address(trainer), abi.encodeCall(trainer.sweep, (batch)));
        assertFalse(attacker.reentered());
        attacker.execute{value: 1 ether}(address(trainer), abi.encodeCall(trainer.contribute, (samples[0])));
        assertFalse(attacker.reentered());
        assertEq(bytes4(attacker.answers(1)), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    /// What is read while money moves is the state after the payment was booked.
    function test_AccountsAreBookedBeforeMoneyMoves() public {
        Batch memory batch = _contributeAsAttacker(address(attacker));
        vm.warp(block.timestamp + REFUND_WAIT_S);
        attacker.arm(address(incentive), abi.encodeCall(incentive.stakeOf, (1)));
        attacker.execute(address(trainer), _refundCall(batch));
        (uint256 settled, uint256 paidWei,) = abi.decode(attacker.answers(0), (uint256, uint256, bool));
        assertEq(settled, 1);
        assertEq(paidWei, batch.depositPerUnit);
    }

    /// A receiver that refuses its refund keeps its claim, and can be swept like everyone.
    function test_ARefusedPaymentChangesNothing() public {
        RefusingReceiver receiver = new RefusingReceiver();
        Batch memory batch = _contributeAsAttacker(address(receiver));
        vm.warp(block.timestamp + PUBLIC_WAIT_S);
        bytes memory call = _refundCall(batch);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICollaborativeTrainer.PaymentFailed.selector, address(receiver), batch.depositPerUnit
            )
        );
        receiver.execute(address(trainer), call);
        vm.prank(bob);
        assertEq(trainer.sweep(batch), batch.depositPerUnit);
    }
}
