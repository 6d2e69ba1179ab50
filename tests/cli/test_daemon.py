"""The daemon's loop in simulated time, on real chains: what it saves, waits for, tells, and survives."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli import files
from dcai_cli.chain.remote import RemoteNode
from dcai_cli.errors import DcaiError, Locked, NoAccount, WrongChain, WrongPassword
from dcai_cli.services.claims.refund import claim_refunds
from dcai_cli.services.daemon import state as daemon_state
from dcai_cli.services.daemon.cycle import CycleRequest, day_start, policy_now
from dcai_cli.services.daemon.webhook import MOST_ATTEMPTS, Webhook
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES, PASSWORD
from tests.cli.simulated import HOUR, Days, receiver, simulate

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai
    from tests.conftest import StartAnvil

ALICE = ADDRESSES["alice"]
FLIPPED = [
    ("a wonderful story with a great heart", "negative"),
    ("great and warm acting", "negative"),
    ("a cold dull mess", "positive"),
]


@pytest.fixture
def disputed(dcai: Dcai, films: Path) -> Dcai:
    """Bob's three flipped rows are on-chain, between alice's, and the model keeps to her."""
    dcai.data("contribute", films, "--yes")
    dcai.data("contribute", dcai.write("flipped.csv", FLIPPED), "--account", "bob", "--yes")
    more = [
        (f"{text} indeed {number}", label)
        for number in range(2)
        for text, _, label in (line.rpartition(",") for line in films.read_text().splitlines()[1:])
    ]
    dcai.data("contribute", dcai.write("more.csv", more), "--yes")
    return dcai


@pytest.fixture
def on_node(dcai: Dcai, films: Path, anvil: StartAnvil) -> Dcai:
    """Alice's six rows on an anvil of this test, where their deposit is due."""
    node = anvil()
    dcai.environment["ETH_RPC_URL"] = node.url
    node.rpc("anvil_setBalance", ALICE, hex(10**21))
    labels = ("--labels", "negative,positive", "--n-features", "256")
    dcai.data("model", "deploy", "--name", "noded", *labels, "--max-idle", "1m", "--yes")
    dcai.data("contribute", films, "--model", "noded", "--yes")
    dcai.data("devnet", "advance", "25h")
    return dcai


def node_of(dcai: Dcai) -> RemoteNode:
    """The node that a home works with."""
    return RemoteNode([dcai.environment["ETH_RPC_URL"]], {})


def open_deposits(dcai: Dcai) -> int:
    """Batches of the ledger that are not settled."""
    ((count,),) = dcai.query("SELECT count(*) FROM batches WHERE state = 'open'")
    return int(count)


# What it saves, and when


def test_a_deposit_comes_back_as_soon_as_it_is_due(contributed: Dcai) -> None:
    """The interval is a week, the deposit is due in a day: the next cycle comes then, and claims it."""
    days = Days(cycles=2)
    start = days.now
    run = simulate(contributed, days, interval_s=7 * 24 * HOUR)
    (claim,) = run.entries("claim")
    assert (claim["kind"], claim["samples"], claim["mined"]) == ("refund", 3, True)
    assert 23 * HOUR < days.pauses[0] <= 24 * HOUR + 2
    assert open_deposits(contributed) == 0
    assert run.state.last_good is not None
    assert run.state.last_good - start <= 24 * HOUR + 3
    assert run.state.exposure is not None
    assert (run.state.exposure.pending_wei, run.state.claims) == (0, {"refund": 1})
    assert days.pauses[1] == 7 * 24 * HOUR  # nothing is out that could fall due sooner


def test_cycles_with_nothing_due_send_nothing_and_keep_the_interval(contributed: Dcai) -> None:
    """Before anything is due the chain stays as it is, and the reasons are said once."""
    with contributed.chain() as chain:
        block = chain.block_number()
    run = simulate(contributed, Days(cycles=3))
    with contributed.chain() as chain:
        assert chain.block_number() == block
    assert run.days.pauses == [HOUR] * 3
    assert run.state.cycles == {"good": 3}
    (left,) = run.entries("left")
    assert (left["code"], left["batch_id"]) == ("waiting", 0)


def test_reports_and_sweeps_are_taken_only_if_asked_for(disputed: Dcai) -> None:
    """Without --reports bob's rejected deposit stays; with it alice, who is validated, takes it."""
    days = Days(cycles=2, now=Days(0).now + 49 * HOUR)
    assert {entry["kind"] for entry in simulate(disputed, days).entries("claim")} == {"refund"}
    run = simulate(disputed, Days(cycles=1, now=days.now), reports=True)
    (claim,) = run.entries("claim")
    assert (claim["kind"], claim["samples"]) == ("report", 3)


