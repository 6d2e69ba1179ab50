// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IMarketReplay} from "../../contracts/interfaces/IMarketReplay.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";
import {MarketParams, Participant, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {Vm} from "forge-std/Vm.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// Random markets: an outcome does not depend on how it is cut into steps, and it is that of a plain replay.
contract MarketStepsTest is MarketTest {
    uint256 private constant PARTICIPANTS = 5;
    uint256 private _seed;

    function _draw() private returns (uint256 draw) {
        _seed = uint256(keccak256(abi.encode(_seed)));
        return _seed;
    }

    /// A sample of up to a third of the features, half of the time the label's own ones, so that there is something to learn.
    function _randomSample(uint256 features) private returns (bytes memory sample) {
        uint256 draw = _draw();
        uint8 label = uint8(draw & 1);
        bytes memory indices;
        uint16 n;
        for (uint256 index = 0; index < features; index++) {
            uint256 bits = uint256(keccak256(abi.encode(draw, index)));
            if (bits % 6 >= (index % 2 == label ? 3 : 1)) continue;
            indices = bytes.concat(indices, bytes2(uint16(index)));
            n++;
        }
        if (n == 0) (n, indices) = (1, hex"0000");
        return bytes.concat(bytes1(label), bytes2(n), indices);
    }

    function _payload(uint256 count, uint256 features) private returns (bytes memory payload) {
        for (uint256 i = 0; i < count; i++) {
            payload = bytes.concat(payload, _randomSample(features));
        }
    }

    /// A market of random size up to the draw of its order.
    function _randomMarket(uint256 seed)
        private
        returns (MarketParams memory params, uint256[] memory initial)
    {
        _seed = seed;
        uint256 features = 2 + _draw() % 60;
        uint256 samples = 1 + _draw() % 8;
        delete pieces;
        for (uint256 i = 2 + _draw() % 4; i > 0; i--) {
            pieces.push(_payload(samples, features));
        }
        params = marketParams("random");
        (params.model.nFeatures, params.model.maxFeatures) = (uint32(features), uint16(features));
        params.model.margin = uint16(_draw() % 3);
        params.rules.pieceSamples = uint16(samples);
        (params.rules.maxUnits, params.rules.maxUnitsEach) = (200, 60);
        params.rules.rounds = uint32(1 + _draw() % 20);
        params.rules.orders = uint8(1 + _draw() % 4);
        params.rules.stakeWei = uint128(1 + _draw() % 0.1 ether);
        createMarket(params);
        initial = _writeInitial(features);
        openCreated();
        for (uint256 i = 0; i < PARTICIPANTS; i++) {
            address who = address(uint160(0xabc000 + i));
            vm.deal(who, 100 ether);
            commit(who, _payload(1 + _draw() % 12, features));
        }
        goToReveals();
        for (uint256 i = 0; i < PARTICIPANTS; i++) {
            if (_draw() % 5 > 0) reveal(address(uint160(0xabc000 + i)));
        }
        revealTests();
        drawOrder(bytes32(seed));
    }

    /// Small weights for all features, in half of all markets, written in random parts.
    function _writeInitial(uint256 features) private returns (uint256[] memory initial) {
        initial = new uint256[](model.totalWords());
        if (_draw() % 2 == 0) return initial;
        for (uint256 i = 0; i <= features; i++) {
            uint256 lane = i < features ? i : 16 * (initial.length - 1);
            initial[lane / 16] |= uint256(uint16(int16(int256(_draw() % 9) - 4))) << (240 - 16 * (lane % 16));
        }
        for (uint256 first = 0; first < initial.length;) {
            uint256 count = 1 + _draw() % (initial.length - first);
            uint256[] memory words = new uint256[](count);
            for (uint256 i = 0; i < count; i++) {
                words[i] = initial[first + i];
            }
            vm.prank(provider);
            market.writeInitialWeights(first, words);
            first += count;
        }
    }

    /// All that a market decided.
    function _outcome() private view returns (bytes memory) {
        Participant[] memory all = new Participant[](PARTICIPANTS);
        for (uint256 i = 0; i < PARTICIPANTS; i++) {
            all[i] = participant(address(uint160(0xabc000 + i)));
        }
        bytes memory money = abi.encode(market.leftWei(), BURN.balance, address(market).balance);
        return abi.encode(all, money, allWords(model), replay.correctBefore());
    }

    /// What must be the same for each contribution, whoever made the step: the number of right test samples.
    function _correctIn(Vm.Log[] memory logs) private pure returns (bytes memory correct) {
        (uint256 last, uint256 next) = (0, 0);
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != IMarketReplay.Evaluated.selector) continue;
            (uint256 order, uint256 first, bytes memory part) =
                abi.decode(logs[i].data, (uint256, uint256, bytes));
            require(first == (order == last ? next : 0), "gaps");
            (last, next) = (order, first + part.length);
            correct = bytes.concat(correct, part);
        }
    }

    /// All at once, one by one, and in random parts by several, with other calls between them: the same outcome.
    /// forge-config: ci.fuzz.runs = 200
    function testFuzz_HowItIsCutDoesNotMatter(uint256 seed) public {
        _randomMarket(seed);
        uint256 snapshot = vm.snapshotState();
        vm.recordLogs();
        finish(type(uint256).max);
        bytes memory outcome = _outcome();
        bytes memory correct = _correctIn(vm.getRecordedLogs());
        vm.revertToState(snapshot);
        vm.recordLogs();
        finish(1);
        assertEq(_outcome(), outcome);
        assertEq(_correctIn(vm.getRecordedLogs()), correct);
        vm.revertToState(snapshot);
        _seed = seed;
        vm.recordLogs();
        while (market.phase() != Phase.Published) {
            uint256 draw = _draw();
            vm.prank([anyone, alice, bob, provider][draw % 4]);
            if (draw >> 8 & 3 > 0) market.step((draw >> 16) % 9);
            else _meddle(draw >> 16);
            skip(draw % 1000);
            vm.roll(vm.getBlockNumber() + draw % 100);
        }
        assertEq(_outcome(), outcome);
        assertEq(_correctIn(vm.getRecordedLogs()), correct);
    }

    /// Calls that are not due; each must be refused.
    function _meddle(uint256 draw) private {
        bytes[6] memory calls = [
            abi.encodeCall(market.fail, ()),
            abi.encodeCall(market.drawAgain, ()),
            abi.encodeCall(market.drawOrder, ("")),
            abi.encodeCall(market.collectLeft, ()),
            abi.encodeCall(market.commit, (SALT, 1)),
            abi.encodeCall(market.revealPiece, (0, SALT, pieces[0]))
        ];
        (bool done,) = address(market).call(calls[draw % 6]);
        assertFalse(done);
    }

    /// Sample by sample on a plain perceptron, counted by its predictions, and round by round in money.
    /// forge-config: ci.fuzz.runs = 200
    function testFuzz_TheOutcomeIsThatOfAPlainReplay(uint256 seed) public {
        (MarketParams memory params, uint256[] memory initial) = _randomMarket(seed);
        int256[] memory scores = new int256[](PARTICIPANTS);
        uint256 burnedWei = BURN.balance;
        IModel plain;
        for (uint256 order = 0; order < params.rules.orders; order++) {
            stepThrough(Phase.Resetting, 1 + seed % 7);
            plain = plainModel();
            plain.writeWeights(0, initial);
            assertEq(allWords(replay.working()), allWords(plain));
            assertEq(replay.correctBefore(), correctOf(plain));
            (bytes[] memory samples, uint256[] memory numbers) = orderOf(bytes32(seed), order);
            _score(plain, samples, numbers, scores);
            stepThrough(Phase.Evaluating, 1 + seed % 7);
            assertEq(allWords(replay.working()), allWords(plain));
        }
        bool[] memory removed = _assertMoney(params, scores, burnedWei);
        finish(1 + seed % 7);
        plain = plainModel();
        plain.writeWeights(0, initial);
        _trainWithoutRemoved(plain, bytes32(seed), params.rules.orders - 1, removed);
        assertEq(allWords(model), allWords(plain));
        assertEq(trainer.predict(pieces[0]), plain.predict(pieces[0]));
    }

    function _trainWithoutRemoved(IModel plain, bytes32 mixHash, uint256 order, bool[] memory removed)
        private
    {
        (bytes[] memory samples, uint256[] memory numbers) = orderOf(mixHash, order);
        for (uint256 i = 0; i < samples.length; i++) {
            if (!removed[numbers[i]]) plain.train(samples[i]);
        }
    }

    /// Trains a plain model with all samples, and adds up what each participant's change.
    function _score(IModel plain, bytes[] memory samples, uint256[] memory numbers, int256[] memory scores)
        private
    {
        uint256 before = correctOf(plain);
        for (uint256 i = 0; i < samples.length; i++) {
            plain.train(samples[i]);
            uint256 then = correctOf(plain);
            scores[numbers[i]] += int256(then) - int256(before);
            before = then;
        }
    }

    /// Plays the rounds one after the other, and compares what the market made of them at once.
    function _assertMoney(MarketParams memory params, int256[] memory scores, uint256 burnedWei)
        private
        view
        returns (bool[] memory removed)
    {
        uint256[] memory balances = new uint256[](PARTICIPANTS);
        bool[] memory broke = new bool[](PARTICIPANTS);
        removed = new bool[](PARTICIPANTS);
        uint256 gains;
        for (uint256 i = 0; i < PARTICIPANTS; i++) {
            Participant memory it = participant(address(uint160(0xabc000 + i)));
            balances[i] = it.samples > 0 ? it.stakeWei : 0;
            assertEq(it.score, scores[i], "score");
            removed[i] = scores[i] < 0;
            if (scores[i] > 0) gains += uint256(scores[i]);
        }
        uint256 roundWei = params.rules.bountyWei / params.rules.rounds
            / (pieces.length * params.rules.pieceSamples) / params.rules.orders;
        for (; params.rules.rounds > 0 && gains * roundWei <= params.rules.bountyWei; params.rules.rounds--) {
            params.rules.bountyWei -= uint128(gains * roundWei);
            for (uint256 i = 0; i < PARTICIPANTS; i++) {
                if (scores[i] >= 0) {
                    balances[i] += uint256(scores[i]) * roundWei;
                    continue;
                }
                uint256 debitWei = uint256(-scores[i]) * roundWei;
                if (balances[i] < debitWei) broke[i] = true;
                if (broke[i]) continue;
                balances[i] -= debitWei;
                burnedWei += debitWei;
            }
        }
        for (uint256 i = 0; i < PARTICIPANTS; i++) {
            Participant memory it = participant(address(uint160(0xabc000 + i)));
            assertEq(it.owedWei, balances[i], "owed");
            assertEq(it.removed, removed[i], "removed");
        }
        assertEq(BURN.balance, burnedWei, "burned");
    }
}
