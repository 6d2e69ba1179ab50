"""The tables of docs/json.md against what the commands print."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dcai_cli.cli.app import program, run
from dcai_cli.cli.demo import _story
from dcai_cli.keystore import Keystore
from dcai_cli.services.demo import Moment, Story
from tests.json_schemas import check_document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"
PASSWORD = "open sesame"
ROWS = [
    ("a wonderful warm film", "positive"),
    ("great acting and a wonderful story", "positive"),
    ("a dull cold mess", "negative"),
    ("cold acting and a dull plot", "negative"),
    ("nobody knows", "undecided"),
]


def documented() -> dict[tuple[str, ...], set[str]]:
    """The fields of each section, under the commands that it is about."""
    sections = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        table = text.partition("| field | value |")[2].partition("\n\n")[0]
        fields = {
            name for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])
        }
        if fields:
            sections[tuple(title.split(", "))] = fields
    model = sections["model use",]
    for commands in ("model verify",), ("model show",), ("model deploy",):
        sections[commands] |= model
    sections["model list",] |= {f"models[].{name}" for name in model}
    listed = sections["market status",] - {"markets"}
    market = {name.removeprefix("markets[].") for name in listed}
    sections["market create",] |= {f"market.{name}" for name in market}
    sections["market create",] |= {name for name in market if name.startswith("rules.")}
    sections["market join",] |= {f"market.{name}" for name in market}
    sections["market reveal", "market step", "market collect"] |= listed
    return sections


def paths(data: Any, prefix: str = "") -> Iterator[str]:
    """The fields of a document, as the page writes them."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield prefix + name
            yield from paths(value, f"{prefix}{name}.")
    elif isinstance(data, list):
        for element in data:
            yield from paths(element, f"{prefix.removesuffix('.')}[].")


