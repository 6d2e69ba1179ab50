// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {Batch} from "../interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../interfaces/IIncentiveMechanism.sol";
import {IPoints, Standing} from "../interfaces/IPoints.sol";
import {Badges} from "./Badges.sol";

/// @title Points and badges instead of money
/// @notice Contributing costs nothing but gas. A refund pays no wei: it earns model points. Of the terms only the refund wait
/// counts, and all others must be 0.
contract PointsIncentive is IIncentiveMechanism, IPoints, Badges {
    using BitMaps for BitMaps.BitMap;

    /// @dev One slot.
    /// @param modelPoints Never fewer than before, nor than any of the other points.
    /// @param validationPoints How many others validated it.
    /// @param spentPoints How many others it validated.
    /// @param number Its place among the contributors. There are fewer than 2^32, who wrote a fresh slot each.
    struct Account {
        uint64 modelPoints;
        uint64 validationPoints;
        uint64 spentPoints;
        uint32 number;
    }

    uint256 private constant MAX_WAIT_S = 36_525 days;

    /// @inheritdoc IPoints
    uint256 public constant pointsToValidate = 20;

    uint64 private _refundWaitS;
    mapping(uint256 batchId => uint256 samples) private _settled;
    mapping(address contributor => Account) private _accounts;
    address[] private _contributors;

    // Twice: the list is for who follows the edges, the bitmap finds one of them.
    mapping(address validator => uint32[] numbers) private _validated;
    mapping(address validator => BitMaps.BitMap numbers) private _hasValidated;

    /// @inheritdoc IIncentiveMechanism
    function initialize(address trainer_, Terms calldata terms_) external {
        _bind(trainer_);
        bool onlyRefundWait = terms_.reportWaitS == 0 && terms_.ownerWaitS == 0 && terms_.publicWaitS == 0
            && terms_.minGapS == 0 && terms_.maxIdleS == 0 && terms_.costWeightWei == 0;
        if (!onlyRefundWait || terms_.refundWaitS == 0 || terms_.refundWaitS > MAX_WAIT_S) {
            revert InvalidTerms(terms_);
        }
        _refundWaitS = terms_.refundWaitS;
    }

    /// @inheritdoc IIncentiveMechanism
    /// @dev Always 0.
    function depositPerUnit(uint256, uint256) external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IIncentiveMechanism
    function authorizeRefund(Batch calldata batch, address claimant, uint256 mask)
        external
        view
        returns (uint256 open)
    {
        if (claimant != batch.contributor) revert NotContributor(batch.id, claimant, batch.contributor);
        uint256 availableAt = uint256(batch.addedAt) + _refundWaitS;
        if (block.timestamp < availableAt) revert TooEarly(batch.id, availableAt, block.timestamp);
        uint256 allSamples = type(uint256).max >> (256 - batch.count);
        if (mask == 0 || mask & ~allSamples != 0) revert InvalidMask(batch.id, mask, batch.count);
        return mask & ~_settled[batch.id];
    }

    /// @inheritdoc IIncentiveMechanism
    /// @dev Pays nothing: each of them that is informative earns a model point.
    function settleRefund(Batch calldata batch, uint256 refunded, bytes calldata)
        external
        onlyTrainer
        returns (uint256)
    {
        _settled[batch.id] |= refunded;
        uint64 earned = _countBits(refunded & batch.informative);
        if (earned > 0) _earn(batch.contributor, batch.id, earned);
        return 0;
    }

    /// @inheritdoc IIncentiveMechanism
    /// @dev Refuses always: there is nothing to take.
    function settleReport(Batch calldata batch, address, uint256[] calldata, uint256, bytes calldata)
        external
        pure
        returns (uint256, uint256)
    {
        revert NothingAtStake(batch.id);
    }

    /// @inheritdoc IIncentiveMechanism
    /// @dev Refuses always: there is nothing to take.
    function settleSweep(Batch calldata batch, address, address) external pure returns (uint256) {
        revert NothingAtStake(batch.id);
    }

    /// @inheritdoc IPoints
    function validate(address contributor) external {
        if (contributor == msg.sender) revert OwnValidation(msg.sender);
        Account storage validator = _accounts[msg.sender];
        Account storage validated = _accounts[contributor];
        uint64 earned = validator.modelPoints;
        uint64 spent = validator.spentPoints;
        uint64 validationPoints = validated.validationPoints;
        uint32 number = validated.number;
        if (earned < pointsToValidate) revert TooFewPoints(msg.sender, earned, pointsToValidate);
        if (spent == earned) revert NothingToSpend(msg.sender, spent);
        // Who is no contributor is refused here: none of its no points is left to be validated.
        if (validationPoints == validated.modelPoints) revert FullyValidated(contributor, validationPoints);
        if (_hasValidated[msg.sender].get(number)) revert AlreadyValidated(msg.sender, contributor);

        _hasValidated[msg.sender].set(number);
        _validated[msg.sender].push(number);
        validator.spentPoints = spent + 1;
        validated.validationPoints = validationPoints + 1;
        emit Validated(msg.sender, contributor, validationPoints + 1);
    }

    /// @inheritdoc IPoints
    function pointsOf(address contributor)
        external
        view
        returns (uint256 modelPoints, uint256 validationPoints, uint256 spentPoints)
    {
        Account storage account = _accounts[contributor];
        return (account.modelPoints, account.validationPoints, account.spentPoints);
    }

    /// @inheritdoc IPoints
    function hasValidated(address validator, address contributor) external view returns (bool) {
        Account storage account = _accounts[contributor];
        // Whoever has no points has no number either.
        return account.modelPoints > 0 && _hasValidated[validator].get(account.number);
    }

    /// @inheritdoc IPoints
    function contributorCount() external view returns (uint256) {
        return _contributors.length;
    }

    /// @inheritdoc IPoints
    function leaderboard(uint256 start, uint256 count) external view returns (Standing[] memory standings) {
        (start, count) = _page(_contributors.length, start, count);
        standings = new Standing[](count);
        for (uint256 i = 0; i < count; i++) {
            standings[i] = _standing(start + i);
        }
    }

    /// @inheritdoc IPoints
    function validationsBy(address validator, uint256 start, uint256 count)
        external
        view
        returns (address[] memory contributors)
    {
        uint32[] storage numbers = _validated[validator];
        (start, count) = _page(numbers.length, start, count);
        contributors = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            contributors[i] = _contributors[numbers[start + i]];
        }
    }

    /// @inheritdoc IPoints
    function reachable(address[] calldata roots, uint256 limit)
        external
        view
        returns (Standing[] memory standings)
    {
        uint256 total = _contributors.length;
        if (limit > total) limit = total;
        // What was found is the queue of the search, too.
        standings = new Standing[](limit);
        uint256[] memory seen = new uint256[](total / 256 + 1);
        uint256 found;
        for (uint256 i = 0; i < roots.length && found < limit; i++) {
            Account storage root = _accounts[roots[i]];
            if (root.modelPoints > 0 && _isNew(seen, root.number)) {
                standings[found++] = _standing(root.number);
            }
        }
        for (uint256 next = 0; next < found && found < limit; next++) {
            uint32[] storage numbers = _validated[standings[next].contributor];
            uint256 count = numbers.length;
            for (uint256 i = 0; i < count && found < limit; i++) {
                uint256 number = numbers[i];
                if (_isNew(seen, number)) standings[found++] = _standing(number);
            }
        }
        assembly ("memory-safe") {
            mstore(standings, found)
        }
    }

    /// @inheritdoc IIncentiveMechanism
    function incentiveType() external pure returns (string memory) {
        return "points";
    }

    /// @inheritdoc IIncentiveMechanism
    function terms() external view returns (Terms memory terms_) {
        terms_.refundWaitS = _refundWaitS;
    }

    /// @inheritdoc IIncentiveMechanism
    function stakeOf(uint256 batchId) external view returns (uint256 settled, uint256 paidWei, bool swept) {
        return (_settled[batchId], 0, false);
    }

    /// @inheritdoc IIncentiveMechanism
    function reportedWei(uint256, uint256) external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IIncentiveMechanism
    function hasReported(uint256, uint256, address) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IIncentiveMechanism
    function validatedUnits(address) external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IIncentiveMechanism
    function totalValidatedUnits() external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc Badges
    function _modelPointsOf(address contributor) internal view override returns (uint256) {
        return _accounts[contributor].modelPoints;
    }

    /// @dev Credits points; the first one makes somebody a contributor.
    function _earn(address contributor, uint256 batchId, uint64 earned) private {
        Account storage account = _accounts[contributor];
        uint64 before = account.modelPoints;
        if (before == 0) {
            account.number = uint32(_contributors.length);
            _contributors.push(contributor);
        }
        account.modelPoints = before + earned;
        emit PointsEarned(contributor, batchId, earned, before + earned);
        _tellNewBadges(contributor, before, before + earned);
    }

    function _standing(uint256 number) private view returns (Standing memory) {
        address contributor = _contributors[number];
        Account storage account = _accounts[contributor];
        return Standing(contributor, account.modelPoints, account.validationPoints);
    }

    /// @dev Cuts a page where the list ends.
    function _page(uint256 total, uint256 start, uint256 count) private pure returns (uint256, uint256) {
        if (start > total) start = total;
        return (start, count < total - start ? count : total - start);
    }

    /// @dev Whether a bit is not set; sets it.
    function _isNew(uint256[] memory bits, uint256 number) private pure returns (bool) {
        uint256 bit = 1 << (number % 256);
        if (bits[number / 256] & bit != 0) return false;
        bits[number / 256] |= bit;
        return true;
    }

    function _countBits(uint256 bits) private pure returns (uint64 count) {
        unchecked {
            // Each step takes away the lowest one.
            for (; bits != 0; bits &= bits - 1) {
                count++;
            }
        }
    }
}
