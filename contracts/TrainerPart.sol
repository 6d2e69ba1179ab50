// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ITrainerPart} from "./interfaces/ITrainerPart.sol";

/// @title A contract that serves one trainer, and whose implementation serves none
abstract contract TrainerPart is ITrainerPart {
    /// @inheritdoc ITrainerPart
    address public trainer;

    /// @dev Refuses everyone but the trainer.
    modifier onlyTrainer() {
        if (msg.sender != trainer) revert NotTrainer(msg.sender, trainer);
        _;
    }

    /// @dev Runs for the implementation only, never for its clones: it can be initialised by nobody.
    constructor() {
        trainer = address(this);
    }

    /// @dev Binds a fresh clone to its trainer.
    function _bind(address trainer_) internal {
        if (trainer != address(0)) revert AlreadyInitialized();
        trainer = trainer_;
    }
}
