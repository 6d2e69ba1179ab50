// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarketReplay} from "../../contracts/interfaces/IMarketReplay.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {IModelRegistry} from "../../contracts/interfaces/IModelRegistry.sol";
import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {ITrainerPart} from "../../contracts/interfaces/ITrainerPart.sol";
import {IMarket, IMarkets} from "./support/IMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";

contract MarketCreationTest is MarketTest {
    function _create(MarketParams memory params, uint256 paidWei) private returns (address) {
        vm.prank(provider);
        return factory.create{value: paidWei}(registry, params);
    }

    function _expectInvalid(MarketParams memory params) private {
        uint256 paidWei = neededWei(params);
        vm.deal(provider, 1e6 ether);
        vm.expectRevert(IPredictionMarket.InvalidMarket.selector);
        _create(params, paidWei);
    }

    /// What was asked for is what there is, and the model is the market's own.
    function test_AMarketIsWhatWasAskedFor() public {
        MarketParams memory params = marketParams("digits");
        address expected = factory.addressOf(provider, "digits");
        vm.expectEmit(address(factory));
        emit IMarkets.MarketCreated(expected, provider, "digits");
        createMarket(params);
        assertEq(address(market), expected);
        assertTrue(factory.isMarket(expected));
        assertFalse(factory.isMarket(address(this)));
        assertEq(market.provider(), provider);
        assertPhase(Phase.Drawing);
        assertEq(market.drawBlock(), block.number + 4);
        assertEq(market.since(), block.timestamp);
        assertEq(abi.encode(market.rules()), abi.encode(params.rules));
        assertEq(market.leftWei(), neededWei(params));
        assertEq(address(market).balance, neededWei(params));
        assertEq(market.reserveWei(params), neededWei(params) - BOUNTY_WEI);
        assertEq(market.participants().length, 0);
        assertTrue(registry.isModel(address(trainer)));
        assertEq(trainer.owner(), address(market));
        assertEq(trainer.name(), "digits");
        assertEq(trainer.sealedAt(), 0);
        assertEq(abi.encode(model.params()), abi.encode(marketShape()));
        assertEq(abi.encode(replay.working().params()), abi.encode(marketShape()));
        assertEq(ITrainerPart(address(replay)).trainer(), address(market));
    }

    /// Markets are listed in the order in which they were made, and pages end with the list.
    function test_MarketsAreListed() public {
        assertEq(factory.marketCount(), 0);
        address[3] memory made;
        string[3] memory names = ["a", "b", "c"];
        for (uint256 i = 0; i < 3; i++) {
            createMarket(marketParams(names[i]));
            made[i] = address(market);
        }
        assertEq(factory.marketCount(), 3);
        address[] memory page = factory.markets(1, 9);
        assertEq(page.length, 2);
        assertEq(page[0], made[1]);
        assertEq(page[1], made[2]);
        assertEq(factory.markets(0, 1)[0], made[0]);
        assertEq(factory.markets(3, 1).length, 0);
        assertEq(factory.markets(type(uint256).max, type(uint256).max).length, 0);
    }

    /// A name is its provider's only: nobody can take somebody else's.
    function test_ANameIsTakenOnceByEachProvider() public {
        MarketParams memory params = marketParams("digits");
        uint256 paidWei = neededWei(params);
        vm.prank(alice);
        address hers = factory.create{value: paidWei}(registry, params);
        createMarket(params);
        assertTrue(hers != address(market));
        vm.expectRevert(
            abi.encodeWithSelector(IMarkets.NameTaken.selector, provider, "digits", address(market))
        );
        _create(params, paidWei);
    }

    /// The name is the model's, too, so what a model cannot be named a market cannot be named.
    function test_ANameThatModelsCannotHaveIsRefused() public {
        MarketParams memory params = marketParams("digits");
        params.name = "Digits!";
        uint256 paidWei = neededWei(params);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, "Digits!"));
        _create(params, paidWei);
        assertEq(factory.marketCount(), 0);
    }

    /// A wei less than bounty and reserve is refused; a wei more is the reserve's.
    function test_BountyAndReserveAreToBePaid() public {
        MarketParams memory params = marketParams("digits");
        uint256 paidWei = neededWei(params);
        // 2 * 20 for contributions, 4 for the 4 words: 44 steps.
        assertEq(paidWei, BOUNTY_WEI + 68 * uint256(STEP_FEE_WEI));
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.InsufficientPayment.selector, paidWei - 1, paidWei)
        );
        _create(params, paidWei - 1);
        assertEq(IMarket(_create(params, paidWei + 1)).leftWei(), paidWei + 1);
    }

    /// Amounts have 128 bits, and what does not fit is refused.
    function test_APaymentOfMoreThan128BitsIsRefused() public {
        MarketParams memory params = marketParams("digits");
        vm.deal(provider, type(uint256).max);
        uint256 paidWei = 2 ** 128;
        uint256 needed = neededWei(params);
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.InsufficientPayment.selector, paidWei, needed)
        );
        _create(params, paidWei);
        params.rules.stepFeeWei = type(uint128).max;
        needed = neededWei(params);
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.InsufficientPayment.selector, needed, needed)
        );
        _create(params, needed);
    }

    /// Each rule at its limit and behind it.
    function test_RulesOutOfRangeAreRefused() public {
        MarketParams memory good = marketParams("digits");
        bytes memory copy = abi.encode(good);
        MarketParams memory params = good;
        params.rules.pieces = new bytes32[](1);
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        (params.rules.pieces, params.rules.pieceSamples) = (new bytes32[](113), 1);
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.pieceSamples = 0;
        _expectInvalid(params);
        params.rules.pieceSamples = 113;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.rounds = 0;
        _expectInvalid(params);
        (params.rules.rounds, params.rules.bountyWei) = (1e6 + 1, 1000 ether);
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.orders = 0;
        _expectInvalid(params);
        params.rules.orders = 33;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.bountyWei = 39;
        _expectInvalid(params);
        (params.rules.bountyWei, params.rules.orders) = (79, 2);
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.bountyWei = 39;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.stakeWei = 0;
        _expectInvalid(params);
        params.rules.stakeWei = 2 ** 96;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.maxUnits = 0;
        _expectInvalid(params);
        params.rules.maxUnits = 1025;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.maxUnitsEach = 0;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.openS = 0;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.participateS = 0;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.revealS = 0;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.rules.testsS = 0;
        _expectInvalid(params);
        assertEq(factory.marketCount(), 0);
    }

    /// The limits themselves are in range: 112 pieces of 2, a million rounds of a wei for each test, 1,024 units.
    function test_RulesAtTheirLimitsAreTaken() public {
        MarketParams memory params = marketParams("digits");
        (params.rules.pieces, params.rules.pieceSamples) = (new bytes32[](112), 2);
        (params.rules.rounds, params.rules.bountyWei) = (1e6, 224e6);
        (params.rules.maxUnits, params.rules.maxUnitsEach) = (1024, type(uint16).max);
        (params.rules.stakeWei, params.rules.collectS) = (2 ** 96 - 1, 0);
        createMarket(params);
        params.name = "least";
        (params.rules.pieces, params.rules.pieceSamples) = (new bytes32[](2), 1);
        (params.rules.rounds, params.rules.bountyWei) = (1, 2);
        (params.rules.maxUnits, params.rules.maxUnitsEach, params.rules.stakeWei) = (1, 1, 1);
        (params.rules.openS, params.rules.participateS) = (1, 1);
        (params.rules.revealS, params.rules.testsS, params.rules.stepFeeWei) = (1, 1, 0);
        createMarket(params);
        assertEq(market.quote(1), 2);
    }

    /// Shapes for which scores are not kept, or whose least step does not fit into a transaction.
    function test_ShapesThatMarketsCannotScoreAreRefused() public {
        MarketParams memory good = marketParams("digits");
        bytes memory copy = abi.encode(good);
        good.model.nFeatures = 65_537;
        _expectInvalid(good);
        MarketParams memory params = abi.decode(copy, (MarketParams));
        params.model.valued = true;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.model.weightBits = 8;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        params.model.classes = 3;
        _expectInvalid(params);
        params = abi.decode(copy, (MarketParams));
        (params.model.nFeatures, params.model.maxFeatures) = (4097, 257);
        uint256 paidWei = neededWei(params);
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidModelParams.selector, params.model));
        _create(params, paidWei);
        (params.model.nFeatures, params.model.maxFeatures) = (65_536, 256);
        createMarket(params);
        (params.name, params.model.nFeatures, params.model.maxFeatures) = ("small", 4096, 4096);
        createMarket(params);
    }

    /// Types of models that are trained by another rule.
    function test_OtherTypesOfModelsAreRefused() public {
        install("MulticlassPerceptron");
        MarketParams memory params = marketParams("digits");
        params.modelCode = codeHash("MulticlassPerceptron");
        uint256 paidWei = neededWei(params);
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidModelParams.selector, params.model));
        _create(params, paidWei);
        params.modelCode = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownCode.selector, params.modelCode));
        _create(params, paidWei);
    }

    /// Neither a market, nor its replay, nor what they are clones of can be set up by somebody else.
    function test_NothingIsSetUpTwice() public {
        MarketParams memory params = marketParams("digits");
        uint256 paidWei = neededWei(params);
        createMarket(params);
        address[2] memory markets = [address(market), factory.marketImplementation()];
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(alice);
            vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Drawing));
            IMarket(markets[i]).initialize{value: paidWei}(alice, registry, replay, params);
        }
        address[2] memory replays = [address(replay), factory.replayImplementation()];
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(alice);
            vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
            IMarketReplay(replays[i]).initialize(alice, address(1), params.model, 2);
        }
    }

    /// Only its market changes a replay.
    function test_AReplayObeysItsMarketOnly() public {
        createMarket();
        bytes[9] memory calls = [
            abi.encodeCall(replay.writeInitialWeights, (0, new uint256[](1))),
            abi.encodeCall(replay.addTests, (0, pieces[0])),
            abi.encodeCall(replay.addSamples, (0, pieces[0])),
            abi.encodeCall(replay.draw, (0)),
            abi.encodeCall(replay.evaluate, (1)),
            abi.encodeCall(replay.remove, (1)),
            abi.encodeCall(replay.reset, (1)),
            abi.encodeCall(replay.replay, (1)),
            abi.encodeCall(replay.remove, (0))
        ];
        bytes memory expected =
            abi.encodeWithSelector(ITrainerPart.NotTrainer.selector, provider, address(market));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(provider);
            (bool done, bytes memory reason) = address(replay).call(calls[i]);
            assertFalse(done);
            assertEq(reason, expected);
        }
    }

    /// Ether that somebody just sends is refused.
    function test_EtherThatIsJustSentIsRefused() public {
        createMarket();
        vm.prank(alice);
        (bool done,) = address(market).call{value: 1}("");
        assertFalse(done);
    }
}
