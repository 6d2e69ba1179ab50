// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch, IDataHandler} from "./IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "./IIncentiveMechanism.sol";
import {IModel, ModelParams} from "./IModel.sol";

/// @notice A contributor's claim on a batch.
/// @param batch The meta-data.
/// @param payload The whole payload, as it was contributed.
/// @param mask Bit i asks for the deposit of sample i.
struct RefundClaim {
    Batch batch;
    bytes payload;
    uint256 mask;
}

/// @notice One sample of a batch, and the proof that it is.
/// @param index Its number in the batch.
/// @param sample Its bytes, as they stand in the payload.
/// @param proof The hashes beside its path to the root, from the leaf up.
struct SampleProof {
    uint256 index;
    bytes sample;
    bytes32[] proof;
}

/// @title A model that anyone may improve with data, and use for free
/// @notice The entry contract. It holds the deposits and pays them out as the incentive mechanism says. Nobody can pause it,
/// change its rules or withdraw. Money moves last in every call.
interface ICollaborativeTrainer {
    /// @notice Only the owner may do this.
    error NotOwner(address caller, address owner);

    /// @notice Nobody can contribute before the model is sealed.
    error NotSealed();

    /// @notice The model was sealed, and that is final.
    error AlreadySealed(uint256 sealedAt);

    /// @notice The payload is so large that a refund might not fit into a transaction of 128 KiB.
    error PayloadTooLarge(uint256 length, uint256 limit);

    /// @notice The ether sent does not cover the deposit.
    error InsufficientDeposit(uint256 offeredWei, uint256 requiredWei);

    /// @notice No batch was committed with this meta-data.
    error UnknownBatch(uint256 batchId);

    /// @notice The payload is not the one of the batch.
    error WrongPayload(uint256 batchId, bytes32 expectedRoot, bytes32 actualRoot);

    /// @notice The sample is not the one of this number in the batch.
    error WrongSample(uint256 batchId, uint256 index);

    /// @notice No claim in the second of the last contribution: a verdict cannot be bought and used in one transaction.
    error ContributionThisSecond(uint256 timestamp);

    /// @notice At least one row was tested, and not more were right than tested.
    error InvalidEvaluation(uint256 rows, uint256 correct);

    /// @notice The receiver refused the payment.
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice A batch was contributed; this log is where its data stays available.
    /// @param batchId The number of the batch.
    /// @param contributor Who sent it.
    /// @param addedAt When, in seconds.
    /// @param depositPerUnit The deposit of one unit, in wei.
    /// @param informative Bit i is set if the model predicted another label for sample i.
    /// @param payload The samples.
    event Contributed(
        uint256 indexed batchId,
        address indexed contributor,
        uint256 addedAt,
        uint256 depositPerUnit,
        uint256 informative,
        bytes payload
    );

    /// @notice A contributor claimed; samples in neither bitmap were settled before or not asked for.
    /// @param batchId The number of the batch.
    /// @param contributor Who was paid.
    /// @param amountWei What it got for this batch.
    /// @param refunded The samples that were paid for and are settled now.
    /// @param disagreed The samples that stay open, because the model disagrees with them.
    event Refunded(
        uint256 indexed batchId,
        address indexed contributor,
        uint256 amountWei,
        uint256 refunded,
        uint256 disagreed
    );

    /// @notice A reporter took its share of samples that the model disagrees with.
    /// @param batchId The number of the batch.
    /// @param reporter Who was paid.
    /// @param amountWei What it got.
    /// @param reported The samples from which something was taken.
    event Reported(uint256 indexed batchId, address indexed reporter, uint256 amountWei, uint256 reported);

    /// @notice What was left of a batch went to the owner, or to whoever came first after the public wait.
    /// @param batchId The number of the batch.
    /// @param sweeper Who was paid.
    /// @param amountWei What it got.
    event Swept(uint256 indexed batchId, address indexed sweeper, uint256 amountWei);

    /// @notice The model is open for contributions; its owner can write no more weights.
    /// @param sealedAt When, in seconds.
    event Sealed(uint256 sealedAt);

    /// @notice Somebody states how the model did on a test set. The contract knows no more than who said so and when.
    /// @param publisher Who says so.
    /// @param testSetHash What identifies the test set.
    /// @param rows How many rows were tested.
    /// @param correct How many of them the model got right.
    event EvaluationPublished(
        address indexed publisher, bytes32 indexed testSetHash, uint64 rows, uint64 correct
    );

