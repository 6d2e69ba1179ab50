"""The machine code of the kernel: documents in UTF-8 to sparse rows, compiled by numba on first use.

Import this module only where machine code is wanted: numba takes half a second, the first compilation ten.
All compiled code stands in this one file, since numba's cache on disk notices changes of the file that holds
a cached function and of no other.

A document passes three stages, all on one small buffer that stays in the processor's cache:

1. `_lower` lower-cases eight ASCII bytes at a time, decodes only what is not ASCII, and marks the bytes of
   word characters in a bit mask.
2. Features become stretches of a buffer: `_tokens` finds the edges of words in the mask, 64 bytes at a time;
   `_join_words` and `_lay_characters` lay out what n-grams are cut from.
3. Stretches are hashed. Few hashes are sorted by counting smaller ones. Many are counted in a table of all
   indices, noted in a bitmap of three levels; `_drain` reads the bitmap, which gives the indices in order.

numba's integers: a signed index costs a test for negative values, and uint64 with a signed integer becomes a
float. So bytes are read by the intrinsics below, and every mask and shift is an explicit uint64.
"""

# numba compiles these functions: types stand in the docstrings, and cleverness is the point.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, assignment"
# ruff: noqa: ANN001, ANN201, ANN202, ARG001

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dcai_cli.features.kernel.tables import CASED, IGNORABLE, LOWERED, SPACE, SURROGATE, WORD

WORDS, CHARACTERS, PADDED_WORDS = 0, 1, 2
"""Analyzers: "word", "char" and "char_wb"."""

PADDING = 64
"""Bytes of the buffers behind 3/2 of the longest document: room for spaces, and for wide reads and writes."""

LIST_ROOM = 4096
"""Hashes of a document that are listed before they go into the table."""

SHORT_BITS = 6
SHORT_LIST = 2**SHORT_BITS
"""A document with up to so many features is sorted and does without the table."""


class Tables(NamedTuple):
    """What the kernel knows of Unicode: flags (uint8) and lower case (int32) of every code point."""

    flags: NDArray[np.uint8]
    lower: NDArray[np.int32]


class Settings(NamedTuple):
    """How documents become features, as numbers."""

    analyzer: int
    least: int
    greatest: int
    lowercase: bool
    alternate_sign: bool
    n_features: int


class Scratch(NamedTuple):
    """Memory of one thread; all of it is zero between documents where a function says so.

    Args:
        text: uint8, the lower-cased document.
        laid: uint8, the document as its n-grams are cut out of it.
        mask: uint64, one bit for each byte of `text`; zero between documents.
        edges: int32, positions in `text` or `laid`.
        bounds: int32, for "char_wb", where words are in `edges`.
        hashes: int32[LIST_ROOM].
        keys: int32[SHORT_LIST].
        ranked: int32[SHORT_LIST].
        counts: int32, one for each index; zero between documents.
        bitmap: uint64, one bit for each index; zero between documents.
        summary: uint64, one bit for each word of `bitmap`; zero between documents.
        top: uint64, one bit for each word of `summary`; zero between documents.
    """

    text: NDArray[np.uint8]
    laid: NDArray[np.uint8]
    mask: NDArray[np.uint64]
    edges: NDArray[np.int32]
    bounds: NDArray[np.int32]
    hashes: NDArray[np.int32]
    keys: NDArray[np.int32]
    ranked: NDArray[np.int32]
    counts: NDArray[np.int32]
    bitmap: NDArray[np.uint64]
    summary: NDArray[np.uint64]
    top: NDArray[np.uint64]


class Output(NamedTuple):
    """Where the rows go: ends (int64) of rows, indices and counts (int32)."""

    ends: NDArray[np.int64]
    indices: NDArray[np.int32]
    counts: NDArray[np.int32]


U0, U1, U2, U7, U24, U56, U63 = (np.uint64(n) for n in (0, 1, 2, 7, 24, 56, 63))
U80, U127, U32 = (np.uint64(n) for n in (0x80, 0x7F, 0xFFFFFFFF))
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH = np.uint64(0x8080808080808080)
_CASE = np.uint64(0x2020202020202020)
_UNDERSCORES = np.uint64(0x5F5F5F5F5F5F5F5F)
# Two lead bytes 1110xxxx with two bytes 10xxxxxx each.
_PAIR_MASK, _PAIR = np.uint64(0xC0C0F0C0C0F0), np.uint64(0x8080E08080E0)
_GATHER = np.uint64(0x0102040810204080)
# Adding one of these to seven-bit bytes sets the high bit of those from a character on.
_FROM_A, _AFTER_Z = np.uint64(0x3F3F3F3F3F3F3F3F), np.uint64(0x2525252525252525)
_FROM_SMALL_A, _AFTER_SMALL_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)
_FROM_0, _AFTER_9 = np.uint64(0x5050505050505050), np.uint64(0x4646464646464646)

