// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICollaborativeTrainer} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// What a market becomes, and who collects what.
contract MarketPublicationTest is MarketTest {
    bytes private _good = abi.encodePacked(uint8(1), uint16(2), uint16(0), uint16(2));
    bytes private _better = abi.encodePacked(uint8(0), uint16(2), uint16(1), uint16(3));
    bytes private _bad = abi.encodePacked(uint8(0), uint16(2), uint16(0), uint16(2));

    function _words() private pure returns (uint256[] memory words) {
        words = new uint256[](2);
        words[0] = uint256(0x0002_fffe) << 224 | 5;
        words[1] = uint256(0x0003) << 240;
    }

    /// A market with initial words, in two pieces, and contributions of three.
    function _evaluated(bool initial) private {
        createMarket();
        if (initial) {
            vm.startPrank(provider);
            market.writeInitialWeights(0, _words());
            uint256[] memory bias = new uint256[](1);
            bias[0] = uint256(0xfffe) << 240;
            market.writeInitialWeights(3, bias);
            vm.stopPrank();
        }
        openCreated();
        commit(alice, bytes.concat(_good, Samples.one(1, 39)));
        commit(bob, _better);
        commit(carol, _bad);
        evaluateFrom("mix");
        stepThrough(Phase.Evaluating, 2);
    }

    /// The model is that of a plain perceptron that learned from those who are left, in the order that was drawn.
    function _assertPublished(bool initial) private {
        IModel plain = plainModel();
        if (initial) {
            plain.writeWeights(0, _words());
            uint256[] memory bias = new uint256[](1);
            bias[0] = uint256(0xfffe) << 240;
            plain.writeWeights(3, bias);
        }
        address[] memory all = market.participants();
        (bytes[] memory samples, uint256[] memory numbers) = orderOf("mix");
        for (uint256 i = 0; i < samples.length; i++) {
            if (!market.participantOf(all[numbers[i]]).removed) plain.train(samples[i]);
        }
        assertEq(allWords(model), allWords(plain));
        assertEq(trainer.predict(pieces[0]), plain.predict(pieces[0]));
        assertEq(market.wordsPublished(), model.totalWords());
    }

    /// With and without initial words, it is published word by word, sealed, and everybody can use it and contribute to it.
    function test_TheModelIsPublished() public {
        for (uint256 i = 0; i < 2; i++) {
            uint256 snapshot = vm.snapshotState();
            _evaluated(i == 1);
            stepThrough(Phase.Resetting, 1);
            stepThrough(Phase.Replaying, 1);
            assertPhase(Phase.Publishing);
            assertEq(trainer.sealedAt(), 0);
            vm.expectRevert(ICollaborativeTrainer.NotSealed.selector);
            trainer.quote(1);
            vm.expectEmit(address(market));
            emit IPredictionMarket.Published(trainer);
            assertEq(step(1), 1);
            assertPhase(Phase.Published);
            _assertPublished(i == 1);
            assertEq(trainer.sealedAt(), block.timestamp);
            skip(1 hours);
            uint256 depositWei = trainer.quote(1);
            vm.prank(bob);
            trainer.contribute{value: depositWei}(_good);
            assertEq(trainer.batchCount(), 1);
            vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Published));
            market.step(1);
            vm.revertToState(snapshot);
        }
    }

    /// A model of more words is published in parts; those of zeros are not written.
    function test_ALargeModelIsPublishedInParts() public {
        MarketParams memory params = marketParams("large");
        (params.model.nFeatures, params.model.maxFeatures) = (4000, 40);
        createMarket(params);
        openCreated();
        commit(alice, _good);
        evaluateFrom("mix");
        stepThrough(Phase.Evaluating, 99);
        assertPhase(Phase.Publishing);
        assertEq(model.totalWords(), 251);
        // Weights 0 and 2 are in the first word.
        vm.record();
        assertEq(step(10), 10);
        assertEq(market.wordsPublished(), 40);
        assertEq(_written(), 1);
        vm.record();
        assertEq(step(5), 5);
        assertEq(market.wordsPublished(), 60);
        assertEq(_written(), 0);
        // The bias is the last word of all.
        vm.record();
        assertEq(step(type(uint256).max), 48);
        assertEq(_written(), 191);
        assertPhase(Phase.Published);
        _assertPublished(false);
    }

    /// How many words of the model were written since `vm.record`.
    function _written() private returns (uint256) {
        (, bytes32[] memory written) = vm.accesses(address(model));
        return written.length;
    }

    /// Nobody but the market writes to the model meanwhile.
    function test_NobodyElseWritesToTheModel() public {
        _evaluated(false);
        vm.prank(provider);
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.NotOwner.selector, provider, address(market))
        );
        trainer.writeWeights(0, new uint256[](1));
        vm.prank(provider);
        vm.expectRevert(
            abi.encodeWithSelector(ICollaborativeTrainer.NotOwner.selector, provider, address(market))
        );
        trainer.seal();
    }

    /// Stakes and rewards can be collected as soon as they are known, by anybody for everybody, once.
    function test_ParticipantsCollect() public {
        _evaluated(false);
        uint256 owedWei = participant(bob).owedWei;
        assertGt(owedWei, 0);
        uint256 before = bob.balance;
        vm.expectEmit(address(market));
        emit IPredictionMarket.Collected(bob, owedWei);
        vm.prank(anyone);
        market.collect(bob);
        assertEq(bob.balance - before, owedWei);
        assertEq(participant(bob).owedWei, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, bob));
        market.collect(bob);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, owner));
        market.collect(owner);
    }

    /// The provider has the rest when the model is there and its wait is over, once, and no sooner.
    function test_TheProviderCollectsWhatIsLeft() public {
        _evaluated(false);
        uint256 from = market.leftFrom();
        assertEq(from, block.timestamp + COLLECT_S);
        vm.warp(from);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, market.phase()));
        market.collectLeft();
        finish(9);
        vm.warp(from - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPredictionMarket.WrongTime.selector, from - 1, from, type(uint64).max)
        );
        market.collectLeft();
        vm.warp(from);
        uint256 leftWei = market.leftWei();
        uint256 before = provider.balance;
        vm.expectEmit(address(market));
        emit IPredictionMarket.Collected(provider, leftWei);
        vm.prank(anyone);
        market.collectLeft();
        assertEq(provider.balance - before, leftWei);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.NothingToCollect.selector, provider));
        market.collectLeft();
        for (uint256 i = 0; i < 3; i++) {
            if (participant(market.participants()[i]).owedWei > 0) market.collect(market.participants()[i]);
        }
        assertEq(address(market).balance, 0);
    }

    /// Whoever steps has a fee for each contribution and each four words, and none for nothing.
    function test_StepsArePaidFor() public {
        createMarket();
        openCreated();
        commit(alice, bytes.concat(_good, Samples.one(1, 39)));
        commit(bob, _better);
        evaluateFrom("mix");
        uint256 before = anyone.balance;
        assertEq(step(0), 0);
        assertEq(anyone.balance, before);
        assertEq(step(2), 2);
        assertEq(anyone.balance - before, 2 * STEP_FEE_WEI);
        assertEq(step(2), 1);
        assertEq(anyone.balance - before, 3 * STEP_FEE_WEI);
        uint256 leftWei = market.leftWei();
        assertEq(step(7), 1);
        assertEq(anyone.balance - before, 4 * STEP_FEE_WEI);
        assertEq(market.leftWei(), leftWei - STEP_FEE_WEI);
    }

    /// Before there is an order there is nothing to step through.
    function test_StepsHaveTheirPhases() public {
        createMarket();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Drawing));
        market.step(1);
        openCreated();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Open));
        market.step(1);
        revealTests();
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Tested));
        market.step(1);
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, Phase.Tested));
        market.collectLeft();
    }
}
