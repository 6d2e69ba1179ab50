// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {TrainerPart} from "../TrainerPart.sol";
import {IBadges} from "../interfaces/IBadges.sol";
import {IERC5192} from "../interfaces/IERC5192.sol";

/// @title Badges that follow from model points
/// @dev What a wallet is shown holds numbers and addresses only, nothing that anybody could have chosen, so nothing needs
/// escaping.
abstract contract Badges is IBadges, TrainerPart {
    uint256 private constant LEVELS = 5;

    /// @dev The colours of the levels, six digits each.
    bytes private constant COLOURS = "7f8c8dcd7f32c0c0c0ffd7008ecae6";

    /// @inheritdoc IERC721Metadata
    string public constant name = "DCAI model points";
    /// @inheritdoc IERC721Metadata
    string public constant symbol = "DCAI";

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC721).interfaceId
            || interfaceId == type(IERC721Metadata).interfaceId || interfaceId == type(IERC5192).interfaceId;
    }

    /// @inheritdoc IERC721
    function balanceOf(address owner) external view returns (uint256) {
        if (owner == address(0)) revert IERC721Errors.ERC721InvalidOwner(owner);
        return _levelOf(_modelPointsOf(owner));
    }

    /// @inheritdoc IERC721
    function ownerOf(uint256 tokenId) external view returns (address owner) {
        (owner,) = _requireEarned(tokenId);
    }

    /// @inheritdoc IERC721Metadata
    function tokenURI(uint256 tokenId) external view returns (string memory) {
        (address owner, uint256 level) = _requireEarned(tokenId);
        return string.concat("data:application/json;base64,", Base64.encode(bytes(_metadata(owner, level))));
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireEarned(tokenId);
        return true;
    }

    /// @inheritdoc IERC721
    function getApproved(uint256 tokenId) external view returns (address) {
        _requireEarned(tokenId);
        return address(0);
    }

    /// @inheritdoc IERC721
    function isApprovedForAll(address, address) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IERC721
    function approve(address, uint256 tokenId) external pure {
        revert BadgeLocked(tokenId);
    }

    /// @inheritdoc IERC721
    function setApprovalForAll(address operator, bool) external pure {
        revert ApprovalRefused(operator);
    }

    /// @inheritdoc IERC721
    function transferFrom(address, address, uint256 tokenId) external pure {
        revert BadgeLocked(tokenId);
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256 tokenId) external pure {
        revert BadgeLocked(tokenId);
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256 tokenId, bytes calldata) external pure {
        revert BadgeLocked(tokenId);
    }

    /// @dev How many model points somebody has earned. They never become fewer.
    function _modelPointsOf(address contributor) internal view virtual returns (uint256);

    /// @dev Tells of the badges that somebody has with so many points and did not have before.
    function _tellNewBadges(address contributor, uint256 pointsBefore, uint256 points) internal {
        uint256 last = _levelOf(points);
        for (uint256 level = _levelOf(pointsBefore) + 1; level <= last; level++) {
            uint256 tokenId = (level << 160) | uint160(contributor);
            emit Transfer(address(0), contributor, tokenId);
            emit Locked(tokenId);
        }
    }

    /// @dev Whose badge it is and of which level; reverts unless it was earned.
    function _requireEarned(uint256 tokenId) private view returns (address owner, uint256 level) {
        owner = address(uint160(tokenId));
        level = tokenId >> 160;
        if (level == 0 || level > _levelOf(_modelPointsOf(owner))) {
            revert IERC721Errors.ERC721NonexistentToken(tokenId);
        }
    }

    /// @dev How many badges so many points make.
    function _levelOf(uint256 points) private pure returns (uint256 level) {
        while (level < LEVELS && points >= _pointsFor(level + 1)) level++;
    }

    /// @dev How many points a badge of this level stands for.
    function _pointsFor(uint256 level) private pure returns (uint256) {
        return 10 ** (level - 1);
    }

    function _metadata(address owner, uint256 level) private view returns (string memory) {
        string memory number = Strings.toString(_pointsFor(level));
        string memory title = string.concat(number, level == 1 ? " model point" : " model points");
        string memory model = Strings.toChecksumHexString(trainer);
        string memory contributor = Strings.toChecksumHexString(owner);
        string memory head = string.concat(
            '{"name":"',
            title,
            '","description":"',
            contributor,
            " earned ",
            title,
            " with samples that taught the DCAI model at ",
            model,
            ' something and that it confirmed later. Not transferable.","attributes":['
        );
        return string.concat(
            head,
            '{"trait_type":"Level","value":',
            Strings.toString(level),
            ',"max_value":',
            Strings.toString(LEVELS),
            '},{"trait_type":"Model points","value":',
            number,
            '},{"trait_type":"Model","value":"',
            model,
            '"}],"image":"data:image/svg+xml;base64,',
            Base64.encode(bytes(_image(number, title, contributor, level))),
            '"}'
        );
    }

    /// @dev A medal with the number on it.
    function _image(string memory number, string memory title, string memory contributor, uint256 level)
        private
        pure
        returns (string memory)
    {
        string memory colour = _colourOf(level);
        string memory medal = string.concat(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" font-family="sans-serif" text-anchor="middle">',
            "<title>DCAI: ",
            title,
            '</title><rect width="400" height="400" fill="#10151c"/><circle cx="200" cy="170" r="120" fill="none" stroke="#',
            colour,
            '" stroke-width="16"/>'
        );
        return string.concat(
            medal,
            '<text x="200" y="190" font-size="60" fill="#',
            colour,
            '">',
            number,
            '</text><text x="200" y="340" font-size="28" fill="#fff">',
            title,
            '</text><text x="200" y="375" font-size="14" fill="#999">',
            contributor,
            "</text></svg>"
        );
    }

    function _colourOf(uint256 level) private pure returns (string memory) {
        bytes memory colour = new bytes(6);
        for (uint256 i = 0; i < 6; i++) {
            colour[i] = COLOURS[6 * (level - 1) + i];
        }
        return string(colour);
    }
}
