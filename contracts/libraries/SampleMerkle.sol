// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title The Merkle tree over the samples of a batch
/// @notice A leaf is the keccak256 of a sample's bytes, in the order of the payload, with zeros up to the next power of two; an
/// inner node is the keccak256 of its two children, left before right. One sample is its own tree. A proof has exactly
/// as many hashes as the tree has levels below its root, so no inner node passes for a leaf. (Nor does a leaf pass for an
/// inner node: no sample has 64 bytes, because 61 is no multiple of 2, 3 or 4.)
library SampleMerkle {
    /// @notice The root of the tree over the first `count` leaves. Overwrites the leaves.
    /// @param leaves The hashes, followed by zeros up to the next power of two at least.
    /// @param count How many leaves there are, at least 1.
    function root(bytes32[] memory leaves, uint256 count) internal pure returns (bytes32) {
        uint256 width = 1 << depth(count);
        assembly ("memory-safe") {
            let first := add(leaves, 32)
            for {} gt(width, 1) {} {
                width := shr(1, width)
                // A parent is written where its left child or an earlier node was, never over one that is still needed.
                for { let i := 0 } lt(i, width) { i := add(i, 1) } {
                    mstore(add(first, shl(5, i)), keccak256(add(first, shl(6, i)), 64))
                }
            }
        }
        return leaves[0];
    }

    /// @notice Whether a leaf has this place in the tree of this root.
    /// @param root_ The root.
    /// @param count How many leaves the tree was made of.
    /// @param index The place of the leaf.
    /// @param leaf The leaf.
    /// @param proof The sibling of each node on the path, from the leaf up.
    function verify(bytes32 root_, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        unchecked {
            if (index >= count || proof.length != depth(count)) return false;
            bytes32 node = leaf;
            for (uint256 level = 0; level < proof.length; level++) {
                bytes32 sibling = proof[level];
                node = (index >> level) & 1 == 0
                    ? Hashes.efficientKeccak256(node, sibling)
                    : Hashes.efficientKeccak256(sibling, node);
            }
            return node == root_;
        }
    }

    /// @notice The levels below the root: the least d with 2^d >= count.
    function depth(uint256 count) internal pure returns (uint256 levels) {
        unchecked {
            while (1 << levels < count) levels++;
        }
    }
}
