"""Bad input: the message names the row or value, the exit code is its own, and nothing was sent or lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dcai_cli.chain.registry import code_hash
from dcai_cli.domain import Vector, Wire, format_ether
from dcai_cli.errors import Reverted
from dcai_cli.features.payload import encode_sample

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

ALICE = "0x5d5c99EdF529335160FF180fA141Dd4967fc00D2"
STRANGER = "0x" + "77" * 20

FILES = {
    "damaged.csv": (b"text,label\n\xc3\xa9,positive\ncaf\xe9,positive\n", ["line 3", "0xe9", "not UTF-8"]),
    "ragged.csv": (b"text,label\ngood,positive\ngood,positive,3\n", ["row 2", "expected 2 cells, got 3"]),
    "short.csv": (b"text,label\ngood\n", ["row 1", "expected 2 cells, got 1"]),
    "nul.csv": (b"text,label\ngood,positive\nb\0d,negative\n", ["row 2", "NUL byte"]),
    "open.csv": (b'text,label\n"good,positive\n', ["row 1", "never closed"]),
    "no-rows.csv": (b"text,label\n", ["no rows"]),
    "empty.csv": (b"", ["empty", "no header"]),
    "other.csv": (b"body,label\ngood,positive\n", ["no column 'text'", "body, label"]),
    "unlabelled.csv": (b"text,class\ngood,positive\n", ["no column 'label'", "text, class"]),
    "no-json.jsonl": (b'{"text": "good", "label": "positive"}\n{oops\n', ["line 2"]),
    "no-parquet.parquet": (b"PAR1", ["not a whole parquet file"]),
    "rows.xlsx": (b"PK", ["kind that cannot be read"]),
    "unknown-labels.csv": (
        b"text,label\ngood film,good\nbad film,bad\n",
        ["no row", "row 1", "unknown label 'good'", "negative, positive"],
    ),
    "no-features.csv": (b"text,label\n!,positive\n,negative\n", ["no row", "row 1", "no features"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used_is_refused_with_its_fault(dcai: Dcai, name: str) -> None:
    """The message names the file and the row, line or column; exit code 15, and nothing changes."""
    content, phrases = FILES[name]
    (dcai.folder / name).write_bytes(content)
    with dcai.unchanged():
        error = dcai.error("contribute", name, "--yes")
    assert (error["code"], error["exit_code"]) == ("bad-input", 15)
    assert error["hint"]
    for phrase in phrases:
        assert phrase.lower() in error["message"].lower()


@pytest.mark.parametrize("command", [["contribute"], ["model", "evaluate"], ["predict", "--file"]])
def test_a_file_that_is_not_there_is_named(dcai: Dcai, command: list[str]) -> None:
    """Every command that reads rows says which file is missing."""
    with dcai.unchanged():
        error = dcai.error(*command, "nowhere.csv")
    assert (error["exit_code"], error["message"]) == (15, "There is no file nowhere.csv.")


def test_a_key_file_that_is_not_there_is_named(dcai: Dcai) -> None:
    """A wrong --file is bad input, not a missing account."""
    with dcai.unchanged():
        error = dcai.error("account", "import", "--name", "carol", "--file", "/nowhere/key.json")
    assert (error["exit_code"], error["message"]) == (15, "There is no file /nowhere/key.json.")


def test_a_settings_file_that_is_broken_can_be_found(dcai: Dcai) -> None:
    """`config path` does not read the file that it names."""
    (dcai.home / "config.toml").write_text("= broken")
    assert dcai.error("config", "show")["exit_code"] == 15
    assert dcai.data("config", "path")["path"] == str(dcai.home / "config.toml")


def test_another_encoding_is_read_and_said(dcai: Dcai) -> None:
    """A file of Windows-1252 is read; stderr says so, where --encoding can be heard of."""
    (dcai.folder / "old.csv").write_bytes("text,label\ncafé film,positive\n".encode("cp1252"))
    result = dcai("contribute", "old.csv", "--dry-run", "--json")
    assert result.code == 0
    assert result.document["data"]["plan"]["samples"] == 1
    assert "old.csv is not UTF-8; it is read as cp1252" in result.err
    assert dcai.error("contribute", "old.csv", "--dry-run", "--encoding", "utf-8")["exit_code"] == 15


def test_an_empty_folder_is_no_data(dcai: Dcai) -> None:
    """A folder without files is refused."""
    (dcai.folder / "nothing").mkdir()
    with dcai.unchanged():
        error = dcai.error("contribute", "nothing", "--yes")
    assert (error["exit_code"], error["message"]) == (15, "nothing is an empty folder.")


def test_a_column_that_was_named_but_is_not_there_is_refused(dcai: Dcai, films: Path) -> None:
    """The message names the column that was asked for and those that there are."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--text-column", "body", "--yes")
    assert error["exit_code"] == 15
    assert "'body'" in error["message"]
    assert "text, label" in error["message"]


