// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Stands for the OP stack's GasPriceOracle, after Fjord and Isthmus
/// @notice Tests put it at the oracle's address and write its storage, which the OP stack has in another contract.
contract GasPriceOracleMock {
    /// @notice Slot 0: layer 1's base fee, in wei.
    uint256 public l1BaseFee;
    /// @notice Slot 1: layer 1's blob base fee, in wei.
    uint256 public blobBaseFee;
    /// @notice Slot 2: millionths of the base fee, for 16 units of calldata gas.
    uint256 public baseFeeScalar;
    /// @notice Slot 3: millionths of the blob base fee.
    uint256 public blobBaseFeeScalar;
    /// @notice Slot 4: millionths of a wei that the operator takes for a unit of gas.
    uint256 public operatorFeeScalar;
    /// @notice Slot 5: wei that the operator takes for a transaction.
    uint256 public operatorFeeConstant;

    /// @notice What scalars are fractions of, in digits.
    function decimals() external pure returns (uint256) {
        return 6;
    }

    /// @notice The data fee of an unsigned transaction.
    function getL1Fee(bytes calldata data) external view returns (uint256) {
        return _fee(_compressedSize(data) + 68);
    }

    /// @notice What an unsigned transaction of this size hardly ever costs more than.
    function getL1FeeUpperBound(uint256 size) external view returns (uint256) {
        uint256 signed = size + 68;
        return _fee(signed + signed / 255 + 16);
    }

    /// @notice The operator's fee for a transaction that uses so much gas.
    function getOperatorFee(uint256 gasUsed) external view returns (uint256) {
        return gasUsed * operatorFeeScalar / 1e6 + operatorFeeConstant;
    }

    function _fee(uint256 compressed) private view returns (uint256) {
        uint256 estimated = compressed * 836_500;
        estimated = estimated < 142_585_600 ? 100_000_000 : estimated - 42_585_600;
        return estimated * (16 * baseFeeScalar * l1BaseFee + blobBaseFeeScalar * blobBaseFee) / 1e12;
    }

    /// @dev How many bytes FastLZ makes of these at its first level.
    function _compressedSize(bytes calldata data) private pure returns (uint256 size) {
        uint256 literals = 0;
        if (data.length > 13) {
            uint256[] memory seen = new uint256[](8192);
            uint256 end = data.length - 13;
            for (uint256 at = 2; at < end;) {
                uint256 key = _key(data, at);
                uint256 slot = _slot(key);
                uint256 earlier = seen[slot];
                seen[slot] = at;
                if (at - earlier > 8191 || key != _key(data, earlier)) {
                    ++at;
                    continue;
                }
                uint256 run = 3;
                while (at + run < end + 9 && data[at + run] == data[earlier + run]) ++run;
                if (at + run == end + 9) --run;
                size += _literals(at - literals) + 3 * ((run - 3) / 262) + ((run - 3) % 262 < 6 ? 2 : 3);
                literals = at + run;
                for (at = literals - 2; at < literals; ++at) {
                    seen[_slot(_key(data, at))] = at;
                }
            }
        }
        size += _literals(data.length - literals);
    }

    function _literals(uint256 count) private pure returns (uint256) {
        return count + (count + 31) / 32;
    }

    function _key(bytes calldata data, uint256 at) private pure returns (uint256) {
        return uint8(data[at]) | uint256(uint8(data[at + 1])) << 8 | uint256(uint8(data[at + 2])) << 16;
    }

    function _slot(uint256 key) private pure returns (uint256) {
        return (key * 2_654_435_769 & type(uint32).max) >> 19;
    }
}

/// @title Stands for Arbitrum's ArbSys and NodeInterface
contract ArbitrumMock {
    /// @notice Slot 0: gas that a byte of data costs.
    uint256 public gasOfAByte;

    /// @notice The chain's id.
    function arbChainID() external view returns (uint256) {
        return block.chainid;
    }

    /// @notice The gas that data costs, and two prices that nobody asks for.
    function gasEstimateL1Component(address, bool, bytes calldata data)
        external
        view
        returns (uint64, uint256, uint256)
    {
        return (uint64(data.length * gasOfAByte), block.basefee, 0);
    }
}

/// @title Uses up gas
contract GasBurner {
    /// @notice Uses at least so much gas, and hardly more.
    fallback() external {
        uint256 wanted = abi.decode(msg.data, (uint256));
        uint256 before = gasleft();
        while (before - gasleft() < wanted) {}
    }
}
