"""The tools that judge the tests of the contracts: coverage and mutants."""

from __future__ import annotations

import json
import re

from tests.conftest import PROJECT
from tools import coverage, mutants

SOURCE = """\
library Sums {
    // assembly { not code }
    function sum(uint256 n) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, n) { i := add(i, 1) } {
                total := add(total, i)
            }
            if gt(n, 0xff) { revert(0, 0) }
            for {} 1 {} { break }
        }
    }
}
"""


def test_every_block_of_assembly_gets_a_trap_and_no_line_moves() -> None:
    """Blocks with code are found, inner ones too; comments and empty blocks are not."""
    blocks = coverage.assembly_blocks(SOURCE)
    trapped = coverage.with_traps(SOURCE, 7)

    assert len(blocks) == 6
    marks = re.findall(r"calldatacopy\(0x(\w+), 0, 0\)", trapped)
    assert [int(mark, 16) - coverage.MARK for mark in marks] == [*range(7, 13)]
    assert re.sub(r" calldatacopy\(0x\w+, 0, 0\)", "", trapped) == SOURCE
    assert trapped.count("\n") == SOURCE.count("\n")


def test_a_line_of_assembly_needs_the_blocks_around_and_on_it() -> None:
    """A line counts if the innermost block around it and all that open on it were reached."""
    blocks = coverage.assembly_blocks(SOURCE)
    needed = {line: coverage.blocks_of_line(SOURCE, blocks, line) for line in range(1, 13)}

    assert needed[3] == []
    assert needed[5] == [0, 1, 2, 3]
    assert needed[6] == [3]
    assert needed[8] == [0, 4]


def test_the_summary_names_lines_that_did_not_run() -> None:
    """Lines of all files count alike."""
    lines = coverage.parse_lcov("SF:a.sol\nDA:1,3\nDA:2,0\nend_of_record\nSF:b.sol\nDA:9,1\nDA:10,1,x\n")
    table, share = coverage.summary(lines)

    assert lines == {"a.sol": {1: 3, 2: 0}, "b.sol": {9: 1, 10: 1}}
    assert "a.sol  not run: [2]" in table
    assert share == 75.0


def test_a_mutant_changes_one_operator_or_constant() -> None:
    """Operators, instructions and constants are changed; comments, texts, types and names are not."""
    found = [str(mutant) for mutant in mutants.mutants_of("Sums.sol", SOURCE)]
    other = 'bool a = b1 << 8 >= 0x00ff && !c; // 1 + 1\nemit E("1 + 1", hex"01");\n'
    changes = [mutant.after for mutant in mutants.mutants_of("x", other)]

    assert "Sums.sol: `total := add(total, i)` -> `total := sub(total, i)`" in found
    assert not any("not code" in text for text in found)
    assert changes == [
        line + " // 1 + 1"
        for line in (
            "bool a = b1 >> 8 >= 0x00ff && !c;",
            "bool a = b1 << 9 >= 0x00ff && !c;",
            "bool a = b1 << 8 > 0x00ff && !c;",
            "bool a = b1 << 8 >= 0x0100 && !c;",
            "bool a = b1 << 8 >= 0x00ff || !c;",
            "bool a = b1 << 8 >= 0x00ff && c;",
        )
    ]


def test_the_draw_is_the_same_every_time_and_spares_no_code() -> None:
    """The seed decides; libraries and assembly are among the sites, interfaces and mocks are not."""
    first = mutants.drawn()
    folders = {mutant.path.split("/")[1] for mutant in first}

    assert first == mutants.drawn()
    assert len({mutant.rank for mutant in first}) == len(first) > 1_000
    assert {"libraries", "models", "incentives", "CollaborativeTrainer.sol"} <= folders
    assert not folders & {"interfaces", "mocks"}
    for mutant in first[:100]:
        source = (PROJECT / mutant.path).read_text()
        changed = source[: mutant.start] + mutant.text + source[mutant.end :]
        assert changed.splitlines()[mutant.line - 1].strip() == mutant.after


def test_contract_tests_deploy_what_their_profile_compiled() -> None:
    """Files named by their path would always be those of the default profile, which neither tool changes."""
    tests = (PROJECT / "tests" / "contracts").rglob("*.sol")
    assert [path.name for path in tests if re.search(r'"out/', path.read_text())] == []


def test_every_exception_for_slither_has_a_reason() -> None:
    """A directive stands below a comment; one that is off as a whole is explained in docs/security.md."""
    explained = (PROJECT / "docs" / "security.md").read_text()
    excluded = json.loads((PROJECT / "slither.config.json").read_text())["detectors_to_exclude"].split(",")
    for detector in excluded:
        assert f"`{detector}`" in explained
    for path in (PROJECT / "contracts").rglob("*.sol"):
        lines = [line.strip() for line in path.read_text().splitlines()]
        for number, line in enumerate(lines):
            if line.startswith("// slither-disable"):
                assert re.match(r"// (?!slither)\w", lines[number - 1]), f"{path}:{number + 1}"