def test_rows_without_a_sample_are_skipped_counted_and_listed(dcai: Dcai) -> None:
    """An unknown label, an empty and a feature-less text cost nothing; the other rows are sent."""
    file = dcai.write(
        "mixed.csv",
        [
            ("a good film", "positive"),
            ("", "positive"),
            ("! ?", "negative"),
            ("so so", "neutral"),
            ("bad", "negative"),
        ],
    )
    data = dcai.data("contribute", file, "--yes")
    assert (data["rows"], data["contributed"]) == (5, 2)
    assert [skip["row"] for skip in data["skipped"]] == [2, 3, 4]
    reasons = [skip["reason"] for skip in data["skipped"]]
    assert reasons[0] == "the text is empty"
    assert reasons[1].startswith("no features")
    assert reasons[2] == "unknown label 'neutral'; the model knows negative, positive"


def test_skipped_rows_are_listed_for_people_too(dcai: Dcai) -> None:
    """Without --json each skipped row stands on stdout with its reason."""
    file = dcai.write("mixed.csv", [("a good film", "positive"), ("", "positive")])
    result = dcai("contribute", file, "--yes")
    assert result.code == 0
    assert "skipped row 2: the text is empty\n" in result.out


def test_doubtful_rows_are_found_before_money_is_spent(dcai: Dcai) -> None:
    """A dry run counts repeats, contradictions, empty rows and strange labels, with the first row numbers."""
    words = " ".join(f"w{number}" for number in range(3000))
    rows = [
        ("a good film", "positive"),
        ("a good film", "positive"),
        ("a good film", "negative"),
        ("", "positive"),
        ("so so", "neutral"),
        ("!", "negative"),
        (words, "negative"),
        ("a good film", "negative"),
    ]
    file = dcai.write("doubtful.csv", rows)
    with dcai.unchanged():
        listed = dcai.data("contribute", file, "--dry-run")["findings"]
        lines = dcai("contribute", file, "--dry-run").out
    findings = {finding["kind"]: finding for finding in listed}
    assert {kind: finding["count"] for kind, finding in findings.items()} == {
        "duplicates": 2, "conflicting_labels": 2, "empty": 1, "unknown_labels": 1, "no_sample": 1, "cut": 0,
    }  # fmt: skip
    assert findings["duplicates"]["first"] == [{"row": 2, "earlier_row": 1}, {"row": 8, "earlier_row": 3}]
    assert findings["conflicting_labels"]["first"][0] == {"row": 3, "earlier_row": 1}
    assert findings["unknown_labels"]["first"] == [{"row": 5, "earlier_row": None}]
    assert "2 rows stand with another label in an earlier row: 3 (as 1), 8 (as 1)\n" in lines
    assert "1 row is empty: 4\n" in lines
    assert "more features" not in lines


def test_a_repeated_row_is_contributed_once(dcai: Dcai) -> None:
    """The repeat is skipped and says which row it repeats; on-chain there is one sample."""
    file = dcai.write(
        "twice.csv", [("a good film", "positive"), ("bad", "negative"), ("a good film", "positive")]
    )
    data = dcai.data("contribute", file, "--yes")
    assert (data["contributed"], data["skipped"]) == (2, [{"row": 3, "reason": "repeats row 1"}])
    assert dcai.data("data", "export", "-o", "out.csv")["samples"] == 2


def test_a_repeated_row_is_contributed_as_often_as_it_stands_there_if_wanted(dcai: Dcai) -> None:
    """--allow-duplicates sends repeats; the same command again sends nothing more."""
    file = dcai.write(
        "twice.csv", [("a good film", "positive"), ("bad", "negative"), ("a good film", "positive")]
    )
    command = ("contribute", file, "--yes", "--allow-duplicates")
    data = dcai.data(*command)
    assert (data["contributed"], data["skipped"]) == (3, [])
    with dcai.unchanged():
        again = dcai.data(*command)
    assert (again["contributed"], again["already_contributed"]) == (0, 3)


