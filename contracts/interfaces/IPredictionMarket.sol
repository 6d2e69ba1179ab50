// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer} from "./ICollaborativeTrainer.sol";
import {Terms} from "./IIncentiveMechanism.sol";
import {IModel, ModelParams} from "./IModel.sol";

/// @notice What holds in a market.
/// @param pieces The hashes of the pieces of the test set, 2 to 112. Together they have at most 24,576 bytes, each its equal part.
/// @param pieceSamples How many samples every piece has; at most 224 in all.
/// @param bountyWei What is shared out. What is paid beyond it is the reserve for steps.
/// @param rounds How often at most the test is paid for: a test sample more or less is worth `bountyWei / rounds / samples`, the
/// mean of all orders.
/// @param stakeWei What the first unit costs to contribute; the price rises with the quota, to twice that.
/// @param orders In so many orders all contributions are tried, 1 to 32; what one changes depends on what came before it, and so
/// counts less by chance. Scores add up, and each counts by its part.
/// @param maxUnits The quota: units of all contributions.
/// @param maxUnitsEach Units of one participant.
/// @param stepFeeWei What a step earns for each contribution, and for every four words.
/// @param openS Within so many seconds the drawn piece must be shown.
/// @param participateS So long contributions are committed.
/// @param revealS So long they are revealed.
/// @param testsS So long the provider has to reveal the other pieces.
/// @param collectS So long after the outcome the provider waits for what is left.
struct MarketRules {
    bytes32[] pieces;
    uint16 pieceSamples;
    uint8 orders;
    uint16 maxUnits;
    uint16 maxUnitsEach;
    uint32 rounds;
    uint32 openS;
    uint32 participateS;
    uint32 revealS;
    uint32 testsS;
    uint32 collectS;
    uint128 bountyWei;
    uint128 stakeWei;
    uint128 stepFeeWei;
}

/// @notice Everything that makes a market.
/// @param name The name of the market, and of the model that it becomes: 1 to 32 of `a-z`, `0-9` and `-`.
/// @param featureSpec How rows become features: canonical JSON.
/// @param modelCode The type of the model, by the hash of its creation code: that of perceptrons.
/// @param incentiveCode The type of the incentive mechanism of the model that it becomes, likewise.
/// @param model The shape of the model: two classes, 16-bit weights, at most 65,536 features, no values. A sample may touch 256
/// words: it has at most so many features, or there are at most 4,096.
/// @param terms Prices and waits of the model that it becomes.
/// @param rules What holds in the market.
struct MarketParams {
    string name;
    string featureSpec;
    bytes32 modelCode;
    bytes32 incentiveCode;
    ModelParams model;
    Terms terms;
    MarketRules rules;
}

/// @notice What a market waits for.
enum Phase {
    Drawing, // the block that draws a piece
    Opening, // the provider to show the drawn piece
    Open, // contributions, their reveals, and the other pieces, one after the other by the clock
    Tested, // the block that draws the orders
    Evaluating, // steps that score the contributions in an order
    Resetting, // steps that take the evaluated model back, for the next order, or since somebody was removed
    Replaying, // steps that train with what is left, in the last order
    Publishing, // steps that write the model
    Published, // nothing but collecting
    Failed // nothing but collecting: the provider missed a deadline
}

/// @notice Somebody who takes part.
/// @param commitment The hash of what it contributes, and of a salt.
/// @param stakeWei What it paid.
/// @param units What it may contribute.
/// @param samples How many it revealed; 0 before.
/// @param score What they changed, in test samples that the model gets right, in all orders together.
/// @param removed Whether they harmed, so that they do not train the model.
/// @param owedWei What it can collect.
struct Participant {
    bytes32 commitment;
    uint128 stakeWei;
    uint16 units;
    uint16 samples;
    int32 score;
    bool removed;
    uint128 owedWei;
}

/// @title A prediction market for data
/// @notice A provider posts a bounty and commits to a hidden test set. Others stake, commit and reveal samples. Once
/// the test set is known, each sample is scored by what it changes in the number of test samples that the model gets right, in
/// orders that nobody chose. Who helped shares the bounty, who harmed loses its stake, which is burned. What is left of the data
/// trains a model that everybody can use.
interface IPredictionMarket {
    /// @notice The parameters are out of range.
    error InvalidMarket();

    /// @notice The payment does not cover bounty and reserve.
    error InsufficientPayment(uint256 paidWei, uint256 neededWei);

    /// @notice The market waits for something else.
    error WrongPhase(Phase phase);

    /// @notice This is the provider's to do.
    error NotProvider(address caller, address provider);

    /// @notice The time for this is over, or has not come.
    error WrongTime(uint256 time, uint256 from, uint256 until);

    /// @notice This is not the header of the block, or its hash is out of reach.
    error WrongHeader(uint256 blockNumber);

    /// @notice A piece that is not the drawn one, was shown before, or does not have this hash.
    error WrongPiece(uint256 index);

    /// @notice The samples do not have the number or size that was promised.
    error WrongSize(uint256 found, uint256 promised);

    /// @notice There are as many participants as there may be.
    error TooManyParticipants(uint256 limit);

    /// @notice More units than the participant may have, or than are left of the quota.
    error TooManyUnits(uint256 units, uint256 limit);

    /// @notice The caller takes part already.
    error AlreadyCommitted(address participant);

    /// @notice What is revealed is not what was committed, or was revealed before.
    error WrongReveal(address participant);

    /// @notice A weight so near its limit that training could reach it.
    error WeightTooLarge(uint256 number, uint256 word);

    /// @notice No deadline was missed.
    error NotFailed();

    /// @notice There is nothing to collect.
    error NothingToCollect(address account);

    /// @notice The receiver did not take the payment.
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice The provider wrote weights that training begins with.
    event InitialWeights(uint256 firstWord, uint256[] words);

    /// @notice A piece was drawn, which the provider must show.
    event PieceDrawn(uint256 index);

    /// @notice A piece of the test set was shown.
    event PieceRevealed(uint256 index, bytes payload);

    /// @notice Somebody takes part.
    event Committed(address indexed participant, uint256 number, uint256 units, uint256 stakeWei);

    /// @notice Somebody showed its samples.
    event Revealed(address indexed participant, uint256 number, uint256 samples, bytes payload);

    /// @notice The first order of all samples follows from this; the seed of the next one is the hash of the one before.
    event OrderDrawn(bytes32 seed, uint256 samples);

    /// @notice The bounty is shared out.
    /// @param atFirst Test samples that the model got right before all contributions.
    /// @param rounds How many rounds the bounty lasted for.
    /// @param burnedWei What was burned of stakes.
    event Settled(uint256 atFirst, uint256 rounds, uint256 burnedWei);

    /// @notice The provider missed a deadline.
    event DeadlineMissed(Phase phase, uint256 burnedWei);

    /// @notice The model is there for everybody.
    event Published(ICollaborativeTrainer trainer);

    /// @notice Somebody was paid.
    event Collected(address indexed account, uint256 amountWei);
}
