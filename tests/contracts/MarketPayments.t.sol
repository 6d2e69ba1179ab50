// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IPredictionMarket, MarketParams, Phase} from "../../contracts/interfaces/IPredictionMarket.sol";
import {ReenteringReceiver, RefusingReceiver} from "../../contracts/mocks/Receivers.sol";
import {MarketTest} from "./support/MarketTest.sol";
import {Samples} from "./support/Samples.sol";

/// Receivers that refuse to be paid, and receivers that call back.
contract MarketPaymentsTest is MarketTest {
    RefusingReceiver private _refuser = new RefusingReceiver();
    ReenteringReceiver private _attacker = new ReenteringReceiver();
    bytes private _sample = Samples.one(1, 0);

    function setUp() public override {
        super.setUp();
        vm.deal(address(_refuser), 100 ether);
        vm.deal(address(_attacker), 100 ether);
    }

    function _refused(address to, uint256 amountWei) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPredictionMarket.PaymentFailed.selector, to, amountWei);
    }

    /// The market is open, and the refuser, Alice and the attacker take part.
    function _participate() private {
        openMarket();
        commit(address(_refuser), _sample);
        commit(alice, Samples.one(0, 1));
        commit(address(_attacker), Samples.one(1, 2));
        revealAll();
    }

    /// Whoever refuses its change does not take part.
    function test_RefusedChangeRefusesTheCommitment() public {
        openMarket();
        uint256 stakeWei = market.quote(1);
        bytes memory call = abi.encodeCall(market.commit, (SALT, 1));
        vm.expectRevert(_refused(address(_refuser), 1));
        _refuser.execute{value: stakeWei + 1}(address(market), call);
        _refuser.execute{value: stakeWei}(address(market), call);
        assertEq(market.participants().length, 1);
    }

    /// Whoever refuses the fee has not done the step, and others can.
    function test_ARefusedFeeRefusesTheStep() public {
        _participate();
        revealTests();
        drawOrder("mix");
        bytes memory call = abi.encodeCall(market.step, (2));
        vm.expectRevert(_refused(address(_refuser), 2 * STEP_FEE_WEI));
        _refuser.execute(address(market), call);
        assertEq(replay.cursor(), 0);
        assertEq(step(3), 3);
    }

    /// A participant that refuses holds up nobody: neither the end nor what others collect.
    function test_ARefusingParticipantHarmsItselfOnly() public {
        _participate();
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < 2; i++) {
            if (i == 0) {
                goBehindTests();
                market.fail();
            } else {
                revealTests();
                drawOrder("mix");
                finish(9);
            }
            uint256 owedWei = participant(address(_refuser)).owedWei;
            assertGt(owedWei, 0);
            vm.expectRevert(_refused(address(_refuser), owedWei));
            market.collect(address(_refuser));
            assertEq(participant(address(_refuser)).owedWei, owedWei);
            market.collect(alice);
            skip(COLLECT_S);
            market.collectLeft();
            assertGe(address(market).balance, owedWei);
            vm.revertToState(snapshot);
        }
    }

    /// A provider that refuses leaves what is left to nobody.
    function test_ARefusingProviderHarmsItselfOnly() public {
        provider = address(_refuser);
        _participate();
        goBehindTests();
        market.fail();
        market.collect(alice);
        uint256 leftWei = market.leftWei();
        vm.expectRevert(_refused(address(_refuser), leftWei));
        market.collectLeft();
        assertEq(market.leftWei(), leftWei);
    }

    /// What calls back while it is paid gets nowhere, whatever pays and whatever it calls.
    function test_NothingIsEnteredWhileMoneyMoves() public {
        bytes[5] memory calls = [
            abi.encodeCall(market.commit, (SALT, 1)),
            abi.encodeCall(market.step, (1)),
            abi.encodeCall(market.fail, ()),
            abi.encodeCall(market.collect, (address(_attacker))),
            abi.encodeCall(market.collectLeft, ())
        ];
        provider = address(_attacker);
        openMarket();
        uint256 opened = vm.snapshotState();
        for (uint256 i = 0; i < calls.length; i++) {
            _attacker.arm(address(market), calls[i]);
            // Change.
            _attacker.execute{value: 2 ether}(address(market), calls[0]);
            _requireRefused(1);
            vm.revertToState(opened);
        }
        commit(address(_attacker), Samples.one(1, 2));
        commit(alice, Samples.one(0, 1));
        revealAll();
        revealTests();
        drawOrder("mix");
        uint256 drawn = vm.snapshotState();
        for (uint256 i = 0; i < calls.length; i++) {
            _attacker.arm(address(market), calls[i]);
            for (uint256 k = 1; k <= 3; k++) {
                // The fees of an evaluation, of the last one, and of publishing.
                _attacker.execute(address(market), calls[1]);
                _requireRefused(k);
            }
            assertPhase(Phase.Published);
            market.collect(address(_attacker));
            _requireRefused(4);
            skip(COLLECT_S);
            market.collectLeft();
            _requireRefused(5);
            market.collect(alice);
            assertEq(address(market).balance, 0);
            vm.revertToState(drawn);
        }
    }

    /// So many calls back were refused by the guard, and none was let in.
    function _requireRefused(uint256 count) private view {
        assertFalse(_attacker.reentered());
        assertEq(
            bytes4(_attacker.answers(count - 1)),
            ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector
        );
    }

    /// What is read while money moves is the state after the payment was booked.
    function test_AccountsAreBookedBeforeMoneyMoves() public {
        _participate();
        goBehindTests();
        market.fail();
        _attacker.arm(address(market), abi.encodeCall(market.participantOf, (address(_attacker))));
        market.collect(address(_attacker));
        bytes memory answer = _attacker.answers(0);
        // The last word of a participant is what it is owed.
        uint256 owedWei;
        assembly {
            owedWei := mload(add(answer, mload(answer)))
        }
        assertEq(owedWei, 0);
    }

    /// Ether that somebody forces on a market belongs to nobody, and changes nothing.
    function test_ForcedEtherChangesNothing() public {
        _participate();
        vm.deal(address(market), address(market).balance + 7);
        goBehindTests();
        market.fail();
        market.collect(alice);
        market.collectLeft();
        uint256 openWei =
            uint256(participant(address(_refuser)).owedWei) + participant(address(_attacker)).owedWei;
        assertEq(address(market).balance, openWei + 7);
    }
}
