// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Samples as they stand on the wire, and the tree over them, written the slow and obvious way.
library Samples {
    /// A sample without values, for a model of at most 65,536 features.
    function plain(uint8 label, uint16[] memory indices) internal pure returns (bytes memory sample) {
        sample = abi.encodePacked(label, uint16(indices.length));
        for (uint256 i = 0; i < indices.length; i++) {
            sample = bytes.concat(sample, bytes2(indices[i]));
        }
    }

    /// A sample with one feature.
    function one(uint8 label, uint16 index) internal pure returns (bytes memory) {
        return abi.encodePacked(label, uint16(1), index);
    }

    /// A sample with `n` features that follow each other.
    function run(uint8 label, uint16 first, uint16 n) internal pure returns (bytes memory sample) {
        sample = abi.encodePacked(label, n);
        for (uint16 i = 0; i < n; i++) {
            sample = bytes.concat(sample, bytes2(first + i));
        }
    }

    /// All samples, one behind the other.
    function join(bytes[] memory samples) internal pure returns (bytes memory payload) {
        for (uint256 i = 0; i < samples.length; i++) {
            payload = bytes.concat(payload, samples[i]);
        }
    }

    /// The root over the samples.
    function root(bytes[] memory samples) internal pure returns (bytes32) {
        return _node(samples, 0, _width(samples.length));
    }

    /// The siblings on the path from a sample to the root.
    function proof(bytes[] memory samples, uint256 index) internal pure returns (bytes32[] memory siblings) {
        uint256 width = _width(samples.length);
        uint256 depth;
        while (1 << depth < width) depth++;
        siblings = new bytes32[](depth);
        for (uint256 level = 0; level < depth; level++) {
            uint256 size = 1 << level;
            siblings[level] = _node(samples, ((index / size) ^ 1) * size, size);
        }
    }

    function _width(uint256 count) private pure returns (uint256 width) {
        width = 1;
        while (width < count) width *= 2;
    }

    function _node(bytes[] memory samples, uint256 first, uint256 width) private pure returns (bytes32) {
        if (width == 1) return first < samples.length ? keccak256(samples[first]) : bytes32(0);
        return keccak256(
            bytes.concat(_node(samples, first, width / 2), _node(samples, first + width / 2, width / 2))
        );
    }
}
