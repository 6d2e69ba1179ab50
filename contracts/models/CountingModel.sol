// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format} from "../libraries/PayloadDecoder.sol";
import {RowTable, Table} from "../libraries/RowTable.sol";
import {Logs} from "../libraries/LogRows.sol";
import {Run, SparseModel} from "./SparseModel.sol";

/// @notice One payload at work.
/// @param samples How many samples each class has.
/// @param totals The other number of each class.
/// @param queued How many samples of this payload each class gets.
/// @param queue Label, start and end of each of them.
/// @param length How many there are.
/// @param table The numbers of the features.
/// @param scores Room for the scores of a sample.
/// @param bases Naive Bayes: what the scores begin with.
/// @param logs Naive Bayes: how counts become logarithms.
/// @param seen Naive Bayes: how many features any class has seen.
struct Counting {
    uint256[] samples;
    int256[] totals;
    uint256[] queued;
    uint256[] queue;
    uint256 length;
    Table table;
    int256[] scores;
    int256[] bases;
    Logs logs;
    uint256 seen;
}

/// @title What models have in common that train with every sample, by counting
/// @notice All samples of a payload are judged by the model as it stood before the payload, and only then counted: a sample is
/// informative if that model did not predict its label. A class of 2^23 - 1 samples is full: more of it change nothing.
///
/// Behind the words of the features stand ceil(classes / 2) class words, with class c in word c / 2, in its high half for even c. A
/// half holds the number of samples in its first 32 bits, and one more number in the other 96, the class's total.
abstract contract CountingModel is SparseModel {
    uint256 internal constant MAX_CLASS_SAMPLES = 2 ** 23 - 1;
    /// @dev What an owner may write: far enough below what the bits hold for all samples that can follow.
    int256 internal constant MAX_WRITTEN = 2 ** 30;
    int256 internal constant MAX_WRITTEN_TOTAL = 2 ** 90;

    uint256 internal constant WIDTH = 32;
    uint256 private constant HALF = 2 ** 128 - 1;
    uint256 private constant MAX_SAMPLES = 256;

    /// @inheritdoc SparseModel
    /// @dev A verdict is worked out even where nobody asks for it, so that what can be contributed can be assessed later.
    function _learn(Run run, uint256 label, uint256, uint256 first, uint256 end)
        internal
        view
        override
        returns (bool learned, bool informative)
    {
        unchecked {
            Counting memory counting = _boxOf(run)[0];
            informative = _verdict(counting, first, end) != label;
            if (counting.samples[label] + counting.queued[label] == MAX_CLASS_SAMPLES) return (false, false);
            learned = true;
            if (counting.length == 0) counting.queue = new uint256[](MAX_SAMPLES);
            counting.queued[label]++;
            counting.queue[counting.length++] = (label << 128) | (first << 64) | end;
        }
    }

    /// @inheritdoc SparseModel
    function _close(Run run) internal override {
        unchecked {
            Counting memory counting = _boxOf(run)[0];
            if (counting.length == 0) return;
            _prepare(counting);
            for (uint256 i = 0; i < counting.length; i++) {
                uint256 sample = counting.queue[i];
                uint256 label = sample >> 128;
                counting.totals[label] += _count(counting, label, uint64(sample >> 64), uint64(sample));
            }
            _store(counting);
            _storeClasses(counting);
        }
    }

    /// @inheritdoc SparseModel
    function _classify(Run run, uint256 first, uint256 end) internal view override returns (uint256) {
        return _verdict(_boxOf(run)[0], first, end);
    }

    /// @dev Reads the class words, and describes the table.
    function _start(Format memory format) internal view returns (Run run, Counting memory counting) {
        unchecked {
            Counting[] memory box = new Counting[](1);
            counting = box[0];
            uint256 count = _params.classes;
            counting.samples = new uint256[](count);
            counting.totals = new int256[](count);
            counting.queued = new uint256[](count);
            counting.scores = new int256[](count);
            uint256 number = _classWord();
            for (uint256 c = 0; c < count; c += 2) {
                uint256 word = _words[number++];
                (counting.samples[c], counting.totals[c]) = _unpack(word >> 128);
                if (c + 1 < count) (counting.samples[c + 1], counting.totals[c + 1]) = _unpack(word & HALF);
            }
            uint256 slot;
            assembly ("memory-safe") {
                slot := _words.slot
                run := box
            }
            counting.table = RowTable.describe(slot, format, count, WIDTH);
        }
    }

    /// @dev Whether a class word has numbers that training could have made, or that it can go on from.
    function _isValidClassWord(uint256 number, uint256 word) internal view returns (bool) {
        (uint256 samples, int256 total) = _unpack(word >> 128);
        if (samples > MAX_CLASS_SAMPLES || !_isValidTotal(total)) return false;
        if (2 * (number - _classWord()) + 1 == _params.classes) return word & HALF == 0;
        (samples, total) = _unpack(word & HALF);
        return samples <= MAX_CLASS_SAMPLES && _isValidTotal(total);
    }

    /// @dev Whether all numbers of a word of features are from a least one to 2^30, and those that belong to nothing 0.
    function _isValidFeatureWord(uint256 number, uint256 word, int256 least) internal view returns (bool) {
        for (uint256 bits = 0; bits < 256; bits += WIDTH) {
            int256 value = int32(uint32(word >> bits));
            if (value > MAX_WRITTEN || value < least) return false;
        }
        return RowTable.isPadded(number, word, _params.nFeatures, _params.classes, WIDTH);
    }

    /// @dev The number of the first class word: how many words the features fill.
    function _classWord() internal view returns (uint256) {
        return RowTable.wordsOf(_params.nFeatures, _params.classes, WIDTH);
    }

    /// @dev The class of a sample, by the model as it stood before the payload.
    function _verdict(Counting memory counting, uint256 first, uint256 end)
        internal
        view
        virtual
        returns (uint256);

    /// @dev Prepares for counting, when all verdicts are known.
    function _prepare(Counting memory counting) internal virtual;

    /// @dev Counts a sample; returns what it adds to the total of its class.
    function _count(Counting memory counting, uint256 label, uint256 features, uint256 end)
        internal
        virtual
        returns (int256 added);

    /// @dev Writes back what counting changed.
    function _store(Counting memory counting) internal virtual;

    /// @dev Whether an owner may write this total.
    function _isValidTotal(int256 total) internal pure virtual returns (bool);

    function _storeClasses(Counting memory counting) private {
        unchecked {
            uint256 number = _classWord();
            for (uint256 c = 0; c < counting.samples.length; c += 2) {
                uint256 word = _pack(counting, c) << 128;
                if (c + 1 < counting.samples.length) word |= _pack(counting, c + 1);
                _words[number++] = word;
            }
        }
    }

    function _pack(Counting memory counting, uint256 class) private pure returns (uint256) {
        unchecked {
            return (counting.samples[class] + counting.queued[class]) << 96
                | uint96(uint256(counting.totals[class]));
        }
    }

    function _unpack(uint256 half) private pure returns (uint256 samples, int256 total) {
        return (half >> 96, int96(uint96(half)));
    }

    /// @dev What a run works with, as an array of one: a variable that is an array takes no memory until it has a value.
    function _boxOf(Run run) private pure returns (Counting[] memory box) {
        assembly ("memory-safe") {
            box := run
        }
    }
}
