// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel} from "../interfaces/IModel.sol";
import {Format, PayloadDecoder} from "./PayloadDecoder.sol";

/// @notice Room for the weights of 2^24 features and the bias; fresh storage is a model of zeros.
struct Weights {
    uint256[2 ** 20 + 1] words;
}

/// @title Packed weights, read and written in storage one by one
/// @notice The general way: any size of model, with or without values. What the lanes mean stands in `Perceptron`.
library StoredWeights {
    int256 private constant LIMIT = 32_767;
    uint256 private constant LANES = 16;
    uint256 private constant EVERY_LANE = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant TOP_BITS = 0x8000800080008000800080008000800080008000800080008000800080008000;

    /// @notice A weight.
    /// @param index Its number.
    function get(Weights storage weights, uint256 index) internal view returns (int256) {
        return int16(uint16(weights.words[index / LANES] >> _shift(index)));
    }

    /// @notice Writes a weight within its limits.
    /// @param index Its number.
    /// @param weight The new value.
    function set(Weights storage weights, uint256 index, int256 weight) internal {
        uint256 shift = _shift(index);
        uint256 others = weights.words[index / LANES] & ~(uint256(0xffff) << shift);
        weights.words[index / LANES] = others | (uint256(uint16(int16(weight))) << shift);
    }

    /// @notice The sum of weight times value over a sample's features.
    /// @param first Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function score(Weights storage weights, Format memory format, uint256 first, uint256 end)
        internal
        view
        returns (int256 total)
    {
        for (uint256 position = first; position < end; position += format.featureBytes) {
            (uint256 index, int256 value) = PayloadDecoder.readFeature(format, position);
            total += get(weights, index) * value;
        }
    }

    /// @notice Adds step times value to the weights of a sample's features.
    /// @param first Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    /// @param step 1 or -1.
    function update(Weights storage weights, Format memory format, uint256 first, uint256 end, int256 step)
        internal
    {
        for (uint256 position = first; position < end; position += format.featureBytes) {
            (uint256 index, int256 value) = PayloadDecoder.readFeature(format, position);
            set(weights, index, saturate(get(weights, index) + step * value));
        }
    }

    /// @notice The nearest number that a weight can have.
    function saturate(int256 weight) internal pure returns (int256) {
        return weight > LIMIT ? LIMIT : (weight < -LIMIT ? -LIMIT : weight);
    }

    /// @notice Refuses a word that training could not have made.
    /// @param number Its number.
    /// @param word The word.
    /// @param used How many of its lanes, from the first, are weights.
    function requireValidWord(uint256 number, uint256 word, uint256 used) internal pure {
        unchecked {
            // A lane is -32768 if nothing of it is left without its top bit; subtracting 1 then borrows from that bit.
            uint256 flipped = word ^ TOP_BITS;
            bool hasLowest = (flipped - EVERY_LANE) & ~flipped & TOP_BITS != 0;
            bool hasUnused = used < LANES && word << (16 * used) != 0;
            if (hasLowest || hasUnused) revert IModel.InvalidWord(number, word);
        }
    }

    function _shift(uint256 index) private pure returns (uint256) {
        return 240 - 16 * (index % LANES);
    }
}
