"""`dcai` alone, `dcai init` and `dcai config set`: what somebody types first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import ADDRESSES, HONEST, PASSWORD, WRONG, add_account, distinct
from tests.cli.test_help import HEAVY, imported_by
from tests.cli.test_processes import StartTerminal, surroundings, terminal

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["terminal"]  # the fixture


def files(home: Path) -> list[str]:
    """What stands in a home, but locks."""
    return sorted(
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file()
        and "lock" not in str(path.relative_to(home))
        and path.suffix not in {"-wal", "-shm"}
    )


def next_commands(data: dict[str, Any]) -> list[str]:
    """What is to be typed next."""
    return [step["command"] for step in data["next"]]


def test_who_has_nothing_is_told_to_begin_and_nothing_is_made(empty: Dcai) -> None:
    """Without an account the next commands are `dcai init` and the demo; no file is made, no chain asked."""
    result = empty()
    assert (result.code, result.err) == (0, "")
    assert "account  none yet" in result.out
    data = empty.data()
    assert next_commands(data) == ["dcai init", "dcai demo"]
    assert (data["chain_id"], data["balance_wei"], data["due"]) == (None, None, None)
    assert not empty.home.exists()
    assert not imported_by(empty, []) & HEAVY


def test_where_you_stand_follows_what_you_did(dcai: Dcai, films: Path) -> None:
    """Account, balance, model and refunds are those of the other commands; the next step is what is open."""
    data = dcai.data()
    assert (data["account"], data["address"]) == ("alice", ADDRESSES["alice"])
    assert (data["model"], data["models"]) == ("films", ["films"])
    assert int(data["balance_wei"]) == dcai.balance_wei(ADDRESSES["alice"])
    assert next_commands(data) == ["dcai contribute FILE"]
    dcai.data("contribute", films, "--yes")
    data = dcai.data()
    totals = dcai.data("refunds")["totals"]
    assert (data["due"], data["waiting"]) == (totals["due"], totals["waiting"])
    assert data["next_due_at"] == dcai.data("refunds")["items"][0]["due_at"]
    assert next_commands(data) == ["dcai devnet advance 25h", "dcai contribute FILE"]
    assert re.search(r"next in 23 h \d+ min\n", dcai().out)
    dcai.data("devnet", "advance", "25h")
    data = dcai.data()
    assert (data["due"]["batches"], data["next_due_at"]) == (1, None)
    assert next_commands(data)[0] == "dcai refunds --claim"
    dcai.data("refunds", "--claim", "--yes")
    assert "refunds  none is pending" in dcai().out


def test_what_the_model_rejects_waits_for_the_sweep(dcai: Dcai) -> None:
    """After a claim what is rejected is due and not to be claimed, until its sweep, which `dcai` leads to."""
    dcai.data("contribute", dcai.write("wrong.csv", WRONG), "--yes")
    dcai.data("contribute", dcai.write("good.csv", HONEST * 2), "--allow-duplicates", "--yes")
    for claim in ((), ("--claim",)):
        said = dcai("refunds", *claim).err
        assert re.fullmatch(r"Let 23 h \d+ min pass: dcai devnet advance 25h\n", said)
    dcai.data("devnet", "advance", "25h")
    assert dcai.data()["claimable_at"] == dcai.data()["chain_time"]
    assert dcai("refunds").err == "Claim what is due: dcai refunds --claim\n"
    assert dcai.data("refunds", "--claim", "--yes")["claimed_samples"] == 12
    with dcai.unchanged():
        data = dcai.data()
    assert (data["due"]["samples"], data["waiting"]["samples"]) == (2, 0)
    assert data["claimable_at"] > data["chain_time"]
    assert next_commands(data) == ["dcai devnet advance 144h", "dcai contribute FILE"]
    assert "the model rejects all of it now\n         claimable anyway in 5 d " in dcai().out
    assert dcai("refunds").err == ""
    dcai.data("devnet", "advance", "144h")
    assert next_commands(dcai.data())[0] == "dcai refunds --claim"
    assert dcai.data("refunds", "--claim", "--yes")["claimed_samples"] == 2
    assert dcai.data()["claimable_at"] is None


def test_points_that_are_rejected_are_never_claimable(club: Dcai) -> None:
    """Nobody sweeps points: what the model rejects is out, and no time comes for it."""
    labels = {"negative": "positive", "positive": "negative"}
    rows = distinct("points", 2)
    # The positive one first: of samples without known words the model predicts it otherwise.
    wrong = [(text, labels[label]) for text, label in reversed(rows)]
    sent = club.data("contribute", club.write("wrong.csv", wrong), "--yes")
    assert sent["batches"][0]["informative"] == 2
    club.data("contribute", club.write("right.csv", rows * 3), "--allow-duplicates", "--yes")
    club.data("devnet", "advance", "25h")
    club.data("refunds", "--claim", "--yes")
    data = club.data()
    assert (data["due"]["samples"], data["claimable_at"]) == (2, None)
    assert "the model rejects all of it now\ndaemon" in club().out
    assert next_commands(data) == ["dcai contribute FILE"]


def test_looking_changes_nothing(contributed: Dcai) -> None:
    """`dcai` alone leaves chain, money, ledger and keys as they are."""
    with contributed.unchanged():
        assert contributed().code == 0


def test_what_is_not_chosen_is_the_next_step(dcai: Dcai) -> None:
    """Two models, and two accounts of which none is in use, are to be chosen among."""
    labels = ("--labels", "a,b", "--n-features", "256")
    dcai.data("model", "deploy", "--name", "second", *labels, "--yes")
    data = dcai.data()
    assert data["model"] is None
    assert next_commands(data) == ["dcai model use films"]
    assert "model    one of films, second" in dcai().out
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dcai_cli.ledger.Ledger.choice", lambda *_: None)
        data = dcai.data()
    assert (data["account"], data["accounts"]) == (None, ["alice", "bob"])
    assert next_commands(data) == ["dcai account use alice"]


def test_a_node_that_does_not_answer_is_a_problem_and_the_rest_is_shown(dcai: Dcai, closed_url: str) -> None:
    """Exit code 13; account and network stand on stdout, the error on stderr, and both in one document."""
    result = dcai(ETH_RPC_URL=closed_url)
    assert result.code == 13
    assert "account  alice" in result.out
    assert "error: " in result.err
    result = dcai("--json", ETH_RPC_URL=closed_url)
    data = result.document["data"]
    assert (result.code, data["problem"]["code"]) == (13, "rpc-unreachable")
    assert (data["account"], data["balance_wei"]) == ("alice", None)
    assert next_commands(data) == ["dcai config show"]


def test_an_account_that_is_set_and_missing_is_a_problem(dcai: Dcai) -> None:
    """ETH_FROM names nobody: exit code 10, and no advice to choose another."""
    result = dcai("--json", ETH_FROM="nobody")
    assert (result.code, result.document["data"]["problem"]["code"]) == (10, "no-account")


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (["--json", "refunds"], ["refunds", "--json"]),
        (["--network", "embedded", "model", "list"], ["model", "list", "--network", "embedded"]),
        (["--network=embedded", "--json", "refunds"], ["refunds", "--network=embedded", "--json"]),
        (["-q", "--account", "bob", "account", "show", "alice"], None),
        (["--network", "nosuch", "refunds", "--all"], ["refunds", "--network", "nosuch", "--all"]),
        (["--json", "account", "use", "bob"], ["account", "use", "--json", "bob"]),
    ],
)
def test_an_option_of_every_command_may_stand_before_it(
    dcai: Dcai, before: list[str], behind: list[str] | None
) -> None:
    """It does what it does behind the command; one that the command does not take is refused by its name."""
    result = dcai(*before)
    if behind is None:
        assert (result.code, result.err.splitlines()[0]) == (2, "error: No such option: --account")
        assert result.err.splitlines()[1] == "hint: dcai account show --help"
    else:
        assert result == dcai(*behind)
        assert "No such option" not in result.err


def test_verbose_before_a_command_talks(dcai: Dcai) -> None:
    """`dcai -v refunds` says what it reads, and prints the same result."""
    result = dcai("-v", "refunds")
    assert (result.code, result.out) == (0, dcai("refunds").out)
    assert "settings: " in result.err
    assert "settings: " in dcai("-v").err


def test_dcai_alone_takes_a_network(dcai: Dcai, closed_url: str) -> None:
    """It goes over what is set, and an unknown one is refused."""
    result = dcai("--network", "embedded", "--json", ETH_RPC_URL=closed_url)
    assert (result.code, result.document["data"]["network"]) == (0, "embedded")
    assert dcai.error("--network", "nosuch")["exit_code"] == 2
    assert dcai("--netwrok", "embedded").err.splitlines()[1] == "hint: dcai ... --network ..."


def test_who_has_no_ether_is_told_where_to_send_some(dcai: Dcai, anvil_url: str) -> None:
    """Before anything that costs gas, with the whole address; the embedded chain needs no such thing."""
    data = dcai.data(ETH_RPC_URL=anvil_url)
    assert data["balance_wei"] == "0"
    first = data["next"][0]
    assert first == {"command": "dcai", "why": f"send ether to {ADDRESSES['alice']} first, then look again"}
    assert first["why"] in dcai(ETH_RPC_URL=anvil_url).out
    with dcai.chain() as chain:
        chain.fund_if_new(ADDRESSES["alice"])
    assert "send ether" not in dcai().out


def test_the_account_in_force_is_shown(dcai: Dcai) -> None:
    """The one in use, else the one that is set; looking makes no ledger."""
    assert dcai.data("config", "show")["account"] == "alice"
    dcai.data("account", "use", "bob")
    assert dcai.data("config", "show")["account"] == "bob"
    assert dcai.data("config", "show", ETH_FROM="alice")["account"] == "alice"
    other = dcai.folder / "other"
    assert dcai.data("config", "show", DCAI_HOME=str(other))["account"] is None
    assert not other.exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [('network = "a"\nconfirmations = = 3\n', "line 2"), ("a b = 1\n", "line 1"), ('a = """', "its end")],
)
def test_a_settings_file_that_is_no_toml_is_told_with_its_line(empty: Dcai, text: str, where: str) -> None:
    """The hint names the line, and a command that puts the file aside."""
    empty.home.mkdir()
    path = empty.home / "config.toml"
    path.write_text(text)
    hint = empty.error("network", "list")["hint"]
    assert hint.startswith(f"Mend {where}")
    subprocess.run(["sh", "-c", hint.partition("aside: ")[2]], check=True)
    assert (path.exists(), empty("network", "list").code) == (False, 0)


