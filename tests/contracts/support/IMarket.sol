// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {IMarketReplay} from "../../../contracts/interfaces/IMarketReplay.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {
    IPredictionMarket,
    MarketParams,
    MarketRules,
    Participant,
    Phase
} from "../../../contracts/interfaces/IPredictionMarket.sol";

/// What a market answers to. Tests call the contracts as they are shipped, and importing those would compile them again.
interface IMarket is IPredictionMarket {
    function initialize(
        address provider,
        IModelRegistry registry,
        IMarketReplay replay,
        MarketParams calldata params
    ) external payable;
    function writeInitialWeights(uint256 firstWord, uint256[] calldata words) external;
    function drawPiece(bytes calldata header) external;
    function revealPiece(uint256 index, bytes32 salt, bytes calldata payload) external;
    function commit(bytes32 commitment, uint256 units) external payable;
    function reveal(bytes32 salt, bytes calldata payload) external;
    function drawOrder(bytes calldata header) external;
    function drawAgain() external;
    function step(uint256 limit) external returns (uint256 done);
    function fail() external;
    function collect(address account) external;
    function collectLeft() external;

    function provider() external view returns (address);
    function phase() external view returns (Phase);
    function drawBlock() external view returns (uint64);
    function drawnPiece() external view returns (uint16);
    function piecesRevealed() external view returns (uint16);
    function since() external view returns (uint64);
    function trainer() external view returns (ICollaborativeTrainer);
    function replay() external view returns (IMarketReplay);
    function leftWei() external view returns (uint128);
    function leftFrom() external view returns (uint64);
    function wordsPublished() external view returns (uint32);
    function unitsTaken() external view returns (uint16);
    function ordersTried() external view returns (uint8);
    function pieceHash(uint256 index, bytes32 salt, bytes calldata payload) external view returns (bytes32);
    function commitmentOf(address account, uint256 units, bytes32 salt, bytes calldata payload)
        external
        view
        returns (bytes32);
    function quote(uint256 units) external view returns (uint256 stakeWei);
    function rules() external view returns (MarketRules memory);
    function participants() external view returns (address[] memory);
    function participantOf(address account) external view returns (Participant memory);
    function reserveWei(MarketParams calldata params) external pure returns (uint256);
}

/// What the factory of markets answers to.
interface IMarkets {
    error NameTaken(address provider, string name, address market);

    event MarketCreated(address indexed market, address indexed provider, string name);

    function create(IModelRegistry registry, MarketParams calldata params)
        external
        payable
        returns (address market);
    function addressOf(address provider, string calldata name) external view returns (address);
    function isMarket(address market) external view returns (bool);
    function marketCount() external view returns (uint256);
    function markets(uint256 start, uint256 count) external view returns (address[] memory);
    function marketImplementation() external view returns (address);
    function replayImplementation() external view returns (address);
}
