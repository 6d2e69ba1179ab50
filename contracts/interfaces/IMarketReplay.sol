// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "./IModel.sol";

/// @title What a market knows of data: test set and contributions, their order, and the model that they are tried on
/// @notice Samples are those of `IModel`. An order is that of Fisher and Yates: all samples, participant by participant; then for
/// i from their number down to 2 the one at i - 1 changes places with that at `keccak256(seed, i) % i`.
interface IMarketReplay {
    /// @notice Words come in order and without overlap, 1 to 400 at once, 16 times at most.
    error InvalidWords(uint256 firstWord, uint256 count);

    /// @notice All pieces together have at most 24,576 bytes, each its equal part.
    error PieceTooLarge(uint256 foundBytes, uint256 limitBytes);

    /// @notice Contributions were scored.
    /// @param order The number of the order.
    /// @param first The place of the first in it.
    /// @param correct For each the number of test samples that the model gets right after it, a byte.
    event Evaluated(uint256 order, uint256 first, bytes correct);

    /// @notice Makes a fresh clone the replay of a market, once.
    /// @param market The only address that may change it.
    /// @param implementation What the working copy is a clone of: the perceptron.
    /// @param shape The shape of the model: two classes, 16-bit weights, at most 65,536 features, no values. A sample
    /// may touch 256 words: it has at most so many features, or there are at most 4,096.
    /// @param pieces How many pieces the test set has.
    function initialize(address market, address implementation, ModelParams calldata shape, uint256 pieces)
        external;

    /// @notice Writes weights that training begins with.
    /// @param firstWord The number of the first word, behind all that were written before.
    /// @param words The words, 1 to 400; no weight may be so near its limit that the contributions could take it there.
    function writeInitialWeights(uint256 firstWord, uint256[] calldata words) external;

    /// @notice Keeps a piece of the test set.
    /// @return samples How many samples it has.
    function addTests(uint256 piece, bytes calldata payload) external returns (uint256 samples);

    /// @notice Keeps the samples of a participant.
    /// @param number The number of the participant.
    /// @param payload Its samples, 1 to 256.
    /// @return samples How many they are.
    /// @return units Their units.
    function addSamples(uint256 number, bytes calldata payload)
        external
        returns (uint256 samples, uint256 units);

    /// @notice Decides the first order, and scores the model before all contributions.
    /// @return samples How many samples there are.
    function draw(bytes32 seed_) external returns (uint256 samples);

    /// @notice Trains the working copy with the next contributions, and scores each.
    /// @param limit How many at most.
    /// @return done How many it were.
    /// @return finished Whether they were the last ones of the order.
    /// @return scores By number of the participant, what they changed in test samples that the model gets right.
    function evaluate(uint256 limit) external returns (uint256 done, bool finished, int256[] memory scores);

    /// @notice Decides the next order; its seed is the hash of the last one's. The working copy must be reset.
    function drawNext() external;

    /// @notice Takes the samples of some participants out.
    /// @param removed Bit i is set if those of participant i go.
    function remove(uint256 removed) external;

    /// @notice Makes the working copy what it was before all contributions: zeros first, then the provider's words.
    /// @param limit How many times four words; the provider's come as they were written, a few more at once.
    /// @return done How many times four words it were; what is left over at the end counts as four.
    /// @return finished Whether that is done.
    function reset(uint256 limit) external returns (uint256 done, bool finished);

    /// @notice Trains the working copy with what is left, in the last order.
    /// @param limit How many contributions at most.
    /// @return done How many it were; 1 if nothing is left at all.
    /// @return finished Whether that is done.
    function replay(uint256 limit) external returns (uint256 done, bool finished);

    /// @notice The copy of the model that contributions are tried on.
    function working() external view returns (IModel);

    /// @notice How far the steps of a phase have come.
    function cursor() external view returns (uint32);

    /// @notice How many test samples the model got right before all contributions.
    function correctBefore() external view returns (uint16);

    /// @notice The number of the order at hand, from 0.
    function order() external view returns (uint8);

    /// @notice What the order at hand follows from.
    function seed() external view returns (bytes32);
}