def test_the_daemon_that_runs_is_seen(contributed: Dcai) -> None:
    """A lock that the daemon's loop holds counts as running; its pid is that of the holder."""
    contributed.data("daemon", "run", "--once")
    assert contributed.data()["daemon_running"] is False
    (state,) = (contributed.home / "daemon").glob("*.json")
    lock = contributed.home / "locks" / f"{state.stem}.daemon.lock"
    program = (
        "import sys, pathlib; from dcai_cli.files import lock\n"
        "with lock(pathlib.Path(sys.argv[1]), what='x'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, lock],
        env=surroundings(contributed),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        data = contributed.data()
        holder.communicate()
    assert (data["daemon_running"], data["daemon_pid"]) == (True, holder.pid)


# init


def test_where_nobody_can_answer_init_names_the_flags(empty: Dcai) -> None:
    """No terminal and nothing given: exit code 2, every flag, and no file."""
    error = empty.error("init")
    assert error["exit_code"] == 2
    for flag in ("--new-account", "--account", "--rpc-url", "--model"):
        assert flag in error["hint"]
    assert empty.error("init", "--new-account", "me")["exit_code"] == 2
    assert not empty.home.exists()


def test_init_by_flags_sets_up_all_that_is_needed(empty: Dcai) -> None:
    """Account, network: the next commands work without any other; again, it changes nothing."""
    data = empty.data("init", "--new-account", "me", "--rpc-url", "embedded")
    assert data["changed"] == ["account", "network"]
    assert (data["account"], data["network"], data["model"]) == ("me", "embedded", None)
    assert empty.data("account", "list")["accounts"][0]["in_use"] is True
    assert tomllib.loads((empty.home / "config.toml").read_text()) == {"network": "embedded"}
    before = files(empty.home)
    assert empty.data("init")["changed"] == []
    assert files(empty.home) == before


def test_init_again_changes_only_what_is_given(dcai: Dcai) -> None:
    """Another account, and the model by its name; comments of the settings file stay."""
    (dcai.home / "config.toml").write_text("# mine\nconfirmations = 3 # few\n")
    data = dcai.data("init", "--account", "bob", "--rpc-url", "embedded", "--model", "films")
    assert data["changed"] == ["account", "network", "model"]
    assert (data["account"], data["model"]) == ("bob", "films")
    text = (dcai.home / "config.toml").read_text()
    assert text.startswith("# mine\nconfirmations = 3 # few\n")
    assert dcai.data("init", "--account", "alice")["changed"] == ["account"]
    assert (dcai.home / "config.toml").read_text() == text


def test_an_account_that_init_chooses_goes_over_that_of_the_file(dcai: Dcai) -> None:
    """Where the settings file names an account, it names the chosen one afterwards; a variable is said."""
    dcai.data("config", "set", "account", "alice")
    data = dcai.data("init", "--account", "bob", "--rpc-url", "embedded")
    assert data["account"] == dcai.data()["account"] == "bob"
    result = dcai("init", "--account", "bob", ETH_FROM="alice")
    assert "ETH_FROM is set in the environment" in result.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--new-account", "alice"], 15),
        (["--new-account", "al/ice"], 15),
        (["--account", "nobody"], 10),
        (["--account", "bob", "--new-account", "carol"], 2),
        (["--account", "bob", "--model", "nosuch"], 2),
        (["--account", "bob", "--rpc-url", "htp://x"], 2),
        (["--new-account", "carol", "--chain-id", "1"], 17),
    ],
)
def test_what_init_refuses_leaves_everything(dcai: Dcai, arguments: list[str], code: int) -> None:
    """The exit code of what is wrong; account in use, keys and settings are as they were."""
    network = [] if "--rpc-url" in arguments else ["--rpc-url", "embedded"]
    with dcai.unchanged():
        assert dcai.error("init", *arguments, *network)["exit_code"] == code
    assert not (dcai.home / "config.toml").exists()