def test_rows_that_are_on_chain_are_not_paid_for_again(dcai: Dcai, films: Path) -> None:
    """The same file again sends nothing, under another name and in another order too."""
    dcai.data("contribute", films, "--yes")
    lines = films.read_text().splitlines()
    other = dcai.folder / "other.csv"
    other.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    with dcai.unchanged():
        data = dcai.data("contribute", other, "--yes")
    assert (data["contributed"], data["already_contributed"], data["batches"]) == (0, 6, [])


def test_a_wrong_password_stops_before_anything_is_planned(dcai: Dcai, films: Path) -> None:
    """Exit code 11 and the key file's name, but not the password."""
    (dcai.folder / "wrong").write_text("sesame, open\n")
    with dcai.unchanged():
        result = dcai("contribute", films, "--yes", "--password-file", "wrong", "--json")
    error = result.document["error"]
    assert (result.code, error["code"]) == (11, "wrong-password")
    assert "alice.json" in error["message"]
    assert "sesame" not in result.out + result.err


def test_a_password_file_that_is_not_there_is_named(dcai: Dcai, films: Path) -> None:
    """The environment's ETH_PASSWORD is a path; a missing file is bad input."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--yes", ETH_PASSWORD="/nowhere/password")
    assert error["exit_code"] == 15
    assert "/nowhere/password" in error["message"]


@pytest.mark.parametrize(
    "command",
    [
        ["contribute", "films.csv", "--yes"],
        ["refunds"],
        ["reports"],
        ["model", "deploy", "--name", "x", "--labels", "a,b", "--yes"],
        ["account", "show"],
    ],
)
def test_without_an_account_the_hint_says_how_to_make_one(empty: Dcai, command: list[str]) -> None:
    """Exit code 10, whatever the command; the embedded chain is not even started."""
    empty.write("films.csv", [("good", "positive")])
    error = empty.error(*command)
    assert (error["code"], error["exit_code"]) == ("no-account", 10)
    assert error["hint"] == "Set it up: dcai init"
    assert not (empty.home / "devnet.sqlite").exists()


@pytest.mark.parametrize("who", ["carol", STRANGER])
def test_an_account_that_is_not_there_is_named(dcai: Dcai, films: Path, who: str) -> None:
    """By name or address; the hint lists those that there are."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--account", who, "--yes")
    assert error["exit_code"] == 10
    assert who in error["message"]
    assert error["hint"] == "Choose one of these: alice, bob."


def leave(dcai: Dcai, amount_wei: int) -> None:
    """Send all of alice's ether away but some."""
    with dcai.chain() as chain:
        # Twice the base fee is offered, and what is not needed comes back.
        fee_wei = chain.fees().max_fee_per_gas_wei * 21_000
        balance_wei = chain.balance_wei(ALICE)
    dcai.send("alice", STRANGER, value_wei=balance_wei - amount_wei - fee_wei)


@pytest.mark.parametrize("left_wei", [0, 2_160_000_000_000_001])
def test_too_little_balance_is_found_before_anything_is_signed(
    dcai: Dcai, films: Path, left_wei: int
) -> None:
    """Neither deposits nor, with just enough for those, the fees: the message names need and balance."""
    leave(dcai, left_wei)
    balance_wei = dcai.balance_wei(ALICE)
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--yes")
    assert (error["code"], error["exit_code"]) == ("insufficient-funds", 12)
    assert f"{ALICE} has {format_ether(balance_wei)}" in error["message"]


def test_a_model_that_is_too_dear_is_found_before_anything_is_signed(dcai: Dcai, films: Path) -> None:
    """A deposit above 1,000 ether is refused with what it would take."""
    deploy = ("model", "deploy", "--name", "dear", "--labels", "negative,positive", "--n-features", "256")
    dcai.data(*deploy, "--cost-weight", str(10**18), "--yes")
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--model", "dear", "--yes")
    assert error["exit_code"] == 12
    assert "can take 21,600 ETH" in error["message"]


def test_deploying_without_ether_sends_nothing(dcai: Dcai) -> None:
    """A new model from an account that cannot pay for it is refused."""
    leave(dcai, 0)
    with dcai.unchanged():
        error = dcai.error(
            "model", "deploy", "--name", "x", "--labels", "a,b", "--n-features", "256", "--yes"
        )
    assert error["exit_code"] == 12


