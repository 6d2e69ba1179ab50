// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {CollaborativeTrainer} from "./CollaborativeTrainer.sol";
import {DataHandler} from "./data/DataHandler.sol";
import {StakeIncentive} from "./incentives/StakeIncentive.sol";
import {ICollaborativeTrainer} from "./interfaces/ICollaborativeTrainer.sol";
import {IDataHandler} from "./interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "./interfaces/IIncentiveMechanism.sol";
import {IModel} from "./interfaces/IModel.sol";
import {CreateParams, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {CodeStorage} from "./libraries/CodeStorage.sol";
import {Perceptron} from "./models/Perceptron.sol";

/// @title Makes models and lists those that it made
contract ModelRegistry is IModelRegistry {
    uint256 private constant MAX_NAME_BYTES = 32;

    /// @inheritdoc IModelRegistry
    address public immutable trainerImplementation;
    /// @inheritdoc IModelRegistry
    address public immutable modelImplementation;
    /// @inheritdoc IModelRegistry
    address public immutable incentiveImplementation;
    /// @inheritdoc IModelRegistry
    address public immutable dataHandlerImplementation;

    /// @inheritdoc IModelRegistry
    mapping(address trainer => bool) public isModel;
    /// @inheritdoc IModelRegistry
    mapping(address owner => mapping(string name => address)) public modelOf;
    address[] private _trainers;

    /// @dev It creates the implementations itself, by CREATE2: their addresses are hashes over their creation code, so whoever
    /// knows the registry's address knows that they never had, nor can have, any other code.
    constructor() {
        trainerImplementation = address(new CollaborativeTrainer{salt: 0}());
        modelImplementation = address(new Perceptron{salt: 0}());
        incentiveImplementation = address(new StakeIncentive{salt: 0}());
        dataHandlerImplementation = address(new DataHandler{salt: 0}());
    }

    /// @inheritdoc IModelRegistry
    function create(CreateParams calldata params) external returns (address trainer) {
        _requireValidName(params.name);
        trainer = modelOf[msg.sender][params.name];
        if (trainer != address(0)) revert NameTaken(msg.sender, params.name, trainer);

        // The sender is part of the salt, so nobody can take somebody else's addresses. Clients compute it again from what the
        // trainer says of itself (`ICollaborativeTrainer.registry`).
        bytes32 salt = keccak256(abi.encode(msg.sender, params.name));
        trainer = Clones.cloneDeterministic(trainerImplementation, salt);
        address model = Clones.cloneDeterministic(modelImplementation, salt);
        address incentive = Clones.cloneDeterministic(incentiveImplementation, salt);
        address dataHandler = Clones.cloneDeterministic(dataHandlerImplementation, salt);

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
        emit ModelCreated(trainer, msg.sender, params.name, model, incentive, dataHandler, params.featureSpec);
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
