// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";
import {
    ICollaborativeTrainer,
    RefundClaim,
    SampleProof
} from "../../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch, IDataHandler} from "../../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel, ModelParams} from "../../../contracts/interfaces/IModel.sol";
import {CreateParams, IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Samples} from "./Samples.sol";

/// A registry and a sealed model of 256 features, and what most tests do with it.
abstract contract TrainerTest is Test {
    uint64 internal constant REFUND_WAIT_S = 1 days;
    uint64 internal constant REPORT_WAIT_S = 2 days;
    uint64 internal constant OWNER_WAIT_S = 7 days;
    uint64 internal constant PUBLIC_WAIT_S = 9 days;
    uint128 internal constant COST_WEIGHT_WEI = 1e11;
    uint256 internal constant ALL = type(uint256).max;

    IModelRegistry internal registry;
    ICollaborativeTrainer internal trainer;
    IModel internal model;
    IIncentiveMechanism internal incentive;
    IDataHandler internal dataHandler;

    address internal owner = makeAddr("owner");
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal carol = makeAddr("carol");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        // As it is shipped. Tests themselves are compiled without the intermediate representation, which would take a
        // minute, and whatever they import would be too.
        registry = newRegistry();
        install("CollaborativeTrainer");
        install("DataHandler");
        useModel("main", defaultShape());
        vm.prank(owner);
        trainer.seal();
        for (uint256 i = 0; i < 4; i++) {
            vm.deal([owner, alice, bob, carol][i], wealthWei());
        }
    }

    function defaultShape() internal pure returns (ModelParams memory) {
        return ModelParams({
            nFeatures: 256,
            maxFeatures: 200,
            valued: false,
            classes: 2,
            weightBits: 16,
            margin: 2,
            smoothing: 0,
            bernoulli: false
        });
    }

    /// What everybody has at first.
    function wealthWei() internal pure virtual returns (uint256) {
        return 1000 ether;
    }

    function defaultTerms() internal view virtual returns (Terms memory) {
        return Terms({
            refundWaitS: REFUND_WAIT_S,
            reportWaitS: REPORT_WAIT_S,
            ownerWaitS: OWNER_WAIT_S,
            publicWaitS: PUBLIC_WAIT_S,
            minGapS: 1 days,
            maxIdleS: 1 hours,
            costWeightWei: COST_WEIGHT_WEI
        });
    }

    /// The types of models, by the names of their contracts.
    function modelContracts() internal pure returns (string[] memory names) {
        names = new string[](4);
        (names[0], names[1]) = ("Perceptron", "MulticlassPerceptron");
        (names[2], names[3]) = ("NaiveBayes", "NearestCentroid");
    }

    /// The types of incentive mechanisms, by the names of their contracts.
    function incentiveContracts() internal pure returns (string[] memory names) {
        names = new string[](2);
        (names[0], names[1]) = ("StakeIncentive", "PointsIncentive");
    }

    /// A registry that knows all shipped contracts and has installed none.
    function newRegistry() internal returns (IModelRegistry) {
        bytes memory arguments = abi.encode(
            codeHash("CollaborativeTrainer"),
            codeHash("DataHandler"),
            codeHashes(modelContracts()),
            codeHashes(incentiveContracts())
        );
        return IModelRegistry(vm.deployCode("ModelRegistry.sol:ModelRegistry", arguments));
    }

    /// What creates a contract, as it is shipped.
    function creationCode(string memory contractName) internal view returns (bytes memory) {
        return vm.getCode(string.concat(contractName, ".sol:", contractName));
    }

    function codeHash(string memory contractName) internal view returns (bytes32) {
        return keccak256(creationCode(contractName));
    }

    function codeHashes(string[] memory contractNames) internal view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](contractNames.length);
        for (uint256 i = 0; i < hashes.length; i++) {
            hashes[i] = codeHash(contractNames[i]);
        }
    }

    /// Installs an implementation; one that is there already is left alone.
    function install(string memory contractName) internal returns (address implementation) {
        bytes[] memory codes = new bytes[](1);
        codes[0] = creationCode(contractName);
        registry.install(codes);
        return registry.implementationOf(keccak256(codes[0]));
    }

    /// What makes a perceptron with stakes.
    function createParams(string memory name, ModelParams memory shape)
        internal
        view
        returns (CreateParams memory)
    {
        return CreateParams({
            name: name,
            featureSpec: "{}",
            modelCode: codeHash("Perceptron"),
            incentiveCode: codeHash("StakeIncentive"),
            model: shape,
            terms: defaultTerms()
        });
    }

    /// Creates another model, unsealed, and goes on with it.
    function useModel(string memory name, ModelParams memory shape) internal {
        useModel(createParams(name, shape), "Perceptron", "StakeIncentive");
    }

    /// Creates another model of any type, unsealed, and goes on with it.
    function useModel(
        CreateParams memory params,
        string memory modelContract,
        string memory incentiveContract
    ) internal {
        install(modelContract);
        install(incentiveContract);
        params.modelCode = codeHash(modelContract);
        params.incentiveCode = codeHash(incentiveContract);
        vm.prank(owner);
        useTrainer(registry.create(params));
    }

    /// Goes on with another model.
    function useTrainer(address created) internal {
        trainer = ICollaborativeTrainer(created);
        model = trainer.model();
        incentive = trainer.incentive();
        dataHandler = trainer.dataHandler();
    }

    /// Contributes for the exact price, and puts the meta-data together from the event and the samples.
    function contribute(address from, bytes[] memory samples) internal returns (Batch memory batch) {
        bytes memory payload = Samples.join(samples);
        (, uint256 units) = model.measure(payload);
        uint256 depositWei = trainer.quote(units);
        vm.recordLogs();
        vm.prank(from);
        batch.id = trainer.contribute{value: depositWei}(payload);
        batch.contributor = from;
        batch.addedAt = uint64(block.timestamp);
        batch.depositPerUnit = uint128(depositWei / units);
        batch.count = uint16(samples.length);
        batch.units = uint32(units);
        batch.informative = informativeOf(vm.getRecordedLogs());
        batch.samplesRoot = Samples.root(samples);
    }

    /// The bitmap that the only `Contributed` event among the logs tells.
    function informativeOf(Vm.Log[] memory logs) internal pure returns (uint256 informative) {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != ICollaborativeTrainer.Contributed.selector) continue;
            (,, informative,) = abi.decode(logs[i].data, (uint256, uint256, uint256, bytes));
        }
    }

    function refundOf(Batch memory batch, bytes[] memory samples, uint256 mask)
        internal
        pure
        returns (RefundClaim[] memory claims)
    {
        claims = new RefundClaim[](1);
        claims[0] = RefundClaim({batch: batch, payload: Samples.join(samples), mask: mask});
    }

    /// The whole batch as a mask.
    function everySample(Batch memory batch) internal pure returns (uint256) {
        return ALL >> (256 - batch.count);
    }

    function refund(Batch memory batch, bytes[] memory samples, uint256 mask)
        internal
        returns (uint256 amountWei)
    {
        RefundClaim[] memory claims = refundOf(batch, samples, mask);
        vm.prank(batch.contributor);
        return trainer.refund(claims);
    }

    function proofOf(bytes[] memory samples, uint256 index)
        internal
        pure
        returns (SampleProof[] memory proofs)
    {
        proofs = new SampleProof[](1);
        proofs[0] = SampleProof({index: index, sample: samples[index], proof: Samples.proof(samples, index)});
    }

    function report(address reporter, Batch memory batch, bytes[] memory samples, uint256 index)
        internal
        returns (uint256 amountWei)
    {
        SampleProof[] memory proofs = proofOf(samples, index);
        vm.prank(reporter);
        return trainer.report(batch, proofs);
    }

    /// Moves the model until it predicts the label for the samples with this one feature.
    function teach(address teacher, uint8 label, uint16 feature) internal {
        vm.deal(teacher, 1e9 ether);
        for (uint256 i = 0; i < 4; i++) {
            skip(1 hours);
            contribute(teacher, list(Samples.one(label, feature)));
        }
        skip(1);
    }

    /// Gives somebody standing: a sample with the label that the model does not predict, refunded after the wait. Leaves the clock
    /// after the wait.
    function earnStanding(address contributor, uint16 feature) internal returns (uint256 earnedUnits) {
        uint8 predicted = uint8(trainer.predict(Samples.one(0, feature))[0]);
        bytes[] memory samples = list(Samples.one(1 - predicted, feature));
        uint256 beforeUnits = incentive.validatedUnits(contributor);
        Batch memory batch = contribute(contributor, samples);
        skip(REFUND_WAIT_S);
        assertGt(refund(batch, samples, 1), 0);
        earnedUnits = batch.units;
        assertEq(incentive.validatedUnits(contributor), beforeUnits + earnedUnits);
    }

    function list(bytes memory a) internal pure returns (bytes[] memory samples) {
        samples = new bytes[](1);
        samples[0] = a;
    }

    function list(bytes memory a, bytes memory b) internal pure returns (bytes[] memory samples) {
        samples = new bytes[](2);
        (samples[0], samples[1]) = (a, b);
    }

    function list(bytes memory a, bytes memory b, bytes memory c)
        internal
        pure
        returns (bytes[] memory samples)
    {
        samples = new bytes[](3);
        (samples[0], samples[1], samples[2]) = (a, b, c);
    }
}