def test_a_deposit_above_the_users_limit_is_refused(dcai: Dcai, films: Path) -> None:
    """--max-deposit holds for the most that can be taken; both amounts are named."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--max-deposit", "2159999999999999", "--yes")
    assert (error["code"], error["exit_code"]) == ("limit-exceeded", 16)
    assert "2160000000000000 wei" in error["message"]
    assert "2159999999999999 wei" in error["message"]


def test_a_deposit_at_the_users_limit_is_sent(dcai: Dcai, films: Path) -> None:
    """The limit itself is allowed, and what is taken stays below it."""
    data = dcai.data("contribute", films, "--max-deposit", "2160000gwei", "--yes")
    assert 0 < int(data["deposit_wei"]) <= 2_160_000 * 10**9


@pytest.mark.parametrize(
    "command",
    [
        ["contribute", "films.csv", "--yes"],
        ["predict", "good"],
        ["refunds"],
        ["refunds", "--claim", "--yes"],
        ["reports"],
        ["model", "list"],
        ["model", "deploy", "--name", "x", "--labels", "a,b", "--yes"],
        ["account", "show"],
        ["devnet", "advance", "1h"],
        ["data", "export", "-o", "out.csv"],
    ],
)
@pytest.mark.usefixtures("films")
def test_a_node_that_is_down_is_reported_with_its_address(
    dcai: Dcai, closed_url: str, command: list[str]
) -> None:
    """Exit code 13, by flag or environment; the embedded chain is left alone."""
    with dcai.unchanged():
        error = dcai.error(*command, ETH_RPC_URL=closed_url)
    assert (error["code"], error["exit_code"]) == ("rpc-unreachable", 13)
    assert closed_url.removeprefix("http://") in error["message"]


def test_an_embedded_chain_is_not_taken_for_another(dcai: Dcai, films: Path) -> None:
    """--chain-id that is not the embedded chain's is refused; both ids are named."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--chain-id", "1", "--yes")
    assert (error["code"], error["exit_code"]) == ("wrong-chain", 17)
    assert "chain 131337" in error["message"]
    assert "chain 1." in error["message"]


def test_a_node_on_another_chain_is_refused(dcai: Dcai, films: Path, anvil_url: str) -> None:
    """The id may be pinned in the settings file; the node gets no transaction."""
    with dcai.unchanged():
        (dcai.home / "config.toml").write_text("chain_id = 11155111\n")
        error = dcai.error("contribute", films, "--rpc-url", anvil_url, "--yes")
        (dcai.home / "config.toml").unlink()
    assert error["exit_code"] == 17
    assert "chain 31337" in error["message"]
    assert "chain 11155111" in error["message"]


@pytest.mark.parametrize("size", ["257", "0", "-1"])
def test_a_batch_that_no_mask_can_hold_is_refused(dcai: Dcai, films: Path, size: str) -> None:
    """More than 256 samples, or none, is a usage error that names the range."""
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--batch-size", size, "--yes")
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert size in error["message"]
    assert "256" in error["message"] + error["hint"]


def test_the_contract_refuses_a_batch_of_257_by_name(dcai: Dcai) -> None:
    """Whoever writes the payload by hand gets TooManySamples; 256 samples are taken."""
    wire = Wire(n_features=256, max_features=256)
    address = dcai.data("model", "show")["address"]
    sample = encode_sample(1, Vector((7,), (1,)), wire)
    with dcai.chain() as chain:
        data = {
            count: chain.encode("CollaborativeTrainer", "contribute", sample * count) for count in (256, 257)
        }
        chain.call(address, data[256], sender=ALICE, value_wei=10**18)
        with pytest.raises(Reverted) as caught:
            chain.call(address, data[257], sender=ALICE, value_wei=10**18)
    assert (caught.value.name, caught.value.values) == ("TooManySamples", {"limit": 256})


def test_a_file_is_cut_into_batches_of_the_size_asked_for(dcai: Dcai, films: Path) -> None:
    """No batch is larger than was asked for; the rest follows in another."""
    data = dcai.data("contribute", films, "--batch-size", "5", "--yes")
    assert [batch["samples"] for batch in data["batches"]] == [5, 1]


COMMANDS_WITH_MODEL = [
    ["contribute", "films.csv", "--yes", "--model"],
    ["predict", "good", "--model"],
    ["model", "evaluate", "films.csv", "--model"],
    ["model", "verify"],
    ["model", "show"],
    ["model", "use"],
    ["refunds", "--claim", "--yes", "--model"],
    ["reports", "--model"],
    ["data", "export", "-o", "out.csv", "--model"],
]


