// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Test} from "forge-std/Test.sol";
import {IModel, ModelParams} from "../../../contracts/interfaces/IModel.sol";

/// A sample, decoded.
struct Sample {
    uint256 label;
    uint256[] indices;
    int256[] values;
}

/// Fresh models without trainers and registry, golden histories, and random samples.
abstract contract ModelTest is Test {
    struct ModelHistory {
        string name;
        uint256 n_features;
        uint256 max_features;
        bool valued;
        uint256 classes;
        uint256 weight_bits;
        uint256 margin;
        uint256 smoothing;
        bool bernoulli;
        uint256 total_words;
        ModelWords first;
        ModelTraining[] batches;
        ModelWords last;
    }

    struct ModelTraining {
        bytes payload;
        uint256 informative;
        ModelWords changed;
        bytes probe;
        bytes probe_labels;
        uint256 probe_agreed;
    }

    struct ModelWords {
        uint256[] numbers;
        uint256[] words;
    }

    struct WrittenWord {
        string name;
        string model_type;
        uint256 n_features;
        uint256 max_features;
        bool valued;
        uint256 classes;
        uint256 weight_bits;
        uint256 margin;
        uint256 smoothing;
        bool bernoulli;
        uint256 number;
        uint256 word;
        bool valid;
    }

    uint256 internal constant ALL = type(uint256).max;
    string private constant SHAPE =
        "uint256 n_features,uint256 max_features,bool valued,uint256 classes,uint256 weight_bits,uint256 margin,uint256 smoothing,bool bernoulli,";
    string private constant TRAINING =
        "ModelTraining(bytes payload,uint256 informative,ModelWords changed,bytes probe,bytes probe_labels,uint256 probe_agreed)ModelWords(uint256[] numbers,uint256[] words)";

    address private _implementation;
    mapping(address model => mapping(bytes32 slot => bool)) private _counted;
    IModel internal model;

    /// The contract under test, by its name.
    function modelName() internal pure virtual returns (string memory);

    function setUp() public virtual {
        string memory name = modelName();
        _implementation = vm.deployCode(string.concat(name, ".sol:", name));
    }

    /// Goes on with a fresh model, whose trainer is this contract.
    function useModel(ModelParams memory params) internal {
        model = IModel(Clones.clone(_implementation));
        model.initialize(address(this), params);
    }

    /// Refuses to set up a model of this shape.
    function expectInvalid(ModelParams memory params) internal {
        IModel fresh = IModel(Clones.clone(_implementation));
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidModelParams.selector, params));
        fresh.initialize(address(this), params);
    }

    /// Plays all golden histories of a file, and compares all that the model says and holds.
    function replay(string memory file) internal {
        string memory json = vm.readFile(string.concat("tests/golden/", file));
        string memory kind = string.concat(
            "ModelHistory(string name,",
            SHAPE,
            "uint256 total_words,ModelWords first,ModelTraining[] batches,ModelWords last)"
        );
        ModelHistory[] memory histories =
            abi.decode(vm.parseJsonTypeArray(json, "$", string.concat(kind, TRAINING)), (ModelHistory[]));
        assertGe(histories.length, 10);
        for (uint256 i = 0; i < histories.length; i++) {
            _replay(histories[i]);
        }
    }

    /// Tries to write each golden word of this model type into a fresh model.
    function writeGoldenWords(string memory modelType) internal {
        string memory json = vm.readFile("tests/golden/written-words.json");
        string memory kind = string.concat(
            "WrittenWord(string name,string model_type,", SHAPE, "uint256 number,uint256 word,bool valid)"
        );
        WrittenWord[] memory cases = abi.decode(vm.parseJsonTypeArray(json, "$", kind), (WrittenWord[]));
        uint256 tried;
        uint256[] memory words = new uint256[](1);
        for (uint256 i = 0; i < cases.length; i++) {
            WrittenWord memory it = cases[i];
            if (keccak256(bytes(it.model_type)) != keccak256(bytes(modelType))) continue;
            useModel(
                ModelParams({
                    nFeatures: uint32(it.n_features),
                    maxFeatures: uint16(it.max_features),
                    valued: it.valued,
                    classes: uint8(it.classes),
                    weightBits: uint8(it.weight_bits),
                    margin: uint16(it.margin),
                    smoothing: uint16(it.smoothing),
                    bernoulli: it.bernoulli
                })
            );
            words[0] = it.word;
            if (!it.valid) {
                vm.expectRevert(abi.encodeWithSelector(IModel.InvalidWord.selector, it.number, it.word));
            }
            model.writeWeights(it.number, words);
            assertEq(model.weights(it.number, 1)[0], it.valid ? it.word : 0, it.name);
            tried++;
        }
        assertGe(tried, 6);
    }

    function _replay(ModelHistory memory history) private {
        useModel(
            ModelParams({
                nFeatures: uint32(history.n_features),
                maxFeatures: uint16(history.max_features),
                valued: history.valued,
                classes: uint8(history.classes),
                weightBits: uint8(history.weight_bits),
                margin: uint16(history.margin),
                smoothing: uint16(history.smoothing),
                bernoulli: history.bernoulli
            })
        );
        assertEq(model.totalWords(), history.total_words, history.name);
        vm.record();
        uint256[] memory word = new uint256[](1);
        for (uint256 i = 0; i < history.first.numbers.length; i++) {
            word[0] = history.first.words[i];
            model.writeWeights(history.first.numbers[i], word);
        }
        for (uint256 i = 0; i < history.batches.length; i++) {
            ModelTraining memory batch = history.batches[i];
            (uint256 informative,,) = model.train(batch.payload);
            assertEq(informative, batch.informative, history.name);
            for (uint256 k = 0; k < batch.changed.numbers.length; k++) {
                assertEq(model.weights(batch.changed.numbers[k], 1)[0], batch.changed.words[k], history.name);
            }
            assertEq(model.predict(batch.probe), batch.probe_labels, history.name);
            (, uint256 agreed,) = model.assess(batch.probe, ALL);
            assertEq(agreed, batch.probe_agreed, history.name);
        }
        for (uint256 i = 0; i < history.last.numbers.length; i++) {
            assertEq(model.weights(history.last.numbers[i], 1)[0], history.last.words[i], history.name);
        }
        assertEq(_wordsNotZero(), history.last.numbers.length, history.name);
    }

    /// How many slots are not 0 of those that the model wrote since `vm.record`.
    function _wordsNotZero() private returns (uint256 count) {
        (, bytes32[] memory slots) = vm.accesses(address(model));
        for (uint256 i = 0; i < slots.length; i++) {
            if (_counted[address(model)][slots[i]]) continue;
            _counted[address(model)][slots[i]] = true;
            if (vm.load(address(model), slots[i]) != 0) count++;
        }
    }

    /// Assesses two short samples and a long one behind them. Taken for rows, the rising indices of the long one would speak for
    /// the highest class wherever the short ones look.
    function assessAfterLongSample(ModelParams memory params) internal {
        params.maxFeatures = 4000;
        useModel(params);
        uint256 last = params.classes - 1;
        Sample[] memory samples = new Sample[](3);
        for (uint256 i = 0; i < 3; i++) {
            uint256 n = i < 2 ? 50 : 2800;
            samples[i] = Sample(i < 2 ? i : last, new uint256[](n), new int256[](n));
            for (uint256 k = 0; k < n; k++) {
                samples[i].indices[k] = i < 2 ? 2 * k + i : 100 + k;
            }
        }
        bytes memory payload = encode(params, samples);
        model.train(payload);
        model.train(payload);
        assertEq(model.predict(payload), abi.encodePacked(uint8(0), uint8(1), uint8(last)));
        (, uint256 agreed,) = model.assess(payload, 7);
        assertEq(agreed, 7);
    }

    /// Random samples; features are drawn from the first `pool` and, with `wide`, from the last `pool` of all.
    function randomSamples(uint256 seed, ModelParams memory params, uint256 count, uint256 pool, bool signed)
        internal
        pure
        returns (Sample[] memory samples)
    {
        samples = new Sample[](count);
        for (uint256 i = 0; i < count; i++) {
            uint256 draw = uint256(keccak256(abi.encode(seed, "sample", i)));
            // One index out of each of n intervals, so that they increase.
            uint256 n = 1 + (draw >> 8) % (draw % 4 == 0 ? pool : (pool + 3) / 4);
            samples[i].label = (draw >> 40) % params.classes;
            samples[i].indices = new uint256[](n);
            samples[i].values = new int256[](n);
            uint256 stride = pool / n;
            for (uint256 k = 0; k < n; k++) {
                draw = uint256(keccak256(abi.encode(draw)));
                uint256 index = k * stride + draw % stride;
                samples[i].indices[k] = 2 * k < n ? index : params.nFeatures - pool + index;
                int256 value = params.valued ? int256(1 + (draw >> 20) % 127) : int256(1);
                samples[i].values[k] = signed && params.valued && (draw >> 60) % 3 == 0 ? -value : value;
            }
        }
    }

    /// The payload of samples.
    function encode(ModelParams memory params, Sample[] memory samples)
        internal
        pure
        returns (bytes memory payload)
    {
        for (uint256 i = 0; i < samples.length; i++) {
            Sample memory sample = samples[i];
            payload = abi.encodePacked(payload, uint8(sample.label), uint16(sample.indices.length));
            for (uint256 k = 0; k < sample.indices.length; k++) {
                payload = params.nFeatures <= 65_536
                    ? abi.encodePacked(payload, uint16(sample.indices[k]))
                    : abi.encodePacked(payload, uint24(sample.indices[k]));
                if (params.valued) payload = abi.encodePacked(payload, int8(sample.values[k]));
            }
        }
    }

    /// Lane `lane` of the model's words, counted over all words, in two's complement.
    function laneAt(uint256 lane, uint256 width) internal view returns (int256) {
        uint256 word = model.weights(lane * width / 256, 1)[0];
        uint256 lanes = 256 / width;
        uint256 bits = (word >> (256 - width * (lane % lanes + 1))) & ((1 << width) - 1);
        return bits >> (width - 1) == 0 ? int256(bits) : int256(bits) - int256(1 << width);
    }

    /// How many lanes a row has.
    function rowOf(uint256 classes) internal pure returns (uint256 row) {
        row = 1;
        while (row < classes) row *= 2;
    }
}
