"""The strategies: how agents come by samples, when they contribute, and what they claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcai_cli.simulation.agents.base import Agent
from dcai_cli.simulation.agents.contributors import Boundary, Contributor, Flooder
from dcai_cli.simulation.agents.copier import Copier
from dcai_cli.simulation.agents.farmer import Farmer
from dcai_cli.simulation.agents.groups import Colluders, Sybils
from dcai_cli.simulation.agents.manipulator import Manipulator, Owner

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields

__all__ = ["STRATEGIES", "Agent", "read_agent"]

STRATEGIES: dict[str, type[Agent]] = {
    "contributor": Contributor,
    "boundary": Boundary,
    "flooder": Flooder,
    "copier": Copier,
    "colluders": Colluders,
    "sybils": Sybils,
    "farmer": Farmer,
    "manipulator": Manipulator,
    "owner": Owner,
}
"""What an agent's `strategy` may be."""


def read_agent(fields: Fields) -> Agent:
    """An agent as a scenario describes it.

    Raises:
        BadInput: it says what cannot be.
    """
    strategy = fields.text("strategy", of=tuple(STRATEGIES))
    agent = STRATEGIES[strategy](fields)
    agent.strategy = strategy
    fields.end()
    return agent
