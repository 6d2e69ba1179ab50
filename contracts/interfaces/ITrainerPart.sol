// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A contract that serves one trainer
interface ITrainerPart {
    /// @notice Only the trainer may do this.
    error NotTrainer(address caller, address trainer);

    /// @notice A contract is initialised once; implementations behind clones never are.
    error AlreadyInitialized();

    /// @notice The trainer that this contract serves; zero before it is initialised.
    function trainer() external view returns (address);
}