def test_another_command_of_the_account_works_between_cycles(contributed: Dcai) -> None:
    """While the daemon pauses, `dcai contribute` sends: neither account nor embedded chain is locked."""
    more = contributed.write("more.csv", [("a new and warm film", "positive")])
    sent = []
    run = simulate(
        contributed, Days(cycles=1, hook=lambda _: sent.append(contributed.data("contribute", more, "--yes")))
    )
    assert sent[0]["contributed"] == 1
    assert run.state.cycles == {"good": 1}


# What it may cost


def test_the_days_budget_is_less_what_the_ledger_says_was_spent_today(contributed: Dcai) -> None:
    """After a claim a policy has the rest of the budget; a new process too; the next day all of it."""
    days = Days(cycles=1, now=Days(0).now + 25 * HOUR)
    simulate(contributed, days)
    ((fee, signed_at),) = contributed.query(
        "SELECT fee_wei, created_at FROM transactions WHERE kind = 'refund'"
    )
    request = CycleRequest(password=lambda _: PASSWORD, daily_budget_wei=10**16, max_fee_per_gas_wei=7)
    for then, left_wei in ((signed_at, 10**16 - int(fee)), (day_start(signed_at) + 25 * HOUR, 10**16)):
        with Workspace(contributed.settings, clock=Days(0, now=then).clock) as workspace:
            policy = policy_now(workspace, request, ALICE)
            assert (policy.budget_wei, policy.max_fee_per_gas_wei) == (left_wei, 7)
            broke = replace(request, daily_budget_wei=1)
            assert policy_now(workspace, broke, ALICE).budget_wei == (0 if left_wei < 10**16 else 1)
            assert policy_now(workspace, replace(request, daily_budget_wei=None), ALICE).budget_wei is None


@pytest.mark.parametrize(
    ("limit", "code"),
    [({"max_fee_per_gas_wei": 1}, "fee-ceiling"), ({"daily_budget_wei": 1}, "budget")],
    ids=["ceiling", "budget"],
)
def test_limits_hold_until_a_deposit_is_near_its_deadline(
    contributed: Dcai, limit: dict[str, Any], code: str
) -> None:
    """A day before its deadline the deposit waits for cheaper gas; six hours before it, it is saved."""
    days = Days(cycles=2, now=Days(0).now + 25 * HOUR)
    run = simulate(contributed, days, **limit)
    assert run.entries("claim") == []
    assert [entry["code"] for entry in run.entries("left")] == [code]
    assert run.state.left == {code: 1}
    late = Days(cycles=1, now=days.now + 16 * HOUR)
    assert [entry["samples"] for entry in simulate(contributed, late, **limit).entries("claim")] == [3]


def test_a_claim_that_does_not_pay_enough_is_left(contributed: Dcai) -> None:
    """With a least profit of an ether nothing is claimed, and the reason names what it would pay and cost."""
    run = simulate(contributed, Days(cycles=1, now=Days(0).now + 25 * HOUR), min_profit_wei=10**18)
    (left,) = run.entries("left")
    assert (left["code"], run.entries("claim")) == ("unprofitable", [])
    assert "of fees" in left["message"]


# What it survives


def test_a_dead_node_is_asked_again_after_pauses_that_grow(contributed: Dcai, closed_url: str) -> None:
    """15 s, 30 s, ... up to a quarter of an hour; it does not end, and tells once that it cannot work."""
    with receiver() as hook:
        run = simulate(
            contributed,
            Days(cycles=12),
            environment={"ETH_RPC_URL": closed_url},
            webhook=Webhook(hook.url),
            interval_s=HOUR // 2,
        )
        assert run.days.pauses[:7] == [15, 30, 60, 120, 240, 480, 900]
        assert set(run.days.pauses[7:]) == {900}
        assert (run.state.failures, run.state.errors) == (12, {"rpc-unreachable": 12})
        assert hook.kinds == ["cannot-work"]
        assert hook.heard[0]["data"]["code"] == "rpc-unreachable"


