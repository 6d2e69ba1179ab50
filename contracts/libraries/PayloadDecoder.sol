// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel} from "../interfaces/IModel.sol";

/// @notice What a decoder has to know about a model.
/// @param nFeatures How many features there are.
/// @param maxFeatures How many one sample may have.
/// @param featureBytes What one feature takes: 2 or 3 bytes of index, and 1 more in a valued model.
/// @param valued Whether features have values.
/// @param leastValue The least value that a feature may have: -127, or 1 where values are counts.
struct Format {
    uint256 nFeatures;
    uint256 maxFeatures;
    uint256 featureBytes;
    bool valued;
    int256 leastValue;
}

/// @title Reads samples from calldata
/// @notice The format stands in `IModel`. Positions are absolute: what `calldataload` takes. `start` is where a sample's
/// label stands, `first` where its first feature stands, `end` is behind its last one.
library PayloadDecoder {
    uint256 internal constant MAX_SAMPLES = 256;
    uint256 internal constant UNIT = 64;
    uint256 internal constant HEADER_BYTES = 3;
    /// @dev A compared pair in one 32-bit container: the features' 16 bits, and the bit above them for the borrow.
    uint256 private constant LOW_16 = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant BIT_16 = 0x0001000000010000000100000001000000010000000100000001000000010000;

    /// @notice The format of a model's samples.
    function formatOf(uint256 nFeatures, uint256 maxFeatures, bool valued)
        internal
        pure
        returns (Format memory format)
    {
        format.nFeatures = nFeatures;
        format.maxFeatures = maxFeatures;
        format.featureBytes = (nFeatures <= 65_536 ? 2 : 3) + (valued ? 1 : 0);
        format.valued = valued;
        format.leastValue = -127;
    }

    /// @notice The positions where a payload starts and ends; it is not empty.
    function bounds(bytes calldata payload) internal pure returns (uint256 start, uint256 end) {
        if (payload.length == 0) revert IModel.EmptyPayload();
        assembly ("memory-safe") {
            start := payload.offset
        }
        end = start + payload.length;
    }

    /// @notice Reads the header of a sample.
    /// @param format The model's format.
    /// @param number The number of the sample in the payload.
    /// @param start Where it starts.
    /// @param payloadEnd Where the payload ends.
    /// @return label Its label.
    /// @return n How many features it has.
    /// @return end Where it ends, which is within the payload.
    function readHeader(Format memory format, uint256 number, uint256 start, uint256 payloadEnd)
        internal
        pure
        returns (uint256 label, uint256 n, uint256 end)
    {
        unchecked {
            if (number == MAX_SAMPLES) revert IModel.TooManySamples(MAX_SAMPLES);
            uint256 left = payloadEnd - start;
            if (left < HEADER_BYTES) revert IModel.TruncatedSample(number, HEADER_BYTES, left);
            assembly ("memory-safe") {
                let header := calldataload(start)
                label := byte(0, header)
                n := and(shr(232, header), 0xffff)
            }
            if (n == 0 || n > format.maxFeatures) {
                revert IModel.InvalidFeatureCount(number, n, format.maxFeatures);
            }
            uint256 size = HEADER_BYTES + n * format.featureBytes;
            if (size > left) revert IModel.TruncatedSample(number, size, left);
            end = start + size;
        }
    }

    /// @notice Reads a header that `readHeader` has found right.
    /// @param start Where the sample starts.
    /// @return label Its label.
    /// @return end Where it ends.
    function skipHeader(Format memory format, uint256 start)
        internal
        pure
        returns (uint256 label, uint256 end)
    {
        uint256 featureBytes = format.featureBytes;
        assembly ("memory-safe") {
            let header := calldataload(start)
            label := byte(0, header)
            end := add(add(start, HEADER_BYTES), mul(and(shr(232, header), 0xffff), featureBytes))
        }
    }

    /// @notice Reads one feature.
    /// @param position Where it stands.
    /// @return index Its index.
    /// @return value Its value, 1 in a model without values.
    function readFeature(Format memory format, uint256 position)
        internal
        pure
        returns (uint256 index, int256 value)
    {
        bool valued = format.valued;
        uint256 indexBytes = format.featureBytes - (valued ? 1 : 0);
        assembly ("memory-safe") {
            let feature := calldataload(position)
            index := shr(sub(256, shl(3, indexBytes)), feature)
            value := 1
            if valued { value := signextend(0, byte(indexBytes, feature)) }
        }
    }

    /// @notice Refuses a sample whose features are out of range or order.
    /// @param number The number of the sample in the payload.
    function requireValidFeatures(Format memory format, uint256 number, uint256 first, uint256 end)
        internal
        pure
    {
        if (format.featureBytes == 2 && _areIncreasing(first, end, format.nFeatures)) return;
        unchecked {
            uint256 previous;
            for (uint256 position = first; position < end; position += format.featureBytes) {
                (uint256 index, int256 value) = readFeature(format, position);
                if (index >= format.nFeatures) {
                    revert IModel.FeatureOutOfRange(number, index, format.nFeatures);
                }
                if (index <= previous && position != first) {
                    revert IModel.FeaturesNotIncreasing(number, previous, index);
                }
                if (value == 0 || value < format.leastValue) {
                    revert IModel.InvalidValue(number, index, value);
                }
                previous = index;
            }
        }
    }

    /// @notice The size of a sample for pricing.
    /// @param n How many features it has.
    /// @return units `ceil(sum |value| / 64)`.
    function unitsOf(Format memory format, uint256 n, uint256 first, uint256 end)
        internal
        pure
        returns (uint256 units)
    {
        unchecked {
            if (!format.valued) return (n + UNIT - 1) / UNIT;
            uint256 influence;
            for (uint256 position = first; position < end; position += format.featureBytes) {
                (, int256 value) = readFeature(format, position);
                influence += uint256(value < 0 ? -value : value);
            }
            // A sample of zeros never gets further than its price, and it must have one.
            return influence == 0 ? 1 : (influence + UNIT - 1) / UNIT;
        }
    }

    /// @notice The hash of a sample.
    function hashOf(uint256 start, uint256 end) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // Free memory as scratch: nothing of it is kept.
            let scratch := mload(0x40)
            calldatacopy(scratch, start, sub(end, start))
            hash := keccak256(scratch, sub(end, start))
        }
    }

    /// @dev Whether 2-byte indices increase strictly and stay below nFeatures: 16 neighbours at once. Each index is compared
    /// with the next one in a container of 32 bits: `2^16 + index - next` keeps bit 16 unless next is greater.
    function _areIncreasing(uint256 first, uint256 end, uint256 nFeatures)
        private
        pure
        returns (bool increasing)
    {
        assembly ("memory-safe") {
            let last := sub(end, 2)
            let position := first
            let violations := 0
            if lt(add(position, 30), last) {
                function compare(at) -> result {
                    let word := calldataload(at)
                    let next := and(calldataload(add(at, 2)), LOW_16)
                    let even := and(shr(16, word), LOW_16)
                    let odd := and(word, LOW_16)
                    result := or(sub(or(even, BIT_16), odd), sub(or(odd, BIT_16), next))
                }
                // The last block ends with the sample; it looks at some pairs for the second time.
                let lastBlock := sub(last, 32)
                violations := compare(lastBlock)
                for {} lt(position, lastBlock) { position := add(position, 32) } {
                    violations := or(violations, compare(position))
                }
                violations := and(violations, BIT_16)
                position := last
            }
            for {} lt(position, last) { position := add(position, 2) } {
                let pair := shr(224, calldataload(position))
                violations := or(violations, iszero(lt(shr(16, pair), and(pair, 0xffff))))
            }
            increasing := and(lt(shr(240, calldataload(last)), nFeatures), iszero(violations))
        }
    }
}
