// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrainerPart} from "../TrainerPart.sol";
import {Batch} from "../interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../interfaces/IIncentiveMechanism.sol";
import {PriceMath} from "../libraries/PriceMath.sol";

/// @title Deposit, refund, take: the model itself judges what was contributed
/// @notice A deposit comes back if the model agrees with the sample after the wait; otherwise others can take it, each in
/// proportion to what the model has confirmed of its own contributions: to their units, whatever they cost.
contract StakeIncentive is IIncentiveMechanism, TrainerPart {
    /// @dev What else became of a batch: a refund looks for reports only where there are some, and after a sweep nothing is left.
    enum Fate {
        None,
        Reported,
        Swept
    }

    /// @dev The account of a batch, in one slot for batches of up to 128 samples.
    /// @param paidWei What was paid out. A unit costs at most `MAX_COST_WEIGHT_WEI` times 3600, below 2^92, and a payload of 128 KiB
    /// has fewer than 2^18 units, so a deposit is below 2^110.
    /// @param settled Bit i is set if nothing is left of sample i, for the first 128 samples.
    /// @param fate Whether reports took something, or the rest was swept.
    struct Stake {
        uint120 paidWei;
        uint128 settled;
        Fate fate;
    }

    uint256 private constant FIRST_SAMPLES = 128;

    /// @dev A century: no sum of times and waits overflows, nor does any price.
    uint256 private constant MAX_WAIT_S = 36_525 days;
    uint256 private constant MAX_COST_WEIGHT_WEI = 1e24;

    Terms private _terms;
    mapping(uint256 batchId => Stake) private _stakes;
    /// @dev The samples behind the first 128.
    mapping(uint256 batchId => uint256 settled) private _settledBehind;
    /// @dev Below 2^64, four samples in a slot; what is above, which takes a deposit of more than 18 ether, in another one.
    mapping(uint256 batchId => uint64[256]) private _reportedLow;
    mapping(uint256 batchId => uint64[256]) private _reportedHigh;
    mapping(uint256 batchId => mapping(address reporter => uint256 samples)) private _reportedBy;

    /// @inheritdoc IIncentiveMechanism
    mapping(address contributor => uint256) public validatedUnits;

    /// @inheritdoc IIncentiveMechanism
    uint256 public totalValidatedUnits;

    /// @inheritdoc IIncentiveMechanism
    function initialize(address trainer_, Terms calldata terms_) external {
        _bind(trainer_);
        bool inRange = terms_.refundWaitS > 0 && terms_.publicWaitS <= MAX_WAIT_S
            && terms_.minGapS <= MAX_WAIT_S && terms_.maxIdleS <= MAX_WAIT_S && terms_.costWeightWei > 0
            && terms_.costWeightWei <= MAX_COST_WEIGHT_WEI;
        // The order first: a sum is only looked at where every term of it is in range.
        bool inOrder = terms_.refundWaitS < terms_.reportWaitS && terms_.reportWaitS < terms_.ownerWaitS
            && terms_.ownerWaitS <= terms_.publicWaitS;
        if (
            !inRange || !inOrder || terms_.refundWaitS + terms_.minGapS > terms_.reportWaitS
                || terms_.reportWaitS + terms_.minGapS > terms_.ownerWaitS
        ) revert InvalidTerms(terms_);
        _terms = terms_;
    }

    /// @inheritdoc IIncentiveMechanism
    function depositPerUnit(uint256 units, uint256 idleS) external view returns (uint256) {
        if (units == 0 || units > type(uint32).max) revert InvalidUnits(units, type(uint32).max);
        uint256 maxIdleS = _terms.maxIdleS;
        return PriceMath.depositPerUnit(_terms.costWeightWei, units, idleS < maxIdleS ? idleS : maxIdleS);
    }

    /// @inheritdoc IIncentiveMechanism
    function authorizeRefund(Batch calldata batch, address claimant, uint256 mask)
        external
        view
        returns (uint256 open)
    {
        if (claimant != batch.contributor) revert NotContributor(batch.id, claimant, batch.contributor);
        _requireReached(batch, _terms.refundWaitS);
        if (mask == 0 || mask & ~_allSamples(batch) != 0) revert InvalidMask(batch.id, mask, batch.count);
        return mask & ~_settled(batch.id, batch.count);
    }

    /// @inheritdoc IIncentiveMechanism
    function settleRefund(Batch calldata batch, uint256 refunded, bytes calldata units)
        external
        onlyTrainer
        returns (uint256 amountWei)
    {
        Fate fate = _stakes[batch.id].fate;
        uint256 earnedUnits;
        for (uint256 index = 0; index < batch.count; index++) {
            if ((refunded >> index) & 1 == 0) continue;
            uint256 sampleUnits = _unitsAt(units, index);
            uint256 leftWei = batch.depositPerUnit * sampleUnits;
            if (fate == Fate.Reported) leftWei -= _reported(batch.id, index, leftWei);
            amountWei += leftWei;
            if ((batch.informative >> index) & 1 == 1) earnedUnits += sampleUnits;
        }
        _account(batch, _settled(batch.id, batch.count) | refunded, amountWei, fate);
        if (earnedUnits > 0) {
            validatedUnits[batch.contributor] += earnedUnits;
            totalValidatedUnits += earnedUnits;
        }
    }

    /// @inheritdoc IIncentiveMechanism
    function settleReport(
        Batch calldata batch,
        address reporter,
        uint256[] calldata indexes,
        uint256 agreed,
        bytes calldata units
    ) external onlyTrainer returns (uint256 amountWei, uint256 reported) {
        if (reporter == batch.contributor) {
            revert ReporterIsContributor(batch.id, reporter);
        }
        _requireReached(batch, _terms.reportWaitS);
        uint256 standing = validatedUnits[reporter];
        if (standing == 0) revert ReporterNotValidated(reporter);
        uint256 settled = _settled(batch.id, batch.count);
        uint256 reportedBefore = _reportedBy[batch.id][reporter];
        uint256 allStanding = totalValidatedUnits;
        for (uint256 i = 0; i < indexes.length; i++) {
            uint256 index = indexes[i];
            uint256 bit = 1 << index;
            if ((reportedBefore | reported) & bit != 0) revert AlreadyReported(batch.id, index, reporter);
            if (settled & bit != 0 || (agreed >> i) & 1 == 1) continue;
            uint256 depositWei = batch.depositPerUnit * _unitsAt(units, i);
            uint256 takenWei = (depositWei * standing) / allStanding;
            if (takenWei == 0) continue;
            uint256 beforeWei = _reported(batch.id, index, depositWei);
            uint256 leftWei = depositWei - beforeWei;
            if (takenWei >= leftWei) {
                takenWei = leftWei;
                settled |= bit;
            }
            _writeReported(batch.id, index, beforeWei, beforeWei + takenWei);
            reported |= bit;
            amountWei += takenWei;
        }
        if (reported == 0) return (0, 0);
        _reportedBy[batch.id][reporter] = reportedBefore | reported;
        _account(batch, settled, amountWei, Fate.Reported);
    }

    /// @inheritdoc IIncentiveMechanism
    function settleSweep(Batch calldata batch, address sweeper, address owner)
        external
        onlyTrainer
        returns (uint256 amountWei)
    {
        _requireReached(batch, sweeper == owner ? _terms.ownerWaitS : _terms.publicWaitS);
        amountWei = uint256(batch.depositPerUnit) * batch.units - _stakes[batch.id].paidWei;
        if (amountWei == 0) revert NothingLeft(batch.id);
        _account(batch, _allSamples(batch), amountWei, Fate.Swept);
    }

    /// @inheritdoc IIncentiveMechanism
    function incentiveType() external pure returns (string memory) {
        return "stake";
    }

    /// @inheritdoc IIncentiveMechanism
    function terms() external view returns (Terms memory) {
        return _terms;
    }

    /// @inheritdoc IIncentiveMechanism
    function stakeOf(uint256 batchId) external view returns (uint256 settled, uint256 paidWei, bool swept) {
        Stake storage stake = _stakes[batchId];
        return (_settled(batchId, type(uint16).max), stake.paidWei, stake.fate == Fate.Swept);
    }

    /// @inheritdoc IIncentiveMechanism
    function reportedWei(uint256 batchId, uint256 index) public view returns (uint256) {
        return uint256(_reportedLow[batchId][index]) | (uint256(_reportedHigh[batchId][index]) << 64);
    }

    /// @inheritdoc IIncentiveMechanism
    function hasReported(uint256 batchId, uint256 index, address reporter) external view returns (bool) {
        return (_reportedBy[batchId][reporter] >> index) & 1 == 1;
    }

    /// @dev The settled samples of a batch of so many.
    function _settled(uint256 batchId, uint256 count) private view returns (uint256 settled) {
        settled = _stakes[batchId].settled;
        if (count > FIRST_SAMPLES) settled |= _settledBehind[batchId] << FIRST_SAMPLES;
    }

    /// @dev Writes down what is settled now and what was paid for it, all at once.
    function _account(Batch calldata batch, uint256 settled, uint256 amountWei, Fate fate) private {
        Stake storage stake = _stakes[batch.id];
        stake.paidWei += uint120(amountWei);
        stake.settled = uint128(settled);
        stake.fate = fate;
        if (batch.count > FIRST_SAMPLES) _settledBehind[batch.id] = settled >> FIRST_SAMPLES;
    }

    /// @dev What reports took of a sample of this deposit, which is looked for only where so much can have been taken.
    function _reported(uint256 batchId, uint256 index, uint256 depositWei) private view returns (uint256) {
        return depositWei >> 64 == 0 ? _reportedLow[batchId][index] : reportedWei(batchId, index);
    }

    /// @dev Writes down what reports took of a sample. A deposit is below 2^128.
    function _writeReported(uint256 batchId, uint256 index, uint256 beforeWei, uint256 afterWei) private {
        _reportedLow[batchId][index] = uint64(afterWei);
        if (afterWei >> 64 != beforeWei >> 64) _reportedHigh[batchId][index] = uint64(afterWei >> 64);
    }

    function _requireReached(Batch calldata batch, uint256 waitS) private view {
        uint256 availableAt = batch.addedAt + waitS;
        if (block.timestamp < availableAt) revert TooEarly(batch.id, availableAt, block.timestamp);
    }

    function _allSamples(Batch calldata batch) private pure returns (uint256) {
        return type(uint256).max >> (256 - batch.count);
    }

    /// @dev Number i of a list of 4-byte numbers.
    function _unitsAt(bytes calldata units, uint256 i) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, calldataload(add(units.offset, shl(2, i))))
        }
    }
}
