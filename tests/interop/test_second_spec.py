"""The feature spec beside a second implementation of it, which knows docs/feature-spec.md and no Python."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.domain import Row, Wire
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.hashing import feature_names, vectorize
from dcai_cli.features.payload import decode_payload, encode_sample
from dcai_cli.features.quantiles import learn_bins
from dcai_cli.features.readers.cells import json_cells
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.features.vectors import Unusable, make_samples
from tests.conftest import PROJECT
from tests.interop import made_up_questions

SECOND = Path(__file__).parent / "feature_spec" / "main.mjs"
pytestmark = pytest.mark.xdist_group("second-spec")  # one worker asks node once

SEED = 4
GOLDEN = PROJECT / "tests" / "golden"

Answers = dict[str, list[Any]]


def golden(name: str) -> Any:
    """The vectors of a file."""
    return json.loads((GOLDEN / name).read_text())


def row_vectors() -> list[dict[str, Any]]:
    """The golden rows of all kinds of specs."""
    return [*golden("features.json"), *golden("vectors.json")]


def spec_vectors() -> list[dict[str, Any]]:
    """The golden documents, and the specs of the golden rows, which are canonical."""
    of_rows = [{"document": row["spec"], "canonical": row["spec"]} for row in row_vectors()]
    return [*golden("specs.json"), *of_rows]


def payload_vectors() -> list[dict[str, Any]]:
    """The payloads of the golden file, good ones first; they are of models with two classes."""
    vectors = golden("payload.json")
    return [{**vector, "n_labels": 2} for vector in vectors["valid"] + vectors["invalid"]]


@pytest.fixture(scope="module")
def made_up() -> Answers:
    """Questions from a fixed seed, a few thousand of every kind."""
    return made_up_questions.make(random.Random(SEED))  # noqa: S311


@pytest.fixture(scope="module")
def answers(made_up: Answers) -> tuple[Answers, Answers]:
    """What the second implementation says to the golden vectors, and to the made-up questions."""
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("node is not on the PATH, and the second implementation needs it")
        pytest.skip("node is not on the PATH")
    vectors = {"rows": row_vectors(), "payloads": payload_vectors()}
    vectors["specs"] = [vector["document"] for vector in spec_vectors()]
    vectors["lines"] = [vector["line"] for vector in golden("lines.json")]
    asked = {name: vectors.get(name, []) + made_up.get(name, []) for name in {**vectors, **made_up}}
    run = subprocess.run(
        [node, str(SECOND)], input=json.dumps(asked).encode(), capture_output=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    said = json.loads(run.stdout)
    of_vectors = {name: said[name][: len(questions)] for name, questions in vectors.items()}
    return of_vectors, {name: said[name][len(vectors.get(name, [])) :] for name in made_up}


def answer_row(text: str, cells: dict[str, str]) -> dict[str, Any] | None:
    """What the package makes of a row, as the second implementation answers it."""
    spec = FeatureSpec.from_json(text)
    label = cells[spec.label_column]
    if label not in spec.labels:
        return None
    if spec.kind == "dense":
        (made,) = make_samples(spec, [cells[spec.vector_column]], [spec.labels.index(label)])
        if isinstance(made, Unusable):
            return None
        ((_, vector),) = decode_payload(made.data, spec.wire)
        return {"indices": list(vector.indices), "values": list(vector.values), "sample": made.data.hex()}
    try:
        names, vector = feature_names(spec, cells), vectorize(spec, cells)
    except BadInput:
        return None
    sample = encode_sample(spec.labels.index(label), vector, spec.wire)
    travelling = {"indices": list(vector.indices), "values": list(vector.values)}
    return {"features": names, **travelling, "sample": sample.hex()}


def answer_spec(text: str) -> str | None:
    """The canonical form of a document, or None if it is refused."""
    try:
        return FeatureSpec.from_json(text).to_json()
    except BadInput:
        return None


def answer_line(line: str) -> list[list[str]] | None:
    """The cells of a line of jsonl, or None if it is refused."""
    try:
        return [[name, cell] for name, cell in json_cells("a line", line).items()]
    except BadInput:
        return None


def answer_payload(question: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The samples of a payload, or None if it is refused."""
    sizes = (question[name] for name in ("n_features", "max_features", "n_labels", "valued"))
    try:
        samples = decode_payload(bytes.fromhex(question["payload"][2:]), Wire(*sizes))
    except BadInput:
        return None
    return [
        {"label": label, "indices": list(vector.indices), "values": list(vector.values)}
        for label, vector in samples
    ]


