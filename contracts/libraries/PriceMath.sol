// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The price of a batch
/// @notice With c = costWeightWei * 3600, B units after dt idle seconds cost together
///
///     c * B^1.5 / sqrt(dt)      if 9 B <= 4 dt     (B single contributions, spread evenly over dt)
///     c * (B - 4 dt / 27)       otherwise          (its convex continuation)
///
/// so no way of cutting a batch into smaller ones is cheaper. With B = 1 and dt >= 3 it is the price of "Decentralized &
/// Collaborative AI on Blockchain" (Harris and Waggoner, 2019).
///
/// In integers, per unit, which is what both contracts and clients compute:
///
///     if 9 B <= 4 dt:  ceil(c * isqrt(B * 10^18) / isqrt(dt * 10^18))
///     otherwise:       ceil(c * (27 B - 4 dt) / (27 B))
///
/// where isqrt rounds down: the roots are fixed-point numbers with nine decimals.
library PriceMath {
    uint256 private constant SCALE_SQUARED = 1e18;

    /// @notice The price of one unit of a batch.
    /// @param costWeightWei The cost weight, below 2^80.
    /// @param units The units of the whole batch, 1 to 2^32.
    /// @param idleS Seconds since the last contribution, below 2^40.
    /// @return depositWei The price, rounded up; at least 1 if the cost weight is.
    function depositPerUnit(uint256 costWeightWei, uint256 units, uint256 idleS)
        internal
        pure
        returns (uint256 depositWei)
    {
        uint256 cost = costWeightWei * 3600;
        if (9 * units <= 4 * idleS) {
            return Math.ceilDiv(cost * Math.sqrt(units * SCALE_SQUARED), Math.sqrt(idleS * SCALE_SQUARED));
        }
        return Math.ceilDiv(cost * (27 * units - 4 * idleS), 27 * units);
    }
}
