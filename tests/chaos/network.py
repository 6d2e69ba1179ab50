"""Network: everything goes through a proxy that drops, delays, refuses, cuts, repeats and reorders."""

from __future__ import annotations

from tests.chaos import proxy as faults
from tests.chaos.books import Books
from tests.chaos.harness import Run, Scenario
from tests.chaos.proxy import Proxy
from tests.chaos.world import Program, Typing, deploy, new_program, typed, write_rows

ROWS = 2_000
BATCH_SIZE = 40


def work(run: Run) -> None:
    """Contribute and refund through the proxy; then ask the chain itself."""
    node = run.anvil("--block-time", "0.2")
    direct = new_program(run.folder / "home", node)
    trainer = deploy(direct)
    rows = run.scaled(ROWS, least=60)
    file = write_rows(run.folder / "rows.csv", rows, seed=run.seed)
    proxy = Proxy(node.url, seed=run.seed)
    run.stack.callback(proxy.close)
    through = direct.through(proxy.url)
    contributing, claiming = Typing(), Typing()
    try:
        contribute = ("contribute", file, "--batch-size", str(BATCH_SIZE), "--yes")
        contributing.until_done(through, *contribute)
        run.say(f"{rows} rows: {contributing.figures()}")
        direct("devnet", "advance", "25h")
        claiming.until_done(through, "refunds", "--claim", "--min-profit=-1ether", "--yes")
        again = contributing.until_done(through, *contribute)
        run.expect(again["contributed"] == 0, f"{again['contributed']} rows were contributed once more")
        claiming.until_done(through, "refunds", "--claim", "--min-profit=-1ether", "--yes")
    finally:
        run.faults.update(proxy.faults)
        run.figures.update(
            {
                "rows": rows,
                "requests": proxy.requests,
                "contribute": str(contributing.figures()),
                "refunds": str(claiming.figures()),
            }
        )
    for said in [*contributing.tracebacks, *claiming.tracebacks]:
        run.differences.append(f"a traceback: {said}")
    run.differ(Books(node.rpc, direct.query, direct.address, trainer).audit(file, is_claimed=True))
    _is_settled(run, direct)


def _is_settled(run: Run, direct: Program) -> None:
    """A command without faults finds nothing that was left."""
    left = typed(direct, "refunds", "--claim", "--min-profit=-1ether", "--yes")
    run.expect(left.code == 0, f"without faults: {left.words}")
    run.expect(not left.document.get("transactions"), "without faults, there was still something to claim")


SCENARIO = Scenario(
    name="network",
    about="2,000 rows contributed and refunded through a network at fault: nothing twice, nothing lost",
    kinds={
        faults.DROPPED_BEFORE: 40,
        faults.DROPPED_AFTER: 40,
        faults.LOST_SEND: 5,
        faults.DELAYED: 20,
        faults.TOO_MANY: 5,
        faults.TOO_MANY_LATER: 2,
        faults.INTERNAL: 5,
        faults.CUT: 5,
        faults.REPEATED: 5,
        faults.REORDERED: 5,
        faults.TWICE: 2,
    },
    work=work,
)
