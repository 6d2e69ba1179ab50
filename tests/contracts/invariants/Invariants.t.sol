// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ICollaborativeTrainer} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch, IDataHandler} from "../../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel, ModelParams} from "../../../contracts/interfaces/IModel.sol";
import {TrainerTest} from "../support/TrainerTest.sol";
import {Mob} from "./Mob.sol";

/// The invariants of the protocol, whatever a mob does to a model of some shape. Number 6, the replica, is tested from Python.
abstract contract InvariantTest is TrainerTest {
    Mob internal mob;

    /// The contract of the model, by its name.
    function modelName() internal pure virtual returns (string memory);

    /// The shape of the model.
    function shape() internal pure virtual returns (ModelParams memory);

    function setUp() public override {
        super.setUp();
        address created = _clone("CollaborativeTrainer");
        (model, incentive) = (IModel(_clone(modelName())), IIncentiveMechanism(_clone("StakeIncentive")));
        dataHandler = IDataHandler(_clone("DataHandler"));
        model.initialize(created, shape());
        incentive.initialize(created, defaultTerms());
        dataHandler.initialize(created);
        ICollaborativeTrainer(created).initialize(owner, "mob", model, incentive, dataHandler, address(0));
        useTrainer(created);
        vm.prank(owner);
        trainer.seal();
        mob = new Mob(trainer);
        targetContract(address(mob));
        bytes4[15] memory acts = [
            mob.give.selector,
            mob.give.selector,
            mob.passTime.selector,
            mob.passTime.selector,
            mob.claim.selector,
            mob.claim.selector,
            mob.accuse.selector,
            mob.accuseTogether.selector,
            mob.clean.selector,
            mob.grieve.selector,
            mob.manipulate.selector,
            mob.falsify.selector,
            mob.tamper.selector,
            mob.garble.selector,
            mob.trespass.selector
        ];
        bytes4[] memory selectors = new bytes4[](16);
        for (uint256 i = 0; i < 15; i++) {
            selectors[i] = acts[i];
        }
        selectors[15] = mob.force.selector;
        targetSelector(FuzzSelector({addr: address(mob), selectors: selectors}));
    }

    function _clone(string memory name) private returns (address) {
        return Clones.clone(vm.deployCode(string.concat(name, ".sol:", name)));
    }

    /// All invariants, after every act.
    function invariant_TheProtocolHolds() public view {
        mob.checkBalance();
        mob.checkAccounts();
        mob.checkData();
    }

    /// Whatever was contributed can be claimed sample by sample, and no money is stuck in the end.
    function afterInvariant() public {
        mob.settleEverything();
        mob.checkBalance();
    }

    /// The mob gets everywhere: in a history of fixed draws every kind of success and refusal happens, and everything holds.
    function test_TheMobGetsEverywhere() public {
        for (uint256 draw = 0; draw < 600; draw++) {
            _act(uint256(keccak256(abi.encode(draw))));
        }
        mob.checkAccounts();
        string[17] memory happened = [
            "given",
            "refunded",
            "disagreed",
            "claim refused",
            "reported",
            "nothing to report",
            "report refused",
            "swept by owner",
            "swept by anyone",
            "sweep refused",
            "forced",
            "grieved",
            "manipulated",
            "falsified",
            "tampered payload",
            "tampered sample",
            "garbled"
        ];
        for (uint256 i = 0; i < happened.length; i++) {
            assertGe(mob.times(happened[i]), 3, happened[i]);
        }
        assertGe(mob.times("trespassed"), 3, "trespassed");
        mob.settleEverything();
        mob.checkData();
    }

    function _act(uint256 draw) private {
        (uint256 a, uint256 b, uint256 c) = (draw >> 8, draw >> 80, draw >> 160);
        uint256 act = draw % 32;
        if (act < 8) mob.give(a, b);
        else if (act < 12) mob.passTime(a);
        else if (act < 17) mob.claim(a, b, c);
        else if (act < 21) mob.accuse(a, b, c);
        else if (act < 23) mob.accuseTogether(a, b);
        else if (act < 25) mob.clean(a, b, c % 2 == 0);
        else if (act == 25) mob.grieve(a, b);
        else if (act == 26) mob.manipulate(a, b, c);
        else if (act == 27) mob.falsify(a, b, c);
        else if (act == 28) mob.tamper(a, b, uint8(c));
        else if (act == 29) mob.garble(a, b, c);
        else if (act == 30) mob.trespass(a, b);
        else mob.force(a);
    }
}

/// Cached weights of 16 bits.
contract PerceptronInvariantTest is InvariantTest {
    function modelName() internal pure virtual override returns (string memory) {
        return "Perceptron";
    }

    function shape() internal pure virtual override returns (ModelParams memory) {
        return defaultShape();
    }
}

/// Values, indices of 3 bytes and weights of 8 bits, read and written in storage.
contract ValuedPerceptronInvariantTest is PerceptronInvariantTest {
    function shape() internal pure override returns (ModelParams memory params) {
        params = defaultShape();
        (params.nFeatures, params.maxFeatures, params.valued, params.weightBits) = (65_537, 100, true, 8);
    }
}

/// Three classes.
contract MulticlassInvariantTest is InvariantTest {
    function modelName() internal pure override returns (string memory) {
        return "MulticlassPerceptron";
    }

    function shape() internal pure override returns (ModelParams memory params) {
        params = defaultShape();
        params.classes = 3;
    }
}

/// Counts and logarithms.
contract NaiveBayesInvariantTest is InvariantTest {
    function modelName() internal pure override returns (string memory) {
        return "NaiveBayes";
    }

    function shape() internal pure override returns (ModelParams memory params) {
        params = defaultShape();
        (params.weightBits, params.margin, params.smoothing) = (32, 0, 1_000);
    }
}

/// Sums and counts, with values.
contract NearestCentroidInvariantTest is InvariantTest {
    function modelName() internal pure override returns (string memory) {
        return "NearestCentroid";
    }

    function shape() internal pure override returns (ModelParams memory params) {
        params = defaultShape();
        (params.weightBits, params.margin, params.valued, params.classes) = (32, 0, true, 4);
    }
}
