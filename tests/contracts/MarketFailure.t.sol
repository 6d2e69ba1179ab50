// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// Each deadline that a provider can miss, and what everybody gets then.
contract MarketFailureTest is MarketTest {
    function _fail(Phase missed, uint256 burnedWei) private {
        vm.expectEmit(address(market));
        emit IPredictionMarket.DeadlineMissed(missed, burnedWei);
        vm.prank(anyone);
        market.fail();
        assertPhase(Phase.Failed);
    }

    function _expectNotFailed() private {
        vm.expectRevert(IPredictionMarket.NotFailed.selector);
        market.fail();
    }

    /// The provider has what is left at once; all that the market held is accounted for.
    function _collectLeft(uint256 expectedWei) private {
        uint256 before = provider.balance;
        vm.expectEmit(address(market));
        emit IPredictionMarket.Collected(provider, expectedWei);
        vm.prank(anyone);
        market.collectLeft();
        assertEq(provider.balance - before, expectedWei);
        assertEq(market.leftWei(), 0);
    }

    /// A draw that nobody took within 256 blocks costs half of the bounty.
    function test_NobodyDrewAPiece() public {
        createMarket();
        uint256 number = market.drawBlock();
        _expectNotFailed();
        vm.warp(block.timestamp + 365 days);
        vm.roll(number + 256);
        _expectNotFailed();
        vm.roll(number + 257);
        _fail(Phase.Drawing, 2 ether);
        assertEq(BURN.balance, 2 ether);
        _collectLeft(neededWei(marketParams("digits")) - 2 ether);
        assertEq(address(market).balance, 0);
    }

    /// So does a drawn piece that is not shown in time.
    function test_TheDrawnPieceWasNotShown() public {
        createMarket();
        drawPiece();
        vm.warp(market.since() + OPEN_S);
        _expectNotFailed();
        skip(1);
        _fail(Phase.Opening, 2 ether);
        assertEq(BURN.balance, 2 ether);
        _collectLeft(neededWei(marketParams("digits")) - 2 ether);
        assertEq(address(market).balance, 0);
    }

    /// Tests that are not shown: stakes go back, half is burned, and the rest is shared by units. Who did not reveal loses its stake.
    function test_TheTestsWereNotShown() public {
        openMarket();
        commit(alice, bytes.concat(Samples.one(1, 0), Samples.one(0, 1)));
        commit(bob, Samples.one(1, 2));
        commit(carol, bytes.concat(Samples.one(1, 2), Samples.one(1, 3), Samples.one(1, 4)));
        goToReveals();
        reveal(alice);
        reveal(bob);
        _expectNotFailed();
        goToTests();
        skip(TESTS_S);
        _expectNotFailed();
        skip(1);
        uint256 lostWei = participant(carol).stakeWei;
        uint256 heldWei = address(market).balance;
        _fail(Phase.Open, 2 ether);
        assertEq(BURN.balance, 2 ether + lostWei);
        uint256 third = uint256(2 ether) / 3;
        assertEq(participant(alice).owedWei, participant(alice).stakeWei + uint256(4 ether) / 3);
        assertEq(participant(bob).owedWei, participant(bob).stakeWei + third);
        assertEq(participant(carol).owedWei, 0);
        uint256 owedWei = uint256(participant(alice).owedWei) + participant(bob).owedWei;
        assertEq(market.leftWei(), heldWei - 2 ether - lostWei - owedWei);
        market.collect(alice);
        market.collect(bob);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, carol));
        market.collect(carol);
        // The reserve, and a wei that does not divide.
        _collectLeft(68 * uint256(STEP_FEE_WEI) + 1);
        assertEq(address(market).balance, 0);
    }

    /// One of several pieces that is missing is as bad as all.
    function test_APieceIsMissing() public {
        pieces.push(bytes.concat(Samples.one(1, 4), Samples.one(0, 5)));
        openMarket();
        commit(alice, Samples.one(1, 0));
        revealAll();
        goToTests();
        revealPiece((market.drawnPiece() + 1) % 3);
        skip(TESTS_S + 1);
        _fail(Phase.Open, 2 ether);
        assertEq(participant(alice).owedWei, participant(alice).stakeWei + 2 ether);
    }

    /// Where nobody showed samples nobody was harmed: the provider has all back, and stakes are burned as ever.
    function test_NobodyTookPart() public {
        openMarket();
        commit(alice, Samples.one(1, 0));
        goBehindTests();
        _fail(Phase.Open, 0);
        assertEq(BURN.balance, participant(alice).stakeWei);
        assertEq(participant(alice).owedWei, 0);
        _collectLeft(neededWei(marketParams("digits")));
        assertEq(address(market).balance, 0);
    }

    /// At least half: the odd wei of a bounty is burned, too.
    function test_AnOddWeiIsBurned() public {
        MarketParams memory params = marketParams("odd");
        params.rules.bountyWei = 41;
        openMarket(params);
        commit(alice, Samples.one(1, 0));
        revealAll();
        goBehindTests();
        _fail(Phase.Open, 21);
        assertEq(BURN.balance, 21);
        assertEq(participant(alice).owedWei, participant(alice).stakeWei + 20);
    }

    /// Once the tests are known nothing is the provider's to do, and nothing fails, however long it takes.
    function test_NothingFailsOnceTheTestsAreKnown() public {
        openMarket();
        commit(alice, Samples.one(1, 0));
        revealAll();
        revealTests();
        skip(3650 days);
        vm.roll(block.number + 1e6);
        _expectNotFailed();
        market.drawAgain();
        drawOrder("mix");
        _expectNotFailed();
        step(1);
        assertPhase(Phase.Publishing);
        _expectNotFailed();
        step(1);
        assertPhase(Phase.Published);
        _expectNotFailed();
    }

    /// A market that failed takes nothing any more.
    function test_AFailedMarketIsOver() public {
        openMarket();
        commit(alice, Samples.one(1, 0));
        revealAll();
        goBehindTests();
        market.fail();
        _expectNotFailed();
        bytes memory over = abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Failed);
        vm.expectRevert(over);
        market.drawPiece("");
        vm.expectRevert(over);
        revealPiece(0);
        vm.expectRevert(over);
        market.commit(SALT, 1);
        vm.expectRevert(over);
        market.reveal(SALT, "");
        vm.expectRevert(over);
        market.drawOrder("");
        vm.expectRevert(over);
        market.drawAgain();
        vm.expectRevert(over);
        market.step(1);
        vm.expectRevert(over);
        vm.prank(provider);
        market.writeInitialWeights(0, new uint256[](1));
        assertEq(market.step(0), 0);
    }
}