class Printed:
    """Runs commands in this process and collects the fields that they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.fields: dict[str, set[str]] = defaultdict(set)

    def __call__(self, title: str, *arguments: str, typed: str = "") -> None:
        """Run a command; its fields go to the section that names it by this title."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = run([*title.removeprefix("dcai").split(), *arguments, "--json"])
        printed = self._capsys.readouterr()
        assert code == 0, printed.out + printed.err
        document = json.loads(printed.out)
        assert title.startswith(document["command"])
        check_document(title, document)
        self.fields[title] |= set(paths(document["data"]))


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """A home with one account, `alice`, and three files of rows."""
    for name in ("ETH_RPC_URL", "ETH_FROM", "ETH_KEYSTORE", "ETH_KEYSTORE_ACCOUNT", "DCAI_CHAIN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ETH_PASSWORD", str(tmp_path / "password"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    Path("password").write_text(PASSWORD)
    Path("rows.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    Path("texts.csv").write_text("text,note\nwarm and great,\n?,no word\n")
    Keystore(tmp_path / "home" / "keystore", work_factor=1 << 12).new("alice", PASSWORD)
    return Printed(capsys, monkeypatch)


def play_with_points(printed: Printed) -> None:
    """Earn points on both sides, validate one of them, and rank them."""
    club = ("--model", "club")
    what = ("--name", "club", "--labels", "negative,positive", "--n-features", "4096", "--margin", "0")
    printed("model deploy", *what, "--incentive", "points", "--yes")
    rows = [f"x{number} y{number},{('positive', 'negative')[number % 2]}\n" for number in range(21)]
    for name, part in (("alice", rows[:20]), ("bob", rows[20:])):
        Path(f"{name}.csv").write_text("text,label\n" + "".join(part))
        printed("contribute", f"{name}.csv", *club, "--account", name, "--yes")
    printed("refunds", *club)
    printed("devnet advance", "25h")
    for name in ("alice", "bob"):
        printed("refunds --claim", *club, "--account", name, "--yes")
    printed("validate", "bob", *club, "--account", "alice", "--yes")
    printed("leaderboard", *club)


def play_in_a_market(printed: Printed) -> None:
    """A market of two pieces: the daemon shows a contribution, commands do the rest."""
    market = ("bounty", "--account", "alice")
    texts = [f"mood{at} film{at},{('negative', 'positive')[at % 2]}\n" for at in range(12)]
    for name, part in (("test", [*texts[:8], "?,negative\n"]), ("mine", [*texts[8:], "?,negative\n"])):
        Path(f"{name}.csv").write_text("text,label\n" + "".join(part))
    spec = ("--labels", "negative,positive", "--n-features", "256")
    what = ("--test", "test.csv", *spec, "--pieces", "2", "--bounty", "1ether", "--yes")
    printed("market create", *market, *what)
    printed("market reveal", *market, "--yes")
    bob = ("--account", "bob")
    for _ in range(2):  # the second finds what the first did
        printed("market join", "alice/bounty", "mine.csv", *bob, "--yes")
    printed("market create", *market, *what)
    printed("devnet advance", "7d")
    printed("daemon run", "--once", *bob)
    printed("devnet advance", "2d")
    printed("market reveal", *market, "--yes")
    printed("market step", *market, "--yes")
    printed("market collect", *market, "--yes")
    printed("market status")


def play_with_the_daemon(printed: Printed) -> None:
    """Two cycles, the second after an error; what is installed is only shown."""
    printed("daemon run", "--once")
    (state,) = Path("home/daemon").glob("*.json")
    form = json.loads(state.read_bytes())
    error = {"code": "failed", "message": "What happened.", "hint": "What to do."}
    state.write_text(json.dumps({**form, "error": error}))
    printed("daemon status")
    printed("daemon install", "--cron", "--print")
    printed("daemon uninstall", "--systemd")


def test_the_tables_name_exactly_the_fields_that_are_printed(printed: Printed) -> None:
    """Over a whole story, the fields of all documents are those of the tables, no more and no less."""
    printed("init", "--account", "alice", "--rpc-url", "embedded")
    printed("account use", "alice")
    printed("account import", "--name", "bob", typed="0x" + "b0" * 32)
    printed("account new", "--name", "carol")
    printed("account list")
    printed("account show")
    words = ("--labels", "negative,positive", "--n-features", "256", "--no-seal", "--yes")
    printed("model deploy", "--name", "films", *words)
    printed("model seal", "--yes")
    moods = ("warm", "cold", "great", "dull", "bright")
    texts = [f"a {moods[at % 5]} film {at},{('negative', 'positive')[at % 2]}\n" for at in range(20)]
    Path("many.csv").write_text("text,label\n" + "".join(texts))
    printed("model suggest", "many.csv")
    for command in ("use films", "verify", "list", "show"):
        title, *arguments = command.split()
        printed(f"model {title}", *arguments)
    printed("model supersede", "films", "--none", "--yes")
    printed("contribute", "rows.csv", "--spread", "1h", "--max-rise", "25", "--dry-run")
    printed("contribute", "rows.csv", "--yes")
    printed("model evaluate", "rows.csv")
    printed("model evaluate", "rows.csv", "--publish", "--yes")
    printed("model show", "films")
    printed("model audit")
    printed("model snapshot", "--output", "snapshot.npz")
    printed("model export", "--output", "export.npz")
    printed("model verify", "--standard-json", "explorer")
    printed("featurize", "rows.csv", "--spec", "films")
    printed("featurize", "rows.csv", "--spec", "films", "--output", "samples.jsonl")
    printed("predict", "--file", "texts.csv")
    printed("predict", "--file", "texts.csv", "--output", "predicted.csv")
    printed("refunds")
    printed("dcai")
    # A problem ends a command with its exit code: tests/cli/test_first_steps.py.
    printed.fields["dcai"] |= {f"problem.{name}" for name in ("code", "exit_code", "message", "hint")}
    printed("refunds --claim", "--yes")
    printed("daemon run", "--once")
    printed("daemon status")
    printed("reports", "--account", "bob")
    printed("devnet status")
    printed("devnet advance", "25h")
    play_with_the_daemon(printed)
    printed("refunds --claim", "--yes")
    printed("reports --claim", "--yes", "--account", "bob")
    printed("data export", "--output", "data.csv")
    printed("data stats")
    printed("model supersede", "films", "--none", "--yes")
    play_with_points(printed)
    play_in_a_market(printed)
    printed("tx list", "--all")
    printed("tx show", "0")
    printed("ledger rebuild")
    # A trainer that is not ours takes more than this story: tests/crash/test_rebuild.py.
    printed.fields["ledger rebuild"] |= {"foreign[].address", "foreign[].reason"}
    printed("ledger check")
    printed("ledger backup", "ledger.backup")
    printed("ledger restore", "ledger.backup")
    with Path("home/config.toml").open("a") as file:
        file.write('[networks.mine]\nrpc_url = "http://node.example"\nchain_id = 5\n')
    printed("network list")
    printed("network show", "mine")
    printed("network use", "embedded")
    printed("network remove", "mine")
    printed("config show")
    printed("config path")
    printed("config set", "replace_after", "90s")
    printed("config unset", "replace_after")
    printed("devnet reset", "--yes")
    printed("simulate", "tumours", "--set", "duration=1d", "--output", "run")
    printed("market simulate", "tumours", "--draws", "2")
    moment = Moment("start", 0, 0)
    printed.fields["demo"] = set(paths({"stories": [_story(Story("title", 1, 0.5, 0.9, 1, (moment,)))]}))
    for commands, fields in documented().items():
        assert set().union(*(printed.fields[command] for command in commands)) == fields, commands


def test_an_error_document_has_the_fields_of_the_page(
    printed: Printed, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that fails prints the error's code, exit code, message and hint, as the page shows them."""
    assert printed.fields == {}
    code = run(["contribute", "absent.csv", "--json"])
    document = json.loads(capsys.readouterr().out)
    (example,) = re.findall(r'^    (\{.*"error".*\})$', PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = json.loads(example)
    assert set(paths(document)) == set(paths(shown))
    check_document("contribute", document)
    assert (document["command"], document["error"]["code"], code) == ("contribute", "bad-input", 15)
    assert (shown["command"], shown["error"]["code"], shown["error"]["exit_code"]) == (
        "contribute",
        "bad-input",
        15,
    )


def test_every_command_with_json_has_a_section() -> None:
    """Whatever takes --json is described."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, found in getattr(command, "commands", {}).items():
            yield from walk(found, (*words, name))
        if not hasattr(command, "commands"):
            yield " ".join(words), command

    with_json = {
        words
        for words, command in walk(program(), ())
        if any("--json" in option.opts for option in command.params)
    }
    sections = {command.removesuffix(" --claim") for commands in documented() for command in commands}
    assert sections == with_json | {"dcai"}
