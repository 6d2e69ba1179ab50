// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {ICollaborativeTrainer, RefundClaim} from "../../contracts/interfaces/ICollaborativeTrainer.sol";
import {Batch} from "../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IPoints, Standing} from "../../contracts/interfaces/IPoints.sol";
import {PointsTest} from "./support/PointsTest.sol";
import {Samples} from "./support/Samples.sol";

/// Contributors who give, claim and validate at random, and the books that an outsider would keep of them.
contract PointsCrowd is PointsTest {
    uint256 internal constant PEOPLE = 4;

    Batch[] private _batches;
    mapping(uint256 batchId => bytes[]) private _samples;
    mapping(uint256 batchId => uint256) private _refunded;
    mapping(address contributor => uint256) public modelPoints;
    mapping(address contributor => uint256) public validationPoints;
    mapping(address contributor => uint256) public spentPoints;
    mapping(address validator => mapping(address contributor => bool)) public hasValidated;
    uint256 public validations;
    uint256 public disagreements;
    mapping(bytes4 reason => uint256) public refusals;

    constructor(ICollaborativeTrainer trainer_) {
        useTrainer(address(trainer_));
        points = IPoints(address(incentive));
    }

    function setUp() public override {}

    function give(uint256 who, uint256 draw) external {
        bytes[] memory samples = new bytes[](1 + draw % 30);
        for (uint256 i = 0; i < samples.length; i++) {
            draw = uint256(keccak256(abi.encode(draw)));
            samples[i] = Samples.run(uint8(draw % 2), uint16((draw >> 8) % 250), uint16(1 + (draw >> 16) % 6));
        }
        Batch memory batch = contribute(person(who), samples);
        assertEq(batch.depositPerUnit, 0);
        _batches.push(batch);
        _samples[batch.id] = samples;
    }

    function passTime(uint256 seconds_) external {
        skip(bound(seconds_, 6 hours, 1 days));
    }

    function claim(uint256 which, uint256 mask) external {
        if (_batches.length == 0) return;
        skip(which % 2);
        Batch memory batch = _batches[which % _batches.length];
        mask = mask % everySample(batch) + 1;
        RefundClaim[] memory claims = refundOf(batch, _samples[batch.id], mask);
        vm.recordLogs();
        vm.prank(batch.contributor);
        try trainer.refund(claims) returns (uint256 amountWei) {
            assertEq(amountWei, 0);
            _book(batch);
        } catch (bytes memory reason) {
            _expect(
                reason,
                [
                    IIncentiveMechanism.TooEarly.selector,
                    ICollaborativeTrainer.ContributionThisSecond.selector,
                    0,
                    0,
                    0
                ]
            );
        }
    }

    function endorse(uint256 giver, uint256 taker) external {
        (address validator, address contributor) = (person(giver), person(taker));
        vm.prank(validator);
        try points.validate(contributor) {
            assertFalse(hasValidated[validator][contributor]);
            assertGe(modelPoints[validator], POINTS_TO_VALIDATE);
            assertNotEq(validator, contributor);
            hasValidated[validator][contributor] = true;
            spentPoints[validator]++;
            validationPoints[contributor]++;
            validations++;
        } catch (bytes memory reason) {
            _expect(
                reason,
                [
                    IPoints.OwnValidation.selector,
                    IPoints.TooFewPoints.selector,
                    IPoints.NothingToSpend.selector,
                    IPoints.AlreadyValidated.selector,
                    IPoints.FullyValidated.selector
                ]
            );
        }
    }

    function person(uint256 who) public view returns (address) {
        return [owner, alice, bob, carol][who % PEOPLE];
    }

    /// Books the samples that the trainer says were refunded; none of them for the second time.
    function _book(Batch memory batch) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != ICollaborativeTrainer.Refunded.selector) continue;
            (, uint256 refunded, uint256 disagreed) = abi.decode(logs[i].data, (uint256, uint256, uint256));
            assertEq(_refunded[batch.id] & refunded, 0);
            _refunded[batch.id] |= refunded;
            if (disagreed != 0) disagreements++;
            for (uint256 index = 0; index < batch.count; index++) {
                modelPoints[batch.contributor] += (refunded & batch.informative) >> index & 1;
            }
        }
    }

    /// Fails unless the reason is one of these errors.
    function _expect(bytes memory reason, bytes4[5] memory allowed) private {
        bytes4 selector = bytes4(reason);
        bool found;
        for (uint256 i = 0; i < 5; i++) {
            found = found || (selector == allowed[i] && selector != 0);
        }
        require(found, string(reason));
        refusals[selector]++;
    }
}

