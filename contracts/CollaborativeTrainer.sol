// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICollaborativeTrainer, RefundClaim, SampleProof} from "./interfaces/ICollaborativeTrainer.sol";
import {Batch, IDataHandler} from "./interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "./interfaces/IIncentiveMechanism.sol";
import {IModel, ModelParams} from "./interfaces/IModel.sol";
import {ITrainerPart} from "./interfaces/ITrainerPart.sol";
import {CodeStorage} from "./libraries/CodeStorage.sol";
import {SampleMerkle} from "./libraries/SampleMerkle.sol";

/// @title The entry contract of a model
/// @dev The three parts and their names are those of "Decentralized & Collaborative AI on Blockchain" (Harris and
/// Waggoner, 2019). The parts are clones that this contract's registry made, so they are trusted.
contract CollaborativeTrainer is ICollaborativeTrainer, ReentrancyGuardTransient {
    /// @dev A refund carries the payload again and some 700 bytes more, and nodes take transactions up to 128 KiB.
    uint256 private constant MAX_PAYLOAD_BYTES = 126_976;

    /// @inheritdoc ICollaborativeTrainer
    address public owner;

    // What calls need together shares a slot: the first access to one costs 2,100 gas, and writing to one 2,900.

    /// @inheritdoc ICollaborativeTrainer
    IModel public model;
    /// @inheritdoc ICollaborativeTrainer
    uint48 public lastContributedAt;
    /// @inheritdoc ICollaborativeTrainer
    uint48 public batchCount;

    /// @inheritdoc ICollaborativeTrainer
    IIncentiveMechanism public incentive;
    /// @inheritdoc ICollaborativeTrainer
    uint48 public sealedAt;

    /// @inheritdoc ICollaborativeTrainer
    IDataHandler public dataHandler;

    address private _featureSpecStore;

    /// @inheritdoc ICollaborativeTrainer
    address public registry;
    /// @inheritdoc ICollaborativeTrainer
    string public name;

    /// @dev Refuses everyone but the owner, and the owner once the model is sealed.
    modifier onlyOwnerBeforeSealing() {
        if (msg.sender != owner) revert NotOwner(msg.sender, owner);
        if (sealedAt != 0) revert AlreadySealed(sealedAt);
        _;
    }

    /// @dev Refuses claims in the second of the last contribution.
    modifier notInTheSecondOfAContribution() {
        // Equal is what is meant: only a contribution of this very second could have been made for this claim.
        // slither-disable-next-line incorrect-equality
        if (block.timestamp == lastContributedAt) revert ContributionThisSecond(block.timestamp);
        _;
    }

    /// @dev Runs for the implementation only, never for its clones: it can be initialised by nobody.
    constructor() {
        registry = address(this);
    }

    /// @inheritdoc ICollaborativeTrainer
    function initialize(
        address owner_,
        string calldata name_,
        IModel model_,
        IIncentiveMechanism incentive_,
        IDataHandler dataHandler_,
        address featureSpecStore
    ) external {
        // The caller is never zero. An owner might be: then a registry that is not ours could set up a trainer with parts of
        // its own, write through it into genuine ones, and set it up with those afterwards.
        if (registry != address(0)) revert ITrainerPart.AlreadyInitialized();
        registry = msg.sender;
        name = name_;
        owner = owner_;
        model = model_;
        incentive = incentive_;
        dataHandler = dataHandler_;
        _featureSpecStore = featureSpecStore;
    }

    /// @inheritdoc ICollaborativeTrainer
    function contribute(bytes calldata payload) external payable nonReentrant returns (uint256 batchId) {
        if (sealedAt == 0) revert NotSealed();
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLarge(payload.length, MAX_PAYLOAD_BYTES);
        (uint256 count, uint256 units) = model.measure(payload);
        uint256 depositPerUnit = incentive.depositPerUnit(units, _idleS());
        uint256 depositWei = depositPerUnit * units;
        if (msg.value < depositWei) revert InsufficientDeposit(msg.value, depositWei);

        batchId = batchCount++;
        lastContributedAt = uint48(block.timestamp);
        // Which samples changed the model is asked by who keeps scores of it.
        // slither-disable-next-line unused-return
        (uint256 informative,, bytes32 samplesRoot) = model.train(payload);
        dataHandler.commit(
            Batch({
                id: batchId,
                contributor: msg.sender,
                addedAt: uint64(block.timestamp),
                depositPerUnit: uint128(depositPerUnit),
                count: uint16(count),
                units: uint32(units),
                informative: informative,
                samplesRoot: samplesRoot
            })
        );
        emit Contributed(batchId, msg.sender, block.timestamp, depositPerUnit, informative, payload);
        _pay(msg.sender, msg.value - depositWei);
    }

    /// @inheritdoc ICollaborativeTrainer
    function quote(uint256 units) external view returns (uint256 depositWei) {
        // Unset or set: sealing writes a time, which is never 0.
        // slither-disable-next-line incorrect-equality
        if (sealedAt == 0) revert NotSealed();
        return incentive.depositPerUnit(units, _idleS()) * units;
    }

    /// @inheritdoc ICollaborativeTrainer
    function refund(RefundClaim[] calldata claims)
        external
        nonReentrant
        notInTheSecondOfAContribution
        returns (uint256 amountWei)
    {
        for (uint256 i = 0; i < claims.length; i++) {
            amountWei += _refund(claims[i]);
        }
        _pay(msg.sender, amountWei);
    }

    /// @inheritdoc ICollaborativeTrainer
    function report(Batch calldata batch, SampleProof[] calldata samples)
        external
        nonReentrant
        notInTheSecondOfAContribution
        returns (uint256 amountWei)
    {
        _requireKnown(batch);
        (uint256[] memory indexes, bytes memory payload) = _requireProven(batch, samples);
        // The proofs stand in for the root.
        // slither-disable-next-line unused-return
        (, uint256 agreed, bytes memory units) = model.assess(payload, type(uint256).max);
        uint256 reported;
        (amountWei, reported) = incentive.settleReport(batch, msg.sender, indexes, agreed, units);
        emit Reported(batch.id, msg.sender, amountWei, reported);
        _pay(msg.sender, amountWei);
    }

    /// @inheritdoc ICollaborativeTrainer
    function sweep(Batch calldata batch) external nonReentrant returns (uint256 amountWei) {
        _requireKnown(batch);
        amountWei = incentive.settleSweep(batch, msg.sender, owner);
        emit Swept(batch.id, msg.sender, amountWei);
        _pay(msg.sender, amountWei);
    }

    /// @inheritdoc ICollaborativeTrainer
    function predict(bytes calldata payload) external view returns (bytes memory labels) {
        return model.predict(payload);
    }

    /// @inheritdoc ICollaborativeTrainer
    function publishEvaluation(bytes32 testSetHash, uint64 rows, uint64 correct) external {
        if (rows == 0 || correct > rows) revert InvalidEvaluation(rows, correct);
        emit EvaluationPublished(msg.sender, testSetHash, rows, correct);
    }

    /// @inheritdoc ICollaborativeTrainer
    function writeWeights(uint256 firstWord, uint256[] calldata words) external onlyOwnerBeforeSealing {
        model.writeWeights(firstWord, words);
    }

    /// @inheritdoc ICollaborativeTrainer
    function seal() external onlyOwnerBeforeSealing {
        sealedAt = uint48(block.timestamp);
        emit Sealed(block.timestamp);
    }

    /// @inheritdoc ICollaborativeTrainer
    function terms() external view returns (Terms memory) {
        return incentive.terms();
    }

    /// @inheritdoc ICollaborativeTrainer
    function params() external view returns (ModelParams memory) {
        return model.params();
    }

    /// @inheritdoc ICollaborativeTrainer
    function featureSpec() external view returns (string memory) {
        return string(CodeStorage.read(_featureSpecStore));
    }

    /// @dev Settles one claim; the money is paid later, for all claims at once.
    function _refund(RefundClaim calldata claim) private returns (uint256 amountWei) {
        Batch calldata batch = claim.batch;
        _requireKnown(batch);
        uint256 open = incentive.authorizeRefund(batch, msg.sender, claim.mask);
        // A claim that lost a race against reports or a sweep must not stop the others.
        if (open == 0) return 0;
        (bytes32 samplesRoot, uint256 agreed, bytes memory units) = model.assess(claim.payload, open);
        if (samplesRoot != batch.samplesRoot) {
            revert WrongPayload(batch.id, batch.samplesRoot, samplesRoot);
        }
        amountWei = incentive.settleRefund(batch, agreed, units);
        emit Refunded(batch.id, msg.sender, amountWei, agreed, open & ~agreed);
    }

    /// @dev Seconds since the last contribution, or since sealing.
    function _idleS() private view returns (uint256) {
        // Unset or set: a contribution writes a time, which is never 0.
        // slither-disable-next-line incorrect-equality
        return block.timestamp - (lastContributedAt == 0 ? sealedAt : lastContributedAt);
    }

    function _requireKnown(Batch calldata batch) private view {
        if (!dataHandler.verify(batch)) revert UnknownBatch(batch.id);
    }

    /// @dev Checks that each sample belongs to the batch.
    /// @return indexes Their numbers.
    /// @return payload All of them, one behind the other.
    function _requireProven(Batch calldata batch, SampleProof[] calldata samples)
        private
        pure
        returns (uint256[] memory indexes, bytes memory payload)
    {
        indexes = new uint256[](samples.length);
        for (uint256 i = 0; i < samples.length; i++) {
            SampleProof calldata proven = samples[i];
            indexes[i] = proven.index;
            bytes32 leaf = keccak256(proven.sample);
            if (!SampleMerkle.verify(batch.samplesRoot, batch.count, proven.index, leaf, proven.proof)) {
                revert WrongSample(batch.id, proven.index);
            }
            payload = bytes.concat(payload, proven.sample);
        }
    }

    function _pay(address to, uint256 amountWei) private {
        // Nothing to pay is exactly 0; no balance is compared.
        // slither-disable-next-line incorrect-equality
        if (amountWei == 0) return;
        (bool accepted,) = to.call{value: amountWei}("");
        if (!accepted) revert PaymentFailed(to, amountWei);
    }
}
