"""A program that uses the library: it is typed as its author sees it, and it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT, new_dcai

CONSUMER = Path(__file__).with_name("consumer.py")


def mypy(program: Path) -> subprocess.CompletedProcess[str]:
    """Check a program strictly by what is installed, py.typed and all; nothing of this checkout is found."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", program.name]
    return subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)


def test_a_strict_type_checker_passes_and_knows_what_the_library_returns(tmp_path: Path) -> None:
    """The program has no fault, and one that takes a label array for a number has."""
    program = Path(shutil.copy(CONSUMER, tmp_path))
    done = mypy(program)
    assert done.returncode == 0, done.stdout + done.stderr

    right = "assert_type(classifier.predict(texts), NDArray[np.str_])"
    text = program.read_text()
    assert right in text
    program.write_text(text.replace(right, right.replace("np.str_", "np.int64")))
    wrong = mypy(program)
    assert wrong.returncode == 1
    assert "[assert-type]" in wrong.stdout


def test_the_program_runs(tmp_path: Path) -> None:
    """With a model file, a file of rows, and a home that has a model and a deposit."""
    dcai = new_dcai(tmp_path / "home", None)
    dcai.deploy("reviews", labels="negative,positive", n_features=256)
    rows = PROJECT / "examples" / "reviews.csv"
    dcai("contribute", rows, "--limit", "20", "--yes")
    weights = tmp_path / "weights.npz"
    dcai("model", "snapshot", "--output", weights)
    few = tmp_path / "few.csv"
    few.write_text("text\na wonderful warm film\na dull cold mess\n")
    done = subprocess.run(
        [sys.executable, CONSUMER, weights, few],
        env=dcai.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    predicted, sizes, out, block, asked = done.stdout.splitlines()
    assert set(predicted.split()) <= {"negative", "positive"}
    assert all(int(size) > 0 for size in sizes.split())
    assert out == "reviews: 20"
    assert block.startswith("block ")
    assert asked.startswith(f"reviews says {predicted.split()[0]}; ")
