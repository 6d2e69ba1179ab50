// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format, PayloadDecoder} from "../../../contracts/libraries/PayloadDecoder.sol";

/// The decoder of the models without the models, and what it should take, written the slow and obvious way.
contract Decoder {
    /// Reads a payload as `SparseModel.train` does; reverts if it is malformed.
    function decode(
        uint256 nFeatures,
        uint256 maxFeatures,
        bool valued,
        uint256 classes,
        bytes calldata payload
    ) external pure {
        Format memory format = PayloadDecoder.formatOf(nFeatures, maxFeatures, valued);
        (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
        uint256 count;
        while (start < payloadEnd) {
            (uint256 label,, uint256 end) = PayloadDecoder.readHeader(format, count, start, payloadEnd);
            if (label >= classes) revert();
            PayloadDecoder.requireValidFeatures(format, count, start + PayloadDecoder.HEADER_BYTES, end);
            count++;
            start = end;
        }
    }

    /// Whether a payload is well formed.
    function isWellFormed(
        uint256 nFeatures,
        uint256 maxFeatures,
        bool valued,
        uint256 classes,
        bytes memory payload
    ) external pure returns (bool) {
        uint256 indexBytes = nFeatures <= 65_536 ? 2 : 3;
        uint256 position;
        if (payload.length == 0) return false;
        while (position < payload.length) {
            if (position + 3 > payload.length) return false;
            if (uint8(payload[position]) >= classes) return false;
            uint256 n = _number(payload, position + 1, 2);
            position += 3;
            if (n == 0 || n > maxFeatures) return false;
            uint256 previous;
            for (uint256 i = 0; i < n; i++) {
                if (position + indexBytes + (valued ? 1 : 0) > payload.length) return false;
                uint256 index = _number(payload, position, indexBytes);
                if (index >= nFeatures || (i > 0 && index <= previous)) return false;
                previous = index;
                position += indexBytes;
                if (!valued) continue;
                if (payload[position] == 0 || payload[position] == 0x80) return false;
                position++;
            }
        }
        return true;
    }

    function _number(bytes memory payload, uint256 position, uint256 size) private pure returns (uint256 n) {
        for (uint256 i = 0; i < size; i++) {
            n = n << 8 | uint8(payload[position + i]);
        }
    }
}
