// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPoints} from "../../contracts/interfaces/IPoints.sol";
import {PointsTest} from "./support/PointsTest.sol";

/// Validation points: who gives them, who gets them, and how many.
contract PointsValidationTest is PointsTest {
    function setUp() public override {
        useOwnMechanism();
        award(alice, POINTS_TO_VALIDATE);
        award(bob, 2);
    }

    /// A validation is told, and costs its giver a point that stays earned.
    function test_AValidationSpendsAPoint() public {
        assertEq(points.pointsToValidate(), POINTS_TO_VALIDATE);
        vm.expectEmit(address(points));
        emit IPoints.Validated(alice, bob, 1);
        validate(alice, bob);
        assertPoints(alice, POINTS_TO_VALIDATE, 0, 1);
        assertPoints(bob, 2, 1, 0);
        assertTrue(points.hasValidated(alice, bob));
        assertFalse(points.hasValidated(bob, alice));
    }

    /// On a trained model the whole way works: contributed, claimed, validated.
    function test_PointsEarnedByContributionsValidate() public {
        super.setUp();
        earn(alice, 0, 20);
        earn(carol, 100, 1);
        validate(alice, carol);
        assertPoints(carol, 1, 1, 0);
    }

    /// Whoever earned fewer points than are needed validates nobody, and with exactly as many it does.
    function test_AValidatorNeedsEnoughPoints() public {
        award(carol, POINTS_TO_VALIDATE - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPoints.TooFewPoints.selector, carol, POINTS_TO_VALIDATE - 1, POINTS_TO_VALIDATE
            )
        );
        validate(carol, bob);
        award(carol, 1);
        validate(carol, bob);
        assertPoints(bob, 2, 1, 0);
    }

    /// Nobody validates itself.
    function test_NobodyValidatesItself() public {
        vm.expectRevert(abi.encodeWithSelector(IPoints.OwnValidation.selector, alice));
        validate(alice, alice);
    }

    /// Nobody counts twice for the same contributor.
    function test_AValidatorCountsOnce() public {
        validate(alice, bob);
        vm.expectRevert(abi.encodeWithSelector(IPoints.AlreadyValidated.selector, alice, bob));
        validate(alice, bob);
    }

    /// A contributor never has more validation points than model points; with another model point there is room again.
    function test_ValidationPointsNeverExceedModelPoints() public {
        award(carol, POINTS_TO_VALIDATE);
        award(owner, POINTS_TO_VALIDATE);
        validate(alice, bob);
        validate(carol, bob);
        vm.expectRevert(abi.encodeWithSelector(IPoints.FullyValidated.selector, bob, 2));
        validate(owner, bob);
        award(bob, 1);
        validate(owner, bob);
        assertPoints(bob, 3, 3, 0);
    }

    /// Who has earned nothing cannot be validated, nor does it look as if it was.
    function test_OnlyContributorsAreValidated() public {
        // The first contributor has number 0, as those without a number seem to have.
        award(carol, POINTS_TO_VALIDATE);
        validate(carol, alice);
        vm.expectRevert(abi.encodeWithSelector(IPoints.FullyValidated.selector, owner, 0));
        validate(alice, owner);
        assertFalse(points.hasValidated(carol, owner));
    }

    /// Each point is spent once; a further one can be spent once it is earned.
    function test_EveryPointIsSpentOnce() public {
        for (uint160 i = 1; i <= POINTS_TO_VALIDATE + 1; i++) {
            award(address(i), 1);
        }
        for (uint160 i = 1; i <= POINTS_TO_VALIDATE; i++) {
            validate(alice, address(i));
        }
        address last = address(uint160(POINTS_TO_VALIDATE + 1));
        vm.expectRevert(abi.encodeWithSelector(IPoints.NothingToSpend.selector, alice, POINTS_TO_VALIDATE));
        validate(alice, last);
        award(alice, 1);
        validate(alice, last);
        assertPoints(alice, POINTS_TO_VALIDATE + 1, 0, POINTS_TO_VALIDATE + 1);
    }

    /// What the docs say of second addresses: 21 of them fill each other up to 20 validation points, and no further.
    function test_ARingOfAddressesIsBoundedByItsWork() public {
        for (uint160 i = 1; i <= 21; i++) {
            award(address(i), POINTS_TO_VALIDATE);
        }
        for (uint160 from = 1; from <= 21; from++) {
            for (uint160 to = 1; to <= 21; to++) {
                if (from != to) validate(address(from), address(to));
            }
        }
        for (uint160 i = 1; i <= 21; i++) {
            assertPoints(address(i), POINTS_TO_VALIDATE, POINTS_TO_VALIDATE, POINTS_TO_VALIDATE);
        }
        vm.expectRevert(
            abi.encodeWithSelector(IPoints.FullyValidated.selector, address(1), POINTS_TO_VALIDATE)
        );
        validate(alice, address(1));
        vm.expectRevert(
            abi.encodeWithSelector(IPoints.NothingToSpend.selector, address(1), POINTS_TO_VALIDATE)
        );
        validate(address(1), alice);
    }
}
