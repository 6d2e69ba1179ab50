// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrainerPart} from "../TrainerPart.sol";
import {Batch, IDataHandler} from "../interfaces/IDataHandler.sol";

/// @title One slot per batch: the hash of its meta-data
contract DataHandler is IDataHandler, TrainerPart {
    /// @inheritdoc IDataHandler
    mapping(uint256 batchId => bytes32) public batchHash;

    /// @inheritdoc IDataHandler
    function initialize(address trainer_) external {
        _bind(trainer_);
    }

    /// @inheritdoc IDataHandler
    function commit(Batch calldata batch) external onlyTrainer {
        batchHash[batch.id] = _hash(batch);
    }

    /// @inheritdoc IDataHandler
    function verify(Batch calldata batch) external view returns (bool) {
        return batchHash[batch.id] == _hash(batch);
    }

    function _hash(Batch calldata batch) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                batch.contributor,
                batch.addedAt,
                batch.depositPerUnit,
                batch.count,
                batch.units,
                batch.informative,
                batch.samplesRoot
            )
        );
    }
}
