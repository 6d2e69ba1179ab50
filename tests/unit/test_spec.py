"""Feature specs: canonical JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.domain import Wire
from dcai_cli.errors import BadInput
from dcai_cli.features.columns import Column
from dcai_cli.features.dense import NamedEncoder
from dcai_cli.features.numbers import parse_number
from dcai_cli.features.schema import tabular_spec_from_schema
from dcai_cli.features.spec import FeatureSpec

TEXT = FeatureSpec.text(labels=["schlecht", "gut \U0001f600"], n_features=4096, ngram_range=(1, 2))
VOCABULARY = FeatureSpec.text(
    labels=["no", "yes"],
    vocabulary=[" s\u00f3", "\u00f3 ", " "],
    analyzer="char_wb",
    ngram_range=(1, 3),
    lowercase=False,
)
TABULAR = FeatureSpec.tabular(
    labels=["no", "yes"],
    columns=[Column("sex", "categorical"), Column("age", "numeric", ("18", "65.0"))],
    n_features=512,
    valued=True,
)
DENSE = FeatureSpec.dense(labels=["no", "yes"], length=384, scale="12.50", vector_column="embedding")
ENCODED = FeatureSpec.dense(
    labels=["no", "yes"],
    length=2,
    scale="1e2",
    constant=127,
    max_features=1,
    encoder=NamedEncoder("mini", "v1", "body"),
)
SCHEMA = """
label_column = "survived"
labels = ["0", "1"]

[[columns]]
name = "sex"
type = "categorical"

