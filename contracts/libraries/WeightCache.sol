// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A copy in memory of the weights that a batch touches.
/// @param first 30 bytes before weight 0, so that weight i is in the low 16 bits of the 32 bytes at `first + 2 i`.
/// @param slot The storage slot of word 0.
/// @param words How many words of storage there are.
/// @param bias What is added to each weight in memory: 2^15 for 16-bit weights, 2^7 for 8-bit weights.
/// @param spread Bits 15 to 11 of a lane are 0 here if no 16-bit weight loaded into this lane exceeds -1024 to 1023.
/// @param loaded How many words were loaded one by one.
/// @param list Where their numbers stand; 0 if all words were loaded at once.
struct Cache {
    uint256 first;
    uint256 slot;
    uint256 words;
    uint256 bias;
    uint256 spread;
    uint256 loaded;
    uint256 list;
}

/// @title Packed weights, cached in memory, for samples without values and with 2-byte indices
/// @notice Words of storage are those of `PackedWeights`. In memory every weight has 16 bits and stands at byte 2 i, so that one
/// `mload` finds it; a word of 16-bit weights lies there as it is stored, a word of 8-bit weights becomes two. In memory the
/// weights are biased: a sum of them needs no sign extension, and 0, which no weight ever is, means that it is not loaded.
/// @dev Memory-safe: `open` allocates 32 bytes before the first word, since a lane is written together with the 30 bytes
/// before it, which keep their value.
library WeightCache {
    uint256 private constant BIAS_16 = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant BIAS_8 = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant LOW_8 = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant TOP_5 = 0xf800f800f800f800f800f800f800f800f800f800f800f800f800f800f800f800;
    uint256 private constant ODD_2 = 0x0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe;
    uint256 private constant EVERY_32 = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant LOW_32 = 0xffffffff;

    /// @dev With so many features per word hardly any word stays untouched, and looking for them costs more than loading them.
    uint256 private constant ALL_AT_ONCE = 3;

    /// @notice Sets up a cache; loads all words if the features will touch nearly all of them anyway.
    /// @param slot The storage slot of word 0.
    /// @param nFeatures How many weights there are.
    /// @param weightBits 16 or 8.
    /// @param features How many features the samples have together, repeated ones included.
    function open(uint256 slot, uint256 nFeatures, uint256 weightBits, uint256 features)
        internal
        view
        returns (Cache memory cache)
    {
        uint256 lanes = 256 / weightBits;
        uint256 words = (nFeatures + lanes - 1) / lanes;
        bool allAtOnce = features >= ALL_AT_ONCE * words;
        uint256 listed = allAtOnce ? 0 : (features < words ? features : words);
        uint256 start;
        assembly ("memory-safe") {
            let free := mload(0x40)
            start := add(free, 32)
            // A word of 8-bit weights takes two words of memory.
            let list := add(start, mul(words, shl(1, lanes)))
            mstore(0x40, add(list, shl(5, listed)))
            if iszero(allAtOnce) {
                // Memory is not always fresh: zeros mean "not loaded".
                calldatacopy(free, calldatasize(), sub(list, free))
                mstore(add(cache, 0xc0), list)
            }
        }
        cache.first = start - 30;
        cache.slot = slot;
        cache.words = words;
        cache.bias = 1 << (weightBits - 1);
        if (allAtOnce) _loadAll(cache);
    }

    /// @notice Loads the words that a sample touches.
    /// @dev Words that do not exist are passed over: `IModel.assess` may be handed garbage.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function load(Cache memory cache, uint256 features, uint256 end) internal view {
        uint256 list = cache.list;
        if (list == 0) return;
        uint256 spread = cache.spread;
        uint256 loaded = cache.loaded;
        assembly ("memory-safe") {
            let first := mload(cache)
            let slot := mload(add(cache, 0x20))
            let words := mload(add(cache, 0x40))
            let narrow := eq(mload(add(cache, 0x60)), 0x80)
            for { let position := features } lt(position, end) { position := add(position, 2) } {
                let index := shr(240, calldataload(position))
                if iszero(and(mload(add(first, shl(1, index))), 0xffff)) {
                    let word := shr(add(4, narrow), index)
                    if lt(word, words) {
                        let weights := sload(add(slot, word))
                        switch narrow
                        case 0 {
                            spread := or(spread, xor(weights, shl(1, weights)))
                            mstore(add(add(first, 30), shl(5, word)), xor(weights, BIAS_16))
                        }
                        default {
                            weights := xor(weights, BIAS_8)
                            let pair := add(add(first, 30), shl(6, word))
                            mstore(pair, and(shr(8, weights), LOW_8))
                            mstore(add(pair, 32), and(weights, LOW_8))
                        }
                        mstore(add(list, shl(5, loaded)), word)
                        loaded := add(loaded, 1)
                    }
                }
            }
        }
        cache.spread = spread;
        cache.loaded = loaded;
    }

    /// @notice The sum of the weights of a sample's features; its words are loaded.
    /// @dev While all weights are small, as 8-bit ones always are, 16 of them fit into 16 bits, so whole words of memory are added
    /// up, and only the low 16 bits of the sum are looked at. (256 samples cannot carry a weight from 1024 to 2048.) The first
    /// block takes what the others, full ones, leave; it is filled up with feature 0, which is subtracted beforehand.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    function score(Cache memory cache, uint256 features, uint256 end) internal pure returns (int256 total) {
        if (cache.spread & TOP_5 != 0) return _scoreOneByOne(cache, features, end);
        assembly ("memory-safe") {
            let first := mload(cache)
            let firsts := mul(first, EVERY_32)
            // 1 to 16 features; a block of 16 is no special case.
            let bytesInFirst := add(and(sub(sub(end, features), 1), 31), 1)
            let fill := shr(1, sub(32, bytesInFirst))
            let word := shr(shl(4, fill), calldataload(features))
            let position := add(features, bytesInFirst)
            // Each block begins with what takes the bias of its 16 features away again.
            let bias := mload(add(cache, 0x60))
            let unbias := sub(0, shl(4, bias))
            let sum := add(unbias, mul(fill, sub(bias, mload(first))))
            for {} 1 {} {
                // The addresses of the 16 weights, in containers of 32 bits; from scratch memory each is one load away.
                let even := add(firsts, and(shr(15, word), ODD_2))
                let odd := add(firsts, and(shl(1, word), ODD_2))
                mstore(0x20, even)
                sum := add(sum, mload(shr(224, even)))
                sum := add(sum, mload(and(mload(0x8), LOW_32)))
                sum := add(sum, mload(and(mload(0xc), LOW_32)))
                sum := add(sum, mload(and(mload(0x10), LOW_32)))
                sum := add(sum, mload(and(mload(0x14), LOW_32)))
                sum := add(sum, mload(and(mload(0x18), LOW_32)))
                sum := add(sum, mload(and(mload(0x1c), LOW_32)))
                sum := add(sum, mload(and(even, LOW_32)))
                mstore(0x20, odd)
                sum := add(sum, mload(shr(224, odd)))
                sum := add(sum, mload(and(mload(0x8), LOW_32)))
                sum := add(sum, mload(and(mload(0xc), LOW_32)))
                sum := add(sum, mload(and(mload(0x10), LOW_32)))
                sum := add(sum, mload(and(mload(0x14), LOW_32)))
                sum := add(sum, mload(and(mload(0x18), LOW_32)))
                sum := add(sum, mload(and(mload(0x1c), LOW_32)))
                sum := add(sum, mload(and(odd, LOW_32)))
                total := add(total, signextend(1, sum))
                if iszero(lt(position, end)) { break }
                word := calldataload(position)
                position := add(position, 32)
                sum := unbias
            }
        }
    }

    /// @notice Adds a step to the weights of a sample's features; a weight at its limit stays there.
    /// @dev In blocks as `score`, while all weights are so small that none can reach its limit. The limit of 8-bit weights is never
    /// far.
    /// @param features Where its first feature stands in calldata.
    /// @param end Where its last one ends.
    /// @param step 1 or -1.
    function update(Cache memory cache, uint256 features, uint256 end, int256 step) internal pure {
        if (cache.spread & TOP_5 != 0 || cache.bias == 0x80) {
            return _updateOneByOne(cache, features, end, step);
        }
        assembly ("memory-safe") {
            let first := mload(cache)
            let firsts := mul(first, EVERY_32)
            let bytesInFirst := add(and(sub(sub(end, features), 1), 31), 1)
            let fill := shr(1, sub(32, bytesInFirst))
            let word := shr(shl(4, fill), calldataload(features))
            let position := add(features, bytesInFirst)
            // Whatever is borrowed here from the bytes before weight 0 comes back with the steps of the first block.
            mstore(first, sub(mload(first), mul(fill, step)))
            for {} 1 {} {
                let even := add(firsts, and(shr(15, word), ODD_2))
                let odd := add(firsts, and(shl(1, word), ODD_2))
                let lane
                mstore(0x20, even)
                lane := shr(224, even)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x8), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0xc), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x10), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x14), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x18), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x1c), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(even, LOW_32)
                mstore(lane, add(mload(lane), step))
                mstore(0x20, odd)
                lane := shr(224, odd)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x8), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0xc), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x10), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x14), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x18), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(mload(0x1c), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(odd, LOW_32)
                mstore(lane, add(mload(lane), step))
                if iszero(lt(position, end)) { break }
                word := calldataload(position)
                position := add(position, 32)
            }
        }
    }

    /// @notice Writes all loaded words back. A word that did not change costs 100 gas, no more than finding that out.
    function store(Cache memory cache) internal {
        uint256 list = cache.list;
        uint256 loaded = list == 0 ? cache.words : cache.loaded;
        assembly ("memory-safe") {
            let start := add(mload(cache), 30)
            let slot := mload(add(cache, 0x20))
            let narrow := eq(mload(add(cache, 0x60)), 0x80)
            for { let i := 0 } lt(i, loaded) { i := add(i, 1) } {
                let word := i
                if list { word := mload(add(list, shl(5, i))) }
                switch narrow
                case 0 { sstore(add(slot, word), xor(mload(add(start, shl(5, word))), BIAS_16)) }
                default {
                    let pair := add(start, shl(6, word))
                    sstore(add(slot, word), xor(or(shl(8, mload(pair)), mload(add(pair, 32))), BIAS_8))
                }
            }
        }
    }

    /// @dev Loads every word.
    function _loadAll(Cache memory cache) private view {
        uint256 spread;
        assembly ("memory-safe") {
            let start := add(mload(cache), 30)
            let slot := mload(add(cache, 0x20))
            let words := mload(add(cache, 0x40))
            switch mload(add(cache, 0x60))
            case 0x80 {
                for { let word := 0 } lt(word, words) { word := add(word, 1) } {
                    let weights := xor(sload(add(slot, word)), BIAS_8)
                    let pair := add(start, shl(6, word))
                    mstore(pair, and(shr(8, weights), LOW_8))
                    mstore(add(pair, 32), and(weights, LOW_8))
                }
            }
            default {
                for { let word := 0 } lt(word, words) { word := add(word, 1) } {
                    let weights := sload(add(slot, word))
                    spread := or(spread, xor(weights, shl(1, weights)))
                    mstore(add(start, shl(5, word)), xor(weights, BIAS_16))
                }
            }
        }
        cache.spread = spread;
    }

    /// @dev The score, whatever the weights.
    function _scoreOneByOne(Cache memory cache, uint256 features, uint256 end)
        private
        pure
        returns (int256 total)
    {
        assembly ("memory-safe") {
            let first := mload(cache)
            for { let position := features } lt(position, end) { position := add(position, 2) } {
                let weights := mload(add(first, shl(1, shr(240, calldataload(position)))))
                total := sub(add(total, and(weights, 0xffff)), 0x8000) // 8-bit weights never come here
            }
        }
    }

    /// @dev The update, whatever the weights.
    function _updateOneByOne(Cache memory cache, uint256 features, uint256 end, int256 step) private pure {
        // What the highest and the lowest weight are with the bias.
        uint256 limit = step > 0 ? 2 * cache.bias - 1 : 1;
        assembly ("memory-safe") {
            let first := mload(cache)
            for { let position := features } lt(position, end) { position := add(position, 2) } {
                let lane := add(first, shl(1, shr(240, calldataload(position))))
                let weights := mload(lane)
                if iszero(eq(and(weights, 0xffff), limit)) { mstore(lane, add(weights, step)) }
            }
        }
    }
}