def test_init_pins_the_chain_id_of_a_node(dcai: Dcai, anvil_url: str, closed_url: str) -> None:
    """The id that the node has is written down with its URL; a silent node changes nothing."""
    assert dcai.error("init", "--rpc-url", closed_url)["exit_code"] == 13
    assert not (dcai.home / "config.toml").exists()
    data = dcai.data("init", "--rpc-url", anvil_url)
    settings = tomllib.loads((dcai.home / "config.toml").read_text())
    assert settings == {"rpc_url": anvil_url, "chain_id": data["chain_id"]}
    dcai.data("init", "--rpc-url", "embedded")
    assert tomllib.loads((dcai.home / "config.toml").read_text()) == {"network": "embedded"}


def test_init_asks_what_is_not_given(empty: Dcai, terminal: StartTerminal) -> None:
    """A name, a password twice, Enter for the embedded chain; what is wrong is asked again."""
    command = terminal(empty, "init", "--json", ETH_PASSWORD="")
    command.until("Account (a name for a new one) [me]: ")
    command.type("al/ice\n")
    command.until("cannot be the name of an account")
    command.type("alice\n")
    command.until("Network (embedded, or a node's URL) [embedded]: ")
    command.type("htp://x\n")
    command.until("not an http or https URL")
    command.type("\n")
    command.until("Password for alice: ")
    assert not (empty.home / "config.toml").exists()
    command.type(f"{PASSWORD}\n")
    command.until("The same again: ")
    command.type(f"{PASSWORD}\n")
    code, out = command.end()
    assert code == 0, command.seen
    assert json.loads(out)["data"]["account"] == "alice"
    assert empty("account", "export", "alice", "--yes").out.startswith("0x")


