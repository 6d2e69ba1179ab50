// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    ICollaborativeTrainer,
    RefundClaim,
    SampleProof
} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {IModel, ModelParams} from "../../../contracts/interfaces/IModel.sol";
import {ITrainerPart} from "../../../contracts/interfaces/ITrainerPart.sol";
import {Books} from "./Books.sol";
import {Crowd} from "./Crowd.sol";

/// The crowd, and those among it who try what must not work.
contract Mob is Crowd {
    constructor(ICollaborativeTrainer trainer_) Books(trainer_) {}

    /// Forces ether on the trainer, as any contract that ends can.
    function force(uint256 amountWei) external {
        amountWei = _bound(amountWei, 1, 1 ether);
        vm.deal(address(trainer), address(trainer).balance + amountWei);
        forcedWei += amountWei;
        times["forced"]++;
    }

    /// Fills a batch with the dearest samples that the model takes.
    function grieve(uint256 who, uint256 draw) external {
        bytes[] memory samples = new bytes[](1 + draw % 6);
        for (uint256 i = 0; i < samples.length; i++) {
            samples[i] = _sample((draw >> i) % 256, 0, type(uint16).max);
        }
        _give(_person(who), samples);
        times["grieved"]++;
    }

    /// Moves the model and claims, reports and sweeps in the same second: no verdict can be bought and used at once.
    function manipulate(uint256 which, uint256 who, uint256 draw) external {
        if (_batches.length == 0) return;
        Batch memory batch = _batches[which % _batches.length];
        bytes[] memory opposite = _samples[batch.id];
        for (uint256 i = 0; i < opposite.length; i++) {
            opposite[i][0] = bytes1(uint8((uint8(opposite[i][0]) + 1) % model.params().classes));
        }
        _give(_person(who), opposite);
        // Both must be refused, whoever asks; the books say by which error.
        _claim(batch, draw % everySample(batch) + 1, batch.contributor);
        _accuse(batch, draw % batch.count, _person(draw >> 8));
        times["manipulated"]++;
    }

    /// Comes with meta-data of which one field is another.
    function falsify(uint256 which, uint256 field, uint256 change) external {
        if (_batches.length == 0) return;
        Batch memory batch = _batches[which % _batches.length];
        bytes[] memory samples = _samples[batch.id];
        skip(PUBLIC_WAIT_S);
        field %= 7;
        if (field == 0) batch.contributor = address(uint160(batch.contributor) ^ _bits(change, 160));
        if (field == 1) batch.addedAt ^= uint64(_bits(change, 64));
        if (field == 2) batch.depositPerUnit ^= uint128(_bits(change, 128));
        if (field == 3) batch.count ^= uint16(_bits(change, 16));
        if (field == 4) batch.units ^= uint32(_bits(change, 32));
        if (field == 5) batch.informative ^= change | 1;
        if (field == 6) batch.samplesRoot ^= bytes32(change | 1);
        require(!dataHandler.verify(batch), "verified");
        RefundClaim[] memory claims = refundOf(batch, samples, 1);
        SampleProof[] memory proofs = proofOf(samples, 0);
        vm.startPrank(batch.contributor);
        _requireUnknown(abi.encodeCall(trainer.refund, (claims)));
        _requireUnknown(abi.encodeCall(trainer.sweep, (batch)));
        _requireUnknown(abi.encodeCall(trainer.report, (batch, proofs)));
        vm.stopPrank();
    }

    function _requireUnknown(bytes memory data) private {
        (bool done, bytes memory reason) = address(trainer).call(data);
        require(!done, "false meta-data");
        _requireRefusal(reason, ICollaborativeTrainer.UnknownBatch.selector, "falsified");
    }

    function _bits(uint256 change, uint256 count) private pure returns (uint160) {
        return uint160(_bound(change, 1, (1 << count) - 1));
    }

    /// Comes with true meta-data, and a payload or sample of which one byte is another.
    function tamper(uint256 which, uint256 position, uint8 change) external {
        if (_batches.length == 0) return;
        Batch memory batch = _batches[which % _batches.length];
        change = change == 0 ? 1 : change;
        skip(REPORT_WAIT_S);
        RefundClaim[] memory claims = refundOf(batch, _samples[batch.id], everySample(batch));
        claims[0].payload[position % claims[0].payload.length] ^= bytes1(change);
        (uint256 settled,,) = incentive.stakeOf(batch.id);
        vm.prank(batch.contributor);
        try trainer.refund(claims) {
            require(settled == everySample(batch), "another payload");
        } catch (bytes memory reason) {
            require(_isNamed(bytes4(reason)), "an error without a name");
            times["tampered payload"]++;
        }
        address reporter = _reporterBut(batch.contributor);
        if (reporter == address(0)) return;
        SampleProof[] memory proofs = proofOf(_samples[batch.id], position % batch.count);
        bytes memory sample = proofs[0].sample;
        sample[position % sample.length] ^= bytes1(change);
        vm.prank(reporter);
        try trainer.report(batch, proofs) {
            revert("another sample");
        } catch (bytes memory reason) {
            _requireRefusal(reason, ICollaborativeTrainer.WrongSample.selector, "tampered sample");
        }
    }

    /// Somebody else with standing; nobody if there is none.
    function _reporterBut(address contributor) private view returns (address) {
        for (uint256 i = 0; i < _people.length; i++) {
            if (_people[i] != contributor && incentive.validatedUnits(_people[i]) > 0) return _people[i];
        }
        return address(0);
    }

    /// Contributes what no model takes; the books see whether anything is left of it.
    function garble(uint256 who, uint256 kind, uint256 draw) external {
        ModelParams memory params = model.params();
        bytes memory good = _sample(draw % 256, draw % 9, 3);
        bytes memory bad = _sample(draw % 256, draw % 9, 2);
        bytes4 expected;
        kind %= 6;
        if (kind == 0) expected = IModel.EmptyPayload.selector;
        if (kind == 1) {
            (expected, bad) = (IModel.TruncatedSample.selector, _cut(bad, 1 + draw % (bad.length - 1)));
        }
        if (kind == 2) (expected, bad[0]) = (IModel.InvalidLabel.selector, bytes1(uint8(params.classes)));
        if (kind == 3) (expected, bad[2]) = (IModel.InvalidFeatureCount.selector, 0);
        if (kind == 4) {
            expected = IModel.FeaturesNotIncreasing.selector;
            uint256 size = (bad.length - 3) / 2;
            for (uint256 i = 0; i < size; i++) {
                bad[3 + size + i] = bad[3 + i];
            }
        }
        if (kind == 5) {
            expected = IModel.FeatureOutOfRange.selector;
            (bad[3], bad[4]) = (0xff, 0xff);
            if (params.nFeatures > 65_536) bad[5] = 0xff;
        }
        vm.prank(_person(who));
        try trainer.contribute{value: 10 ether}(kind == 0 ? bytes("") : bytes.concat(good, bad)) {
            revert("a malformed payload");
        } catch (bytes memory reason) {
            _requireRefusal(reason, expected, "garbled");
        }
    }

    function _cut(bytes memory whole, uint256 length) private pure returns (bytes memory part) {
        part = whole;
        assembly ("memory-safe") {
            mstore(part, length)
        }
    }

    /// Calls what is not its business.
    function trespass(uint256 who, uint256 which) external {
        address person = _person(who);
        Batch memory batch = _batches.length == 0 ? _batch() : _batches[which % _batches.length];
        bytes memory sample = _sample(0, 0, 1);
        uint256[] memory one = new uint256[](1);
        bytes4 refusal = ITrainerPart.NotTrainer.selector;
        bytes4 refused = person == owner
            ? ICollaborativeTrainer.AlreadySealed.selector
            : ICollaborativeTrainer.NotOwner.selector;
        vm.startPrank(person);
        _refuse(address(trainer), abi.encodeCall(trainer.writeWeights, (0, one)), refused);
        _refuse(address(trainer), abi.encodeCall(trainer.seal, ()), refused);
        _refuse(address(model), abi.encodeCall(model.writeWeights, (0, one)), refusal);
        _refuse(address(model), abi.encodeCall(model.train, (sample)), refusal);
        _refuse(address(dataHandler), abi.encodeCall(dataHandler.commit, (batch)), refusal);
        _refuse(
            address(incentive), abi.encodeCall(incentive.settleRefund, (batch, 1, hex"00000001")), refusal
        );
        _refuse(
            address(incentive),
            abi.encodeCall(incentive.settleReport, (batch, person, one, 0, hex"00000001")),
            refusal
        );
        _refuse(address(incentive), abi.encodeCall(incentive.settleSweep, (batch, person, person)), refusal);
        vm.stopPrank();
    }

    function _refuse(address target, bytes memory data, bytes4 expected) private {
        (bool done, bytes memory reason) = target.call(data);
        require(!done, "a trespasser");
        _requireRefusal(reason, expected, "trespassed");
    }

    function _batch() private view returns (Batch memory batch) {
        (batch.contributor, batch.count, batch.units) = (alice, 1, 1);
    }

    function _isNamed(bytes4 selector) private pure returns (bool) {
        return selector == ICollaborativeTrainer.WrongPayload.selector
            || selector == IModel.TruncatedSample.selector || selector == IModel.InvalidFeatureCount.selector
            || selector == IModel.TooManySamples.selector;
    }
}
