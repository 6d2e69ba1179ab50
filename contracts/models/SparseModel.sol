// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TrainerPart} from "../TrainerPart.sol";
import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {Format, PayloadDecoder} from "../libraries/PayloadDecoder.sol";
import {SampleMerkle} from "../libraries/SampleMerkle.sol";

/// @notice One payload at work: what a model keeps in memory meanwhile. It is the address of a struct of the model's own.
type Run is uint256;

/// @title What all models share: reading samples, hashing them, and the words of storage
/// @notice A model adds its rule: what a word holds, how it trains with a sample, and which class it predicts.
abstract contract SparseModel is IModel, TrainerPart {
    using PayloadDecoder for Format;

    uint256 internal constant MAX_FEATURES = 2 ** 24;
    uint256 internal constant MAX_CLASSES = 16;
    /// @dev A sample is refunded as a whole, and must then fit into a transaction by itself, whatever its words of storage and the
    /// numbers in them have become. All of them may be cold.
    uint256 private constant MAX_SAMPLE_WORDS = 4096;
    uint256 internal constant HEADER_BYTES = PayloadDecoder.HEADER_BYTES;

    ModelParams internal _params;

    /// @dev Room for the largest model: 2^24 features, 16 classes of 32 bits each, and the words behind them. Fresh storage is a
    /// model of zeros.
    uint256[2 ** 25 + 16] internal _words;

    /// @inheritdoc IModel
    function initialize(address trainer_, ModelParams calldata params_) external {
        _bind(trainer_);
        // One word for each feature, or two: what its row of a number for each class straddles at most.
        uint256 rowWords = (uint256(params_.classes) * params_.weightBits + 255) / 256;
        bool common = params_.nFeatures >= 2 && params_.nFeatures <= MAX_FEATURES && params_.maxFeatures > 0
            && params_.maxFeatures * rowWords <= MAX_SAMPLE_WORDS && params_.classes >= 2
            && params_.classes <= MAX_CLASSES;
        if (!common || !_isValid(params_)) revert InvalidModelParams(params_);
        _params = params_;
    }

    /// @inheritdoc IModel
    function measure(bytes calldata payload) external view returns (uint256 count, uint256 units) {
        unchecked {
            Format memory format = _format();
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            while (start < payloadEnd) {
                // The price does not depend on the label.
                // slither-disable-next-line unused-return
                (, uint256 n, uint256 end) = format.readHeader(count++, start, payloadEnd);
                units += format.unitsOf(n, start + HEADER_BYTES, end);
                start = end;
            }
        }
    }

    /// @inheritdoc IModel
    function train(bytes calldata payload)
        external
        onlyTrainer
        returns (uint256 informative, uint256 learned, bytes32 samplesRoot)
    {
        unchecked {
            Format memory format = _format();
            uint256 classes_ = _params.classes;
            bytes32[] memory leaves = _newLeaves(format, payload);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            uint256 room = payload.length / format.featureBytes;
            Run run = _open(format, room, room);
            uint256 count;
            while (start < payloadEnd) {
                (uint256 label, uint256 n, uint256 end) = format.readHeader(count, start, payloadEnd);
                if (label >= classes_) revert InvalidLabel(count, label, classes_);
                format.requireValidFeatures(count, start + HEADER_BYTES, end);
                leaves[count] = PayloadDecoder.hashOf(start, end);
                (bool changes, bool surprises) = _learn(run, label, n, start + HEADER_BYTES, end);
                if (changes) learned |= 1 << count;
                if (surprises) informative |= 1 << count;
                count++;
                start = end;
            }
            _close(run);
            samplesRoot = SampleMerkle.root(leaves, count);
        }
    }

    /// @inheritdoc IModel
    function assess(bytes calldata payload, uint256 mask)
        external
        view
        returns (bytes32 samplesRoot, uint256 agreed, bytes memory units)
    {
        unchecked {
            Format memory format = _format();
            uint256 features;
            (samplesRoot, units, features) = _examine(format, payload, mask);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            Run run = _open(format, payload.length / format.featureBytes, features);
            for (uint256 bit = 1; start < payloadEnd; bit <<= 1) {
                (uint256 label, uint256 end) = format.skipHeader(start);
                if (mask & bit != 0 && _classify(run, start + HEADER_BYTES, end) == label) agreed |= bit;
                start = end;
            }
        }
    }

    /// @inheritdoc IModel
    function predict(bytes calldata payload) external view returns (bytes memory labels) {
        unchecked {
            Format memory format = _format();
            labels = new bytes(PayloadDecoder.MAX_SAMPLES);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            uint256 room = payload.length / format.featureBytes;
            Run run = _open(format, room, room);
            uint256 count;
            while (start < payloadEnd) {
                // Whoever asks for a label does not know it.
                // slither-disable-next-line unused-return
                (,, uint256 end) = format.readHeader(count, start, payloadEnd);
                format.requireValidFeatures(count, start + HEADER_BYTES, end);
                labels[count++] = bytes1(uint8(_classify(run, start + HEADER_BYTES, end)));
                start = end;
            }
            assembly ("memory-safe") {
                mstore(labels, count)
            }
        }
    }

    /// @inheritdoc IModel
    function writeWeights(uint256 firstWord, uint256[] calldata words) external onlyTrainer {
        _requireWords(firstWord, words.length);
        for (uint256 i = 0; i < words.length; i++) {
            if (!_isValidWord(firstWord + i, words[i])) revert InvalidWord(firstWord + i, words[i]);
            _words[firstWord + i] = words[i];
        }
        emit WeightsWritten(firstWord, words);
    }

    /// @inheritdoc IModel
    function weights(uint256 firstWord, uint256 count) external view returns (uint256[] memory words) {
        _requireWords(firstWord, count);
        words = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            words[i] = _words[firstWord + i];
        }
    }

    /// @inheritdoc IModel
    function totalWords() external view returns (uint256) {
        return _totalWords();
    }

    /// @inheritdoc IModel
    function params() external view returns (ModelParams memory) {
        return _params;
    }

    /// @dev Whether the rule can work with these parameters; those that all models share are in range.
    function _isValid(ModelParams calldata params_) internal pure virtual returns (bool);

    /// @dev How many words the model fills.
    function _totalWords() internal view virtual returns (uint256);

    /// @dev Whether training could have made this word.
    function _isValidWord(uint256 number, uint256 word) internal view virtual returns (bool);

    /// @dev Prepares for samples.
    /// @param room How many features the payload has room for. What costs differently for one sample than for many is chosen by
    /// this: a sample is then refunded the way it was contributed, however few others are refunded with it.
    /// @param features How many features the samples have that will be looked at, about.
    function _open(Format memory format, uint256 room, uint256 features) internal view virtual returns (Run);

    /// @dev Trains with a sample.
    /// @return learned Whether it changes the model, were no weight at its limit.
    /// @return informative Whether the model predicted another label.
    function _learn(Run run, uint256 label, uint256 n, uint256 first, uint256 end)
        internal
        virtual
        returns (bool learned, bool informative);

    /// @dev Writes back what training changed.
    function _close(Run run) internal virtual;

    /// @dev The class of a sample.
    function _classify(Run run, uint256 first, uint256 end) internal view virtual returns (uint256);

    /// @dev How samples are read.
    function _format() internal view virtual returns (Format memory) {
        return PayloadDecoder.formatOf(_params.nFeatures, _params.maxFeatures, _params.valued);
    }

    /// @dev Hashes all samples, notes their units, and counts the features of those in the mask.
    function _examine(Format memory format, bytes calldata payload, uint256 mask)
        private
        pure
        returns (bytes32 samplesRoot, bytes memory units, uint256 features)
    {
        unchecked {
            bytes32[] memory leaves = _newLeaves(format, payload);
            // 4 bytes for every sample, and room to write the last ones as a whole word.
            units = new bytes(4 * leaves.length + 28);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            uint256 count;
            while (start < payloadEnd) {
                // The label is looked at when the sample is classified.
                // slither-disable-next-line unused-return
                (, uint256 n, uint256 end) = format.readHeader(count, start, payloadEnd);
                leaves[count] = PayloadDecoder.hashOf(start, end);
                uint256 sampleUnits = format.unitsOf(n, start + HEADER_BYTES, end);
                assembly ("memory-safe") {
                    mstore(add(add(units, 32), shl(2, count)), shl(224, sampleUnits))
                }
                if ((mask >> count) & 1 == 1) features += n;
                count++;
                start = end;
            }
            assembly ("memory-safe") {
                mstore(units, shl(2, count))
            }
            samplesRoot = SampleMerkle.root(leaves, count);
        }
    }

    /// @dev Room for the hashes of as many samples as a payload of this length can have, and of zeros up to the next power of two.
    function _newLeaves(Format memory format, bytes calldata payload)
        private
        pure
        returns (bytes32[] memory)
    {
        uint256 room = 2 * (payload.length / (HEADER_BYTES + format.featureBytes));
        return new bytes32[](room < PayloadDecoder.MAX_SAMPLES ? room : PayloadDecoder.MAX_SAMPLES);
    }

    function _requireWords(uint256 firstWord, uint256 count) private view {
        uint256 total = _totalWords();
        if (firstWord > total || count > total - firstWord) revert WordsOutOfRange(firstWord, count, total);
    }
}
