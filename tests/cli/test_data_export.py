"""dcai data export: every sample and what became of it, against what the contracts say; as each format."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from eth_account import Account

from dcai_cli.domain import iso_time
from dcai_cli.features.spec import FeatureSpec
from tests.cli.conftest import ADDRESSES, HONEST, STRANGER, Dcai

ALICE, BOB = ADDRESSES["alice"], ADDRESSES["bob"]
CAROL = Account.from_key(STRANGER).address
FIRST = ("batch", "index", "contributor", "label", "features", "added_at", "state")


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_became_of_each_deposit_is_what_the_contract_says(story: Dcai) -> None:
    """To the wei, for each sample and each batch; the story has every state and a deposit that two took."""
    data = story.data("data", "export", "--output", "data.csv")
    rows = rows_of(story.folder / "data.csv")
    assert (data["samples"], data["batches"], data["format"]) == (len(rows), 5, "csv")
    assert tuple(rows[0])[:7] == FIRST
    assert list(rows[0]) == data["columns"]
    incentive = story.data("model", "show")["incentive"]
    paid_wei: dict[int, int] = {}
    with story.chain() as chain:

        def has_reported(batch: int, index: int, who: str) -> Any:
            return chain.view("StakeIncentive", incentive, "hasReported", batch, index, who)

        for row in rows:
            batch, index = int(row["batch"]), int(row["index"])
            reported_wei = chain.view("StakeIncentive", incentive, "reportedWei", batch, index)
            settled, _, swept = chain.view("StakeIncentive", incentive, "stakeOf", batch)
            assert int(row["reported_wei"]) == reported_wei
            reporters = row["reported_by"].split()
            assert [who for who in (ALICE, BOB, CAROL) if has_reported(batch, index, who)] == reporters
            parts = [int(row[f"{name}_wei"]) for name in ("refunded", "reported", "swept")]
            paid_wei[batch] = paid_wei.get(batch, 0) + sum(parts)
            is_settled = settled >> index & 1
            assert (sum(parts) == int(row["deposit_wei"])) == bool(is_settled)
            assert (row["swept_by"] == ALICE) == bool(swept and parts[2])
            lost_wei = 0 if row["contributor"] == row["swept_by"] else parts[2]
            assert int(row["lost_wei"]) == parts[1] + lost_wei
        for batch, amount_wei in paid_wei.items():
            assert chain.view("StakeIncentive", incentive, "stakeOf", batch)[1] == amount_wei
    assert {row["state"] for row in rows} == {"open", "refunded", "reported"}
    both = f"{ALICE} {CAROL}"
    assert any(row["reported_by"] == both and int(row["swept_wei"]) for row in rows)


def test_a_sample_that_its_contributor_swept_is_not_lost(contributed: Dcai) -> None:
    """The owner sweeps its own batch: the state is swept, and nothing went to others."""
    contributed.data("devnet", "advance", "8d")
    contributed.data("refunds", "--claim", "--yes")
    contributed.data("data", "export", "--output", "data.csv")
    rows = rows_of(contributed.folder / "data.csv")
    assert {row["state"] for row in rows} <= {"refunded", "swept"}
    assert {row["lost_wei"] for row in rows} == {"0"}


def test_labels_features_and_times_are_those_of_the_rows(story: Dcai) -> None:
    """Featurizing the file anew gives what is exported of it."""
    story.data("data", "export", "--output", "data.csv")
    mine = [row for row in rows_of(story.folder / "data.csv") if row["contributor"] == ALICE]
    again = story.data("featurize", "films.csv", "--spec", "dear")["samples"]
    assert [row["label"] for row in mine] == [label for _, label in HONEST * 2]
    assert [row["features"] for row in mine] == [
        " ".join(f"{at}:{value}" for at, value in zip(sample["indices"], sample["values"], strict=True))
        for sample in again
    ]
    (added_at,) = story.query("SELECT added_at FROM batches WHERE account = ?", ALICE)[0]
    assert {row["added_at"] for row in mine} == {iso_time(added_at)}


def test_parquet_says_the_same_with_types(story: Dcai) -> None:
    """Column by column the typed table has what the csv has."""
    story.data("data", "export", "--output", "data.csv")
    story.data("data", "export", "--output", "data.parquet")
    rows, table = rows_of(story.folder / "data.csv"), pq.read_table(story.folder / "data.parquet")
    assert table.num_rows == len(rows)
    for row, typed in zip(rows, table.to_pylist(), strict=True):
        pairs = zip(typed.pop("indices"), typed.pop("values"), strict=True)
        assert row.pop("features") == " ".join(f"{at}:{value}" for at, value in pairs)
        assert row.pop("added_at") == typed.pop("added_at").strftime("%Y-%m-%dT%H:%M:%SZ")
        assert row.pop("reported_by") == " ".join(typed.pop("reported_by"))
        assert row.pop("informative") == str(typed.pop("informative")).lower()
        assert row.pop("swept_by") == (typed.pop("swept_by") or "")
        assert row == {name: str(value) for name, value in typed.items()}


LOAD = """
import datasets, json, sys
loaded = datasets.load_dataset(sys.argv[1], split="train")
print(json.dumps({
    "rows": [row | {"added_at": row["added_at"].isoformat()} for row in loaded],
    "names": loaded.features["label"].names,
    "columns": loaded.column_names,
}))
"""


def load(folder: Path, home: Path) -> dict[str, Any]:
    """What Hugging Face's own library makes of a folder, without network."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_data_set_folder_loads_with_hugging_faces_library(story: Dcai) -> None:
    """`load_dataset(folder)` has every sample, and knows the names of the labels."""
    data = story.data("data", "export", "--output", "set", "--format", "hf")
    story.data("data", "export", "--output", "data.csv")
    loaded = load(story.folder / "set", story.folder / "cache")
    rows = rows_of(story.folder / "data.csv")
    assert loaded["names"] == ["negative", "positive"]
    assert loaded["columns"] == data["columns"]
    assert [loaded["names"][row["label"]] for row in loaded["rows"]] == [row["label"] for row in rows]
    assert [row["deposit_wei"] for row in loaded["rows"]] == [row["deposit_wei"] for row in rows]


