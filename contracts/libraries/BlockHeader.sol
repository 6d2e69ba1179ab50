// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Reads the header of a block
library BlockHeader {
    /// @dev The fields before `mixHash`, which is the beacon chain's `prevRandao`.
    uint256 private constant FIELDS_BEFORE = 13;

    /// @notice The field `mixHash`.
    /// @param header The header in RLP, found right by its hash.
    /// @return mixHash The field.
    /// @return found Whether there is one of 32 bytes in its place.
    function mixHashOf(bytes calldata header) internal pure returns (bytes32 mixHash, bool found) {
        unchecked {
            if (header.length < 3) return (0, false);
            uint256 prefix = uint8(header[0]);
            if (prefix < 0xc0) return (0, false);
            uint256 position = prefix < 0xf8 ? 1 : 1 + prefix - 0xf7;
            for (uint256 field = 0; field < FIELDS_BEFORE; field++) {
                if (position >= header.length) return (0, false);
                prefix = uint8(header[position]);
                if (prefix < 0x80) {
                    position += 1;
                } else if (prefix < 0xb8) {
                    position += 1 + prefix - 0x80;
                } else if (prefix < 0xc0) {
                    // Two bytes of length at most: a header is short.
                    uint256 bytesOfLength = prefix - 0xb7;
                    if (bytesOfLength > 2 || position + bytesOfLength >= header.length) return (0, false);
                    uint256 length = uint8(header[position + 1]);
                    if (bytesOfLength == 2) length = length << 8 | uint8(header[position + 2]);
                    position += 1 + bytesOfLength + length;
                } else {
                    return (0, false);
                }
            }
            if (position + 33 > header.length || header[position] != 0xa0) return (0, false);
            return (bytes32(header[position + 1:position + 33]), true);
        }
    }
}
