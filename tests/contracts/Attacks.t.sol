// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer, RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// What the design bounds and what it cannot prevent, as docs/contracts.md has it.
contract AttacksTest is TrainerTest {
    uint256 private constant TRANSACTION_GAS = 16_777_216;

    /// A contributor that reports itself from other addresses wins back no more than their share of all standing, however many
    /// they are and however the standing is spread over them.
    function testFuzz_SecondAddressesWinBackTheirShareAtMost(uint256 addresses, uint256 honest) public {
        addresses = bound(addresses, 1, 4);
        honest = bound(honest, 1, 4);
        uint256 ownUnits;
        for (uint256 i = 0; i < addresses + honest; i++) {
            address someone = i < addresses ? _second(i) : _honest(i);
            vm.deal(someone, 1 ether);
            uint256 earnedUnits = earnStanding(someone, uint16(10 * i));
            if (i < addresses) ownUnits += earnedUnits;
        }
        teach(carol, 1, 200);
        bytes[] memory wrong = list(Samples.one(0, 200));
        Batch memory batch = contribute(alice, wrong);
        skip(1);
        teach(carol, 1, 200);
        vm.warp(batch.addedAt + REPORT_WAIT_S);
        uint256 allUnits = incentive.totalValidatedUnits();
        uint256 wonWei;
        for (uint256 i = 0; i < addresses; i++) {
            wonWei += report(_second(i), batch, wrong, 0);
        }
        assertGt(wonWei, 0);
        assertLe(wonWei * allUnits, uint256(batch.depositPerUnit) * ownUnits);
        // What it lost is there for the honest.
        assertGt(report(_honest(addresses), batch, wrong, 0), 0);
    }

    function _second(uint256 i) private returns (address) {
        return makeAddr(string.concat("second-", vm.toString(i)));
    }

    function _honest(uint256 i) private returns (address) {
        return makeAddr(string.concat("honest-", vm.toString(i)));
    }

    /// Whoever moves the model cannot use the verdict in the same second, neither to report nor to be refunded.
    function test_AVerdictBoughtInThisSecondIsNoUse() public {
        (Batch memory honest, bytes[] memory samples) = _honestBatch();
        _move(0);
        bytes memory refusal = abi.encodeWithSelector(
            ICollaborativeTrainer.ContributionThisSecond.selector, vm.getBlockTimestamp()
        );
        vm.expectRevert(refusal);
        this.reportAs(bob, honest, samples);
        vm.expectRevert(refusal);
        this.refundAs(honest, samples);
    }

    /// A second later it can, which docs/contracts.md says: what it paid for moving is at stake in turn.
    function test_AMovedModelJudgesFromTheNextSecondOn() public {
        (Batch memory honest, bytes[] memory samples) = _honestBatch();
        (Batch memory moving, bytes[] memory bad) = _move(0);
        skip(1);
        assertGt(report(bob, honest, samples, 0), 0);
        // Others move it back, and take the deposit of the move.
        skip(REPORT_WAIT_S);
        for (uint256 i = 0; i < 4; i++) {
            _move(1);
            skip(1 hours);
        }
        assertGt(report(carol, moving, bad, 0), 0);
    }

    function reportAs(address reporter, Batch memory batch, bytes[] memory samples) external {
        report(reporter, batch, samples, 0);
    }

    function refundAs(Batch memory batch, bytes[] memory samples) external {
        refund(batch, samples, 1);
    }

    /// Alice's sample, which the model agrees with, after the report wait; bob and carol have standing.
    function _honestBatch() private returns (Batch memory batch, bytes[] memory samples) {
        earnStanding(carol, 5);
        earnStanding(bob, 30);
        skip(1);
        samples = list(Samples.run(1, 100, 20));
        batch = contribute(alice, samples);
        skip(REPORT_WAIT_S);
        assertEq(uint8(trainer.predict(samples[0])[0]), 1);
    }

    /// Bob turns the model towards a label for these features.
    function _move(uint8 label) private returns (Batch memory batch, bytes[] memory samples) {
        samples = new bytes[](8);
        for (uint256 i = 0; i < 8; i++) {
            samples[i] = Samples.run(label, 100, 20);
        }
        batch = contribute(bob, samples);
    }

    /// A griefer fills a transaction with the dearest samples there are; all of them can be claimed, a part at a time, each
    /// within one transaction.
    function test_WhateverFitsAContributionFitsRefunds() public {
        ModelParams[3] memory shapes;
        for (uint256 i = 0; i < 3; i++) {
            shapes[i] = defaultShape();
        }
        // Hashed, cached; hashed, not cached; and small, where a batch is limited by its bytes.
        (shapes[0].nFeatures, shapes[0].maxFeatures) = (16_384, 500);
        (shapes[1].nFeatures, shapes[1].maxFeatures, shapes[1].valued) = (16_777_216, 400, true);
        (shapes[2].maxFeatures, shapes[2].weightBits) = (256, 8);
        for (uint256 i = 0; i < 3; i++) {
            useModel(string.concat("grief-", vm.toString(i)), shapes[i]);
            vm.prank(owner);
            trainer.seal();
            _fillAndClaim(shapes[i]);
        }
    }

    /// Contributes as many features, far apart, as fit, and claims them sample by sample.
    function _fillAndClaim(ModelParams memory shape) private {
        // Slots that are in use cost less than fresh ones, so that a batch can be larger.
        bytes[] memory samples = _dearest(shape, 4);
        for (uint256 i = 0; i < samples.length; i++) {
            contribute(alice, list(samples[i]));
        }
        skip(1 hours);
        uint256 count = 1;
        while (count < 64 && _contributionGas(_dearest(shape, 2 * count)) <= TRANSACTION_GAS) count *= 2;
        samples = _dearest(shape, count);
        assertLe(_contributionGas(samples), TRANSACTION_GAS, "a batch that fits");
        Batch memory batch = contribute(alice, samples);
        skip(REFUND_WAIT_S);
        for (uint256 i = 0; i < count; i += (count + 3) / 4) {
            RefundClaim[] memory claims = refundOf(batch, samples, 1 << i);
            assertLe(
                _gasOf(abi.encodeCall(trainer.refund, (claims)), 0), TRANSACTION_GAS, "a refund that fits"
            );
        }
    }

    /// What a transaction with this batch would use.
    function _contributionGas(bytes[] memory samples) private returns (uint256 used) {
        bytes memory payload = Samples.join(samples);
        if (payload.length > 126_976) return type(uint256).max;
        uint256 state = vm.snapshotState();
        used = _gasOf(abi.encodeCall(trainer.contribute, (payload)), 100 ether);
        vm.revertToState(state);
    }

    /// What a transaction of alice uses that calls the trainer: all calldata bytes at the dearer price.
    function _gasOf(bytes memory data, uint256 valueWei) private returns (uint256 used) {
        address[4] memory parts = [address(trainer), address(model), address(incentive), address(dataHandler)];
        for (uint256 i = 0; i < 4; i++) {
            vm.cool(parts[i]);
        }
        vm.prank(alice);
        uint256 before = gasleft();
        (bool done,) = parts[0].call{value: valueWei}(data);
        used = before - gasleft();
        assertTrue(done);
        uint256 floor = 21_000 + 40 * data.length;
        used += 21_000 + 16 * data.length;
        return used < floor ? floor : used;
    }

    /// Samples with as many features as the model takes, spread over all its words, of which no two start alike.
    function _dearest(ModelParams memory shape, uint256 count) private pure returns (bytes[] memory samples) {
        samples = new bytes[](count);
        uint256 gap = shape.nFeatures / shape.maxFeatures;
        for (uint256 i = 0; i < count; i++) {
            samples[i] = _spread(shape, uint8(i % 2), gap, (i * 7) % gap);
        }
    }

    /// One sample with every `gap`-th feature from `first` on, of the largest value.
    function _spread(ModelParams memory shape, uint8 label, uint256 gap, uint256 first)
        private
        pure
        returns (bytes memory sample)
    {
        uint256 size = (shape.nFeatures <= 65_536 ? 2 : 3) + (shape.valued ? 1 : 0);
        // Filled in place: joining piece by piece would leave all pieces in memory.
        sample = bytes.concat(bytes1(label), bytes2(shape.maxFeatures), new bytes(shape.maxFeatures * size));
        for (uint256 i = 0; i < shape.maxFeatures; i++) {
            uint256 feature = first + i * gap;
            if (shape.valued) feature = feature << 8 | 0x7f;
            for (uint256 at = 3 + (i + 1) * size; at > 3 + i * size; at--) {
                sample[at - 1] = bytes1(uint8(feature));
                feature >>= 8;
            }
        }
    }
}
