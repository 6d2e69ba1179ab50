// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format, PayloadDecoder} from "./PayloadDecoder.sol";

/// @title Weights of 8 or 16 bits in words of 256, read and written in storage one by one
/// @notice The general way: any size of model, with or without values. A word has 16 lanes of 16 bits, the first the most
/// significant. With 16 bits, lane j of word k is weight 16 k + j. With 8 bits, its high byte is weight 32 k + j and its low byte
/// weight 32 k + 16 + j, so that one shift and two masks turn a word into two words of 16-bit lanes. All are in two's
/// complement; the lowest number of each width never occurs.
library PackedWeights {
    uint256 private constant LANES = 16;

    /// @notice A weight.
    /// @param words The storage of the model.
    /// @param weightBits 8 or 16.
    /// @param index Its number.
    function get(uint256[2 ** 25 + 16] storage words, uint256 weightBits, uint256 index)
        internal
        view
        returns (int256)
    {
        (uint256 word, uint256 shift) = _place(weightBits, index);
        uint256 bits = words[word] >> shift;
        return weightBits == 16 ? int256(int16(uint16(bits))) : int256(int8(uint8(bits)));
    }

    /// @notice Writes a weight; what is beyond its limits becomes the limit.
    /// @param words The storage of the model.
    /// @param weightBits 8 or 16.
    /// @param index Its number.
    /// @param weight The new value.
    function set(uint256[2 ** 25 + 16] storage words, uint256 weightBits, uint256 index, int256 weight)
        internal
    {
        int256 limit = int256((1 << (weightBits - 1)) - 1);
        if (weight > limit) weight = limit;
        if (weight < -limit) weight = -limit;
        (uint256 word, uint256 shift) = _place(weightBits, index);
        uint256 lane = (1 << weightBits) - 1;
        words[word] = (words[word] & ~(lane << shift)) | ((uint256(weight) & lane) << shift);
    }

    /// @notice The sum of weight times value over a sample's features.
    /// @param first Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function score(
        uint256[2 ** 25 + 16] storage words,
        uint256 weightBits,
        Format memory format,
        uint256 first,
        uint256 end
    ) internal view returns (int256 total) {
        for (uint256 position = first; position < end; position += format.featureBytes) {
            (uint256 index, int256 value) = PayloadDecoder.readFeature(format, position);
            total += get(words, weightBits, index) * value;
        }
    }

    /// @notice Adds step times value to the weights of a sample's features.
    /// @param first Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    /// @param step 1 or -1.
    function update(
        uint256[2 ** 25 + 16] storage words,
        uint256 weightBits,
        Format memory format,
        uint256 first,
        uint256 end,
        int256 step
    ) internal {
        for (uint256 position = first; position < end; position += format.featureBytes) {
            (uint256 index, int256 value) = PayloadDecoder.readFeature(format, position);
            set(words, weightBits, index, get(words, weightBits, index) + step * value);
        }
    }

    /// @notice Whether training could have made a word.
    /// @param word The word.
    /// @param weightBits 8 or 16.
    /// @param used How many of its weights, from the first, exist.
    function isValid(uint256 word, uint256 weightBits, uint256 used) internal pure returns (bool) {
        unchecked {
            uint256 ones = type(uint256).max / ((1 << weightBits) - 1);
            uint256 tops = ones << (weightBits - 1);
            // A lane has the lowest number if nothing of it is left without its top bit; subtracting 1 then borrows from it.
            uint256 flipped = word ^ tops;
            if ((flipped - ones) & ~flipped & tops != 0) return false;
            for (uint256 index = used; index < 256 / weightBits; index++) {
                (, uint256 shift) = _place(weightBits, index);
                if ((word >> shift) & ((1 << weightBits) - 1) != 0) return false;
            }
            return true;
        }
    }

    /// @dev The word of a weight, and where it stands in it.
    function _place(uint256 weightBits, uint256 index) private pure returns (uint256 word, uint256 shift) {
        shift = 240 - 16 * (index % LANES);
        if (weightBits == 16) return (index / LANES, shift);
        return (index / 32, index % 32 < LANES ? shift + 8 : shift);
    }
}
