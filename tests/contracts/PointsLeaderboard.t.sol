// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Standing} from "../../contracts/interfaces/IPoints.sol";
import {PointsTest} from "./support/PointsTest.sol";

/// Who is listed, where, and who is reached from whom.
contract PointsLeaderboardTest is PointsTest {
    function setUp() public override {
        useOwnMechanism();
    }

    /// Contributors stand in the order of their first point, with what they have now.
    function test_ContributorsStandInTheOrderOfTheirFirstPoint() public {
        award(bob, 1);
        award(alice, POINTS_TO_VALIDATE);
        award(bob, 4);
        validate(alice, bob);
        assertEq(points.contributorCount(), 2);
        Standing[] memory standings = points.leaderboard(0, 10);
        assertEq(standings.length, 2);
        assertEq(abi.encode(standings[0]), abi.encode(Standing(bob, 5, 1)));
        assertEq(abi.encode(standings[1]), abi.encode(Standing(alice, uint64(POINTS_TO_VALIDATE), 0)));
    }

    /// Any two pages beside each other are the list, and a page ends where the list does.
    function testFuzz_PagesPartTheLists(uint256 cut, uint256 beyond) public {
        address[] memory people = _people(12);
        for (uint256 i = 1; i < 12; i++) {
            validate(people[0], people[i]);
        }
        cut = bound(cut, 0, 12);
        Standing[] memory head = points.leaderboard(0, cut);
        Standing[] memory tail = points.leaderboard(cut, ALL);
        assertEq(head.length + tail.length, 12);
        for (uint256 i = 0; i < 12; i++) {
            assertEq((i < cut ? head[i] : tail[i - cut]).contributor, people[i]);
        }
        cut = bound(cut, 0, 11);
        address[] memory first = points.validationsBy(people[0], 0, cut);
        address[] memory rest = points.validationsBy(people[0], cut, ALL);
        assertEq(first.length + rest.length, 11);
        for (uint256 i = 0; i < 11; i++) {
            assertEq(i < cut ? first[i] : rest[i - cut], people[i + 1]);
        }
        beyond = bound(beyond, 12, ALL);
        assertEq(points.leaderboard(beyond, ALL).length, 0);
        assertEq(points.validationsBy(people[0], beyond, ALL).length, 0);
        assertEq(points.validationsBy(people[1], 0, ALL).length, 0);
    }

    /// Who is reached by validations is listed nearest first, each once; a circle ends, and an island is never reached.
    function test_TheReachableAreListedNearestFirst() public {
        address[] memory people = _people(7);
        validate(people[0], people[2]);
        validate(people[0], people[1]);
        validate(people[2], people[3]);
        validate(people[1], people[3]);
        validate(people[3], people[0]);
        // Two who validate each other, and one of whom trusts the others, too.
        validate(people[5], people[6]);
        validate(people[6], people[5]);
        validate(people[5], people[0]);
        address[] memory reached = _reachable(_roots(people[0]), ALL);
        assertEq(reached.length, 4);
        assertEq(reached[0], people[0]);
        assertEq(reached[1], people[2]);
        assertEq(reached[2], people[1]);
        assertEq(reached[3], people[3]);
        assertEq(points.reachable(_roots(people[0]), 4)[3].modelPoints, POINTS_TO_VALIDATE);
        assertEq(points.reachable(_roots(people[0]), 4)[3].validationPoints, 2);
    }

    /// Roots come first, once each; addresses without points are skipped.
    function test_RootsComeFirst() public {
        address[] memory people = _people(3);
        validate(people[0], people[2]);
        address[] memory roots = new address[](5);
        (roots[0], roots[1], roots[2], roots[3], roots[4]) =
        (makeAddr("nobody"), people[1], people[0], people[1], address(0));
        address[] memory reached = _reachable(roots, ALL);
        assertEq(reached.length, 3);
        assertEq(reached[0], people[1]);
        assertEq(reached[1], people[0]);
        assertEq(reached[2], people[2]);
        assertEq(_reachable(new address[](0), ALL).length, 0);
    }

    /// With 300 contributors, so more than a word of bits, a chain is followed to its end.
    function test_ALongChainIsFollowed() public {
        address[] memory people = _people(300);
        for (uint256 i = 0; i + 1 < 300; i++) {
            validate(people[i], people[i + 1]);
        }
        address[] memory reached = _reachable(_roots(people[0]), ALL);
        assertEq(reached, people);
    }

    /// On any graph the answer is exactly who can be reached, and a limit cuts the same list short.
    function testFuzz_ReachableIsTheClosure(uint256 seed, uint256 limit) public {
        address[] memory people = _people(10);
        bool[10][10] memory path;
        for (uint256 i = 0; i < 10; i++) {
            path[i][i] = true;
        }
        for (uint256 draw = 0; draw < 12; draw++) {
            seed = uint256(keccak256(abi.encode(seed)));
            (uint256 from, uint256 to) = (seed % 10, (seed >> 8) % 10);
            if (path[from][to] && (from == to || points.hasValidated(people[from], people[to]))) continue;
            validate(people[from], people[to]);
            path[from][to] = true;
        }
        // Warshall's closure.
        for (uint256 via = 0; via < 10; via++) {
            for (uint256 from = 0; from < 10; from++) {
                for (uint256 to = 0; to < 10; to++) {
                    if (path[from][via] && path[via][to]) path[from][to] = true;
                }
            }
        }
        uint256 root = seed % 10;
        address[] memory reached = _reachable(_roots(people[root]), ALL);
        uint256 expected;
        for (uint256 to = 0; to < 10; to++) {
            if (!path[root][to]) continue;
            expected++;
            assertEq(_count(reached, people[to]), 1);
        }
        assertEq(reached.length, expected);
        limit = bound(limit, 0, 12);
        address[] memory cut = _reachable(_roots(people[root]), limit);
        assertEq(cut.length, limit < expected ? limit : expected);
        for (uint256 i = 0; i < cut.length; i++) {
            assertEq(cut[i], reached[i]);
        }
    }

    /// So many contributors with enough points to validate.
    function _people(uint256 count) private returns (address[] memory people) {
        people = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            people[i] = address(uint160(0x1000 + i));
            award(people[i], POINTS_TO_VALIDATE);
        }
    }

    function _roots(address root) private pure returns (address[] memory roots) {
        roots = new address[](1);
        roots[0] = root;
    }

    function _reachable(address[] memory roots, uint256 limit) private view returns (address[] memory found) {
        Standing[] memory standings = points.reachable(roots, limit);
        found = new address[](standings.length);
        for (uint256 i = 0; i < found.length; i++) {
            found[i] = standings[i].contributor;
        }
    }

    function _count(address[] memory all, address wanted) private pure returns (uint256 count) {
        for (uint256 i = 0; i < all.length; i++) {
            if (all[i] == wanted) count++;
        }
    }
}
