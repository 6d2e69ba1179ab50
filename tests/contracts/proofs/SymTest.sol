// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What halmos offers to make symbolic values.
interface Svm {
    function createUint(uint256 bitSize, string memory name) external pure returns (uint256 value);
    function createBytes(uint256 byteSize, string memory name) external pure returns (bytes memory value);
    function createBytes32(string memory name) external pure returns (bytes32 value);
    function createAddress(string memory name) external pure returns (address value);
    function createBool(string memory name) external pure returns (bool value);
}

/// The part of forge's cheats that halmos knows and proofs use.
interface Cheats {
    function assume(bool condition) external pure;
    function prank(address caller) external;
    function warp(uint256 timestamp) external;
    function deal(address account, uint256 balanceWei) external;
}

/// A contract of proofs: halmos runs each function named `check_` with all values at once.
abstract contract SymTest {
    Svm internal constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// Tells halmos that there are tests in here.
    bool public constant IS_TEST = true;
}
