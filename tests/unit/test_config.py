"""Settings: flag over environment over file, and nothing secret where it can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcai_cli.config import KEYS, Settings, describe_settings, host_of, ipc_path, load_settings
from dcai_cli.errors import BadInput, UsageError

SECRET = "s3cr3t"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a settings file."""
    (tmp_path / "config.toml").write_text(
        'rpc_url = "http://file.example"\nchain_id = 1\naccount = "file"\npassword_file = "~/file"\n'
        "gas_price_wei = 10\npriority_fee_wei = 1\n"
    )
    return tmp_path


def test_the_file_is_read(home: Path) -> None:
    """Every key of the file arrives; a tilde is the user's folder."""
    settings = load_settings({"DCAI_HOME": str(home)})
    assert settings.rpc_url == "http://file.example"
    assert (settings.chain_id, settings.account) == (1, "file")
    assert settings.password_file == Path.home() / "file"
    assert (settings.gas_price_wei, settings.priority_fee_wei) == (10, 1)


def test_the_environment_goes_over_the_file(home: Path) -> None:
    """The variables that cast has, and DCAI_CHAIN_ID."""
    settings = load_settings(
        {
            "DCAI_HOME": str(home),
            "ETH_RPC_URL": "http://environment.example",
            "DCAI_CHAIN_ID": "0x7",
            "ETH_FROM": "environment",
            "ETH_PASSWORD": "/environment",
            "ETH_GAS_PRICE": "20gwei",
            "ETH_PRIORITY_GAS_PRICE": "2",
            "ETH_KEYSTORE": str(home / "keys"),
        }
    )
    assert settings.rpc_url == "http://environment.example"
    assert (settings.chain_id, settings.account) == (7, "environment")
    assert settings.password_file == Path("/environment")
    assert (settings.gas_price_wei, settings.priority_fee_wei) == (20 * 10**9, 2)
    assert settings.keystore_dir == home / "keys"


def test_flags_go_over_the_environment(home: Path) -> None:
    """A flag that was not given, None, changes nothing."""
    environ = {"DCAI_HOME": str(home), "ETH_RPC_URL": "http://environment.example", "DCAI_CHAIN_ID": "7"}
    settings = load_settings(environ, rpc_url="http://flag.example", chain_id=None)
    assert (settings.rpc_url, settings.chain_id) == ("http://flag.example", 7)


@pytest.mark.parametrize("name", ["ETH_FROM", "ETH_KEYSTORE_ACCOUNT"])
def test_an_empty_variable_is_not_set(home: Path, name: str) -> None:
    """What is empty in the environment leaves the file's value."""
    assert load_settings({"DCAI_HOME": str(home), name: ""}).account == "file"
    assert load_settings({"DCAI_HOME": str(home), name: "me"}).account == "me"


def test_embedded_goes_back_to_the_chain_in_the_process(home: Path) -> None:
    """An explicit --rpc-url embedded wins over file and environment."""
    environ = {"DCAI_HOME": str(home), "ETH_RPC_URL": "http://environment.example"}
    assert load_settings(environ, rpc_url="embedded").rpc_url is None


def test_the_home_moves_everything(tmp_path: Path) -> None:
    """DCAI_HOME holds settings, ledger, keys and chain; without it they stand in the platform's folders."""
    settings = load_settings({"DCAI_HOME": str(tmp_path)})
    paths = (settings.config_path, settings.ledger_path, settings.devnet_path, settings.keystore_dir)
    assert all(path.parent == tmp_path for path in paths)
    assert tmp_path not in load_settings({}).ledger_path.parents


def test_an_unknown_key_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    """A typing error in the file does not pass in silence."""
    (tmp_path / "config.toml").write_text('rpc_ulr = "x"\n')
    with pytest.raises(BadInput, match="'rpc_ulr'") as caught:
        load_settings({"DCAI_HOME": str(tmp_path)})
    assert all(key in caught.value.hint for key in KEYS)


