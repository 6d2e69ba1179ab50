// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {CreateParams} from "../../contracts/interfaces/IModelRegistry.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// The largest samples that a model takes, when its numbers have outgrown the quick way of adding them up: the deposit of each
/// must still come back in one transaction.
contract LargestSampleTest is TrainerTest {
    uint256 private constant MAX_TRANSACTION_GAS = 16_777_216;
    uint256 private constant BASE_GAS = 21_000;
    /// Where a model keeps its words.
    uint256 private constant WORDS_SLOT = 2;

    uint256 private _made;

    function test_APerceptronRefundsIt() public {
        for (uint256 wide = 0; wide < 3; wide++) {
            _check("Perceptron", _shape(2, 16, wide, 4096, false), 1023);
            _check("Perceptron", _shape(2, 8, wide, 4096, false), 126);
            _check("Perceptron", _shape(2, 16, wide, 4096, true), 1023);
        }
    }

    function test_AMulticlassPerceptronRefundsIt() public {
        for (uint256 wide = 0; wide < 3; wide++) {
            _check("MulticlassPerceptron", _shape(3, 16, wide, 4096, wide == 1), 1023);
            _check("MulticlassPerceptron", _shape(16, 16, wide, 4096, false), 1023);
        }
    }

    function test_ACountingModelRefundsIt() public {
        _checkCounting("NaiveBayes", 1);
        _checkCounting("NearestCentroid", 0);
    }

    /// Two samples share what they read and look up, and their class is full, so that contributing them wrote nothing. One of them
    /// is refunded alone, and must not be the dearer for that.
    function test_NaiveBayesRefundsOneOfTwo() public {
        _checkOneOfTwo(8, 2000, 2 ** 15);
        _checkOneOfTwo(9, 1400, 2 ** 14);
        _checkOneOfTwo(16, 1024, 2 ** 14);
    }

    function _checkOneOfTwo(uint8 classes, uint16 n, uint32 nFeatures) private {
        ModelParams memory shape = _shape(classes, 32, 0, n, false);
        (shape.nFeatures, shape.smoothing) = (nFeatures, 1);
        _use("NaiveBayes", shape);
        uint256 half = ((2 ** 23 - 1) << 96) | 2 ** 60;
        uint256 first = model.totalWords() - 1 - (classes + 1) / 2;
        for (uint256 i = 0; i < classes / 2; i++) {
            vm.store(address(model), bytes32(WORDS_SLOT + first + i), bytes32((half << 128) | half));
        }
        vm.store(address(model), bytes32(WORDS_SLOT + first + (classes + 1) / 2), bytes32(uint256(nFeatures)));
        _fill(shape, classes, 1000);
        bytes memory sample = _largest(shape);
        (uint256 contributeGas, uint256 refundGas) = _contributeAndRefundFirst(list(sample, sample));
        assertEq(uint256(model.weights(first, 1)[0]), (half << 128) | half);
        assertLt(refundGas, contributeGas);
    }

    /// One feature more is refused when the model is made.
    function test_OnlyShapesWhoseSamplesFitAreTaken() public {
        _refuse("Perceptron", _shape(2, 16, 1, 4097, false));
        _refuse("MulticlassPerceptron", _shape(16, 16, 1, 4097, false));
        _refuse("NearestCentroid", _shape(8, 32, 1, 4097, false));
        _refuse("NearestCentroid", _shape(9, 32, 1, 2049, false));
    }

    function _refuse(string memory name, ModelParams memory shape) private {
        install(name);
        CreateParams memory params = createParams("large", shape);
        params.modelCode = codeHash(name);
        vm.expectRevert(abi.encodeWithSelector(IModel.InvalidModelParams.selector, shape));
        registry.create(params);
    }

    function _checkCounting(string memory name, uint16 smoothing) private {
        uint8[3] memory classes = [2, 8, 16];
        for (uint256 wide = 0; wide < 2; wide++) {
            for (uint256 i = 0; i < classes.length; i++) {
                ModelParams memory shape =
                    _shape(classes[i], 32, wide, classes[i] > 8 ? 2048 : 4096, wide == 1);
                shape.smoothing = smoothing;
                _check(name, shape, 2 ** 26 - 1);
            }
        }
    }

    /// @param wide 0: as few features as a sample can have; 1: as many as 2-byte indices can name, far apart; 2: 3-byte indices.
    function _shape(uint8 classes, uint8 weightBits, uint256 wide, uint16 maxFeatures, bool valued)
        private
        pure
        returns (ModelParams memory)
    {
        return ModelParams({
            nFeatures: wide == 0 ? maxFeatures : (wide == 1 ? 65_536 : 131_072),
            maxFeatures: maxFeatures,
            valued: valued,
            classes: classes,
            weightBits: weightBits,
            margin: 0,
            smoothing: 0,
            bernoulli: false
        });
    }

    /// Contributes the largest sample to a model whose numbers are all `start`, lets them grow, and refunds it.
    function _check(string memory name, ModelParams memory shape, uint256 start) private {
        _use(name, shape);
        _fill(shape, keccak256(bytes(name)) == keccak256("Perceptron") ? 1 : shape.classes, start);
        (uint256 contributeGas, uint256 refundGas) = _contributeAndRefundFirst(list(_largest(shape)));
        // What cannot be contributed need not be refunded: naive Bayes takes fewer features than its shape allows.
        assertTrue(refundGas <= MAX_TRANSACTION_GAS || contributeGas > MAX_TRANSACTION_GAS);
        assertLt(refundGas, contributeGas);
    }

    function _use(string memory name, ModelParams memory shape) private {
        useModel(createParams(string.concat("large-", vm.toString(_made++)), shape), name, "StakeIncentive");
    }

    function _contributeAndRefundFirst(bytes[] memory samples)
        private
        returns (uint256 contributeGas, uint256 refundGas)
    {
        bytes memory payload = Samples.join(samples);
        Batch memory batch;
        (batch.contributor, batch.addedAt, batch.count) =
        (alice, uint64(block.timestamp), uint16(samples.length));
        batch.samplesRoot = Samples.root(samples);
        (, uint256 units) = model.measure(payload);
        batch.units = uint32(units);
        batch.depositPerUnit = uint128(trainer.quote(units) / units);
        vm.deal(alice, units * batch.depositPerUnit);
        vm.recordLogs();
        contributeGas = _send(abi.encodeCall(trainer.contribute, (payload)), units * batch.depositPerUnit);
        batch.informative = informativeOf(vm.getRecordedLogs());
        skip(REFUND_WAIT_S);
        RefundClaim[] memory claims = new RefundClaim[](1);
        claims[0] = RefundClaim({batch: batch, payload: payload, mask: 1});
        refundGas = _send(abi.encodeCall(trainer.refund, (claims)), 0);
    }

    /// Puts a number into every lane of the words that the largest sample touches, and seals the model. Writing them as an owner
    /// does would check each of them, which takes minutes.
    function _fill(ModelParams memory shape, uint256 classes, uint256 start) private {
        uint256 rowLanes = 1;
        while (rowLanes < classes) rowLanes *= 2;
        uint256 word;
        for (uint256 lane = 0; lane < 256 / shape.weightBits; lane++) {
            if (lane % rowLanes < classes) word |= start << (256 - shape.weightBits * (lane + 1));
        }
        vm.store(address(model), bytes32(WORDS_SLOT), bytes32(word));
        assertEq(model.weights(0, 1)[0], word);
        uint256 rowBits = rowLanes * shape.weightBits;
        uint256 stride = shape.nFeatures / shape.maxFeatures;
        for (uint256 k = 0; k < shape.maxFeatures; k++) {
            uint256 number = (k * stride * rowBits) / 256;
            vm.store(address(model), bytes32(WORDS_SLOT + number), bytes32(word));
            if (rowBits > 256) vm.store(address(model), bytes32(WORDS_SLOT + number + 1), bytes32(word));
        }
        vm.prank(owner);
        trainer.seal();
    }

    /// What a call of alice's takes as a transaction of its own, EIP-7623 included, at most.
    function _send(bytes memory data, uint256 valueWei) private returns (uint256 gas) {
        vm.cool(address(trainer));
        vm.cool(address(model));
        vm.cool(address(incentive));
        vm.cool(address(dataHandler));
        uint256 tokens;
        for (uint256 i = 0; i < data.length; i++) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        vm.prank(alice);
        uint256 left = gasleft();
        (bool done,) = address(trainer).call{value: valueWei}(data);
        gas = left - gasleft() + 4 * tokens;
        assertTrue(done);
        if (gas < 10 * tokens) gas = 10 * tokens;
        gas += BASE_GAS;
    }

    /// As many features as there may be, as far apart as they can be.
    function _largest(ModelParams memory shape) private pure returns (bytes memory payload) {
        uint256 bytesOf = (shape.nFeatures > 65_536 ? 3 : 2) + (shape.valued ? 1 : 0);
        payload = new bytes(3 + bytesOf * shape.maxFeatures);
        payload[0] = bytes1(uint8(0));
        (payload[1], payload[2]) = (bytes1(uint8(shape.maxFeatures >> 8)), bytes1(uint8(shape.maxFeatures)));
        uint256 stride = shape.nFeatures / shape.maxFeatures;
        for (uint256 k = 0; k < shape.maxFeatures; k++) {
            uint256 feature = k * stride;
            if (shape.valued) feature = (feature << 8) | 1;
            for (uint256 i = 0; i < bytesOf; i++) {
                payload[3 + bytesOf * k + i] = bytes1(uint8(feature >> (8 * (bytesOf - 1 - i))));
            }
        }
    }
}
