// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a contributor has earned.
/// @param contributor The contributor.
/// @param modelPoints Its informative samples that the model confirmed after the wait.
/// @param validationPoints How many other contributors validated it; never more than its model points.
struct Standing {
    address contributor;
    uint64 modelPoints;
    uint64 validationPoints;
}

/// @title Contributions for points instead of money
/// @notice A *model point* is earned by a refund for each informative sample with which the model agrees, and never lost.
/// A *validation point* is given by another contributor, who must have earned some model points and spends one of them each
/// time. Who has a model point is a contributor; contributors are numbered from 0, in the order of their first point.
interface IPoints {
    /// @notice Nothing was deposited, so there is nothing to report or to sweep.
    error NothingAtStake(uint256 batchId);

    /// @notice Nobody validates itself.
    error OwnValidation(address validator);

    /// @notice Only who has earned this many model points can validate others.
    error TooFewPoints(address validator, uint256 modelPoints, uint256 requiredPoints);

    /// @notice The validator has spent all of its model points.
    error NothingToSpend(address validator, uint256 spentPoints);

    /// @notice A validator counts once per contributor.
    error AlreadyValidated(address validator, address contributor);

    /// @notice The contributor has as many validation points as model points, and cannot have more.
    error FullyValidated(address contributor, uint256 modelPoints);

    /// @notice A refund earned model points.
    /// @param contributor Who earned them.
    /// @param batchId The batch.
    /// @param points How many it earned.
    /// @param modelPoints How many it has now.
    event PointsEarned(
        address indexed contributor, uint256 indexed batchId, uint256 points, uint256 modelPoints
    );

    /// @notice A contributor spent a point to validate another.
    /// @param validator Who spent it.
    /// @param contributor Who got a validation point.
    /// @param validationPoints How many it has now.
    event Validated(address indexed validator, address indexed contributor, uint256 validationPoints);

    /// @notice Gives a contributor a validation point and spends a model point of the caller: a contributor that has earned enough
    /// of them (`pointsToValidate`), and validates this one for the first time. Points that are spent count as earned still.
    /// @param contributor Who gets it.
    function validate(address contributor) external;

    /// @notice How many model points one must have earned to validate others.
    function pointsToValidate() external view returns (uint256);

    /// @notice The account of a contributor; all 0 if it is none.
    /// @return modelPoints How many model points it has earned.
    /// @return validationPoints How many others validated it.
    /// @return spentPoints How many of its model points it spent, which is how many others it validated.
    function pointsOf(address contributor)
        external
        view
        returns (uint256 modelPoints, uint256 validationPoints, uint256 spentPoints);

    /// @notice Whether a validator has validated a contributor.
    function hasValidated(address validator, address contributor) external view returns (bool);

    /// @notice How many contributors there are.
    function contributorCount() external view returns (uint256);

    /// @notice A page of the contributors, in the order of their first point.
    /// @param start The number of the first to return.
    /// @param count How many to return; fewer where the list ends.
    function leaderboard(uint256 start, uint256 count) external view returns (Standing[] memory standings);

    /// @notice A page of whom a contributor validated, oldest first.
    /// @param validator The contributor.
    /// @param start The number of the first to return.
    /// @param count How many to return; fewer where the list ends.
    function validationsBy(address validator, uint256 start, uint256 count)
        external
        view
        returns (address[] memory contributors);

    /// @notice The contributors that are trusted by who trusts the roots: the roots themselves, whom they validated, whom those
    /// validated, and so on. Nearest first, each once. Addresses validated by none of them cannot get in, however many they are.
    /// @param roots Whom the viewer trusts; those that are no contributors are skipped.
    /// @param limit The most to return.
    function reachable(address[] calldata roots, uint256 limit)
        external
        view
        returns (Standing[] memory standings);
}