def answer_quantiles(question: dict[str, Any]) -> list[str] | None:
    """The bins that a column's cells make, or None if they are refused."""
    fields = question["column"]
    column = Column(fields["name"], "numeric", missing=tuple(fields["missing"]))
    rows = [Row(number, {column.name: cell}) for number, cell in enumerate(question["cells"], start=1)]
    try:
        return list(learn_bins(rows, {column: question["quantiles"]}, "rows")[column.name])
    except BadInput:
        return None


def hold(name: str, questions: list[Any], expected: list[Any], said: list[Any]) -> None:
    """Fail with the first question whose answers differ, and with how many there are."""
    assert len(questions) == len(expected) == len(said)
    wrong = [at for at, pair in enumerate(zip(expected, said, strict=True)) if pair[0] != pair[1]]
    shown = "".join(f"\n{json.dumps(part[wrong[0]])}" for part in (questions, expected, said) if wrong)
    assert not wrong, f"{len(wrong)} of {len(said)} {name}: question, expected, said{shown}"


def test_it_gives_the_golden_samples(answers: tuple[Answers, Answers]) -> None:
    """Of every golden row the features, indices and sample; and none of a row that is skipped."""
    vectors = row_vectors()
    expected, said = [], []
    for vector, row in zip(vectors, answers[0]["rows"], strict=True):
        names = [name for name in ("features", "indices", "sample") if name in vector]
        made = {} if row is None else {**row, "sample": f"0x{row['sample']}"}
        expected.append({name: vector[name] for name in names})
        said.append({name: made.get(name) for name in names or made})
    hold("golden rows", vectors, expected, said)
    assert sum(not one for one in said) >= 50


def test_it_reads_the_golden_payloads(answers: tuple[Answers, Answers]) -> None:
    """The samples of every good one, and none of a bad one."""
    vectors = payload_vectors()
    fields = ("label", "indices", "values")
    expected = [
        None if "error" in vector else [{name: one[name] for name in fields} for one in vector["samples"]]
        for vector in vectors
    ]
    hold("golden payloads", vectors, expected, answers[0]["payloads"])


def test_it_reads_the_golden_lines(answers: tuple[Answers, Answers]) -> None:
    """The cells of lines of jsonl; the package reads them alike."""
    vectors = golden("lines.json")
    cells = [vector["cells"] for vector in vectors]
    expected = [None if one is None else [list(pair) for pair in one.items()] for one in cells]
    ours = [answer_line(vector["line"]) for vector in vectors]
    hold("golden lines", vectors, expected, ours)
    hold("golden lines", vectors, expected, answers[0]["lines"])


def test_it_reads_the_golden_specs(answers: tuple[Answers, Answers]) -> None:
    """The canonical form of every good one, and none of a bad one; the package reads them alike."""
    vectors = spec_vectors()
    expected = [vector["canonical"] for vector in vectors]
    hold("golden specs", vectors, expected, [answer_spec(vector["document"]) for vector in vectors])
    hold("golden specs", vectors, expected, answers[0]["specs"])


def test_both_make_the_same_of_random_rows(made_up: Answers, answers: tuple[Answers, Answers]) -> None:
    """Specs of every kind and option, and cells with nasty Unicode, numbers and dates."""
    questions = made_up["rows"]
    expected = [answer_row(question["spec"], question["cells"]) for question in questions]
    hold("rows", questions, expected, answers[1]["rows"])
    assert sum(one is not None for one in expected) > len(questions) / 2
    assert sum(one is None for one in expected) > len(questions) / 20


def test_both_refuse_the_same_documents(made_up: Answers, answers: tuple[Answers, Answers]) -> None:
    """Specs with a field changed, left out, added or doubled; good ones have the same canonical form."""
    questions = made_up["specs"]
    expected = [answer_spec(text) for text in questions]
    hold("specs", questions, expected, answers[1]["specs"])
    assert sum(one is not None for one in expected) > len(questions) / 10
    assert sum(one is None for one in expected) > len(questions) / 3


def test_both_read_the_same_lines(made_up: Answers, answers: tuple[Answers, Answers]) -> None:
    """Random values of jsonl become the same cells."""
    questions = made_up["lines"]
    hold("lines", questions, [answer_line(line) for line in questions], answers[1]["lines"])


def test_both_read_the_same_payloads(made_up: Answers, answers: tuple[Answers, Answers]) -> None:
    """Random samples behind one another, most of them damaged at one place."""
    questions = made_up["payloads"]
    expected = [answer_payload(question) for question in questions]
    hold("payloads", questions, expected, answers[1]["payloads"])
    assert min(sum(one is None for one in expected), sum(one is not None for one in expected)) > 100


def test_both_learn_the_same_bins(made_up: Answers, answers: tuple[Answers, Answers]) -> None:
    """From random numbers, many of them equal."""
    questions = made_up["quantiles"]
    expected = [answer_quantiles(question) for question in questions]
    hold("quantiles", questions, expected, answers[1]["quantiles"])
