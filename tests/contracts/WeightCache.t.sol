// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {Samples} from "./support/Samples.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

/// Blocks of 16 weights are added up within 16 bits while all are small: what is not small must be noticed.
contract WeightCacheTest is TrainerTest {
    /// An unsealed model of which the first word is read, alone or with all others.
    function _open(string memory name, bool allAtOnce) private {
        ModelParams memory shape = defaultShape();
        shape.nFeatures = allAtOnce ? 32 : 4096;
        useModel(name, shape);
    }

    /// Writes the first words: 16 times the same weight each.
    function _write(int16 first, int16 second) private {
        uint256 everyLane = type(uint256).max / 0xffff;
        uint256[] memory words = new uint256[](2);
        (words[0], words[1]) = (everyLane * uint16(first), everyLane * uint16(second));
        vm.prank(owner);
        trainer.writeWeights(0, words);
    }

    function _requireRightSigns() private {
        bytes[2] memory payloads = [Samples.run(0, 0, 16), Samples.run(0, 0, 2)];
        for (uint256 i = 0; i < 400; i++) {
            // Every pattern of the upper bits, and of the lower ones the same in turn.
            int16 weight = int16(uint16((i % 200) * 327 + (i < 200 ? 21_845 : 0)));
            if (weight == type(int16).min) continue;
            _write(weight, 0);
            bytes1 expected = weight > 0 ? bytes1(0x01) : bytes1(0x00);
            assertEq(trainer.predict(payloads[0])[0], expected);
            assertEq(trainer.predict(payloads[1])[0], expected);
        }
    }

    /// Weights of any pattern of bits add up, if their words are loaded one by one.
    function test_WeightsOfAnyPatternAddUp() public {
        _open("single", false);
        _requireRightSigns();
    }

    /// And if all words are loaded at once.
    function test_WeightsOfAnyPatternAddUpAtOnce() public {
        _open("together", true);
        _requireRightSigns();
    }

    /// 2047 is one step from where 16 weights leave 16 bits; so is -2048.
    function test_SixteenWeightsStayRightWhileTheyGrow() public {
        int16[4] memory weights = [int16(2047), -2048, 1023, -1024];
        for (uint256 i = 0; i < 8; i++) {
            _open(string.concat("grow-", vm.toString(i)), i < 4);
            _write(weights[i % 4], -weights[i % 4]);
            vm.prank(owner);
            trainer.seal();
            uint8 label = weights[i % 4] > 0 ? 1 : 0;
            // The two words cancel, so the first sample trains; then the first word alone is beyond any margin.
            bytes memory certain = Samples.run(label, 0, 16);
            uint256 informative = contribute(alice, list(Samples.run(label, 0, 32), certain)).informative;
            assertEq(informative, label, "a score of 0 predicts class 0");
            int16 grown = weights[i % 4] + (label == 1 ? int16(1) : int16(-1));
            assertEq(model.weights(0, 1)[0], type(uint256).max / 0xffff * uint16(grown), "trained once");
            assertEq(uint8(trainer.predict(certain)[0]), label);
        }
    }
}
