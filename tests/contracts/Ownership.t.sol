// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ICollaborativeTrainer} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {IDataHandler} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {ITrainerPart} from "../../contracts/interfaces/ITrainerPart.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract OwnershipTest is TrainerTest {
    uint256 private constant LOWEST_LANE = 0x8000;

    function setUp() public override {
        super.setUp();
        // 40 features: two full words, one of 8 lanes, and the bias.
        useModel(
            "open",
            ModelParams({
                nFeatures: 40,
                maxFeatures: 40,
                valued: false,
                classes: 2,
                weightBits: 16,
                margin: 0,
                smoothing: 0,
                bernoulli: false
            })
        );
    }

    function _words(uint256 a) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = a;
    }

    function _expectInvalidWord(uint256 number, uint256 word) private {
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidWord.selector, number, word));
        vm.prank(owner);
        trainer.writeWeights(number, _words(word));
    }

    /// The owner writes weights before sealing, and the model predicts with them.
    function test_TheOwnerPretrains() public {
        uint256[] memory words = new uint256[](4);
        words[0] = uint256(5) << 240;
        words[2] = uint256(uint16(int16(-7))) << (256 - 16 * 8);
        words[3] = uint256(1) << 240;
        vm.expectEmit(address(model));
        emit IModel.WeightsWritten(0, words);
        vm.prank(owner);
        trainer.writeWeights(0, words);
        assertEq(model.weights(0, 4), words);
        bytes memory payload = bytes.concat(Samples.one(0, 0), Samples.one(0, 39), Samples.one(0, 20));
        assertEq(trainer.predict(payload), hex"010001");
    }

    /// Weights are written in any order and number, and written again.
    function test_WeightsAreWrittenInParts() public {
        vm.startPrank(owner);
        trainer.writeWeights(1, _words(3));
        trainer.writeWeights(1, _words(4));
        trainer.writeWeights(4, new uint256[](0));
        vm.stopPrank();
        assertEq(model.weights(1, 1), _words(4));
    }

    /// Only the owner writes weights and seals.
    function test_OnlyTheOwnerWritesAndSeals() public {
        bytes memory refusal = abi.encodeWithSelector(ICollaborativeTrainer.NotOwner.selector, alice, owner);
        vm.startPrank(alice);
        vm.expectRevert(refusal);
        trainer.writeWeights(0, _words(1));
        vm.expectRevert(refusal);
        trainer.seal();
    }

    /// Sealing is told, and final: no more weights, no second sealing.
    function test_SealingIsFinal() public {
        vm.startPrank(owner);
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.Sealed(block.timestamp);
        trainer.seal();
        assertEq(trainer.sealedAt(), block.timestamp);
        skip(1);
        bytes memory refusal =
            abi.encodeWithSelector(ICollaborativeTrainer.AlreadySealed.selector, block.timestamp - 1);
        vm.expectRevert(refusal);
        trainer.writeWeights(0, _words(1));
        vm.expectRevert(refusal);
        trainer.seal();
    }

    /// A weight of -32768, which training cannot reach, is refused in every lane.
    function test_TheLowestLaneIsRefused() public {
        for (uint256 lane = 0; lane < 16; lane++) {
            _expectInvalidWord(0, LOWEST_LANE << (16 * lane));
            _expectInvalidWord(0, ~(uint256(0x7fff) << (16 * lane)));
        }
        vm.prank(owner);
        trainer.writeWeights(0, _words(0x7fff800100010000ffff7fff800100010000ffff7fff800100010000ffff8001));
    }

    /// Lanes behind the last feature, and all but the first of the bias, stay zero.
    function test_UnusedLanesMustBeZero() public {
        for (uint256 lane = 0; lane < 8; lane++) {
            _expectInvalidWord(2, uint256(1) << (16 * lane));
        }
        for (uint256 lane = 0; lane < 15; lane++) {
            _expectInvalidWord(3, uint256(1) << (16 * lane));
        }
        vm.startPrank(owner);
        trainer.writeWeights(2, _words(uint256(1) << 128));
        trainer.writeWeights(3, _words(uint256(1) << 240));
    }

    /// Words that the model does not have are neither written nor read.
    function test_WordsBeyondTheModelAreRefused() public {
        assertEq(model.totalWords(), 4);
        vm.expectRevert(abi.encodeWithSelector(IModel.WordsOutOfRange.selector, 4, 1, 4));
        vm.prank(owner);
        trainer.writeWeights(4, _words(1));
        vm.expectRevert(abi.encodeWithSelector(IModel.WordsOutOfRange.selector, 1, 4, 4));
        model.weights(1, 4);
        vm.expectRevert(abi.encodeWithSelector(IModel.WordsOutOfRange.selector, ALL, 2, 4));
        model.weights(ALL, 2);
    }

    /// Whatever passes as a word has no lowest lane, and whatever does not has one.
    function testFuzz_AWordIsValidIfNoLaneIsLowest(uint256 word, uint256 lane, bool force) public {
        if (force) {
            word = word & ~(uint256(0xffff) << (16 * (lane % 16))) | LOWEST_LANE << (16 * (lane % 16));
        }
        bool lowest;
        for (uint256 i = 0; i < 16; i++) {
            lowest = lowest || (word >> (16 * i)) & 0xffff == LOWEST_LANE;
        }
        if (lowest) vm.expectRevert(abi.encodeWithSelector(IModel.InvalidWord.selector, 0, word));
        vm.prank(owner);
        trainer.writeWeights(0, _words(word));
    }

    /// Anyone states an evaluation under its own name.
    function test_AnyonePublishesAnEvaluation() public {
        vm.expectEmit(address(trainer));
        emit ICollaborativeTrainer.EvaluationPublished(bob, "hash", 100, 100);
        vm.prank(bob);
        trainer.publishEvaluation("hash", 100, 100);
    }

    /// An evaluation of no rows, or with more right than tested, is refused.
    function test_ImpossibleEvaluationsAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(ICollaborativeTrainer.InvalidEvaluation.selector, 0, 0));
        trainer.publishEvaluation("hash", 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ICollaborativeTrainer.InvalidEvaluation.selector, 5, 6));
        trainer.publishEvaluation("hash", 5, 6);
    }

    /// Neither clones nor implementations are initialised again.
    function test_NothingIsInitialisedTwice() public {
        address[2] memory trainers = [address(trainer), install("CollaborativeTrainer")];
        address[2] memory models = [address(model), install("Perceptron")];
        address[2] memory incentives = [address(incentive), install("StakeIncentive")];
        address[2] memory dataHandlers = [address(dataHandler), install("DataHandler")];
        for (uint256 i = 0; i < 2; i++) {
            vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
            ICollaborativeTrainer(trainers[i]).initialize(alice, "main", model, incentive, dataHandler, alice);
            vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
            IModel(models[i]).initialize(alice, defaultShape());
            vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
            IIncentiveMechanism(incentives[i]).initialize(alice, defaultTerms());
            vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
            IDataHandler(dataHandlers[i]).initialize(alice);
        }
    }

    /// Whoever sets up a trainer is its registry, and an owner of zero does not leave it open to be set up again.
    function test_ATrainerWithoutAnOwnerIsNotInitialisedTwice() public {
        ICollaborativeTrainer fresh = ICollaborativeTrainer(Clones.clone(install("CollaborativeTrainer")));
        vm.prank(bob);
        fresh.initialize(address(0), "main", model, incentive, dataHandler, alice);
        assertEq(fresh.registry(), bob);
        vm.expectRevert(ITrainerPart.AlreadyInitialized.selector);
        fresh.initialize(alice, "main", model, incentive, dataHandler, alice);
    }
}