@pytest.mark.parametrize("command", COMMANDS_WITH_MODEL)
@pytest.mark.usefixtures("films")
def test_an_address_without_code_is_refused(dcai: Dcai, command: list[str]) -> None:
    """Exit code 17; the address and the chain are named."""
    with dcai.unchanged():
        error = dcai.error(*command, STRANGER)
    assert (error["code"], error["exit_code"]) == ("wrong-chain", 17)
    assert STRANGER in error["message"]
    assert "131337" in error["message"]


def creation(runtime: bytes) -> bytes:
    """The input that deploys a runtime code."""
    return bytes.fromhex(f"60{len(runtime):02x}600a5f3960{len(runtime):02x}5ff3").ljust(10, b"\0") + runtime


def clone(implementation: str) -> bytes:
    """The runtime code of a minimal proxy (EIP-1167)."""
    target = bytes.fromhex(implementation[2:])
    return bytes.fromhex("363d3d373d3d3d363d73") + target + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")


@pytest.fixture
def foreign(dcai: Dcai) -> dict[str, str]:
    """Contracts that are not ours, some of them nearly, by what they are."""
    stop = dcai.send("bob", None, creation(b"\0")).contract_address
    assert stop is not None
    (registry,) = [value for _, name, value in dcai.ledger_rows()["choices"] if name == "registry"]
    with dcai.chain() as chain:
        trainer, perceptron = (
            chain.view("ModelRegistry", registry, "implementationOf", code_hash(name))
            for name in ("CollaborativeTrainer", "Perceptron")
        )
    cases = {
        "no proxy": creation(b"\0"),
        "a proxy of something else": creation(clone(stop)),
        "our trainer without parts": creation(clone(trainer)),
        "another part of ours": creation(clone(perceptron)),
    }
    return {name: str(dcai.send("bob", None, code).contract_address) for name, code in cases.items()}


@pytest.mark.usefixtures("films")
def test_code_that_is_not_ours_is_refused_by_every_command(dcai: Dcai, foreign: dict[str, str]) -> None:
    """Exit code 17 with the address of what differs; nothing is sent, and the model is not remembered."""
    cases = [(command, foreign["no proxy"]) for command in COMMANDS_WITH_MODEL]
    cases += [(COMMANDS_WITH_MODEL[0], address) for address in foreign.values()]
    with dcai.unchanged():
        for command, address in cases:
            error = dcai.error(*command, address)
            assert (error["code"], error["exit_code"]) == ("wrong-chain", 17)
            assert "is not the" in error["message"]


@pytest.mark.usefixtures("films")
def test_unverified_code_that_does_not_answer_like_a_model_is_refused(
    dcai: Dcai, foreign: dict[str, str]
) -> None:
    """--unverified takes the code as it is, but it must still be a model."""
    with dcai.unchanged():
        for address in foreign.values():
            error = dcai.error("contribute", "films.csv", "--yes", "--unverified", "--model", address)
            assert error["exit_code"] in {14, 15, 17}


def test_a_model_that_is_not_sealed_takes_nothing(dcai: Dcai, films: Path) -> None:
    """The contract's refusal is shown by its name before anything is signed."""
    deploy = ("model", "deploy", "--name", "raw", "--labels", "negative,positive", "--n-features", "256")
    dcai.data(*deploy, "--no-seal", "--yes")
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--model", "raw", "--yes")
    assert (error["code"], error["exit_code"]) == ("reverted", 14)
    assert "NotSealed" in error["message"]
    assert "seal" in error["hint"]


def test_a_damaged_key_file_is_named(dcai: Dcai, films: Path) -> None:
    """A key file that is cut off is bad input, and stays as it is."""
    path = dcai.home / "keystore" / "alice.json"
    path.write_text(path.read_text()[:-40])
    with dcai.unchanged():
        error = dcai.error("contribute", films, "--account", "alice", "--yes")
    assert error["exit_code"] in {10, 15}
    assert "alice" in error["message"]


