"""Networks by name: two real chains, what is pinned, which one is meant, and no key of a URL on a screen."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dcai_cli.networks import CHAIN_IDS
from tests.cli.conftest import Dcai, add_account
from tests.cli.test_completion import offered
from tests.cli.test_epilog_examples import EXAMPLES
from tests.cli.test_processes import StartTerminal, terminal
from tests.conftest import Anvil, start_anvil
from tests.json_schemas import check_document

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["terminal"]  # the fixture

SECRET = "s3cr3t"
OTHER_ID = 4_711


@dataclass(frozen=True)
class Chains:
    """Two nodes on different chains: one has the chain id of sepolia."""

    sepolia: Anvil
    other: Anvil


@pytest.fixture(scope="module")
def chains() -> Iterator[Chains]:
    """Two anvils that serve this module."""
    nodes = [start_anvil("--chain-id", str(chain_id)) for chain_id in (CHAIN_IDS["sepolia"], OTHER_ID)]
    yield Chains(*nodes)
    for node in nodes:
        node.stop()


@pytest.fixture
def both(empty: Dcai, chains: Chains) -> Dcai:
    """A home with both as networks, of which none is in use; the URL of one holds a key."""
    add_account(empty, "alice")
    empty.data("network", "add", "sepolia", "--rpc-url", with_key(chains.sepolia))
    empty.data("network", "add", "other", "--rpc-url", chains.other.url, "--confirmations", "1")
    return empty


def with_key(node: Anvil) -> str:
    """Its URL with something secret."""
    return node.url.replace("://", f"://me:{SECRET}@")


def settings_of(dcai: Dcai) -> dict[str, object]:
    """What the settings file says."""
    return tomllib.loads((dcai.home / "config.toml").read_text())


def test_the_example_of_add_works_on_a_node_of_that_chain(empty: Dcai, chains: Chains) -> None:
    """The id is asked for and pinned, with the URL; the document has its schema and only the host."""
    _, *words = shlex.split(
        EXAMPLES["network add"].replace("https://sepolia.example/KEY", chains.sepolia.url)
    )
    result = empty(*words, "--json")
    assert result.code == 0, result.err
    check_document("network add", result.document)
    assert result.document["data"] == {
        "name": "sepolia",
        "chain_id": CHAIN_IDS["sepolia"],
        "nodes": [chains.sepolia.url.removeprefix("http://")],
        "in_use": False,
        "confirmations": 12,
        "fault": None,
    }
    url = chains.sepolia.url
    assert settings_of(empty) == {"networks": {"sepolia": {"rpc_url": url, "chain_id": CHAIN_IDS["sepolia"]}}}
    assert (empty.home / "config.toml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("base", "--rpc-url", "SEPOLIA"), 17),  # a known name on another chain
        (("mine", "--rpc-url", "SEPOLIA", "--chain-id", "5"), 17),
        (("mine", "--rpc-url", "SEPOLIA,OTHER"), 17),
        (("sepolia", "--rpc-url", "OTHER", "--chain-id", str(OTHER_ID)), 2),
        (("embedded", "--rpc-url", "SEPOLIA"), 2),
        (("My_Net", "--rpc-url", "SEPOLIA"), 2),
        (("mine",), 2),
        (("mine", "--rpc-url", "embedded"), 2),
        (("mine", "--rpc-url", "SEPOLIA", "--confirmations", "-1"), 2),
    ],
)
def test_what_cannot_be_added_leaves_no_file(
    empty: Dcai, chains: Chains, words: tuple[str, ...], code: int
) -> None:
    """The exit code says why; nothing is written."""
    urls = {"SEPOLIA": chains.sepolia.url, "OTHER": chains.other.url}
    typed = [",".join(urls.get(part, part) for part in word.split(",")) for word in words]
    assert empty.error("network", "add", *typed)["exit_code"] == code
    assert not (empty.home / "config.toml").exists()


def test_a_silent_node_is_not_added(empty: Dcai, closed_url: str) -> None:
    """Exit code 13: its chain id is not known."""
    assert empty.error("network", "add", "mine", "--rpc-url", closed_url)["exit_code"] == 13
    assert not (empty.home / "config.toml").exists()


def test_a_chain_id_of_the_file_does_not_hinder_another_network(empty: Dcai, chains: Chains) -> None:
    """What is pinned there is about the node that stands beside it."""
    empty.home.mkdir()
    (empty.home / "config.toml").write_text(f'rpc_url = "{chains.other.url}"\nchain_id = {OTHER_ID}\n')
    assert empty.data("network", "add", "sepolia", "--rpc-url", chains.sepolia.url)["in_use"] is False
    assert empty.data("network", "add", "mine")["chain_id"] == OTHER_ID  # the nodes in use get a name


def test_a_network_gets_other_nodes_but_never_another_chain(both: Dcai, chains: Chains) -> None:
    """Added again, its URL is replaced and the rest stays; a node of another chain is refused."""
    twice = f"{chains.other.url},{with_key(chains.other)}"
    assert both.data("network", "add", "other", "--rpc-url", twice)["confirmations"] == 1
    before = settings_of(both)
    assert before["networks"]["other"] == {"rpc_url": twice, "chain_id": OTHER_ID, "confirmations": 1}  # type: ignore[index]
    error = both.error("network", "add", "other", "--rpc-url", chains.sepolia.url)
    assert error["exit_code"] == 17
    assert str(OTHER_ID) in error["message"]
    assert settings_of(both) == before


def test_networks_are_listed_without_asking_a_node(both: Dcai, closed_url: str) -> None:
    """The embedded chain first; what is in use is marked, and a key is nowhere."""
    text = (both.home / "config.toml").read_text()
    (both.home / "config.toml").write_text(
        text + f'[networks.silent]\nrpc_url = ["{closed_url}", "https://user:{SECRET}@b.example/{SECRET}"]\n'
        "chain_id = 7\nreplace_after = '2m'\n"
    )
    found = both.data("network", "list")["networks"]
    assert [(network["name"], network["in_use"]) for network in found] == [
        ("embedded", True),
        ("sepolia", False),
        ("other", False),
        ("silent", False),
    ]
    assert found[3]["nodes"] == [closed_url.removeprefix("http://"), "b.example"]
    for words in (["list"], ["show", "silent"], ["show", "sepolia", "--json"], ["list", "--verbose"]):
        result = both("network", *words)
        assert result.code == 0
        assert SECRET not in result.out + result.err
    assert "* embedded" in both("network", "list").out


def test_the_network_in_use_is_called_by_its_name(both: Dcai, chains: Chains) -> None:
    """`dcai`, `config show`, `network show` and `init` say it; the chain is the one that was pinned."""
    host = chains.other.url.removeprefix("http://")
    assert both.data("network", "use", "other")["in_use"] is True
    assert settings_of(both)["network"] == "other"
    shown = both.data("config", "show")
    assert (shown["network"], shown["nodes"], shown["chain_id"]) == ("other", host, OTHER_ID)
    assert shown["confirmations"] == 1
    assert both.data("network", "show")["name"] == "other"
    both.data("account", "list")  # makes the ledger, so that `dcai` looks at the chain
    standing = both.data()
    assert (standing["network"], standing["chain_id"]) == ("other", OTHER_ID)
    assert both.data("init")["network"] == "other"
    assert both.data("devnet", "status")["chain_id"] == OTHER_ID
    assert both.error("network", "remove", "other")["exit_code"] == 2
    both.data("network", "use", "embedded")
    both.data("network", "remove", "other")
    assert list(settings_of(both)["networks"]) == ["sepolia"]  # type: ignore[call-overload]
    both.data("network", "remove", "sepolia")
    assert settings_of(both) == {"network": "embedded"}


def test_flags_go_over_the_environment_and_that_over_the_file(both: Dcai, chains: Chains) -> None:
    """Of each level the URL goes before the name; every chain that answers is the one that was named."""
    both.data("network", "use", "sepolia")

    def chain_id(*words: str, **environment: str) -> object:
        return both.data("devnet", "status", *words, **environment)["chain_id"]

    assert chain_id() == CHAIN_IDS["sepolia"]
    assert chain_id(DCAI_NETWORK="other") == OTHER_ID
    assert chain_id(ETH_RPC_URL=chains.other.url) == OTHER_ID
    assert chain_id("--network", "sepolia", DCAI_NETWORK="other") == CHAIN_IDS["sepolia"]
    assert chain_id("--network", "other", ETH_RPC_URL=chains.sepolia.url) == OTHER_ID
    assert chain_id("--rpc-url", chains.other.url, DCAI_NETWORK="sepolia") == OTHER_ID
    assert chain_id("--network", "embedded", ETH_RPC_URL=chains.other.url) == 131_337
    # A node beside the name is asked instead of the profile's, and must be on the same chain.
    assert chain_id("--network", "other", "--rpc-url", chains.other.url) == OTHER_ID


@pytest.mark.parametrize(
    ("words", "environment", "code"),
    [
        (["--network", "other", "--rpc-url", "SEPOLIA"], {}, 17),
        ([], {"DCAI_NETWORK": "other", "ETH_RPC_URL": "SEPOLIA"}, 17),
        (["--network", "other", "--chain-id", "5"], {}, 2),
        (["--network", "other"], {"DCAI_CHAIN_ID": "5"}, 0),  # which pins another network
        (["--network", "otter"], {}, 2),
        ([], {"DCAI_NETWORK": "otter"}, 2),
    ],
)
def test_what_contradicts_itself_is_refused(
    both: Dcai, chains: Chains, words: list[str], environment: dict[str, str], code: int
) -> None:
    """A node of another chain: 17; a chain id or a name that does not fit: 2."""
    words = [chains.sepolia.url if word == "SEPOLIA" else word for word in words]
    environment = {
        name: chains.sepolia.url if value == "SEPOLIA" else value for name, value in environment.items()
    }
    assert both("devnet", "status", *words, **environment).code == code


def test_a_node_that_moved_to_another_chain_is_refused(both: Dcai, chains: Chains) -> None:
    """Each command that asks it ends with 17, names the network, and says how to give it another node."""
    path = both.home / "config.toml"
    path.write_text(path.read_text().replace(with_key(chains.sepolia), with_key(chains.other)))
    for words in (["model", "list"], ["refunds"], ["tx", "list"], ["predict", "a film"]):
        error = both.error(*words, "--network", "sepolia")
        assert error["exit_code"] == 17
        assert f"chain {OTHER_ID}, not on chain 11155111, which the network sepolia is" in error["message"]
        assert error["hint"] == "Name a node of that chain: dcai network add sepolia --rpc-url URL"
        assert SECRET not in json.dumps(error)


def test_an_unknown_network_names_those_that_there_are(both: Dcai) -> None:
    """With the one that was probably meant."""
    error = both.error("refunds", "--network", "sepolja")
    assert error["message"] == "There is no network 'sepolja'. Did you mean 'sepolia'?"
    assert error["hint"].startswith("There are: embedded, sepolia, other.")
    for words in (["use", "nosuch"], ["show", "nosuch"], ["remove", "nosuch"], ["remove", "embedded"]):
        assert both.error("network", *words)["exit_code"] == 2
    assert both.error("config", "set", "network", "nosuch")["exit_code"] == 2


BROKEN = {
    "no chain id": 'rpc_url = "http://h/s3cr3t"',
    "an unknown name": 'rpc_url = "http://h/s3cr3t"\nchain_id = 4711\nchainid = 5',
    "no number": 'rpc_url = "http://h/s3cr3t"\nchain_id = 4711\nconfirmations = "http://h/s3cr3t"',
    "no URL": 'rpc_url = "h/s3cr3t"\nchain_id = 4711',
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_network_hinders_no_other(empty: Dcai, chains: Chains, what: str) -> None:
    """It is listed with its fault and without its URL; used, it ends with an error whose command mends it."""
    add_account(empty, "alice")
    path = empty.home / "config.toml"
    path.write_text(f"# mine\n[networks.a]\n{BROKEN[what]} # its last\n")
    for words in (["refunds"], ["refunds", "--network", "embedded"], ["account", "list"], []):
        assert empty(*words).code == 0, words
    _, listed = empty.data("network", "list")["networks"]
    check_document("network list", empty("network", "list", "--json").document)
    assert (listed["name"], listed["chain_id"], listed["in_use"]) == ("a", None, False)
    assert listed["fault"]
    assert SECRET not in json.dumps(listed)
    assert f"  a                broken: {listed['fault']}" in empty("network", "list").out
    assert offered(empty, "network use ") == ["embedded"]
    error = empty.error("refunds", "--network", "a")
    assert error["exit_code"] in {2, 15}
    assert SECRET not in json.dumps(error)
    added = empty.data("network", "add", "a", "--rpc-url", chains.other.url)
    assert (added["chain_id"], added["fault"]) == (OTHER_ID, None)
    assert settings_of(empty) == {"networks": {"a": {"rpc_url": chains.other.url, "chain_id": OTHER_ID}}}
    assert empty("refunds", "--network", "a").code == 0
    path.write_text(f"[networks.a]\n{BROKEN[what]}\n")
    empty.data("network", "remove", "a")
    assert settings_of(empty) == {}


def test_a_broken_network_in_use_is_told_by_name_and_can_be_left(empty: Dcai) -> None:
    """The list goes on, marks it, and `network use` goes to another one."""
    empty.home.mkdir()
    path = empty.home / "config.toml"
    path.write_text('network = "a"\n[networks.a]\nrpc_url = "http://h/s3cr3t"\n[networks.embedded]\n')
    error = empty.error("refunds")
    assert (error["exit_code"], error["hint"]) == (
        15,
        "Let it be written: dcai network add a --rpc-url URL",
    )
    found = empty.data("network", "list")["networks"]
    assert [(one["name"], one["in_use"], bool(one["fault"])) for one in found] == [
        ("embedded", False, False),
        ("a", True, True),
        ("embedded", False, True),
    ]
    assert empty.error("network", "remove", "a")["hint"] == "Use another one first: dcai network use embedded"
    empty.data("network", "use", "embedded")
    empty.data("network", "remove", "a")
    empty.data("network", "remove", "embedded")  # the table, which says nothing of the chain in this process
    assert settings_of(empty) == {"network": "embedded"}


@pytest.mark.parametrize(
    ("words", "environment", "hint"),
    [
        ([], {}, "Check its nodes, and that they run: dcai network show silent"),
        (["tx", "list", "--all"], {}, "Check its nodes, and that they run: dcai network show silent"),
        (["tx", "list", "--network", "silent"], {"ETH_RPC_URL": "URL"}, "dcai network show silent"),
        (["tx", "list", "--rpc-url", "URL"], {}, "Check --rpc-url, and that the node runs."),
        (["tx", "list"], {"ETH_RPC_URL": "URL"}, "Check ETH_RPC_URL, and that the node runs."),
        (["model", "list"], {"DCAI_HOME": "file"}, "Check rpc_url in config.toml, and that the node runs."),
        (["network", "add", "new", "--rpc-url", "URL"], {}, "Check --rpc-url, and that the node runs."),
    ],
)
def test_who_gave_a_silent_node_is_named(
    empty: Dcai, closed_url: str, words: list[str], environment: dict[str, str], hint: str
) -> None:
    """The hint is about the name, the option, the variable or the setting that is in force, and no other."""
    add_account(empty, "alice")
    empty("account", "list")
    (empty.folder / "file").mkdir()
    (empty.folder / "file" / "config.toml").write_text(f'rpc_url = "{closed_url}"\n')
    (empty.home / "config.toml").write_text(
        f'network = "silent"\n[networks.silent]\nrpc_url = "{closed_url}"\nchain_id = 5\n'
    )
    typed = [closed_url if word == "URL" else word for word in words]
    places = {"URL": closed_url, "file": str(empty.folder / "file")}
    result = empty(*typed, **{name: places[value] for name, value in environment.items()})
    assert result.code == 13, result.err
    (said,) = [line for line in result.err.splitlines() if line.startswith("hint: ")]
    assert said.endswith(hint)


def test_init_hints_at_the_answer_not_at_an_option(
    empty: Dcai, closed_url: str, terminal: StartTerminal
) -> None:
    """A URL that was typed as an answer is checked there, and the question comes again."""
    add_account(empty, "alice")
    command = terminal(empty, "init")
    command.until("Account (")
    command.type("\n")
    command.until("[embedded]: ")
    command.type(f"{closed_url}\n")
    command.until(
        " Check the URL, and that the node runs.\r\nNetwork (embedded, or a node's URL) [embedded]: "
    )
    command.interrupt()
    assert command.end()[0] == 130
    assert not (empty.home / "config.toml").exists()


def test_an_address_without_a_contract_may_be_on_another_network(both: Dcai) -> None:
    """The hint says how to name that, whatever is in use."""
    error = both.error("model", "show", "0x" + "5a" * 20, "--network", "other")
    assert error["exit_code"] == 17
    assert error["hint"] == "Check the address, or give --network the one that it is on: dcai network list"


def test_a_network_that_a_variable_names_is_removed_without_it(both: Dcai) -> None:
    """The hint is a command that can be pasted, and does it."""
    error = both.error("network", "remove", "other", DCAI_NETWORK="other")
    assert error["hint"] == "Leave the variable out: env -u DCAI_NETWORK dcai network remove other"
    both.data("network", "remove", "other")


def test_the_embedded_chain_is_final_at_once(both: Dcai) -> None:
    """No confirmations are waited for there, whatever is set for others."""
    found = both.data("network", "list", DCAI_CONFIRMATIONS="7")["networks"]
    assert {one["name"]: one["confirmations"] for one in found} == {"embedded": 0, "sepolia": 7, "other": 7}


def test_the_settings_file_stays_as_its_owner_wrote_it(empty: Dcai, chains: Chains) -> None:
    """Comments and order stay; `network use` takes out what would go over it, `config set` knows names."""
    empty.home.mkdir()
    path = empty.home / "config.toml"
    written = f"""\
