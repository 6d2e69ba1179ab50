// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrainerPart} from "../TrainerPart.sol";
import {Batch} from "../interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../interfaces/IIncentiveMechanism.sol";
import {PriceMath} from "../libraries/PriceMath.sol";

/// @title Deposit, refund, take: the model itself judges what was contributed
/// @notice A deposit comes back if the model agrees with the sample after the wait; otherwise others can take it, each in
/// proportion to what the model has confirmed of its own contributions.
contract StakeIncentive is IIncentiveMechanism, TrainerPart {
    /// @param settled Bit i is set if nothing is left of sample i.
    /// @param reported Bit i is set if a report took something of sample i, so that a refund need not look at the others.
    /// @param paidWei What was paid out.
    /// @param swept Whether the rest was swept.
    struct Stake {
        uint256 settled;
        uint256 reported;
        uint128 paidWei;
        bool swept;
    }

    /// @dev A century: no sum of times and waits overflows, nor does any price.
    uint256 private constant MAX_WAIT_S = 36_525 days;
    uint256 private constant MAX_COST_WEIGHT_WEI = 1e24;

    Terms private _terms;
    mapping(uint256 batchId => Stake) private _stakes;
    mapping(uint256 batchId => uint128[256]) private _reportedWei;
    mapping(uint256 batchId => mapping(address reporter => uint256 samples)) private _reportedBy;

    /// @inheritdoc IIncentiveMechanism
    mapping(address contributor => uint256) public validatedWei;

    /// @inheritdoc IIncentiveMechanism
    uint256 public totalValidatedWei;

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
        return mask & ~_stakes[batch.id].settled;
    }

    /// @inheritdoc IIncentiveMechanism
    function settleRefund(Batch calldata batch, uint256 refunded, bytes calldata units)
        external
        onlyTrainer
        returns (uint256 amountWei)
    {
        Stake storage stake = _stakes[batch.id];
        uint256 reported = stake.reported;
        uint256 earnedWei;
        for (uint256 index = 0; index < batch.count; index++) {
            if ((refunded >> index) & 1 == 0) continue;
            uint256 leftWei = batch.depositPerUnit * _unitsAt(units, index);
            if ((reported >> index) & 1 == 1) leftWei -= _reportedWei[batch.id][index];
            amountWei += leftWei;
            if ((batch.informative >> index) & 1 == 1) earnedWei += leftWei;
        }
        stake.settled |= refunded;
        stake.paidWei += uint128(amountWei);
        if (earnedWei > 0) {
            validatedWei[batch.contributor] += earnedWei;
            totalValidatedWei += earnedWei;
        }
    }

    /// @inheritdoc IIncentiveMechanism
    function authorizeReport(Batch calldata batch, address reporter) external view {
        if (reporter == batch.contributor) revert ReporterIsContributor(batch.id, reporter);
        _requireReached(batch, _terms.reportWaitS);
        if (validatedWei[reporter] == 0) revert ReporterNotValidated(reporter);
    }

    /// @inheritdoc IIncentiveMechanism
    function settleReport(
        Batch calldata batch,
        address reporter,
        uint256[] calldata indexes,
        uint256 agreed,
        bytes calldata units
    ) external onlyTrainer returns (uint256 amountWei, uint256 reported) {
        Stake storage stake = _stakes[batch.id];
        uint256 settled = stake.settled;
        uint256 reportedBefore = _reportedBy[batch.id][reporter];
        uint256 shareWei = validatedWei[reporter];
        uint256 totalWei = totalValidatedWei;
        for (uint256 i = 0; i < indexes.length; i++) {
            uint256 index = indexes[i];
            uint256 bit = 1 << index;
            if ((reportedBefore | reported) & bit != 0) revert AlreadyReported(batch.id, index, reporter);
            if (settled & bit != 0 || (agreed >> i) & 1 == 1) continue;
            uint256 depositWei = batch.depositPerUnit * _unitsAt(units, i);
            uint256 takenWei = (depositWei * shareWei) / totalWei;
            if (takenWei == 0) continue;
            uint256 leftWei = depositWei - _reportedWei[batch.id][index];
            if (takenWei >= leftWei) {
                takenWei = leftWei;
                settled |= bit;
            }
            _reportedWei[batch.id][index] += uint128(takenWei);
            reported |= bit;
            amountWei += takenWei;
        }
        if (reported == 0) return (0, 0);
        _reportedBy[batch.id][reporter] = reportedBefore | reported;
        stake.settled = settled;
        stake.reported |= reported;
        stake.paidWei += uint128(amountWei);
    }

    /// @inheritdoc IIncentiveMechanism
    function settleSweep(Batch calldata batch, address sweeper, address owner)
        external
        onlyTrainer
        returns (uint256 amountWei)
    {
        _requireReached(batch, sweeper == owner ? _terms.ownerWaitS : _terms.publicWaitS);
        Stake storage stake = _stakes[batch.id];
        amountWei = uint256(batch.depositPerUnit) * batch.units - stake.paidWei;
        if (amountWei == 0) revert NothingLeft(batch.id);
        stake.settled = _allSamples(batch);
        stake.paidWei += uint128(amountWei);
        stake.swept = true;
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
        return (stake.settled, stake.paidWei, stake.swept);
    }

    /// @inheritdoc IIncentiveMechanism
    function reportedWei(uint256 batchId, uint256 index) external view returns (uint256) {
        return _reportedWei[batchId][index];
    }

    /// @inheritdoc IIncentiveMechanism
    function hasReported(uint256 batchId, uint256 index, address reporter) external view returns (bool) {
        return (_reportedBy[batchId][reporter] >> index) & 1 == 1;
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
