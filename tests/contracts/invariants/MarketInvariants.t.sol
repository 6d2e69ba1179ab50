// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketTest} from "../support/MarketTest.sol";
import {MarketCrowd} from "./MarketCrowd.sol";

/// Money, phases and the model of a market, whatever a crowd does in whatever order.
contract MarketInvariantTest is MarketTest {
    MarketCrowd private _crowd;

    function setUp() public override {
        super.setUp();
        _crowd = new MarketCrowd(factory, registry);
        targetContract(address(_crowd));
        bytes4[] memory selectors = new bytes4[](18);
        bytes4[18] memory acts = [
            _crowd.draw.selector,
            _crowd.draw.selector,
            _crowd.show.selector,
            _crowd.show.selector,
            _crowd.show.selector,
            _crowd.join.selector,
            _crowd.join.selector,
            _crowd.reveal.selector,
            _crowd.reveal.selector,
            _crowd.step.selector,
            _crowd.step.selector,
            _crowd.passTime.selector,
            _crowd.drawAgain.selector,
            _crowd.fail.selector,
            _crowd.collect.selector,
            _crowd.collectLeft.selector,
            _crowd.force.selector,
            _crowd.next.selector
        ];
        for (uint256 i = 0; i < 18; i++) {
            selectors[i] = acts[i];
        }
        targetSelector(FuzzSelector({addr: address(_crowd), selectors: selectors}));
    }

    /// All invariants, after every act.
    function invariant_TheMarketHolds() public view {
        _crowd.checkMoney();
        _crowd.checkModel();
    }

    /// Wherever the crowd has got, somebody else ends it, and no money is stuck.
    function afterInvariant() public {
        _crowd.leave();
    }

    /// The crowd gets everywhere: in a history of fixed draws every kind of success and refusal happens, and everything holds.
    function test_TheCrowdGetsEverywhere() public {
        for (uint256 draw = 0; draw < 40_000; draw++) {
            _act(uint256(keccak256(abi.encode(draw))));
            _crowd.checkMoney();
            if (draw % 16 == 0) _crowd.checkModel();
        }
        string[24] memory happened = [
            "markets",
            "draw",
            "draw refused",
            "draw again",
            "draw again refused",
            "show",
            "show refused",
            "join",
            "join refused",
            "reveal",
            "reveal refused",
            "step",
            "step refused",
            "fail",
            "fail refused",
            "failed early",
            "failed open",
            "collect",
            "collect refused",
            "collect left",
            "collect left refused",
            "settled",
            "removed",
            "forced"
        ];
        for (uint256 i = 0; i < happened.length; i++) {
            emit log_named_uint(happened[i], _crowd.times(happened[i]));
        }
        for (uint256 i = 0; i < happened.length; i++) {
            assertGe(_crowd.times(happened[i]), 3, happened[i]);
        }
    }

    /// From each phase, including those that random draws seldom end in, a stranger gets the market to its end.
    function test_AMarketCanBeLeftFromEachState() public {
        uint256[11] memory reached;
        for (uint256 draw = 0; draw < 20_000; draw++) {
            _act(uint256(keccak256(abi.encode("leave", draw))));
            uint256 phase = _crowd.phase();
            if (reached[phase] >= 3) continue;
            reached[phase]++;
            uint256 snapshot = vm.snapshotState();
            _crowd.leave();
            vm.revertToState(snapshot);
        }
        for (uint256 phase = 0; phase < 10; phase++) {
            assertGe(reached[phase], 1, vm.toString(phase));
        }
    }

    function _act(uint256 draw) private {
        (uint256 a, uint256 b) = (draw >> 8, draw >> 120);
        uint256 act = draw % 40;
        if (act < 6) _crowd.draw(a, b);
        else if (act < 12) _crowd.show(a, b);
        else if (act < 19) _crowd.join(a, b);
        else if (act < 25) _crowd.reveal(a, b);
        else if (act < 32) _crowd.step(a, b);
        else if (act == 32) _crowd.passTime(a);
        else if (act == 33) _crowd.passBlocks(a);
        else if (act == 34) _crowd.drawAgain(a);
        else if (act == 35) _crowd.fail(a);
        else if (act == 36) _crowd.collect(a, b);
        else if (act == 37) _crowd.collectLeft(a);
        else if (act == 38) _crowd.force(a);
        else _crowd.next();
    }
}
