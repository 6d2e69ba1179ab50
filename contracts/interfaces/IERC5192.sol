// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Tokens that may be locked to their owner (ERC-5192)
/// @dev Its interface id is 0xb45a3c0e.
interface IERC5192 {
    /// @notice The token cannot be transferred from now on.
    event Locked(uint256 tokenId);

    /// @notice The token can be transferred again.
    event Unlocked(uint256 tokenId);

    /// @notice Whether a token cannot be transferred; reverts if there is no such token.
    function locked(uint256 tokenId) external view returns (bool);
}
