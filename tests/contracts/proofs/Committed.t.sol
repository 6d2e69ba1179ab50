// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DataHandler} from "../../../contracts/data/DataHandler.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {SampleMerkle} from "../../../contracts/libraries/SampleMerkle.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {SymTest} from "./SymTest.sol";

/// Makes trees and proves places in them, as the trainer does.
contract Tree {
    function root(bytes32[] memory leaves, uint256 count) external pure returns (bytes32) {
        return SampleMerkle.root(leaves, count);
    }

    function verify(bytes32 root_, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        return SampleMerkle.verify(root_, count, index, leaf, proof);
    }
}

/// Proofs (halmos): what was committed is what verifies, and nothing else. Hashes are taken to be without collisions.
contract CommittedProofs is SymTest {
    DataHandler internal dataHandler = DataHandler(Clones.clone(address(new DataHandler())));
    Tree internal tree = new Tree();

    function setUp() public {
        dataHandler.initialize(address(this));
    }

    function _anyBatch() private view returns (Batch memory batch) {
        batch.id = svm.createUint(256, "id");
        batch.contributor = svm.createAddress("contributor");
        batch.addedAt = uint64(svm.createUint(64, "addedAt"));
        batch.depositPerUnit = uint128(svm.createUint(128, "depositPerUnit"));
        batch.count = uint16(svm.createUint(16, "count"));
        batch.units = uint32(svm.createUint(32, "units"));
        batch.informative = svm.createUint(256, "informative");
        batch.samplesRoot = svm.createBytes32("samplesRoot");
    }

    /// After two commitments, whatever verifies is one of them in every field; and what was committed does verify.
    function check_OnlyCommittedMetaDataVerifies() public {
        Batch memory first = _anyBatch();
        Batch memory second = _anyBatch();
        Batch memory claimed = _anyBatch();
        vm.assume(first.id != second.id);
        dataHandler.commit(first);
        dataHandler.commit(second);
        assert(dataHandler.verify(first) && dataHandler.verify(second));
        if (dataHandler.verify(claimed)) {
            assert(_areSame(claimed, first) || _areSame(claimed, second));
        }
    }

    function _areSame(Batch memory a, Batch memory b) private pure returns (bool) {
        return a.id == b.id && a.contributor == b.contributor && a.addedAt == b.addedAt
            && a.depositPerUnit == b.depositPerUnit && a.count == b.count && a.units == b.units
            && a.informative == b.informative && a.samplesRoot == b.samplesRoot;
    }

    /// Nobody but the trainer commits.
    function check_OnlyTheTrainerCommits() public {
        address caller = svm.createAddress("caller");
        vm.assume(caller != address(this));
        vm.prank(caller);
        try dataHandler.commit(_anyBatch()) {
            assert(false);
        } catch {}
    }

    /// In a tree of so many samples, only the sample of a place verifies at it, whatever the proof.
    function _onlyTheSampleOfThePlaceVerifies(uint256 count, uint256 levels) private view {
        bytes32[] memory leaves = new bytes32[](8);
        bytes32[] memory kept = new bytes32[](8);
        for (uint256 i = 0; i < count; i++) {
            leaves[i] = kept[i] = keccak256(svm.createBytes(5, "sample"));
        }
        bytes32 root = tree.root(leaves, count);
        bytes32 leaf = keccak256(svm.createBytes(5, "claimed"));
        bytes32[] memory proof = new bytes32[](levels);
        for (uint256 i = 0; i < levels; i++) {
            proof[i] = svm.createBytes32("sibling");
        }
        uint256 index = svm.createUint(256, "index");
        if (tree.verify(root, count, index, leaf, proof)) {
            assert(index < count);
            for (uint256 i = 0; i < count; i++) {
                assert(index != i || leaf == kept[i]);
            }
        }
    }

    function check_OneSample() public view {
        _onlyTheSampleOfThePlaceVerifies(1, 0);
    }

    function check_TwoSamples() public view {
        _onlyTheSampleOfThePlaceVerifies(2, 1);
    }

    function check_ThreeSamples() public view {
        _onlyTheSampleOfThePlaceVerifies(3, 2);
    }

    function check_EightSamples() public view {
        _onlyTheSampleOfThePlaceVerifies(8, 3);
    }

    /// A proof of another length than the tree has levels is refused.
    function check_ProofsHaveTheLengthOfTheTree() public view {
        uint256 count = svm.createUint(9, "count");
        vm.assume(count >= 1 && count <= 256);
        for (uint256 levels = 0; levels <= 9; levels++) {
            if (svm.createUint(8, "levels") != levels) continue;
            bytes32[] memory proof = new bytes32[](levels);
            bytes32 any = svm.createBytes32("any");
            if (tree.verify(any, count, svm.createUint(256, "index"), svm.createBytes32("leaf"), proof)) {
                assert(1 << levels >= count && (levels == 0 || 1 << (levels - 1) < count));
            }
            return;
        }
    }
}
