// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Batch} from "../../../contracts/interfaces/IDataHandler.sol";
import {IIncentiveMechanism, Terms} from "../../../contracts/interfaces/IIncentiveMechanism.sol";
import {CreateParams} from "../../../contracts/interfaces/IModelRegistry.sol";
import {IPoints} from "../../../contracts/interfaces/IPoints.sol";
import {Samples} from "./Samples.sol";
import {TrainerTest} from "./TrainerTest.sol";

/// A sealed model of 256 features that pays points, and what most tests of points do with it.
abstract contract PointsTest is TrainerTest {
    uint256 internal constant POINTS_TO_VALIDATE = 20;

    IPoints internal points;

    function setUp() public virtual override {
        vm.warp(1_800_000_000);
        registry = newRegistry();
        install("CollaborativeTrainer");
        install("DataHandler");
        CreateParams memory params = createParams("points", defaultShape());
        params.terms = pointsTerms(REFUND_WAIT_S);
        useModel(params, "Perceptron", "PointsIncentive");
        points = IPoints(address(incentive));
        vm.prank(owner);
        trainer.seal();
    }

    /// A clone of the mechanism as it is shipped, not yet initialised.
    function freshMechanism() internal returns (IIncentiveMechanism) {
        return IIncentiveMechanism(Clones.clone(vm.deployCode("PointsIncentive.sol:PointsIncentive")));
    }

    /// Terms that name a refund wait and nothing else.
    function pointsTerms(uint64 refundWaitS) internal pure returns (Terms memory terms) {
        terms.refundWaitS = refundWaitS;
    }

    /// Samples of one feature each with labels in turn, so that the bias stays and the model predicts the other one for each.
    function lessons(uint16 firstFeature, uint256 count) internal pure returns (bytes[] memory samples) {
        samples = new bytes[](count);
        for (uint256 i = 0; i < count; i++) {
            samples[i] = Samples.one(uint8((i + 1) % 2), firstFeature + uint16(i));
        }
    }

    /// Earns a point for each of so many features; leaves the clock after the wait.
    function earn(address contributor, uint16 firstFeature, uint256 count) internal {
        bytes[] memory samples = lessons(firstFeature, count);
        Batch memory batch = contribute(contributor, samples);
        skip(REFUND_WAIT_S);
        refund(batch, samples, everySample(batch));
    }

    /// Credits points where the test itself is the trainer.
    function award(address contributor, uint256 count) internal {
        Batch memory batch;
        batch.contributor = contributor;
        batch.count = 256;
        batch.informative = ALL;
        for (; count > 0; batch.id++) {
            uint256 now_ = count < 256 ? count : 256;
            incentive.settleRefund(batch, ALL >> (256 - now_), "");
            count -= now_;
        }
    }

    /// Goes on with a points mechanism whose trainer is the test itself.
    function useOwnMechanism() internal {
        incentive = freshMechanism();
        incentive.initialize(address(this), pointsTerms(REFUND_WAIT_S));
        points = IPoints(address(incentive));
    }

    function validate(address validator, address contributor) internal {
        vm.prank(validator);
        points.validate(contributor);
    }

    function assertPoints(address contributor, uint256 model_, uint256 validation, uint256 spent)
        internal
        view
    {
        (uint256 modelPoints, uint256 validationPoints, uint256 spentPoints) = points.pointsOf(contributor);
        assertEq(modelPoints, model_, "model points");
        assertEq(validationPoints, validation, "validation points");
        assertEq(spentPoints, spent, "spent points");
    }
}
