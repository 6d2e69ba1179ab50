// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract PayloadTest is TrainerTest {
    struct Valid {
        uint256 n_features;
        uint256 max_features;
        bool valued;
        bytes payload;
        Units[] samples;
    }

    struct Units {
        uint256 units;
    }

    struct Invalid {
        uint256 n_features;
        uint256 max_features;
        bool valued;
        bytes payload;
        string error_;
    }

    string private constant VALID =
        "Valid(uint256 n_features,uint256 max_features,bool valued,bytes payload,Units[] samples)Units(uint256 units)";
    string private constant INVALID =
        "Refused(uint256 n_features,uint256 max_features,bool valued,bytes payload,string error)";

    mapping(bytes32 shape => address) private _trainerOfShape;

    /// Every golden payload is accepted, with as many samples and units as it should have.
    function test_GoldenPayloadsAreAccepted() public {
        string memory json = vm.readFile("tests/golden/payload.json");
        Valid[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".valid", VALID), (Valid[]));
        assertGe(cases.length, 40);
        for (uint256 i = 0; i < cases.length; i++) {
            _useModelOf(cases[i].n_features, cases[i].max_features, cases[i].valued);
            uint256 expected;
            for (uint256 sample = 0; sample < cases[i].samples.length; sample++) {
                expected += cases[i].samples[sample].units;
            }
            (uint256 count, uint256 units) = model.measure(cases[i].payload);
            assertEq(count, cases[i].samples.length);
            assertEq(units, expected);
            vm.prank(address(trainer));
            model.train(cases[i].payload);
            assertEq(model.predict(cases[i].payload).length, count);
        }
    }

    /// Every malformed golden payload is refused by the error for its fault.
    function test_MalformedGoldenPayloadsAreRefused() public {
        string memory json = vm.readFile("tests/golden/payload.json");
        Invalid[] memory cases = abi.decode(vm.parseJsonTypeArray(json, ".invalid", INVALID), (Invalid[]));
        assertGe(cases.length, 150);
        for (uint256 i = 0; i < cases.length; i++) {
            _useModelOf(cases[i].n_features, cases[i].max_features, cases[i].valued);
            vm.expectPartialRevert(_selector(cases[i].error_));
            vm.prank(address(trainer));
            model.train(cases[i].payload);
        }
    }

    function _refuse(bytes memory payload, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(address(trainer));
        model.train(payload);
    }

    /// Errors name the sample and the values, wherever in the sample the fault is.
    function test_ErrorsNameTheSampleAndTheValues() public {
        bytes memory good = Samples.one(1, 1);
        _refuse("", abi.encodeWithSelector(IModel.EmptyPayload.selector));
        _refuse(bytes.concat(good, hex"01"), abi.encodeWithSelector(IModel.TruncatedSample.selector, 1, 3, 1));
        _refuse(hex"0100020001", abi.encodeWithSelector(IModel.TruncatedSample.selector, 0, 7, 5));
        _refuse(
            bytes.concat(good, hex"02", hex"00010001"),
            abi.encodeWithSelector(IModel.InvalidLabel.selector, 1, 2, 2)
        );
        _refuse(
            Samples.run(1, 0, 201), abi.encodeWithSelector(IModel.InvalidFeatureCount.selector, 0, 201, 200)
        );
        _refuse(hex"010000", abi.encodeWithSelector(IModel.InvalidFeatureCount.selector, 0, 0, 200));
        _refuse(
            hex"01000300010100ffff", abi.encodeWithSelector(IModel.FeatureOutOfRange.selector, 0, 256, 256)
        );
        _refuse(
            hex"010003000100090009", abi.encodeWithSelector(IModel.FeaturesNotIncreasing.selector, 0, 9, 9)
        );
    }

    /// A valued model names a bad value.
    function test_BadValuesAreNamed() public {
        useModel(
            "valued",
            ModelParams({
                nFeatures: 256,
                maxFeatures: 9,
                valued: true,
                classes: 2,
                weightBits: 16,
                margin: 0,
                smoothing: 0,
                bernoulli: false
            })
        );
        _refuse(hex"010002000a01000b00", abi.encodeWithSelector(IModel.InvalidValue.selector, 0, 11, 0));
        _refuse(hex"010002000a80000b01", abi.encodeWithSelector(IModel.InvalidValue.selector, 0, 10, -128));
    }

    /// One fault at any place of a sample of any length is found, by the index that is wrong.
    function testFuzz_AFaultIsFoundWhereverItIs(uint16 n, uint16 place, uint16 index) public {
        n = uint16(bound(n, 2, 200));
        place = uint16(bound(place, 1, n - 1));
        bytes memory payload = Samples.run(0, 10, n);
        // Not above the index before it.
        index = uint16(bound(index, 0, 9 + place));
        (payload[3 + 2 * place], payload[4 + 2 * place]) = (bytes1(uint8(index >> 8)), bytes1(uint8(index)));
        // What follows looks like one more index in order, to whoever reads too far.
        payload = bytes.concat(payload, Samples.one(1, 255));
        _refuse(
            payload,
            abi.encodeWithSelector(
                IModel.FeaturesNotIncreasing.selector, 0, uint256(9) + place, uint256(index)
            )
        );
    }

    /// Whatever the bytes, a refused payload leaves no trace, and an accepted one can be refunded.
    function testFuzz_NoPayloadHasAPartialEffect(bytes memory noise, uint256 position, uint8 change) public {
        bytes memory payload = bytes.concat(Samples.run(1, 7, 40), Samples.one(0, 9), Samples.run(0, 200, 17));
        if (change % 8 == 0) payload = noise;
        else payload[position % payload.length] ^= bytes1(change);
        bytes32 weights = keccak256(abi.encode(model.weights(0, 17)));
        vm.deal(alice, 10 ether);
        vm.prank(alice);
        (bool accepted, bytes memory answer) =
            address(trainer).call{value: 10 ether}(abi.encodeCall(trainer.contribute, (payload)));
        if (accepted) {
            assertTrue(dataHandler.batchHash(0) != 0);
            return;
        }
        assertTrue(_isNamedError(bytes4(answer)), "a named error");
        assertEq(keccak256(abi.encode(model.weights(0, 17))), weights);
        assertEq(trainer.batchCount(), 0);
        assertEq(alice.balance, 10 ether);
        assertEq(dataHandler.batchHash(0), 0);
    }

    function _isNamedError(bytes4 selector) private pure returns (bool) {
        return selector == IModel.EmptyPayload.selector || selector == IModel.TruncatedSample.selector
            || selector == IModel.InvalidLabel.selector || selector == IModel.InvalidFeatureCount.selector
            || selector == IModel.FeatureOutOfRange.selector
            || selector == IModel.FeaturesNotIncreasing.selector;
    }

    /// Goes on with the model of a shape, made when it is needed first.
    function _useModelOf(uint256 nFeatures, uint256 maxFeatures, bool valued) private {
        ModelParams memory shape =
            ModelParams(uint32(nFeatures), uint16(maxFeatures), valued, 2, 16, 2, 0, false);
        bytes32 key = keccak256(abi.encode(shape));
        if (_trainerOfShape[key] == address(0)) {
            useModel(string.concat("golden-", vm.toString(registry.modelCount())), shape);
            _trainerOfShape[key] = address(trainer);
        }
        useTrainer(_trainerOfShape[key]);
    }

    function _selector(string memory name) private pure returns (bytes4) {
        bytes32 hash = keccak256(bytes(name));
        if (hash == keccak256("EmptyPayload")) return IModel.EmptyPayload.selector;
        if (hash == keccak256("TooManySamples")) return IModel.TooManySamples.selector;
        if (hash == keccak256("TruncatedSample")) return IModel.TruncatedSample.selector;
        if (hash == keccak256("InvalidLabel")) return IModel.InvalidLabel.selector;
        if (hash == keccak256("InvalidFeatureCount")) return IModel.InvalidFeatureCount.selector;
        if (hash == keccak256("FeatureOutOfRange")) return IModel.FeatureOutOfRange.selector;
        if (hash == keccak256("FeaturesNotIncreasing")) return IModel.FeaturesNotIncreasing.selector;
        if (hash == keccak256("InvalidValue")) return IModel.InvalidValue.selector;
        revert(name);
    }
}
