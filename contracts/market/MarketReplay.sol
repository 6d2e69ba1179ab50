// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {TrainerPart} from "../TrainerPart.sol";
import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {IMarketReplay} from "../interfaces/IMarketReplay.sol";
import {CodeStorage} from "../libraries/CodeStorage.sol";
import {Format, PayloadDecoder} from "../libraries/PayloadDecoder.sol";
import {Board, SCORE_PLANES, Scoreboard} from "./Scoreboard.sol";

/// @title What a market knows of data: test set and contributions, their order, and the model that they are tried on
/// @notice It knows nothing of money and deadlines; its market does.
contract MarketReplay is IMarketReplay, TrainerPart {
    using PayloadDecoder for Format;
    using Scoreboard for Board;

    /// @dev The bits of a participant's number in an entry of the order; above it stands the place in memory.
    uint256 private constant NUMBER_BITS = 16;
    uint256 private constant NUMBERS = 0xffff;
    uint256 private constant MAX_PARTICIPANTS = 64;

    // The least step takes one contribution, and must fit into a transaction of 2^24 gas: then nobody can stall a market.

    /// @dev So many words of storage a sample may touch: each may cost 22,100 gas.
    uint256 private constant MAX_SAMPLE_WORDS = 256;
    /// @dev What all pieces of the test set may have together, in equal parts: every step looks through it.
    uint256 private constant MAX_TEST_BYTES = 24_576;
    /// @dev So many words are written at once, which a reset must do again.
    uint256 private constant MAX_INITIAL_WORDS = 400;
    /// @dev So often, which is enough for all words: a draw reads them all at once.
    uint256 private constant MAX_INITIAL_PARTS = 16;
    uint256 private constant LANES = 16;
    uint256 private constant WORDS_PER_FEE = 4;

    /// @inheritdoc IMarketReplay
    IModel public working;
    /// @inheritdoc IMarketReplay
    uint32 public cursor;
    /// @inheritdoc IMarketReplay
    uint16 public correctBefore;
    /// @dev How many words a reset has written.
    uint32 private _wordsReset;
    /// @inheritdoc IMarketReplay
    uint8 public order;
    /// @inheritdoc IMarketReplay
    bytes32 public seed;

    uint256 private _removed;
    ModelParams private _shape;
    address[] private _tests;
    /// @dev Where the samples of each participant stand, and how many there are; by number.
    address[] private _stores;
    uint256 private _samples;
    /// @dev The provider's words: where they stand, each with the number of the first.
    address[] private _initialWords;
    /// @dev The number of the word behind them.
    uint256 private _initialEnd;
    /// @dev The scores before all contributions, where the model is not one of zeros, and those that the last step left.
    uint256[SCORE_PLANES] private _planesBefore;
    uint256[SCORE_PLANES] private _planes;

    /// @inheritdoc IMarketReplay
    function initialize(address market, address implementation, ModelParams calldata shape, uint256 pieces)
        external
    {
        _bind(market);
        _shape = shape;
        _tests = new address[](pieces);
        working = IModel(Clones.clone(implementation));
        working.initialize(address(this), shape);
        // Another type of model is trained by another rule, by which scores cannot be kept.
        if (
            keccak256(bytes(working.modelType())) != keccak256("perceptron") || shape.valued
                || shape.weightBits != 16 || shape.nFeatures > 65_536
                || (shape.maxFeatures > MAX_SAMPLE_WORDS && shape.nFeatures > MAX_SAMPLE_WORDS * LANES)
        ) revert IModel.InvalidModelParams(shape);
    }

    /// @inheritdoc IMarketReplay
    // The working copy is a clone of ours, which calls nobody.
    // slither-disable-next-line reentrancy-no-eth
    function writeInitialWeights(uint256 firstWord, uint256[] calldata words) external onlyTrainer {
        // In order, so that a reset writes no word twice.
        if (
            words.length == 0 || words.length > MAX_INITIAL_WORDS || firstWord < _initialEnd
                || _initialWords.length == MAX_INITIAL_PARTS
        ) revert InvalidWords(firstWord, words.length);
        // What the model refuses is refused here.
        working.writeWeights(firstWord, words);
        _initialEnd = firstWord + words.length;
        _initialWords.push(CodeStorage.write(abi.encode(firstWord, words)));
    }

    /// @inheritdoc IMarketReplay
    function addTests(uint256 piece, bytes calldata payload) external onlyTrainer returns (uint256 samples) {
        if (payload.length > MAX_TEST_BYTES / _tests.length) {
            revert PieceTooLarge(payload.length, MAX_TEST_BYTES / _tests.length);
        }
        // Test samples have no price.
        // slither-disable-next-line unused-return
        (samples,) = _examine(payload);
        _tests[piece] = CodeStorage.write(payload);
    }

    /// @inheritdoc IMarketReplay
    function addSamples(uint256 number, bytes calldata payload)
        external
        onlyTrainer
        returns (uint256 samples, uint256 units)
    {
        (samples, units) = _examine(payload);
        while (_stores.length <= number) _stores.push();
        _stores[number] = CodeStorage.write(payload);
        _samples += samples;
    }

    /// @inheritdoc IMarketReplay
    function draw(bytes32 seed_) external onlyTrainer returns (uint256 samples) {
        seed = seed_;
        bytes memory tests = _testSet();
        Board memory board = Scoreboard.open(tests, _shape.nFeatures);
        if (_initialWords.length > 0) {
            board.score(tests, _initial());
            board.save(_planesBefore);
        }
        correctBefore = uint16(board.correct());
        return _samples;
    }

    /// @inheritdoc IMarketReplay
    // The working copy is a clone of ours, which calls nobody.
    // slither-disable-next-line reentrancy-no-eth
    function evaluate(uint256 limit)
        external
        onlyTrainer
        returns (uint256 done, bool finished, int256[] memory scores)
    {
        unchecked {
            uint256[] memory entries = _entries(0);
            Board memory board = Scoreboard.open(_testSet(), _shape.nFeatures);
            // Where there is nothing to load, the model is one of zeros.
            if (cursor > 0) board.load(_planes);
            else if (_initialWords.length > 0) board.load(_planesBefore);
            uint256 before = board.correct();
            done = _next(entries.length, limit);
            // The root is a data handler's affair.
            // slither-disable-next-line unused-return
            (, uint256 learned,) = working.train(_join(entries, cursor, done));
            bytes memory correct = new bytes(done);
            scores = new int256[](MAX_PARTICIPANTS);
            for (uint256 i = 0; i < done; i++) {
                uint256 entry = entries[cursor + i];
                if (learned >> i & 1 == 1) board.learn(entry >> NUMBER_BITS);
                uint256 then = board.correct();
                scores[entry & NUMBERS] += int256(then) - int256(before);
                correct[i] = bytes1(uint8(then));
                before = then;
            }
            emit Evaluated(order, cursor, correct);
            cursor += uint32(done);
            finished = cursor == entries.length;
            if (!finished) board.save(_planes);
        }
    }

    /// @inheritdoc IMarketReplay
    function drawNext() external onlyTrainer {
        order++;
        seed = keccak256(abi.encode(seed));
        (cursor, _wordsReset) = (0, 0);
    }

    /// @inheritdoc IMarketReplay
    function remove(uint256 removed) external onlyTrainer {
        _removed = removed;
        (cursor, _wordsReset) = (0, 0);
    }

    /// @inheritdoc IMarketReplay
    // The working copy is a clone of ours, which calls nobody.
    // slither-disable-next-line reentrancy-no-eth
    function reset(uint256 limit) external onlyTrainer returns (uint256 done, bool finished) {
        uint256 total = working.totalWords();
        uint256 next = cursor;
        uint256 words;
        if (next < total) {
            words = total - next;
            if (words > limit * WORDS_PER_FEE) words = limit * WORDS_PER_FEE;
            working.writeWeights(next, new uint256[](words));
            next += words;
        }
        uint256 end = total + _initialWords.length;
        while (next >= total && next < end && words < limit * WORDS_PER_FEE) {
            (uint256 first, uint256[] memory initial) = _initialAt(next - total);
            working.writeWeights(first, initial);
            words += initial.length;
            next++;
        }
        finished = next == end;
        cursor = finished ? 0 : uint32(next);
        // By what was done in all, so that it does not matter how it is cut; the last step is paid for the words that are no four.
        uint256 before = _wordsReset;
        uint256 then = before + words;
        _wordsReset = uint32(then);
        done = (finished ? then + WORDS_PER_FEE - 1 : then) / WORDS_PER_FEE - before / WORDS_PER_FEE;
    }

    /// @inheritdoc IMarketReplay
    // The working copy is a clone of ours, which calls nobody.
    // slither-disable-next-line reentrancy-no-eth
    function replay(uint256 limit) external onlyTrainer returns (uint256 done, bool finished) {
        uint256[] memory entries = _entries(_removed);
        // Somebody has to find out, and is paid: the reserve has as much for each that was removed.
        if (entries.length == 0) return (1, true);
        done = _next(entries.length, limit);
        // What it learned is known already.
        // slither-disable-next-line unused-return
        working.train(_join(entries, cursor, done));
        cursor += uint32(done);
        finished = cursor == entries.length;
    }

    /// @dev How many contributions come next.
    function _next(uint256 samples, uint256 limit) private view returns (uint256 done) {
        done = samples - cursor;
        if (limit < done) done = limit;
        if (done > PayloadDecoder.MAX_SAMPLES) done = PayloadDecoder.MAX_SAMPLES;
    }

    /// @dev All samples in the order at hand, but those of removed participants.
    /// @param removed Bit i is set if participant i is removed.
    /// @return entries Of each sample where it stands in memory, and in the low bits the number of its participant.
    function _entries(uint256 removed) private view returns (uint256[] memory entries) {
        unchecked {
            uint256 samples = _samples;
            entries = new uint256[](samples);
            uint256 next;
            assembly ("memory-safe") {
                next := add(entries, 32)
            }
            for (uint256 who = 0; who < _stores.length; who++) {
                if (_stores[who] == address(0)) continue;
                bytes memory payload = CodeStorage.read(_stores[who]);
                assembly ("memory-safe") {
                    let start := add(payload, 32)
                    let end := add(start, mload(payload))
                    for {} lt(start, end) { next := add(next, 32) } {
                        mstore(next, or(shl(NUMBER_BITS, start), who))
                        start := add(add(start, 3), shl(1, and(shr(232, mload(start)), 0xffff)))
                    }
                }
            }
            // Fisher and Yates.
            bytes32 seed_ = seed;
            for (uint256 i = samples; i > 1; i--) {
                uint256 other;
                assembly ("memory-safe") {
                    mstore(0, seed_)
                    mstore(32, i)
                    other := mod(keccak256(0, 64), i)
                }
                (entries[i - 1], entries[other]) = (entries[other], entries[i - 1]);
            }
            if (removed == 0) return entries;
            uint256 kept;
            for (uint256 i = 0; i < samples; i++) {
                if (removed >> (entries[i] & NUMBERS) & 1 == 0) entries[kept++] = entries[i];
            }
            assembly ("memory-safe") {
                mstore(entries, kept)
            }
        }
    }

    /// @dev Samples of an order, one behind the other.
    function _join(uint256[] memory entries, uint256 first, uint256 count)
        private
        pure
        returns (bytes memory payload)
    {
        assembly ("memory-safe") {
            payload := mload(0x40)
            let position := add(payload, 32)
            let entry := add(add(entries, 32), shl(5, first))
            for { let last := add(entry, shl(5, count)) } lt(entry, last) { entry := add(entry, 32) } {
                let sample := shr(NUMBER_BITS, mload(entry))
                let size := add(3, shl(1, and(shr(232, mload(sample)), 0xffff)))
                mcopy(position, sample, size)
                position := add(position, size)
            }
            mstore(payload, sub(position, add(payload, 32)))
            mstore(0x40, and(add(position, 31), not(31)))
        }
    }

    /// @dev The test set, piece by piece.
    function _testSet() private view returns (bytes memory tests) {
        uint256 pieces = _tests.length;
        assembly ("memory-safe") {
            tests := mload(0x40)
        }
        uint256 size;
        for (uint256 i = 0; i < pieces; i++) {
            address store = _tests[i];
            assembly ("memory-safe") {
                // The code is a STOP, then the data.
                let length := sub(extcodesize(store), 1)
                extcodecopy(store, add(add(tests, 32), size), 1, length)
                size := add(size, length)
            }
        }
        assembly ("memory-safe") {
            mstore(tests, size)
            mstore(0x40, and(add(add(tests, 63), size), not(31)))
        }
    }

    /// @dev The model before all contributions.
    function _initial() private view returns (uint256[] memory words) {
        words = new uint256[](working.totalWords());
        for (uint256 i = 0; i < _initialWords.length; i++) {
            (uint256 first, uint256[] memory initial) = _initialAt(i);
            for (uint256 k = 0; k < initial.length; k++) {
                words[first + k] = initial[k];
            }
        }
    }

    /// @dev Words that the provider wrote at once, and the number of the first.
    function _initialAt(uint256 which) private view returns (uint256 first, uint256[] memory words) {
        return abi.decode(CodeStorage.read(_initialWords[which]), (uint256, uint256[]));
    }

    /// @dev Samples and units of a payload that is right in every respect.
    function _examine(bytes calldata payload) private view returns (uint256 samples, uint256 units) {
        unchecked {
            Format memory format = PayloadDecoder.formatOf(_shape.nFeatures, _shape.maxFeatures, false);
            (uint256 start, uint256 payloadEnd) = PayloadDecoder.bounds(payload);
            while (start < payloadEnd) {
                (uint256 label, uint256 n, uint256 end) = format.readHeader(samples, start, payloadEnd);
                uint256 first = start + PayloadDecoder.HEADER_BYTES;
                if (label > 1) revert IModel.InvalidLabel(samples, label, 2);
                format.requireValidFeatures(samples, first, end);
                units += format.unitsOf(n, first, end);
                samples++;
                start = end;
            }
        }
    }
}
