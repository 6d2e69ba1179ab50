// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// The model against golden vectors that an independent Python program made.
contract PerceptronTest is TrainerTest {
    struct History {
        string name;
        uint256 n_features;
        uint256 max_features;
        uint256 margin;
        bool valued;
        Words first;
        Training[] batches;
        Words last;
    }

    struct Training {
        bytes payload;
        uint256 informative;
        bytes probe;
        bytes probe_labels;
    }

    struct Words {
        uint256[] numbers;
        uint256[] words;
    }

    string private constant HISTORY =
        "History(string name,uint256 n_features,uint256 max_features,uint256 margin,bool valued,Words first,Training[] batches,Words last)Training(bytes payload,uint256 informative,bytes probe,bytes probe_labels)Words(uint256[] numbers,uint256[] words)";

    struct Written {
        string name;
        string model_type;
        uint256 n_features;
        uint256 weight_bits;
        uint256 number;
        uint256 word;
        bool valid;
    }

    string private constant WRITTEN =
        "Written(string name,string model_type,uint256 n_features,uint256 weight_bits,uint256 number,uint256 word,bool valid)";

    /// Every golden history trains to the same informative bits, predictions and weights, whatever its shape.
    function test_GoldenHistoriesAreReproduced() public {
        _repeatAll("tests/golden/perceptron.json", 16);
    }

    /// The same with weights of 8 bits.
    function test_GoldenHistoriesOfNarrowWeightsAreReproduced() public {
        _repeatAll("tests/golden/perceptron8.json", 8);
    }

    /// Words at the limits are taken, words beyond them or with a lane that belongs to nothing are refused.
    function test_GoldenWordsAreTakenOrRefused() public {
        string memory json = vm.readFile("tests/golden/written-words.json");
        Written[] memory cases = abi.decode(vm.parseJsonTypeArray(json, "$", WRITTEN), (Written[]));
        uint256[] memory words = new uint256[](1);
        uint256 count;
        for (uint256 i = 0; i < cases.length; i++) {
            Written memory it = cases[i];
            if (keccak256(bytes(it.model_type)) != keccak256("perceptron")) continue;
            useModel(
                string.concat("words-", vm.toString(count++)),
                ModelParams({
                    nFeatures: uint32(it.n_features),
                    maxFeatures: 1,
                    valued: false,
                    margin: 0,
                    classes: 2,
                    weightBits: uint8(it.weight_bits),
                    smoothing: 0,
                    bernoulli: false
                })
            );
            words[0] = it.word;
            vm.prank(address(trainer));
            if (!it.valid) {
                vm.expectRevert(abi.encodeWithSelector(IModel.InvalidWord.selector, it.number, it.word));
            }
            model.writeWeights(it.number, words);
            assertEq(model.weights(it.number, 1)[0], it.valid ? it.word : 0, it.name);
        }
        assertGe(count, 20);
    }

    /// A sample within the margin trains the model, but is informative only if the model predicted the other label: class 0 where
    /// the score is 0.
    function test_OnlyAnUnexpectedLabelIsInformative() public {
        for (uint8 weightBits = 8; weightBits <= 16; weightBits += 8) {
            ModelParams memory shape = defaultShape();
            shape.weightBits = weightBits;
            useModel(string.concat("unexpected-", vm.toString(weightBits)), shape);
            // One feature, so a step moves the score by 2, and trains where it leads by 2 at most. The score is 0.
            _requireTraining(0, true, false);
            _requireTraining(0, true, false);
            _requireTraining(0, false, false);
            // It is -4.
            _requireTraining(1, true, true);
            _requireTraining(1, true, true);
            // It is 0 again.
            _requireTraining(1, true, true);
            _requireTraining(1, true, false);
            _requireTraining(1, false, false);
            // It is 4.
            _requireTraining(0, true, true);
            _requireTraining(0, true, true);
            // The same within a payload, from 0 to 4: the model predicted the label of all but the first.
            vm.prank(address(trainer));
            (uint256 informative,,) = model.train(hex"0100010007" hex"0100010007" hex"0100010007");
            assertEq(informative, 1);
        }
    }

    function _requireTraining(uint8 label, bool trains, bool isInformative) private {
        bytes32 weights = keccak256(abi.encode(model.weights(0, model.totalWords())));
        vm.prank(address(trainer));
        (uint256 informative,,) = model.train(abi.encodePacked(label, uint16(1), uint16(7)));
        assertEq(informative, isInformative ? 1 : 0);
        assertEq(keccak256(abi.encode(model.weights(0, model.totalWords()))) != weights, trains);
    }

    function _repeatAll(string memory file, uint8 weightBits) private {
        History[] memory histories =
            abi.decode(vm.parseJsonTypeArray(vm.readFile(file), "$", HISTORY), (History[]));
        assertGe(histories.length, 20);
        for (uint256 i = 0; i < histories.length; i++) {
            _repeat(histories[i], string.concat("history-", vm.toString(i)), weightBits);
        }
    }

    function _repeat(History memory history, string memory modelName, uint8 weightBits) private {
        useModel(
            modelName,
            ModelParams({
                nFeatures: uint32(history.n_features),
                maxFeatures: uint16(history.max_features),
                valued: history.valued,
                margin: uint16(history.margin),
                classes: 2,
                weightBits: weightBits,
                smoothing: 0,
                bernoulli: false
            })
        );
        vm.startPrank(address(trainer));
        _write(history.first);
        for (uint256 i = 0; i < history.batches.length; i++) {
            Training memory batch = history.batches[i];
            (uint256 informative,,) = model.train(batch.payload);
            assertEq(informative, batch.informative, history.name);
            assertEq(model.predict(batch.probe), batch.probe_labels, history.name);
        }
        vm.stopPrank();
        _compare(history.last, history.name);
    }

    function _write(Words memory words) private {
        uint256[] memory word = new uint256[](1);
        for (uint256 i = 0; i < words.numbers.length; i++) {
            word[0] = words.words[i];
            model.writeWeights(words.numbers[i], word);
        }
    }

    function _compare(Words memory expected, string memory name) private view {
        uint256[] memory actual = model.weights(0, model.totalWords());
        uint256 next;
        for (uint256 word = 0; word < actual.length; word++) {
            bool listed = next < expected.numbers.length && expected.numbers[next] == word;
            assertEq(actual[word], listed ? expected.words[next++] : 0, name);
        }
        assertEq(next, expected.numbers.length, name);
    }

    /// Weights read in bulk, one word at a time and straight from storage train alike, from any start: a model with values,
    /// which goes the general way, is given the same samples with the value 1.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_TheFastWayIsTheGeneralWay(uint256 seed, uint256 scale, bool many, bool narrow) public {
        uint8 weightBits = narrow ? 8 : 16;
        scale = bound(scale, 0, weightBits - 1);
        ModelParams memory shape = ModelParams({
            nFeatures: 300,
            maxFeatures: 300,
            valued: false,
            classes: 2,
            weightBits: weightBits,
            margin: 1,
            smoothing: 0,
            bernoulli: false
        });
        uint256[] memory start = _randomWords(seed, scale, weightBits);
        uint256[] memory sizes = new uint256[](many ? 8 : 1);
        for (uint256 i = 0; i < sizes.length; i++) {
            sizes[i] = bound(uint256(keccak256(abi.encode(seed, "size", i))), 1, many ? 300 : 60);
        }
        uint256[2][2] memory results;
        for (uint256 way = 0; way < 2; way++) {
            shape.valued = way == 1;
            useModel(way == 0 ? "fast" : "general", shape);
            bytes memory payload = _randomPayload(seed, sizes, shape.valued);
            vm.startPrank(address(trainer));
            model.writeWeights(0, start);
            (results[way][0],,) = model.train(payload);
            vm.stopPrank();
            (, uint256 agreed,) = model.assess(payload, type(uint256).max);
            bytes memory labels = model.predict(payload);
            results[way][1] =
                uint256(keccak256(abi.encode(model.weights(0, model.totalWords()), agreed, labels)));
        }
        assertEq(results[0][0], results[1][0]);
        assertEq(results[0][1], results[1][1]);
    }

    /// Every assessment of part of a batch says about that part what an assessment of the whole says.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_AMaskDoesNotChangeVerdicts(uint256 seed, uint256 mask) public {
        uint256[] memory sizes = new uint256[](20);
        for (uint256 i = 0; i < sizes.length; i++) {
            sizes[i] = 1 + i * 3;
        }
        useModel(
            "masked",
            ModelParams({
                nFeatures: 300,
                maxFeatures: 300,
                valued: false,
                classes: 2,
                weightBits: 16,
                margin: 1,
                smoothing: 0,
                bernoulli: false
            })
        );
        vm.prank(address(trainer));
        model.writeWeights(0, _randomWords(seed, 9, 16));
        bytes memory payload = _randomPayload(seed, sizes, false);
        (bytes32 root, uint256 all, bytes memory units) = model.assess(payload, type(uint256).max);
        (bytes32 sameRoot, uint256 some, bytes memory sameUnits) = model.assess(payload, mask);
        assertEq(some, all & mask);
        assertEq(sameRoot, root);
        assertEq(sameUnits, units);
        assertEq(units.length, 4 * 20);
    }

    /// A verdict does not depend on what memory held before: here the bytes of samples, from their hashing.
    function test_AssessmentsOfLongSamplesAreWhatPredictionsSay() public {
        useModel(
            "long",
            ModelParams({
                nFeatures: 65_536,
                maxFeatures: 2000,
                valued: false,
                classes: 2,
                weightBits: 16,
                margin: 0,
                smoothing: 0,
                bernoulli: false
            })
        );
        bytes memory payload;
        for (uint256 sample = 0; sample < 5; sample++) {
            payload = abi.encodePacked(payload, uint8(1), uint16(2000));
            for (uint256 i = 0; i < 2000; i++) {
                // Taken for weights, the bytes of the last sample would give each sample another score, of either sign.
                payload = abi.encodePacked(payload, uint16((i / 64) * 256 + 11 * sample + (i % 64)));
            }
        }
        vm.prank(address(trainer));
        model.train(payload);
        assertEq(model.predict(payload), hex"0101010101");
        (, uint256 agreed,) = model.assess(payload, 31);
        assertEq(agreed, 31);
    }

    /// A batch of one sample on a model that nobody trained reads and writes only the words of the sample.
    function test_ASmallBatchTouchesItsWordsOnly() public {
        useModel(
            "wide",
            ModelParams({
                nFeatures: 65_536,
                maxFeatures: 9,
                valued: false,
                classes: 2,
                weightBits: 16,
                margin: 0,
                smoothing: 0,
                bernoulli: false
            })
        );
        bytes memory payload = hex"0100030000000f8000";
        vm.record();
        vm.prank(address(trainer));
        model.train(payload);
        (, bytes32[] memory writes) = vm.accesses(address(model));
        // Words 0 and 2048, and the bias.
        assertEq(writes.length, 3);
    }

    /// Words for 300 features and the bias, with weights of at most 2^scale.
    function _randomWords(uint256 seed, uint256 scale, uint256 weightBits)
        private
        pure
        returns (uint256[] memory words)
    {
        words = new uint256[]((300 + 256 / weightBits - 1) / (256 / weightBits) + 1);
        int256 limit = int256(1 << scale) - (scale == weightBits - 1 ? int256(1) : int256(0));
        for (uint256 index = 0; index <= 300; index++) {
            uint256 draw = uint256(keccak256(abi.encode(seed, "weight", index)));
            int256 weight = int256(draw % uint256(2 * limit + 1)) - limit;
            // Some at the very ends, where saturation begins.
            if (draw >> 250 == 0) weight = limit;
            if (index == 300) {
                words[words.length - 1] = uint256(uint16(int16(weight))) << 240;
            } else if (weightBits == 16) {
                words[index / 16] |= uint256(uint16(int16(weight))) << (240 - 16 * (index % 16));
            } else {
                uint256 shift = 240 - 16 * (index % 16) + (index % 32 < 16 ? 8 : 0);
                words[index / 32] |= uint256(uint8(int8(weight))) << shift;
            }
        }
    }

    function _randomPayload(uint256 seed, uint256[] memory sizes, bool valued)
        private
        pure
        returns (bytes memory payload)
    {
        for (uint256 i = 0; i < sizes.length; i++) {
            uint256 draw = uint256(keccak256(abi.encode(seed, "sample", i)));
            payload = abi.encodePacked(payload, uint8(draw % 2), uint16(sizes[i]));
            uint256 index;
            for (uint256 left = sizes[i]; left > 0; left--) {
                // Skips as many as may be skipped without running out of features.
                uint256 room = 300 - index - left;
                draw = uint256(keccak256(abi.encode(draw)));
                index += draw % (2 * room / left + 1);
                if (index > 300 - left) index = 300 - left;
                payload = valued
                    ? abi.encodePacked(payload, uint16(index), int8(1))
                    : abi.encodePacked(payload, uint16(index));
                index++;
            }
        }
    }
}
