"""Clients: the main scenario, from deployment to sweep, on the embedded chain, anvil and hardhat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dcai_cli.keystore import Keystore
from tests.chaos.books import Books, Rpc
from tests.chaos.harness import Run, Scenario
from tests.chaos.world import Program, deploy, new_program, write_rows
from tests.conftest import LIGHT_SCRYPT, PASSWORD, RICH_WEI, Anvil, start_hardhat

ROWS = 300
BATCH_SIZE = 50
REPORT_WAIT_H, PUBLIC_WAIT_H = 2 * 24, 9 * 24
CONTRIBUTED_H = 25

MakeNode = Callable[[Run], Anvil | None]


def _hardhat(run: Run) -> Anvil:
    node = start_hardhat(run.folder / "hardhat-node")
    run.stack.callback(node.stop)
    return node


CLIENTS: dict[str, MakeNode] = {
    "embedded": lambda _: None,
    "anvil": lambda run: run.anvil(),
    "hardhat": _hardhat,
}


def add_account(dcai: Program, name: str, node: Anvil | None) -> str:
    """Add a rich account to a home.

    Returns:
        Its address.
    """
    address = Keystore(dcai.home / "keystore", work_factor=LIGHT_SCRYPT).new(name, PASSWORD).address
    assert address is not None
    if node is not None:
        node.set_balance(address, RICH_WEI)
    return address


@contextmanager
def direct_rpc(dcai: Program, node: Anvil | None) -> Iterator[Rpc]:
    """Asks the node, or the embedded chain's file, without a command in between."""
    if node is not None:
        yield node.rpc
        return
    with dcai.workspace() as workspace:
        yield workspace.chain._node.request


def main_scenario(run: Run, name: str, node: Anvil | None) -> None:
    """Everything that a deposit can go through, and the books of both accounts."""
    dcai = new_program(run.folder / name, node)
    other = add_account(dcai, "other", node)
    dcai("account", "use", "me")
    trainer = deploy(dcai)
    rows = run.scaled(ROWS, least=120)
    mine = write_rows(run.folder / f"{name}-mine.csv", rows, seed=run.seed)
    others = write_rows(run.folder / f"{name}-others.csv", rows // 3, seed=run.seed, first=rows)
    size = ("--batch-size", str(BATCH_SIZE), "--yes")
    sent = dcai("contribute", mine, *size)
    also = dcai("contribute", others, *size, "--account", "other")
    run.expect(sent["contributed"] == rows, f"{name}: {sent['contributed']} of {rows} rows were contributed")
    run.expect(also["contributed"] == rows // 3, f"{name}: {also['contributed']} rows of the other account")

    dcai("devnet", "advance", f"{CONTRIBUTED_H}h")
    claims = [
        dcai("refunds", "--claim", "--min-profit=-1ether", "--yes", "--account", who)
        for who in ("me", "other")
    ]
    accounts = {dcai.address: mine, other: others}
    with direct_rpc(dcai, node) as rpc:
        for address, file in accounts.items():
            books = Books(rpc, dcai.query, address, trainer)
            run.differ(f"{name}: {line}" for line in books.audit(file, is_claimed=True))

    dcai("devnet", "advance", f"{REPORT_WAIT_H - CONTRIBUTED_H + 1}h")
    report = dcai("reports", "--claim", "--min-profit=-1ether", "--yes", "--account", "other")
    run.expect(int(report["reported_wei"]) > 0, f"{name}: the report paid nothing")

    dcai("devnet", "advance", f"{PUBLIC_WAIT_H - REPORT_WAIT_H}h")
    sweeps = [
        dcai("refunds", "--claim", "--min-profit=-1ether", "--yes", "--account", who)
        for who in ("me", "other")
    ]
    with direct_rpc(dcai, node) as rpc:
        for address, file in accounts.items():
            books = Books(rpc, dcai.query, address, trainer)
            run.differ(f"{name}: {line}" for line in books.audit(file, is_claimed=True))
        held_wei = int(rpc("eth_getBalance", trainer, "latest"), 16)
    run.expect(held_wei == 0, f"{name}: {held_wei} wei are left in the model after the sweep")
    run.figures[name] = (
        f"{rows + rows // 3} rows, {len(sent['batches']) + len(also['batches'])} batches, "
        f"{sum(claim['claimed_samples'] for claim in claims)} refunded, "
        f"{report['claimed_samples']} reported, "
        f"{sum(int(sweep['refunded_wei']) for sweep in sweeps)} wei swept"
    )


def work(run: Run) -> None:
    """Once on each client."""
    for name, make_node in CLIENTS.items():
        main_scenario(run, name, make_node(run))
        run.say(f"{name}: {run.figures[name]}")


SCENARIO = Scenario(
    name="clients",
    about="contribute, refund, report and sweep on the embedded chain, anvil and hardhat",
    kinds={},
    work=work,
)