def test_a_plan_tells_the_fees_of_now_from_those_that_are_never_exceeded(dcai: Dcai, films: Path) -> None:
    """What it costs now, what is offered and the bound stand apart; a limit below the offer names it."""
    plan = dcai.data("contribute", films, "--dry-run")["plan"]
    now, offered, most = (int(plan[f"fee_{name}_wei"]) for name in ("estimate", "offer", "at_most"))
    assert now < offered < most == 4 * offered
    assert int(plan["total_at_most_wei"]) == most + int(plan["deposit_at_most_wei"])
    lines = dcai("contribute", films, "--dry-run").out
    assert f"fees      about {format_ether(now)} now ({plan['gas']:,} gas)\n" in lines
    assert f"{format_ether(offered)} is offered, {format_ether(most)} at most if gas grows dearer\n" in lines
    limited = dcai.data("contribute", films, "--dry-run", "--max-fee", str(offered + 10**14))["plan"]
    assert int(limited["fee_at_most_wei"]) == offered + 10**14
    error = dcai.error("contribute", films, "--dry-run", "--max-fee", str(offered // 2))
    assert error["exit_code"] == 16
    assert f"can reach {format_ether(offered)} by what is offered now" in error["message"]
    assert f"limit of {format_ether(offered // 2)}." in error["message"]


def test_a_limit_that_is_missed_by_less_than_can_be_shown_is_told_in_wei(dcai: Dcai, films: Path) -> None:
    """Amounts stand in ether, and in wei only where both would look the same."""
    error = dcai.error("contribute", films, "--max-deposit", "0.001ether", "--yes")
    assert error["message"] == "The deposits can reach 0.00216 ETH, above the limit of 0.001 ETH."
    error = dcai.error("contribute", films, "--max-deposit", "2159999999999999", "--yes")
    assert error["message"] == (
        "The deposits can reach 2160000000000000 wei, above the limit of 2159999999999999 wei."
    )


def test_a_plan_tells_what_spreading_saves(dcai: Dcai, films: Path) -> None:
    """Pace and deposits stand beside the bound, and come true if nobody else contributes meanwhile."""
    command = ("contribute", films, "--batch-size", "2")
    dcai.data("devnet", "advance", "2h")
    plan = dcai.data(*command, "--spread", "3h", "--dry-run")["plan"]
    assert dcai.data(*command, "--dry-run")["plan"]["spread"] is None
    spread = plan["spread"]
    assert (spread["seconds"], spread["interval_s"], spread["batches"]) == (10_800, 3_600, 3)
    lines = dcai(*command, "--spread", "3h", "--dry-run").out
    alone = format_ether(int(spread["deposit_alone_wei"]))
    assert "spread    over 3 h: 3 batches, one every 1 h\n" in lines
    assert f"deposits  at most 0.00216 ETH; about {alone} if nobody else contributes\n" in lines
    paid_wei = 0
    for limit in ("2", "4", "6"):
        paid_wei += int(dcai.data(*command, "--limit", limit, "--yes")["deposit_wei"])
        dcai.data("devnet", "advance", "1h")
    assert paid_wei == pytest.approx(int(spread["deposit_alone_wei"]), rel=0.01)
    assert paid_wei < int(plan["deposit_at_most_wei"]) // 5


def test_a_file_with_nothing_new_says_so(dcai: Dcai, films: Path) -> None:
    """Neither a dry run nor a run tells of deposits, fees and risks of no samples."""
    dcai.data("contribute", films, "--yes")
    planned = dcai("contribute", films, "--dry-run").out.splitlines()
    assert planned[3:] == [
        "samples   none: nothing in 6 rows is new",
        "          0 rows skipped, 6 contributed before",
        "Nothing was sent.",
    ]
    assert (
        dcai("contribute", films, "--yes").out
        == "Nothing is new: 6 rows were on-chain before, 0 rows skipped.\n"
    )


def test_one_of_a_kind_is_written_as_one(dcai: Dcai) -> None:
    """One sample in one batch of one row: no plural stands behind a one."""
    file = dcai.write("one.csv", [("a film of its own", "positive")])
    plan = dcai("contribute", file, "--dry-run").out
    assert "samples   1 of 1 row in 1 batch or more\n" in plan
    assert dcai("contribute", file, "--yes").out.startswith("1 sample in 1 batch is on-chain")
    assert "1 sample, " in dcai("refunds").out
    assert "waiting: 1 batch, " in dcai("refunds").out
    assert ", 1 time\n" in dcai("tx", "show", "0").out
    assert dcai("data", "stats").out.startswith("1 sample in 1 batch by 1 contributor\n")


def test_a_dry_run_does_everything_but_sign(dcai: Dcai, films: Path) -> None:
    """The plan is there in full, no password is asked for, and nothing changes."""
    with dcai.unchanged():
        data = dcai.data("contribute", films, "--dry-run", ETH_PASSWORD="")
    assert data["dry_run"] is True
    assert (data["contributed"], data["batches"], data["deposit_wei"]) == (0, [], "0")
    assert data["plan"]["samples"] == 6
    assert data["plan"]["deposit_at_most_wei"] == "2160000000000000"
    assert int(data["plan"]["fee_estimate_wei"]) > 0
