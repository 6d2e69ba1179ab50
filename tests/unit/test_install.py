"""What the system is told to start: read back by systemd, by a shell, and by cron's own rules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dcai_cli.config import load_settings
from dcai_cli.errors import BadInput, DcaiError, UsageError
from dcai_cli.services.daemon import install
from dcai_cli.services.daemon.install import Installation
from dcai_cli.services.workspace import Workspace
from tests.conftest import PASSWORD, PROJECT, new_dcai

ODD = "a b%c\"d$HOME'e\\f`g"
"""A name that means something else in every format that does not quote it."""

CRONTAB = """\
#!/bin/sh
# A crontab for tests: one file instead of the user's table.
[ -e "$TABLE.broken" ] && { echo "crontab: out of order" >&2; exit 1; }
case "$1" in
-l) [ -e "$TABLE" ] || { echo "no crontab for me" >&2; exit 1; }; cat "$TABLE" ;;
-) cat > "$TABLE" ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an odd name, an account and its password."""
    folder = tmp_path / ODD
    folder.mkdir()
    new_dcai(folder, None)
    return folder


def plan_in(home: Path, *arguments: str, **environment: str) -> Installation:
    """What would be installed for a home."""
    environ = {"DCAI_HOME": str(home), "ETH_PASSWORD": str(home / "password"), **environment}
    with Workspace(load_settings(environ)) as workspace:
        return install.plan_installation(workspace, None, arguments, environ)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crontab of this test's own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "crontab").write_text(CRONTAB)
    (programs / "crontab").chmod(0o755)
    path = tmp_path / "table"
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TABLE", str(path))
    return path


def test_a_shell_reads_the_environment_back(home: Path) -> None:
    """Every value is what it was, whatever characters it has; the file is the owner's."""
    url, headers = f"https://user:{'pw$`x'}@node.example/{'key'}", 'Authorization: Bearer "s3cr3t"$x'
    plan = plan_in(
        home, ETH_RPC_URL=url, ETH_RPC_HEADERS=headers, DCAI_WEBHOOK_URL="https://hook.example/s3cr3t"
    )
    install.install_unit(plan, {"XDG_CONFIG_HOME": str(home)})
    assert plan.environment_path.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(
        ["sh", "-c", 'set -a; . "$0"; exec env -0', str(plan.environment_path)],
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    expected = {
        "DCAI_HOME": str(home),
        "ETH_PASSWORD": str(home / "password"),
        "ETH_RPC_URL": url,
        "ETH_RPC_HEADERS": headers,
        "DCAI_WEBHOOK_URL": "https://hook.example/s3cr3t",
    }
    assert expected.items() <= found.items()


def test_nothing_secret_is_in_the_unit_or_the_line(home: Path) -> None:
    """URLs, headers and passwords stand in no argument, and so in no list of processes."""
    plan = plan_in(
        home, ETH_RPC_URL="https://node.example/s3cr3t", DCAI_WEBHOOK_URL="https://hook.example/s3cr3t"
    )
    for text in (install.unit_text(plan), install.cron_line(plan, "* * * * *")):
        assert "s3cr3t" not in text
        assert PASSWORD not in text
        assert "node.example" not in text.replace(plan.name, "")


def test_systemd_finds_no_fault_in_the_unit(home: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` reads the unit, odd paths and all, without a word."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here")
    plan = plan_in(home, "--interval", "10m", "--model", ODD)
    interpreter = tmp_path / "in 100% of $HOME" / "python"
    interpreter.parent.mkdir()
    interpreter.symlink_to(sys.executable)
    plan = replace(plan, program=(str(interpreter), *plan.program[1:]))
    path = install.install_unit(plan, {"XDG_CONFIG_HOME": str(tmp_path / "config")})
    done = subprocess.run(
        [program, "--user", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    said = [line for line in done.stderr.splitlines() if plan.name in line]
    assert said == []
    assert done.returncode == 0, done.stderr
    # What it is told is what is meant: it would complain of an interpreter that is not there.
    interpreter.unlink()
    done = subprocess.run(
        [program, "--user", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert str(interpreter) in done.stderr


def test_a_unit_is_written_again_and_removed(home: Path, tmp_path: Path) -> None:
    """The same file twice; then neither it, nor its environment, nor what enabled it is there."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    plan = plan_in(home)
    path = install.install_unit(plan, environ)
    before = path.read_text()
    assert install.install_unit(plan, environ) == path
    assert path.read_text() == before
    wants = path.parent / "default.target.wants"
    wants.mkdir()
    (wants / path.name).symlink_to(path)
    assert install.uninstall_unit(plan, environ)
    assert list(path.parent.iterdir()) == [wants]
    assert list(wants.iterdir()) == []
    assert not plan.environment_path.exists()
    assert not install.uninstall_unit(plan, environ)


def as_cron_runs_it(line: str) -> list[str]:
    """The command of a crontab's line: five fields go, escaped percent signs are plain ones."""
    command = line.split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    return ["/bin/sh", "-c", command.replace("\\%", "%")]


def test_cron_starts_a_cycle_from_its_line(home: Path, table: Path) -> None:
    """With next to no environment, from an odd path: one good cycle, and no output to mail."""
    plan = plan_in(home, "--once", "--quiet", ETH_RPC_URL="embedded")
    line = install.install_cron(plan, "*/10 * * * *")
    assert table.read_text() == f"{line}\n"
    for expected in ('"mode": "once"', '"last_outcome": "good"'):
        done = subprocess.run(
            as_cron_runs_it(line),
            capture_output=True,
            text=True,
            check=False,
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(PROJECT)},
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
        (state,) = (home / "daemon").glob("*.json")
        assert expected in state.read_text()


def test_the_line_is_there_once_and_other_lines_stay(home: Path, table: Path) -> None:
    """Installed again it is replaced; uninstalled it goes; other lines are as they were."""
    others = "MAILTO=me\n# dcai is mine\n0 0 * * * echo 100\\% # of it\n"
    table.write_text(others)
    plan = plan_in(home, "--once")
    install.install_cron(plan, "*/10 * * * *")
    line = install.install_cron(replace(plan, arguments=(*plan.arguments, "--reports")), "*/5 * * * *")
    assert table.read_text() == f"{others}{line}\n"
    assert install.uninstall_cron(plan)
    assert table.read_text() == others
    assert not install.uninstall_cron(plan)


def test_a_table_that_cannot_be_read_is_not_taken_for_an_empty_one(home: Path, table: Path) -> None:
    """It fails for another reason than that there is none: nothing is written over it."""
    table.write_text("0 0 * * * important\n")
    table.with_name("table.broken").touch()
    with pytest.raises(DcaiError, match="out of order"):
        install.install_cron(plan_in(home), "* * * * *")
    assert table.read_text() == "0 0 * * * important\n"


def test_a_machine_without_cron_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint names the other way."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DcaiError, match="no crontab on this machine") as caught:
        install.install_cron(plan_in(home), "* * * * *")
    assert "--systemd" in caught.value.hint


@pytest.mark.parametrize("seconds", [0, 30, 90, 7 * 60, 45 * 60, 5 * 3600, 2 * 86_400])
def test_intervals_that_cron_does_not_know_are_refused(seconds: int) -> None:
    """Seconds, sevenths of an hour, fifths of a day, two days."""
    with pytest.raises(UsageError, match="cron cannot start"):
        install.cron_schedule(seconds)


def test_without_a_password_file_nothing_is_installed(home: Path) -> None:
    """Nobody is there to type it; a file that is not there is named."""
    environ = {"DCAI_HOME": str(home)}
    with Workspace(load_settings(environ)) as workspace, pytest.raises(UsageError, match="Nobody types"):
        install.plan_installation(workspace, None, [], environ)
    with pytest.raises(BadInput, match="nowhere"):
        plan_in(home, ETH_PASSWORD=str(home / "nowhere"))


def test_what_the_daemon_would_not_find_by_itself_is_written_down(home: Path) -> None:
    """Ledger, confirmations and fees that the environment or a named network set hold for the daemon, too."""
    (home / "config.toml").write_text(
        'confirmations = 3\nledger_url = "postgresql://db.example/all"\n'
        '[networks.mine]\nrpc_url = "http://one.example"\nchain_id = 7\nconfirmations = 5\n'
    )
    plan = plan_in(home, DCAI_NETWORK="mine", DCAI_LEDGER="file", DCAI_REPLACE_AFTER="2m")
    assert "--network" in plan.arguments
    environ = {"DCAI_HOME": str(home), "ETH_PASSWORD": str(home / "password"), "DCAI_LEDGER": "file"}
    with Workspace(
        load_settings(environ, network="mine", rpc_url="http://two.example", gas_price_wei="2gwei")
    ) as beside:
        other = install.plan_installation(beside, None, [], environ)
    for one, flags in ((plan, {"network": "mine"}), (other, {})):
        found = load_settings(one.environment, **flags)
        assert (found.chain_id, found.confirmations, found.ledger_url) == (7, 5, None)
    assert load_settings(plan.environment).replace_after_s == 120
    assert load_settings(other.environment).gas_price_wei == 2 * 10**9
    assert {"DCAI_CONFIRMATIONS", "DCAI_REPLACE_AFTER"}.isdisjoint(
        plan_in(home, DCAI_LEDGER="file").environment
    )


def test_a_line_break_is_refused(home: Path) -> None:
    """No format can hold it, so it is not tried."""
    plan = plan_in(home)
    broken = replace(plan, arguments=("two\nlines",), environment={"A": "two\nlines"})
    with pytest.raises(UsageError, match="line break"):
        install.cron_line(broken, "* * * * *")
    with pytest.raises(UsageError, match="line break"):
        install.unit_text(broken)
    with pytest.raises(UsageError, match="line break"):
        _ = broken.environment_text