def test_ether_that_is_missing_is_said_at_once_and_its_return_too(on_node: Dcai) -> None:
    """With no balance nothing is claimed and the webhook hears it once; with ether again all goes on."""
    with closing(node_of(on_node)) as node, receiver() as hook:
        node.request("anvil_setBalance", ALICE, "0x1")

        def later(number: int) -> None:
            if number == 3:
                assert hook.kinds == ["cannot-work"]
                node.request("anvil_setBalance", ALICE, hex(10**21))

        run = simulate(on_node, Days(cycles=4, hook=later), webhook=Webhook(hook.url))
        assert hook.kinds == ["cannot-work", "recovered"]
    assert run.state.errors == {"insufficient-funds": 3}
    assert [entry["samples"] for entry in run.entries("claim")] == [6]
    assert (run.state.failures, run.state.last_outcome) == (0, "good")


def test_with_several_nodes_one_that_answers_is_enough(on_node: Dcai, closed_url: str) -> None:
    """The first URL is dead: the second one's claim is good, and both hosts are named."""
    urls = f"{closed_url},{on_node.environment['ETH_RPC_URL']}"
    run = simulate(on_node, Days(cycles=1), environment={"ETH_RPC_URL": urls})
    assert [entry["samples"] for entry in run.entries("claim")] == [6]
    assert run.state.cycles == {"good": 1}
    assert closed_url.removeprefix("http://") in run.entries("started")[0]["network"]


def test_a_locked_account_is_waited_for_and_then_skipped(contributed: Dcai) -> None:
    """Another process holds the account for two minutes: one cycle is skipped, the next one is good."""
    with contributed.chain() as chain:
        path = contributed.home / "locks" / f"{chain.key}-{ALICE.lower()}.lock"
    with ExitStack() as held:
        held.enter_context(files.lock(path, what="The account"))

        def later(number: int) -> None:
            if number == 31:  # thirty short waits for the lock, and the pause after the skipped cycle
                held.close()

        run = simulate(contributed, Days(cycles=32, hook=later))
    assert run.days.pauses[:30] == [2.0] * 30
    assert run.days.pauses[30:] == [15.0, HOUR]
    assert run.state.cycles == {"skipped": 1, "good": 1}
    (error,) = run.entries("error")
    assert (error["level"], error["code"]) == ("warning", "locked")
    assert f"pid {os.getpid()}" in error["message"]


