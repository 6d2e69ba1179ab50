// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";
import {IIncentiveMechanism} from "../../contracts/interfaces/IIncentiveMechanism.sol";
import {IModel} from "../../contracts/interfaces/IModel.sol";

contract TypeNamesTest is Test {
    function _deploy(string memory name) private returns (address) {
        return vm.deployCode(string.concat(name, ".sol:", name));
    }

    /// Models and incentive mechanisms say by which name the command line knows them.
    function test_TypesHaveTheNamesOfTheCommandLine() public {
        assertEq(IModel(_deploy("Perceptron")).modelType(), "perceptron");
        assertEq(IModel(_deploy("MulticlassPerceptron")).modelType(), "multiclass-perceptron");
        assertEq(IModel(_deploy("NaiveBayes")).modelType(), "naive-bayes");
        assertEq(IModel(_deploy("NearestCentroid")).modelType(), "nearest-centroid");
        assertEq(IIncentiveMechanism(_deploy("StakeIncentive")).incentiveType(), "stake");
        assertEq(IIncentiveMechanism(_deploy("PointsIncentive")).incentiveType(), "points");
    }
}
