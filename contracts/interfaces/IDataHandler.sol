// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The meta-data of a batch. Only its hash is stored on-chain, so every claim brings it along.
/// @param id The number of the batch in its trainer; counted from 0, never used twice.
/// @param contributor Who sent the batch and owns its deposit.
/// @param addedAt When it was contributed, in seconds.
/// @param depositPerUnit The deposit of one unit, in wei. A sample's deposit is this times its units.
/// @param count How many samples it has, 1 to 256.
/// @param units The units of all its samples together.
/// @param informative Bit i (lowest first) is set if the model predicted another label for sample i when it was contributed.
/// @param samplesRoot The Merkle root over the hashes of its samples (`SampleMerkle`).
struct Batch {
    uint256 id;
    address contributor;
    uint64 addedAt;
    uint128 depositPerUnit;
    uint16 count;
    uint32 units;
    uint256 informative;
    bytes32 samplesRoot;
}

/// @title Keeps what identifies the contributed data, for every future use of it
/// @notice The data itself stands in the trainer's `Contributed` events. Any contract that is handed a batch can ask here
/// whether it is a real one, so the data is useful beyond this trainer.
interface IDataHandler {
    /// @notice Makes a fresh clone the data handler of a trainer, once.
    /// @param trainer The only address that may commit batches.
    function initialize(address trainer) external;

    /// @notice Remembers a batch. Only the trainer may call this, and never twice with the same id.
    /// @param batch The meta-data.
    function commit(Batch calldata batch) external;

    /// @notice Whether this is the meta-data of a committed batch, field by field.
    /// @param batch The meta-data to check.
    /// @return Whether its hash is the committed one.
    function verify(Batch calldata batch) external view returns (bool);

    /// @notice The committed hash of a batch.
    /// @param batchId The number of the batch.
    /// @return `keccak256(abi.encode(contributor, addedAt, depositPerUnit, count, units, informative, samplesRoot))`, or 0 if
    /// there is no such batch.
    function batchHash(uint256 batchId) external view returns (bytes32);
}
