// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// The fields that the header of a block gained, fork by fork.
enum Fork {
    Paris, // 15 fields
    London, // and the base fee
    Shanghai, // and the root of withdrawals
    Cancun, // and two figures of blobs, and the parent's beacon root
    Prague // and the hash of requests
}

/// Headers of blocks, written from the RLP rules of the yellow paper.
library Headers {
    /// The header of a block.
    function encode(Fork fork, uint256 number, bytes32 mixHash) internal pure returns (bytes memory) {
        return encode(fork, number, mixHash, "made by a test");
    }

    /// The header of a block with extra data.
    function encode(Fork fork, uint256 number, bytes32 mixHash, bytes memory extraData)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory fields = bytes.concat(_hash("parent"), _hash("ommers"));
        fields = bytes.concat(fields, text(abi.encodePacked(address(0xc01))));
        fields = bytes.concat(fields, _hash("state"), _hash("transactions"), _hash("receipts"));
        fields = bytes.concat(fields, text(new bytes(256)), uint_(0), uint_(number), uint_(36_000_000));
        fields = bytes.concat(fields, uint_(21_000), uint_(1_800_000_000), text(extraData));
        fields = bytes.concat(fields, text(abi.encodePacked(mixHash)), text(new bytes(8)));
        if (fork >= Fork.London) fields = bytes.concat(fields, uint_(7));
        if (fork >= Fork.Shanghai) fields = bytes.concat(fields, _hash("withdrawals"));
        if (fork >= Fork.Cancun) fields = bytes.concat(fields, uint_(0), uint_(393_216), _hash("beacon"));
        if (fork >= Fork.Prague) fields = bytes.concat(fields, _hash("requests"));
        return list(fields);
    }

    /// A list of items that are encoded already.
    function list(bytes memory items) internal pure returns (bytes memory) {
        return bytes.concat(_prefix(0xc0, items.length), items);
    }

    /// A string.
    function text(bytes memory data) internal pure returns (bytes memory) {
        if (data.length == 1 && uint8(data[0]) < 0x80) return data;
        return bytes.concat(_prefix(0x80, data.length), data);
    }

    /// A number: a string without leading zeros.
    function uint_(uint256 value) internal pure returns (bytes memory) {
        return text(_bigEndian(value));
    }

    function _hash(string memory what) private pure returns (bytes memory) {
        return text(abi.encodePacked(keccak256(bytes(what))));
    }

    function _prefix(uint256 base, uint256 length) private pure returns (bytes memory) {
        if (length < 56) return abi.encodePacked(uint8(base + length));
        bytes memory size = _bigEndian(length);
        return bytes.concat(bytes1(uint8(base + 55 + size.length)), size);
    }

    function _bigEndian(uint256 value) private pure returns (bytes memory digits) {
        for (; value > 0; value >>= 8) {
            digits = bytes.concat(bytes1(uint8(value)), digits);
        }
    }
}