@pytest.mark.parametrize("content", [b"rpc_url = \n", b"\xff\xfe", b"chain_id = 1\nchain_id = 2\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    """Broken TOML or no text at all is bad input."""
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(BadInput, match=r"config\.toml cannot be read"):
        load_settings({"DCAI_HOME": str(tmp_path)})


@pytest.mark.parametrize("name", ["DCAI_CHAIN_ID", "ETH_GAS_PRICE", "ETH_PRIORITY_GAS_PRICE"])
@pytest.mark.parametrize("value", ["main", "1.5", "-1"])
def test_what_is_no_number_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """Names, fractions and negative numbers are usage errors that quote the value."""
    with pytest.raises(UsageError, match=value):
        load_settings({"DCAI_HOME": str(tmp_path), name: value})


def test_headers_are_read_and_never_shown(tmp_path: Path) -> None:
    """ETH_RPC_HEADERS arrives by name; neither repr nor description shows a value, nor the URL's secrets."""
    settings = load_settings(
        {
            "DCAI_HOME": str(tmp_path),
            "ETH_RPC_HEADERS": f"Authorization: Bearer {SECRET}\nX-Key: {SECRET}",
            "ETH_RPC_URL": f"https://user:{SECRET}@node.example:8545/{SECRET}?key={SECRET}",
        }
    )
    assert settings.rpc_headers == {"Authorization": f"Bearer {SECRET}", "X-Key": SECRET}
    assert SECRET not in repr(settings.rpc_headers.keys()) + str(describe_settings(settings))
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("url", ["", "node.example:8545", "ftp://node.example", "http://", "http://[::1"])
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    """A URL may hold a key, so the message does not quote it."""
    with pytest.raises(UsageError, match="not an http or https URL"):
        host_of(url)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """Whoever has settings can rely on them."""
    settings = Settings(tmp_path, tmp_path, tmp_path)
    with pytest.raises(AttributeError):
        settings.chain_id = 5  # type: ignore[misc]


def test_several_urls_are_kept_in_their_order(tmp_path: Path) -> None:
    """Commas separate them in flag and environment, in the file a list does, too; each counts once."""
    home = {"DCAI_HOME": str(tmp_path)}
    (tmp_path / "config.toml").write_text('rpc_url = ["http://a.example", "ws://b.example/key"]\n')
    assert load_settings(home).rpc_urls == ("http://a.example", "ws://b.example/key")
    text = " http://c.example , /run/geth.ipc,http://c.example,"
    assert load_settings({**home, "ETH_RPC_URL": text}).rpc_urls == ("http://c.example", "/run/geth.ipc")
    assert load_settings(home, rpc_url=text).rpc_url == "http://c.example,/run/geth.ipc"
    (tmp_path / "config.toml").write_text('rpc_url = ["embedded"]\n')
    assert load_settings(home).rpc_urls == ()
    with pytest.raises(UsageError, match="cannot stand beside other nodes"):
        load_settings(home, rpc_url="embedded,http://c.example")


def test_of_several_urls_only_hosts_and_file_names_are_shown(tmp_path: Path) -> None:
    """Keys in paths, and the folders of sockets, are nobody's business."""
    urls = f"https://u:{SECRET}@a.example/{SECRET},wss://b.example:1/{SECRET},ipc:///{SECRET}/geth.ipc"
    settings = load_settings({"DCAI_HOME": str(tmp_path), "ETH_RPC_URL": urls})
    assert describe_settings(settings)["network"] == "a.example, b.example:1, geth.ipc"
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/run/geth.ipc", "/run/geth.ipc"),
        ("~/.ethereum/geth.ipc", "~/.ethereum/geth.ipc"),
        ("geth.ipc", "geth.ipc"),
        (r"\\.\pipe\geth.ipc", r"\\.\pipe\geth.ipc"),
        ("IPC:///run/geth.ipc", "/run/geth.ipc"),
        ("ipc://", None),
        ("http://node.example/geth.ipc", None),
        ("node.example", None),
    ],
)
def test_sockets_are_told_from_urls(url: str, path: str | None) -> None:
    """A path is one by its beginning or its ending; a URL never is."""
    assert ipc_path(url) == path
    if path:
        assert host_of(url) == "geth.ipc"


def test_a_ledger_on_a_server_is_named_without_its_password(home: Path) -> None:
    """File, then environment; what is shown has the database and the host."""
    with (home / "config.toml").open("a") as file:
        file.write(f'ledger_url = "postgresql://me:{SECRET}@db.example/team"\n')
    settings = load_settings({"DCAI_HOME": str(home)})
    assert settings.ledger == f"postgresql://me:{SECRET}@db.example/team"
    assert describe_settings(settings)["ledger"] == "team on db.example"
    assert SECRET not in repr(settings)
    other = {
        "DCAI_HOME": str(home),
        "DCAI_LEDGER": f"postgres://me:{SECRET}@[::1]:5433/a%20b?sslmode=require",
    }
    assert describe_settings(load_settings(other))["ledger"] == "a b on [::1]:5433"
    file_again = load_settings({"DCAI_HOME": str(home), "DCAI_LEDGER": "file"})
    assert file_again.ledger == file_again.ledger_path


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@db.example/team",
        f"postgresql://me:{SECRET}/x@db.example/team",
        f"postgresql://me:{SECRET}#x@db.example/team",
        f"postgresql://me:12?{SECRET}@db.example/team",
        f"postgresql://me:a@{SECRET}@db.example/team",
        f"postgresql://me:{SECRET}@db.example",
        f"postgresql://me:{SECRET}@db.example:port/team",
        f"/home/{SECRET}/ledger.sqlite",
    ],
)
def test_a_url_that_is_no_database_is_refused_unseen(home: Path, url: str) -> None:
    """Also where a password that should have been escaped makes a part of it look like a host."""
    with pytest.raises(UsageError, match="not one of a PostgreSQL database") as caught:
        load_settings({"DCAI_HOME": str(home), "DCAI_LEDGER": url})
    assert SECRET not in caught.value.message + caught.value.hint
    assert "%XX" in caught.value.hint