def test_a_data_card_says_where_the_data_is_from(story: Dcai) -> None:
    """Its front matter is YAML with task, size and labels; it names chain, model, blocks and all columns."""
    data = story.data("data", "export", "--output", "set", "--format", "hf", "--to-block", "16")
    folder = story.folder / "set"
    _, front, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert (card["license"], card["size_categories"]) == ("unknown", ["n<1K"])
    assert card["task_categories"] == ["text-classification"]
    assert card["dcai"]["model"] == data["model"]
    assert (card["dcai"]["chain_id"], card["dcai"]["last_block"]) == (131337, 16)
    names = {feature["name"]: feature for feature in card["dataset_info"]["features"]}
    assert list(names) == data["columns"]
    assert names["label"]["dtype"]["class_label"]["names"] == {"0": "negative", "1": "positive"}
    for column in data["columns"]:
        assert f"| {column} |" in body
    assert "## Licence" in body
    spec = (folder / "feature-spec.json").read_text(encoding="utf-8")
    assert FeatureSpec.from_json(spec).to_json() + "\n" == spec


def test_labels_that_mean_something_to_yaml_survive(dcai: Dcai) -> None:
    """Quotes, colons, pipes and letters of any script come back from the loaded data set as they were."""
    labels = ["no: \"yes\" | 'x' #", "ümläut 🎬 `code`"]
    what = ("--name", "odd", "--labels", ",".join(labels), "--n-features", "256", "--yes")
    dcai.data("model", "deploy", *what)
    rows = [("a film", labels[0]), ("a book", labels[1])]
    dcai.data("contribute", dcai.write("odd.csv", rows), "--model", "odd", "--yes")
    dcai.data("data", "export", "--output", "set", "--format", "hf", "--model", "odd")
    loaded = load(dcai.folder / "set", dcai.folder / "cache")
    assert loaded["names"] == labels
    assert [loaded["names"][row["label"]] for row in loaded["rows"]] == labels


