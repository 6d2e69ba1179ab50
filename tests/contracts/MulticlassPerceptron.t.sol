// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {ModelTest, Sample} from "./support/ModelTest.sol";

/// The perceptron of many classes, against golden histories and against the rule written the slow and obvious way.
contract MulticlassPerceptronTest is ModelTest {
    int256 private constant LIMIT = 32_767;

    /// What the rule says: weights by feature and class.
    mapping(uint256 index => mapping(uint256 class => int256)) private _weights;
    int256[16] private _biases;

    function modelName() internal pure override returns (string memory) {
        return "MulticlassPerceptron";
    }

    /// Every golden history trains to the same informative bits, predictions and weights, whatever its shape.
    function test_GoldenHistoriesAreReproduced() public {
        replay("multiclass-perceptron.json");
    }

    /// Words with a number or lane that no training makes are refused, others are taken.
    function test_OnlyWordsThatTrainingCouldMakeAreWritten() public {
        writeGoldenWords("multiclass-perceptron");
    }

    /// Shapes that the rule has no use for are refused.
    function test_ShapesOfOtherRulesAreRefused() public {
        ModelParams memory params = _shape(100, 3, false, 0);
        params.classes = 2;
        expectInvalid(params);
        params.classes = 17;
        expectInvalid(params);
        params = _shape(100, 3, false, 0);
        params.weightBits = 8;
        expectInvalid(params);
        params.weightBits = 32;
        expectInvalid(params);
        params = _shape(100, 3, false, 0);
        params.smoothing = 1;
        expectInvalid(params);
        params = _shape(100, 3, false, 0);
        params.bernoulli = true;
        expectInvalid(params);
        params = _shape(1, 3, false, 0);
        expectInvalid(params);
        params = _shape(100, 3, false, 0);
        params.maxFeatures = 0;
        expectInvalid(params);
    }

    /// Two batches train, predict and agree as the rule says, for any number of classes, width of indices and kind of values.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_TrainsAsTheRuleSays(uint256 seed, uint256 classes, uint8 scale, bool wide, bool valued)
        public
    {
        ModelParams memory params =
            _shape(wide ? 65_600 : 90, uint8(bound(classes, 3, 16)), valued, uint16(seed % 3));
        useModel(params);
        _start(seed, params, scale % 16);
        for (uint256 batch = 0; batch < 2; batch++) {
            Sample[] memory samples =
                randomSamples(seed ^ (batch << 8), params, seed % 29 == 0 ? 24 : 1 + seed % 3, 44, true);
            (uint256 informative,,) = model.train(encode(params, samples));
            uint256 expected;
            for (uint256 i = 0; i < samples.length; i++) {
                if (_learn(samples[i], params)) expected |= 1 << i;
            }
            assertEq(informative, expected);
            _compare(samples, params);
        }
    }

    /// A sample within the margin trains the model, but is informative only if another class was predicted.
    function test_OnlyAnUnexpectedLabelIsInformative() public {
        useModel(_shape(100, 3, false, 2));
        // One feature, so a step moves the two scores by 2 each, and trains where the lead is 2 at most.
        _requireTraining(1, true, true);
        _requireTraining(1, true, false);
        _requireTraining(1, false, false);
        // The scores are -2, 4 and -2.
        _requireTraining(2, true, true);
        _requireTraining(2, true, true);
        // They are -2, 0 and 2.
        _requireTraining(2, true, false);
        _requireTraining(2, false, false);
    }

    /// Of classes with the same score the lowest is predicted, so no other of them is expected.
    function test_TiesAreInformativeButForTheLowestClass() public {
        uint256[] memory biases = new uint256[](1);
        for (uint256 lowest = 0; lowest < 3; lowest++) {
            for (uint8 label = uint8(lowest); label < 3; label++) {
                useModel(_shape(100, 3, false, 2));
                // The biases of the classes below are -9, the others are 0.
                biases[0] = 0;
                for (uint256 class = 0; class < lowest; class++) {
                    biases[0] |= uint256(uint16(int16(-9))) << (240 - 16 * class);
                }
                model.writeWeights(model.totalWords() - 1, biases);
                // The last class has no rival at its score: the model leads by more than the margin.
                _requireTraining(label, lowest < 2, label > lowest);
            }
        }
    }

    function _requireTraining(uint8 label, bool trains, bool isInformative) private {
        bytes32 weights = keccak256(abi.encode(model.weights(0, model.totalWords())));
        (uint256 informative,,) = model.train(abi.encodePacked(label, uint16(1), uint16(7)));
        assertEq(informative, isInformative ? 1 : 0);
        assertEq(keccak256(abi.encode(model.weights(0, model.totalWords()))) != weights, trains);
    }

    /// Every assessment of part of a batch says about that part what an assessment of the whole says.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_AMaskDoesNotChangeVerdicts(uint256 seed, uint256 mask, bool valued) public {
        ModelParams memory params = _shape(90, 6, valued, 0);
        useModel(params);
        _start(seed, params, 9);
        bytes memory payload = encode(params, randomSamples(seed, params, 12, 44, true));
        (bytes32 root, uint256 all, bytes memory units) = model.assess(payload, ALL);
        (bytes32 sameRoot, uint256 some, bytes memory sameUnits) = model.assess(payload, mask);
        assertEq(some, all & mask);
        assertEq(sameRoot, root);
        assertEq(sameUnits, units);
        assertEq(units.length, 4 * 12);
    }

    /// A verdict does not depend on what memory held before: here the bytes of a long sample, from its hashing.
    function test_VerdictsDoNotDependOnOldMemory() public {
        assessAfterLongSample(_shape(4096, 3, false, 0));
    }

    function _shape(uint32 nFeatures, uint8 classes, bool valued, uint16 margin)
        private
        pure
        returns (ModelParams memory)
    {
        return ModelParams({
            nFeatures: nFeatures,
            maxFeatures: 1000,
            valued: valued,
            classes: classes,
            weightBits: 16,
            margin: margin,
            smoothing: 0,
            bernoulli: false
        });
    }

    /// Writes weights of at most 2^scale, and some at the limit, for some of the features that samples have.
    function _start(uint256 seed, ModelParams memory params, uint256 scale) private {
        uint256 row = rowOf(params.classes);
        uint256[] memory words = new uint256[](1);
        for (uint256 number = 0; number < 6; number++) {
            words[0] = 0;
            for (uint256 lane = number * 16; lane < number * 16 + 16; lane++) {
                uint256 class = lane % row;
                if (class >= params.classes) continue;
                uint256 draw = uint256(keccak256(abi.encode(seed, "weight", lane)));
                int256 weight = int256(draw % (2 << scale)) - int256(1 << scale);
                if (scale > 12 && draw >> 252 == 0) weight = draw % 2 == 0 ? LIMIT : -LIMIT;
                weight = _capped(weight);
                _weights[lane / row][class] = weight;
                words[0] |= uint256(uint16(int16(weight))) << (240 - 16 * (lane % 16));
            }
            model.writeWeights(number, words);
        }
    }

    function _learn(Sample memory sample, ModelParams memory params) private returns (bool) {
        int256[] memory scores = _scores(sample, params.classes);
        bool unexpected = _best(scores) != sample.label;
        int256 own = scores[sample.label];
        scores[sample.label] = type(int256).min;
        uint256 rival = _best(scores);
        if (own - scores[rival] > int256(uint256(params.margin) * sample.indices.length)) return false;
        for (uint256 k = 0; k < sample.indices.length; k++) {
            mapping(uint256 => int256) storage row = _weights[sample.indices[k]];
            row[sample.label] = _capped(row[sample.label] + sample.values[k]);
            row[rival] = _capped(row[rival] - sample.values[k]);
        }
        _biases[sample.label] = _capped(_biases[sample.label] + 1);
        _biases[rival] = _capped(_biases[rival] - 1);
        return unexpected;
    }

    function _compare(Sample[] memory samples, ModelParams memory params) private view {
        bytes memory labels = model.predict(encode(params, samples));
        (, uint256 agreed,) = model.assess(encode(params, samples), ALL);
        uint256 row = rowOf(params.classes);
        for (uint256 i = 0; i < samples.length; i++) {
            uint256 predicted = _best(_scores(samples[i], params.classes));
            assertEq(uint8(labels[i]), predicted);
            assertEq((agreed >> i) & 1 == 1, predicted == samples[i].label);
        }
        Sample memory last = samples[samples.length - 1];
        for (uint256 k = 0; k < last.indices.length; k++) {
            uint256 index = last.indices[k];
            for (uint256 c = 0; c < row; c++) {
                assertEq(laneAt(index * row + c, 16), _weights[index][c]);
            }
        }
        for (uint256 c = 0; c < 16; c++) {
            assertEq(laneAt((model.totalWords() - 1) * 16 + c, 16), _biases[c]);
        }
    }

    function _scores(Sample memory sample, uint256 classes) private view returns (int256[] memory scores) {
        scores = new int256[](classes);
        for (uint256 c = 0; c < classes; c++) {
            scores[c] = _biases[c];
            for (uint256 k = 0; k < sample.indices.length; k++) {
                scores[c] += _weights[sample.indices[k]][c] * sample.values[k];
            }
        }
    }

    function _best(int256[] memory scores) private pure returns (uint256 best) {
        for (uint256 c = 1; c < scores.length; c++) {
            if (scores[c] > scores[best]) best = c;
        }
    }

    function _capped(int256 weight) private pure returns (int256) {
        return weight > LIMIT ? LIMIT : (weight < -LIMIT ? -LIMIT : weight);
    }
}
