// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SymTest} from "./SymTest.sol";
import {Decoder} from "./Decoder.sol";

/// Proofs (halmos): the decoder takes exactly what is well formed, whatever the bytes. Only lengths are fixed.
contract PayloadProofs is SymTest {
    Decoder internal decoder = new Decoder();

    /// Every payload of at most so many bytes.
    function _compareUpTo(uint256 longest, uint256 nFeatures, bool valued) private view {
        uint256 chosen = svm.createUint(8, "length");
        for (uint256 length = 0; length <= longest; length++) {
            if (length != chosen) continue;
            bytes memory payload = svm.createBytes(length, "payload");
            _forkByCounts(payload, (nFeatures <= 65_536 ? 2 : 3) + (valued ? 1 : 0));
            _compare(nFeatures, valued, payload);
            return;
        }
    }

    /// Goes on once for every number of features that a sample may announce, with the same bytes as a constant: halmos takes no
    /// position in calldata that is not one. Any other number is one that does not fit, and no position depends on it.
    function _forkByCounts(bytes memory payload, uint256 featureBytes) private pure {
        uint256 position;
        bool known = true;
        while (known && position + 3 <= payload.length) {
            known = false;
            uint256 n = uint256(uint8(payload[position + 1])) << 8 | uint8(payload[position + 2]);
            for (uint256 fits = 1; 3 + position + fits * featureBytes <= payload.length; fits++) {
                if (n != fits) continue;
                (payload[position + 1], payload[position + 2]) = (0, bytes1(uint8(fits)));
                position += 3 + fits * featureBytes;
                known = true;
                break;
            }
        }
    }

    function _compare(uint256 nFeatures, bool valued, bytes memory payload) private view {
        bool wellFormed = decoder.isWellFormed(nFeatures, 60, valued, 3, payload);
        try decoder.decode(nFeatures, 60, valued, 3, payload) {
            assert(wellFormed);
        } catch {
            assert(!wellFormed);
        }
    }

    /// Indices of 2 bytes, every payload of 0 to 14 bytes: up to two samples, or one of five features.
    function check_IndicesOfTwoBytes() public view {
        _compareUpTo(14, 300, false);
    }

    /// Indices of 2 bytes with values, every payload of 0 to 13 bytes.
    function check_ValuesAndIndicesOfTwoBytes() public view {
        _compareUpTo(13, 300, true);
    }

    /// Indices of 3 bytes, every payload of 0 to 13 bytes.
    function check_IndicesOfThreeBytes() public view {
        _compareUpTo(13, 70_000, false);
    }

    /// Indices of 3 bytes with values, every payload of 0 to 12 bytes.
    function check_ValuesAndIndicesOfThreeBytes() public view {
        _compareUpTo(12, 70_000, true);
    }

    /// Sixteen neighbours are compared at once from 17 features on: every sample of 17 features.
    function check_SeventeenFeatures() public view {
        _compare(300, false, bytes.concat(hex"010011", svm.createBytes(34, "indices")));
    }

    /// Every sample of 36 features, which are two whole blocks and a part.
    function check_ThirtySixFeatures() public view {
        _compare(300, false, bytes.concat(hex"010024", svm.createBytes(72, "indices")));
    }
}
