// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The logarithm to base 2, in 1/65536, by a table of 256 steps
/// @notice With e the number of the top bit of x, t the 16 bits behind it (more of them are cut off), and hi and lo the two bytes
/// of t: log2(x) = 65536 e + T[hi] + ((T[hi + 1] - T[hi]) * lo >> 8), where T[k] is 65536 * log2(1 + k / 256), rounded. log2(0) is 0.
library FixedLog {
    /// @dev For k = 0 to 255: T[k] and T[k + 1] - T[k], 2 bytes each; then for each byte the number of its top bit.
    bytes private constant TABLE = hex"000001710171016f02e0016e044e016c05ba016b07250169088e016909f701660b5d01660cc301640e2701630f8a0161"
        hex"10eb0160124b015f13aa015e1508015c1664015b17bf015a191901581a7101571bc801561d1e01551e7301531fc60153"
        hex"21190151226a015023ba014e2508014e2656014c27a2014b28ed014a2a3701492b8001482cc801472e0f01452f540144"
        hex"3098014431dc0142331e0141345f0140359f013f36de013d381b013d3958013c3a94013a3bce013a3d0801393e410137"
        hex"3f78013740af013541e4013543190133444c0133457f013146b0013147e1012f4910012f4a3f012d4b6c012d4c99012c"
        hex"4dc5012a4eef012a5019012951420128526a01275391012654b7012555dc01245700012458240122594601225a680121"
        hex"5b89011f5ca8011f5dc7011e5ee5011e6003011c611f011b623a011b6355011a646f01196588011866a0011767b70117"
        hex"68ce011669e401146af801146c0c01146d2001126e3201126f440111705501107165010f7274010f7383010d7490010d"
        hex"759d010d76aa010b77b5010b78c0010a79ca01097ad301087bdb01087ce301077dea01067ef001067ff6010580fb0104"
        hex"81ff01038302010384050102850701018608010187090100880900ff890800fe8a0600fe8b0400fd8c0100fd8cfe00fc"
        hex"8dfa00fb8ef500fa8fef00fa90e900f991e200f992db00f793d200f894ca00f695c000f696b600f597ab00f598a000f4"
        hex"999400f39a8700f39b7a00f29c6c00f29d5e00f19e4f00f09f3f00efa02e00f0a11e00eea20c00eea2fa00eda3e700ed"
        hex"a4d400eca5c000eba6ab00eba79600eba88100e9a96a00e9aa5300e9ab3c00e8ac2400e8ad0c00e6adf200e7aed900e5"
        hex"afbe00e6b0a400e4b18800e4b26c00e4b35000e3b43300e2b51500e2b5f700e2b6d900e1b7ba00e0b89a00e0b97a00df"
        hex"ba5900dfbb3800debc1600debcf400ddbdd100dcbead00ddbf8a00dbc06500dbc14000dbc21b00dac2f500dac3cf00d9"
        hex"c4a800d8c58000d8c65800d8c73000d7c80700d7c8de00d6c9b400d6ca8a00d5cb5f00d5cc3400d4cd0800d4cddc00d3"
        hex"ceaf00d3cf8200d2d05400d2d12600d1d1f700d1d2c800d1d39900d0d46900cfd53800cfd60700cfd6d600ced7a400ce"
        hex"d87200cdd93f00cdda0c00cddad900ccdba500cbdc7000cbdd3b00cbde0600caded000cadf9a00c9e06300c9e12c00c9"
        hex"e1f500c8e2bd00c8e38500c7e44c00c7e51300c6e5d900c6e69f00c6e76500c5e82a00c5e8ef00c4e9b300c4ea7700c4"
        hex"eb3b00c3ebfe00c3ecc100c2ed8300c2ee4500c1ef0600c2efc800c0f08800c1f14900c0f20900bff2c800bff38700bf"
        hex"f44600bff50500bef5c300bdf68000bef73e00bdf7fb00bcf8b700bcf97300bcfa2f00bbfaea00bbfba500bbfc6000ba"
        hex"fd1a00bafdd400bafe8e00b9ff4700b90000010102020202030303030303030304040404040404040404040404040404"
        hex"050505050505050505050505050505050505050505050505050505050505050506060606060606060606060606060606"
        hex"060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606"
        hex"070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707"
        hex"070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707"
        hex"0707070707070707070707070707070707070707070707070707070707070707";

    /// @notice Copies the table into memory.
    /// @return table Where it stands.
    function load() internal pure returns (uint256 table) {
        bytes memory copy = TABLE;
        assembly ("memory-safe") {
            table := add(copy, 32)
        }
    }

    /// @notice The logarithm.
    /// @param table What `load` returned.
    /// @param x Below 2^120.
    function log2(uint256 table, uint256 x) internal pure returns (uint256 result) {
        assembly ("memory-safe") {
            let e := shl(6, gt(x, 0xffffffffffffffff))
            e := or(e, shl(5, gt(shr(e, x), 0xffffffff)))
            e := or(e, shl(4, gt(shr(e, x), 0xffff)))
            e := or(e, shl(3, gt(shr(e, x), 0xff)))
            e := or(e, and(mload(add(add(table, 993), shr(e, x))), 0xff))
            let t := shr(e, shl(16, x))
            // The entry is in the low 4 bytes.
            let entry := mload(add(sub(table, 28), and(shr(6, t), 0x3fc)))
            let slope := shr(8, mul(and(entry, 0xffff), and(t, 0xff)))
            result := add(add(shl(16, e), and(shr(16, entry), 0xffff)), slope)
        }
    }
}
