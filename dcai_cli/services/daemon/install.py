"""Having the daemon started by the system: a user's unit of systemd, or a line in the user's crontab.

Neither names a secret. What may be one (URLs, headers) stands in a file of the environment that only its
owner can read, in a form that systemd and a shell read alike; the password stays in the file it is in.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli import files
from dcai_cli.config import LEDGER_FILE, load_settings
from dcai_cli.domain import format_duration
from dcai_cli.errors import DcaiError, UsageError
from dcai_cli.keystore import password_from_file
from dcai_cli.services.accounts import acting_account

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dcai_cli.services.workspace import Workspace

STOP_S = 300
"""How long systemd waits for the transaction in hand: a receipt may take 180 s, and a node 30 s to answer."""

NO_RESTART = (2, 10, 11, 15, 17)
"""Exit codes of faults that no waiting mends."""

KEPT = (
    "DCAI_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "ETH_KEYSTORE",
    "ETH_RPC_HEADERS",
)
"""What is taken over from the environment as it is; paths are made absolute."""

_OWN = {
    "ETH_GAS_PRICE": "gas_price_wei",
    "ETH_PRIORITY_GAS_PRICE": "priority_fee_wei",
    "DCAI_CONFIRMATIONS": "confirmations",
    "DCAI_REPLACE_AFTER": "replace_after_s",
    "DCAI_LEDGER": "ledger_url",
}
"""Variables, and the settings that they keep where the daemon would not find the same by itself."""

_PATHS = ("DCAI_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ETH_KEYSTORE")


@dataclass(frozen=True, slots=True)
class Installation:
    """What the system shall start.

    Args:
        name: tells this daemon from others, as in `dcai-alice-1efF9B-embedded`.
        program: the program and its first arguments.
        arguments: the options of `dcai daemon run`; none is a secret.
        environment: what it finds set; may hold secrets.
        environment_path: where that stands.
    """

    name: str
    program: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    environment_path: Path

    @property
    def environment_text(self) -> str:
        """The file of the environment, for systemd's EnvironmentFile and for a shell alike."""
        lines = [f"{name}={_quoted(value)}\n" for name, value in sorted(self.environment.items())]
        return "".join(["# Settings of the daemon; `dcai daemon install` writes them anew.\n", *lines])


def plan_installation(
    workspace: Workspace,
    account: str | None,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    for_removal: bool = False,
) -> Installation:
    """What to start for an account on the network of the settings, which must not need anybody to type.

    Args:
        workspace: the opened parts; no chain is asked.
        account: whose daemon; the acting account's if None.
        arguments: options of `dcai daemon run` besides account and network.
        environ: the environment that the settings came from.
        for_removal: only its name and places matter, so no password is needed.

    Raises:
        NoAccount: there is none.
        UsageError: no file has the password.
        BadInput: the file cannot be read.
    """
    settings = workspace.settings
    acting = acting_account(workspace, account)
    if settings.password_file is None and not for_removal:
        raise UsageError(
            "Nobody types a password for a daemon that the system starts.",
            hint="Put it into a file that only you can read (chmod 600), and name it: --password-file FILE",
        )
    kept = {name: environ[name] for name in KEPT if environ.get(name)}
    kept |= {name: _absolute(kept[name]) for name in _PATHS if name in kept}
    if settings.password_file is not None and not for_removal:
        password_from_file(settings.password_file)
        kept["ETH_PASSWORD"] = _absolute(str(settings.password_file))
    if "ETH_RPC_HEADERS" in kept:
        kept["ETH_RPC_HEADERS"] = ",".join(f"{key}: {value}" for key, value in settings.rpc_headers.items())
    # By its name, a network may get other nodes without the daemon being installed anew.
    network = ("--network", settings.network) if settings.network else ()
    if not network:
        kept["ETH_RPC_URL"] = str(settings.rpc_url)
        if settings.chain_id is not None:
            kept["DCAI_CHAIN_ID"] = str(settings.chain_id)
    alone = load_settings(kept, network=settings.network)
    for variable, name in _OWN.items():
        value = getattr(settings, name)
        if value != getattr(alone, name):
            kept[variable] = LEDGER_FILE if value is None else str(value)
    if settings.webhook_url is not None:
        kept["DCAI_WEBHOOK_URL"] = settings.webhook_url
    who = f"{acting.name}-{acting.address[2:8]}-{settings.network_label}".lower()
    name = f"dcai-{re.sub(r'[^a-z0-9]+', '-', who).strip('-')}"
    return Installation(
        name=name,
        # -P: a folder `dcai_cli` where it is started must not be taken for the program.
        program=(sys.executable, "-P", "-m", "dcai_cli"),
        arguments=("daemon", "run", "--account", acting.address, *network, *arguments),
        environment=kept,
        environment_path=settings.data_dir.absolute() / "daemon" / f"{name}.env",
    )


# systemd


def unit_text(plan: Installation) -> str:
    """The unit file."""
    program = " ".join(
        [
            _systemd_word(plan.program[0], dollars=False),
            *(_systemd_word(word, dollars=True) for word in (*plan.program[1:], *plan.arguments)),
        ]
    )
    return f"""\
# Written by `dcai daemon install --systemd`, which writes it anew.
[Unit]
Description=dcai takes deposits back ({plan.name})
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
EnvironmentFile={_systemd_path(plan.environment_path)}
ExecStart={program}
Restart=on-failure
RestartSec=30
RestartPreventExitStatus={" ".join(map(str, NO_RESTART))}
# The first signal lets the transaction in hand end.
KillMode=mixed
TimeoutStopSec={STOP_S}
UMask=0077
NoNewPrivileges=true

[Install]
WantedBy=default.target
"""


