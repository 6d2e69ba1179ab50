// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "./IIncentiveMechanism.sol";
import {ModelParams} from "./IModel.sol";

/// @notice Everything that makes a new model.
/// @param name Its name, unique among its owner's: 1 to 32 of `a-z`, `0-9` and `-`.
/// @param featureSpec How rows become features: canonical JSON.
/// @param model The shape of the model.
/// @param terms Prices and waits.
struct CreateParams {
    string name;
    string featureSpec;
    ModelParams model;
    Terms terms;
}

/// @title Makes models and lists those that it made
/// @notice A model's four contracts are minimal proxies (EIP-1167) made and set up in one transaction, so what the registry
/// lists is what its implementations say. Whoever creates a model owns it.
interface IModelRegistry {
    /// @notice A name is 1 to 32 of `a-z`, `0-9` and `-`.
    error InvalidName(string name);

    /// @notice The caller has a model of this name.
    error NameTaken(address owner, string name, address trainer);

    /// @notice A model was created.
    /// @param trainer Its entry contract, which is its address for every purpose.
    /// @param owner Who created it.
    /// @param name Its name among the owner's.
    /// @param model The model contract.
    /// @param incentive The incentive mechanism.
    /// @param dataHandler The data handler.
    /// @param featureSpec How rows become features.
    event ModelCreated(
        address indexed trainer,
        address indexed owner,
        string name,
        address model,
        address incentive,
        address dataHandler,
        string featureSpec
    );

    /// @notice Makes a model owned by the caller. It must be sealed before anyone can contribute.
    /// @param params What to make.
    /// @return trainer The address of its entry contract.
    function create(CreateParams calldata params) external returns (address trainer);

    /// @notice The model of an owner by its name; zero if there is none.
    function modelOf(address owner, string calldata name) external view returns (address trainer);

    /// @notice Whether this registry made the trainer.
    function isModel(address trainer) external view returns (bool);

    /// @notice How many models there are.
    function modelCount() external view returns (uint256);

    /// @notice A page of the list of models, oldest first.
    /// @param start The number of the first to return.
    /// @param count How many to return; fewer where the list ends.
    /// @return trainers The addresses of their trainers.
    function models(uint256 start, uint256 count) external view returns (address[] memory trainers);

    /// @notice What the trainers run.
    function trainerImplementation() external view returns (address);

    /// @notice What the models run.
    function modelImplementation() external view returns (address);

    /// @notice What the incentive mechanisms run.
    function incentiveImplementation() external view returns (address);

    /// @notice What the data handlers run.
    function dataHandlerImplementation() external view returns (address);
}
