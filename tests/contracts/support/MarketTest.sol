// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IMarketReplay} from "../../../contracts/interfaces/IMarketReplay.sol";
import {IModel, ModelParams} from "../../../contracts/interfaces/IModel.sol";
import {
    MarketParams,
    MarketRules,
    Participant,
    Phase
} from "../../../contracts/interfaces/IPredictionMarket.sol";
import {Fork, Headers} from "./Headers.sol";
import {IMarket, IMarkets} from "./IMarket.sol";
import {Samples} from "./Samples.sol";
import {TrainerTest} from "./TrainerTest.sol";

/// A factory of markets, a test set of two pieces, and what most tests do with a market.
///
/// The piece that is drawn by `OPENING_MIX` is found by asking the market. Words of the model are compared with those of a plain
/// perceptron that this contract trains sample by sample.
abstract contract MarketTest is TrainerTest {
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;
    uint32 internal constant OPEN_S = 1 hours;
    uint32 internal constant PARTICIPATE_S = 1 days;
    uint32 internal constant REVEAL_S = 6 hours;
    uint32 internal constant TESTS_S = 3 hours;
    uint32 internal constant COLLECT_S = 2 days;
    uint128 internal constant BOUNTY_WEI = 4 ether;
    uint128 internal constant STAKE_WEI = 1 ether;
    uint128 internal constant STEP_FEE_WEI = 0.001 ether;
    bytes32 internal constant OPENING_MIX = keccak256("opening");
    bytes32 internal constant SALT = keccak256("salt");

    IMarkets internal factory;
    IMarket internal market;
    IMarketReplay internal replay;

    address internal provider = makeAddr("provider");
    address internal anyone = makeAddr("anyone");

    /// The test set, piece by piece.
    bytes[] internal pieces;
    /// What each participant commits to.
    mapping(address who => bytes) internal payloadOf;
    address private _perceptron;

    function setUp() public virtual override {
        vm.warp(1_800_000_000);
        vm.roll(20_000_000);
        registry = newRegistry();
        install("CollaborativeTrainer");
        install("DataHandler");
        install("StakeIncentive");
        _perceptron = install("Perceptron");
        factory = newFactory();
        address[6] memory people = [provider, anyone, owner, alice, bob, carol];
        for (uint256 i = 0; i < people.length; i++) {
            vm.deal(people[i], wealthWei());
        }
        // A model of zeros gets the two of label 0 right.
        pieces.push(bytes.concat(Samples.one(1, 0), Samples.one(0, 1)));
        pieces.push(bytes.concat(Samples.one(1, 2), Samples.one(0, 3)));
    }

    function newFactory() internal returns (IMarkets) {
        address market_ = vm.deployCode("PredictionMarket.sol:PredictionMarket");
        address replay_ = vm.deployCode("MarketReplay.sol:MarketReplay");
        return
            IMarkets(vm.deployCode("PredictionMarkets.sol:PredictionMarkets", abi.encode(market_, replay_)));
    }

    // Parameters

    /// 40 features, and no margin.
    function marketShape() internal pure virtual returns (ModelParams memory shape) {
        shape = defaultShape();
        (shape.nFeatures, shape.maxFeatures, shape.margin) = (40, 40, 0);
    }

    function marketRules() internal pure virtual returns (MarketRules memory rules) {
        rules.pieceSamples = 2;
        rules.orders = 1;
        rules.maxUnits = 20;
        rules.maxUnitsEach = 10;
        rules.rounds = 10;
        (rules.openS, rules.participateS, rules.revealS) = (OPEN_S, PARTICIPATE_S, REVEAL_S);
        (rules.testsS, rules.collectS) = (TESTS_S, COLLECT_S);
        (rules.bountyWei, rules.stakeWei, rules.stepFeeWei) = (BOUNTY_WEI, STAKE_WEI, STEP_FEE_WEI);
    }

    /// What makes a market of this name, with the test set in `pieces`.
    function marketParams(string memory name) internal view returns (MarketParams memory params) {
        params.name = name;
        params.featureSpec = "{}";
        params.modelCode = codeHash("Perceptron");
        params.incentiveCode = codeHash("StakeIncentive");
        params.model = marketShape();
        params.terms = defaultTerms();
        params.rules = marketRules();
        commitTo(params, provider);
    }

    /// Fills in the hashes of the pieces, which are for the market of this provider and name.
    function commitTo(MarketParams memory params, address provider_) internal view {
        params.rules.pieces = new bytes32[](pieces.length);
        address where = factory.addressOf(provider_, params.name);
        for (uint256 i = 0; i < pieces.length; i++) {
            params.rules.pieces[i] =
                keccak256(abi.encode(block.chainid, where, i, pieces.length, pieceSalt(i), pieces[i]));
        }
    }

    function pieceSalt(uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode("piece", index));
    }

    /// Bounty and reserve: 24 for drawing the orders, a step for each unit in each order and in the end, and two for each four words (16 weights each, and
    /// one word for the bias) after each order, and in the end.
    function neededWei(MarketParams memory params) internal pure returns (uint256) {
        uint256 words = (uint256(params.model.nFeatures) + 15) / 16 + 1;
        uint256 orders = params.rules.orders;
        uint256 steps = 24 + (orders + 1) * params.rules.maxUnits + (2 * orders + 2) * ((words + 3) / 4);
        return params.rules.bountyWei + steps * params.rules.stepFeeWei;
    }

    // What happens, in order

    /// Makes a market for exactly bounty and reserve, and goes on with it.
    function createMarket() internal {
        createMarket(marketParams("digits"));
    }

    function createMarket(MarketParams memory params) internal {
        vm.prank(provider);
        useMarket(factory.create{value: neededWei(params)}(registry, params));
    }

    function useMarket(address created) internal {
        market = IMarket(created);
        replay = market.replay();
        trainer = market.trainer();
        model = trainer.model();
    }

    /// Goes to the block after that of the draw, which has this `mixHash`.
    function mine(bytes32 mixHash) internal returns (bytes memory header) {
        uint256 number = market.drawBlock();
        header = Headers.encode(Fork.Prague, number, mixHash);
        if (vm.getBlockNumber() <= number) vm.roll(number + 1);
        vm.setBlockhash(number, keccak256(header));
    }

    function drawPiece() internal {
        bytes memory header = mine(OPENING_MIX);
        vm.prank(anyone);
        market.drawPiece(header);
    }

    function revealPiece(uint256 index) internal {
        vm.prank(provider);
        market.revealPiece(index, pieceSalt(index), pieces[index]);
    }

    /// A market that waits for contributions.
    function openMarket() internal {
        openMarket(marketParams("digits"));
    }

    function openMarket(MarketParams memory params) internal {
        createMarket(params);
        openCreated();
    }

    function openCreated() internal {
        drawPiece();
        revealPiece(market.drawnPiece());
    }

    function unitsOf(bytes memory payload) internal view returns (uint256 units) {
        (, units) = model.measure(payload);
    }

    function commit(address who, bytes memory payload) internal {
        commit(who, payload, unitsOf(payload));
    }

    /// Commits for the exact price.
    function commit(address who, bytes memory payload, uint256 units) internal virtual {
        payloadOf[who] = payload;
        bytes32 commitment = commitmentOf(who, units, SALT, payload);
        uint256 stakeWei = market.quote(units);
        vm.prank(who);
        market.commit{value: stakeWei}(commitment, units);
    }

    function commitmentOf(address who, uint256 units, bytes32 salt, bytes memory payload)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, market, who, units, salt, payload));
    }

    function goToReveals() internal {
        vm.warp(market.since() + market.rules().participateS);
    }

    function goToTests() internal {
        vm.warp(market.since() + market.rules().participateS + market.rules().revealS);
    }

    /// Behind the last moment for revealing pieces.
    function goBehindTests() internal {
        goToTests();
        skip(market.rules().testsS + 1);
    }

    function reveal(address who) internal {
        vm.prank(who);
        market.reveal(SALT, payloadOf[who]);
    }

    /// Everybody who committed reveals.
    function revealAll() internal {
        goToReveals();
        address[] memory all = market.participants();
        for (uint256 i = 0; i < all.length; i++) {
            reveal(all[i]);
        }
    }

    /// The provider reveals all pieces but the one that was drawn.
    function revealTests() internal {
        goToTests();
        for (uint256 i = 0; i < pieces.length; i++) {
            if (i != market.drawnPiece()) revealPiece(i);
        }
    }

    function drawOrder(bytes32 mixHash) internal {
        bytes memory header = mine(mixHash);
        vm.prank(anyone);
        market.drawOrder(header);
    }

    /// From commitments to the draw of the order.
    function evaluateFrom(bytes32 mixHash) internal {
        revealAll();
        revealTests();
        drawOrder(mixHash);
    }

    function step(uint256 limit) internal returns (uint256 done) {
        vm.prank(anyone);
        return market.step(limit);
    }

    /// Steps until a phase is over.
    function stepThrough(Phase phase, uint256 limit) internal {
        while (market.phase() == phase) step(limit);
    }

    /// Steps until the market is published.
    function finish(uint256 limit) internal {
        while (market.phase() != Phase.Published) step(limit);
    }

    // What tests compare with

    /// What the market makes of a `mixHash`.
    function drawnBy(bytes32 mixHash) internal view returns (bytes32) {
        return keccak256(abi.encode(mixHash, market));
    }

    /// Cuts a payload into its samples.
    function cut(bytes memory payload) internal pure returns (bytes[] memory samples) {
        samples = new bytes[](256);
        uint256 count;
        for (uint256 start = 0; start < payload.length;) {
            uint256 size = 3 + 2 * (uint256(uint8(payload[start + 1])) << 8 | uint8(payload[start + 2]));
            samples[count] = new bytes(size);
            for (uint256 i = 0; i < size; i++) {
                samples[count][i] = payload[start + i];
            }
            count++;
            start += size;
        }
        assembly {
            mstore(samples, count)
        }
    }

    /// All samples that were revealed, in the first order that a `mixHash` draws, and by whom they are.
    function orderOf(bytes32 mixHash) internal view returns (bytes[] memory, uint256[] memory) {
        return orderOf(mixHash, 0);
    }

    /// The same in the order of this number.
    function orderOf(bytes32 mixHash, uint256 number)
        internal
        view
        returns (bytes[] memory samples, uint256[] memory numbers)
    {
        address[] memory all = market.participants();
        uint256 count;
        for (uint256 who = 0; who < all.length; who++) {
            count += market.participantOf(all[who]).samples;
        }
        (samples, numbers, count) = (new bytes[](count), new uint256[](count), 0);
        for (uint256 who = 0; who < all.length; who++) {
            if (market.participantOf(all[who]).samples == 0) continue;
            bytes[] memory own = cut(payloadOf[all[who]]);
            for (uint256 i = 0; i < own.length; i++) {
                (samples[count], numbers[count]) = (own[i], who);
                count++;
            }
        }
        bytes32 seed = drawnBy(mixHash);
        for (; number > 0; number--) {
            seed = keccak256(bytes.concat(seed));
        }
        for (uint256 i = count; i > 1; i--) {
            uint256 other = uint256(keccak256(abi.encode(seed, i))) % i;
            (samples[i - 1], samples[other]) = (samples[other], samples[i - 1]);
            (numbers[i - 1], numbers[other]) = (numbers[other], numbers[i - 1]);
        }
    }

    /// A `mixHash` that draws the samples of these participants, by number, one after the other.
    function mixFor(uint256[] memory wanted) internal view returns (bytes32 mixHash) {
        for (uint256 i = 0; i < 10_000; i++) {
            mixHash = keccak256(abi.encode("mix", i));
            (, uint256[] memory numbers) = orderOf(mixHash);
            if (keccak256(abi.encode(numbers)) == keccak256(abi.encode(wanted))) return mixHash;
        }
        revert("no such order");
    }

    function numbers2(uint256 a, uint256 b) internal pure returns (uint256[] memory numbers) {
        numbers = new uint256[](2);
        (numbers[0], numbers[1]) = (a, b);
    }

    function numbers3(uint256 a, uint256 b, uint256 c) internal pure returns (uint256[] memory numbers) {
        numbers = new uint256[](3);
        (numbers[0], numbers[1], numbers[2]) = (a, b, c);
    }

    /// A fresh perceptron of the market's shape that this contract may train.
    function plainModel() internal returns (IModel plain) {
        plain = IModel(Clones.clone(_perceptron));
        plain.initialize(address(this), model.params());
    }

    /// How many test samples a model predicts the label of.
    function correctOf(IModel plain) internal view returns (uint256 correct) {
        for (uint256 i = 0; i < pieces.length; i++) {
            bytes[] memory samples = cut(pieces[i]);
            bytes memory labels = plain.predict(pieces[i]);
            for (uint256 k = 0; k < samples.length; k++) {
                if (labels[k] == samples[k][0]) correct++;
            }
        }
    }

    function allWords(IModel of_) internal view returns (uint256[] memory) {
        return of_.weights(0, of_.totalWords());
    }

    function participant(address who) internal view returns (Participant memory) {
        return market.participantOf(who);
    }

    function assertPhase(Phase expected) internal view {
        assertEq(uint256(market.phase()), uint256(expected), "phase");
    }
}
