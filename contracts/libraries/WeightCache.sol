// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Sample} from "./PayloadDecoder.sol";

/// @notice A copy in memory of the weights that a batch touches.
/// @param first 30 bytes before weight 0, so that weight i is in the low 16 bits of the 32 bytes at `first + 2 i`.
/// @param slot The storage slot of word 0.
/// @param words How many words there are.
/// @param spread Bits 15 to 11 of a lane are 0 here if no weight loaded into this lane exceeds -1024 to 1023.
/// @param loaded How many words were loaded one by one.
/// @param list Where their numbers stand; 0 if all words were loaded at once.
struct Cache {
    uint256 first;
    uint256 slot;
    uint256 words;
    uint256 spread;
    uint256 loaded;
    uint256 list;
}

/// @title Packed weights, cached in memory, for samples without values and with 2-byte indices
/// @notice A word of storage holds 16 weights as int16, weight 16 w in the most significant lane of word w, so that in memory
/// weight i stands at byte 2 i and one `mload` finds it. In memory the weights are biased by 2^15: a sum of them needs no sign
/// extension, and 0 (which would be -32768, no weight ever is) means that the word is not loaded.
/// @dev Memory-safe: `open` allocates 32 bytes before the first word, since a lane is written together with the 30 bytes
/// before it, which keep their value.
library WeightCache {
    uint256 private constant BIAS = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant TOP_5 = 0xf800f800f800f800f800f800f800f800f800f800f800f800f800f800f800f800;
    uint256 private constant ODD_2 = 0x0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe0001fffe;
    uint256 private constant EVERY_32 = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant LOW_32 = 0xffffffff;

    /// @dev With so many features per word hardly any word stays untouched, and looking for them costs more than loading them.
    uint256 private constant ALL_AT_ONCE = 4;

    /// @notice Sets up a cache; loads all words if the features will touch nearly all of them anyway.
    /// @param slot The storage slot of word 0.
    /// @param words How many words there are.
    /// @param features How many features the samples have together, repeated ones included.
    function open(uint256 slot, uint256 words, uint256 features) internal view returns (Cache memory cache) {
        bool allAtOnce = features >= ALL_AT_ONCE * words;
        uint256 listed = allAtOnce ? 0 : (features < words ? features : words);
        uint256 start;
        uint256 spread;
        assembly ("memory-safe") {
            let free := mload(0x40)
            start := add(free, 32)
            let list := add(start, shl(5, words))
            mstore(0x40, add(list, shl(5, listed)))
            switch allAtOnce
            case 0 {
                // Memory is not always fresh: zeros mean "not loaded".
                calldatacopy(free, calldatasize(), sub(list, free))
                mstore(add(cache, 0xa0), list)
            }
            default {
                for { let word := 0 } lt(word, words) { word := add(word, 1) } {
                    let weights := sload(add(slot, word))
                    spread := or(spread, xor(weights, shl(1, weights)))
                    mstore(add(start, shl(5, word)), xor(weights, BIAS))
                }
            }
        }
        cache.first = start - 30;
        cache.slot = slot;
        cache.words = words;
        cache.spread = spread;
    }

    /// @notice Loads the words that a sample touches.
    /// @dev Words that do not exist are passed over: `IModel.assess` may be handed garbage.
    function load(Cache memory cache, Sample memory sample) internal view {
        uint256 list = cache.list;
        if (list == 0) return;
        uint256 position = sample.features;
        uint256 end = sample.end;
        uint256 spread = cache.spread;
        uint256 loaded = cache.loaded;
        assembly ("memory-safe") {
            let first := mload(cache)
            let slot := mload(add(cache, 0x20))
            let words := mload(add(cache, 0x40))
            for {} lt(position, end) { position := add(position, 2) } {
                let index := shr(240, calldataload(position))
                if iszero(and(mload(add(first, shl(1, index))), 0xffff)) {
                    let word := shr(4, index)
                    if lt(word, words) {
                        let weights := sload(add(slot, word))
                        spread := or(spread, xor(weights, shl(1, weights)))
                        mstore(add(add(first, 30), shl(5, word)), xor(weights, BIAS))
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
    /// @dev While all weights are small, 16 of them fit into 16 bits, so whole words of memory are added up and only
    /// the low 16 bits of the sum are looked at. (256 samples cannot carry a weight from 1024 to 2048.)
    function score(Cache memory cache, Sample memory sample) internal pure returns (int256 total) {
        uint256 position = sample.features;
        uint256 end = sample.end;
        bool small = cache.spread & TOP_5 == 0;
        assembly ("memory-safe") {
            let first := mload(cache)
            let firsts := mul(first, EVERY_32)
            let blocksEnd := position
            if small { blocksEnd := sub(end, and(sub(end, position), 31)) }
            for {} lt(position, blocksEnd) { position := add(position, 32) } {
                // The addresses of the 16 weights, in containers of 32 bits.
                let word := calldataload(position)
                let even := add(firsts, and(shr(15, word), ODD_2))
                let odd := add(firsts, and(shl(1, word), ODD_2))
                let sum := 0
                sum := add(sum, mload(shr(224, even)))
                sum := add(sum, mload(and(shr(192, even), LOW_32)))
                sum := add(sum, mload(and(shr(160, even), LOW_32)))
                sum := add(sum, mload(and(shr(128, even), LOW_32)))
                sum := add(sum, mload(and(shr(96, even), LOW_32)))
                sum := add(sum, mload(and(shr(64, even), LOW_32)))
                sum := add(sum, mload(and(shr(32, even), LOW_32)))
                sum := add(sum, mload(and(even, LOW_32)))
                sum := add(sum, mload(shr(224, odd)))
                sum := add(sum, mload(and(shr(192, odd), LOW_32)))
                sum := add(sum, mload(and(shr(160, odd), LOW_32)))
                sum := add(sum, mload(and(shr(128, odd), LOW_32)))
                sum := add(sum, mload(and(shr(96, odd), LOW_32)))
                sum := add(sum, mload(and(shr(64, odd), LOW_32)))
                sum := add(sum, mload(and(shr(32, odd), LOW_32)))
                sum := add(sum, mload(and(odd, LOW_32)))
                // 16 times the bias is 0 in 16 bits.
                total := add(total, signextend(1, sum))
            }
            for {} lt(position, end) { position := add(position, 2) } {
                let lane := add(first, shr(239, and(calldataload(position), shl(240, 0xffff))))
                total := sub(add(total, and(mload(lane), 0xffff)), 0x8000)
            }
        }
    }

    /// @notice Adds a step to the weights of a sample's features; a weight at its limit stays there.
    /// @param step 1 or -1.
    function update(Cache memory cache, Sample memory sample, int256 step) internal pure {
        uint256 position = sample.features;
        uint256 end = sample.end;
        bool small = cache.spread & TOP_5 == 0;
        // What -32767 and 32767 are with the bias.
        uint256 limit = step > 0 ? 0xffff : 1;
        assembly ("memory-safe") {
            let first := mload(cache)
            let firsts := mul(first, EVERY_32)
            let blocksEnd := position
            if small { blocksEnd := sub(end, and(sub(end, position), 31)) }
            for {} lt(position, blocksEnd) { position := add(position, 32) } {
                let word := calldataload(position)
                let even := add(firsts, and(shr(15, word), ODD_2))
                let odd := add(firsts, and(shl(1, word), ODD_2))
                let lane
                lane := shr(224, even)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(192, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(160, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(128, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(96, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(64, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(32, even), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(even, LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := shr(224, odd)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(192, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(160, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(128, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(96, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(64, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(shr(32, odd), LOW_32)
                mstore(lane, add(mload(lane), step))
                lane := and(odd, LOW_32)
                mstore(lane, add(mload(lane), step))
            }
            for {} lt(position, end) { position := add(position, 2) } {
                let lane := add(first, shr(239, and(calldataload(position), shl(240, 0xffff))))
                let weights := mload(lane)
                if iszero(eq(and(weights, 0xffff), limit)) { mstore(lane, add(weights, step)) }
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
            for { let i := 0 } lt(i, loaded) { i := add(i, 1) } {
                let word := i
                if list { word := mload(add(list, shl(5, i))) }
                sstore(add(slot, word), xor(mload(add(start, shl(5, word))), BIAS))
            }
        }
    }
}
