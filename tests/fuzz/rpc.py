"""A hostile node: whatever it answers, no command ends in a traceback, hangs, or signs what was not shown.

`python -m tests.fuzz.rpc --count 10000` serves so many broken or lying answers to commands in this process,
from a server on loopback in front of a real anvil. What is answered follows from the seed.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from eth_account import Account

from dcai_cli import errors
from dcai_cli.chain import client, open_chain, remote
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.jsonrpc import decode
from dcai_cli.chain.signing import decode_signed
from dcai_cli.cli.app import run
from dcai_cli.config import load_settings
from dcai_cli.features.payload import split_payload
from dcai_cli.keystore import Keystore
from dcai_cli.ledger import open_ledger
from dcai_cli.services import workspace as workspaces
from tests.conftest import Anvil, start_anvil
from tests.fuzz.lies import LIES, Json, Reply, lie, malformed

SEED = 2026
CHAIN_ID = 31_337
KEYS = {"alice": "0x" + "a1" * 32, "bob": "0x" + "b0" * 32}
ADDRESSES = {name: Account.from_key(key).address for name, key in KEYS.items()}
PASSWORD = "open sesame"
SECRET = "s3cr3t-0123456789"
MOST_CPU_S = 15.0
"""For one command; the slowest honest one takes half a second."""

RISE = 4
"""How many times what was shown the fees may be (`GAS_PRICE_RISE`)."""

MARGIN = 1.2
"""Gas above the estimate, and rounding of what is shown."""

EXIT_CODES = {0, *(kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code"))}
HONEST = [
    ("a wonderful warm film with a great heart", "positive"),
    ("great acting and a wonderful story", "positive"),
    ("a dull cold mess without any point", "negative"),
    ("cold acting and a dull plot", "negative"),
]
NEW = [(f"{text} again", label) for text, label in HONEST] + [("great warm plot", "positive")] * 1
WRONG = [("wonderful great heart", "negative"), ("a dull cold mess", "positive")]
SHAPE = ("--labels", "negative,positive", "--n-features", "256")

COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "account show": (9, ()),
    "model show": (4, ()),
    "model list": (2, ()),
    "model verify": (2, ()),
    "devnet status": (9, ()),
    "predict": (9, ("a wonderful film",)),
    "predict --file": (1, ("new.csv", "--output", "out.csv", "--force")),
    "data export": (2, ("-o", "out.csv", "--force")),
    "refunds": (2, ()),
    "reports": (2, ()),
    "contribute": (6, ("new.csv", "--batch-size", "2")),
    "contribute --dry-run": (1, ("new.csv",)),
    "refunds --claim": (3, ()),
    "reports --claim": (2, ()),
    "model deploy": (2, ("--name", "more", *SHAPE)),
}
"""Commands, how often each is drawn, and its arguments."""


class TooSlowError(BaseException):
    """A command used too much CPU time."""


@dataclass
class Outcome:
    """How a run ended.

    Args:
        answers: hostile answers that were served, by kind.
        ends: exit codes, by how often.
        commands: commands that ran, by how often.
        signed: transactions that reached the server, by kind of command.
        faults: tracebacks, hangs, secrets, signatures that were not shown; there must be none.
    """

    answers: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    signed: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """When and how the node is hostile during one command.

    Args:
        rng: says what.
        style: "once", "method", "often", "always", or "legacy": as "often", and as if without EIP-1559.
        at: which request is answered badly, for "once".
        burst: how many in a row; clients ask again what they could not understand.
        method: what is answered badly, for "method".
        lies: the share of lies; the rest is malformed.
    """

    rng: random.Random
    style: str = "never"
    at: int = 0
    burst: int = 1
    method: str = ""
    lies: float = 0.5
    seen: int = 0
    raws: list[bytes] = field(default_factory=list)
    chain_ids: set[int] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def is_hostile(self, method: str) -> bool:
        """Whether the next answer is a bad one."""
        self.seen += 1
        self.methods.append(method)
        match self.style:
            case "once":
                return self.at <= self.seen < self.at + self.burst
            case "method":
                return method == self.method
            case "legacy":
                return method in {"eth_feeHistory", "eth_getBlockByNumber"} or self.rng.random() < 0.3
            case "often":
                return self.rng.random() < 0.3
            case _:
                return self.style == "always"


class Server(ThreadingHTTPServer):
    """The hostile node, in front of an honest one."""

    daemon_threads = True

    def __init__(self, node: Anvil, trap: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.node = node
        self.trap = trap
        self.plan = Plan(random.Random(0))  # noqa: S311 (no secret)

    @property
    def url(self) -> str:
        """Where it listens, with a secret."""
        return f"http://127.0.0.1:{self.server_port}/?key={SECRET}"

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients close connections as they like."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_POST(self) -> None:
        """Answer one request, honestly or not."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body)
        first = asked[0] if isinstance(asked, list) else asked
        plan, method = self.server.plan, first["method"]
        bad = plan.is_hostile(method)
        for one in asked if isinstance(asked, list) else [asked]:
            if one["method"] == "eth_sendRawTransaction":
                plan.raws.append(bytes.fromhex(one["params"][0][2:]))
        swallowed = bad and method == "eth_sendRawTransaction" and plan.rng.random() < 0.5
        answer = {"jsonrpc": "2.0", "id": first["id"], "result": "0x"} if swallowed else self._ask(body)
        reply = self._worse(plan, method, answer) if bad else Reply(json.dumps(answer).encode())
        if method == "eth_chainId":
            plan.chain_ids.add(understood(reply.body or (reply.raw or b"").partition(b"\r\n\r\n")[2]))
        self._send(reply)

    def _worse(self, plan: Plan, method: str, answer: Json) -> Reply:
        rng = plan.rng
        if plan.style == "legacy" and method == "eth_feeHistory":
            plan.told.append(f"lie about {method}")
            missing = {"code": -32_601, "message": "the method does not exist"}
            return Reply(json.dumps({"jsonrpc": "2.0", "id": answer["id"], "error": missing}).encode())
        if plan.style == "legacy" and method == "eth_getBlockByNumber":
            plan.told.append(f"lie about {method}")
            answer["result"].pop("baseFeePerGas", None)
            return Reply(json.dumps(answer).encode())
        if rng.random() < plan.lies and isinstance(answer, dict) and "result" in answer:
            plan.told.append(f"lie about {method}")
            told = lie(rng, method, answer.pop("result"))
            answer |= {"error": told.args[0]} if isinstance(told, ValueError) else {"result": told}
            return Reply(json.dumps(answer).encode())
        plan.told.append(f"malformed {method}")
        return malformed(rng, answer, self.server.trap)

    def setup(self) -> None:
        """Open a connection to the honest node, too."""
        super().setup()
        self._node = http.client.HTTPConnection(self.server.node.url.removeprefix("http://"), timeout=60)

    def finish(self) -> None:
        """Close both."""
        self._node.close()
        super().finish()

    def _ask(self, body: bytes) -> Json:
        self._node.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(self._node.getresponse().read())

    def _send(self, reply: Reply) -> None:
        if reply.raw is not None:
            self.close_connection = True
            self.wfile.write(reply.raw)
            return
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body))} | reply.headers
        for name, value in headers.items():
            self.send_header(name, value.encode().decode("latin-1"))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def understood(body: bytes) -> int:
    """The number that an answer names; 0 if none."""
    try:
        return int(decode(body)["result"], 16)
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0