def test_a_model_without_samples_is_an_empty_table(dcai: Dcai) -> None:
    """Tables are there, and have no row; a data set is refused, since `datasets` would not load it."""
    dcai.data("data", "export", "--output", "data.csv")
    dcai.data("data", "export", "--output", "data.parquet")
    assert rows_of(dcai.folder / "data.csv") == []
    assert pq.read_table(dcai.folder / "data.parquet").num_rows == 0
    error = dcai.error("data", "export", "--output", "set", "--format", "hf")
    assert (error["exit_code"], "no samples" in error["message"]) == (15, True)
    assert not (dcai.folder / "set").exists()


def test_blocks_can_be_chosen(story: Dcai) -> None:
    """Nothing after the last block counts; before the first batches are left out, but replayed."""
    story.data("data", "export", "--output", "all.csv")
    rows = rows_of(story.folder / "all.csv")
    blocks = sorted({int(row["block"]) for row in rows})
    story.data("data", "export", "--output", "then.csv", "--to-block", str(blocks[1]))
    then = rows_of(story.folder / "then.csv")
    assert {int(row["block"]) for row in then} == set(blocks[:2])
    assert {row["state"] for row in then} == {"open"}
    story.data("data", "export", "--output", "later.csv", "--from-block", str(blocks[1]))
    later = rows_of(story.folder / "later.csv")
    assert later == [row for row in rows if int(row["block"]) >= blocks[1]]
    assert story.error("data", "export", "-o", "x.csv", "--to-block", "9999")["code"] == "usage"
    backwards = ("--from-block", "9", "--to-block", "8")
    assert story.error("data", "export", "-o", "x.csv", *backwards)["code"] == "usage"
    assert not (story.folder / "x.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (("-o", "data", "--format", "xml"), ["'xml'", "parquet"]),
        (("-o", "data.csv", "--format", "hf"), ["data.csv", "hf"]),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused(
    dcai: Dcai, arguments: tuple[str, ...], phrases: list[str]
) -> None:
    """Exit code 2 with the value and what to type; nothing is written."""
    error = dcai.error("data", "export", *arguments)
    assert error["exit_code"] == 2
    for phrase in phrases:
        assert phrase in f"{error['message']} {error['hint']}"
    assert not (dcai.folder / arguments[1]).exists()


def test_a_name_without_a_known_ending_is_a_csv(contributed: Dcai) -> None:
    """As ever; parquet goes under any name when it is asked for."""
    contributed.data("data", "export", "--output", "data.csv")
    assert contributed.data("data", "export", "--output", "data")["format"] == "csv"
    assert (contributed.folder / "data").read_bytes() == (contributed.folder / "data.csv").read_bytes()
    contributed.data("data", "export", "--output", "table", "--format", "parquet")
    assert pq.read_table(contributed.folder / "table").num_rows == 3


def test_a_folder_with_something_in_it_is_left_alone(contributed: Dcai) -> None:
    """A data set goes into a new folder, or an empty one; nothing else is left behind."""
    full, empty = contributed.folder / "full", contributed.folder / "empty"
    for folder in (full, empty):
        folder.mkdir()
    (full / "mine.txt").write_text("mine")
    error = contributed.error("data", "export", "--output", "full", "--format", "hf")
    assert (error["exit_code"], "is not empty" in error["message"]) == (2, True)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    contributed.data("data", "export", "--output", "empty", "--format", "hf")
    assert sorted(path.name for path in empty.iterdir()) == ["README.md", "data", "feature-spec.json"]
    assert not [path for path in contributed.folder.iterdir() if path.name.startswith((".full", ".empty"))]


def test_the_same_chain_gives_the_same_bytes(story: Dcai) -> None:
    """Exported twice, every file has the same bytes."""
    for name in ("a", "b"):
        story.data("data", "export", "--output", f"{name}.csv")
        story.data("data", "export", "--output", f"{name}.parquet")
        story.data("data", "export", "--output", f"set-{name}", "--format", "hf")
    for ending in ("csv", "parquet"):
        assert (story.folder / f"a.{ending}").read_bytes() == (story.folder / f"b.{ending}").read_bytes()
    for name in ("README.md", "feature-spec.json", "data/train-00000.parquet"):
        assert (story.folder / "set-a" / name).read_bytes() == (story.folder / "set-b" / name).read_bytes()


SCHEMA = """
[[columns]]
name = "size"
type = "numeric"
bins = [1.5, 10]
[[columns]]
name = "member"
type = "boolean"
[[columns]]
name = "kind"
type = "categorical"
"""


def exported(dcai: Dcai, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *deploy: str) -> Any:
    """Deploy a model, contribute rows, export them as csv and as a data set; return both."""
    what = ("--name", "other", "--labels", "no,yes", "--yes")
    dcai.data("model", "deploy", *what, *deploy)
    dcai.data("contribute", dcai.write("rows.csv", rows, header), "--model", "other", "--yes")
    dcai.data("data", "export", "--output", "other.csv", "--model", "other")
    dcai.data("data", "export", "--output", "set", "--format", "hf", "--model", "other")
    loaded = load(dcai.folder / "set", dcai.folder / "cache")
    return rows_of(dcai.folder / "other.csv"), loaded["rows"]


def test_columns_of_tables_come_back_where_their_hashes_tell(dcai: Dcai) -> None:
    """Bins and booleans stand under the names of the schema; a missing value is nothing."""
    (dcai.folder / "schema.toml").write_text(SCHEMA)
    header = ("size", "member", "kind", "label")
    rows = [("7", "yes", "a", "no"), ("0", "no", "b", "yes"), ("", "", "a", "yes")]
    options = ("--kind", "tabular", "--schema", "schema.toml", "--n-features", "4096")
    written, loaded = exported(dcai, header, rows, *options)
    found = [(row["column.size"], row["column.member"]) for row in written]
    assert found == [("1.5 to 10", "true"), ("-inf to 1.5", "false"), ("", "")]
    assert [(row["column.size"] or "", row["column.member"] or "") for row in loaded] == found
    assert "column.kind" not in written[0]


def test_words_of_a_vocabulary_come_back(dcai: Dcai) -> None:
    """In the order of the vocabulary: as JSON in a csv, as a list elsewhere."""
    (dcai.folder / "words.txt").write_text("good\nfilm\nbad film\n")
    rows = [("a bad film", "no"), ("a good film", "yes")]
    options = ("--vocabulary", "words.txt", "--ngrams", "1-2")
    written, loaded = exported(dcai, ("text", "label"), rows, *options)
    assert [row["words"] for row in loaded] == [["film", "bad film"], ["good", "film"]]
    assert [json.loads(row["words"]) for row in written] == [row["words"] for row in loaded]


def test_vectors_come_back_in_steps_of_their_scale(dcai: Dcai) -> None:
    """Each number is that of the file, to half a step."""
    rows = [("[0.5, -0.25, 0.126]", "no"), ("[0, 1, -1]", "yes")]
    options = ("--kind", "dense", "--n-features", "3", "--scale", "100", "--model-type", "nearest-centroid")
    written, loaded = exported(dcai, ("vector", "label"), rows, *options)
    for (numbers, _), row, typed in zip(rows, written, loaded, strict=True):
        assert json.loads(row["vector"]) == typed["vector"]
        assert typed["vector"] == pytest.approx(json.loads(numbers), abs=0.005)


def test_samples_that_earned_points_are_refunded_without_money(club: Dcai) -> None:
    """Where there are no deposits the state still says which samples the model confirmed."""
    club.data("contribute", club.write("new.csv", [("warm and bright", "positive")]), "--yes")
    club.data("data", "export", "--output", "club.csv")
    rows = rows_of(club.folder / "club.csv")
    assert [row["state"] for row in rows] == ["refunded"] * 28 + ["open"]
    assert {row[column] for row in rows for column in row if column.endswith("_wei")} == {"0"}
