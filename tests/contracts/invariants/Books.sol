// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {ICollaborativeTrainer} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {ModelParams} from "../../../contracts/interfaces/IModel.sol";
import {ReenteringReceiver, RefusingReceiver} from "../../../contracts/mocks/Receivers.sol";
import {TrainerTest} from "../support/TrainerTest.sol";

/// What an outsider who sees every call writes down about a model, and compares with what its contracts say.
abstract contract Books is TrainerTest {
    Batch[] internal _batches;
    mapping(uint256 batchId => bytes[]) internal _samples;

    /// What each sample's contribution cost, and what was paid out of it since.
    mapping(uint256 batchId => uint256[]) internal _depositWei;
    mapping(uint256 batchId => mapping(uint256 index => uint256)) internal _paidWei;
    mapping(uint256 batchId => mapping(uint256 index => uint256)) internal _reportedWei;
    mapping(address contributor => uint256) internal _earnedUnits;

    uint256 public openWei;
    uint256 public forcedWei;
    bytes32 public weightsHash;

    /// How often each kind of thing happened.
    mapping(string what => uint256) public times;

    address[] internal _people;
    RefusingReceiver internal _refuser = new RefusingReceiver();
    ReenteringReceiver internal _reenterer = new ReenteringReceiver();

    constructor(ICollaborativeTrainer trainer_) {
        useTrainer(address(trainer_));
        weightsHash = _hashOfWeights();
        _people = [owner, alice, bob, carol, makeAddr("second"), address(_refuser), address(_reenterer)];
        for (uint256 i = 0; i < _people.length; i++) {
            vm.deal(_people[i], 1e6 ether);
        }
    }

    function setUp() public override {}

    /// Contributes for the exact price, and writes it down.
    function _give(address from, bytes[] memory samples) internal {
        Batch memory batch = contribute(from, samples);
        _batches.push(batch);
        _samples[batch.id] = samples;
        for (uint256 i = 0; i < samples.length; i++) {
            (, uint256 units) = model.measure(samples[i]);
            _depositWei[batch.id].push(batch.depositPerUnit * units);
            openWei += batch.depositPerUnit * units;
        }
        weightsHash = _hashOfWeights();
        times["given"]++;
    }

    /// Writes down what left a deposit.
    function _book(uint256 batchId, uint256 index, uint256 amountWei) internal {
        _paidWei[batchId][index] += amountWei;
        openWei -= amountWei;
    }

    function _leftWei(uint256 batchId, uint256 index) internal view returns (uint256) {
        return _depositWei[batchId][index] - _paidWei[batchId][index];
    }

    /// A sample as this model takes it: `n` features that follow each other, with small values where it has values.
    function _sample(uint256 label, uint256 first, uint256 n) internal view returns (bytes memory sample) {
        ModelParams memory params = model.params();
        n = _bound(n, 1, params.maxFeatures);
        first = _bound(first, 0, params.nFeatures - n);
        sample = abi.encodePacked(uint8(label % params.classes), uint16(n));
        for (uint256 i = first; i < first + n; i++) {
            bytes memory index =
                params.nFeatures <= 65_536 ? abi.encodePacked(uint16(i)) : abi.encodePacked(uint24(i));
            sample = bytes.concat(sample, index);
            if (params.valued) sample = bytes.concat(sample, bytes1(uint8(1 + i % 5)));
        }
    }

    function _person(uint256 who) internal view returns (address) {
        return _people[who % _people.length];
    }

    /// Of a large model only the first words, in which all samples lie, and the last ones.
    function _hashOfWeights() internal view returns (bytes32) {
        uint256 total = model.totalWords();
        if (total <= 128) return keccak256(abi.encode(model.weights(0, total)));
        return keccak256(abi.encode(model.weights(0, 64), model.weights(total - 64, 64)));
    }

    /// Fails unless a call that should have been refused was, by this error.
    function _requireRefusal(bytes memory reason, bytes4 expected, string memory what) internal {
        require(bytes4(reason) == expected, what);
        times[what]++;
    }

    /// Invariant 1: the balance is the sum of the open deposits, and what somebody forced in.
    function checkBalance() external view {
        assertEq(address(trainer).balance, openWei + forcedWei, "balance");
    }

    /// Invariant 2: no sample pays more than its deposit, and the contracts' accounts are the outsider's.
    function checkAccounts() external view {
        uint256 allUnits;
        for (uint256 id = 0; id < _batches.length; id++) {
            (uint256 settled, uint256 paidWei,) = incentive.stakeOf(id);
            for (uint256 i = 0; i < _batches[id].count; i++) {
                assertLe(_paidWei[id][i], _depositWei[id][i], "paid too much");
                assertEq((settled >> i) & 1 == 1, _leftWei(id, i) == 0, "settled");
                assertEq(incentive.reportedWei(id, i), _reportedWei[id][i], "reported");
                paidWei -= _paidWei[id][i];
            }
            assertEq(paidWei, 0, "paid");
        }
        for (uint256 i = 0; i < _people.length; i++) {
            assertEq(incentive.validatedUnits(_people[i]), _earnedUnits[_people[i]], "standing");
            allUnits += _earnedUnits[_people[i]];
        }
        assertEq(incentive.totalValidatedUnits(), allUnits, "all standing");
        assertFalse(_reenterer.reentered(), "reentered");
    }

    /// Invariants 3 and 4: what was committed stays committed, and weights change by contributions only.
    function checkData() external view {
        assertEq(trainer.batchCount(), _batches.length, "batches");
        for (uint256 id = 0; id < _batches.length; id++) {
            assertTrue(dataHandler.verify(_batches[id]), "committed");
        }
        assertEq(_hashOfWeights(), weightsHash, "weights");
    }

    /// The samples that the only `Refunded` event among the logs tells.
    function _refundedIn(Vm.Log[] memory logs) internal pure returns (uint256 refunded) {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != ICollaborativeTrainer.Refunded.selector) continue;
            (, refunded,) = abi.decode(logs[i].data, (uint256, uint256, uint256));
        }
    }
}
