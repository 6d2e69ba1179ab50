// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IIncentiveMechanism, Terms} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel, ModelParams} from "../../contracts/interfaces/IModel.sol";
import {CreateParams, IModelRegistry, Role} from "../../contracts/interfaces/IModelRegistry.sol";
import {CodeStorage} from "../../contracts/libraries/CodeStorage.sol";
import {TrainerTest} from "./support/TrainerTest.sol";

contract RegistryTest is TrainerTest {
    function _params(string memory name) private view returns (CreateParams memory params) {
        params = createParams(name, defaultShape());
        params.featureSpec = '{"kind":"text","n_features":256}';
    }

    function _implementation(string memory contractName) private view returns (address) {
        return registry.implementationOf(codeHash(contractName));
    }

    /// A created model is listed, owned by who created it, and has what it was created with.
    function test_AModelHasWhatItWasCreatedWith() public {
        CreateParams memory params = _params("sms-spam-2");
        vm.prank(alice);
        address created = registry.create(params);
        assertTrue(registry.isModel(created));
        assertEq(registry.modelOf(alice, "sms-spam-2"), created);
        useTrainer(created);
        assertEq(trainer.owner(), alice);
        assertEq(trainer.sealedAt(), 0);
        assertEq(trainer.featureSpec(), params.featureSpec);
        assertEq(abi.encode(trainer.params()), abi.encode(params.model));
        assertEq(abi.encode(trainer.terms()), abi.encode(params.terms));
        assertEq(model.totalWords(), 17);
    }

    /// The event tells the parts of a new model.
    function test_CreationIsTold() public {
        CreateParams memory params = _params("m");
        bytes32 salt = keccak256(abi.encode(bob, "m"));
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelCreated(
            _clone("CollaborativeTrainer", salt),
            bob,
            params.modelCode,
            params.incentiveCode,
            "m",
            _clone("Perceptron", salt),
            _clone("StakeIncentive", salt),
            _clone("DataHandler", salt),
            params.featureSpec
        );
        vm.prank(bob);
        registry.create(params);
    }

    /// Each clone runs its implementation's code, which is how clients recognise it.
    function test_PartsAreMinimalProxies() public view {
        assertEq(address(trainer).code, _proxyOf(_implementation("CollaborativeTrainer")));
        assertEq(address(model).code, _proxyOf(_implementation("Perceptron")));
        assertEq(address(incentive).code, _proxyOf(_implementation("StakeIncentive")));
        assertEq(address(dataHandler).code, _proxyOf(_implementation("DataHandler")));
    }

    /// What a trainer says of itself leads to all four addresses, and only by the clones' standard creation code.
    function test_AddressesFollowFromRegistryOwnerAndName() public {
        // The longest name, which does not fit into the slot of its length.
        string memory longest = "abcdefghijklmnopqrstuvwxyz-01234";
        vm.prank(alice);
        useTrainer(registry.create(_params(longest)));
        assertEq(trainer.registry(), address(registry));
        assertEq(trainer.owner(), alice);
        assertEq(trainer.name(), longest);
        assertEq(address(trainer), _predicted(_implementation("CollaborativeTrainer")));
        assertEq(address(model), _predicted(_implementation("Perceptron")));
        assertEq(address(incentive), _predicted(_implementation("StakeIncentive")));
        assertEq(address(dataHandler), _predicted(_implementation("DataHandler")));
    }

    /// A name is unique among its owner's models, and only there.
    function test_NamesAreUniquePerOwner() public {
        vm.prank(alice);
        address first = registry.create(_params("m"));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NameTaken.selector, alice, "m", first));
        vm.prank(alice);
        registry.create(_params("m"));
        vm.prank(bob);
        assertTrue(registry.create(_params("m")) != first);
    }

    /// Names have 1 to 32 letters, digits and hyphens.
    function test_OtherNamesAreRefused() public {
        string[8] memory names =
            ["", "Upper", "a b", "a_b", "a/b", unicode"ä", "a123456789012345678901234567890123", "a\x00"];
        for (uint256 i = 0; i < names.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InvalidName.selector, names[i]));
            registry.create(_params(names[i]));
        }
        registry.create(_params("-09az-90123456789012345678901234"));
    }

    /// The list comes in pages, and ends where it ends.
    function test_ModelsAreListedInPages() public {
        address second = registry.create(_params("b"));
        address third = registry.create(_params("c"));
        assertEq(registry.modelCount(), 3);
        address[] memory page = registry.models(1, 5);
        assertEq(page.length, 2);
        assertEq(page[0], second);
        assertEq(page[1], third);
        assertEq(registry.models(0, 1)[0], address(trainer));
        assertEq(registry.models(3, 1).length, 0);
        assertEq(registry.models(ALL, ALL).length, 0);
    }

    /// Models have 2 to 2^24 features, and samples at least one.
    function test_ShapesOutOfRangeAreRefused() public {
        ModelParams[3] memory shapes = [defaultShape(), defaultShape(), defaultShape()];
        shapes[0].nFeatures = 1;
        shapes[1].nFeatures = 2 ** 24 + 1;
        shapes[2].maxFeatures = 0;
        for (uint256 i = 0; i < shapes.length; i++) {
            CreateParams memory params = _params("m");
            params.model = shapes[i];
            vm.expectRevert(abi.encodeWithSelector(IModel.InvalidModelParams.selector, shapes[i]));
            registry.create(params);
        }
        useModel(
            "largest",
            ModelParams({
                nFeatures: 2 ** 24,
                maxFeatures: 1,
                valued: true,
                classes: 2,
                weightBits: 16,
                margin: 65_535,
                smoothing: 0,
                bernoulli: false
            })
        );
        assertEq(model.totalWords(), 2 ** 20 + 1);
        assertEq(model.weights(2 ** 20, 1)[0], 0);
    }

    function _expectInvalid(Terms memory terms) private {
        CreateParams memory params = _params("m");
        params.terms = terms;
        vm.expectRevert(abi.encodeWithSelector(IIncentiveMechanism.InvalidTerms.selector, terms));
        registry.create(params);
    }

    /// Waits come in their order, with at least the gap between them, and a sample costs something.
    function test_TermsOutOfOrderAreRefused() public {
        Terms memory terms = defaultTerms();
        terms.refundWaitS = 0;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.minGapS = 1 days + 1;
        _expectInvalid(terms);
        terms = defaultTerms();
        (terms.minGapS, terms.reportWaitS) = (0, terms.refundWaitS);
        _expectInvalid(terms);
        terms = defaultTerms();
        (terms.minGapS, terms.ownerWaitS) = (0, terms.reportWaitS);
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.ownerWaitS = terms.reportWaitS + 1 days - 1;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.publicWaitS = terms.ownerWaitS - 1;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.costWeightWei = 0;
        _expectInvalid(terms);
    }

    /// Terms so large that a sum of times or a price could overflow are refused.
    function test_TermsBeyondACenturyAreRefused() public {
        Terms memory terms = defaultTerms();
        terms.publicWaitS = type(uint64).max;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.minGapS = type(uint64).max;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.maxIdleS = 36_525 days + 1;
        _expectInvalid(terms);
        terms = defaultTerms();
        terms.costWeightWei = 1e24 + 1;
        _expectInvalid(terms);
    }

    /// Equal owner and public waits, and gaps of exactly the least, are in order.
    function test_TermsAtTheLimitsAreAccepted() public {
        CreateParams memory params = _params("m");
        params.terms = Terms(1, 2, 3, 3, 1, 0, 1);
        assertTrue(registry.isModel(registry.create(params)));
        uint64 century = 36_525 days;
        (params.name, params.terms) = ("n", Terms(1, 2, century, century, 1, century, 1e24));
        assertTrue(registry.isModel(registry.create(params)));
        (params.name, params.terms) = ("o", Terms(1, century / 2, century, century, century / 2 - 1, 0, 1));
        assertTrue(registry.isModel(registry.create(params)));
    }

    /// A feature spec is neither empty nor larger than a contract.
    function test_SpecsThatCannotBeStoredAreRefused() public {
        CreateParams memory params = _params("m");
        params.featureSpec = "";
        vm.expectRevert(abi.encodeWithSelector(CodeStorage.InvalidSize.selector, 0, 24_575));
        registry.create(params);
        params.featureSpec = string(new bytes(24_576));
        vm.expectRevert(abi.encodeWithSelector(CodeStorage.InvalidSize.selector, 24_576, 24_575));
        registry.create(params);
        params.featureSpec = string(new bytes(24_575));
        useTrainer(registry.create(params));
        assertEq(bytes(trainer.featureSpec()).length, 24_575);
    }

    /// Implementations stand where CREATE2 puts their creation code, so they never had another code; each is told once.
    function test_ImplementationsAreInstalledByAnybodyOnce() public {
        registry = newRegistry();
        bytes[] memory codes = new bytes[](2);
        (codes[0], codes[1]) = (creationCode("Perceptron"), creationCode("DataHandler"));
        address expected = vm.computeCreate2Address(0, keccak256(codes[0]), address(registry));
        assertEq(_implementation("Perceptron"), expected);
        assertEq(expected.code.length, 0);
        vm.expectEmit(address(registry));
        emit IModelRegistry.Installed(keccak256(codes[0]), expected);
        vm.prank(carol);
        registry.install(codes);
        assertGt(expected.code.length, 0);
        assertGt(_implementation("DataHandler").code.length, 0);
        vm.recordLogs();
        registry.install(codes);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    /// Nothing else than what the registry was made with can be installed.
    function test_UnknownCodeIsNotInstalled() public {
        bytes[] memory codes = new bytes[](2);
        (codes[0], codes[1]) = (creationCode("Perceptron"), bytes.concat(creationCode("Perceptron"), hex"00"));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownCode.selector, keccak256(codes[1])));
        registry.install(codes);
    }

    /// A model is made of installed implementations only, and each in its role.
    function test_PartsMustBeInstalledAndInTheirRole() public {
        registry = newRegistry();
        CreateParams memory params = _params("m");
        string[4] memory order = ["CollaborativeTrainer", "Perceptron", "StakeIncentive", "DataHandler"];
        for (uint256 i = 0; i < order.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotInstalled.selector, codeHash(order[i])));
            registry.create(params);
            install(order[i]);
        }
        (params.modelCode, params.incentiveCode) = (codeHash("StakeIncentive"), codeHash("StakeIncentive"));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownCode.selector, params.modelCode));
        registry.create(params);
        (params.modelCode, params.incentiveCode) = (codeHash("Perceptron"), codeHash("Perceptron"));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownCode.selector, params.incentiveCode));
        registry.create(params);
        params.incentiveCode = codeHash("StakeIncentive");
        assertTrue(registry.isModel(registry.create(params)));
    }

    /// The registry says what it was made with.
    function test_TheRegistryTellsItsCodes() public view {
        assertEq(registry.trainerCode(), codeHash("CollaborativeTrainer"));
        assertEq(registry.dataHandlerCode(), codeHash("DataHandler"));
        assertTrue(registry.roleOf(codeHash("CollaborativeTrainer")) == Role.Trainer);
        assertTrue(registry.roleOf(codeHash("DataHandler")) == Role.DataHandler);
        assertTrue(registry.roleOf(codeHash("Perceptron")) == Role.Model);
        assertTrue(registry.roleOf(codeHash("StakeIncentive")) == Role.Incentive);
        assertTrue(registry.roleOf(codeHash("ModelRegistry")) == Role.None);
    }

    /// Its owner can name another model instead of one, another again, and none.
    function test_AModelCanBeSuperseded() public {
        vm.startPrank(alice);
        address old = registry.create(_params("old"));
        address next = registry.create(_params("next"));
        vm.stopPrank();
        address[3] memory successors = [next, address(trainer), address(0)];
        for (uint256 i = 0; i < successors.length; i++) {
            vm.expectEmit(address(registry));
            emit IModelRegistry.Superseded(old, successors[i]);
            vm.prank(alice);
            registry.supersede(old, successors[i]);
            assertEq(registry.supersededBy(old), successors[i]);
        }
        assertEq(registry.supersededBy(next), address(0));
    }

    /// Nobody else can say so, nor name what is no model of this registry.
    function test_OnlyTheOwnerSupersedesAndByModelsOnly() public {
        vm.prank(alice);
        address old = registry.create(_params("old"));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotModelOwner.selector, bob, alice));
        vm.prank(bob);
        registry.supersede(old, address(trainer));
        vm.startPrank(alice);
        address[2] memory others = [old, carol];
        for (uint256 i = 0; i < others.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, others[i]));
            registry.supersede(old, others[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, carol));
        registry.supersede(carol, old);
    }

    function _predicted(address implementation) private view returns (address) {
        return _cloneOf(implementation, keccak256(abi.encode(trainer.owner(), trainer.name())));
    }

    function _clone(string memory contractName, bytes32 salt) private view returns (address) {
        return _cloneOf(_implementation(contractName), salt);
    }

    function _cloneOf(address implementation, bytes32 salt) private view returns (address) {
        bytes memory creation = bytes.concat(hex"3d602d80600a3d3981f3", _proxyOf(implementation));
        return vm.computeCreate2Address(salt, keccak256(creation), address(registry));
    }

    function _proxyOf(address implementation) private pure returns (bytes memory) {
        return
            abi.encodePacked(hex"363d3d373d3d3d363d73", implementation, hex"5af43d82803e903d91602b57fd5bf3");
    }
}