PROFILES = """
network = "sepolia"
chain_id = 11155111
confirmations = 3
replace_after = 60

[networks.sepolia]
rpc_url = ["https://one.example/s3cr3t", "https://two.example"]
chain_id = 11155111
confirmations = 5

[networks.mine]
rpc_url = "http://127.0.0.1:8545"
chain_id = 31337
gas_price_wei = "2gwei"
"""


@pytest.fixture
def profiles(tmp_path: Path) -> dict[str, str]:
    """The environment of a home with two networks, of which the file names one."""
    (tmp_path / "config.toml").write_text(PROFILES)
    return {"DCAI_HOME": str(tmp_path)}


def test_a_profile_goes_over_what_the_file_says_of_all_networks(profiles: dict[str, str]) -> None:
    """Its nodes, its chain id and its own settings; the rest is the file's."""
    settings = load_settings(profiles)
    assert (settings.network, settings.network_label) == ("sepolia", "sepolia")
    assert settings.rpc_urls == ("https://one.example/s3cr3t", "https://two.example")
    assert settings.hosts == ("one.example", "two.example")
    assert (settings.chain_id, settings.confirmations, settings.replace_after_s) == (11_155_111, 5, 60)
    assert SECRET not in repr(settings) + str(describe_settings(settings))


def test_the_environment_goes_over_a_profile_but_not_over_the_chain_that_was_named(
    profiles: dict[str, str],
) -> None:
    """A flag names the network; what the environment says of fees and blocks holds there, too."""
    environ = profiles | {"DCAI_CONFIRMATIONS": "9", "DCAI_CHAIN_ID": "1", "ETH_RPC_URL": "http://e.example"}
    settings = load_settings(environ, network="mine")
    assert (settings.network, settings.chain_id, settings.hosts) == ("mine", 31_337, ("127.0.0.1:8545",))
    assert (settings.confirmations, settings.gas_price_wei) == (9, 2 * 10**9)


def test_nodes_by_url_have_no_name_and_no_profile(profiles: dict[str, str]) -> None:
    """A URL of a higher level is all that counts; the chain id that the file pins still does."""
    settings = load_settings(profiles, rpc_url="http://flag.example")
    assert (settings.network, settings.network_label) == (None, "flag.example")
    assert (settings.chain_id, settings.confirmations) == (11_155_111, 3)


def test_a_url_beside_a_name_is_a_node_of_that_chain(profiles: dict[str, str]) -> None:
    """The URL is asked, and the profile says which chain it must be on."""
    settings = load_settings(profiles, rpc_url="http://flag.example", network="mine")
    assert (settings.network, settings.hosts, settings.chain_id) == (None, ("flag.example",), 31_337)
    assert settings.gas_price_wei == 2 * 10**9


def test_the_embedded_chain_has_a_name_without_a_profile(profiles: dict[str, str], tmp_path: Path) -> None:
    """It is the network where none is set, too."""
    assert load_settings(profiles, network="embedded").rpc_url is None
    assert load_settings(profiles, rpc_url="embedded").network == "embedded"
    assert load_settings({"DCAI_HOME": str(tmp_path / "none")}).network == "embedded"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("networks = 3", "networks is not a table"),
        ('network = "mine"\n[networks]\nmine = 3', "networks.mine is not a table"),
        (
            'network = "Mine"\n[networks.Mine]\nrpc_url = "http://x/s3cr3t"\nchain_id = 1',
            "no name for a network",
        ),
        ('network = "mine"\n[networks.mine]\nrpc_url = "http://x/s3cr3t"', "must set rpc_url, and chain_id"),
        ('network = "mine"\n[networks.mine]\nchain_id = 1', "must set rpc_url, and chain_id"),
        (
            'network = "mine"\n[networks.mine]\nrpc_url = "http://x/s3cr3t"\nchain_id = "one"',
            "must set rpc_url, and chain_id",
        ),
        (
            'network = "mine"\n[networks.mine]\nrpc_url = "http://x/s3cr3t"\nchain_id = true',
            "must set rpc_url, and chain_id",
        ),
        (
            'network = "mine"\n[networks.mine]\nrpc_url = "http://x/s3cr3t"\nchain_id = 1\naccount = "me"',
            "sets 'account'",
        ),
        (
            'network = "sepolia"\n[networks.sepolia]\nrpc_url = "http://x/s3cr3t"\nchain_id = 1',
            "sepolia is chain 11155111",
        ),
        (
            'network = "a"\n[networks.a]\nrpc_url = "http://x/s3cr3t"\nchain_id = 7\nconfirmations = -1',
            r"\[networks.a\] confirmations is -1",
        ),
    ],
)
def test_a_broken_profile_is_named_without_its_url(tmp_path: Path, table: str, said: str) -> None:
    """What is wrong with it, and nothing secret; on another network it does not matter."""
    (tmp_path / "config.toml").write_text(table)
    if table != "networks = 3":
        assert load_settings({"DCAI_HOME": str(tmp_path)}, network="embedded").network == "embedded"
    with pytest.raises(BadInput, match=said) as refused:
        load_settings({"DCAI_HOME": str(tmp_path)})
    assert SECRET not in refused.value.message + refused.value.hint
