"""dcai daemon: taking deposits back unattended, looking after it, and having the system start it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.daemon_output import (
    make_log,
    print_installed,
    print_report,
    show_status,
    status_data,
    teller,
)
from dcai_cli.cli.output import Output
from dcai_cli.domain import parse_amount, parse_duration
from dcai_cli.errors import DcaiError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.keystore import StoredAccount
    from dcai_cli.services.daemon.cycle import CycleRequest
    from dcai_cli.services.daemon.loop import Log, LoopRequest
    from dcai_cli.services.workspace import Workspace

app = typer.Typer(help="Take deposits back unattended, before others may.", no_args_is_help=True)

_MONEY = "What claims may cost"
_WATCHING = "Watching it"

Interval = Annotated[
    str, typer.Option("--interval", help="From one cycle to the next, if nothing is due sooner.")
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model, name or address; all models if left out.")
]
Reports = Annotated[
    bool, typer.Option("--reports", help="Take your share of others' lost deposits, too, and sweep.")
]
MaxGasPrice = Annotated[
    str | None,
    typer.Option(
        "--max-gas-price",
        help="Claim only while a unit of gas costs no more, as in 40gwei; near a deadline it may.",
        rich_help_panel=_MONEY,
    ),
]
MinProfit = Annotated[
    str | None,
    typer.Option(
        "--min-profit",
        help="A claim must pay so much more than its gas, as in 0.0001ether.",
        rich_help_panel=_MONEY,
    ),
]
DailyBudget = Annotated[
    str | None,
    typer.Option(
        "--daily-budget",
        help="Fees of all claims in a day (UTC), as in 0.01ether; near a deadline they may be more.",
        rich_help_panel=_MONEY,
    ),
]
DeadlineMargin = Annotated[
    str,
    typer.Option(
        "--deadline-margin",
        help="This near to its deadline a deposit is at risk, and saving it may cost up to what it is.",
        rich_help_panel=_MONEY,
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        help="Serve /healthz and /metrics at this loopback address, as in 127.0.0.1:9464; port 0 is any.",
        rich_help_panel=_WATCHING,
    ),
]
StaleAfter = Annotated[
    str | None,
    typer.Option(
        "--stale-after",
        help="Not healthy when the last good cycle is older; three intervals if left out.",
        rich_help_panel=_WATCHING,
    ),
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        help="POST to this URL what is at risk. Others see what is typed; they do not see the environment. "
        "(env: DCAI_WEBHOOK_URL)",
        rich_help_panel=_WATCHING,
    ),
]
LogFormat = Annotated[
    str, typer.Option("--log-format", help="Of the log on stderr: text or json.", rich_help_panel=_WATCHING)
]
Systemd = Annotated[bool, typer.Option("--systemd", help="By a unit of your own systemd.")]
Cron = Annotated[bool, typer.Option("--cron", help="By a line in your crontab.")]


@app.command(
    "run",
    epilog="Example: dcai daemon run --interval 10m --listen 127.0.0.1:9464. Exit codes: 0 (also after "
    "SIGTERM or Ctrl-C), 1, 2, 10, 11, 15, 17, 18 (a daemon works for this account already); with --once "
    "also 3, 12, 13, 14, 130 (it was stopped early).",
)
def run(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="One cycle, for cron; else cycle after cycle.")
    ] = False,
    interval: Interval = "10m",
    model: Model = None,
    reports: Reports = False,
    max_gas_price: MaxGasPrice = None,
    min_profit: MinProfit = None,
    daily_budget: DailyBudget = None,
    deadline_margin: DeadlineMargin = "6h",
    listen: Listen = None,
    stale_after: StaleAfter = None,
    webhook: WebhookUrl = None,
    log_format: LogFormat = "text",
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take back what is due, again and again, each deposit before others may take it."""
    from dcai_cli.services.daemon.loop import Daemon
    from dcai_cli.services.stopping import Signals

    output = Output("daemon run", json=json, quiet=quiet, yes=True)
    if json and not once:
        raise UsageError(
            "--json prints one document, and the loop has no end.",
            hint="Add --once, or take --log-format json for the log.",
        )
    if listen and once:
        raise UsageError(
            "--listen is for the loop; --once ends after a cycle.", hint="Leave one of them out."
        )
    log = make_log(log_format, quiet=quiet)
    with ExitStack() as stack:
        workspace = stack.enter_context(
            options.open_workspace(
                rpc_url=rpc_url, chain_id=chain_id, password_file=password_file, webhook_url=webhook
            )
        )
        request = _cycle_request(
            _remembered(workspace, output),
            account=account,
            model=model,
            reports=reports,
            max_gas_price=max_gas_price,
            min_profit=min_profit,
            daily_budget=daily_budget,
            deadline_margin=deadline_margin,
        )
        signals = stack.enter_context(Signals(teller(log)))
        loop = _loop_request(workspace, request, interval, stale_after)
        if not once:
            # A short command does without looking for cycles; the loop must stay as small as it begins.
            gc.freeze()
            gc.set_threshold(700, 10, 10)
        if once:
            report = Daemon(workspace, loop, stop=signals, log=log).run_once()
            print_report(output, report)
        elif listen:
            _serve(workspace, loop, listen, signals, log)
        else:
            Daemon(workspace, loop, stop=signals, log=log).run()


