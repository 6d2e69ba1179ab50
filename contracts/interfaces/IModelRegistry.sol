// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "./IIncentiveMechanism.sol";
import {ModelParams} from "./IModel.sol";

/// @notice What an implementation is for.
enum Role {
    None,
    Trainer,
    DataHandler,
    Model,
    Incentive
}

/// @notice Everything that makes a new model.
/// @param name Its name, unique among its owner's: 1 to 32 of `a-z`, `0-9` and `-`.
/// @param featureSpec How rows become features: canonical JSON.
/// @param modelCode The type of the model, by the hash of its creation code.
/// @param incentiveCode The type of the incentive mechanism, by the hash of its creation code.
/// @param model The shape of the model.
/// @param terms Prices and waits.
struct CreateParams {
    string name;
    string featureSpec;
    bytes32 modelCode;
    bytes32 incentiveCode;
    ModelParams model;
    Terms terms;
}

/// @title Makes models and lists those that it made
/// @notice A model's four contracts are minimal proxies (EIP-1167) made and set up in one transaction, so what the registry
/// lists is what its implementations say. Whoever creates a model owns it.
///
/// Implementations are installed when they are first needed, by anybody, and only those whose creation code the registry knew
/// when it was made. They are made by CREATE2: their addresses are hashes over their creation code, so whoever knows the
/// registry's address knows that they never had, nor can have, any other code.
interface IModelRegistry {
    /// @notice A name is 1 to 32 of `a-z`, `0-9` and `-`.
    error InvalidName(string name);

    /// @notice The caller has a model of this name.
    error NameTaken(address owner, string name, address trainer);

    /// @notice The registry does not know this creation code, or not in this role.
    error UnknownCode(bytes32 codeHash);

    /// @notice The implementation must be installed first.
    error NotInstalled(bytes32 codeHash);

    /// @notice The registry did not make this model; or it cannot supersede itself.
    error UnknownModel(address trainer);

    /// @notice Only its owner may say that a model is superseded.
    error NotModelOwner(address caller, address owner);

    /// @notice An implementation is there to be cloned.
    /// @param codeHash The hash of its creation code.
    /// @param implementation Its address.
    event Installed(bytes32 indexed codeHash, address implementation);

    /// @notice A model was created.
    /// @param trainer Its entry contract, which is its address for every purpose.
    /// @param owner Who created it.
    /// @param modelCode The type of the model, by the hash of its creation code.
    /// @param incentiveCode The type of the incentive mechanism, likewise.
    /// @param name Its name among the owner's.
    /// @param model The model contract.
    /// @param incentive The incentive mechanism.
    /// @param dataHandler The data handler.
    /// @param featureSpec How rows become features.
    event ModelCreated(
        address indexed trainer,
        address indexed owner,
        bytes32 indexed modelCode,
        bytes32 incentiveCode,
        string name,
        address model,
        address incentive,
        address dataHandler,
        string featureSpec
    );

    /// @notice Its owner recommends another model instead. Nothing else changes: a client never follows unasked.
    /// @param trainer The model.
    /// @param successor The other one; zero takes the recommendation back.
    event Superseded(address indexed trainer, address indexed successor);

    /// @notice Makes implementations available. Those that are there already are passed over.
    /// @param creationCodes Their creation code.
    function install(bytes[] calldata creationCodes) external;

    /// @notice Makes a model owned by the caller. It must be sealed before anyone can contribute.
    /// @param params What to make.
    /// @return trainer The address of its entry contract.
    function create(CreateParams calldata params) external returns (address trainer);

    /// @notice Says that another model should be used instead, or takes that back. Only the model's owner may call this.
    /// @param trainer The model.
    /// @param successor Another model of this registry, or zero.
    function supersede(address trainer, address successor) external;

    /// @notice The model of an owner by its name; zero if there is none.
    function modelOf(address owner, string calldata name) external view returns (address trainer);

    /// @notice Whether this registry made the trainer.
    function isModel(address trainer) external view returns (bool);

    /// @notice What the owner recommends instead of this model; zero if nothing.
    function supersededBy(address trainer) external view returns (address successor);

    /// @notice How many models there are.
    function modelCount() external view returns (uint256);

    /// @notice A page of the list of models, oldest first.
    /// @param start The number of the first to return.
    /// @param count How many to return; fewer where the list ends.
    /// @return trainers The addresses of their trainers.
    function models(uint256 start, uint256 count) external view returns (address[] memory trainers);

    /// @notice The hash of the creation code of trainers.
    function trainerCode() external view returns (bytes32 codeHash);

    /// @notice The hash of the creation code of data handlers.
    function dataHandlerCode() external view returns (bytes32 codeHash);

    /// @notice What an implementation is for; `None` if the registry does not know it.
    function roleOf(bytes32 codeHash) external view returns (Role);

    /// @notice Where an implementation is, or will be once it is installed.
    function implementationOf(bytes32 codeHash) external view returns (address);
}
