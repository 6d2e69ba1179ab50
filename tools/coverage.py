"""Measure which lines of the contracts the forge tests run, and fail below a percentage.

`python -m tools.coverage [--minimum 98]`. `forge coverage` knows Solidity lines. Of inline assembly the
compiler keeps no line numbers, so there every block gets a trap: the contracts are compiled once with a
marked, idle instruction at the start of each block, and the tests run once for each, with it made invalid.
Its lines count as run if a test then fails.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass

from tools.build_artifacts import ROOT
from tools.project_copy import ProjectCopy

WORK = ROOT / "build" / "coverage"
MARK = 0x5AFEA501
"""A trap's mark is this plus its number: no other constant of ours starts so."""

NO_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"', re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of inline assembly: where its brace opens, and where it is closed, as offsets."""

    start: int
    end: int


def assembly_blocks(source: str) -> list[Block]:
    """Every block of inline assembly that is not empty, inner ones too, by their start."""
    code = NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    # The word before a block may have lost its ("memory-safe"), which is a string.
    starts = re.finditer(r"\bassembly\s*(\(\s*\)\s*)?(?=\{)", code)
    blocks: list[Block] = []
    for match in starts:
        open_braces: list[int] = []
        for offset in range(match.end(), len(code)):
            if code[offset] == "{":
                open_braces.append(offset)
            elif code[offset] == "}":
                block = Block(open_braces.pop(), offset)
                if code[block.start + 1 : block.end].strip():
                    blocks.append(block)
                if not open_braces:
                    break
    return sorted(blocks, key=lambda block: block.start)


def with_traps(source: str, first: int) -> str:
    """The source with a marked instruction at the start of each block; lines keep their numbers.

    Args:
        source: Solidity.
        first: The number of the first trap.
    """
    blocks = assembly_blocks(source)
    for number, block in reversed(list(enumerate(blocks, first))):
        head, tail = source[: block.start + 1], source[block.start + 1 :]
        # Copies nothing to there; unlike pop(...), the optimizer cannot know that it does nothing.
        source = f"{head} calldatacopy(0x{MARK + number:08x}, 0, 0){tail}"
    return source


def blocks_of_line(source: str, blocks: list[Block], line: int) -> list[int]:
    """Which blocks (by their place in the list) must run for a line to count: around it, or opened on it."""
    first = sum(len(text) for text in source.splitlines(keepends=True)[: line - 1])
    text = source.splitlines(keepends=True)[line - 1]
    begin, end = first + len(text) - len(text.lstrip()), first + len(text)
    around = [i for i, block in enumerate(blocks) if block.start < begin < block.end]
    return around[-1:] + [i for i, block in enumerate(blocks) if begin <= block.start < end]


def parse_lcov(text: str) -> dict[str, dict[int, int]]:
    """How often each line of each file ran, by path and line number."""
    hits: dict[str, dict[int, int]] = {}
    path = ""
    for entry in text.splitlines():
        if entry.startswith("SF:"):
            path = entry[3:]
        elif entry.startswith("DA:"):
            line, count = entry[3:].split(",")[:2]
            hits.setdefault(path, {})[int(line)] = int(count)
    return hits


def solidity_lines(project: ProjectCopy) -> dict[str, dict[int, int]]:
    """What `forge coverage` says of the contracts that are not mocks.

    Raises:
        SystemExit: a test failed.
    """
    report = project.folder / "lcov.info"
    options = ("--exclude-tests", "--report", "lcov", "--report-file", str(report))
    passed, output = project.forge("coverage", "--ir-minimum", *options)
    if not passed:
        sys.exit(output[-4000:])
    lines = parse_lcov(report.read_text(encoding="utf-8"))
    return {path: hits for path, hits in lines.items() if _is_measured(path)}


def _is_measured(path: str) -> bool:
    return path.startswith("contracts/") and not path.startswith("contracts/mocks/")


def set_traps(project: ProjectCopy, paths: list[str]) -> dict[str, list[int]]:
    """Compile with idle traps; returns the marks of each file's blocks in order.

    Raises:
        SystemExit: a test failed.
    """
    marks: dict[str, list[int]] = {}
    number = 0
    for path in paths:
        source = (ROOT / path).read_text(encoding="utf-8")
        (project.folder / path).write_text(with_traps(source, number), encoding="utf-8")
        marks[path] = [MARK + number + i for i in range(len(assembly_blocks(source)))]
        number += len(marks[path])
    passed, output = project.passes()
    if not passed:
        sys.exit(f"with idle traps, which change nothing, a test fails:\n{output[-4000:]}")
    return marks


def is_reached(project: ProjectCopy, mark: int) -> bool:
    """Whether a test fails once the marked instruction is invalid in all that was compiled.

    Raises:
        SystemExit: the instruction was optimised away, so nothing would be tested.
    """
    idle, armed = f"63{mark:08x}", f"fe{mark:08x}"
    texts = {path: path.read_text(encoding="utf-8") for path in project.artifacts}
    marked = {path: text for path, text in texts.items() if idle in text}
    if not marked:
        sys.exit(f"trap {mark:#x} is in no compiled contract")
    for path, text in marked.items():
        path.write_text(text.replace(idle, armed), encoding="utf-8")
    passed, _ = project.passes()
    for path, text in marked.items():
        path.write_text(text, encoding="utf-8")
    return not passed


def count_assembly(project: ProjectCopy, lines: dict[str, dict[int, int]]) -> None:
    """Replace the counts of lines in assembly by what the traps say: 1 or 0."""
    marks = set_traps(project, sorted(lines))
    for path, hits in lines.items():
        source = (ROOT / path).read_text(encoding="utf-8")
        blocks = assembly_blocks(source)
        reached = set[int]()
        # From the inside out: whatever is around a block that was reached was reached, too.
        for i in reversed(range(len(blocks))):
            within = any(blocks[i].start < blocks[j].start < blocks[i].end for j in reached)
            if within or is_reached(project, marks[path][i]):
                reached.add(i)
        for line in hits:
            if needed := blocks_of_line(source, blocks, line):
                hits[line] = int(reached.issuperset(needed))
        if blocks:
            print(f"{path}: {len(reached)} of {len(blocks)} blocks of assembly reached", flush=True)


def summary(lines: dict[str, dict[int, int]]) -> tuple[str, float]:
    """A table by file with the lines that did not run, and the percentage of all."""
    rows, run, total = [], 0, 0
    for path, hits in sorted(lines.items()):
        missed = sorted(line for line, count in hits.items() if count == 0)
        run, total = run + len(hits) - len(missed), total + len(hits)
        share = 100 * (len(hits) - len(missed)) / len(hits)
        rows.append(f"{share:6.2f} %  {path}" + (f"  not run: {missed}" if missed else ""))
    share = 100 * run / total
    return "\n".join([*rows, f"{share:6.2f} %  all, {run} of {total} lines"]), share


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minimum", type=float, default=98.0, help="the percentage of lines that must run")
    minimum: float = parser.parse_args().minimum
    project = ProjectCopy(WORK, "coverage")
    lines = solidity_lines(project)
    count_assembly(project, lines)
    table, share = summary(lines)
    print(table)
    return 0 if share >= minimum else 1


if __name__ == "__main__":
    sys.exit(main())
