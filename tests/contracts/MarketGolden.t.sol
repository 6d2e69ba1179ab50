// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Test, Vm} from "forge-std/Test.sol";
import {IMarketReplay} from "../../contracts/interfaces/IMarketReplay.sol";
import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";

/// The replay of a market against golden markets, which an independent Python program played out.
contract MarketGoldenTest is Test {
    struct Golden {
        string name;
        uint256 n_features;
        uint256 max_features;
        uint256 margin;
        MarketWords first;
        bytes[] pieces;
        bytes[] payloads;
        bytes32 seed;
        uint256 orders;
        uint256 before;
        bytes correct;
        int256[] scores;
        uint256 removed;
        MarketWords last;
    }

    struct MarketWords {
        uint256[] numbers;
        uint256[] words;
    }

    string private constant GOLDEN =
        "Golden(string name,uint256 n_features,uint256 max_features,uint256 margin,MarketWords first,bytes[] pieces,bytes[] payloads,bytes32 seed,uint256 orders,uint256 before,bytes correct,int256[] scores,uint256 removed,MarketWords last)MarketWords(uint256[] numbers,uint256[] words)";

    address private _perceptron;
    address private _implementation;
    IMarketReplay private _replay;

    function setUp() public {
        _perceptron = vm.deployCode("Perceptron.sol:Perceptron");
        _implementation = vm.deployCode("MarketReplay.sol:MarketReplay");
    }

    /// Scored in one step, each golden market has its scores, and what is left of it makes its model.
    function test_GoldenMarketsInOneStep() public {
        _playAll(1024);
    }

    /// How the work is cut into steps does not matter.
    function test_GoldenMarketsInManySteps() public {
        _playAll(7);
        _playAll(1);
    }

    function _playAll(uint256 limit) private {
        string memory json = vm.readFile("tests/golden/market.json");
        Golden[] memory all = abi.decode(vm.parseJsonTypeArray(json, "$", GOLDEN), (Golden[]));
        assertGe(all.length, 10);
        for (uint256 i = 0; i < all.length; i++) {
            _play(all[i], limit);
        }
    }

    function _play(Golden memory golden, uint256 limit) private {
        _open(golden);
        assertEq(_replay.draw(golden.seed) * golden.orders, golden.correct.length, golden.name);
        int256[] memory scores = _evaluate(golden, limit);
        assertEq(_replay.correctBefore(), golden.before, golden.name);
        for (uint256 i = 0; i < scores.length; i++) {
            assertEq(scores[i], i < golden.scores.length ? golden.scores[i] : int256(0), golden.name);
        }
        // Taken back and trained once more even if nobody is removed: it must come to the same.
        _replay.remove(golden.removed);
        bool finished;
        while (!finished) (, finished) = _replay.reset(4 * limit);
        assertEq(_wordsOf(_replay.working()), _dense(golden.first), golden.name);
        finished = false;
        while (!finished) (, finished) = _replay.replay(limit);
        assertEq(_wordsOf(_replay.working()), _dense(golden.last), golden.name);
    }

    function _open(Golden memory golden) private {
        _replay = IMarketReplay(Clones.clone(_implementation));
        ModelParams memory shape = ModelParams({
            nFeatures: uint32(golden.n_features),
            maxFeatures: uint16(golden.max_features),
            valued: false,
            classes: 2,
            weightBits: 16,
            margin: uint16(golden.margin),
            smoothing: 0,
            bernoulli: false
        });
        _replay.initialize(address(this), _perceptron, shape, golden.pieces.length);
        uint256[] memory all = _dense(golden.first);
        for (uint256 first = 0; golden.first.numbers.length > 0 && first < all.length; first += 400) {
            uint256[] memory words = new uint256[](all.length - first < 400 ? all.length - first : 400);
            for (uint256 i = 0; i < words.length; i++) {
                words[i] = all[first + i];
            }
            _replay.writeInitialWeights(first, words);
        }
        // Whoever reveals first: order and scores follow from the numbers.
        for (uint256 i = golden.payloads.length; i > 0; i--) {
            if (golden.payloads[i - 1].length > 0) _replay.addSamples(i - 1, golden.payloads[i - 1]);
        }
        for (uint256 i = golden.pieces.length; i > 0; i--) {
            _replay.addTests(i - 1, golden.pieces[i - 1]);
        }
    }

    function _evaluate(Golden memory golden, uint256 limit) private returns (int256[] memory scores) {
        scores = new int256[](64);
        vm.recordLogs();
        for (uint256 order = 0; order < golden.orders; order++) {
            bool finished;
            if (order > 0) {
                _replay.drawNext();
                while (!finished) (, finished) = _replay.reset(4 * limit);
                finished = false;
            }
            while (!finished) {
                int256[] memory part;
                (, finished, part) = _replay.evaluate(limit);
                for (uint256 i = 0; i < 64; i++) {
                    scores[i] += part[i];
                }
            }
        }
        bytes memory correct;
        uint256 size = golden.correct.length / golden.orders;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != IMarketReplay.Evaluated.selector) continue;
            (uint256 order, uint256 first, bytes memory part) =
                abi.decode(logs[i].data, (uint256, uint256, bytes));
            assertEq(order * size + first, correct.length, golden.name);
            correct = bytes.concat(correct, part);
        }
        assertEq(correct, golden.correct, golden.name);
    }

    function _wordsOf(IModel model) private view returns (uint256[] memory) {
        return model.weights(0, model.totalWords());
    }

    function _dense(MarketWords memory sparse) private view returns (uint256[] memory words) {
        words = new uint256[](_replay.working().totalWords());
        for (uint256 i = 0; i < sparse.numbers.length; i++) {
            words[sparse.numbers[i]] = sparse.words[i];
        }
    }
}
