// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {BlockHeader} from "../../contracts/libraries/BlockHeader.sol";
import {Fork, Headers} from "./support/Headers.sol";

/// Headers of blocks, as chains have them and as nobody should.
contract MarketHeaderTest is Test {
    bytes32 private constant MIX = keccak256("mix");

    function mixHashOf(bytes calldata header) external pure returns (bytes32 mixHash, bool found) {
        return BlockHeader.mixHashOf(header);
    }

    function _requireFound(bytes memory header, bytes32 expected) private view {
        (bytes32 mixHash, bool found) = this.mixHashOf(header);
        assertTrue(found);
        assertEq(mixHash, expected);
    }

    function _requireNotFound(bytes memory header) private view {
        (bytes32 mixHash, bool found) = this.mixHashOf(header);
        assertFalse(found);
        assertEq(mixHash, 0);
    }

    /// Thirteen fields before `mixHash`, whose places are given; then a number of others.
    function _header(bytes memory special, uint256 at, bytes memory mix) private pure returns (bytes memory) {
        bytes memory fields;
        for (uint256 i = 0; i < 13; i++) {
            fields = bytes.concat(fields, i == at ? special : Headers.uint_(i));
        }
        return Headers.list(bytes.concat(fields, mix, Headers.text(new bytes(8))));
    }

    /// Each fork's header has it at the same place, whatever came behind it.
    function test_ItIsFoundInTheHeadersOfAllForks() public view {
        for (uint256 fork = 0; fork <= uint256(type(Fork).max); fork++) {
            _requireFound(Headers.encode(Fork(fork), 20_000_000, MIX), MIX);
            _requireFound(Headers.encode(Fork(fork), 0, 0), 0);
        }
    }

    /// Ethereum's first block: its hash says that the header is written as the chain writes it.
    function test_ItIsFoundInARealHeader() public view {
        bytes32 noRows = 0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421;
        bytes memory fields = bytes.concat(
            Headers.text(new bytes(32)),
            Headers.text(hex"1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
            Headers.text(new bytes(20)),
            Headers.text(hex"d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544")
        );
        bytes memory root = Headers.text(abi.encodePacked(noRows));
        fields = bytes.concat(fields, root, root, Headers.text(new bytes(256)));
        fields = bytes.concat(fields, Headers.uint_(0x400000000), Headers.uint_(0), Headers.uint_(5000));
        fields = bytes.concat(fields, Headers.uint_(0), Headers.uint_(0));
        fields = bytes.concat(
            fields,
            Headers.text(hex"11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
            Headers.text(new bytes(32)),
            Headers.text(hex"0000000000000042")
        );
        bytes memory header = Headers.list(fields);
        assertEq(keccak256(header), 0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3);
        _requireFound(header, 0);
    }

    /// Extra data of any length, which the chain limits to 32 bytes and other chains do not.
    function testFuzz_ExtraDataDoesNotMatter(bytes memory extraData, bytes32 mix, uint64 number) public view {
        _requireFound(Headers.encode(Fork.Prague, number, mix, extraData), mix);
    }

    /// Fields of each form of length: a single byte, up to 55 bytes, one and two bytes of length.
    function test_FieldsOfEveryLengthArePassedOver() public view {
        uint256[8] memory lengths = [uint256(0), 1, 2, 55, 56, 255, 256, 65_535];
        for (uint256 i = 0; i < lengths.length; i++) {
            for (uint256 at = 0; at < 13; at += 6) {
                bytes memory special = Headers.text(new bytes(lengths[i]));
                _requireFound(_header(special, at, Headers.text(abi.encodePacked(MIX))), MIX);
            }
        }
    }

    /// A header that ends anywhere before the end of `mixHash`: no byte behind it is read.
    function test_AHeaderThatIsCutIsRefused() public view {
        bytes memory header = Headers.encode(Fork.Paris, 20_000_000, MIX);
        // Behind `mixHash` stand 9 bytes of the nonce.
        uint256 needed = header.length - 9;
        for (uint256 length = 0; length < needed; length++) {
            bytes memory part = Headers.encode(Fork.Paris, 20_000_000, MIX);
            assembly {
                mstore(part, length)
            }
            _requireNotFound(part);
        }
        assembly {
            mstore(header, needed)
        }
        _requireFound(header, MIX);
    }

    /// What is no list, or has a list among its fields, as no header does.
    function test_WhatHasNoFieldsIsRefused() public view {
        bytes memory mix = Headers.text(abi.encodePacked(MIX));
        _requireNotFound("");
        _requireNotFound(hex"c0");
        _requireNotFound(hex"c0c0c0c0");
        _requireNotFound(Headers.text(Headers.encode(Fork.Prague, 1, MIX)));
        _requireFound(_header(Headers.uint_(7), 12, mix), MIX);
        _requireNotFound(_header(Headers.list(Headers.uint_(7)), 12, mix));
        _requireNotFound(_header(Headers.list(new bytes(99)), 0, mix));
    }

    /// A field with three bytes of length: no header is as long.
    function test_AFieldOfMoreThan65535BytesIsRefused() public view {
        _requireNotFound(_header(Headers.text(new bytes(65_536)), 3, Headers.text(abi.encodePacked(MIX))));
        bytes memory fields = hex"bfffffffffffffffff";
        _requireNotFound(_header(fields, 0, ""));
    }

    /// A field at its place that does not have 32 bytes.
    function test_AMixHashOfAnotherSizeIsRefused() public view {
        for (uint256 length = 0; length < 64; length++) {
            bytes memory header = _header("", 13, Headers.text(new bytes(length)));
            if (length == 32) _requireFound(header, 0);
            else _requireNotFound(header);
        }
    }

    /// Whatever is handed over, it is read to the end or refused, and never past it.
    function testFuzz_GarbageIsNeverReadPastItsEnd(bytes memory garbage) public view {
        (bytes32 mixHash, bool found) = this.mixHashOf(garbage);
        bytes memory list = Headers.list(garbage);
        (bytes32 inList, bool foundInList) = this.mixHashOf(list);
        if (!found) assertEq(mixHash, 0);
        if (!foundInList) assertEq(inList, 0);
        else assertGe(garbage.length, 13 + 33);
    }
}