@app.command(
    "status",
    epilog="Example: dcai daemon status. Exit codes: 0 (all run and are healthy), 1 (one does not, or "
    "there is none), 2, 10, 15.",
)
def status(*, account: options.Account = None, json: options.Json = False) -> None:
    """Show whether daemons run, what they did last, and what is at risk; asks no chain."""
    from dcai_cli.services.daemon.state import load_all, running

    output = Output("daemon status", json=json)
    with options.open_workspace() as workspace:
        wanted = None if account is None else workspace.keystore.find(account).address
        names = {stored.address: stored.name for stored in workspace.keystore.list()}
        states = [state for state in load_all(workspace.settings) if wanted in {None, state.account}]
        if not states:
            raise DcaiError("No daemon has worked here yet.", hint="Start one: dcai daemon run")
        now = time.time()
        found = [
            status_data(state, names.get(state.account), running(workspace.settings, state) is not None, now)
            for state in states
        ]

    def human(console: Console) -> None:
        for one, state in zip(found, states, strict=True):
            show_status(console, one, state, now)

    output.result({"daemons": found}, human)
    if not all(one["healthy"] for one in found):
        raise typer.Exit(DcaiError.exit_code)


@app.command(
    "install",
    epilog="Example: dcai daemon install --systemd --interval 10m --print. Exit codes: 0, 1, 2, 10, 15.",
)
def install(
    *,
    systemd: Systemd = False,
    cron: Cron = False,
    print_only: Annotated[
        bool, typer.Option("--print", help="Only show what would be written, secrets left out.")
    ] = False,
    interval: Interval = "10m",
    model: Model = None,
    reports: Reports = False,
    max_gas_price: MaxGasPrice = None,
    min_profit: MinProfit = None,
    daily_budget: DailyBudget = None,
    deadline_margin: DeadlineMargin = "6h",
    listen: Listen = None,
    stale_after: StaleAfter = None,
    webhook: WebhookUrl = None,
    log_format: LogFormat = "text",
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
) -> None:
    """Have the system start the daemon: by a unit of systemd, or by a line in your crontab."""
    from dcai_cli.services.daemon import install as service
    from dcai_cli.services.daemon.health import parse_listen

    _one_of(systemd, cron)
    make_log(log_format, quiet=True)
    asked = {
        "--interval": interval,
        "--model": model,
        "--max-gas-price": max_gas_price,
        "--min-profit": min_profit,
        "--daily-budget": daily_budget,
        "--deadline-margin": deadline_margin,
        "--listen": listen,
        "--stale-after": stale_after,
        "--log-format": log_format,
    }
    for name in ("--interval", "--deadline-margin", "--stale-after"):
        _duration(name, asked[name] or "1s")
    for name in ("--max-gas-price", "--min-profit", "--daily-budget"):
        _amount(name, asked[name])
    if listen is not None:
        parse_listen(listen)
        if cron:
            raise UsageError("--listen is for the loop; cron starts single cycles.", hint="Take --systemd.")
    words = [word for name, value in asked.items() if value is not None for word in (name, value)]
    words += [*(["--reports"] if reports else []), *(["--once", "--quiet"] if cron else [])]
    with options.open_workspace(
        rpc_url=rpc_url, chain_id=chain_id, password_file=password_file, webhook_url=webhook
    ) as workspace:
        plan = service.plan_installation(workspace, account, words, os.environ)
    if cron:
        schedule = service.cron_schedule(parse_duration(interval))
        text, path = service.cron_line(plan, schedule), None
        if not print_only:
            service.install_cron(plan, schedule)
    else:
        text, path = service.unit_text(plan), service.unit_path(plan, os.environ)
        if not print_only:
            service.install_unit(plan, os.environ)
    print_installed(
        Output("daemon install", json=json), plan, text=text, path=path, was_written=not print_only
    )


