"""The example of every command's help works as it is pasted, in a home that has what it names."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dcai_cli.chain import Chain
from dcai_cli.features.readers import Source
from dcai_cli.services.contribution.contribute import contribute
from dcai_cli.services.contribution.plan import ContributeRequest
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import PASSWORD, Dcai
from tests.cli.test_help import COMMANDS
from tests.cli.test_processes import surroundings
from tests.cli.test_tx import Died

REVIEWS = Path(__file__).resolve().parents[2] / "examples" / "reviews.csv"
KEY_FILE = "UTC--2026-01-01T00-00-00Z--0xabc"

SEPOLIA = '[networks.sepolia]\nrpc_url = "https://sepolia.example/KEY"\nchain_id = 11155111\n'
"""A network that the examples name."""

FOR_THE_NEW = {"account new", "account import", "init"}
"""What somebody types who has no account."""

STUCK = {"tx speed-up", "tx cancel"}
"""What is for transactions that are not mined at once, as those of the embedded chain are."""

NODES = {"network add"}
"""What asks a node that the example only stands for; tests of networks give it one."""

EXAMPLES = {
    " ".join(words): command.epilog.removeprefix("Example: ").partition(" Exit codes: ")[0].removesuffix(".")
    for words, command in COMMANDS.items()
}


def takes_yes(command: str) -> bool:
    """Whether a command asks before it goes on."""
    return any("--yes" in option.opts for option in COMMANDS[tuple(command.split())].params)


@pytest.fixture(scope="session")
def stocked(after_points: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files, accounts and models that the examples name."""
    folder = tmp_path_factory.mktemp("stocked")
    shutil.copytree(after_points, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)
    for name in ("reviews.csv", "test.csv"):
        shutil.copy(REVIEWS, folder / name)
    labels = ("--labels", "negative,positive", "--n-features", "4096", "--yes")
    for name in ("reviews", "reviews-2"):
        dcai.data("model", "deploy", "--name", name, *labels)
    dcai.data("model", "deploy", "--name", "news", *labels, "--no-seal")
    dcai.data("contribute", "reviews.csv", "--model", "reviews", "--limit", "30", "--yes")
    dcai.data("market", "create", "bounty", "--test", "test.csv", *labels, "--bounty", "1ether")
    dcai.data("market", "reveal", "bounty", "--yes")
    (folder / "spec.json").write_text(dcai.data("model", "show", "reviews")["spec"])
    (folder / KEY_FILE).write_bytes((dcai.home / "keystore" / "alice.json").read_bytes())
    (dcai.home / "config.toml").write_text(SEPOLIA)
    dcai.data("daemon", "run", "--once")
    dcai.data("devnet", "advance", "25h")
    dcai.data("ledger", "backup", "ledger.backup")
    return folder


@pytest.fixture(scope="session")
def stuck(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stocked folder with a contribution that is signed and was never sent."""
    folder = tmp_path_factory.mktemp("stuck")
    shutil.copytree(stocked, folder, dirs_exist_ok=True)
    dcai = Dcai(folder)

    def die(*_: object) -> None:
        raise Died

    file = dcai.write("new.csv", [("a new film", "positive")])
    with pytest.MonkeyPatch.context() as patch, Workspace(dcai.settings) as workspace:
        patch.setattr(Chain, "send", die)
        with pytest.raises(Died):
            contribute(
                workspace, ContributeRequest(Source(str(file)), model="reviews"), password=lambda _: PASSWORD
            )
    return folder


def copy_of(stocked: Path, folder: Path, command: str) -> Dcai:
    """A folder of one's own for one example."""
    shutil.copytree(stocked, folder, dirs_exist_ok=True)
    if command in FOR_THE_NEW:
        shutil.rmtree(folder / "home")
    if command == "ledger backup":
        (folder / "ledger.backup").unlink()
    return Dcai(folder)


@pytest.mark.parametrize("command", sorted(EXAMPLES.keys() - STUCK - NODES - {"daemon run", "demo"}))
def test_the_example_of_a_command_works_as_it_is_pasted(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Exit code 0, and it says something; a question is answered with yes."""
    # Where units and crontabs of the user would be.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    dcai = copy_of(stocked, tmp_path, command)
    program, *arguments = shlex.split(EXAMPLES[command])
    assert program == "dcai"
    yes = ["--yes"] if takes_yes(command) and "--yes" not in arguments else []
    result = dcai(*arguments, *yes)
    assert result.code == 0, result.err
    assert result.out + result.err


def test_the_example_of_the_daemon_runs_until_it_is_stopped(stocked: Path, tmp_path: Path) -> None:
    """It works one cycle and ends with 0 when the system says so."""
    dcai = copy_of(stocked, tmp_path, "daemon run")
    _, *arguments = shlex.split(EXAMPLES["daemon run"])
    arguments = [word.replace(":9464", ":0") for word in arguments]  # another test may listen there
    with subprocess.Popen(
        [sys.executable, "-m", "dcai_cli", *arguments],
        env=surroundings(dcai),
        cwd=dcai.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        while "cycle" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("command", sorted(STUCK))
def test_the_examples_for_stuck_transactions_work_where_one_is(
    stuck: Path, tmp_path: Path, command: str
) -> None:
    """A contribution that is signed and was never sent is replaced."""
    dcai = copy_of(stuck, tmp_path, command)
    _, *arguments = shlex.split(EXAMPLES[command])
    result = dcai(*arguments)
    assert result.code == 0, result.err
    assert result.out


def test_no_example_is_left_out() -> None:
    """What the tests above run, and the demo, which `.ci/run` plays, are all commands."""
    assert STUCK | NODES | {"daemon run", "demo"} <= EXAMPLES.keys()
    assert EXAMPLES.keys() >= FOR_THE_NEW
    assert EXAMPLES["demo"] == "dcai demo"
