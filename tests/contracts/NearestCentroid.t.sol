// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {ModelTest, Sample} from "./support/ModelTest.sol";

/// Nearest centroid, against golden histories and against the rule written the slow and obvious way.
contract NearestCentroidTest is ModelTest {
    /// What the rule says: sums by feature and class.
    mapping(uint256 index => mapping(uint256 class => int256)) private _sums;
    int256[16] private _samples;
    int256[16] private _squares;

    function modelName() internal pure override returns (string memory) {
        return "NearestCentroid";
    }

    /// Every golden history trains to the same informative bits, predictions and sums, whatever its shape.
    function test_GoldenHistoriesAreReproduced() public {
        replay("nearest-centroid.json");
    }

    /// Words with numbers too large, or with a lane or half that belongs to nothing, are refused; others are taken.
    function test_OnlyWordsThatTrainingCanGoOnFromAreWritten() public {
        writeGoldenWords("nearest-centroid");
    }

    /// Shapes that the rule has no use for are refused.
    function test_ShapesOfOtherRulesAreRefused() public {
        ModelParams memory params = _shape(100, 3, false);
        params.classes = 1;
        expectInvalid(params);
        params.classes = 17;
        expectInvalid(params);
        params = _shape(100, 3, false);
        params.weightBits = 16;
        expectInvalid(params);
        params = _shape(100, 3, false);
        params.margin = 1;
        expectInvalid(params);
        params = _shape(100, 3, false);
        params.smoothing = 1;
        expectInvalid(params);
        params = _shape(100, 3, false);
        params.bernoulli = true;
        expectInvalid(params);
        params = _shape(1, 3, false);
        expectInvalid(params);
    }

    /// Batches train, predict and agree as the rule says, for any number of classes, width of indices and kind of values.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_TrainsAsTheRuleSays(uint256 seed, uint256 classes, uint8 scale, bool wide, bool valued)
        public
    {
        ModelParams memory params = _shape(wide ? 65_600 : 90, uint8(bound(classes, 2, 16)), valued);
        useModel(params);
        _start(seed, params, scale % 31);
        for (uint256 batch = 0; batch < 2; batch++) {
            Sample[] memory samples =
                randomSamples(seed ^ (batch << 8), params, seed % 29 == 0 ? 24 : 1 + seed % 3, 44, true);
            (uint256 informative,,) = model.train(encode(params, samples));
            uint256 expected;
            for (uint256 i = 0; i < samples.length; i++) {
                if (_nearest(samples[i], params.classes) != samples[i].label) expected |= 1 << i;
            }
            assertEq(informative, expected);
            for (uint256 i = 0; i < samples.length; i++) {
                _learn(samples[i]);
            }
            _compare(samples, params);
        }
    }

    /// Every assessment of part of a batch says about that part what an assessment of the whole says.
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_AMaskDoesNotChangeVerdicts(uint256 seed, uint256 mask, bool valued) public {
        ModelParams memory params = _shape(90, 5, valued);
        useModel(params);
        _start(seed, params, 9);
        bytes memory payload = encode(params, randomSamples(seed, params, 12, 44, true));
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
        assessAfterLongSample(_shape(4096, 3, false));
    }

    /// The sample that makes a class full is the last one that it takes, also within a batch.
    function test_AFullClassTakesNoMore() public {
        ModelParams memory params = _shape(16, 2, false);
        useModel(params);
        uint256[] memory words = new uint256[](1);
        words[0] = (uint256(2 ** 23 - 2) << 96) | 1;
        model.writeWeights(4, words);
        // Three samples of class 1, which has nothing but samples; class 0 has none, so that all are predicted as 1.
        (uint256 informative,,) = model.train(hex"0100010001" hex"0100010001" hex"0100010001");
        assertEq(informative, 0);
        assertEq(model.weights(4, 1)[0], (uint256(2 ** 23 - 1) << 96) | 2);
        assertEq(laneAt(3, 32), 1);
        // Of class 0, which does not know the feature.
        (informative,,) = model.train(hex"0000010002" hex"0100010002");
        assertEq(informative, 1);
        assertEq(laneAt(5, 32), 0);
    }

    function _shape(uint32 nFeatures, uint8 classes, bool valued) private pure returns (ModelParams memory) {
        return ModelParams({
            nFeatures: nFeatures,
            maxFeatures: 1000,
            valued: valued,
            classes: classes,
            weightBits: 32,
            margin: 0,
            smoothing: 0,
            bernoulli: false
        });
    }

    /// Writes sums of at most 2^scale for some of the features that samples have, and classes with some samples.
    function _start(uint256 seed, ModelParams memory params, uint256 scale) private {
        uint256 row = rowOf(params.classes);
        uint256[] memory words = new uint256[](1);
        for (uint256 number = 0; number < 6; number++) {
            words[0] = 0;
            for (uint256 lane = number * 8; lane < number * 8 + 8; lane++) {
                uint256 class = lane % row;
                if (class >= params.classes) continue;
                uint256 draw = uint256(keccak256(abi.encode(seed, "sum", lane)));
                int256 sum = int256(draw % (2 << scale)) - int256(1 << scale);
                _sums[lane / row][class] = sum;
                words[0] |= uint256(uint32(int32(sum))) << (224 - 32 * (lane % 8));
            }
            model.writeWeights(number, words);
        }
        for (uint256 c = 0; c < params.classes; c += 2) {
            words[0] = _startClass(seed, params, c, scale) << 128;
            if (c + 1 < params.classes) words[0] |= _startClass(seed, params, c + 1, scale);
            model.writeWeights(model.totalWords() - (params.classes + 1) / 2 + c / 2, words);
        }
    }

    function _startClass(uint256 seed, ModelParams memory params, uint256 class, uint256 scale)
        private
        returns (uint256)
    {
        uint256 draw = uint256(keccak256(abi.encode(seed, "class", class)));
        _samples[class] = draw % 3 == 0 ? int256(0) : int256(draw >> 8) & 0x3ffff;
        for (uint256 i = 0; i < params.nFeatures && i < 48; i++) {
            _squares[class] += _sums[i][class] ** 2;
        }
        // Now and then squares that fit no sums.
        if (draw % 5 == 0) _squares[class] = -int256(1 << (scale * 2));
        return (uint256(_samples[class]) << 96) | uint96(uint256(_squares[class]));
    }

    function _learn(Sample memory sample) private {
        uint256 c = sample.label;
        for (uint256 k = 0; k < sample.indices.length; k++) {
            int256 sum = _sums[sample.indices[k]][c];
            int256 moved = sum + sample.values[k];
            _sums[sample.indices[k]][c] = moved;
            _squares[c] += moved * moved - sum * sum;
        }
        _samples[c]++;
    }

    function _compare(Sample[] memory samples, ModelParams memory params) private view {
        bytes memory labels = model.predict(encode(params, samples));
        (, uint256 agreed,) = model.assess(encode(params, samples), ALL);
        uint256 row = rowOf(params.classes);
        for (uint256 i = 0; i < samples.length; i++) {
            uint256 predicted = _nearest(samples[i], params.classes);
            assertEq(uint8(labels[i]), predicted);
            assertEq((agreed >> i) & 1 == 1, predicted == samples[i].label);
        }
        Sample memory last = samples[samples.length - 1];
        for (uint256 k = 0; k < last.indices.length; k++) {
            uint256 index = last.indices[k];
            for (uint256 c = 0; c < row; c++) {
                assertEq(laneAt(index * row + c, 32), _sums[index][c]);
            }
        }
        uint256 firstClass = (model.totalWords() - (params.classes + 1) / 2) * 2;
        for (uint256 c = 0; c < params.classes; c++) {
            int256 half = laneAt(firstClass + c, 128);
            assertEq(half >> 96, _samples[c]);
            assertEq(int96(half), _squares[c]);
        }
    }

    function _nearest(Sample memory sample, uint256 classes) private view returns (uint256 nearest) {
        bool found;
        for (uint256 c = 0; c < classes; c++) {
            if (_samples[c] == 0) continue;
            if (
                !found
                    || _distance(sample, c) * _samples[nearest] ** 2
                        < _distance(sample, nearest) * _samples[c] ** 2
            ) {
                nearest = c;
            }
            found = true;
        }
    }

    /// The square of the distance, less the square of the sample, times the square of the number of samples.
    function _distance(Sample memory sample, uint256 class) private view returns (int256) {
        int256 dot;
        for (uint256 k = 0; k < sample.indices.length; k++) {
            dot += _sums[sample.indices[k]][class] * sample.values[k];
        }
        return _squares[class] - 2 * _samples[class] * dot;
    }
}