_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
_M3, _M4, _M5 = np.uint32(0xE6546B64), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_SPACE_BYTE = np.uint8(0x20)
_SIGMA, _FINAL_SIGMA, _DOTTED_I = 0x3A3, 0x3C2, 0x130
_DOTTED_I_LOWERED = np.uint64(0x87CC69)


@intrinsic
def _load32(typing, array, index):
    """Read four bytes of a byte array at any index, little-endian; nothing checks the bounds."""
    return types.uint32(array, types.int64), _loader(ir.IntType(32))


@intrinsic
def _load64(typing, array, index):
    """Read eight bytes of a byte array at any index, little-endian; nothing checks the bounds."""
    return types.uint64(array, types.int64), _loader(ir.IntType(64))


@intrinsic
def _load8(typing, array, index):
    """Read one byte of a byte array; nothing checks the bounds."""
    return types.uint8(array, types.int64), _loader(ir.IntType(8))


@intrinsic
def _store64(typing, array, index, value):
    """Write eight bytes to a byte array at any index, little-endian; nothing checks the bounds."""
    return types.void(array, types.int64, types.uint64), _storer(ir.IntType(64))


@intrinsic
def _store8(typing, array, index, value):
    """Write one byte to a byte array; nothing checks the bounds."""
    return types.void(array, types.int64, types.uint8), _storer(ir.IntType(8))


