// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelParams} from "../../contracts/interfaces/IModel.sol";
import {
    MarketParams,
    MarketRules,
    Participant,
    Phase
} from "../../contracts/interfaces/IPredictionMarket.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// The largest markets that there can be: no call that a market needs to go on is larger than a transaction. Each call is one by
/// itself, so that all storage is cold, as it is on a chain.
/// forge-config: default.isolate = true
contract MarketLimitsTest is MarketTest {
    /// What a transaction may use by EIP-7825.
    uint256 private constant TRANSACTION_GAS = 2 ** 24;
    uint256 private constant PIECES = 112;

    function setUp() public virtual override {
        super.setUp();
        delete pieces;
        // 24,528 bytes in all: 2 samples of 53 features in each piece, all different.
        uint256 next;
        for (uint256 i = 0; i < PIECES; i++) {
            pieces.push(bytes.concat(_run(0, next, 53), _run(1, next + 53, 53)));
            next += 106;
        }
    }

    receive() external payable {}

    /// The largest margin: each contribution trains.
    function marketShape() internal pure override returns (ModelParams memory shape) {
        shape = defaultShape();
        (shape.nFeatures, shape.maxFeatures, shape.margin) = (65_536, 256, type(uint16).max);
    }

    function marketRules() internal pure override returns (MarketRules memory rules) {
        rules = super.marketRules();
        (rules.maxUnits, rules.maxUnitsEach, rules.stakeWei) = (1024, 1024, 0.0001 ether);
        rules.orders = 2;
    }

    /// A sample each of whose features has a word of its own.
    function _spread(uint8 label, uint256 firstWord) private pure returns (bytes memory sample) {
        sample = abi.encodePacked(label, uint16(256));
        for (uint256 i = 0; i < 256; i++) {
            sample = bytes.concat(sample, bytes2(uint16(16 * (firstWord + i))));
        }
    }

    function _run(uint8 label, uint256 first, uint256 n) private pure returns (bytes memory sample) {
        sample = abi.encodePacked(label, uint16(n));
        for (uint256 i = 0; i < n; i++) {
            sample = bytes.concat(sample, bytes2(uint16(first + i)));
        }
    }

    function _requireFits(string memory what) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(what, used);
        assertLt(used, TRANSACTION_GAS, what);
    }

    function _who(uint256 number) private pure returns (address) {
        return address(uint160(0xa000 + number));
    }

    function _create() private {
        MarketParams memory params = marketParams("largest");
        uint256 paidWei = neededWei(params);
        vm.prank(provider);
        address created = factory.create{value: paidWei}(registry, params);
        _requireFits("create");
        useMarket(created);
    }

    /// Each participant's 4 samples touch 256 words each. Those of the last one touch words that nobody else touches.
    function _participate() private {
        for (uint256 number = 0; number < 64; number++) {
            bytes memory payload;
            for (uint256 i = 0; i < 4; i++) {
                uint256 firstWord = number == 63 ? 256 * (i + 1) : 0;
                payload = bytes.concat(payload, _spread(uint8(number % 2), firstWord));
            }
            vm.deal(_who(number), 1 ether);
            commit(_who(number), payload);
        }
        assertEq(market.unitsTaken(), 1024);
        goToReveals();
        for (uint256 number = 0; number < 64; number++) {
            reveal(_who(number));
            if (number == 63) _requireFits("reveal");
        }
        revealTests();
        _requireFits("revealPiece, the last one");
    }

    /// A draw whose last contribution is one of the last participant's.
    function _mixThatEndsFresh() private view returns (bytes32 mixHash) {
        for (uint256 i = 0;; i++) {
            mixHash = keccak256(abi.encode("ends fresh", i));
            // The order is a permutation of indices, and the last one only changes places in the first round.
            if (uint256(keccak256(abi.encode(drawnBy(mixHash), uint256(256)))) % 256 >= 252) return mixHash;
        }
    }

    /// 64 participants, 1,024 units and 112 pieces: each step of one contribution fits, and so does what surrounds it.
    function test_TheLeastStepsFitIntoTransactionsAtAllLimits() public {
        _create();
        openCreated();
        _participate();
        bytes memory header = mine(_mixThatEndsFresh());
        market.drawOrder(header);
        _requireFits("drawOrder");
        market.step(1);
        _requireFits("evaluate the first contribution");
        uint256 most;
        while (market.ordersTried() == 0 || replay.cursor() < 255 || market.phase() == Phase.Resetting) {
            market.step(market.phase() == Phase.Resetting ? 64 : 1);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            if (used > most) most = used;
        }
        emit log_named_uint("evaluate one contribution, or reset 256 words, at most", most);
        assertLt(most, TRANSACTION_GAS);
        market.step(1);
        _requireFits("evaluate the last contribution, and settle");
        uint256 removed;
        for (uint256 number = 0; number < 64; number++) {
            if (market.participantOf(_who(number)).removed) removed++;
        }
        assertGt(removed, 0, "somebody is removed");
        assertPhase(Phase.Resetting);
        market.step(64);
        _requireFits("reset 256 words");
        while (market.phase() == Phase.Resetting) market.step(64);
        market.step(1);
        _requireFits("replay one contribution");
        while (market.phase() == Phase.Replaying) market.step(1);
        market.step(64);
        _requireFits("publish 256 words");
        while (market.phase() == Phase.Publishing) market.step(64);
        assertPhase(Phase.Published);
    }

    /// With initial words everywhere: their writing, the draw that scores with them, and the reset that writes them again.
    function test_InitialWordsEverywhereFitIntoTransactions() public {
        _create();
        uint256[] memory words = new uint256[](400);
        for (uint256 k = 0; k < 400; k++) {
            words[k] = 0x0001ffff0001ffff0001ffff0001ffff0001ffff0001ffff0001ffff0001ffff;
        }
        for (uint256 first = 0; first < 4000; first += 400) {
            vm.prank(provider);
            market.writeInitialWeights(first, words);
            _requireFits("writeInitialWeights, 400 words");
        }
        openCreated();
        _participate();
        bytes memory header = mine(_mixThatEndsFresh());
        market.drawOrder(header);
        _requireFits("drawOrder with initial words");
        while (market.phase() == Phase.Evaluating) market.step(16);
        assertPhase(Phase.Resetting);
        uint256 most;
        while (market.phase() == Phase.Resetting) {
            market.step(1);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            if (used > most) most = used;
        }
        emit log_named_uint("reset, at most", most);
        assertLt(most, TRANSACTION_GAS);
    }

    /// One that ends without tests settles 64 participants at once.
    function test_AFailureOf64ParticipantsFits() public {
        _create();
        openCreated();
        for (uint256 number = 0; number < 64; number++) {
            vm.deal(_who(number), 1 ether);
            commit(_who(number), _run(1, number, 1));
        }
        goToReveals();
        for (uint256 number = 0; number < 64; number++) {
            reveal(_who(number));
        }
        goBehindTests();
        market.fail();
        _requireFits("fail");
        assertPhase(Phase.Failed);
    }
}
