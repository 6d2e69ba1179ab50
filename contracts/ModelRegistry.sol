// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {ICollaborativeTrainer} from "./interfaces/ICollaborativeTrainer.sol";
import {IDataHandler} from "./interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "./interfaces/IIncentiveMechanism.sol";
import {IModel} from "./interfaces/IModel.sol";
import {CreateParams, IModelRegistry, Role} from "./interfaces/IModelRegistry.sol";
import {CodeStorage} from "./libraries/CodeStorage.sol";

/// @title Makes models and lists those that it made
contract ModelRegistry is IModelRegistry {
    uint256 private constant MAX_NAME_BYTES = 32;

    /// @inheritdoc IModelRegistry
    bytes32 public trainerCode;
    /// @inheritdoc IModelRegistry
    bytes32 public dataHandlerCode;
    /// @inheritdoc IModelRegistry
    mapping(bytes32 codeHash => Role) public roleOf;

    /// @inheritdoc IModelRegistry
    mapping(address trainer => bool) public isModel;
    /// @inheritdoc IModelRegistry
    mapping(address owner => mapping(string name => address)) public modelOf;
    /// @inheritdoc IModelRegistry
    mapping(address trainer => address) public supersededBy;
    address[] private _trainers;

    /// @dev All storage, no immutables, so that a registry's code is the same everywhere and can be compared.
    /// @param trainerCode_ The hash of the creation code of trainers.
    /// @param dataHandlerCode_ The hash of the creation code of data handlers.
    /// @param modelCodes The hashes of the creation code of each type of model.
    /// @param incentiveCodes The hashes of the creation code of each type of incentive mechanism.
    constructor(
        bytes32 trainerCode_,
        bytes32 dataHandlerCode_,
        bytes32[] memory modelCodes,
        bytes32[] memory incentiveCodes
    ) {
        trainerCode = trainerCode_;
        dataHandlerCode = dataHandlerCode_;
        roleOf[trainerCode_] = Role.Trainer;
        roleOf[dataHandlerCode_] = Role.DataHandler;
        for (uint256 i = 0; i < modelCodes.length; i++) {
            roleOf[modelCodes[i]] = Role.Model;
        }
        for (uint256 i = 0; i < incentiveCodes.length; i++) {
            roleOf[incentiveCodes[i]] = Role.Incentive;
        }
    }

    /// @inheritdoc IModelRegistry
    function install(bytes[] calldata creationCodes) external {
        for (uint256 i = 0; i < creationCodes.length; i++) {
            bytes memory creationCode = creationCodes[i];
            bytes32 codeHash = keccak256(creationCode);
            if (roleOf[codeHash] == Role.None) revert UnknownCode(codeHash);
            // Somebody else may have been faster, and that must not stop the others.
            if (implementationOf(codeHash).code.length > 0) continue;
            emit Installed(codeHash, Create2.deploy(0, 0, creationCode));
        }
    }

    /// @inheritdoc IModelRegistry
    function create(CreateParams calldata params) external returns (address trainer) {
        _requireValidName(params.name);
        trainer = modelOf[msg.sender][params.name];
        if (trainer != address(0)) revert NameTaken(msg.sender, params.name, trainer);

        // The sender is part of the salt, so nobody can take somebody else's addresses. Clients compute it again from what the
        // trainer says of itself (`ICollaborativeTrainer.registry`).
        bytes32 salt = keccak256(abi.encode(msg.sender, params.name));
        trainer = _clone(trainerCode, Role.Trainer, salt);
        address model = _clone(params.modelCode, Role.Model, salt);
        address incentive = _clone(params.incentiveCode, Role.Incentive, salt);
        address dataHandler = _clone(dataHandlerCode, Role.DataHandler, salt);

        modelOf[msg.sender][params.name] = trainer;
        isModel[trainer] = true;
        _trainers.push(trainer);

        IModel(model).initialize(trainer, params.model);
        IIncentiveMechanism(incentive).initialize(trainer, params.terms);
        IDataHandler(dataHandler).initialize(trainer);
        ICollaborativeTrainer(trainer)
            .initialize(
                msg.sender,
                params.name,
                IModel(model),
                IIncentiveMechanism(incentive),
                IDataHandler(dataHandler),
                CodeStorage.write(bytes(params.featureSpec))
            );
        emit ModelCreated(
            trainer,
            msg.sender,
            params.modelCode,
            params.incentiveCode,
            params.name,
            model,
            incentive,
            dataHandler,
            params.featureSpec
        );
    }

    /// @inheritdoc IModelRegistry
    function supersede(address trainer, address successor) external {
        if (!isModel[trainer]) revert UnknownModel(trainer);
        address owner = ICollaborativeTrainer(trainer).owner();
        if (msg.sender != owner) revert NotModelOwner(msg.sender, owner);
        if (successor == trainer || (successor != address(0) && !isModel[successor])) {
            revert UnknownModel(successor);
        }
        supersededBy[trainer] = successor;
        emit Superseded(trainer, successor);
    }

    /// @inheritdoc IModelRegistry
    function modelCount() external view returns (uint256) {
        return _trainers.length;
    }

    /// @inheritdoc IModelRegistry
    function models(uint256 start, uint256 count) external view returns (address[] memory trainers) {
        uint256 total = _trainers.length;
        if (start > total) start = total;
        if (count > total - start) count = total - start;
        trainers = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            trainers[i] = _trainers[start + i];
        }
    }

    /// @inheritdoc IModelRegistry
    function implementationOf(bytes32 codeHash) public view returns (address) {
        return Create2.computeAddress(0, codeHash);
    }

    /// @dev A clone of an implementation that was installed: one that is missing would take every call and do nothing.
    function _clone(bytes32 codeHash, Role role, bytes32 salt) private returns (address) {
        if (roleOf[codeHash] != role) revert UnknownCode(codeHash);
        address implementation = implementationOf(codeHash);
        if (implementation.code.length == 0) revert NotInstalled(codeHash);
        return Clones.cloneDeterministic(implementation, salt);
    }

    function _requireValidName(string calldata name) private pure {
        bytes calldata text = bytes(name);
        if (text.length == 0 || text.length > MAX_NAME_BYTES) revert InvalidName(name);
        for (uint256 i = 0; i < text.length; i++) {
            bytes1 letter = text[i];
            bool valid = (letter >= "a" && letter <= "z") || (letter >= "0" && letter <= "9") || letter == "-";
            if (!valid) revert InvalidName(name);
        }
    }
}
