// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICollaborativeTrainer} from "../interfaces/ICollaborativeTrainer.sol";
import {IMarketReplay} from "../interfaces/IMarketReplay.sol";
import {IModel, ModelParams} from "../interfaces/IModel.sol";
import {CreateParams, IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {
    IPredictionMarket,
    MarketParams,
    MarketRules,
    Participant,
    Phase
} from "../interfaces/IPredictionMarket.sol";
import {BlockHeader} from "../libraries/BlockHeader.sol";
import {Scoreboard} from "./Scoreboard.sol";

/// @title A prediction market for data, from its bounty to the model that it becomes
/// @dev A clone, made by `PredictionMarkets`.
contract PredictionMarket is IPredictionMarket, ReentrancyGuardTransient {
    uint256 private constant MAX_PARTICIPANTS = 64;
    uint256 private constant MAX_PIECES = 112;
    /// @dev A unit is at most 131 bytes, and a step holds all of them in memory.
    uint256 private constant MAX_UNITS = 1024;
    uint256 private constant MAX_ROUNDS = 1e6;
    uint256 private constant MAX_ORDERS = 32;
    /// @dev A draw is by the block that comes so many blocks after what is drawn for.
    uint256 private constant DRAW_DELAY = 4;
    /// @dev So many blocks back the EVM knows hashes.
    uint256 private constant KNOWN_HASHES = 256;
    uint256 private constant WORDS_PER_FEE = 4;
    /// @dev Drawing the orders pays like so many contributions.
    uint256 private constant DRAW_FEES = 24;
    uint256 private constant LANES = 16;
    address private constant BURN = 0x000000000000000000000000000000000000dEaD;

    address public provider;
    Phase public phase;
    /// @notice The block whose draw is waited for.
    uint64 public drawBlock;
    uint16 public drawnPiece;
    uint16 public piecesRevealed;
    /// @notice When the phase of the clock began: creation, or opening.
    uint64 public since;

    ICollaborativeTrainer public trainer;
    IMarketReplay public replay;
    /// @notice What of bounty and reserve is left, and when the provider may collect it.
    uint128 public leftWei;
    uint64 public leftFrom;
    /// @notice How many words are published.
    uint32 public wordsPublished;
    uint16 public unitsTaken;
    /// @notice In how many orders all contributions were scored.
    uint8 public ordersTried;

    MarketRules private _rules;
    address[] private _participants;
    mapping(address account => Participant) private _participant;
    /// @dev Bit i is set if piece i was shown.
    uint256 private _shown;

    constructor() {
        provider = address(this);
    }

    modifier onlyProvider() {
        if (msg.sender != provider) revert NotProvider(msg.sender, provider);
        _;
    }

    modifier inPhase(Phase wanted) {
        if (phase != wanted) revert WrongPhase(phase);
        _;
    }

    /// @notice Sets up a fresh clone, once.
    function initialize(
        address provider_,
        IModelRegistry registry,
        IMarketReplay replay_,
        MarketParams calldata params_
    ) external payable {
        if (provider != address(0)) revert WrongPhase(phase);
        if (!_isValid(params_)) revert InvalidMarket();
        uint256 neededWei = params_.rules.bountyWei + _reserveWei(params_);
        if (msg.value < neededWei || msg.value > type(uint128).max) {
            revert InsufficientPayment(msg.value, neededWei);
        }
        provider = provider_;
        _rules = params_.rules;
        leftWei = uint128(msg.value);
        drawBlock = uint64(block.number + DRAW_DELAY);
        since = uint64(block.timestamp);
        trainer = ICollaborativeTrainer(
            registry.create(
                CreateParams({
                    name: params_.name,
                    featureSpec: params_.featureSpec,
                    modelCode: params_.modelCode,
                    incentiveCode: params_.incentiveCode,
                    model: params_.model,
                    terms: params_.terms
                })
            )
        );
        replay = replay_;
        replay_.initialize(
            address(this),
            registry.implementationOf(params_.modelCode),
            params_.model,
            params_.rules.pieces.length
        );
    }

    // What the provider does

    /// @notice Writes weights that training begins with, before the market opens.
    function writeInitialWeights(uint256 firstWord, uint256[] calldata words) external onlyProvider {
        if (phase > Phase.Opening) revert WrongPhase(phase);
        int256 limit = int256(uint256(type(uint16).max >> 1)) - int256(MAX_UNITS);
        for (uint256 i = 0; i < words.length; i++) {
            for (uint256 lane = 0; lane < 256; lane += 16) {
                int256 weight = int16(uint16(words[i] >> lane));
                if (weight > limit || weight < -limit) revert WeightTooLarge(firstWord + i, words[i]);
            }
        }
        replay.writeInitialWeights(firstWord, words);
        emit InitialWeights(firstWord, words);
    }

    /// @notice Draws the piece that must be shown first; anybody may.
    /// @param header The header of block `drawBlock`, in RLP.
    function drawPiece(bytes calldata header) external inPhase(Phase.Drawing) {
        drawnPiece = uint16(uint256(_drawn(header)) % _rules.pieces.length);
        phase = Phase.Opening;
        emit PieceDrawn(drawnPiece);
    }

    /// @notice Shows a piece of the test set: the drawn one, which opens the market, or later another one.
    // The replay is a clone of ours, which calls its working copy only, and that nobody.
    // slither-disable-next-line reentrancy-no-eth
    function revealPiece(uint256 index, bytes32 salt, bytes calldata payload) external {
        if (phase == Phase.Opening) {
            if (index != drawnPiece) revert WrongPiece(index);
            _requireTime(since, since + _rules.openS);
            phase = Phase.Open;
            since = uint64(block.timestamp);
        } else if (phase == Phase.Open) {
            (uint256 from, uint256 until) = _testsTime();
            _requireTime(from, until);
        } else {
            revert WrongPhase(phase);
        }
        if (
            index >= _rules.pieces.length || _shown >> index & 1 == 1
                || pieceHash(index, salt, payload) != _rules.pieces[index]
        ) revert WrongPiece(index);
        _shown |= 1 << index;
        uint256 samples = replay.addTests(index, payload);
        if (samples != _rules.pieceSamples) revert WrongSize(samples, _rules.pieceSamples);
        emit PieceRevealed(index, payload);
        if (++piecesRevealed == _rules.pieces.length) {
            phase = Phase.Tested;
            drawBlock = uint64(block.number + DRAW_DELAY);
            _burnUnrevealed();
        }
    }

    // What participants do

    /// @notice Takes part: stakes for so many units, and commits to their samples.
    /// @param commitment `commitmentOf` what will be revealed.
    /// @param units Their units, `ceil(features / 64)` each.
    function commit(bytes32 commitment, uint256 units) external payable nonReentrant inPhase(Phase.Open) {
        _requireTime(since, since + _rules.participateS - 1);
        Participant storage participant = _participant[msg.sender];
        if (participant.units != 0) revert AlreadyCommitted(msg.sender);
        if (_participants.length == MAX_PARTICIPANTS) revert TooManyParticipants(MAX_PARTICIPANTS);
        uint256 left = _rules.maxUnits - unitsTaken;
        uint256 limit = left < _rules.maxUnitsEach ? left : _rules.maxUnitsEach;
        if (units == 0 || units > limit) revert TooManyUnits(units, limit);
        uint256 stakeWei = quote(units);
        if (msg.value < stakeWei) revert InsufficientPayment(msg.value, stakeWei);
        unitsTaken += uint16(units);
        participant.commitment = commitment;
        participant.units = uint16(units);
        participant.stakeWei = uint128(stakeWei);
        _participants.push(msg.sender);
        emit Committed(msg.sender, _participants.length - 1, units, stakeWei);
        _pay(msg.sender, msg.value - stakeWei);
    }

    /// @notice Shows the samples that one committed to.
    // The replay is a clone of ours, which calls its working copy only, and that nobody.
    // slither-disable-next-line reentrancy-no-eth
    function reveal(bytes32 salt, bytes calldata payload) external inPhase(Phase.Open) {
        (uint256 from, uint256 until) = _revealTime();
        _requireTime(from, until);
        Participant storage participant = _participant[msg.sender];
        if (
            participant.samples != 0
                || commitmentOf(msg.sender, participant.units, salt, payload) != participant.commitment
        ) revert WrongReveal(msg.sender);
        uint256 number = _numberOf(msg.sender);
        (uint256 samples, uint256 units) = replay.addSamples(number, payload);
        if (units != participant.units) revert WrongSize(units, participant.units);
        participant.samples = uint16(samples);
        emit Revealed(msg.sender, number, samples, payload);
    }

    // What anybody does

    /// @notice Draws the orders of all samples.
    /// @param header The header of block `drawBlock`, in RLP.
    // It pays, so that somebody draws in time: who dislikes what a block draws must not be able to wait for another one.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-eth
    function drawOrder(bytes calldata header) external nonReentrant inPhase(Phase.Tested) {
        bytes32 seed = _drawn(header);
        phase = Phase.Evaluating;
        uint256 feeWei = DRAW_FEES * _rules.stepFeeWei;
        leftWei -= uint128(feeWei);
        uint256 samples = replay.draw(seed);
        emit OrderDrawn(seed, samples);
        if (samples == 0) _settle();
        _pay(msg.sender, feeWei);
    }

    /// @notice Goes on with a draw for the order that nobody took in time.
    function drawAgain() external inPhase(Phase.Tested) {
        if (block.number <= drawBlock + KNOWN_HASHES) revert NotFailed();
        drawBlock = uint64(block.number + DRAW_DELAY);
    }

    /// @notice Does a part of what is to be done, and pays for it from the reserve. How it is cut does not matter.
    /// @param limit How many contributions to take, or how many times four words.
    /// @return done How many it were.
    // The replay is a clone of ours, which calls its working copy only, and that nobody. The trainer may be another's; nothing that
    // is not guarded is due while the market is published.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-eth
    function step(uint256 limit) external nonReentrant returns (uint256 done) {
        if (limit == 0) return 0;
        if (limit > type(uint32).max) limit = type(uint32).max;
        Phase now_ = phase;
        bool finished;
        if (now_ == Phase.Evaluating) {
            done = _evaluate(limit);
        } else if (now_ == Phase.Resetting) {
            (done, finished) = replay.reset(limit);
            if (finished) phase = ordersTried < _rules.orders ? Phase.Evaluating : Phase.Replaying;
        } else if (now_ == Phase.Replaying) {
            (done, finished) = replay.replay(limit);
            if (finished) phase = Phase.Publishing;
        } else if (now_ == Phase.Publishing) {
            done = _publish(limit);
        } else {
            revert WrongPhase(now_);
        }
        uint256 feeWei = done * _rules.stepFeeWei;
        leftWei -= uint128(feeWei);
        _pay(msg.sender, feeWei);
    }

    /// @notice Ends a market whose provider missed a deadline: stakes go back, half of the bounty is burned, and those who showed
    /// their samples share the rest.
    // What is burned goes to an address without code.
    // slither-disable-next-line reentrancy-eth
    function fail() external nonReentrant {
        Phase missed = phase;
        if (!_isMissed(missed)) revert NotFailed();
        phase = Phase.Failed;
        leftFrom = uint64(block.timestamp);
        uint256 shares;
        if (missed == Phase.Open) {
            _burnUnrevealed();
            for (uint256 i = 0; i < _participants.length; i++) {
                Participant storage participant = _participant[_participants[i]];
                if (participant.samples > 0) shares += participant.units;
            }
        }
        uint256 burnedWei = _rules.bountyWei - _rules.bountyWei / 2;
        // Nobody took part, so nobody was harmed.
        if (missed == Phase.Open && shares == 0) burnedWei = 0;
        uint256 restWei = _rules.bountyWei / 2;
        leftWei -= uint128(burnedWei);
        for (uint256 i = 0; shares > 0 && i < _participants.length; i++) {
            Participant storage participant = _participant[_participants[i]];
            if (participant.samples == 0) continue;
            uint256 shareWei = restWei * participant.units / shares;
            leftWei -= uint128(shareWei);
            participant.owedWei = participant.stakeWei + uint128(shareWei);
        }
        emit DeadlineMissed(missed, burnedWei);
        _pay(BURN, burnedWei);
    }

    /// @notice Pays what a participant is owed.
    function collect(address account) external nonReentrant {
        uint256 amountWei = _participant[account].owedWei;
        if (amountWei == 0) revert NothingToCollect(account);
        _participant[account].owedWei = 0;
        emit Collected(account, amountWei);
        _pay(account, amountWei);
    }

    /// @notice Pays the provider what is left of bounty and reserve.
    function collectLeft() external nonReentrant {
        if (phase < Phase.Published) revert WrongPhase(phase);
        if (block.timestamp < leftFrom) revert WrongTime(block.timestamp, leftFrom, type(uint64).max);
        uint256 amountWei = leftWei;
        if (amountWei == 0) revert NothingToCollect(provider);
        leftWei = 0;
        emit Collected(provider, amountWei);
        _pay(provider, amountWei);
    }

    // What everybody can ask

    /// @notice The hash that a provider commits to.
    function pieceHash(uint256 index, bytes32 salt, bytes calldata payload) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), index, _rules.pieces.length, salt, payload));
    }

    /// @notice The hash that a participant commits to.
    function commitmentOf(address account, uint256 units, bytes32 salt, bytes calldata payload)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), account, units, salt, payload));
    }

    /// @notice What so many units cost now: each one more than the one before, the last of the quota twice the first.
    function quote(uint256 units) public view returns (uint256 stakeWei) {
        uint256 span = 2 * uint256(_rules.maxUnits);
        uint256 rise = uint256(_rules.stakeWei) * units * (2 * unitsTaken + units);
        return uint256(_rules.stakeWei) * units + (rise + span - 1) / span;
    }

    function rules() external view returns (MarketRules memory) {
        return _rules;
    }

    function participants() external view returns (address[] memory) {
        return _participants;
    }

    function participantOf(address account) external view returns (Participant memory) {
        return _participant[account];
    }

    /// @notice What must be paid beyond the bounty, for steps.
    function reserveWei(MarketParams calldata params_) external pure returns (uint256) {
        return _reserveWei(params_);
    }

    // Steps

    /// @dev Scores the next contributions; after the last one of the last order, shares out.
    function _evaluate(uint256 limit) private returns (uint256 done) {
        bool finished;
        int256[] memory scores;
        (done, finished, scores) = replay.evaluate(limit);
        for (uint256 i = 0; i < _participants.length; i++) {
            if (scores[i] != 0) _participant[_participants[i]].score += int32(scores[i]);
        }
        if (!finished) return done;
        if (++ordersTried == _rules.orders) {
            _settle();
        } else {
            phase = Phase.Resetting;
            replay.drawNext();
        }
    }

    /// @dev Shares out: every round pays each participant its score, until the bounty or the rounds are over. Who harmed pays
    /// until its stake is used up, and is removed, however small the harm: the model is for those who have the test set.
    function _settle() private {
        uint256 tests = _rules.pieces.length * _rules.pieceSamples;
        uint256 roundWei = _rules.bountyWei / (uint256(_rules.rounds) * tests * _rules.orders);
        uint256 gains;
        for (uint256 i = 0; i < _participants.length; i++) {
            int256 score = _participant[_participants[i]].score;
            if (score > 0) gains += uint256(score);
        }
        uint256 rounds = _rules.rounds;
        if (gains > 0 && _rules.bountyWei / (gains * roundWei) < rounds) {
            rounds = _rules.bountyWei / (gains * roundWei);
        }
        uint256 burnedWei;
        uint256 paidWei;
        uint256 removed;
        for (uint256 i = 0; i < _participants.length; i++) {
            Participant storage participant = _participant[_participants[i]];
            if (participant.samples == 0) continue;
            int256 score = participant.score;
            if (score >= 0) {
                uint256 rewardWei = rounds * uint256(score) * roundWei;
                paidWei += rewardWei;
                participant.owedWei = participant.stakeWei + uint128(rewardWei);
                continue;
            }
            uint256 debitWei = uint256(-score) * roundWei;
            uint256 lasted = participant.stakeWei / debitWei;
            if (lasted > rounds) lasted = rounds;
            participant.removed = true;
            removed |= 1 << i;
            burnedWei += lasted * debitWei;
            participant.owedWei = participant.stakeWei - uint128(lasted * debitWei);
        }
        leftWei -= uint128(paidWei);
        leftFrom = uint64(block.timestamp + _rules.collectS);
        if (removed > 0) replay.remove(removed);
        phase = removed > 0 ? Phase.Resetting : Phase.Publishing;
        emit Settled(replay.correctBefore(), rounds, burnedWei);
        _pay(BURN, burnedWei);
    }

    /// @dev Writes the model's words where everybody can use them, and seals it.
    function _publish(uint256 limit) private returns (uint256 done) {
        IModel working = replay.working();
        uint256 total = working.totalWords();
        uint256 first = wordsPublished;
        uint256 count = total - first;
        if (count > limit * WORDS_PER_FEE) count = limit * WORDS_PER_FEE;
        uint256[] memory words = working.weights(first, count);
        wordsPublished = uint32(first + count);
        done = (count + WORDS_PER_FEE - 1) / WORDS_PER_FEE;
        // Fresh storage is zeros.
        uint256 end = count;
        while (end > 0 && words[end - 1] == 0) end--;
        if (end > 0) {
            assembly ("memory-safe") {
                mstore(words, end)
            }
            trainer.writeWeights(first, words);
        }
        if (first + count == total) {
            phase = Phase.Published;
            trainer.seal();
            emit Published(trainer);
        }
    }

    // Rules

    /// @dev What block `drawBlock` drew.
    function _drawn(bytes calldata header) private view returns (bytes32) {
        bytes32 hash = blockhash(drawBlock);
        // A hash out of reach is 0.
        // slither-disable-next-line incorrect-equality
        if (hash == 0 || keccak256(header) != hash) revert WrongHeader(drawBlock);
        (bytes32 mixHash, bool found) = BlockHeader.mixHashOf(header);
        if (!found) revert WrongHeader(drawBlock);
        return keccak256(abi.encode(mixHash, address(this)));
    }

    /// @dev Whether the provider is late.
    function _isMissed(Phase now_) private view returns (bool) {
        if (now_ == Phase.Drawing) return block.number > drawBlock + KNOWN_HASHES;
        if (now_ == Phase.Opening) return block.timestamp > since + _rules.openS;
        if (now_ != Phase.Open) return false;
        (, uint256 until) = _testsTime();
        return block.timestamp > until;
    }

    function _revealTime() private view returns (uint256 from, uint256 until) {
        from = since + _rules.participateS;
        until = from + _rules.revealS - 1;
    }

    function _testsTime() private view returns (uint256 from, uint256 until) {
        from = since + _rules.participateS + _rules.revealS;
        until = from + _rules.testsS;
    }

    function _requireTime(uint256 from, uint256 until) private view {
        if (block.timestamp < from || block.timestamp > until) {
            revert WrongTime(block.timestamp, from, until);
        }
    }

    /// @dev Whoever did not show its samples loses its stake.
    function _burnUnrevealed() private {
        uint256 burnedWei;
        for (uint256 i = 0; i < _participants.length; i++) {
            Participant storage participant = _participant[_participants[i]];
            if (participant.samples == 0) burnedWei += participant.stakeWei;
        }
        _pay(BURN, burnedWei);
    }

    function _numberOf(address account) private view returns (uint256 number) {
        while (_participants[number] != account) number++;
    }

    function _isValid(MarketParams calldata params_) private pure returns (bool) {
        uint256 pieces = params_.rules.pieces.length;
        uint256 tests = pieces * params_.rules.pieceSamples;
        ModelParams calldata shape = params_.model;
        return pieces >= 2 && pieces <= MAX_PIECES && tests > 0 && tests <= Scoreboard.MAX_TESTS
            && params_.rules.rounds > 0 && params_.rules.rounds <= MAX_ROUNDS && params_.rules.orders > 0
            && params_.rules.orders <= MAX_ORDERS
            && params_.rules.bountyWei / params_.rules.rounds / tests / params_.rules.orders > 0
            && params_.rules.stakeWei > 0 && params_.rules.stakeWei < 2 ** 96 && params_.rules.maxUnits > 0
            && params_.rules.maxUnits <= MAX_UNITS && params_.rules.maxUnitsEach > 0
            && params_.rules.openS > 0 && params_.rules.participateS > 0 && params_.rules.revealS > 0
            && params_.rules.testsS > 0 && shape.nFeatures <= 65_536 && !shape.valued
            && shape.weightBits == 16 && shape.classes == 2;
    }

    function _reserveWei(MarketParams calldata params_) private pure returns (uint256) {
        uint256 words = (uint256(params_.model.nFeatures) + LANES - 1) / LANES + 1;
        // Every order takes its steps and a reset, which writes words twice where the provider wrote some; the replay and the
        // published words come last.
        uint256 orders = params_.rules.orders;
        uint256 steps = DRAW_FEES + (orders + 1) * params_.rules.maxUnits + (2 * orders + 2)
            * ((words + WORDS_PER_FEE - 1) / WORDS_PER_FEE);
        return steps * params_.rules.stepFeeWei;
    }

    function _pay(address to, uint256 amountWei) private {
        if (amountWei == 0) return;
        (bool accepted,) = to.call{value: amountWei}("");
        if (!accepted) revert PaymentFailed(to, amountWei);
    }
}
