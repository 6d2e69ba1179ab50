// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Vm} from "forge-std/Vm.sol";
import {IBadges} from "../../contracts/interfaces/IBadges.sol";
import {IERC5192} from "../../contracts/interfaces/IERC5192.sol";
import {PointsTest} from "./support/PointsTest.sol";

/// Badges as a wallet sees them.
contract BadgesTest is PointsTest {
    uint256[5] private _thresholds = [uint256(1), 10, 100, 1000, 10_000];

    IBadges internal badges;

    function setUp() public override {
        useOwnMechanism();
        badges = IBadges(address(incentive));
    }

    /// With any number of points one has exactly the badges whose thresholds were reached.
    function testFuzz_BadgesFollowFromPoints(uint256 earned) public {
        earned = bound(earned, 0, 12_000);
        award(alice, earned);
        uint256 levels;
        for (uint256 level = 1; level <= 5; level++) {
            if (earned >= _thresholds[level - 1]) {
                levels++;
                assertEq(badges.ownerOf(_id(alice, level)), alice);
                assertTrue(badges.locked(_id(alice, level)));
                assertEq(badges.getApproved(_id(alice, level)), address(0));
            } else {
                _expectNone(_id(alice, level));
            }
        }
        assertEq(badges.balanceOf(alice), levels);
    }

    /// A badge is told of once, as minted and locked, by the claim that reaches its threshold.
    function test_BadgesAreToldWhenTheirThresholdIsReached() public {
        uint256[6] memory steps = [uint256(1), 8, 1, 89, 1, 900];
        uint256[6] memory told = [uint256(1), 0, 1, 0, 1, 1];
        uint256 level;
        for (uint256 i = 0; i < 6; i++) {
            vm.recordLogs();
            award(alice, steps[i]);
            Vm.Log[] memory logs = vm.getRecordedLogs();
            uint256 mints;
            for (uint256 k = 0; k < logs.length; k++) {
                if (logs[k].topics[0] != IERC721.Transfer.selector) continue;
                mints++;
                assertEq(logs[k].topics[1], bytes32(0));
                assertEq(logs[k].topics[2], bytes32(uint256(uint160(alice))));
                assertEq(logs[k].topics[3], bytes32(_id(alice, ++level)));
                assertEq(logs[k + 1].topics[0], IERC5192.Locked.selector);
                assertEq(logs[k + 1].data, abi.encode(_id(alice, level)));
            }
            assertEq(mints, told[i]);
        }
        assertEq(badges.balanceOf(alice), 4);
    }

    /// One claim can reach two thresholds.
    function test_OneClaimReachesTwoThresholds() public {
        vm.expectEmit(address(badges));
        emit IERC721.Transfer(address(0), alice, _id(alice, 1));
        vm.expectEmit(address(badges));
        emit IERC5192.Locked(_id(alice, 1));
        vm.expectEmit(address(badges));
        emit IERC721.Transfer(address(0), alice, _id(alice, 2));
        vm.expectEmit(address(badges));
        emit IERC5192.Locked(_id(alice, 2));
        award(alice, 10);
    }

    /// Ids that no badge has are refused by every question about a token.
    function testFuzz_OtherIdsAreNoBadges(uint256 tokenId) public {
        award(alice, 10_000);
        uint256 level = tokenId >> 160;
        vm.assume(address(uint160(tokenId)) != alice || level == 0 || level > 5);
        _expectNone(tokenId);
        _expectNone(_id(alice, 0));
        _expectNone(_id(alice, 6));
        _expectNone(_id(address(0), 1));
    }

    /// The zero address has no balance that could be asked for.
    function test_TheZeroAddressOwnsNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidOwner.selector, address(0)));
        badges.balanceOf(address(0));
    }

    /// Its owner cannot move a badge, nor let anybody else do so.
    function test_BadgesStay() public {
        award(alice, 1);
        uint256 id = _id(alice, 1);
        bytes memory refusal = abi.encodeWithSelector(IBadges.BadgeLocked.selector, id);
        vm.startPrank(alice);
        vm.expectRevert(refusal);
        badges.transferFrom(alice, bob, id);
        vm.expectRevert(refusal);
        badges.safeTransferFrom(alice, bob, id);
        vm.expectRevert(refusal);
        badges.safeTransferFrom(alice, bob, id, "");
        vm.expectRevert(refusal);
        badges.approve(bob, id);
        vm.expectRevert(abi.encodeWithSelector(IBadges.ApprovalRefused.selector, bob));
        badges.setApprovalForAll(bob, true);
        assertFalse(badges.isApprovedForAll(alice, bob));
        assertEq(badges.ownerOf(id), alice);
    }

    /// The interfaces are announced, by the ids of the standards.
    function test_InterfacesAreAnnounced() public view {
        bytes4[4] memory ids = [bytes4(0x01ffc9a7), 0x80ac58cd, 0x5b5e139f, 0xb45a3c0e];
        for (uint256 i = 0; i < 4; i++) {
            assertTrue(badges.supportsInterface(ids[i]));
        }
        assertFalse(badges.supportsInterface(0xffffffff));
        assertFalse(badges.supportsInterface(0x780e9d63), "not enumerable");
        assertEq(badges.name(), "DCAI model points");
        assertEq(badges.symbol(), "DCAI");
    }

    /// The metadata of every level is JSON that says what it is for, with a picture inside.
    function test_TheMetadataTellsWhatTheBadgeIsFor() public {
        award(alice, 10_000);
        string[5] memory colours = ["7f8c8d", "cd7f32", "c0c0c0", "ffd700", "8ecae6"];
        for (uint256 level = 1; level <= 5; level++) {
            string memory json =
                string(_decode(badges.tokenURI(_id(alice, level)), "data:application/json;base64,"));
            string memory number = Strings.toString(_thresholds[level - 1]);
            string memory title = string.concat(number, level == 1 ? " model point" : " model points");
            assertEq(vm.parseJsonString(json, ".name"), title);
            assertEq(
                vm.parseJsonString(json, ".description"),
                string.concat(
                    Strings.toChecksumHexString(alice),
                    " earned ",
                    title,
                    " with samples that taught the DCAI model at ",
                    Strings.toChecksumHexString(address(this)),
                    " something and that it confirmed later. Not transferable."
                )
            );
            assertEq(vm.parseJsonUint(json, ".attributes[0].value"), level);
            assertEq(vm.parseJsonUint(json, ".attributes[0].max_value"), 5);
            assertEq(vm.parseJsonUint(json, ".attributes[1].value"), _thresholds[level - 1]);
            assertEq(vm.parseJsonAddress(json, ".attributes[2].value"), address(this));
            string memory image =
                string(_decode(vm.parseJsonString(json, ".image"), "data:image/svg+xml;base64,"));
            assertEq(vm.indexOf(image, "<svg xmlns=\"http://www.w3.org/2000/svg\""), 0);
            assertTrue(vm.contains(image, string.concat(">", title, "</text>")));
            assertTrue(vm.contains(image, string.concat('stroke="#', colours[level - 1], '"')));
        }
    }

    function _id(address contributor, uint256 level) private pure returns (uint256) {
        return level * 2 ** 160 + uint160(contributor);
    }

    function _expectNone(uint256 tokenId) private {
        bytes memory refusal = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, tokenId);
        vm.expectRevert(refusal);
        badges.ownerOf(tokenId);
        vm.expectRevert(refusal);
        badges.locked(tokenId);
        vm.expectRevert(refusal);
        badges.getApproved(tokenId);
        vm.expectRevert(refusal);
        badges.tokenURI(tokenId);
    }

    /// What stands behind the head of a data URI.
    function _decode(string memory uri, string memory head) private pure returns (bytes memory) {
        assertEq(vm.indexOf(uri, head), 0);
        return Base64.decode(vm.split(uri, ",")[1]);
    }
}
