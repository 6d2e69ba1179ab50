// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPredictionMarket, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {Fork, Headers} from "./support/Headers.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// From reveals to the order of all samples: the other pieces, and the draw.
contract MarketOrderTest is MarketTest {
    uint256 private _other;

    function setUp() public override {
        super.setUp();
        pieces.push(bytes.concat(Samples.one(1, 4), Samples.one(0, 5)));
        openMarket();
        commit(alice, bytes.concat(Samples.one(1, 0), Samples.one(0, 1)));
        commit(bob, Samples.one(1, 2));
        revealAll();
        _other = (market.drawnPiece() + 1) % 3;
    }

    function _expectWrongTime(uint256 from, uint256 until) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.WrongTime.selector, vm.getBlockTimestamp(), from, until)
        );
    }

    // The other pieces

    /// They are shown after reveals, in any order, from the first second to the last; the last one ends it.
    function test_TheOtherPiecesHaveTheirTime() public {
        uint256 from = market.since() + PARTICIPATE_S + REVEAL_S;
        uint256 until = from + TESTS_S;
        vm.warp(from - 1);
        _expectWrongTime(from, until);
        revealPiece(_other);
        vm.warp(from);
        uint256 last = (_other + 1) % 3;
        revealPiece(last);
        assertPhase(Phase.Open);
        vm.warp(until + 1);
        _expectWrongTime(from, until);
        revealPiece(_other);
        vm.warp(until);
        vm.expectEmit(address(market));
        emit IPredictionMarket.PieceRevealed(_other, pieces[_other]);
        revealPiece(_other);
        assertPhase(Phase.Tested);
        assertEq(market.piecesRevealed(), 3);
        assertEq(market.drawBlock(), block.number + 4);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Tested));
        revealPiece(_other);
    }

    /// A piece is shown once: neither the drawn one nor another one counts twice, and there is no fourth.
    function test_NoPieceIsShownTwice() public {
        goToTests();
        uint256 drawn = market.drawnPiece();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, drawn));
        revealPiece(drawn);
        revealPiece(_other);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, _other));
        revealPiece(_other);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 3));
        market.revealPiece(3, SALT, pieces[0]);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 256 + drawn));
        market.revealPiece(256 + drawn, pieceSalt(drawn), pieces[drawn]);
        assertEq(market.piecesRevealed(), 2);
    }

    // The draw

    /// The block decides, and the seed says the order: that of an independent shuffle.
    function test_TheBlockDrawsTheOrder() public {
        revealTests();
        bytes memory header = mine("mix");
        vm.expectEmit(address(market));
        emit IPredictionMarket.OrderDrawn(drawnBy("mix"), 3);
        vm.prank(anyone);
        market.drawOrder(header);
        assertPhase(Phase.Evaluating);
        assertEq(replay.seed(), drawnBy("mix"));
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Evaluating));
        market.drawOrder(header);
    }

    /// Nothing is drawn before all pieces are known, nor by another header.
    function test_TheOrderIsDrawnByItsBlock() public {
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Open));
        market.drawOrder("");
        revealTests();
        uint256 number = market.drawBlock();
        bytes memory wrong = abi.encodeWithSelector(IPredictionMarket.WrongHeader.selector, number);
        vm.expectRevert(wrong);
        market.drawOrder(Headers.encode(Fork.Prague, number, "mix"));
        mine("mix");
        vm.expectRevert(wrong);
        market.drawOrder(Headers.encode(Fork.Prague, number, "another"));
    }

    /// When 256 blocks went by, anybody names another block, and no sooner.
    function test_ADrawThatNobodyTookIsDrawnAgain() public {
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Open));
        market.drawAgain();
        revealTests();
        uint256 number = market.drawBlock();
        vm.roll(number + 256);
        vm.expectRevert(IPredictionMarket.NotFailed.selector);
        market.drawAgain();
        vm.roll(number + 257);
        vm.prank(anyone);
        market.drawAgain();
        assertEq(market.drawBlock(), number + 257 + 4);
        drawOrder("mix");
        finish(9);
    }

    /// Without samples there is no order: the model is published as the provider wrote it, and the bounty is left.
    function test_WithoutSamplesThereIsNothingToScore() public {
        createMarket(marketParams("empty"));
        uint256[] memory words = new uint256[](1);
        // Weight 4 and weight 0: tests 4 and 0 are right, too.
        words[0] = uint256(1) << 240 | uint256(1) << (240 - 64);
        vm.prank(provider);
        market.writeInitialWeights(0, words);
        openCreated();
        commit(carol, Samples.one(1, 0));
        uint256 stakeWei = participant(carol).stakeWei;
        uint256 leftWei = market.leftWei();
        revealTests();
        bytes memory header = mine("mix");
        vm.expectEmit(address(market));
        emit IPredictionMarket.OrderDrawn(drawnBy("mix"), 0);
        vm.expectEmit(address(market));
        emit IPredictionMarket.Settled(5, 10, 0);
        uint256 before = anyone.balance;
        vm.prank(anyone);
        market.drawOrder(header);
        assertEq(anyone.balance - before, 24 * STEP_FEE_WEI);
        assertPhase(Phase.Publishing);
        finish(1);
        assertEq(model.weights(0, 1), words);
        assertEq(BURN.balance, stakeWei);
        assertEq(market.leftWei(), leftWei - 25 * STEP_FEE_WEI);
    }
}