contract PointsHistoryTest is PointsTest {
    PointsCrowd internal crowd;

    function setUp() public override {
        super.setUp();
        crowd = new PointsCrowd(trainer);
        targetContract(address(crowd));
        bytes4[] memory acts = new bytes4[](10);
        acts[0] = acts[1] = acts[2] = crowd.give.selector;
        acts[3] = acts[4] = crowd.passTime.selector;
        acts[5] = acts[6] = acts[7] = crowd.claim.selector;
        acts[8] = acts[9] = crowd.endorse.selector;
        targetSelector(FuzzSelector({addr: address(crowd), selectors: acts}));
    }

    /// The contract has the points that an outsider counts from the logs, within their limits.
    function invariant_PointsAreWhatLogsTell() public view {
        _checkPoints();
    }

    /// No history brings ether to the trainer.
    function invariant_ThereIsNeverAnyMoney() public view {
        assertEq(address(trainer).balance, 0);
    }

    /// A long history with a fixed seed reaches what the invariants are about: validations, disagreements, and refusals.
    function test_TheCrowdGetsEverywhere() public {
        uint256 draw = 1;
        for (uint256 i = 0; i < 500; i++) {
            draw = uint256(keccak256(abi.encode(draw)));
            (uint256 a, uint256 b) = (draw >> 128, draw >> 64);
            if (draw % 10 < 3) crowd.give(a, b);
            else if (draw % 10 < 5) crowd.passTime(a);
            else if (draw % 10 < 8) crowd.claim(a, ALL - b);
            else crowd.endorse(a, b);
            _checkPoints();
        }
        assertEq(crowd.validations(), 12, "everyone validated everyone else");
        assertGt(crowd.disagreements(), 0);
        bytes4[5] memory reasons = [
            IIncentiveMechanism.TooEarly.selector,
            ICollaborativeTrainer.ContributionThisSecond.selector,
            IPoints.OwnValidation.selector,
            IPoints.TooFewPoints.selector,
            IPoints.AlreadyValidated.selector
        ];
        for (uint256 i = 0; i < 5; i++) {
            assertGt(crowd.refusals(reasons[i]), 0, vm.toString(reasons[i]));
        }
    }

    function _checkPoints() private view {
        uint256 contributors;
        uint256 allValidation;
        uint256 allSpent;
        for (uint256 i = 0; i < 4; i++) {
            address who = crowd.person(i);
            (uint256 model_, uint256 validation, uint256 spent) = points.pointsOf(who);
            assertEq(model_, crowd.modelPoints(who));
            assertEq(validation, crowd.validationPoints(who));
            assertEq(spent, crowd.spentPoints(who));
            assertLe(validation, model_);
            assertLe(spent, model_);
            assertEq(points.validationsBy(who, 0, ALL).length, spent);
            if (model_ > 0) contributors++;
            allValidation += validation;
            allSpent += spent;
            for (uint256 k = 0; k < 4; k++) {
                address other = crowd.person(k);
                assertEq(points.hasValidated(who, other), crowd.hasValidated(who, other));
            }
        }
        assertEq(allValidation, allSpent);
        assertEq(points.contributorCount(), contributors);
        Standing[] memory standings = points.leaderboard(0, ALL);
        for (uint256 i = 0; i < standings.length; i++) {
            assertEq(standings[i].modelPoints, crowd.modelPoints(standings[i].contributor));
            assertEq(standings[i].validationPoints, crowd.validationPoints(standings[i].contributor));
        }
    }
}

/// The limits of validations, which the crowd's contributors earn too much to meet: random histories of awards instead of samples.
contract PointsBooksTest is PointsTest {
    function setUp() public override {
        useOwnMechanism();
    }

    /// Whatever the order of points and validations, nobody has more validation points than model points or spends more than it
    /// earned, and what was spent is what was given.
    function testFuzz_AnyHistoryKeepsTheBooks(uint256 draw) public {
        _history(draw);
    }

    /// Such a history has validations, and meets the limit of validation points.
    function test_AHistoryMeetsItsLimits() public {
        (uint256 validations, uint256 full) = _history(1);
        assertGt(validations, 0);
        assertGt(full, 0);
    }

    function _history(uint256 draw) private returns (uint256 validations, uint256 full) {
        for (uint256 i = 0; i < 150; i++) {
            draw = uint256(keccak256(abi.encode(draw)));
            address someone = address(uint160(0x1000 + (draw >> 8) % 25));
            // Few earn much, most earn next to nothing.
            if (draw % 3 == 0) {
                award(someone, uint160(someone) % 3 == 0 ? 20 : 1);
                continue;
            }
            vm.prank(address(uint160(0x1000 + (draw >> 16) % 25)));
            try points.validate(someone) {
                validations++;
            } catch (bytes memory reason) {
                if (bytes4(reason) == IPoints.FullyValidated.selector) full++;
            }
        }
        uint256 allValidation;
        uint256 allSpent;
        for (uint160 who = 0x1000; who < 0x1000 + 25; who++) {
            (uint256 model_, uint256 validation, uint256 spent) = points.pointsOf(address(who));
            assertLe(validation, model_);
            assertLe(spent, model_);
            allValidation += validation;
            allSpent += spent;
        }
        assertEq(allValidation, validations);
        assertEq(allSpent, validations);
    }
}
