// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch} from "./IDataHandler.sol";

/// @notice What contributions cost and when deposits can be claimed; it never changes. All waits count from the second of the
/// contribution and are inclusive.
/// @param refundWaitS From then on the contributor can take back its deposit, in seconds.
/// @param reportWaitS From then on others can report samples.
/// @param ownerWaitS From then on the owner can sweep.
/// @param publicWaitS From then on anyone can sweep.
/// @param minGapS The least distance from the refund wait to the report wait, and from there to the owner wait: what an honest
/// contributor needs to claim before anyone who moved the model can report.
/// @param maxIdleS The most seconds without a contribution that make the next one cheaper.
/// @param costWeightWei The price of one unit is this times 3600, divided by the root of the idle seconds.
struct Terms {
    uint64 refundWaitS;
    uint64 reportWaitS;
    uint64 ownerWaitS;
    uint64 publicWaitS;
    uint64 minGapS;
    uint64 maxIdleS;
    uint128 costWeightWei;
}

/// @title Decides what a contribution costs and what it earns
/// @notice It keeps the accounts; the money itself never leaves the trainer's hands except to whom this contract names.
/// A settled sample is one of whose deposit nothing is left.
interface IIncentiveMechanism {
    /// @notice The terms are out of range or out of order.
    error InvalidTerms(Terms terms);

    /// @notice A batch has at least one unit, and no payload has more than the limit.
    error InvalidUnits(uint256 units, uint256 limit);

    /// @notice Only who contributed the batch can have it refunded.
    error NotContributor(uint256 batchId, address caller, address contributor);

    /// @notice A contributor cannot report its own samples.
    error ReporterIsContributor(uint256 batchId, address reporter);

    /// @notice Only who had an informative sample refunded can report.
    error ReporterNotValidated(address reporter);

    /// @notice This reporter has taken its share of the sample.
    error AlreadyReported(uint256 batchId, uint256 index, address reporter);

    /// @notice The caller can do this from `availableAt` on.
    error TooEarly(uint256 batchId, uint256 availableAt, uint256 timestamp);

    /// @notice The mask asks for no sample, or for one that the batch does not have.
    error InvalidMask(uint256 batchId, uint256 mask, uint256 count);

    /// @notice All of the batch's deposit was paid out.
    error NothingLeft(uint256 batchId);

    /// @notice Makes a fresh clone the incentive mechanism of a trainer, once.
    /// @param trainer The only address that may change the accounts.
    /// @param terms_ Prices and waits.
    function initialize(address trainer, Terms calldata terms_) external;

    /// @notice The price of a batch, per unit, rounded up (`PriceMath`).
    /// @param units The units of the whole batch, at least 1.
    /// @param idleS Seconds since the last contribution, or since sealing.
    /// @return depositWei The deposit of one unit.
    function depositPerUnit(uint256 units, uint256 idleS) external view returns (uint256 depositWei);

    /// @notice Whether a refund may be claimed now, and of which samples; reverts if not.
    /// @param batch The meta-data, already verified.
    /// @param claimant Who claims.
    /// @param mask The samples that it asks for.
    /// @return open The samples of the mask that are not settled.
    function authorizeRefund(Batch calldata batch, address claimant, uint256 mask)
        external
        view
        returns (uint256 open);

    /// @notice Settles samples in favour of their contributor. Only the trainer may call this.
    /// @param batch The meta-data.
    /// @param refunded The samples: open ones, and the model agrees with them.
    /// @param units The units of every sample of the batch, 4 bytes each.
    /// @return amountWei What is to be paid to the contributor.
    function settleRefund(Batch calldata batch, uint256 refunded, bytes calldata units)
        external
        returns (uint256 amountWei);

    /// @notice Gives a reporter its share of samples; reverts if it may not report them, or not yet. Only the trainer may call
    /// this.
    /// @param batch The meta-data, already verified.
    /// @param reporter Who reports.
    /// @param indexes The samples' numbers in the batch.
    /// @param agreed Bit i is set if the model agrees with the i-th of `indexes`, so that nothing can be taken from it.
    /// @param units The units of these samples, 4 bytes each.
    /// @return amountWei What is to be paid to the reporter.
    /// @return reported The samples of the batch from which something was taken.
    function settleReport(
        Batch calldata batch,
        address reporter,
        uint256[] calldata indexes,
        uint256 agreed,
        bytes calldata units
    ) external returns (uint256 amountWei, uint256 reported);

    /// @notice Settles all that is left of a batch. Only the trainer may call this.
    /// @param batch The meta-data, already verified.
    /// @param sweeper Who sweeps.
    /// @param owner The model's owner, who may do so earlier than others.
    /// @return amountWei What is to be paid to the sweeper.
    function settleSweep(Batch calldata batch, address sweeper, address owner)
        external
        returns (uint256 amountWei);

    /// @notice The name of this type of incentive mechanism.
    function incentiveType() external pure returns (string memory);

    /// @notice Prices and waits.
    function terms() external view returns (Terms memory);

    /// @notice The account of a batch.
    /// @param batchId The number of the batch.
    /// @return settled Bit i is set if nothing is left of sample i; all bits are set after a sweep.
    /// @return paidWei What was paid out of the batch's deposit so far.
    /// @return swept Whether the batch was swept.
    function stakeOf(uint256 batchId) external view returns (uint256 settled, uint256 paidWei, bool swept);

    /// @notice What reports took of a sample's deposit.
    /// @param batchId The number of the batch.
    /// @param index The number of the sample in it.
    function reportedWei(uint256 batchId, uint256 index) external view returns (uint256);

    /// @notice Whether a reporter took its share of a sample.
    /// @param batchId The number of the batch.
    /// @param index The number of the sample in it.
    /// @param reporter The reporter.
    function hasReported(uint256 batchId, uint256 index, address reporter) external view returns (bool);

    /// @notice The standing of a contributor: the units of the informative samples that were refunded to it.
    function validatedUnits(address contributor) external view returns (uint256);

    /// @notice The standing of all contributors together, in units.
    function totalValidatedUnits() external view returns (uint256);
}
