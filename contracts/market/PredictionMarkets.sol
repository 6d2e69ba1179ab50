// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IMarketReplay} from "../interfaces/IMarketReplay.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {MarketParams} from "../interfaces/IPredictionMarket.sol";
import {MarketReplay} from "./MarketReplay.sol";
import {PredictionMarket} from "./PredictionMarket.sol";

/// @title Makes prediction markets and lists those that it made
contract PredictionMarkets {
    /// @notice The caller has a market of this name.
    error NameTaken(address provider, string name, address market);

    /// @notice A market was made.
    event MarketCreated(address indexed market, address indexed provider, string name);

    address public immutable marketImplementation;
    address public immutable replayImplementation;
    mapping(address market => bool) public isMarket;
    address[] private _markets;

    constructor(address market, address replay) {
        marketImplementation = market;
        replayImplementation = replay;
    }

    /// @notice Where a market of this provider and name is, or will be: the hashes of its pieces are for this address.
    function addressOf(address provider, string calldata name) public view returns (address) {
        return Clones.predictDeterministicAddress(marketImplementation, _salt(provider, name));
    }

    /// @notice Makes a market, for bounty and reserve; what is paid beyond them is the reserve's.
    function create(IModelRegistry registry, MarketParams calldata params)
        external
        payable
        returns (address market)
    {
        market = addressOf(msg.sender, params.name);
        if (isMarket[market]) revert NameTaken(msg.sender, params.name, market);
        bytes32 salt = _salt(msg.sender, params.name);
        // Its address is known.
        // slither-disable-next-line unused-return
        Clones.cloneDeterministic(marketImplementation, salt);
        isMarket[market] = true;
        _markets.push(market);
        emit MarketCreated(market, msg.sender, params.name);
        PredictionMarket(market).initialize{value: msg.value}(
            msg.sender, registry, IMarketReplay(Clones.cloneDeterministic(replayImplementation, salt)), params
        );
    }

    /// @notice How many markets there are.
    function marketCount() external view returns (uint256) {
        return _markets.length;
    }

    /// @notice A page of the list of markets, oldest first.
    function markets(uint256 start, uint256 count) external view returns (address[] memory page) {
        uint256 total = _markets.length;
        if (start > total) start = total;
        if (count > total - start) count = total - start;
        page = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            page[i] = _markets[start + i];
        }
    }

    function _salt(address provider, string calldata name) private pure returns (bytes32) {
        return keccak256(abi.encode(provider, name));
    }
}
