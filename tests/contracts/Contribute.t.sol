// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {ITrainerPart} from "../../contracts/interfaces/ITrainerPart.sol";
import {RefusingReceiver} from "../../contracts/mocks/Receivers.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract ContributeTest is TrainerTest {
    /// A batch trains the model, is committed field by field, and its event tells everything needed to claim it.
    function test_ABatchTrainsIsCommittedAndTold() public {
        bytes[] memory samples = list(Samples.run(1, 10, 70), Samples.one(0, 200));
        uint256 depositWei = trainer.quote(3);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Contributed(
            0, alice, block.timestamp, depositWei / 3, 3, Samples.join(samples)
        );
        Batch memory batch = contribute(alice, samples);
        assertEq(batch.units, 3, "70 features are two units, one is one");
        assertTrue(dataHandler.verify(batch));
        assertEq(address(trainer).balance, depositWei);
        assertEq(trainer.lastContributedAt(), block.timestamp);
        assertEq(trainer.predict(bytes.concat(Samples.one(0, 10), Samples.one(1, 200))), hex"0100");
    }

    /// Batches are numbered from 0 in the order of arrival.
    function test_BatchIdsAreSequential() public {
        assertEq(contribute(alice, list(Samples.one(1, 1))).id, 0);
        assertEq(contribute(bob, list(Samples.one(1, 1))).id, 1);
        assertEq(trainer.batchCount(), 2);
    }

    /// What was sent beyond the price comes back.
    function test_ExcessIsReturned() public {
        uint256 depositWei = trainer.quote(1);
        vm.prank(alice);
        trainer.contribute{value: depositWei + 5 ether}(Samples.one(1, 1));
        assertEq(alice.balance, 1000 ether - depositWei);
        assertEq(address(trainer).balance, depositWei);
    }

    /// A contributor that cannot take its change back contributes nothing.
    function test_RefusedChangeUndoesEverything() public {
        RefusingReceiver receiver = new RefusingReceiver();
        uint256 offeredWei = trainer.quote(1) + 7;
        bytes memory call = abi.encodeCall(trainer.contribute, (Samples.one(1, 1)));
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.PaymentFailed.selector, address(receiver), 7)
        );
        receiver.execute{value: offeredWei}(address(trainer), call);
        assertEq(trainer.batchCount(), 0);
    }

    /// A wei less than the price is refused, and the price is told.
    function test_LessThanThePriceIsRefused() public {
        uint256 depositWei = trainer.quote(1);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICollaborativeTrainer.InsufficientDeposit.selector, depositWei - 1, depositWei
            )
        );
        vm.prank(alice);
        trainer.contribute{value: depositWei - 1}(Samples.one(1, 1));
    }

    /// The price is checked before the features are looked at: this payload's are out of order.
    function test_ThePriceIsCheckedBeforeDecoding() public {
        vm.expectPartialRevert(ICollaborativeTrainer.InsufficientDeposit.selector);
        trainer.contribute(abi.encodePacked(uint8(1), uint16(2), uint16(9), uint16(3)));
    }

    /// The second batch of a second costs the full price; the price falls with idle time until `maxIdle`.
    function test_IdleTimeCountsFromTheLastContributionUpToTheLimit() public {
        assertEq(trainer.quote(1), COST_WEIGHT_WEI * 3600, "sealed in this second");
        skip(1 hours);
        assertEq(trainer.quote(1), COST_WEIGHT_WEI * 60);
        skip(100 days);
        assertEq(trainer.quote(1), COST_WEIGHT_WEI * 60);
        contribute(alice, list(Samples.one(1, 1)));
        assertEq(trainer.quote(1), COST_WEIGHT_WEI * 3600);
        skip(100);
        assertEq(trainer.quote(1), COST_WEIGHT_WEI * 360);
    }

    /// A quote is for 1 unit or more, and no more than a payload can have.
    function test_QuotesForImpossibleUnitsAreRefused() public {
        uint256 limit = type(uint32).max;
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.InvalidUnits.selector, 0, limit));
        trainer.quote(0);
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.InvalidUnits.selector, limit + 1, limit));
        trainer.quote(limit + 1);
        assertGt(trainer.quote(limit), 0);
    }

    /// Nobody, the owner included, contributes or asks for prices before sealing.
    function test_NothingIsContributedBeforeSealing() public {
        useModel("open", defaultShape());
        vm.expectRevert(ICollaborativeTrainer.NotSealed.selector);
        trainer.quote(1);
        vm.expectRevert(ICollaborativeTrainer.NotSealed.selector);
        vm.prank(owner);
        trainer.contribute{value: 1 ether}(Samples.one(1, 1));
    }

    /// A payload that would not fit into a refund's 128 KiB is refused at once.
    function test_APayloadTooLargeToBeRefundedIsRefused() public {
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.PayloadTooLarge.selector, 126_977, 126_976)
        );
        trainer.contribute(new bytes(126_977));
    }

    /// A sample that the model agrees with is paid for, but is not informative; beyond the margin it changes nothing, either.
    function test_ASampleBeyondTheMarginChangesNothing() public {
        bytes32 weights = keccak256(abi.encode(model.weights(0, model.totalWords())));
        for (uint256 rounds = 0; rounds < 4; rounds++) {
            Batch memory batch = contribute(alice, list(Samples.one(1, 1)));
            assertGt(batch.depositPerUnit, 0);
            // The score after k rounds is 2 k (the weight and the bias); the margin is 2.
            assertEq(batch.informative, rounds == 0 ? 1 : 0);
            bytes32 moved = keccak256(abi.encode(model.weights(0, model.totalWords())));
            assertEq(moved != weights, rounds < 2);
            weights = moved;
        }
    }

    /// Only the trainer reaches what its parts change.
    function test_PartsObeyTheirTrainerOnly() public {
        Batch memory batch;
        bytes memory refusal =
            abi.encodeWithSelector(ITrainerPart.NotTrainer.selector, address(this), address(trainer));
        vm.expectRevert(refusal);
        model.train(Samples.one(1, 1));
        vm.expectRevert(refusal);
        model.writeWeights(0, new uint256[](1));
        vm.expectRevert(refusal);
        dataHandler.commit(batch);
        vm.expectRevert(refusal);
        incentive.settleRefund(batch, 1, hex"00000001");
        vm.expectRevert(refusal);
        incentive.settleReport(batch, alice, new uint256[](0), 0, "");
        vm.expectRevert(refusal);
        incentive.settleSweep(batch, alice, owner);
    }

    /// A batch with any field changed, or never contributed, is no batch.
    function testFuzz_OnlyTheCommittedMetaDataIsVerified(Batch memory other) public {
        Batch memory batch = contribute(alice, list(Samples.one(1, 1)));
        assertFalse(dataHandler.verify(other));
        other.id = 0;
        assertFalse(dataHandler.verify(other));
        bytes32 committed = dataHandler.batchHash(0);
        assertEq(
            committed,
            keccak256(
                abi.encode(
                    alice, batch.addedAt, batch.depositPerUnit, 1, 1, batch.informative, batch.samplesRoot
                )
            )
        );
    }

    /// The same payload in the same second is two batches, each of its own.
    function test_RepeatedPayloadsAreBatchesOfTheirOwn() public {
        bytes[] memory samples = list(Samples.one(1, 1));
        contribute(alice, samples);
        Batch memory first = contribute(alice, samples);
        Batch memory second = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        assertEq(refund(first, samples, 1), first.depositPerUnit);
        assertEq(refund(second, samples, 1), second.depositPerUnit);
    }

    /// 256 samples fit into a batch.
    function test_ABatchHasUpTo256Samples() public {
        bytes[] memory samples = new bytes[](256);
        for (uint16 i = 0; i < 256; i++) {
            samples[i] = Samples.one(uint8(i % 2), i);
        }
        Batch memory batch = contribute(alice, samples);
        assertEq(batch.units, 256);
        assertTrue(dataHandler.verify(batch));
        skip(REFUND_WAIT_S);
        uint256 before = alice.balance;
        assertEq(refund(batch, samples, ALL), alice.balance - before);
    }

    /// Too many samples are refused by their number.
    function test_257SamplesAreRefused() public {
        bytes memory payload = Samples.one(1, 1);
        for (uint256 i = 0; i < 8; i++) {
            payload = bytes.concat(payload, payload);
        }
        payload = bytes.concat(payload, Samples.one(1, 1));
        vm.expectRevert(abi.encodeWithSelector(IModel.TooManySamples.selector, 256));
        trainer.contribute(payload);
    }
}