@intrinsic
def _trailing_zeros(typing, value):
    """Count the zero bits below the lowest one; value is uint64 and not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


def _pointer(context, builder, signature, arguments, width):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), width.as_pointer())


def _loader(width):
    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature, arguments, width), align=1)

    return generate


def _storer(width):
    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _pointer(context, builder, signature, arguments, width), align=1)
        return context.get_dummy_value()

    return generate


@njit(forceinline=True)
def _hash(text, start, size):
    """MurmurHash3 x86 32 (Austin Appleby, public domain) of a stretch, seed 0, as int32.

    Reads up to three bytes behind the stretch.
    """
    state = np.uint32(0)
    position = start
    stop = start + (size & ~3)
    while position < stop:
        state = _round(state, _load32(text, position))
        position += 4
    return _finish(state, _load32(text, position), size)


@njit(forceinline=True)
def _hash_word(text, start, size):
    """The same as `_hash`, without branches for up to eleven bytes: processors cannot guess words' sizes.

    Reads up to eleven bytes behind the stretch.
    """
    if size >= 12:
        return _hash(text, start, size)
    first = _round(np.uint32(0), _load32(text, start))
    state = np.uint32(first & -np.uint32(size >= 4))
    second = _round(state, _load32(text, start + 4))
    state = np.uint32(state ^ ((state ^ second) & -np.uint32(size >= 8)))
    return _finish(state, _load32(text, start + (size & ~3)), size)


@njit(forceinline=True)
def _round(state, block):
    state = np.uint32(state ^ _scramble(block))
    state = np.uint32((state << 13) | (state >> 19))
    return np.uint32(state * np.uint32(5) + _M3)


@njit(forceinline=True)
def _scramble(block):
    block = np.uint32(block * _C1)
    return np.uint32(np.uint32((block << 15) | (block >> 17)) * _C2)


@njit(forceinline=True)
def _finish(state, last, size):
    # Scrambling 0 gives 0: no branch for a tail of no bytes.
    tail = np.uint32(last & np.uint32((1 << ((size & 3) << 3)) - 1))
    state = np.uint32(state ^ _scramble(tail) ^ np.uint32(size))
    state = np.uint32((state ^ (state >> 16)) * _M4)
    state = np.uint32((state ^ (state >> 13)) * _M5)
    return np.int32(state ^ (state >> 16))


@njit(forceinline=True)
def _index(state, n_features):
    """|hash| modulo n_features."""
    positive = np.int64(state)
    positive = -positive if positive < 0 else positive
    if n_features & (n_features - 1):
        return np.int64(np.uint32(positive) % np.uint32(n_features))
    return positive & (n_features - 1)


@njit
def _mark(found, settings, scratch):
    """Count the features of the list in the table of all indices; returns 0, the size of the list then."""
    counts, bitmap, summary, top = scratch.counts, scratch.bitmap, scratch.summary, scratch.top
    for feature in range(found):
        state = scratch.hashes[feature]
        index = _index(state, settings.n_features)
        word = index >> 6
        bitmap[word] |= U1 << np.uint64(index & 63)
        summary[word >> 6] |= U1 << np.uint64(word & 63)
        top[word >> 12] |= U1 << np.uint64((word >> 6) & 63)
        counts[index] += -1 if settings.alternate_sign and state < 0 else 1
    return 0


@njit
def _drain(scratch, output, position):
    """Write what the table has, by rising index, and empty it; returns the position behind it."""
    for first in range(scratch.top.size):
        tops = scratch.top[first]
        scratch.top[first] = U0
        while tops:
            second = (first << 6) + _trailing_zeros(tops)
            tops &= tops - U1
            summaries = scratch.summary[second]
            scratch.summary[second] = U0
            while summaries:
                third = (second << 6) + _trailing_zeros(summaries)
                summaries &= summaries - U1
                bits = scratch.bitmap[third]
                scratch.bitmap[third] = U0
                while bits:
                    index = (third << 6) + _trailing_zeros(bits)
                    bits &= bits - U1
                    output.indices[position] = index
                    output.counts[position] = scratch.counts[index]
                    scratch.counts[index] = 0
                    position += 1
    return position


@njit
def _sort(found, settings, scratch, output, position):
    """Write the features of a short list, by rising index; returns the position behind them.

    Each feature's place is the number of smaller keys, an index and a place in the list in 30 bits. That
    is quadratic, but needs neither a branch nor the large table: for so few it is several times as fast.
    """
    hashes, keys, ranked = scratch.hashes, scratch.keys, scratch.ranked
    for feature in range(found):
        keys[feature] = (_index(hashes[feature], settings.n_features) << SHORT_BITS) | feature
    for feature in range(found):
        key = keys[feature]
        rank = np.int32(0)
        for other in range(found):
            rank += np.int32(keys[other] < key)
        ranked[rank] = key
    last = np.int64(-1)
    count = np.int32(0)
    for rank in range(found):
        index = np.int64(ranked[rank]) >> SHORT_BITS
        state = hashes[ranked[rank] & (SHORT_LIST - 1)]
        one = -1 if settings.alternate_sign and state < 0 else 1
        is_new = index != last
        count = np.int32(one + (0 if is_new else count))
        position += is_new
        output.indices[position - 1] = index
        output.counts[position - 1] = count
        last = index
    return position


@njit(forceinline=True)
def _set_bits(mask, position, bits):
    """Set up to eight bits of the mask from a position on."""
    word = position >> 6
    shift = np.uint64(position & 63)
    mask[word] |= bits << shift
    # Two shifts, since one by 64 is undefined; no branch, since it could not be guessed.
    mask[word + 1] |= (bits >> U1) >> (U63 - shift)


@njit
def _lower(data, start, end, settings, tables, scratch):  # noqa: C901 -- split, it is slower by a third
    """Copy a document into `text`, lower-cased if asked; word characters are marked in `mask`.

    Returns:
        The size of the copy in bytes; -1 if the document is no valid UTF-8.
    """
    position, size = start, 0
    flags_of, text, mask = tables.flags, scratch.text, scratch.mask
    while position < end:
        block = _block(data, position)
        high = block & _HIGH
        count = min(end - position, 8)
        if high:
            count = min(count, _trailing_zeros(high) >> 3)
        if count:
            position += count
            size = _lower_ascii(block & _LOW7, count, size, settings.lowercase, text, mask)
        if not high:
            continue
        while position < end:
            block = _block(data, position)
            if block & U80 == U0:
                break
            if block & _PAIR_MASK == _PAIR and position + 6 <= end:
                # Two characters of three bytes: nearly all of Chinese text needs no more than this.
                one, two = _three_bytes(block), _three_bytes(block >> U24)
                flags, flags_two = flags_of[one], flags_of[two]
                if one >= 0x800 and two >= 0x800 and not (flags | flags_two) & (LOWERED | SURROGATE):
                    _store64(text, size, block)
                    bits = np.uint64(flags & WORD) * U7 | np.uint64(flags_two & WORD) * U56
                    _set_bits(mask, size, bits)
                    size += 6
                    position += 6
                    continue
            code, width = _decode(block)
            if code < 0 or position + width > end:
                return -1
            flags = flags_of[code]
            if flags & (LOWERED | SURROGATE):
                if flags & SURROGATE:
                    return -1
                if settings.lowercase:
                    code = _lower_code(data, start, end, position, code, tables)
                    size = _append(text, mask, size, code, flags_of)
                    position += width
                    continue
            # Eight bytes are written; what follows overwrites those that are too many.
            _store64(text, size, block)
            bit = np.uint64(flags & WORD)
            _set_bits(mask, size, (bit << np.uint64(width)) - bit)
            size += width
            position += width
    return size


@njit(forceinline=True)
def _block(data, position):
    """Read eight bytes; those behind the end of the data are 0."""
    if position + 8 <= data.size:
        return _load64(data, position)
    block = U0
    for offset in range(data.size - position):
        block |= np.uint64(_load8(data, position + offset)) << np.uint64(offset << 3)
    return block


@njit(forceinline=True)
def _lower_ascii(block, count, size, lowercase, text, mask):
    """Append the first `count` ASCII characters of a block of eight; returns the new size."""
    if lowercase:
        capitals = (block + _FROM_A) & ~(block + _AFTER_Z) & _HIGH
        _store64(text, size, block | (capitals >> U2))
    else:
        _store64(text, size, block)
    small = block | _CASE
    found = (small + _FROM_SMALL_A) & ~(small + _AFTER_SMALL_Z)
    found |= (block + _FROM_0) & ~(block + _AFTER_9)
    found |= _HIGH - (block ^ _UNDERSCORES)
    bits = (((found & _HIGH) >> U7) * _GATHER) >> U56
    _set_bits(mask, size, bits & ((U1 << np.uint64(count)) - U1))
    return size + count


@njit(forceinline=True)
def _three_bytes(block):
    """The code point of a character of three bytes."""
    low = np.int64(block & U32)
    return ((low & 0xF) << 12) | ((low & 0x3F00) >> 2) | ((low & 0x3F0000) >> 16)


@njit(forceinline=True)
def _decode(block):
    """Read the character that is not ASCII at the start of eight bytes: its code point and its width.

    The code point is -1 if the bytes are malformed; surrogates are not looked for.
    """
    low = np.int64(block & U32)
    if low & 0xF0 == 0xE0:
        code = _three_bytes(block)
        return (code if low & 0xC0C000 == 0x808000 and code >= 0x800 else -1), 3
    if low & 0xE0 == 0xC0:
        code = ((low & 0x1F) << 6) | ((low & 0x3F00) >> 8)
        return (code if low & 0xC000 == 0x8000 and code >= 0x80 else -1), 2
    code = ((low & 0x7) << 18) | ((low & 0x3F00) << 4) | ((low & 0x3F0000) >> 10) | ((low & 0x3F000000) >> 24)
    sound = low & 0xC0C0C0F8 == 0x808080F0 and 0x10000 <= code < 0x110000
    return (code if sound else -1), 4


@njit
def _lower_code(data, start, end, position, code, tables):
    """The lower case of a character; that of U+0130 stays what it is, see `_append`."""
    if code == _DOTTED_I:
        return np.int64(code)
    if code == _SIGMA and _is_final(data, start, end, position, tables):
        return np.int64(_FINAL_SIGMA)
    return np.int64(tables.lower[code])


@njit
def _append(text, mask, size, code, flags_of):
    """Append a lower-cased character, marked if it is a word character; returns the new size."""
    if code == _DOTTED_I:
        # The only character whose lower case is two: i, and U+0307, which is no word character.
        _store64(text, size, _DOTTED_I_LOWERED)
        _set_bits(mask, size, U1)
        return size + 3
    block, width = _encode(code)
    _store64(text, size, block)
    if flags_of[code] & WORD:
        _set_bits(mask, size, (U1 << np.uint64(width)) - U1)
    return size + width


@njit
def _encode(code):
    """A character in UTF-8: its bytes from the lowest up, and how many they are."""
    last = 0x80 | (code & 0x3F)
    second = 0x80 | ((code >> 6) & 0x3F)
    third = 0x80 | ((code >> 12) & 0x3F)
    if code < 0x80:
        return np.uint64(code), 1
    if code < 0x800:
        return np.uint64(0xC0 | (code >> 6) | (last << 8)), 2
    if code < 0x10000:
        return np.uint64(0xE0 | (code >> 12) | (second << 8) | (last << 16)), 3
    return np.uint64(0xF0 | (code >> 18) | (third << 8) | (second << 16) | (last << 24)), 4


@njit
def _is_final(data, start, end, position, tables):
    """Whether the capital sigma at a position is final: a cased letter before it and none behind it.

    Case-ignorable characters do not count; so says Unicode (SpecialCasing, Final_Sigma), and str.lower.
    """
    before = position
    cased = False
    while before > start and not cased:
        before -= 1
        while before > start and _load8(data, before) & 0xC0 == 0x80:
            before -= 1
        flags = tables.flags[_character(data, before)[0]]
        if not flags & IGNORABLE:
            cased = flags & CASED != 0
            break
    if not cased:
        return False
    behind = position + 2
    while behind < end:
        code, width = _character(data, behind)
        if code < 0:
            return True
        flags = tables.flags[code]
        if not flags & IGNORABLE:
            return flags & CASED == 0
        behind += width
    return True


@njit(forceinline=True)
def _character(data, position):
    """The code point at a position of UTF-8, ASCII included, -1 if it is malformed; and its width."""
    block = _block(data, position)
    if block & U80:
        return _decode(block)
    return np.int64(block & U127), 1


@njit
def _tokens(size, scratch):
    """Find the words in the mask, which is zero afterwards; `edges` gets start and end of each.

    Returns:
        How many there are. Words of one character are left out if it is ASCII, else still there: `_is_word`.
    """
    found = 0
    carry = last = U0
    edges, mask = scratch.edges, scratch.mask
    bits = mask[0]
    for word in range((size >> 6) + 1):
        mask[word] = U0
        following = mask[word + 1]
        alone = bits & ~((bits << U1) | last) & ~((bits >> U1) | (following << U63))
        last = bits >> U63
        kept = bits & ~alone
        changes = kept ^ ((kept << U1) | carry)
        carry = kept >> U63
        base = word << 6
        while changes:
            edges[found] = base + _trailing_zeros(changes)
            changes &= changes - U1
            found += 1
        bits = following
    return found >> 1


@njit(forceinline=True)
def _is_word(text, start, size):
    """Whether a stretch is longer than one character."""
    lead = _load8(text, start)
    return lead < 0x80 or size > (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4)


@njit
def _hash_words(words, settings, scratch):
    """List all words; returns how many are listed."""
    found = first = 0
    text, edges, hashes = scratch.text, scratch.edges, scratch.hashes
    while first < words:
        if found == LIST_ROOM:
            found = _mark(found, settings, scratch)
        # Calls stand outside of the innermost loops: numba counts references around them.
        last = min(words, first + LIST_ROOM - found)
        for word in range(first, last):
            start = np.int64(edges[2 * word])
            size = edges[2 * word + 1] - start
            hashes[found] = _hash_word(text, start, size)
            found += _is_word(text, start, size)
        first = last
    return found


@njit
def _join_words(words, scratch):
    """Lay words out with one space between; `edges` becomes where each starts, and the end.

    Returns:
        How many words there are.
    """
    size = found = 0
    text, laid, edges = scratch.text, scratch.laid, scratch.edges
    for word in range(words):
        start, end = edges[2 * word], edges[2 * word + 1]
        if _is_word(text, start, end - start):
            # This entry was read before (found <= 2 * word), so the list can shrink in place.
            edges[found] = size
            found += 1
            for offset in range(0, end - start, 8):
                _store64(laid, size + offset, _load64(text, start + offset))
            size += end - start
            _store8(laid, size, _SPACE_BYTE)
            size += 1
    edges[found] = size
    return found


@njit
def _lay_characters(size, pad, tables, scratch):
    """Lay characters out with white space collapsed; `edges` gets where each starts, and the end.

    A run of two or more becomes one space; a single one stays what it is, unless `pad`: then every run is one
    space, there is one at both ends, and `bounds` gets where in `edges` the spaces are.

    Returns:
        The number of characters, and of spaces in `bounds`.
    """
    text, laid, edges, bounds = scratch.text, scratch.laid, scratch.edges, scratch.bounds
    position = laid_size = found = spaces = run = 0
    if pad:
        _store8(laid, 0, _SPACE_BYTE)
        edges[0] = bounds[0] = 0
        laid_size = found = spaces = run = 1
    while position < size:
        code, width = _character(text, position)
        is_space = tables.flags[code] & SPACE != 0
        if is_space and run:
            if not pad and run == 1:
                laid_size = edges[found - 1] + 1
                _store8(laid, laid_size - 1, _SPACE_BYTE)
            run += 1
            position += width
            continue
        run = 1 if is_space else 0
        edges[found] = laid_size
        if is_space and pad:
            bounds[spaces] = found
            spaces += 1
            _store8(laid, laid_size, _SPACE_BYTE)
            laid_size += 1
        else:
            _store64(laid, laid_size, _load64(text, position))
            laid_size += width
        found += 1
        position += width
    if pad and not run:
        _store8(laid, laid_size, _SPACE_BYTE)
        edges[found] = laid_size
        bounds[spaces] = found
        laid_size += 1
        found += 1
        spaces += 1
    edges[found] = laid_size
    return found, spaces


@njit(forceinline=True)
def _hash_ngrams(first, end, count, gap, found, settings, scratch):
    """List the n-grams of `count` units that start at units first to end.

    Args:
        first: the first unit, a character or a word.
        end: behind the last unit that an n-gram starts at.
        count: units of an n-gram.
        gap: bytes to cut off at the end of each.
        found: how many hashes are listed.
        settings: Settings.
        scratch: Scratch.

    Returns:
        How many are listed now.
    """
    laid, edges, hashes = scratch.laid, scratch.edges, scratch.hashes
    while first < end:
        if found == LIST_ROOM:
            found = _mark(found, settings, scratch)
        last = min(end, first + LIST_ROOM - found)
        for unit in range(first, last):
            start = np.int64(edges[unit])
            hashes[found] = _hash(laid, start, edges[unit + count] - gap - start)
            found += 1
        first = last
    return found


@njit
def _hash_all(units, gap, settings, scratch):
    """List all n-grams of a document; returns how many are listed."""
    found = 0
    for count in range(settings.least, settings.greatest + 1):
        found = _hash_ngrams(0, units - count + 1, count, gap, found, settings, scratch)
    return found


@njit
def _hash_padded(spaces, settings, scratch):
    """List the n-grams of each word with a space before and behind it, as "char_wb" has them.

    A word that is not longer than an n-gram is taken whole, once, by the first size that it fits in.

    Returns:
        How many are listed.
    """
    found = 0
    bounds = scratch.bounds
    for word in range(spaces - 1):
        first, end = np.int64(bounds[word]), bounds[word + 1] + 1
        for count in range(settings.least, settings.greatest + 1):
            size = min(count, end - first)
            found = _hash_ngrams(first, end - size + 1, size, 0, found, settings, scratch)
            if count >= end - first:
                break
    return found


@njit
def _clear(scratch, size):
    for word in range((size >> 6) + 1):
        scratch.mask[word] = U0


@njit(nogil=True)
def hash_documents(data, offsets, first, last, settings, tables, scratch, output):
    """Hash documents first to last (exclusive) until the output is full.

    Args:
        data: uint8, read-only: UTF-8 of all documents.
        offsets: int64: document d is data[offsets[d] : offsets[d + 1]].
        first: number of the first document.
        last: number behind the last one.
        settings: Settings.
        tables: Tables.
        scratch: Scratch, for the longest of these documents.
        output: Output, with room for last - first ends.

    Returns:
        (done, needed): the number behind the last document that was written, and 0, or else the room that the
        next one may need, or -1 if it is no valid UTF-8.
    """
    position = 0
    sizes = settings.greatest - settings.least + 1
    for document in range(first, last):
        size = _lower(data, offsets[document], offsets[document + 1], settings, tables, scratch)
        if size < 0:
            _clear(scratch, scratch.text.size)
            return document, -1
        units = spaces = 0
        if settings.analyzer == WORDS:
            units = _tokens(size, scratch)
        else:
            _clear(scratch, size)
            units, spaces = _lay_characters(size, settings.analyzer == PADDED_WORDS, tables, scratch)
        # A word of "char_wb" has spaces of its own, which neighbours share in the layout.
        most = (units + spaces) * sizes
        needed = min(most, settings.n_features)
        if position + needed > output.indices.size:
            return document, needed
        if settings.analyzer == PADDED_WORDS:
            found = _hash_padded(spaces, settings, scratch)
        elif settings.analyzer == CHARACTERS:
            found = _hash_all(units, 0, settings, scratch)
        elif settings.greatest == 1:
            found = _hash_words(units, settings, scratch)
        else:
            found = _hash_all(_join_words(units, scratch), 1, settings, scratch)
        if most <= SHORT_LIST:
            position = _sort(found, settings, scratch, output, position)
        else:
            _mark(found, settings, scratch)
            position = _drain(scratch, output, position)
        output.ends[document - first] = position
    return last, 0
