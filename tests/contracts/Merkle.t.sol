// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {SampleMerkle} from "../../contracts/libraries/SampleMerkle.sol";

contract MerkleTest is Test {
    function verify(bytes32 root, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        return SampleMerkle.verify(root, count, index, leaf, proof);
    }

    /// The root that the model computes over a golden tree is the golden one, and the golden proofs verify.
    function test_GoldenTreesAreReproduced() public view {
        string memory json = vm.readFile("tests/golden/merkle.json");
        uint256 cases;
        for (; vm.keyExistsJson(json, _path(cases, "")); cases++) {
            bytes[] memory samples = vm.parseJsonBytesArray(json, _path(cases, ".samples"));
            bytes32 root = vm.parseJsonBytes32(json, _path(cases, ".root"));
            bytes32[] memory leaves = new bytes32[](256);
            for (uint256 i = 0; i < samples.length; i++) {
                leaves[i] = keccak256(samples[i]);
            }
            assertEq(SampleMerkle.root(leaves, samples.length), root);
            for (uint256 i = 0; vm.keyExistsJson(json, _proofPath(cases, i, "")); i++) {
                uint256 index = vm.parseJsonUint(json, _proofPath(cases, i, ".index"));
                bytes32[] memory proof = vm.parseJsonBytes32Array(json, _proofPath(cases, i, ".proof"));
                assertTrue(this.verify(root, samples.length, index, keccak256(samples[index]), proof));
                assertFalse(this.verify(root, samples.length, index ^ 1, keccak256(samples[index]), proof));
            }
        }
        assertEq(cases, 10);
    }

    /// An inner node does not pass for a leaf, though the rest of its path leads to the root.
    function test_AnInnerNodeIsNoLeaf() public view {
        bytes32[] memory leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; i++) {
            leaves[i] = keccak256(abi.encode(i));
        }
        bytes32 left = keccak256(abi.encode(leaves[0], leaves[1]));
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = keccak256(abi.encode(leaves[2], leaves[3]));
        bytes32 root = SampleMerkle.root(leaves, 4);
        assertEq(root, keccak256(abi.encode(left, proof[0])));
        assertFalse(this.verify(root, 4, 0, left, proof));
        assertTrue(
            this.verify(root, 2, 0, left, proof), "only the count, which is committed, tells them apart"
        );
    }

    /// A proof holds for its place only, and a place beyond the samples holds nothing.
    function testFuzz_AProofHoldsForItsPlaceOnly(uint256 count, uint256 index, uint256 other) public view {
        count = bound(count, 1, 256);
        index = bound(index, 0, count - 1);
        bytes32[] memory leaves = new bytes32[](256);
        for (uint256 i = 0; i < count; i++) {
            leaves[i] = keccak256(abi.encode(i));
        }
        uint256 depth = SampleMerkle.depth(count);
        bytes32[] memory proof = new bytes32[](depth);
        bytes32[] memory level = leaves;
        for (uint256 height = 0; height < depth; height++) {
            proof[height] = level[(index >> height) ^ 1];
            bytes32[] memory above = new bytes32[](256);
            for (uint256 i = 0; 2 * i + 1 < 1 << (depth - height); i++) {
                above[i] = keccak256(abi.encode(level[2 * i], level[2 * i + 1]));
            }
            level = above;
        }
        bytes32 root = level[0];
        assertTrue(this.verify(root, count, index, leaves[index], proof));
        if (other != index) assertFalse(this.verify(root, count, other, leaves[index], proof));
        assertEq(SampleMerkle.root(leaves, count), root);
    }

    function _path(uint256 number, string memory key) private pure returns (string memory) {
        return string.concat("$[", vm.toString(number), "]", key);
    }

    function _proofPath(uint256 number, uint256 proof, string memory key)
        private
        pure
        returns (string memory)
    {
        return string.concat(_path(number, ".proofs["), vm.toString(proof), "]", key);
    }
}
