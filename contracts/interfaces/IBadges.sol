// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {IERC5192} from "./IERC5192.sol";

/// @title Badges for model points: tokens that any wallet shows and nobody can move
/// @notice There are five levels: level 1 is 1 model point, and each further level ten times as many, up to 10,000. Who has the
/// points has the badge, so nothing is stored for it. Its id is `level * 2^160 + contributor`. It is minted, as far as logs tell,
/// when the points are earned; points are never lost, so it is never burnt.
interface IBadges is IERC721Metadata, IERC5192 {
    /// @notice A badge stays with who earned it, and nobody else can be approved for it.
    error BadgeLocked(uint256 tokenId);

    /// @notice No badge can be moved, so there is nothing to approve an operator for.
    error ApprovalRefused(address operator);
}
