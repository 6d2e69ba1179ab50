"""dcai validate, dcai leaderboard: models whose contributions earn points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options, plots
from dcai_cli.cli.charts import show_bars
from dcai_cli.cli.output import NARROW, Output, shortened
from dcai_cli.domain import counted, format_ether

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.plots import Bars
    from dcai_cli.services.points import Leaderboard, Ranked, Validated, ValidationPlan


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        "validate",
        epilog="Example: dcai validate bob --model club. Exit codes: 0, 2 (deposits, no points; or "
        "yourself), 3 (broke off; the same command again goes on), 10, 11, 12, 13, 14 (too few points, "
        "fully validated, or validated before), 17, 18, 130.",
    )(validate)
    app.command(
        "leaderboard",
        epilog="Example: dcai leaderboard --by validation --trust alice. "
        "Exit codes: 0, 2 (deposits instead of points; or nothing to draw with), 10, 13, 17.",
    )(leaderboard)


def validate(
    contributors: Annotated[
        list[str], typer.Argument(help="Addresses of contributors, or names of accounts of yours.")
    ],
    *,
    model: options.Model = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Give contributors a validation point; each spends one of the 20 or more points that you earned."""
    from dcai_cli.services.points import validate as validate_contributors

    output = Output("validate", json=json, quiet=quiet, yes=yes)

    def confirm(plan: ValidationPlan) -> None:
        left = counted(plan.model_points - plan.spent_points, "point")
        output.ask(
            f"Validate {', '.join(plan.contributors)}, and spend {len(plan.contributors)} of the "
            f"{left} that {plan.account.name} has left{network}?"
        )

    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace, output.progress("validating") as progress:
        network, ceiling_wei = options.asked_network(workspace)
        done = validate_contributors(
            workspace,
            contributors,
            password=output.password(workspace.settings),
            model=model,
            account=account,
            confirm=confirm,
            progress=progress,
            ceiling_wei=ceiling_wei,
        )
    output.result(_validated(done), lambda console: _show_validated(console, done))


def _validated(done: Validated) -> dict[str, Any]:
    return {
        "model": done.plan.model.address,
        "account": done.plan.account.address,
        "validated": [
            {
                "contributor": validation.contributor,
                "transaction": validation.transaction,
                "gas_used": validation.gas_used,
                "fee_wei": str(validation.fee_wei),
            }
            for validation in done.validations
        ],
        "already_validated": list(done.plan.already),
        "points_left": done.points_left,
        "gas_used": sum(validation.gas_used for validation in done.validations),
        "fee_wei": str(sum(validation.fee_wei for validation in done.validations)),
    }


def _show_validated(console: Console, done: Validated) -> None:
    for validation in done.validations:
        console.print(f"validated {validation.contributor}")
    for contributor in done.plan.already:
        console.print(f"validated before: {contributor}")
    data = _validated(done)
    console.print(
        f"{counted(done.points_left, 'point')} left to spend, fees {format_ether(int(data['fee_wei']))} "
        f"({data['gas_used']:,} gas)"
    )


def leaderboard(
    *,
    model: options.Model = None,
    by: Annotated[str, typer.Option(help="Points that count first: model or validation.")] = "model",
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 20,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this address or account, whom it validated, and so on; may be given several times."
        ),
    ] = None,
    plot: options.Plot = None,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    json: options.Json = False,
) -> None:
    """Rank the contributors of a model by their points."""
    from dcai_cli.services.points import leaderboard as rank_contributors

    plots.check(plot)
    with options.open_workspace(rpc_url=rpc_url, chain_id=chain_id) as workspace:
        board = rank_contributors(workspace, model=model, by=by, limit=limit, trusted=trust or [])
    data = {
        "model": board.model.address,
        "by": by,
        "contributors": board.contributors,
        "leaderboard": [_ranked(ranked) for ranked in board.ranked],
    }
    output = Output("leaderboard", json=json)
    if plot is not None:
        plots.draw(output, plot, [_board_chart(board)])
    output.result(data, lambda console: _show_board(console, board))


def _ranked(ranked: Ranked) -> dict[str, Any]:
    return {
        "rank": ranked.rank,
        "contributor": ranked.contributor,
        "account": ranked.account,
        "model_points": ranked.model_points,
        "validation_points": ranked.validation_points,
        "badge_level": ranked.badge_level,
    }


def _board_chart(board: Leaderboard) -> Bars:
    from dcai_cli.services.plots import Bars

    return Bars(
        f"points of the contributors to {board.model.name}",
        "points",
        [_short(ranked) for ranked in board.ranked],
        {
            "model points": [ranked.model_points for ranked in board.ranked],
            "validation points": [ranked.validation_points for ranked in board.ranked],
        },
    )


def _short(ranked: Ranked) -> str:
    """A contributor where there is little room."""
    return ranked.account or shortened(ranked.contributor)


def _show_board(console: Console, board: Leaderboard) -> None:
    if not board.ranked:
        console.print("Nobody to be ranked has earned a point yet.")
        return
    if console.width < NARROW:
        _show_ranked(console, board)
    else:
        _show_table(console, board)
    show_bars(console, [(_short(ranked), ranked.model_points) for ranked in board.ranked])
    if board.contributors > len(board.ranked):
        console.print(f"{board.contributors - len(board.ranked)} more; show them with --limit")


def _show_ranked(console: Console, board: Leaderboard) -> None:
    for ranked in board.ranked:
        console.print(f"{ranked.rank:,}. {shortened(ranked.contributor)}  {ranked.account or ''}".rstrip())
        console.print(
            f"   {ranked.model_points:,} model, {ranked.validation_points:,} validation, "
            f"badge {ranked.badge_level}"
        )


def _show_table(console: Console, board: Leaderboard) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("contributor", no_wrap=True)
    for header in ("model points", "validation points", "badge"):
        table.add_column(header, justify="right")
    table.add_column("account")
    for ranked in board.ranked:
        numbers = (ranked.model_points, ranked.validation_points, ranked.badge_level)
        cells = (f"{ranked.rank:,}", ranked.contributor, *(f"{number:,}" for number in numbers))
        table.add_row(*cells, ranked.account or "")
    console.print(table)