# mine
rpc_url = "{chains.other.url}" # my node
chain_id = {OTHER_ID}
confirmations = 3 # few

[networks.mine] # anvil
# with a key
rpc_url = "{chains.other.url}"
chain_id = {OTHER_ID}
"""
    path.write_text(written)
    empty.data("network", "add", "sepolia", "--rpc-url", chains.sepolia.url)
    added = f'[networks.sepolia]\nrpc_url = "{chains.sepolia.url}"\nchain_id = 11155111\n'
    assert path.read_text().replace("\n\n", "\n") == (written + added).replace("\n\n", "\n")
    empty.data("network", "use", "mine")
    text = path.read_text()
    assert text.startswith('# mine\nconfirmations = 3 # few\nnetwork = "mine"\n')
    assert "[networks.mine] # anvil\n# with a key\n" in text
    assert empty.data("config", "show")["confirmations"] == 3
    empty.data("config", "set", "network", "sepolia")
    empty.data("config", "unset", "confirmations")
    assert settings_of(empty)["network"] == "sepolia"
    empty.data("network", "remove", "mine")
    assert "anvil" not in path.read_text()


def test_networks_in_one_line_stay_there(empty: Dcai, chains: Chains) -> None:
    """Another one is written beside them, in their form."""
    empty.home.mkdir()
    path = empty.home / "config.toml"
    path.write_text('networks = {mine = {rpc_url = "http://x", chain_id = 5}} # mine\n')
    empty.data("network", "add", "other", "--rpc-url", chains.other.url)
    assert list(settings_of(empty)["networks"]) == ["mine", "other"]  # type: ignore[call-overload]
    assert path.read_text().startswith("networks = {mine = {")
    assert path.read_text().endswith("} # mine\n")


def test_a_file_that_would_come_out_wrong_is_left_alone(empty: Dcai, chains: Chains) -> None:
    """A key would get into another table: nothing is written, and the way out is said."""
    empty.home.mkdir()
    path = empty.home / "config.toml"
    written = 'networks.mine.rpc_url = "http://x"\nnetworks.mine.chain_id = 5\n'
    path.write_text(written)
    error = empty.error("network", "add", "other", "--rpc-url", chains.other.url)
    assert error["exit_code"] == 15
    assert "[networks.NAME]" in error["hint"]
    assert path.read_text() == written
    assert empty.data("network", "use", "mine")["in_use"] is True  # what can be written, is


def test_what_goes_over_the_choice_is_said(both: Dcai, chains: Chains) -> None:
    """A variable of the environment hides the network of the file."""
    result = both("network", "use", "other", ETH_RPC_URL=chains.sepolia.url)
    assert result.code == 0
    assert "ETH_RPC_URL is set in the environment, and goes over the file." in result.err
    assert "in use" not in result.out
    error = both.error("network", "show", ETH_RPC_URL=chains.sepolia.url)
    assert (error["exit_code"], "dcai network add NAME" in error["hint"]) == (2, True)


def test_each_chain_has_models_of_its_own(both: Dcai, chains: Chains) -> None:
    """The same name means another model there; deploying on one changes nothing on the other."""
    (account,) = both.data("account", "list")["accounts"]
    deploy = ("model", "deploy", "--name", "films", "--labels", "a,b", "--n-features", "256", "--yes")
    found = {}
    for name, node in (("sepolia", chains.sepolia), ("other", chains.other)):
        node.set_balance(account["address"], 10**21)
        found[name] = both.data(*deploy, "--network", name)["address"]
        (model,) = both.data("model", "list", "--network", name)["models"]
        assert model["name"] == "films"
    assert both.data("model", "show", "films", "--network", "other")["address"] == found["other"]
    assert both.data("model", "list")["models"] == []
    assert offered(both, "model use ", DCAI_NETWORK="other") == ["films"]
    assert offered(both, "model use ") == []


def test_names_are_completed(both: Dcai) -> None:
    """Networks that there are; for a new one the names that mean one chain; never a URL."""
    assert offered(both, "refunds --network ") == ["embedded", "sepolia", "other"]
    assert offered(both, "network use se") == ["sepolia"]
    assert offered(both, "network add base") == ["base", "base-sepolia"]
    assert offered(both, "config set network o") == ["other"]
    assert SECRET not in "".join(offered(both, "refunds --rpc-url "))


def test_init_offers_the_networks_by_name(both: Dcai, chains: Chains, terminal: StartTerminal) -> None:
    """A name is enough; the file says it, and nothing that would go over it."""
    command = terminal(both, "init", "--json")
    command.until("Account (")
    command.type("\n")
    command.until("Network (embedded, sepolia, other, or a node's URL) [embedded]: ")
    command.type("other\n")
    code, out = command.end()
    assert code == 0, command.seen
    assert json.loads(out)["data"]["network"] == "other"
    assert settings_of(both)["network"] == "other"
    assert both.data("init", "--network", "sepolia")["chain_id"] == CHAIN_IDS["sepolia"]
    both.data("init", "--rpc-url", chains.other.url)
    assert {name: settings_of(both).get(name) for name in ("network", "rpc_url", "chain_id")} == {
        "network": None,
        "rpc_url": chains.other.url,
        "chain_id": OTHER_ID,
    }


def test_the_system_starts_a_daemon_on_the_network_by_its_name(both: Dcai, tmp_path: Path) -> None:
    """No URL is written down twice: the daemon reads it from the settings, also after it was changed."""
    words = ("daemon", "install", "--systemd", "--print", "--network", "sepolia")
    data = both.data(*words, XDG_CONFIG_HOME=str(tmp_path))
    assert "daemon run --account" in data["text"]
    assert "--network sepolia" in data["text"]
    assert data["name"].endswith("-sepolia")
    assert "ETH_RPC_URL" not in json.dumps(data)
    assert SECRET not in json.dumps(data)