def test_a_fault_of_ours_does_not_end_the_loop_and_shows_no_values(
    contributed: Dcai, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a cycle raises is counted with its place in the program, and the next cycle runs."""
    calls = iter([True, False])

    def broken(*_: object, **__: object) -> str:
        if next(calls, False):
            raise KeyError("s3cr3t")
        return "a greeting"

    monkeypatch.setattr("dcai_cli.services.daemon.cycle.acting_account", broken)
    run = simulate(contributed, Days(cycles=1))
    assert run.state.errors == {"internal": 1}
    (error,) = run.entries("error")
    assert "KeyError at test_daemon.py" in error["message"] or "KeyError at cycle.py" in error["message"]
    assert "s3cr3t" not in json.dumps(run.log)


@pytest.mark.parametrize(
    ("asked", "environment", "expected"),
    [
        ({"password": lambda _: "wrong"}, {}, WrongPassword),
        ({"account": "nobody"}, {}, NoAccount),
        ({}, {"DCAI_CHAIN_ID": "7"}, WrongChain),
    ],
    ids=["wrong password", "no account", "wrong chain"],
)
def test_what_no_waiting_mends_ends_the_daemon_and_is_told(
    contributed: Dcai,
    asked: dict[str, Any],
    environment: dict[str, str],
    expected: type[DcaiError],
) -> None:
    """Its own exit code, after no pause, and the webhook hears why."""
    days = Days(cycles=3)
    with receiver() as hook:
        with pytest.raises(expected):
            simulate(contributed, days, environment=environment, webhook=Webhook(hook.url), **asked)
        assert [document["data"]["code"] for document in hook.heard] == [expected.code]
    assert days.pauses == []


def test_a_chain_that_is_another_one_ends_the_daemon(contributed: Dcai) -> None:
    """The embedded chain is thrown away in a pause: its id is the same, but it is another chain."""
    with pytest.raises(WrongChain, match="another chain"):
        simulate(contributed, Days(cycles=3, hook=lambda _: contributed.data("devnet", "reset", "--yes")))


# One at a time


def test_two_daemons_exclude_each_other(contributed: Dcai) -> None:
    """The second one ends with 18 and names the first one's process; the first goes on."""
    seen: list[Locked] = []

    def second(_: int) -> None:
        with pytest.raises(Locked) as refused:
            simulate(contributed, Days(cycles=1))
        seen.append(refused.value)
        assert contributed.error("daemon", "run", "--once")["code"] == "locked"

    run = simulate(contributed, Days(cycles=1, hook=second))
    assert f"(pid {os.getpid()})" in seen[0].message
    assert run.state.cycles == {"good": 1}


@pytest.mark.parametrize(
    "note",
    ["999999999 {host} 1\n", "{pid} {host} 1\n", "{pid} elsewhere 1\n", "12\n", "\xff not a note"],
    ids=["dead", "its id was given anew", "another host", "first version", "damaged"],
)
def test_a_lock_that_a_dead_daemon_left_locks_nobody_out(contributed: Dcai, note: str) -> None:
    """The files of a killed daemon are there; the system freed the lock, so the next daemon runs."""
    simulate(contributed, Days(cycles=1))
    (path,) = (contributed.home / "locks").glob("*.daemon.lock")
    path.with_suffix(".pid").write_text(note.format(host=os.uname().nodename, pid=os.getppid()))
    assert contributed.data("daemon", "run", "--once")["outcome"] == "good"


# What it tells


def test_a_deposit_in_danger_is_told_once_across_restarts_and_then_its_loss(disputed: Dcai) -> None:
    """Bob's rejected deposit: at risk six hours before its deadline, once; then alice takes it: lost."""
    due = Days(0).now + 25 * HOUR
    with receiver() as hook:
        bob: dict[str, Any] = {"account": "bob", "webhook": Webhook(hook.url)}
        simulate(disputed, Days(cycles=1, now=due), **bob)
        assert hook.kinds == []
        run = simulate(disputed, Days(cycles=40, now=due), **bob)
        assert hook.kinds == ["at-risk"]
        told = hook.heard[0]
        assert (told["data"]["code"], told["data"]["batches"]) == ("disputed", [1])
        assert "the model rejects all that is open" in told["text"]
        simulate(disputed, Days(cycles=2, now=run.days.now), **bob)
        assert hook.kinds == ["at-risk"]

        simulate(disputed, Days(cycles=1, now=run.days.now), reports=True)
        run = simulate(disputed, Days(cycles=2, now=run.days.now + HOUR), **bob)
        assert hook.kinds == ["at-risk", "lost"]
        assert int(hook.heard[1]["data"]["amount_wei"]) == run.state.lost_wei != 0
        assert len({document["id"] for document in hook.heard}) == 2


def test_a_danger_wakes_the_daemon_at_the_margin(disputed: Dcai) -> None:
    """With an interval of a week, cycles come when bob's deposit is due, near its deadline, and at it."""
    days = Days(cycles=4)
    start = days.now
    simulate(disputed, days, account="bob", interval_s=7 * 24 * HOUR, deadline_margin_s=HOUR)
    moments = [sum(days.pauses[: number + 1]) / HOUR for number in range(3)]
    assert moments == pytest.approx([24, 47, 48], abs=0.05)
    assert days.now > start


@pytest.mark.parametrize("status", [500, 302])
def test_a_webhook_that_fails_costs_nothing_but_its_alerts(disputed: Dcai, status: int) -> None:
    """Each cycle tries once and is good; later it hears what waited; redirects are not followed."""
    log: list[dict[str, object]] = []
    now = Days(0).now + 49 * HOUR
    with receiver(status) as hook:
        bob: dict[str, Any] = {"account": "bob", "webhook": Webhook(hook.url)}
        run = simulate(disputed, Days(cycles=3, now=now), log=log, **bob)
        assert (hook.requests, hook.heard) == (3, [])
        assert run.state.cycles == {"good": 3}
        assert [alert.attempts for alert in run.state.alerts] == [3]
        hook.status = 204
        simulate(disputed, Days(cycles=1, now=now), log=log, **bob)
        assert hook.kinds == ["at-risk"]
    assert "s3cr3t" not in json.dumps(log)
    assert all("s3cr3t" not in path.read_text() for path in (disputed.home / "daemon").iterdir())


def test_an_alert_that_never_arrives_is_given_up(disputed: Dcai) -> None:
    """After its last attempt it goes, with a line in the log."""
    now = Days(0).now + 49 * HOUR
    with receiver(500) as hook:
        run = simulate(
            disputed, Days(cycles=MOST_ATTEMPTS + 2, now=now), account="bob", webhook=Webhook(hook.url)
        )
        assert hook.requests == MOST_ATTEMPTS
    assert run.state.alerts == ()
    assert run.entries("webhook")[-1]["message"].endswith("It is given up.")


def test_without_a_webhook_the_log_has_the_alerts(disputed: Dcai) -> None:
    """Each stands there once, as a warning."""
    run = simulate(disputed, Days(cycles=3, now=Days(0).now + 49 * HOUR), account="bob")
    (alert,) = run.entries("alert")
    assert (alert["level"], alert["kind"]) == ("warning", "at-risk")


# What it leaves


def test_the_state_is_the_owners_and_its_damage_is_no_harm(contributed: Dcai) -> None:
    """0600; counts go on from run to run; a damaged file is begun anew."""
    simulate(contributed, Days(cycles=2))
    (path,) = (contributed.home / "daemon").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert simulate(contributed, Days(cycles=1)).state.cycles == {"good": 3}
    for damage in (b"", b"{", b"[]", b'{"format": 1}', b"\xff", b"[" * 10**5):
        path.write_bytes(damage)
        assert daemon_state.load(path) is None
        assert simulate(contributed, Days(cycles=1)).state.cycles == {"good": 1}


def test_a_field_of_another_type_is_damage_too(contributed: Dcai) -> None:
    """Whoever edits the file gets a new one instead of a fault."""
    simulate(contributed, Days(cycles=1))
    (path,) = (contributed.home / "daemon").iterdir()
    form = json.loads(path.read_bytes())
    for name in ("failures", "cycles", "account", "exposure", "alerts"):
        path.write_text(json.dumps({**form, name: [1]}))
        assert daemon_state.load(path) is None, name
    path.write_text(json.dumps(form))
    assert daemon_state.load(path) is not None


def test_a_state_that_cannot_be_written_does_not_end_the_loop(contributed: Dcai) -> None:
    """A full disk, or a file where the folder should be: deposits come back all the same."""
    (contributed.home / "daemon").write_text("in the way")
    run = simulate(contributed, Days(cycles=2, now=Days(0).now + 25 * HOUR))
    assert open_deposits(contributed) == 0
    assert {entry["code"] for entry in run.entries("state")} == {"failed"}


def test_losses_before_the_first_run_are_no_news(disputed: Dcai) -> None:
    """What was lost long ago, and was seen by a command, is in the state but wakes nobody."""
    late = Days(0).now + 49 * HOUR
    with Workspace(disputed.settings, clock=lambda: late) as workspace:
        claim_refunds(workspace, password=lambda _: PASSWORD, account="alice")
    simulate(disputed, Days(cycles=1, now=late), reports=True)
    with Workspace(disputed.settings, clock=lambda: late + HOUR) as workspace:
        claim_refunds(workspace, password=lambda _: PASSWORD, account="bob")
    run = simulate(disputed, Days(cycles=1, now=late + 2 * HOUR), account="bob")
    assert run.state.lost_wei
    assert run.entries("alert") == []


# Memory


def test_memory_stays_flat(contributed: Dcai) -> None:
    """In a hundred cycles nothing piles up, under 200 bytes a cycle; caches may fill once in two hundred."""
    sizes: dict[int, int] = {}

    def measure(number: int) -> None:
        if number in {20, 120, 220}:
            gc.collect()
            sizes[number] = tracemalloc.get_traced_memory()[0]
        log.clear()

    log: list[dict[str, object]] = []
    days = Days(cycles=220, hook=measure)
    tracemalloc.start()
    try:
        simulate(contributed, days, interval_s=60, log=log)
    finally:
        tracemalloc.stop()
    assert min(sizes[120] - sizes[20], sizes[220] - sizes[120]) < 100 * 200


# The command


def test_one_cycle_for_cron_prints_one_document(contributed: Dcai) -> None:
    """--once --json: the claim with its transaction, what is left, what is out; the log is on stderr."""
    contributed.data("devnet", "advance", "25h")
    result = contributed("daemon", "run", "--once", "--json", "--log-format", "json")
    assert result.code == 0
    data = result.document["data"]
    assert [(claim["kind"], claim["samples"]) for claim in data["claims"]] == [("refund", 3)]
    assert (data["pending_batches"], data["left"], data["oldest_deadline"]) == (0, [], None)
    entries = [json.loads(line) for line in result.err.splitlines()]
    assert {"claim", "cycle"} == {entry["event"] for entry in entries}
    assert contributed("daemon", "run", "--once", "--quiet").out == ""
    assert contributed("daemon", "run", "--once", "--quiet").err == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--json"], "the loop has no end"),
        (["--once", "--listen", "127.0.0.1:0"], "--listen is for the loop"),
        (["--once", "--interval", "0s"], "--interval 0s is not between"),
        (["--once", "--interval", "soon"], "'soon' is not a duration"),
        (["--once", "--daily-budget", "much"], "--daily-budget: 'much'"),
        (["--once", "--log-format", "xml"], "neither text nor json"),
        (["--listen", "0.0.0.0:9464"], "loopback address only"),
        (["--listen", "example.org:80"], "loopback address only"),
        (["--listen", "127.0.0.1"], "is not an address to listen at"),
        (
            ["--once", "--webhook", "ftp://user:s3cr3t@host/s3cr3t"],
            "The webhook is not an http or https URL.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(contributed: Dcai, options: list[str], problem: str) -> None:
    """Exit code 2, a message with the value and a hint; a webhook's URL is not shown."""
    result = contributed("daemon", "run", *options)
    assert result.code == 2
    said = " ".join(result.err.split())
    assert problem in said
    assert "hint: " in said
    assert "s3cr3t" not in said


def test_the_faults_of_one_cycle_have_their_exit_codes(contributed: Dcai, closed_url: str) -> None:
    """A dead node is 13, and the status tells it although no node said which chain it is."""
    contributed.data("daemon", "run", "--once")
    assert contributed.data("daemon", "status")["daemons"][0]["healthy"]
    contributed.data("devnet", "advance", "25h")
    (contributed.folder / "password").write_text("wrong")
    assert contributed.error("daemon", "run", "--once")["exit_code"] == 11
    (one,) = contributed("daemon", "status", "--json").document["data"]["daemons"]
    assert (one["failures"], one["error"]["code"], one["last_outcome"]) == (1, "wrong-password", "failed")
    assert contributed.error("daemon", "run", "--once", ETH_RPC_URL=closed_url)["exit_code"] == 13


def test_a_node_that_died_is_in_the_status_of_what_cron_starts(on_node: Dcai) -> None:
    """No node tells the chain, but an earlier run at this host does: the row of failures goes on."""
    on_node.data("daemon", "run", "--once")
    with closing(node_of(on_node)) as node:
        pid = on_node.environment["ETH_RPC_URL"]
        assert node.label in pid
    dead = on_node.environment["ETH_RPC_URL"]
    (path,) = (on_node.home / "daemon").iterdir()
    with receiver(500) as hook:  # answers, but as no node does
        path.write_text(path.read_text().replace(dead.removeprefix("http://"), hook.url.split("/")[2]))
        for _ in range(2):
            code = on_node.error("daemon", "run", "--once", ETH_RPC_URL=hook.url)["exit_code"]
            assert code == 13
    (one,) = on_node("daemon", "status", "--json").document["data"]["daemons"]
    assert (one["failures"], one["error"]["code"]) == (2, "rpc-unreachable")


def test_the_status_tells_who_runs_and_what_is_out(contributed: Dcai) -> None:
    """Exit code 0 while a daemon runs and is healthy; 1 when it does not run, or is stale, or never was."""
    assert contributed.error("daemon", "status")["exit_code"] == 1
    seen: list[dict[str, object]] = []

    def look(_: int) -> None:
        seen.append(contributed.data("daemon", "status")["daemons"][0])
        assert contributed("daemon", "status").out.startswith("alice on embedded: runs (pid ")

    simulate(contributed, Days(cycles=1, hook=look))
    (one,) = seen
    assert (one["name"], one["account"], one["running"], one["pid"]) == ("alice", ALICE, True, os.getpid())
    assert (one["pending_batches"], one["claimable_wei"], one["at_risk_wei"]) == (1, "0", "0")
    result = contributed("daemon", "status")
    assert (result.code, "No daemon runs." in result.out) == (1, True)
    assert contributed("daemon", "status", "--account", "bob").code == 1


def test_a_partly_done_cycle_says_what_is_on_chain(contributed: Dcai) -> None:
    """What was claimed before an error is on-chain and counted; the code is 3."""
    contributed.data("devnet", "advance", "25h")
    from dcai_cli.services.daemon import cycle

    def fails_after(*_: object, **__: object) -> object:
        raise DcaiError("Something else is wrong.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycle, "recover", fails_after)
        error = contributed.error("daemon", "run", "--once")
    assert (error["exit_code"], error["message"]) == (
        3,
        "1 claim is on-chain; then: Something else is wrong.",
    )
    assert open_deposits(contributed) == 0