@app.command("uninstall", epilog="Example: dcai daemon uninstall --systemd. Exit codes: 0, 1, 2, 10, 15.")
def uninstall(
    *,
    systemd: Systemd = False,
    cron: Cron = False,
    rpc_url: options.RpcUrl = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    json: options.Json = False,
) -> None:
    """Take back what `install` wrote for this account and network."""
    from dcai_cli.services.daemon import install as service

    _one_of(systemd, cron)
    with options.open_workspace(rpc_url=rpc_url, password_file=password_file) as workspace:
        plan = service.plan_installation(workspace, account, [], os.environ, for_removal=True)
    removed = service.uninstall_cron(plan) if cron else service.uninstall_unit(plan, os.environ)

    def human(console: Console) -> None:
        console.print(f"{plan.name} is gone." if removed else f"There was no {plan.name}.")
        if removed and systemd:
            console.print(f"If it runs, stop it: systemctl --user stop {plan.name}")
            console.print("systemctl --user daemon-reload")

    Output("daemon uninstall", json=json).result({"name": plan.name, "removed": removed}, human)


def _one_of(systemd: bool, cron: bool) -> None:
    if systemd == cron:
        raise UsageError("Who shall start the daemon: --systemd or --cron?", hint="Name one of the two.")


# What the options mean


def _duration(option: str, text: str) -> int:
    seconds = parse_duration(text)
    if not 1 <= seconds <= 366 * 86_400:
        raise UsageError(
            f"{option} {text} is not between a second and a year.", hint="Write for instance 10m."
        )
    return seconds


def _amount(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_amount(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from None


def _cycle_request(
    password: Callable[[StoredAccount], str],
    *,
    account: str | None,
    model: str | None,
    reports: bool,
    max_gas_price: str | None,
    min_profit: str | None,
    daily_budget: str | None,
    deadline_margin: str,
) -> CycleRequest:
    from dcai_cli.services.daemon.cycle import CycleRequest

    return CycleRequest(
        password=password,
        account=account,
        model=model,
        reports=reports,
        max_fee_per_gas_wei=_amount("--max-gas-price", max_gas_price),
        deadline_margin_s=_duration("--deadline-margin", deadline_margin),
        min_profit_wei=_amount("--min-profit", min_profit) or 0,
        daily_budget_wei=_amount("--daily-budget", daily_budget),
    )


def _loop_request(
    workspace: Workspace, cycle: CycleRequest, interval: str, stale_after: str | None
) -> LoopRequest:
    from dcai_cli.services.daemon.loop import LoopRequest
    from dcai_cli.services.daemon.webhook import Webhook

    url = workspace.settings.webhook_url
    return LoopRequest(
        cycle=cycle,
        interval_s=_duration("--interval", interval),
        stale_after_s=None if stale_after is None else _duration("--stale-after", stale_after),
        webhook=None if url is None else Webhook(url),
    )


def _remembered(workspace: Workspace, output: Output) -> Callable[[StoredAccount], str]:
    """A password that is typed once is kept, since nobody sits there later; a file is read anew each time."""
    ask = output.password(workspace.settings)
    if workspace.settings.password_file is not None:
        return ask
    typed: dict[Path, str] = {}

    def get(stored: StoredAccount) -> str:
        if stored.path not in typed:
            typed[stored.path] = ask(stored)
        return typed[stored.path]

    return get


def _serve(workspace: Workspace, loop: LoopRequest, listen: str, signals: Any, log: Log) -> None:  # noqa: ANN401
    """Run the loop with its web page."""
    from dataclasses import replace

    from dcai_cli.services.daemon.health import HealthServer, parse_listen
    from dcai_cli.services.daemon.loop import Daemon

    running: list[Daemon] = []
    host, port = parse_listen(listen)
    with HealthServer(host, port, lambda: running[0].state, workspace.clock) as server:
        running.append(Daemon(workspace, replace(loop, listen=server.url), stop=signals, log=log))
        log("info", "listening", f"{server.url}/healthz and {server.url}/metrics", url=server.url)
        running[0].run()