def test_init_again_shows_what_is_set_and_keeps_it(dcai: Dcai, terminal: StartTerminal) -> None:
    """Enter keeps account and model; another model's name changes that alone."""
    labels = ("--labels", "a,b", "--n-features", "256")
    dcai.data("model", "deploy", "--name", "second", *labels, "--yes")
    dcai.data("config", "set", "rpc_url", "embedded")
    command = terminal(dcai, "init", "--json")
    command.until("set now: network embedded; account alice; model -")
    command.until("[alice]: ")
    command.type("\n")
    command.until("[embedded]: ")
    command.type("\n")
    command.until("Model (films, second, an address, or nothing): ")
    command.type("second\n")
    code, out = command.end()
    assert code == 0, command.seen
    data = json.loads(out)["data"]
    assert (data["changed"], data["model"]) == (["model"], "second")


@pytest.mark.parametrize("question", ["Account (", "Network (", "Password for "])
def test_an_interrupted_init_has_written_nothing(empty: Dcai, terminal: StartTerminal, question: str) -> None:
    """Ctrl-C at any question: exit code 130, and neither key nor settings."""
    command = terminal(empty, "init", ETH_PASSWORD="")
    for asked in ("Account (", "Network (", "Password for "):
        command.until(asked)
        if asked == question:
            break
        command.type("\n")
    command.interrupt()
    code, out = command.end()
    assert (code, out) == (130, "")
    assert files(empty.home) == []


def test_an_input_that_ends_is_a_usage_error(empty: Dcai, terminal: StartTerminal) -> None:
    """Ctrl-D at a question: exit code 2, and nothing was written."""
    command = terminal(empty, "init")
    command.until("Account (")
    command.type("\x04")
    code, _ = command.end()
    assert code == 2
    assert not (empty.home / "keystore").exists()


# config set and unset


