// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarketReplay} from "../../contracts/interfaces/IMarketReplay.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {Fork, Headers} from "./support/Headers.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// From a market that was made to one that is open: initial words, the draw of a piece, and the piece.
contract MarketOpeningTest is MarketTest {
    function setUp() public override {
        super.setUp();
        createMarket();
    }

    function _words(uint256 a, uint256 b) private pure returns (uint256[] memory words) {
        words = new uint256[](2);
        (words[0], words[1]) = (a, b);
    }

    function _write(uint256 first, uint256[] memory words) private {
        vm.prank(provider);
        market.writeInitialWeights(first, words);
    }

    function _expectWrongHeader(bytes memory header) private {
        uint256 number = market.drawBlock();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongHeader.selector, number));
        market.drawPiece(header);
    }

    // Initial words

    /// They train the working copy's start, piece by piece and before the market opens.
    function test_InitialWordsAreWritten() public {
        uint256[] memory words = _words(uint256(0x8101) << 240, uint256(0x7eff) << 240);
        // Weight 0 is -32511, weight 16 is 32511: both too near to the limit of 32767 by 768.
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.WeightTooLarge.selector, 0, uint256(0x8101) << 240)
        );
        _write(0, words);
        words = _words(uint256(0x8401) << 240, uint256(0x7bff) << 240);
        vm.expectEmit(address(market));
        emit IPredictionMarket.InitialWeights(0, words);
        _write(0, words);
        drawPiece();
        _write(3, new uint256[](1));
        assertEq(replay.working().weights(0, 2), words);
    }

    /// The limit is 32,767 less the 1,024 contributions that there may be; it holds for each of the 16 weights, and the bias.
    function test_WeightsThatTrainingCouldTakeToTheirLimitAreRefused() public {
        for (uint256 lane = 0; lane < 16; lane++) {
            uint256[] memory words = _words(0, uint256(0x7c00) << 16 * lane);
            vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WeightTooLarge.selector, 1, words[1]));
            _write(0, words);
            words[1] = uint256(0x8400) << 16 * lane;
            vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WeightTooLarge.selector, 1, words[1]));
            _write(0, words);
            words[1] = uint256(0x8000) << 16 * lane;
            vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WeightTooLarge.selector, 1, words[1]));
            _write(0, words);
        }
    }

    /// They come in order and never twice, so that a reset costs no more than the reserve has.
    function test_InitialWordsComeInOrder() public {
        vm.expectRevert(abi.encodeWithSelector(IMarketReplay.InvalidWords.selector, 0, 0));
        _write(0, new uint256[](0));
        _write(1, new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IMarketReplay.InvalidWords.selector, 1, 1));
        _write(1, new uint256[](1));
        vm.expectRevert(abi.encodeWithSelector(IMarketReplay.InvalidWords.selector, 0, 2));
        _write(0, new uint256[](2));
        _write(2, new uint256[](2));
        MarketParams memory params = marketParams("large");
        params.model.nFeatures = 65_536;
        createMarket(params);
        vm.expectRevert(abi.encodeWithSelector(IMarketReplay.InvalidWords.selector, 0, 401));
        _write(0, new uint256[](401));
        _write(0, new uint256[](400));
        // A draw reads all parts at once: with a thousand of them it would not fit into a transaction, and the market be stuck.
        for (uint256 part = 1; part < 16; part++) {
            _write(400 + part, new uint256[](1));
        }
        vm.expectRevert(abi.encodeWithSelector(IMarketReplay.InvalidWords.selector, 416, 1));
        _write(416, new uint256[](1));
    }

    /// What the model would not take is refused when it is written, not when the market is reset.
    function test_InitialWordsThatTheModelRefusesAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IModel.WordsOutOfRange.selector, 3, 2, 4));
        _write(3, new uint256[](2));
        // 40 features: the last word of weights has 8, so its low half is unused.
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidWord.selector, 2, 1));
        _write(2, _words(1, 0));
    }

    /// They are the provider's to write, and only before the market opens.
    function test_InitialWordsAreTheProvidersUntilTheMarketOpens() public {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NotProvider.selector, alice, provider));
        market.writeInitialWeights(0, new uint256[](1));
        openCreated();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Open));
        _write(0, new uint256[](1));
    }

    // The draw

    /// The block's `mixHash` and the market's address decide; anybody may show the header, of any fork.
    function test_TheBlockDrawsAPiece() public {
        uint256 snapshot = vm.snapshotState();
        bool[2] memory drawn;
        for (uint256 i = 0; i < 20; i++) {
            bytes32 mix = keccak256(abi.encode(i));
            uint256 expected = uint256(keccak256(abi.encode(mix, address(market)))) % 2;
            uint256 number = market.drawBlock();
            vm.roll(number + 1);
            bytes memory header = Headers.encode(Fork(i % 5), number, mix);
            vm.setBlockhash(number, keccak256(header));
            vm.expectEmit(address(market));
            emit IPredictionMarket.PieceDrawn(expected);
            vm.prank(anyone);
            market.drawPiece(header);
            assertEq(market.drawnPiece(), expected);
            assertPhase(Phase.Opening);
            drawn[expected] = true;
            vm.revertToState(snapshot);
        }
        assertTrue(drawn[0] && drawn[1], "each piece is drawn at times");
    }

    /// Any header but that of the block, and that of another block.
    function test_AnotherHeaderIsRefused() public {
        bytes memory header = mine(OPENING_MIX);
        _expectWrongHeader("");
        _expectWrongHeader(Headers.encode(Fork.Prague, market.drawBlock(), keccak256("another")));
        _expectWrongHeader(bytes.concat(header, hex"00"));
        bytes memory next = Headers.encode(Fork.Prague, market.drawBlock() + 1, OPENING_MIX);
        vm.roll(market.drawBlock() + 2);
        vm.setBlockhash(market.drawBlock() + 1, keccak256(next));
        _expectWrongHeader(next);
        market.drawPiece(header);
    }

    /// A chain whose headers have nothing at that place draws nothing, even by its own block.
    function test_AHeaderWithoutAMixHashIsRefused() public {
        uint256 number = market.drawBlock();
        vm.roll(number + 1);
        bytes memory header = Headers.list(Headers.uint_(number));
        vm.setBlockhash(number, keccak256(header));
        _expectWrongHeader(header);
    }

    /// Before the block is there, and when its hash is out of reach.
    function test_TheDrawWaitsForItsBlockAndNoLongerThan256() public {
        uint256 number = market.drawBlock();
        assertEq(number, vm.getBlockNumber() + 4);
        bytes memory header = Headers.encode(Fork.Prague, number, OPENING_MIX);
        _expectWrongHeader(header);
        vm.roll(number);
        _expectWrongHeader(header);
        uint256 snapshot = vm.snapshotState();
        vm.roll(number + 256);
        vm.setBlockhash(number, keccak256(header));
        market.drawPiece(header);
        vm.revertToState(snapshot);
        vm.roll(number + 257);
        _expectWrongHeader(header);
    }

    /// A piece is drawn once.
    function test_APieceIsDrawnOnce() public {
        bytes memory header = mine(OPENING_MIX);
        market.drawPiece(header);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Opening));
        market.drawPiece(header);
    }

    // The drawn piece

    /// The drawn piece opens the market, up to the last second; anybody who has it may show it.
    function test_TheDrawnPieceOpensTheMarket() public {
        drawPiece();
        uint256 index = market.drawnPiece();
        assertEq(market.pieceHash(index, pieceSalt(index), pieces[index]), market.rules().pieces[index]);
        vm.warp(market.since() + OPEN_S);
        vm.expectEmit(address(market));
        emit IPredictionMarket.PieceRevealed(index, pieces[index]);
        vm.prank(anyone);
        market.revealPiece(index, pieceSalt(index), pieces[index]);
        assertPhase(Phase.Open);
        assertEq(market.since(), block.timestamp);
        assertEq(market.piecesRevealed(), 1);
    }

    /// A second later it does not.
    function test_TheDrawnPieceIsRefusedWhenItIsLate() public {
        drawPiece();
        uint256 index = market.drawnPiece();
        (uint256 from, uint256 until) = (market.since(), market.since() + OPEN_S);
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongTime.selector, until + 1, from, until));
        market.revealPiece(index, pieceSalt(index), pieces[index]);
    }

    /// Another piece, another salt, another payload, and a piece before any was drawn.
    function test_AnythingButTheDrawnPieceIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Drawing));
        market.revealPiece(0, pieceSalt(0), pieces[0]);
        drawPiece();
        uint256 index = market.drawnPiece();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 1 - index));
        market.revealPiece(1 - index, pieceSalt(1 - index), pieces[1 - index]);
        bytes memory wrong = abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, index);
        vm.expectRevert(wrong);
        market.revealPiece(index, pieceSalt(1 - index), pieces[index]);
        vm.expectRevert(wrong);
        market.revealPiece(index, pieceSalt(index), pieces[1 - index]);
        vm.expectRevert(wrong);
        market.revealPiece(index, pieceSalt(index), "");
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 2));
        market.revealPiece(2, pieceSalt(2), pieces[index]);
        assertPhase(Phase.Opening);
    }

    /// The hash is for a place among the pieces, for this market, and for this chain.
    function test_APieceIsHashedForItsPlace() public {
        bytes32 hash = market.pieceHash(0, SALT, pieces[0]);
        assertEq(hash, keccak256(abi.encode(block.chainid, address(market), 0, 2, SALT, pieces[0])));
        assertTrue(market.pieceHash(1, SALT, pieces[0]) != hash);
        address first = address(market);
        MarketParams memory params = marketParams("other");
        createMarket(params);
        assertTrue(market.pieceHash(0, SALT, pieces[0]) != hash);
        vm.chainId(block.chainid + 1);
        assertTrue(first != address(market));
        assertTrue(market.pieceHash(0, SALT, pieces[0]) != hash);
    }

    /// Opens a market whose pieces are both this one, and expects an error.
    function _expectRefused(bytes memory piece, bytes memory expected) private {
        (pieces[0], pieces[1]) = (piece, piece);
        createMarket(marketParams("bad"));
        drawPiece();
        uint256 index = market.drawnPiece();
        vm.expectRevert(expected);
        market.revealPiece(index, pieceSalt(index), piece);
        assertPhase(Phase.Opening);
    }

    /// A piece with one sample more or fewer than was promised.
    function test_APieceOfAnotherNumberOfSamplesIsRefused() public {
        uint256 snapshot = vm.snapshotState();
        _expectRefused(Samples.one(1, 0), abi.encodeWithSelector(IPredictionMarket.WrongSize.selector, 1, 2));
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(pieces[0], Samples.one(1, 0)),
            abi.encodeWithSelector(IPredictionMarket.WrongSize.selector, 3, 2)
        );
    }

    /// A piece that is no payload, in each way that a model would refuse it.
    function test_APieceThatIsNoPayloadIsRefused() public {
        uint256 snapshot = vm.snapshotState();
        bytes memory good = Samples.one(1, 0);
        _expectRefused("", abi.encodeWithSelector(IModel.EmptyPayload.selector));
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(good, hex"0100"), abi.encodeWithSelector(IModel.TruncatedSample.selector, 1, 3, 2)
        );
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(good, Samples.one(2, 0)),
            abi.encodeWithSelector(IModel.InvalidLabel.selector, 1, 2, 2)
        );
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(good, hex"010000"),
            abi.encodeWithSelector(IModel.InvalidFeatureCount.selector, 1, 0, 40)
        );
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(good, Samples.one(1, 40)),
            abi.encodeWithSelector(IModel.FeatureOutOfRange.selector, 1, 40, 40)
        );
        vm.revertToState(snapshot);
        _expectRefused(
            bytes.concat(good, hex"01000200070007"),
            abi.encodeWithSelector(IModel.FeaturesNotIncreasing.selector, 1, 7, 7)
        );
    }

    /// A piece that has more than its part of 24,576 bytes would make each step dearer than was agreed to.
    function test_APieceOfMoreThanItsPartIsRefused() public {
        bytes memory piece;
        while (piece.length <= 12_288) {
            piece = bytes.concat(piece, Samples.run(1, 0, 40));
        }
        _expectRefused(
            piece, abi.encodeWithSelector(IMarketReplay.PieceTooLarge.selector, piece.length, 12_288)
        );
    }
}
