// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Stores bytes as the code of a contract
/// @notice A byte costs 200 gas instead of 625 in slots, and reading a few kilobytes costs less than reading two slots. The
/// method is known as SSTORE2 (0xsequence).
library CodeStorage {
    /// @notice Nothing to store, or more than the code of a contract may have.
    error InvalidSize(uint256 size, uint256 limit);

    /// @dev A contract's code has at most 24,576 bytes, of which one is the STOP that keeps the data from being run.
    uint256 internal constant MAX_BYTES = 24_575;

    /// @notice Stores data.
    /// @param data 1 to 24,575 bytes.
    /// @return store The contract that holds them.
    function write(bytes memory data) internal returns (address store) {
        if (data.length == 0 || data.length > MAX_BYTES) revert InvalidSize(data.length, MAX_BYTES);
        // Returns all that stands behind these 10 bytes: PUSH2 size, DUP1, PUSH1 10, 0, CODECOPY, 0, RETURN; then STOP and data.
        bytes memory code =
            abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a3d393df3", hex"00", data);
        assembly ("memory-safe") {
            store := create(0, add(code, 32), mload(code))
        }
        // Nothing but running out of gas can stop it.
        assert(store != address(0));
    }

    /// @notice Reads stored data.
    /// @param store What `write` returned.
    function read(address store) internal view returns (bytes memory data) {
        uint256 size = store.code.length - 1;
        data = new bytes(size);
        assembly ("memory-safe") {
            extcodecopy(store, add(data, 32), 1, size)
        }
    }
}
