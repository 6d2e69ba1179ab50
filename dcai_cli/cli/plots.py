"""--plot: refused before a command works, drawn when it has what is to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dcai_cli.cli.output import Output

if TYPE_CHECKING:
    from dcai_cli.chain import Chain
    from dcai_cli.services.models import HostedModel
    from dcai_cli.services.plots import Chart


def check(plot: Path | None) -> None:
    """Refuse a plot that cannot be drawn, before any work.

    Raises:
        UsageError: the ending says no format, matplotlib is not installed, or there is no such folder.
    """
    if plot is not None:
        from dcai_cli.cli import outputs
        from dcai_cli.services.plots import check_plot

        check_plot(plot)
        outputs.check_folder_of(plot, option="--plot")


def draw(output: Output, plot: Path, charts: Sequence[Chart]) -> None:
    """Draw charts into the file that was named, and say so."""
    from dcai_cli.services.plots import write_plot

    write_plot(plot, charts)
    output.note(f"plot in {plot}")


def draw_confusion(
    output: Output, plot: Path, model: HostedModel, confusion: Sequence[Sequence[int]]
) -> None:
    """Draw how predictions compare with labels."""
    from dcai_cli.services.model_plots import confusion_chart

    draw(output, plot, [confusion_chart(model, confusion)])


def draw_model(output: Output, plot: Path, chain: Chain, model: HostedModel) -> None:
    """Draw a model over time."""
    from dcai_cli.services.model_plots import model_charts

    draw(output, plot, model_charts(chain, model))