    /// @notice Sets up a fresh clone, once. The registry does so in the transaction that makes it.
    /// The caller becomes the registry.
    /// @param owner_ Who may write weights, seal, and sweep before others.
    /// @param name_ The name of the model among its owner's.
    /// @param model_ The model.
    /// @param incentive_ The incentive mechanism.
    /// @param dataHandler_ The data handler.
    /// @param featureSpecStore Where the feature spec is stored (`CodeStorage`).
    function initialize(
        address owner_,
        string calldata name_,
        IModel model_,
        IIncentiveMechanism incentive_,
        IDataHandler dataHandler_,
        address featureSpecStore
    ) external;

    /// @notice Trains the model with a batch and takes its deposit; what was sent beyond it comes back.
    /// @param payload 1 to 256 samples (`IModel`).
    /// @return batchId The number of the new batch.
    function contribute(bytes calldata payload) external payable returns (uint256 batchId);

    /// @notice What a batch costs if it is contributed in this second.
    /// @param units Its units.
    /// @return depositWei The deposit.
    function quote(uint256 units) external view returns (uint256 depositWei);

    /// @notice Pays the contributor what is left of the deposits of the samples that the model agrees with. Samples that it
    /// disagrees with stay open; settled ones are skipped.
    /// @param claims The batches, all contributed by the caller.
    /// @return amountWei What was paid.
    function refund(RefundClaim[] calldata claims) external returns (uint256 amountWei);

    /// @notice Pays the caller its share of the deposits of samples that the model disagrees with: of each the part that the
    /// caller has in all that was validated, or all that is left if that is less. Settled samples are skipped. Proofs and the
    /// model are looked at before the caller's right to report, and paid for by the caller in any case.
    /// @param batch The meta-data.
    /// @param samples The samples.
    /// @return amountWei What was paid.
    function report(Batch calldata batch, SampleProof[] calldata samples) external returns (uint256 amountWei);

    /// @notice Pays the caller all that is left of a batch: the owner from the owner wait on, anyone from the public wait on.
    /// @param batch The meta-data.
    /// @return amountWei What was paid.
    function sweep(Batch calldata batch) external returns (uint256 amountWei);

    /// @notice Predicts classes. Nothing is paid or changed, so call it without a transaction.
    /// @param payload 1 to 256 samples; their labels are ignored.
    /// @return labels One byte per sample.
    function predict(bytes calldata payload) external view returns (bytes memory labels);

    /// @notice States how the model did on a test set, with the caller's name on it.
    /// @param testSetHash What identifies the test set.
    /// @param rows How many rows were tested.
    /// @param correct How many of them the model got right.
    function publishEvaluation(bytes32 testSetHash, uint64 rows, uint64 correct) external;

    /// @notice Starts the model pre-trained. Only the owner, and only before sealing.
    /// @param firstWord The number of the first word.
    /// @param words The words, as `IModel.weights` returns them.
    function writeWeights(uint256 firstWord, uint256[] calldata words) external;

    /// @notice Opens the model for contributions, for good. Only the owner.
    function seal() external;

    /// @notice Who made the model.
    function owner() external view returns (address);

    /// @notice Who set up this trainer: the registry that made it and its parts. With `owner` and `name` it lets anyone compute
    /// the addresses of all four by CREATE2, with `keccak256(abi.encode(owner, name))` as the salt. Only OpenZeppelin's clone
    /// creation code leads to them, so a match proves that their storage was empty at first.
    function registry() external view returns (address);

    /// @notice The name of the model among its owner's. It is here because it is part of the salt (`registry`).
    function name() external view returns (string memory);

    /// @notice When the model was sealed, in seconds; 0 before.
    function sealedAt() external view returns (uint48);

    /// @notice When the last batch was contributed, in seconds; 0 before the first.
    function lastContributedAt() external view returns (uint48);

    /// @notice How many batches were contributed; their ids are the numbers below it.
    function batchCount() external view returns (uint48);

    /// @notice The model.
    function model() external view returns (IModel);

    /// @notice The incentive mechanism.
    function incentive() external view returns (IIncentiveMechanism);

    /// @notice The data handler.
    function dataHandler() external view returns (IDataHandler);

    /// @notice Prices and waits.
    function terms() external view returns (Terms memory);

    /// @notice The shape of the model.
    function params() external view returns (ModelParams memory);

    /// @notice How rows become features: canonical JSON, complete enough that strangers who read only the chain turn the same
    /// row into the same bytes.
    function featureSpec() external view returns (string memory);
}
