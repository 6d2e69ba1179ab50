"""Change the contracts one operator or constant at a time, and see whether the forge tests notice.

`python -m tools.mutants [--count 100] [--minimum 95] [--workers 1]`. The sites are drawn by a seed over all
contract code that is neither an interface nor a mock: libraries and inline assembly, too. Changes that do not
compile are left out. A change that no test catches must be explained in docs/security.md, in the words that
are printed here; the exit status is 1 if one is not, or if too few were caught.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue

from tools.build_artifacts import ROOT
from tools.project_copy import ProjectCopy

SEED = "dcai mutants 1"
CONTRACTS = ROOT / "contracts"
EXPLANATIONS = ROOT / "docs" / "security.md"
WORK = ROOT / "build" / "mutants"

NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?:hex)?"[^"\n]*"|'[^'\n]*'|^(?:pragma|import)\b.*?;""", re.DOTALL | re.MULTILINE
)
OPERATORS = {
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "++": "--", "--": "++",
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "&": "|", "|": "&", "^": "|", "<<": ">>", ">>": "<<", "!": "", "~": "",
    "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|=", "<<=": ">>=", ">>=": "<<=",
}  # fmt: skip
INSTRUCTIONS = {
    "add": "sub", "sub": "add", "mul": "add", "div": "mul", "sdiv": "mul", "mod": "div", "shl": "shr",
    "shr": "shl", "sar": "shr", "lt": "gt", "gt": "lt", "slt": "sgt", "sgt": "slt", "eq": "lt",
    "iszero": "not", "and": "or", "or": "and", "xor": "or", "not": "iszero",
}  # fmt: skip
WORDS = {"true": "false", "false": "true"}
TOKEN = re.compile(
    r"(?P<number>\b0x[0-9a-fA-F]+\b|\b\d[\d_]*(?:e\d+)?\b)"
    r"|(?P<word>\b[A-Za-z_$][\w$]*\b)"
    r"|(?P<operator><<=|>>=|=>|->|[-+*/|&<>=!]=|\+\+|--|&&|\|\||<<|>>|[-+*/%<>&|^!~])"
)


@dataclass(frozen=True)
class Mutant:
    """One change: the characters from `start` to `end` of a file become `text`.

    `before` and `after` are the line without and with the change, without its indentation; `copy` counts the
    changes that read alike.
    """

    path: str
    start: int
    end: int
    text: str
    line: int
    before: str
    after: str
    copy: int

    def __str__(self) -> str:
        """As it is explained in docs/security.md: without the line's number, which changes."""
        return f"{self.path}: `{self.before}` -> `{self.after}`"

    @property
    def rank(self) -> str:
        """What the draw goes by: other changes to the file hardly move it."""
        return hashlib.sha256(f"{SEED} {self} {self.copy}".encode()).hexdigest()


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Every change of one operator or constant of a Solidity source."""
    code = NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    copies: Counter[tuple[str, str]] = Counter()
    for match in TOKEN.finditer(code):
        text = _replacement(match, code)
        if text is None:
            continue
        begin = code.rfind("\n", 0, match.start()) + 1
        end = code.find("\n", match.end())
        before = source[begin:end].strip()
        after = (source[begin : match.start()] + text + source[match.end() : end]).strip()
        line = code.count("\n", 0, begin) + 1
        yield Mutant(path, *match.span(), text, line, before, after, copies[before, after])
        copies[before, after] += 1


def _replacement(match: re.Match[str], code: str) -> str | None:
    token = match[0]
    if match["number"]:
        return _next_number(token)
    if match["operator"]:
        return OPERATORS.get(token)
    if code[match.end() : match.end() + 1] == "(":
        return INSTRUCTIONS.get(token)
    return WORDS.get(token)


def _next_number(token: str) -> str:
    """One more; of a long pattern of bits, the lowest bit is another."""
    if token.startswith("0x"):
        value = int(token, 16)
        return f"0x{value ^ 1 if len(token) > 10 else value + 1:0{len(token) - 2}x}"
    base, _, exponent = token.replace("_", "").partition("e")
    return f"{base}e{int(exponent) + 1}" if exponent else str(int(base) + 1)


def drawn() -> list[Mutant]:
    """All mutants in the order of the draw."""
    found: list[Mutant] = []
    for path in sorted(CONTRACTS.rglob("*.sol")):
        if path.relative_to(CONTRACTS).parts[0] not in {"interfaces", "mocks"}:
            found += mutants_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    return sorted(found, key=lambda mutant: mutant.rank)


def judge(project: ProjectCopy, mutant: Mutant) -> str:
    """Make the change, test, undo it; returns "caught", "survived", or "invalid" if it does not compile."""
    file = project.folder / mutant.path
    source = file.read_text(encoding="utf-8")
    try:
        file.write_text(source[: mutant.start] + mutant.text + source[mutant.end :], encoding="utf-8")
        passed, output = project.passes()
        if passed:
            return "survived"
        return "invalid" if "Compiler run failed" in output else "caught"
    finally:
        file.write_text(source, encoding="utf-8")


def run(count: int, workers: int) -> list[tuple[Mutant, str]]:
    """Judge mutants in the order of the draw until so many are valid; returns these.

    Raises:
        SystemExit: the tests do not pass without any change.
    """
    projects: Queue[ProjectCopy] = Queue()
    for number in range(workers):
        project = ProjectCopy(WORK / str(number), "mutants")
        passed, output = project.passes()
        if not passed:
            sys.exit(f"without any change a test fails:\n{output[-4000:]}")
        projects.put(project)

    def judge_next(mutant: Mutant) -> tuple[Mutant, str]:
        project, began = projects.get(), time.monotonic()
        try:
            verdict = judge(project, mutant)
        finally:
            projects.put(project)
        print(f"{verdict:9}{time.monotonic() - began:5.0f} s  line {mutant.line} of {mutant}", flush=True)
        return mutant, verdict

    valid: list[tuple[Mutant, str]] = []
    waiting = iter(drawn())
    with ThreadPoolExecutor(workers) as pool:
        while len(valid) < count:
            batch = [mutant for _, mutant in zip(range(count - len(valid)), waiting, strict=False)]
            if not batch:
                break
            valid += [judged for judged in pool.map(judge_next, batch) if judged[1] != "invalid"]
    return valid


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="how many changes to try")
    parser.add_argument("--minimum", type=int, default=95, help="how many must be caught")
    parser.add_argument("--workers", type=int, default=1, help="how many to try at once")
    options = parser.parse_args()
    valid = run(options.count, options.workers)
    survivors = [mutant for mutant, verdict in valid if verdict == "survived"]
    explained = EXPLANATIONS.read_text(encoding="utf-8")
    unexplained = [mutant for mutant in survivors if str(mutant) not in explained]
    caught = len(valid) - len(survivors)
    print(f"caught {caught} of {len(valid)}; not explained in docs/security.md: {len(unexplained)}")
    for mutant in unexplained:
        print(f"- {mutant}")
    return 1 if unexplained or caught < options.minimum else 0


if __name__ == "__main__":
    sys.exit(main())