class Trap(BaseHTTPRequestHandler):
    """Where redirections lead; whoever comes here would have brought secrets along."""

    visits: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Take note."""
        self.visits.append(self.path)
        self.send_error(404)

    do_GET = do_POST  # noqa: N815 - so it must be called

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Clock:
    """Time that passes when somebody waits for it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait no time at all."""
        self.now += seconds


@contextmanager
def serving(handler: ThreadingHTTPServer) -> Iterator[None]:
    """Serve in a thread for a while."""
    thread = threading.Thread(target=handler.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        handler.shutdown()
        thread.join()
        handler.server_close()


@dataclass
class Result:
    """What a command printed, and how it ended."""

    code: int | None
    out: str
    err: str
    fault: str = ""


class Bench:
    """A home on an anvil, with things to contribute, claim and report, that is restored after each command.

    Args:
        folder: where everything stands.
        node: the honest node.
        server: the hostile one.
    """

    def __init__(self, folder: Path, node: Anvil, server: Server) -> None:
        self.folder = folder
        self.node = node
        self.server = server
        self.home = folder / "home"
        self.environment = {
            "DCAI_HOME": str(self.home),
            "ETH_PASSWORD": str(folder / "password"),
            "ETH_RPC_URL": server.url,
            "ETH_RPC_HEADERS": f"X-Key: {SECRET}",
        }
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o600)
        self._write("first.csv", HONEST)
        self._write("again.csv", HONEST * 2)
        self._write("new.csv", NEW)
        self._write("wrong.csv", WRONG)
        self.honest: dict[str, list[str]] = {}
        self._prepare()

    def _write(self, name: str, rows: Sequence[tuple[str, str]]) -> None:
        text = "".join(f"{text},{label}\n" for text, label in [("text", "label"), *rows])
        (self.folder / name).write_text(text)

    def _prepare(self) -> None:
        keystore = Keystore(self.home / "keystore", work_factor=2)
        for name, key in KEYS.items():
            keystore.import_key(name, key, PASSWORD)
            self.node.rpc("anvil_setBalance", ADDRESSES[name], hex(10**20))
        waits = ("--refund-wait", "1d", "--report-wait", "2d")
        twice = ("--allow-duplicates", "--batch-size", "2", "--yes")
        for arguments in (
            ("account", "use", "alice"),
            ("model", "deploy", "--name", "films", *SHAPE, *waits, "--cost-weight", f"{10**12}", "--yes"),
            ("contribute", "first.csv", "--yes"),
            ("contribute", "wrong.csv", "--account", "bob", "--yes"),
            ("devnet", "advance", "25h"),
            ("refunds", "--claim", "--yes"),
            ("contribute", "again.csv", *twice),
            ("devnet", "advance", "25h"),
        ):
            done = self.run(arguments, Plan(random.Random(0)))  # noqa: S311 (no secret)
            assert done.code == 0, (arguments, done)
        with closing(open_ledger(self.home / "ledger.sqlite")) as ledger:
            (self.model,) = ledger.models(self._chain_key())
        shutil.copytree(self.home, self.folder / "kept")
        self._snapshot = self.node.rpc("evm_snapshot")
        self._payloads()
        for name in COMMANDS:
            plan = Plan(random.Random(0))  # noqa: S311 (no secret)
            done = self.run(self.arguments(name), plan)
            assert done.code == 0, (name, done)
            self.honest[name] = plan.methods
            self.restore(touched=True)

    def _chain_key(self) -> str:
        with open_chain(load_settings(self.environment)) as chain:
            return chain.key

    def _payloads(self) -> None:
        """The samples that an honest contribution sends."""
        plan = Plan(random.Random(0))  # noqa: S311 (no secret)
        self.run(self.arguments("contribute"), plan)
        self.samples: Counter[bytes] = Counter()
        for raw in plan.raws:
            self.samples.update(self._samples_of(decode_signed(raw).data))
        assert sum(self.samples.values()) == len(NEW)
        self.restore(touched=True)

    def _samples_of(self, data: bytes) -> list[bytes]:
        from dcai_cli.chain import abi
        from dcai_cli.features.spec import FeatureSpec

        function = artifact("CollaborativeTrainer").functions["contribute"]
        assert data[:4] == abi.selector(function), "not a contribution"
        (payload,) = abi.decode(function["inputs"], data[4:])
        return split_payload(payload, FeatureSpec.from_json(self.model.spec).wire)

    def arguments(self, name: str) -> tuple[str, ...]:
        """What is typed."""
        words = tuple(name.split())
        return (*words, *COMMANDS[name][1])

    def restore(self, *, touched: bool) -> None:
        """Put home and chain back."""
        shutil.rmtree(self.home)
        shutil.copytree(self.folder / "kept", self.home)
        if touched:
            self.node.rpc("evm_revert", self._snapshot)
            self._snapshot = self.node.rpc("evm_snapshot")

    def run(self, arguments: Sequence[str], plan: Plan, **environment: str) -> Result:
        """Run a command here, with a yes to every question, and waits that take no time."""
        self.server.plan = plan
        clock = Clock()
        out, err = io.StringIO(), io.StringIO()
        patient = functools.partial(
            remote.RemoteNode,
            sleep=clock.sleep,
            clock=clock,
            rng=random.Random(plan.rng.random()),  # noqa: S311
        )
        with ExitStack() as stack:
            for target, name, value in (
                (remote, "RemoteNode", patient),
                (client, "Chain", functools.partial(client.Chain, sleep=clock.sleep)),
                (workspaces, "Workspace", functools.partial(workspaces.Workspace, sleep=clock.sleep)),
            ):
                stack.enter_context(mock.patch.object(target, name, value))
            stack.enter_context(mock.patch("dcai_cli.cli.output.is_asked", return_value=True))
            stack.enter_context(mock.patch("sys.stdin", io.StringIO("y\n" * 3)))
            stack.enter_context(mock.patch.dict(os.environ, self.environment | environment))
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            before = Path.cwd()
            os.chdir(self.folder)
            stack.callback(os.chdir, before)
            with limited():
                try:
                    return Result(run(arguments), out.getvalue(), err.getvalue())
                except (Exception, TooSlowError, SystemExit):  # noqa: BLE001 - whatever it is, it is a finding
                    return Result(None, out.getvalue(), err.getvalue(), traceback.format_exc())

    # What was shown

    def judge(self, name: str, plan: Plan, done: Result, *, pinned: bool) -> Iterator[str]:
        """What a command did that it may not do."""
        if done.fault:
            yield f"{done.fault.splitlines()[-1][:300]}\n{done.fault[-1500:]}"
        elif done.code not in EXIT_CODES:
            yield f"exit code {done.code}"
        for what, text in (("stdout", done.out), ("stderr", done.err)):
            if SECRET in text or "Traceback" in text:
                yield f"a secret or a traceback on {what}: {text[:2000]}"
        if Trap.visits:
            yield f"redirections were followed: {Trap.visits}"
            Trap.visits.clear()
        try:
            yield from self._unshown(name, plan, done.err, pinned=pinned)
        except Exception:  # noqa: BLE001 - what cannot be decoded must not have been signed
            yield f"signed something strange: {traceback.format_exc()}"

    def _unshown(self, name: str, plan: Plan, shown: str, *, pinned: bool) -> Iterator[str]:
        by_nonce: dict[int, tuple[Any, int]] = {}
        for raw in dict.fromkeys(plan.raws):
            fields = decode_signed(raw)
            if Account.recover_transaction(raw) != ADDRESSES["alice"]:
                yield f"{name}: signed by another account"
            if fields.chain_id not in ({CHAIN_ID} if pinned else plan.chain_ids):
                yield f"{name}: signed for chain {fields.chain_id}"
            if f"chain {fields.chain_id} at 127.0.0.1" not in shown:
                yield f"{name}: signed for chain {fields.chain_id}, which was not shown: {shown}"
            cost_wei = fields.gas * fields.fees.max_fee_per_gas_wei
            old = by_nonce.get(fields.nonce)
            if old is None or old[1] < cost_wei:
                by_nonce[fields.nonce] = (fields, cost_wei)
        if not by_nonce:
            return
        sent = [fields for fields, _ in by_nonce.values()]
        fee_wei = sum(cost_wei for _, cost_wei in by_nonce.values())
        match name:
            case "contribute":
                yield from self._unshown_contribution(sent, fee_wei, shown)
            case "refunds --claim" | "reports --claim":
                yield from self._unshown_claims(name, sent, fee_wei, shown)
            case "model deploy":
                yield from self._unshown_deployment(sent, fee_wei, shown)
            case _:
                yield f"{name} signed {len(sent)} transactions"

    def _unshown_contribution(self, sent: Sequence[Any], fee_wei: int, shown: str) -> Iterator[str]:
        deposits_wei, fees_wei = (
            ether(r"deposits +at most (.*)", shown),
            ether(r"is offered, (\S+ \w+) at most", shown),
        )
        if sum(fields.value_wei for fields in sent) > deposits_wei:
            yield f"deposits above {deposits_wei} wei, which were shown"
        if fee_wei > fees_wei:
            yield f"fees of {fee_wei} wei; shown were {fees_wei} wei"
        samples: Counter[bytes] = Counter()
        for fields in sent:
            if fields.to.lower() != self.model.address.lower() or self.model.address not in shown:
                yield f"a contribution to {fields.to}"
            samples.update(self._samples_of(fields.data))
        if samples - self.samples:
            yield "samples that are not in the file, or twice"

    def _unshown_claims(self, name: str, sent: Sequence[Any], fee_wei: int, shown: str) -> Iterator[str]:
        pay_wei = ether(r"pay up to (\S+ \w+)", shown)
        functions = artifact("CollaborativeTrainer").functions
        from dcai_cli.chain import abi

        allowed = {abi.selector(functions[what]) for what in (name.split("s ", maxsplit=1)[0], "sweep")}
        for fields in sent:
            if fields.value_wei or fields.to.lower() != self.model.address.lower():
                yield f"a claim that sends {fields.value_wei} wei to {fields.to}"
            if fields.data[:4] not in allowed:
                yield f"a call of {fields.data[:4].hex()} in the place of a claim"
        if fee_wei > MARGIN * pay_wei:
            yield f"fees of {fee_wei} wei for claims that pay {pay_wei} wei, as was shown"

    def _unshown_deployment(self, sent: Sequence[Any], fee_wei: int, shown: str) -> Iterator[str]:
        fees_wei = ether(r"up to (\S+ \S+) at the", shown)
        if any(fields.value_wei for fields in sent):
            yield "a deployment that sends ether"
        if fee_wei > RISE * MARGIN * fees_wei:
            yield f"fees of {fee_wei} wei; shown were {fees_wei} wei"


def ether(pattern: str, shown: str) -> int:
    """An amount that was shown, in wei, rounded up; 0 if none was."""
    found = re.search(pattern, shown)
    if found is None:
        return 0
    number, unit = found[1].replace(",", "").split()[:2]
    size = {"ETH": 10**18, "gwei": 10**9, "wei": 1}[unit]
    return int(float(number) * size) + size // 10**6 + 1


@contextmanager
def limited() -> Iterator[None]:
    """End what takes too much CPU time."""

    def stop(*_: object) -> None:
        raise TooSlowError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def make_plan(rng: random.Random, methods: Sequence[str]) -> Plan:
    """When the node is hostile during a command that asks for these methods."""
    style = rng.choice(["once"] * 6 + ["method"] * 8 + ["often"] * 3 + ["always"] * 2 + ["legacy"])
    lies = {"once": 0.5, "method": 0.85, "often": 0.9, "always": 0.7, "legacy": 0.95}[style]
    # Methods that are asked for once must not be drowned by those that are asked for often.
    method = rng.choice(sorted(set(methods)))
    places = [at for at, asked in enumerate(methods, start=1) if asked == method]
    return Plan(rng, style, rng.choice(places), rng.choice([1, 1, 4, 12]), method, lies)


def fuzz(count: int, folder: Path, node: Anvil, seed: int = SEED) -> Outcome:
    """Run commands until so many hostile answers were served.

    Args:
        count: how many answers.
        folder: an empty folder.
        node: an honest node without a past.
        seed: what the answers follow from.
    """
    outcome = Outcome()
    trap = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    server = Server(node, f"http://127.0.0.1:{trap.server_port}")
    names = [name for name, (weight, _) in COMMANDS.items() for _ in range(weight)]
    with serving(trap), serving(server):
        bench = Bench(folder, node, server)
        number = 0
        while outcome.answers.total() < count:
            rng = random.Random(f"{seed}/{number}")  # noqa: S311 (no secret)
            name = rng.choice(names)
            plan = make_plan(rng, bench.honest[name])
            pinned = rng.random() < 0.5
            as_json = ("--json",) if rng.random() < 0.5 else ()
            began_s = time.process_time()
            environment = {"DCAI_CHAIN_ID": str(CHAIN_ID)} if pinned else {}
            done = bench.run((*bench.arguments(name), *as_json), plan, **environment)
            outcome.slowest_s = max(outcome.slowest_s, time.process_time() - began_s)
            found = [
                f"command {number}, {name}: {what}" for what in bench.judge(name, plan, done, pinned=pinned)
            ]
            outcome.faults += [f"{what}\n  told: {plan.told[:5]}" for what in found]
            # One lie that is told a thousand times is not a thousand lies.
            outcome.answers.update(plan.told[:20])
            outcome.ends[-1 if done.code is None else done.code] += 1
            outcome.commands[name] += 1
            outcome.signed[name] += len(set(plan.raws))
            bench.restore(touched=bool(plan.raws))
            number += 1
    return outcome


def problems(outcome: Outcome) -> list[str]:
    """What is wrong with a run: faults, one of each kind, or a run that does not try enough."""
    found = list(
        {re.sub(r"\d+|0x\w+", "", fault.splitlines()[0]): fault for fault in outcome.faults}.values()
    )
    count = outcome.answers.total()
    if count >= 10_000:
        missing = [method for method in LIES if not outcome.answers[f"lie about {method}"]]
        found += [f"no lie about {method}" for method in missing]
    lies = sum(number for what, number in outcome.answers.items() if what.startswith("lie"))
    if not 0.2 * count < lies < 0.9 * count:
        found.append(f"{lies} of {count} answers were lies")
    if len(outcome.ends) < 4 or not outcome.ends[0]:
        found.append(f"commands ended in few ways only: {dict(outcome.ends)}")
    if not all(outcome.signed[name] for name in ("contribute", "refunds --claim", "model deploy")):
        found.append(f"too little was signed: {dict(outcome.signed)}")
    return found


def main() -> int:
    """Serve so many hostile answers; the exit status is 1 if one does harm."""
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the disk's patience is not tested
    node = start_anvil("--hardfork", "cancun")
    try:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            outcome = fuzz(arguments.count, Path(folder), node, arguments.seed)
    finally:
        node.stop()
    commands = outcome.commands.total()
    lines = [
        f"{outcome.answers.total()} hostile answers to {commands} commands",
        f"the slowest took {outcome.slowest_s:.1f} s of CPU time",
    ]
    lines += [f"{number:6} {what}" for what, number in sorted(outcome.answers.items())]
    lines += [f"{number:6} exit code {code}" for code, number in sorted(outcome.ends.items())]
    lines += [f"{number:6} signed by {what}" for what, number in outcome.signed.items() if number]
    lines += [f"{len(outcome.faults)} faults"]
    sys.stdout.write("\n".join([*lines, *problems(outcome), ""]))
    return bool(problems(outcome))


if __name__ == "__main__":
    sys.exit(main())