def unit_path(plan: Installation, environ: Mapping[str, str]) -> Path:
    """Where a user's own units stand."""
    config = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "systemd" / "user" / f"{plan.name}.service"


def install_unit(plan: Installation, environ: Mapping[str, str]) -> Path:
    """Write the unit and its environment; starting it is the user's own step.

    Returns:
        The unit file.
    """
    path = unit_path(plan, environ)
    _write_environment(plan)
    files.write_atomically(path, unit_text(plan).encode(), mode=0o644)
    return path


def uninstall_unit(plan: Installation, environ: Mapping[str, str]) -> bool:
    """Remove the unit, what enables it, and its environment; whether there was one."""
    path = unit_path(plan, environ)
    found = path.exists()
    with _told(path):
        (path.parent / "default.target.wants" / path.name).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return _remove_environment(plan) or found


def _systemd_word(word: str, *, dollars: bool) -> str:
    r"""A word of ExecStart: specifiers, variables and quotes mean themselves.

    In the program's own path variables are not looked for.

    >>> _systemd_word('100% "sure"', dollars=True)
    '"100%% \\"sure\\""'
    """
    _one_line(word)
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if dollars:
        text = text.replace("$", "$$")
    return text if re.fullmatch(r"[\w@/:.,+=%-]+", text) else f'"{text}"'


def _systemd_path(path: Path) -> str:
    """A path as a whole value: it is taken as it stands but for specifiers."""
    return _one_line(str(path)).replace("%", "%%")


# cron


def cron_schedule(interval_s: int) -> str:
    """The five fields of cron for an interval.

    Raises:
        UsageError: cron cannot do that: it knows minutes that divide the hour, hours that divide the day.

    >>> cron_schedule(600), cron_schedule(7200), cron_schedule(86_400)
    ('*/10 * * * *', '0 */2 * * *', '0 0 * * *')
    """
    minutes, rest = divmod(interval_s, 60)
    if not rest and minutes and minutes < 60 and 60 % minutes == 0:
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    hours, rest = divmod(interval_s, 3600)
    if not rest and hours and hours < 24 and 24 % hours == 0:
        return "0 * * * *" if hours == 1 else f"0 */{hours} * * *"
    if interval_s == 86_400:
        return "0 0 * * *"
    raise UsageError(
        f"cron cannot start something every {format_duration(interval_s)}.",
        hint="Take minutes that divide an hour (5m, 10m, 30m), or hours that divide a day (1h, 6h).",
    )


def cron_line(plan: Installation, schedule: str) -> str:
    """The line of the crontab; what is after its # is what it is found by again."""
    environment = shlex.quote(_one_line(str(plan.environment_path)))
    command = shlex.join([*plan.program, *plan.arguments])
    # cron takes a percent sign for the end of a line, whatever quotes it stands in.
    line = _one_line(f"set -a; . {environment}; exec {command}").replace("%", "\\%")
    return f"{schedule} {line} {_marker(plan)}"


def install_cron(plan: Installation, schedule: str) -> str:
    """Put the line into the user's crontab, instead of an earlier one of this daemon.

    Returns:
        The line.

    Raises:
        DcaiError: there is no cron, or its table cannot be read.
    """
    lines = _other_lines(plan)
    line = cron_line(plan, schedule)
    _write_environment(plan)
    _write_crontab([*lines, line])
    return line


def uninstall_cron(plan: Installation) -> bool:
    """Take the line out of the user's crontab; whether there was one."""
    before = _read_crontab()
    after = _other_lines(plan)
    if len(after) != len(before):
        _write_crontab(after)
    return _remove_environment(plan) or len(after) != len(before)


def _marker(plan: Installation) -> str:
    return f"# {plan.name}"


def _other_lines(plan: Installation) -> list[str]:
    return [line for line in _read_crontab() if not line.endswith(f" {_marker(plan)}")]


def _read_crontab() -> list[str]:
    done = _crontab("-l")
    if done.returncode == 0:
        return done.stdout.splitlines()
    # Any other failure must not be taken for an empty table, which would then be written over a full one.
    if "no crontab for" in done.stderr.lower():
        return []
    raise DcaiError(
        f"crontab -l ended with {done.returncode}: {done.stderr.strip()[:200]}",
        hint="Mend that, or add the line of `dcai daemon install --cron --print` yourself.",
    )


def _write_crontab(lines: Sequence[str]) -> None:
    done = _crontab("-", text="".join(f"{line}\n" for line in lines))
    if done.returncode:
        raise DcaiError(
            f"crontab did not take the new table: {done.stderr.strip()[:200]}",
            hint="Add the line of `dcai daemon install --cron --print` yourself.",
        )


def _crontab(argument: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("crontab")
    if program is None:
        raise DcaiError(
            "There is no crontab on this machine.",
            hint="Install cron, or take --systemd; --print shows the line for another scheduler.",
        )
    return subprocess.run(  # noqa: S603 - the user's own crontab
        [program, argument],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


# Both


def _quoted(value: str) -> str:
    r"""A value in double quotes, as systemd and a shell read it alike.

    >>> _quoted('a "b" $c')
    '"a \\"b\\" \\$c"'
    """
    return '"' + re.sub(r'([\\"$`])', r"\\\1", _one_line(value)) + '"'


def _one_line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise UsageError(
            "A path or setting has a line break or another control character in it.",
            hint="Neither systemd nor cron can be told of it; rename what it names.",
        )
    return text


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DcaiError(
            f"{path} cannot be removed: {error.strerror or error}.", hint="Check the permissions."
        ) from None


def _write_environment(plan: Installation) -> None:
    files.write_atomically(plan.environment_path, plan.environment_text.encode())


def _remove_environment(plan: Installation) -> bool:
    with _told(plan.environment_path):
        found = plan.environment_path.exists()
        plan.environment_path.unlink(missing_ok=True)
    return found
