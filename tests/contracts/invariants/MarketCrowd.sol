// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {
    IPredictionMarket,
    MarketRules,
    Participant,
    Phase
} from "../../../contracts/interfaces/IPredictionMarket.sol";
import {ReenteringReceiver, RefusingReceiver} from "../../../contracts/mocks/Receivers.sol";
import {Fork, Headers} from "../support/Headers.sol";
import {IMarkets} from "../support/IMarket.sol";
import {MarketTest} from "../support/MarketTest.sol";
import {Samples} from "../support/Samples.sol";

/// A provider, participants and bystanders of one market after the other, at random. Whatever is not due is tried, too, and must be
/// refused by the error for it; the books say what must be left.
contract MarketCrowd is MarketTest {
    uint256 private constant MAX_UNITS_EACH = 6;

    address[] private _people;
    RefusingReceiver private _refuser = new RefusingReceiver();
    ReenteringReceiver private _reenterer = new ReenteringReceiver();

    /// The books of the market at hand.
    uint256 public inWei;
    uint256 public outWei;
    uint256 public burnedWei;
    uint256 public forcedWei;
    uint256 private _burnedBefore;
    uint256 private _markets;
    uint256 private _shown;
    Phase private _lastPhase;

    /// How often each kind of thing happened.
    mapping(string what => uint256) public times;

    constructor(IMarkets factory_, IModelRegistry registry_) {
        (factory, registry) = (factory_, registry_);
        _people = [alice, bob, carol, anyone, address(_refuser), address(_reenterer)];
        for (uint256 i = 0; i < _people.length; i++) {
            vm.deal(_people[i], 1e6 ether);
        }
        vm.deal(provider, 1e6 ether);
        for (uint8 i = 0; i < 3; i++) {
            pieces.push(bytes.concat(Samples.run(1, 8 * i, 3), Samples.run(0, 8 * i + 2, 4)));
        }
        _begin();
    }

    function setUp() public override {}

    function marketRules() internal pure override returns (MarketRules memory rules) {
        rules = super.marketRules();
        (rules.maxUnits, rules.maxUnitsEach) = (16, uint16(MAX_UNITS_EACH));
        // A test sample more or less in one order is worth a third of an ether in all rounds: some stakes last, others do not.
        (rules.rounds, rules.bountyWei, rules.stakeWei) = (7, 4 ether + 1, 0.1 ether);
        rules.orders = 2;
    }

    function _begin() private {
        createMarket(
            marketParams(
                string(
                    abi.encodePacked(
                        "crowd-", bytes1(uint8(97 + _markets / 26)), bytes1(uint8(97 + _markets % 26))
                    )
                )
            )
        );
        _markets++;
        inWei = neededWei(marketParams("crowd"));
        (outWei, burnedWei, forcedWei, _shown, _lastPhase) = (0, 0, 0, 0, Phase.Drawing);
        _burnedBefore = BURN.balance;
        for (uint256 i = 0; i < _people.length; i++) {
            delete payloadOf[_people[i]];
        }
        times["markets"]++;
    }

    // Acts

    function passTime(uint256 seconds_) external {
        skip(_bound(seconds_, 1 minutes, 14 hours));
        vm.roll(vm.getBlockNumber() + _bound(seconds_, 1, 90));
    }

    function passBlocks(uint256 blocks) external {
        vm.roll(vm.getBlockNumber() + _bound(blocks, 1, 300));
    }

    /// Forces ether on the market, as any contract that ends can.
    function force(uint256 amountWei) external {
        amountWei = _bound(amountWei, 1, 1 ether);
        vm.deal(address(market), address(market).balance + amountWei);
        forcedWei += amountWei;
        times["forced"]++;
    }

    /// Goes on with another market, if this one is over.
    function next() external {
        if (market.phase() < Phase.Published) return;
        leave();
        _begin();
    }

    /// Shows a header: mostly that of the block, and mostly in time.
    function draw(uint256 who, uint256 kind) external {
        Phase now_ = market.phase();
        uint256 number = market.drawBlock();
        if (kind % 4 > 0 && vm.getBlockNumber() <= number) vm.roll(number + 1 + kind % 256);
        bytes memory header = Headers.encode(Fork.Prague, number, keccak256(abi.encode(kind)));
        bool known = vm.getBlockNumber() > number && vm.getBlockNumber() <= number + 256;
        if (known) vm.setBlockhash(number, keccak256(header));
        if (kind % 7 == 0) {
            header[header.length - 1] ^= 0x01;
            known = false;
        }
        bool piece = now_ == Phase.Drawing || (now_ != Phase.Tested && kind % 2 == 0);
        bytes4 expected = known ? bytes4(0) : IPredictionMarket.WrongHeader.selector;
        address person = _person(who);
        if (now_ != Phase.Drawing && now_ != Phase.Tested) {
            expected = IPredictionMarket.WrongPhase.selector;
        } else if (!piece && known && person == address(_refuser)) {
            expected = IPredictionMarket.PaymentFailed.selector;
        }
        bytes memory data =
            piece ? abi.encodeCall(market.drawPiece, (header)) : abi.encodeCall(market.drawOrder, (header));
        uint256 beforeWei = person.balance;
        if (!_act(person, 0, data, expected, "draw")) return;
        outWei += person.balance - beforeWei;
        if (market.phase() == Phase.Publishing) _bookSettlement();
    }

    function drawAgain(uint256 who) external {
        if (market.phase() == Phase.Tested && who % 2 == 0) vm.roll(market.drawBlock() + 257);
        bytes4 expected;
        if (market.phase() != Phase.Tested) {
            expected = IPredictionMarket.WrongPhase.selector;
        } else if (vm.getBlockNumber() <= market.drawBlock() + 256) {
            expected = IPredictionMarket.NotFailed.selector;
        }
        _act(_person(who), 0, abi.encodeCall(market.drawAgain, ()), expected, "draw again");
    }

    /// Shows a piece: mostly one that is due, at times in vain.
    function show(uint256 index, uint256 kind) external {
        Phase now_ = market.phase();
        index = now_ == Phase.Opening && kind % 4 > 0 ? market.drawnPiece() : index % 4;
        if (kind % 5 == 0 && now_ == Phase.Open) _waitUntil(_testsFrom());
        bool tampered = kind % 9 == 0;
        uint256 nowS = vm.getBlockTimestamp();
        bytes4 expected;
        if (now_ != Phase.Opening && now_ != Phase.Open) {
            expected = IPredictionMarket.WrongPhase.selector;
        } else if (now_ == Phase.Opening && index != market.drawnPiece()) {
            expected = IPredictionMarket.WrongPiece.selector;
        } else if (now_ == Phase.Opening && nowS > market.since() + OPEN_S) {
            expected = IPredictionMarket.WrongTime.selector;
        } else if (now_ == Phase.Open && (nowS < _testsFrom() || nowS > _testsFrom() + TESTS_S)) {
            expected = IPredictionMarket.WrongTime.selector;
        } else if (index > 2 || _shown >> index & 1 == 1 || tampered) {
            expected = IPredictionMarket.WrongPiece.selector;
        }
        bytes memory payload = pieces[index % 3];
        if (tampered) payload[0] ^= 0x01;
        bytes memory data = abi.encodeCall(market.revealPiece, (index, pieceSalt(index), payload));
        if (!_act(provider, 0, data, expected, "show")) return;
        _shown |= 1 << index;
        if (_shown == 7) burnedWei += _unrevealedWei();
    }

    /// Commits to random samples, at times to other units than they have, or for too little.
    function join(uint256 who, uint256 kind) external {
        address person = _person(who);
        bytes memory payload = _randomSamples(kind);
        uint256 units = unitsOf(payload);
        if (kind % 11 == 0) units++;
        if (kind % 13 == 0) units = 0;
        uint256 stakeWei = market.quote(units);
        uint256 paidWei = kind % 3 == 0 ? stakeWei + kind % 1 ether : stakeWei;
        if (kind % 17 == 0 && stakeWei > 0) paidWei = stakeWei - 1;
        bytes4 expected = _refusalOfJoin(person, units);
        if (expected == 0 && paidWei < stakeWei) {
            expected = IPredictionMarket.InsufficientPayment.selector;
        } else if (expected == 0 && person == address(_refuser) && paidWei > stakeWei) {
            expected = IPredictionMarket.PaymentFailed.selector;
        }
        bytes memory data = abi.encodeCall(market.commit, (commitmentOf(person, units, SALT, payload), units));
        if (!_act(person, paidWei, data, expected, "join")) return;
        payloadOf[person] = payload;
        inWei += stakeWei;
    }

    function _randomSamples(uint256 kind) private pure returns (bytes memory payload) {
        for (uint256 count = 1 + kind % 4; count > 0; count--) {
            kind = uint256(keccak256(abi.encode(kind)));
            uint16 first = uint16((kind >> 8) % 30);
            payload = bytes.concat(payload, Samples.run(uint8(kind & 1), first, uint16(1 + (kind >> 24) % 8)));
        }
    }

    function _refusalOfJoin(address person, uint256 units) private view returns (bytes4) {
        if (market.phase() != Phase.Open) return IPredictionMarket.WrongPhase.selector;
        if (vm.getBlockTimestamp() >= market.since() + PARTICIPATE_S) {
            return IPredictionMarket.WrongTime.selector;
        }
        if (participant(person).units > 0) return IPredictionMarket.AlreadyCommitted.selector;
        uint256 left = 16 - market.unitsTaken();
        if (units == 0 || units > left || units > MAX_UNITS_EACH) {
            return IPredictionMarket.TooManyUnits.selector;
        }
        return 0;
    }

    /// Reveals: mostly what was committed, mostly in time. Who is not asked, withholds.
    function reveal(uint256 who, uint256 kind) external {
        address person = _participant(who);
        if (kind % 3 == 0 && market.phase() == Phase.Open && market.participants().length > 1) {
            _waitUntil(market.since() + PARTICIPATE_S);
        }
        uint256 from = market.since() + PARTICIPATE_S;
        uint256 nowS = vm.getBlockTimestamp();
        Participant memory it = participant(person);
        bytes memory payload = payloadOf[person];
        bool tampered = kind % 9 == 0 || payload.length == 0;
        bytes4 expected;
        if (market.phase() != Phase.Open) {
            expected = IPredictionMarket.WrongPhase.selector;
        } else if (nowS < from || nowS >= from + REVEAL_S) {
            expected = IPredictionMarket.WrongTime.selector;
        } else if (it.samples > 0 || tampered) {
            expected = IPredictionMarket.WrongReveal.selector;
        } else if (unitsOf(payload) != it.units) {
            expected = IPredictionMarket.WrongSize.selector;
        }
        bytes memory data = abi.encodeCall(market.reveal, (tampered ? bytes32(0) : SALT, payload));
        _act(person, 0, data, expected, "reveal");
    }

    function step(uint256 who, uint256 limit) external {
        address person = _person(who);
        Phase now_ = market.phase();
        bytes4 expected;
        if (now_ < Phase.Evaluating || now_ > Phase.Publishing) {
            expected = IPredictionMarket.WrongPhase.selector;
        } else if (person == address(_refuser)) {
            expected = IPredictionMarket.PaymentFailed.selector;
        }
        uint256 leftWei = market.leftWei();
        uint256 beforeWei = person.balance;
        if (!_act(person, 0, abi.encodeCall(market.step, (1 + limit % 5)), expected, "step")) return;
        outWei += person.balance - beforeWei;
        if (now_ == Phase.Evaluating && market.leftFrom() > 0) {
            _bookSettlement();
        } else {
            require(leftWei - market.leftWei() == person.balance - beforeWei, "a fee that is not booked");
        }
    }

    function fail(uint256 who) external {
        Phase now_ = market.phase();
        uint256 nowS = vm.getBlockTimestamp();
        bool missed = now_ == Phase.Drawing && vm.getBlockNumber() > market.drawBlock() + 256;
        missed = missed || (now_ == Phase.Opening && nowS > market.since() + OPEN_S);
        missed = missed || (now_ == Phase.Open && nowS > _testsFrom() + TESTS_S);
        bytes4 expected = missed ? bytes4(0) : IPredictionMarket.NotFailed.selector;
        if (!_act(_person(who), 0, abi.encodeCall(market.fail, ()), expected, "fail")) return;
        _bookFailure(now_);
    }

    function collect(uint256 who, uint256 whom) external {
        address person = _participant(whom);
        uint256 owedWei = participant(person).owedWei;
        bytes4 expected;
        if (owedWei == 0) expected = IPredictionMarket.NothingToCollect.selector;
        else if (person == address(_refuser)) expected = IPredictionMarket.PaymentFailed.selector;
        uint256 beforeWei = person.balance;
        if (!_act(_person(who), 0, abi.encodeCall(market.collect, (person)), expected, "collect")) return;
        require(person.balance - beforeWei == owedWei, "another amount than was owed");
        outWei += owedWei;
    }

    function collectLeft(uint256 who) external {
        uint256 leftWei = market.leftWei();
        bytes4 expected;
        if (market.phase() < Phase.Published) expected = IPredictionMarket.WrongPhase.selector;
        else if (vm.getBlockTimestamp() < market.leftFrom()) expected = IPredictionMarket.WrongTime.selector;
        else if (leftWei == 0) expected = IPredictionMarket.NothingToCollect.selector;
        uint256 beforeWei = provider.balance;
        if (!_act(_person(who), 0, abi.encodeCall(market.collectLeft, ()), expected, "collect left")) return;
        require(provider.balance - beforeWei == leftWei, "another amount than was left");
        outWei += leftWei;
    }

    // Books

    /// Calls, and requires success or this refusal.
    function _act(address who, uint256 valueWei, bytes memory data, bytes4 expected, string memory what)
        private
        returns (bool done)
    {
        _reenterer.arm(
            address(market),
            [
                abi.encodeCall(market.step, (1)),
                abi.encodeCall(market.collect, (address(_reenterer))),
                abi.encodeCall(market.collectLeft, ()),
                abi.encodeCall(market.commit, (SALT, 0))
            ][uint256(keccak256(data)) % 4]
        );
        vm.prank(who);
        bytes memory reason;
        (done, reason) = address(market).call{value: valueWei}(data);
        require(done == (expected == 0), string.concat(what, ": done or refused against the books"));
        if (!done) require(bytes4(reason) == expected, string.concat(what, ": another refusal"));
        times[done ? what : string.concat(what, " refused")]++;
        Phase now_ = market.phase();
        bool next_ = _lastPhase == Phase.Resetting && now_ == Phase.Evaluating && market.leftFrom() == 0;
        require(now_ >= _lastPhase || next_, "a phase came back");
        _lastPhase = now_;
        if (done && _lastPhase == Phase.Failed) times["failed"]++;
    }

    function phase() external view returns (uint256) {
        return uint256(market.phase());
    }

    function _person(uint256 who) private view returns (address) {
        return _people[who % _people.length];
    }

    /// Mostly somebody who takes part.
    function _participant(uint256 who) private view returns (address) {
        address[] memory all = market.participants();
        return all.length == 0 || who % 8 == 0 ? _person(who / 8) : all[who % all.length];
    }

    function _testsFrom() private view returns (uint256) {
        return market.since() + PARTICIPATE_S + REVEAL_S;
    }

    function _waitUntil(uint256 time) private {
        if (vm.getBlockTimestamp() < time) vm.warp(time);
    }

    /// Stakes of those who did not reveal.
    function _unrevealedWei() private view returns (uint256 sumWei) {
        address[] memory all = market.participants();
        for (uint256 i = 0; i < all.length; i++) {
            if (participant(all[i]).samples == 0) sumWei += participant(all[i]).stakeWei;
        }
    }

    /// Nobody who helped lost anything, nobody who harmed has more than before; the difference was burned.
    function _bookSettlement() private {
        address[] memory all = market.participants();
        for (uint256 i = 0; i < all.length; i++) {
            Participant memory it = participant(all[i]);
            if (it.samples == 0) {
                require(it.owedWei == 0 && it.score == 0, "an unrevealed stake");
            } else if (it.score >= 0) {
                require(it.owedWei >= it.stakeWei && !it.removed, "who helped");
            } else {
                require(it.owedWei <= it.stakeWei && it.removed, "who harmed");
                burnedWei += it.stakeWei - it.owedWei;
                times["removed"]++;
            }
        }
        times["settled"]++;
    }

    function _bookFailure(Phase missed) private {
        address[] memory all = market.participants();
        uint256 revealed;
        for (uint256 i = 0; i < all.length; i++) {
            Participant memory it = participant(all[i]);
            if (it.samples == 0) require(it.owedWei == 0, "an unrevealed stake");
            else require(it.owedWei >= it.stakeWei, "a stake that was not given back");
            if (it.samples > 0) revealed++;
        }
        if (missed == Phase.Open) burnedWei += _unrevealedWei();
        if (missed != Phase.Open || revealed > 0) burnedWei += 2 ether + 1;
        times[missed == Phase.Open ? "failed open" : "failed early"]++;
    }

    /// Invariants 1 and 2: what came in went out, was burned, or is held; and what is held is owed or left, to the wei.
    function checkMoney() public view {
        uint256 heldWei = address(market).balance - forcedWei;
        assertEq(BURN.balance - _burnedBefore, burnedWei, "burned");
        assertEq(inWei, outWei + burnedWei + heldWei, "in and out");
        uint256 owedWei = market.leftWei();
        address[] memory all = market.participants();
        Phase now_ = market.phase();
        uint256 units;
        for (uint256 i = 0; i < all.length; i++) {
            Participant memory it = participant(all[i]);
            owedWei += it.owedWei;
            units += it.units;
            bool open = now_ < Phase.Tested || it.samples > 0;
            if (open && market.leftFrom() == 0) owedWei += it.stakeWei;
        }
        assertEq(heldWei, owedWei, "held");
        assertEq(market.unitsTaken(), units, "units");
        assertLe(units, 16);
        assertFalse(_reenterer.reentered(), "reentered");
    }

    /// Invariant 3: nobody has the model before it is due, and then it is sealed.
    function checkModel() public view {
        Phase now_ = market.phase();
        assertEq(trainer.sealedAt() > 0, now_ == Phase.Published, "sealed");
        uint256[] memory zeros = new uint256[](model.totalWords());
        if (now_ < Phase.Publishing || now_ == Phase.Failed) assertEq(allWords(model), zeros, "too early");
        if (now_ < Phase.Evaluating || now_ == Phase.Failed) assertEq(allWords(replay.working()), zeros);
        if (now_ == Phase.Published) assertEq(allWords(model), allWords(replay.working()), "published");
    }

    /// Invariant 4: from any state somebody else than the provider gets a market to its end, and all but those who refuse their money
    /// get it.
    function leave() public {
        address stranger = makeAddr("stranger");
        vm.startPrank(stranger);
        if (market.phase() < Phase.Tested) {
            // Whatever was to be done by the provider was not.
            skip(OPEN_S + PARTICIPATE_S + REVEAL_S + TESTS_S + 1);
            vm.roll(vm.getBlockNumber() + 300);
            Phase missed = market.phase();
            market.fail();
            _bookFailure(missed);
        }
        uint256 beforeWei = stranger.balance;
        if (market.phase() == Phase.Tested) {
            vm.roll(vm.getBlockNumber() + 300);
            market.drawAgain();
            market.drawOrder(mine("in the end"));
            if (market.phase() == Phase.Publishing) _bookSettlement();
        }
        while (market.phase() < Phase.Published) {
            Phase now_ = market.phase();
            market.step(1);
            if (now_ == Phase.Evaluating && market.leftFrom() > 0) _bookSettlement();
        }
        outWei += stranger.balance - beforeWei;
        skip(COLLECT_S);
        uint256 leftWei = market.leftWei();
        if (leftWei > 0) market.collectLeft();
        outWei += leftWei;
        address[] memory all = market.participants();
        for (uint256 i = 0; i < all.length; i++) {
            uint256 owedWei = participant(all[i]).owedWei;
            if (owedWei == 0 || all[i] == address(_refuser)) continue;
            market.collect(all[i]);
            outWei += owedWei;
        }
        vm.stopPrank();
        checkMoney();
        checkModel();
        uint256 refusedWei = participant(address(_refuser)).owedWei;
        assertEq(address(market).balance, refusedWei + forcedWei, "nothing is stuck");
        times["left"]++;
    }
}