def test_setting_keeps_comments_and_order(empty: Dcai) -> None:
    """What is set is in force; the rest of the file is byte for byte as its owner wrote it."""
    empty.home.mkdir()
    file = empty.home / "config.toml"
    file.write_text('# mine\nreplace_after = "60s" # a minute\n\n# the rest\nconfirmations=3\n')
    file.chmod(0o640)
    empty.data("config", "set", "replace_after", "90s")
    empty.data("config", "set", "chain_id", "0x10")
    assert file.read_text() == (
        '# mine\nreplace_after = "90s" # a minute\n\n# the rest\nconfirmations=3\nchain_id = 16\n'
    )
    assert file.stat().st_mode & 0o777 == 0o640
    assert empty.data("config", "show")["replace_after_s"] == 90
    data = empty.data("config", "unset", "confirmations")
    assert (data["is_set"], data["was_set"]) == (False, True)
    assert empty.data("config", "show")["confirmations"] == 12
    assert empty.data("config", "unset", "confirmations")["was_set"] is False


def test_a_new_settings_file_is_private_and_secrets_are_not_said(empty: Dcai) -> None:
    """URLs hold keys: the file is for its owner only, and no output repeats the value."""
    url = "https://node.example/v3/s3cr3t"
    result = empty("config", "set", "rpc_url", url)
    assert result.code == 0
    assert "s3cr3t" not in result.out + result.err
    assert (empty.home / "config.toml").stat().st_mode & 0o777 == 0o600
    assert empty.data("config", "show")["network"] == "node.example"


@pytest.mark.parametrize(
    ("name", "value", "code", "phrase"),
    [
        ("rpc_url", "htp://x", 2, "rpc_url"),
        ("rpc_url", "embedded,http://127.0.0.1:8545", 2, "rpc_url"),
        ("rpc_url", "", 2, "config unset rpc_url"),
        ("chain_id", "main", 2, "chain_id"),
        ("confirmations", "-1", 2, "confirmations"),
        ("gas_price_wei", "much", 2, "gas_price_wei"),
        ("priority_fee_wei", "0.5", 2, "priority_fee_wei"),
        ("replace_after", "soon", 2, "replace_after"),
        ("ledger_url", "mysql://x/y", 2, "ledger_url"),
        ("webhook_url", "ftp://x", 2, "webhook_url"),
        ("account", "nobody", 10, "account"),
        ("replace_afer", "5s", 2, "Did you mean 'replace_after'?"),
    ],
)
def test_a_value_that_is_none_is_refused_with_the_name_of_its_setting(
    empty: Dcai, name: str, value: str, code: int, phrase: str
) -> None:
    """The setting stands in the message, and no file is made."""
    words = ("config", "set", "--", name, value) if value.startswith("-") else ("config", "set", name, value)
    result = empty(*words)
    assert result.code == code
    assert phrase in result.err
    assert not (empty.home / "config.toml").exists()


def test_a_file_with_another_fault_can_be_mended(empty: Dcai) -> None:
    """A value in the file that is none keeps no command from setting another; broken TOML is named."""
    empty.home.mkdir()
    (empty.home / "config.toml").write_text('replace_after = "soon"\n')
    assert empty("config", "show").code == 2
    empty.data("config", "set", "replace_after", "90s")
    assert empty("config", "show").code == 0
    (empty.home / "config.toml").write_text("replace_after = \n")
    assert empty.error("config", "set", "replace_after", "90s")["exit_code"] == 15


def test_what_the_environment_goes_over_is_said(dcai: Dcai) -> None:
    """A setting that a variable hides is set, and a note on stderr names the variable."""
    result = dcai("config", "set", "account", "bob", ETH_FROM="alice")
    assert (result.code, "ETH_FROM" in result.err) == (0, True)
    assert dcai("config", "set", "account", "bob", "--quiet", ETH_FROM="alice").err == ""


def test_processes_that_set_at_once_lose_nothing(empty: Dcai) -> None:
    """Four settings by four processes at the same time are all in the file."""
    values = {"confirmations": "3", "replace_after": "90s", "chain_id": "5", "gas_price_wei": "20gwei"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "dcai_cli", "config", "set", name, value],
            env=surroundings(empty) | {"PATH": os.environ["PATH"]},
            cwd=empty.folder,
            stdout=subprocess.DEVNULL,
        )
        for name, value in values.items()
    ]
    assert [process.wait() for process in running] == [0] * 4
    assert tomllib.loads((empty.home / "config.toml").read_text()).keys() == values.keys()


def test_an_account_can_be_set_by_name_or_address(dcai: Dcai) -> None:
    """Both are found in the keystore, and commands act with it."""
    add_account(dcai, "carol", "0x" + "ca" * 32)
    for word in ("carol", ADDRESSES["bob"]):
        dcai.data("config", "set", "account", word)
        assert word in (dcai.data()["account"], dcai.data()["address"])
