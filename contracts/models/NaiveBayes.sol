// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {FixedLog} from "../libraries/FixedLog.sol";
import {LogRows, Logs} from "../libraries/LogRows.sol";
import {Format} from "../libraries/PayloadDecoder.sol";
import {RowTable, Table} from "../libraries/RowTable.sol";
import {Counting, CountingModel} from "./CountingModel.sol";
import {Run, SparseModel} from "./SparseModel.sol";

/// @title Naive Bayes, multinomial or Bernoulli, in exact integers
/// @notice For each class are kept how often each feature occurred in its samples (count), the sum of these (total), and the number
/// of its samples. A feature is seen if any class has a count of it; V is the number of seen features. With a = smoothing, in 1/256
/// as all that follows, and log2 in fixed point (see `FixedLog`), the class is the one with the highest score, the lowest of them if
/// several have it; classes without samples have no part. Features that are not seen add nothing.
///
///     multinomial  log2(samples) + sum over the sample of value * (log2(256 count + a) - log2(256 total + a V))
///     Bernoulli    log2(samples) + sum over all seen features of
///                  log2(256 n + a) - log2(256 samples + 2 a),
///                  where n is the count if the sample has the feature, else what samples exceed it by
///
/// Counts are lanes of 32 bits (see `RowTable`), totals those of the class words (see `CountingModel`). The last word is V.
contract NaiveBayes is CountingModel {
    using LogRows for Table;
    using RowTable for Table;

    uint256 private constant MAX_BERNOULLI_FEATURES = 4096;
    /// @dev The Bernoulli model looks at all counts in every call, which must fit into a transaction.
    uint256 private constant MAX_BERNOULLI_BYTES = 32_768;

    /// @inheritdoc IModel
    function modelType() external pure returns (string memory) {
        return "naive-bayes";
    }

    /// @inheritdoc SparseModel
    function _isValid(ModelParams calldata params_) internal pure override returns (bool) {
        if (params_.weightBits != WIDTH || params_.margin != 0 || params_.smoothing == 0) return false;
        if (!params_.bernoulli) return true;
        uint256 rowBytes = 1 << RowTable.shiftOf(params_.classes, WIDTH);
        return !params_.valued && params_.nFeatures <= MAX_BERNOULLI_FEATURES
            && params_.nFeatures * rowBytes <= MAX_BERNOULLI_BYTES;
    }

    /// @inheritdoc SparseModel
    function _totalWords() internal view override returns (uint256) {
        return _seenWord() + 1;
    }

    /// @inheritdoc SparseModel
    function _isValidWord(uint256 number, uint256 word) internal view override returns (bool) {
        if (number == _seenWord()) return word <= _params.nFeatures;
        if (number >= _classWord()) return _isValidClassWord(number, word);
        return _isValidFeatureWord(number, word, 0);
    }

    /// @inheritdoc SparseModel
    /// @dev Values are counts.
    function _format() internal view override returns (Format memory format) {
        format = super._format();
        format.leastValue = 1;
    }

    /// @inheritdoc SparseModel
    function _open(Format memory format, uint256 room, uint256 features)
        internal
        view
        override
        returns (Run)
    {
        unchecked {
            (Run run, Counting memory counting) = _start(format);
            Logs memory logs = counting.logs;
            bool bernoulli = _params.bernoulli;
            uint256 count = counting.samples.length;
            uint256 smoothing = _params.smoothing;
            counting.seen = _words[_seenWord()];
            counting.bases = new int256[](count);
            logs.fixedLog = FixedLog.load();
            logs.smoothing = smoothing;
            logs.samples = counting.samples;
            logs.minus = new uint256[](count);
            for (uint256 c = 0; c < count; c++) {
                uint256 samples = counting.samples[c];
                counting.bases[c] = int256(FixedLog.log2(logs.fixedLog, samples));
                uint256 all = bernoulli
                    ? 256 * samples + 2 * smoothing
                    : 256 * uint256(counting.totals[c]) + smoothing * counting.seen;
                logs.minus[c] = FixedLog.log2(logs.fixedLog, all);
            }
            if (bernoulli) counting.table.openBernoulli(logs, counting.bases);
            else LogRows.open(counting.table, logs, room, features);
            return run;
        }
    }

    /// @inheritdoc CountingModel
    function _verdict(Counting memory counting, uint256 first, uint256 end)
        internal
        view
        override
        returns (uint256 best)
    {
        unchecked {
            Table memory table = counting.table;
            int256[] memory scores = counting.scores;
            for (uint256 c = 0; c < scores.length; c++) {
                scores[c] = counting.bases[c];
            }
            if (table.cached) {
                LogRows.load(table, counting.logs, first, end);
                table.score(first, end, scores);
            } else {
                table.scoreInStorage(counting.logs, first, end, scores);
            }
            int256 highest = type(int256).min;
            for (uint256 c = 0; c < scores.length; c++) {
                if (counting.samples[c] > 0 && scores[c] > highest) (best, highest) = (c, scores[c]);
            }
        }
    }

    /// @inheritdoc CountingModel
    function _prepare(Counting memory counting) internal pure override {
        counting.table.clear();
    }

    /// @inheritdoc CountingModel
    /// @dev No count gets out of its lane: 2^30 and 2^23 samples of at most 127 are below 2^31.
    function _count(Counting memory counting, uint256 label, uint256 features, uint256 end)
        internal
        override
        returns (int256)
    {
        unchecked {
            Table memory table = counting.table;
            if (table.cached) return int256(table.add(label, features, end));
            (uint256 added, uint256 seen) = table.addInStorage(label, features, end);
            counting.seen += seen;
            return int256(added);
        }
    }

    /// @inheritdoc CountingModel
    function _store(Counting memory counting) internal override {
        _words[_seenWord()] = counting.seen + LogRows.store(counting.table);
    }

    /// @inheritdoc CountingModel
    function _isValidTotal(int256 total) internal pure override returns (bool) {
        return total <= MAX_WRITTEN_TOTAL && total >= 0;
    }

    /// @dev The number of the last word.
    function _seenWord() private view returns (uint256) {
        return _classWord() + (_params.classes + 1) / 2;
    }
}