[[columns]]
name = "age"
type = "numeric"
bins = [-1.50, 18, "65", 1_000.0]
"""


def one(**fields: object) -> dict[str, Any]:
    """A table of one column."""
    return {"columns": [{"name": "a", **fields}]}


def test_json_is_canonical() -> None:
    """A spec has one form: sorted keys, no spaces, every field, no escapes."""
    assert TEXT.to_json() == (
        '{"alternate_sign":false,"analyzer":"word","hash":"murmur3_x86_32","kind":"text",'
        '"label_column":"label","labels":["schlecht","gut \U0001f600"],"lowercase":true,"max_features":1024,'
        '"n_features":4096,"ngram_range":[1,2],"seed":0,"text_column":"text","unicode":"14.0","valued":false,'
        '"version":1}'
    )
    assert VOCABULARY.to_json() == (
        '{"analyzer":"char_wb","kind":"text","label_column":"label","labels":["no","yes"],"lowercase":false,'
        '"max_features":3,"n_features":3,"ngram_range":[1,3],"text_column":"text","unicode":"14.0",'
        '"valued":false,"version":1,"vocabulary":[" s\u00f3","\u00f3 "," "]}'
    )
    assert TABULAR.to_json() == (
        '{"columns":[{"name":"sex","type":"categorical"},{"bins":["18","65.0"],"name":"age","type":"numeric"}],'
        '"hash":"murmur3_x86_32","kind":"tabular","label_column":"label","labels":["no","yes"],'
        '"max_features":512,"n_features":512,"seed":0,"valued":true,"version":1}'
    )

    assert DENSE.to_json() == (
        '{"constant":0,"kind":"dense","label_column":"label","labels":["no","yes"],"max_features":384,'
        '"n_features":384,"scale":"12.50","valued":true,"vector_column":"embedding","version":1}'
    )
    assert ENCODED.to_json() == (
        '{"constant":127,"encoder":{"name":"mini","text_column":"body","version":"v1"},"kind":"dense",'
        '"label_column":"label","labels":["no","yes"],"max_features":1,"n_features":3,"scale":"1e2",'
        '"valued":true,"vector_column":"vector","version":1}'
    )


@pytest.mark.parametrize(
    "spec",
    [TEXT, VOCABULARY, TABULAR, DENSE, ENCODED],
    ids=["text", "vocabulary", "tabular", "dense", "encoded"],
)
def test_json_makes_a_round_trip(spec: FeatureSpec) -> None:
    """What is read is what was written, in whatever order and spacing the JSON comes."""
    assert FeatureSpec.from_json(spec.to_json()) == spec
    loose = json.dumps(dict(reversed(json.loads(spec.to_json()).items())), indent=2)
    assert FeatureSpec.from_json(loose).to_json() == spec.to_json()


def test_wire_says_what_payloads_may_hold() -> None:
    """The wire of a spec has its sizes, classes and kind of values."""
    assert TABULAR.wire == Wire(n_features=512, max_features=512, classes=2, valued=True)


@pytest.mark.parametrize(
    ("spec", "change", "problem"),
    [
        (TEXT, {"version": 2}, "version 2 is not known"),
        (TEXT, {"version": True}, "version True is not known"),
        (TEXT, {"version": None}, "version None is not known"),
        (TEXT, {"kind": "image"}, "kind 'image' is not known"),
        (TEXT, {"kind": ["text"]}, r"kind \['text'\] is not known"),
        (TEXT, {"stop_words": "english"}, "field 'stop_words' is not known"),
        (TEXT, {"columns": []}, "field 'columns' is not known"),
        (TEXT, {"hash": "md5"}, "hash 'md5' is not known"),
        (TEXT, {"seed": 1}, "seed 1 is not known"),
        (TEXT, {"seed": False}, "seed False is not known"),
        (TEXT, {"analyzer": "chars"}, "analyzer 'chars' is not known"),
        (TEXT, {"analyzer": ["char"]}, r"analyzer \['char'\] is not known"),
        (TEXT, {"unicode": "15.0"}, "unicode '15.0' is not known; this program knows '14.0'"),
        (TEXT, {"alternate_sign": 0}, "alternate_sign is 0; it must be true or false"),
        (TEXT, {"vocabulary": ["a", "b"]}, "'alternate_sign' stands beside a vocabulary"),
        (VOCABULARY, {"hash": "murmur3_x86_32"}, "'hash' stands beside a vocabulary"),
        (VOCABULARY, {"vocabulary": []}, "the vocabulary is empty"),
        (VOCABULARY, {"vocabulary": ["a"], "n_features": 1}, "from 2 to 16777216"),
        (VOCABULARY, {"vocabulary": ["a", "b"]}, "n_features is 3, and the vocabulary has 2 features"),
        (VOCABULARY, {"vocabulary": ["a", "b", "a"]}, "feature 'a' stands twice"),
        (VOCABULARY, {"vocabulary": ["a", "b", ""]}, "a feature of the vocabulary is ''"),
        (VOCABULARY, {"vocabulary": ["a", "b", 1]}, "a feature of the vocabulary is 1"),
        (VOCABULARY, {"vocabulary": ["a", "b", "\ud800"]}, "valid Unicode"),
        (VOCABULARY, {"vocabulary": "abc"}, "vocabulary is 'abc'; it must be a list"),
        (TABULAR, {"vocabulary": ["a", "b"]}, "field 'vocabulary' is not known"),
        (TEXT, {"labels": "ab"}, "labels is 'ab'; it must be a list"),
        (TEXT, {"labels": ["a"]}, "there are 1 labels"),
        (TEXT, {"labels": [str(number) for number in range(17)]}, "there are 17 labels"),
        (TEXT, {"labels": ["a", "a"]}, "label 'a' stands twice"),
        (TEXT, {"labels": ["a", ""]}, "a label is ''"),
        (TEXT, {"labels": ["a", 1]}, "a label is 1"),
        (TEXT, {"labels": ["a", "\ud800"]}, "valid Unicode"),
        (TEXT, {"label_column": ""}, "label_column is ''"),
        (TEXT, {"label_column": "text"}, "are both 'text'"),
        (TEXT, {"text_column": 3}, "text_column is 3"),
        (TEXT, {"n_features": 255}, "n_features is 255; it must be a whole number from 256 to 16777216"),
        (TEXT, {"n_features": 2**24 + 1}, "n_features is 16777217"),
        (TEXT, {"n_features": 4096.0}, r"n_features is 4096\.0"),
        (TEXT, {"max_features": 0}, "max_features is 0"),
        (TEXT, {"max_features": 4097}, "max_features is 4097; it must be a whole number from 1 to 4096"),
        (TEXT, {"n_features": 16_384, "max_features": 4097}, "it must be a whole number from 1 to 4096"),
        (TEXT, {"valued": 1}, "valued is 1; it must be true or false"),
        (TEXT, {"lowercase": "yes"}, "lowercase is 'yes'"),
        (TEXT, {"ngram_range": [1]}, "ngram_range is"),
        (TEXT, {"ngram_range": [2, 1]}, r"ngram_range\[1\] is 1; it must be a whole number from 2"),
        (TEXT, {"ngram_range": [0, 1]}, r"ngram_range\[0\] is 0"),
        (TEXT, {"ngram_range": [1, 9]}, r"ngram_range\[1\] is 9"),
        (TEXT, {"ngram_range": 1}, "ngram_range is 1; it must be a list"),
        (TABULAR, {"text_column": "text"}, "field 'text_column' is not known"),
        (TABULAR, {"columns": []}, "there are no columns"),
        (TABULAR, {"columns": ["sex"]}, r"columns\[0\] is 'sex'"),
        (TABULAR, {"columns": [{"name": "a"}]}, r"field columns\[0\]\.'type' is missing"),
        (TABULAR, {"columns": [{"name": "a", "type": "time"}]}, "type 'time'"),
        (TABULAR, {"columns": [{"name": "a", "type": "numeric"}]}, r"field columns\[0\]\.'bins' is missing"),
        (TABULAR, {"columns": [{"name": "a", "type": "numeric", "bins": []}]}, "has no bins"),
        (TABULAR, {"columns": [{"name": "a", "type": "numeric", "bins": [1]}]}, "a bin of column 'a' is 1"),
        (TABULAR, {"columns": [{"name": "a", "type": "numeric", "bins": ["x"]}]}, "'x' is not a number"),
        (TABULAR, {"columns": [{"name": "a", "type": "numeric", "bins": ["2", "2.0"]}]}, "2 is followed"),
        (TABULAR, one(type="numeric", bins=["1", " 2"]), "' 2' has white space around the number"),
        (TABULAR, {"columns": [{"name": "a", "type": "categorical", "bins": []}]}, "'bins' is not known"),
        (TABULAR, one(type="numeric", bins=["1"], step="1"), r"columns\[0\] has bins and a step"),
        (TABULAR, one(type="numeric", step=1), "the step of column 'a' is 1; it must be a decimal above 0"),
        (TABULAR, one(type="numeric", step="0.0"), "the step of column 'a' is '0.0'"),
        (TABULAR, one(type="numeric", step="-1"), "the step of column 'a' is '-1'"),
        (TABULAR, one(type="numeric", step=".5"), "the step of column 'a' is '.5'"),
        (TABULAR, one(type="numeric", step="1e1"), "the step of column 'a' is '1e1'"),
        (TABULAR, one(type="numeric", step="0." + "1" * 16), "at most 15 digits"),
        (TABULAR, one(type="numeric", step=""), "column 'a' is numeric and has no bins"),
        (TABULAR, one(type="categorical", step="1"), "'step' is not known"),
        (TABULAR, one(type="boolean", parts=["day"]), "'parts' is not known"),
        (TABULAR, one(type="date"), r"columns\[0\]\.'parts' is missing"),
        (TABULAR, one(type="date", parts=[]), "column 'a' is a date and has no parts"),
        (TABULAR, one(type="date", parts=["week"]), "column 'a' has the part 'week'; this program knows"),
        (TABULAR, one(type="date", parts=[["day"]]), r"column 'a' has the part \['day'\]"),
        (TABULAR, one(type="date", parts=["day", "day"]), "part of column 'a' 'day' stands twice"),
        (TABULAR, one(type="date", parts="day"), r"columns\[0\]\.parts is 'day'; it must be a list"),
        (TABULAR, one(type="boolean", missing=[]), r"columns\[0\]\.missing is empty"),
        (TABULAR, one(type="boolean", missing=[""]), "a missing value of column 'a' is ''"),
        (TABULAR, one(type="boolean", missing=[0]), "a missing value of column 'a' is 0"),
        (TABULAR, one(type="boolean", missing=[" ?"]), "a missing value of column 'a' is ' \\?'"),
        (TABULAR, one(type="boolean", missing=["?", "?"]), "missing value of column 'a' '\\?' stands twice"),
        (TABULAR, one(type="boolean", missing="?"), "must be a list"),
        (TABULAR, one(type=["date"]), r"type \['date'\]"),
        (TABULAR, {"columns": [{"name": "a=b", "type": "categorical"}]}, "'=' in its name"),
        (TABULAR, {"columns": [{"name": "a", "type": "categorical"}] * 2}, "column 'a' stands twice"),
        (TABULAR, {"label_column": "sex"}, "'sex' is also a column"),
        (DENSE, {"hash": "murmur3_x86_32"}, "field 'hash' is not known"),
        (DENSE, {"columns": []}, "field 'columns' is not known"),
        (TEXT, {"scale": "1"}, "field 'scale' is not known"),
        (TABULAR, {"encoder": None}, "field 'encoder' is not known"),
        (DENSE, {"valued": False}, "vectors are nothing without their values"),
        (DENSE, {"n_features": 4097, "max_features": 384}, "n_features is 4097; .* from 2 to 4096"),
        (DENSE, {"n_features": 1, "max_features": 1}, "n_features is 1;"),
        (DENSE, {"max_features": 385}, "max_features is 385; .* from 1 to 384"),
        (DENSE, {"constant": 128}, "constant is 128; .* from 0 to 127"),
        (DENSE, {"constant": -1}, "constant is -1;"),
        (DENSE, {"constant": True}, "constant is True;"),
        (ENCODED, {"n_features": 2}, "n_features is 2; it must be a whole number from 3"),
        (DENSE, {"vector_column": ""}, "vector_column is ''"),
        (DENSE, {"vector_column": "label"}, "vector_column and label_column are both 'label'"),
        (DENSE, {"scale": 12.5}, r"scale is 12\.5; it must be a string"),
        (DENSE, {"scale": "0x10"}, "scale: '0x10' is not a number"),
        (DENSE, {"scale": "inf"}, "scale: 'inf' is not a number"),
        (DENSE, {"scale": "1 "}, "scale: '1 ' has white space around the number"),
        (DENSE, {"scale": "1e999"}, "scale: '1e999' is out of range"),
        (DENSE, {"scale": "0.0"}, r"scale is 0\.0; it must be above 0"),
        (DENSE, {"scale": "-1"}, "scale is -1; it must be above 0"),
        (DENSE, {"scale": "1e-999"}, "scale is 1e-999; it must be above 0"),
        (DENSE, {"encoder": None}, "encoder is None; it must be an object"),
        (DENSE, {"encoder": "mini"}, "encoder is 'mini'; it must be an object"),
        (ENCODED, {"encoder": {"name": "mini", "version": "1"}}, "field encoder.'text_column' is missing"),
        (
            ENCODED,
            {"encoder": {"name": "a", "version": "1", "text_column": "t", "url": "x"}},
            "field encoder.'url' is not known",
        ),
        (ENCODED, {"encoder": {"name": "", "version": "1", "text_column": "t"}}, "encoder.name is ''"),
        (ENCODED, {"encoder": {"name": "a", "version": 1, "text_column": "t"}}, "encoder.version is 1"),
        (
            ENCODED,
            {"encoder": {"name": "a", "version": "1", "text_column": "vector"}},
            "encoder.text_column and vector_column are both 'vector'",
        ),
        (
            ENCODED,
            {"encoder": {"name": "a", "version": "1", "text_column": "label"}},
            "encoder.text_column and label_column are both 'label'",
        ),
    ],
)  # fmt: skip
def test_unknown_or_wrong_fields_are_refused_by_name(
    spec: FeatureSpec, change: dict[str, Any], problem: str
) -> None:
    """Whatever this program does not know exactly is refused, and the message names it."""
    with pytest.raises(BadInput, match=problem):
        FeatureSpec.from_json(json.dumps(json.loads(spec.to_json()) | change))


@pytest.mark.parametrize(
    "spec",
    [TEXT, VOCABULARY, TABULAR, DENSE, ENCODED],
    ids=["text", "vocabulary", "tabular", "dense", "encoded"],
)
def test_every_field_must_be_there(spec: FeatureSpec) -> None:
    """A spec on a chain has no defaults: a missing field is refused by name."""
    fields = json.loads(spec.to_json())
    for name in fields:
        if name == "encoder":
            continue  # without it a spec is one of vectors alone
        # Without its vocabulary a spec of text is one that hashes.
        missing = "alternate_sign" if name == "vocabulary" else name
        with pytest.raises(BadInput, match=missing):
            FeatureSpec.from_json(json.dumps({key: fields[key] for key in fields if key != name}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '"text"', "[" * 100_000, '{"version":1,"version":1}', '{"version":NaN}']
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    """Broken JSON, other JSON, a repeated field and NaN are refused."""
    with pytest.raises(BadInput, match="eature spec"):
        FeatureSpec.from_json(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7.0), ("007", 7.0), (" 7.25\t", 7.25), ("-.5", -0.5), ("+5.", 5.0), ("1e3", 1000.0),
        ("1E-2", 0.01),
    ],
)  # fmt: skip
def test_numbers_are_read_as_decimals(text: str, number: float) -> None:
    """A number is an ASCII decimal with an optional exponent."""
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "e5", "1e", "nan", "inf", "-Infinity", "0x10", "1_000", "1,5", "\u0663", "1e999",
        "7 7", "\u00a07",
    ],
)  # fmt: skip
def test_other_numbers_are_refused(text: str) -> None:
    """Names, hexadecimal, underscores, other digits, other spaces and infinities are no numbers."""
    with pytest.raises(ValueError, match=r"not a number|out of range"):
        parse_number(text)


def test_a_schema_file_becomes_a_spec(tmp_path: Path) -> None:
    """Columns, bins as they were written, labels and the label column come from the TOML file."""
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA)
    spec = tabular_spec_from_schema(path, n_features=1024)
    assert spec.labels == ("0", "1")
    assert spec.label_column == "survived"
    assert spec.columns == (
        Column("sex", "categorical"),
        Column("age", "numeric", ("-1.50", "18", "65", "1000.0")),
    )
    assert tabular_spec_from_schema(path, labels=["0", "1"], n_features=1024) == spec


def test_labels_may_come_from_outside_the_schema(tmp_path: Path) -> None:
    """Without labels in the file those that were given count; without any it is refused."""
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA.replace("labels =", "#"))
    assert tabular_spec_from_schema(path, labels=["a", "b"], n_features=1024).labels == ("a", "b")
    with pytest.raises(BadInput, match="has no labels"):
        tabular_spec_from_schema(path, n_features=1024)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("labels = [", "is not TOML"),
        (SCHEMA + "extra = 1", r"columns\[1\]\.'extra' is not known"),
        ("rows = 1\n" + SCHEMA, "'rows'"),
        (SCHEMA.replace('["0", "1"]', '["1", "0"]'), "were given"),
        (SCHEMA.replace('["0", "1"]', "3"), "labels is 3"),
        ("labels = ['0', '1']", "there are no columns"),
        (SCHEMA.replace("-1.50", "nan"), "'nan' is not a number"),
        (SCHEMA.replace("-1.50", "20"), "20 is followed by 18"),
        (SCHEMA.replace("-1.50", "true"), "a bin of column 'age' is True"),
    ],
)
def test_bad_schemas_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    """A schema that is no TOML, has unknown fields, other labels or bad bins is refused."""
    path = tmp_path / "schema.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=problem):
        tabular_spec_from_schema(path, labels=["0", "1"], n_features=1024)


def test_a_missing_schema_is_named(tmp_path: Path) -> None:
    """A schema file that is not there is refused by its name."""
    with pytest.raises(BadInput, match=r"none\.toml cannot be read"):
        tabular_spec_from_schema(tmp_path / "none.toml", n_features=1024)
