// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {FixedLog} from "../../contracts/libraries/FixedLog.sol";
import {ModelTest, Sample} from "./support/ModelTest.sol";

/// Naive Bayes, against golden histories and against the rule written the slow and obvious way.
contract NaiveBayesTest is ModelTest {
    /// What the rule says: counts by feature and class.
    mapping(uint256 index => mapping(uint256 class => uint256)) private _counts;
    uint256[16] private _samples;
    uint256[16] private _totals;
    uint256 private _seen;
    /// Where the reference keeps the table of logarithms.
    uint256 private _log;

    function modelName() internal pure override returns (string memory) {
        return "NaiveBayes";
    }

    /// Every golden history trains to the same informative bits, predictions and counts, whatever its shape.
    function test_GoldenHistoriesAreReproduced() public {
        replay("naive-bayes.json");
    }

    /// Words with numbers too large, or with a lane or half that belongs to nothing, are refused; others are taken.
    function test_OnlyWordsThatTrainingCanGoOnFromAreWritten() public {
        writeGoldenWords("naive-bayes");
    }

    /// Shapes that the rule has no use for are refused, and Bernoulli models whose counts are too many for one call.
    function test_ShapesOfOtherRulesAreRefused() public {
        ModelParams memory params = _shape(100, 3, false, false);
        params.classes = 1;
        expectInvalid(params);
        params.classes = 17;
        expectInvalid(params);
        params = _shape(100, 3, false, false);
        params.weightBits = 16;
        expectInvalid(params);
        params = _shape(100, 3, false, false);
        params.margin = 1;
        expectInvalid(params);
        params = _shape(100, 3, false, false);
        params.smoothing = 0;
        expectInvalid(params);
        expectInvalid(_shape(100, 3, true, true));
        expectInvalid(_shape(1, 3, false, false));
        expectInvalid(_shape(4097, 2, false, true));
        expectInvalid(_shape(4096, 3, false, true));
        expectInvalid(_shape(513, 9, false, true));
        useModel(_shape(4096, 2, false, true));
        useModel(_shape(512, 16, false, true));
    }

    /// Negative values are no counts: they are refused.
    function test_NegativeValuesAreRefused() public {
        useModel(_shape(100, 2, true, false));
        bytes memory payload = hex"00000200050100067f" hex"0100020005010006ff";
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidValue.selector, 1, 6, -1));
        model.train(payload);
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidValue.selector, 1, 6, -1));
        model.predict(payload);
        (uint256 informative,,) = model.train(hex"00000200050100067f");
        assertEq(informative, 0);
    }

    /// Batches train, predict and agree as the rule says, for any number of classes, width of indices and kind of values.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_TrainsAsTheRuleSays(uint256 seed, uint256 classes, uint8 scale, bool wide, uint8 kind)
        public
    {
        bool bernoulli = !wide && kind % 3 == 0;
        ModelParams memory params =
            _shape(wide ? 65_600 : 90, uint8(bound(classes, 2, 16)), kind % 3 == 1, bernoulli);
        params.smoothing = uint16(1 + (seed >> 8) % (seed % 2 == 0 ? 300 : 65_535));
        useModel(params);
        _start(seed, params, scale % 31);
        for (uint256 batch = 0; batch < 2; batch++) {
            Sample[] memory samples =
                randomSamples(seed ^ (batch << 8), params, seed % 29 == 0 ? 24 : 1 + seed % 3, 44, false);
            (uint256 informative,,) = model.train(encode(params, samples));
            uint256 expected;
            for (uint256 i = 0; i < samples.length; i++) {
                if (_verdict(samples[i], params) != samples[i].label) expected |= 1 << i;
            }
            assertEq(informative, expected);
            for (uint256 i = 0; i < samples.length; i++) {
                _learn(samples[i], params.classes);
            }
            _compare(samples, params);
        }
    }

    /// Every assessment of part of a batch says about that part what an assessment of the whole says.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_AMaskDoesNotChangeVerdicts(uint256 seed, uint256 mask, uint8 kind) public {
        ModelParams memory params = _shape(90, 5, kind % 3 == 0, kind % 3 == 1);
        useModel(params);
        _start(seed, params, 9);
        bytes memory payload = encode(params, randomSamples(seed, params, 12, 44, false));
        model.train(payload);
        (bytes32 root, uint256 all, bytes memory units) = model.assess(payload, ALL);
        (bytes32 sameRoot, uint256 some, bytes memory sameUnits) = model.assess(payload, mask);
        assertEq(some, all & mask);
        assertEq(sameRoot, root);
        assertEq(sameUnits, units);
        assertEq(units.length, 4 * 12);
    }

    /// A verdict does not depend on what memory held before: here the bytes of a long sample, from its hashing.
    function test_VerdictsDoNotDependOnOldMemory() public {
        assessAfterLongSample(_shape(4096, 2, false, false));
    }

    /// Features are seen once, whichever sample of a batch, class or way brings them.
    function test_FeaturesAreSeenOnce() public {
        for (uint256 way = 0; way < 3; way++) {
            ModelParams memory params = _shape(way == 2 ? 70_000 : 100, way == 1 ? 16 : 2, false, false);
            useModel(params);
            Sample[] memory samples = new Sample[](3);
            for (uint256 i = 0; i < 3; i++) {
                samples[i] = Sample(i % 2, new uint256[](4), new int256[](4));
                for (uint256 k = 0; k < 4; k++) {
                    samples[i].indices[k] = 8 + i + 2 * k;
                }
            }
            model.train(encode(params, samples));
            // 8, 10, 12, 14; 9, 11, 13, 15; 10, 12, 14, 16.
            assertEq(model.weights(model.totalWords() - 1, 1)[0], 9);
            model.train(encode(params, samples));
            assertEq(model.weights(model.totalWords() - 1, 1)[0], 9);
        }
    }

    function _shape(uint32 nFeatures, uint8 classes, bool valued, bool bernoulli)
        private
        pure
        returns (ModelParams memory)
    {
        return ModelParams({
            nFeatures: nFeatures,
            maxFeatures: 1000,
            valued: valued,
            classes: classes,
            weightBits: 32,
            margin: 0,
            smoothing: 256,
            bernoulli: bernoulli
        });
    }

    /// Writes counts of at most 2^scale for some of the features that samples have, and classes with some samples.
    function _start(uint256 seed, ModelParams memory params, uint256 scale) private {
        _log = FixedLog.load();
        uint256 row = rowOf(params.classes);
        uint256[] memory words = new uint256[](1);
        for (uint256 number = 0; number < 6; number++) {
            words[0] = 0;
            for (uint256 lane = number * 8; lane < number * 8 + 8; lane++) {
                uint256 class = lane % row;
                if (class >= params.classes) continue;
                uint256 draw = uint256(keccak256(abi.encode(seed, "count", lane)));
                uint256 count = draw >> 250 < 20 ? 0 : draw % (1 + (1 << scale));
                _counts[lane / row][class] = count;
                words[0] |= count << (224 - 32 * (lane % 8));
            }
            model.writeWeights(number, words);
        }
        for (uint256 c = 0; c < params.classes; c += 2) {
            words[0] = _startClass(seed, c, scale) << 128;
            if (c + 1 < params.classes) words[0] |= _startClass(seed, c + 1, scale);
            model.writeWeights(model.totalWords() - 1 - (params.classes + 1) / 2 + c / 2, words);
        }
        _seen = seed % 90;
        words[0] = _seen;
        model.writeWeights(model.totalWords() - 1, words);
    }

    function _startClass(uint256 seed, uint256 class, uint256 scale) private returns (uint256) {
        uint256 draw = uint256(keccak256(abi.encode(seed, "class", class)));
        _samples[class] = draw % 3 == 0 ? 0 : (draw >> 8) & 0x3ffff;
        _totals[class] = (draw >> 30) % (90 << scale);
        return (_samples[class] << 96) | _totals[class];
    }

    function _learn(Sample memory sample, uint256 classes) private {
        uint256 c = sample.label;
        for (uint256 k = 0; k < sample.indices.length; k++) {
            if (!_isSeen(sample.indices[k], classes)) _seen++;
            _counts[sample.indices[k]][c] += uint256(sample.values[k]);
            _totals[c] += uint256(sample.values[k]);
        }
        _samples[c]++;
    }

    function _compare(Sample[] memory samples, ModelParams memory params) private {
        bytes memory labels = model.predict(encode(params, samples));
        (, uint256 agreed,) = model.assess(encode(params, samples), ALL);
        uint256 row = rowOf(params.classes);
        for (uint256 i = 0; i < samples.length; i++) {
            uint256 predicted = _verdict(samples[i], params);
            assertEq(uint8(labels[i]), predicted);
            assertEq((agreed >> i) & 1 == 1, predicted == samples[i].label);
        }
        Sample memory last = samples[samples.length - 1];
        for (uint256 k = 0; k < last.indices.length; k++) {
            uint256 index = last.indices[k];
            for (uint256 c = 0; c < row; c++) {
                assertEq(laneAt(index * row + c, 32), int256(_counts[index][c]));
            }
        }
        uint256 seenWord = model.totalWords() - 1;
        for (uint256 c = 0; c < params.classes; c++) {
            uint256 half = uint256(laneAt((seenWord - (params.classes + 1) / 2) * 2 + c, 128));
            assertEq(half >> 96, _samples[c]);
            assertEq(half & (2 ** 96 - 1), _totals[c]);
        }
        assertEq(model.weights(seenWord, 1)[0], _seen);
    }

    function _verdict(Sample memory sample, ModelParams memory params) private returns (uint256 best) {
        _log = FixedLog.load();
        int256 highest;
        bool found;
        for (uint256 c = 0; c < params.classes; c++) {
            if (_samples[c] == 0) continue;
            int256 score = params.bernoulli ? _bernoulli(sample, params, c) : _multinomial(sample, params, c);
            if (!found || score > highest) (best, highest, found) = (c, score, true);
        }
    }

    function _multinomial(Sample memory sample, ModelParams memory params, uint256 class)
        private
        view
        returns (int256 score)
    {
        uint256 a = params.smoothing;
        score = _log2(_samples[class]);
        for (uint256 k = 0; k < sample.indices.length; k++) {
            if (!_isSeen(sample.indices[k], params.classes)) continue;
            score += sample.values[k] * _log2(256 * _counts[sample.indices[k]][class] + a);
            score -= sample.values[k] * _log2(256 * _totals[class] + a * _seen);
        }
    }

    function _bernoulli(Sample memory sample, ModelParams memory params, uint256 class)
        private
        view
        returns (int256 score)
    {
        uint256 a = params.smoothing;
        score = _log2(_samples[class]);
        uint256 next;
        for (uint256 i = 0; i < params.nFeatures; i++) {
            bool present = next < sample.indices.length && sample.indices[next] == i;
            if (present) next++;
            if (!_isSeen(i, params.classes)) continue;
            uint256 count = _counts[i][class];
            uint256 absent = _samples[class] > count ? _samples[class] - count : 0;
            score += _log2(256 * (present ? count : absent) + a) - _log2(256 * _samples[class] + 2 * a);
        }
    }

    function _isSeen(uint256 index, uint256 classes) private view returns (bool) {
        for (uint256 c = 0; c < classes; c++) {
            if (_counts[index][c] > 0) return true;
        }
        return false;
    }

    function _log2(uint256 x) private view returns (int256) {
        return int256(FixedLog.log2(_log, x));
    }
}
