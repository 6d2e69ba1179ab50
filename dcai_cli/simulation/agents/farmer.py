"""An agent that earns standing without saying anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dcai_cli.domain import Vector
from dcai_cli.features.payload import encode_sample, payload_units
from dcai_cli.simulation.agents.base import NEVER, Agent, refund
from dcai_cli.simulation.rules import Sample

if TYPE_CHECKING:
    from dcai_cli.simulation.fields import Fields
    from dcai_cli.simulation.market import Market

FEATURES = 64
"""Of a crafted sample: so many that one update turns what the model predicts for it."""

CANDIDATES = 128


class Farmer(Agent):
    """Farms standing with a sample that says nothing, and reports everybody.

    It crafts a sample of features that hardly anybody uses, of which the model is least sure, and repeats it
    in one batch, with two labels in turn: each copy surprises the model that the one before taught. Then the
    model agrees with half of them; after their refund one more copy turns it, and it agrees with the other
    half. With `crafted = false` it contributes true samples instead, as many at a time.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._batch = fields.count("batch", 64, least=2, most=256)
        self._every_s = fields.duration("every", "1d", least=1)
        self._idle_s = fields.duration("idle", "10m")
        self._look_every_s = fields.duration("look_every", "30s", least=1)
        self._crafted = fields.flag("crafted", default=True)

    def _plan(self) -> None:
        self._turns: list[tuple[int, tuple[Sample, Sample]]] = []
        self.do(self._farm, self._start_s + 1)
        self.do(self.claim, self._start_s + self._claim_every_s)

    def _farm(self, market: Market) -> int:
        """Contribute a batch, when it is cheap: after nobody contributed for a while."""
        if market.now >= self._until:
            return NEVER
        if market.idle_s < self._idle_s:
            return market.now + self._look_every_s
        began = market.now
        if self._crafted:
            pair = self._craft(market)
            surprising = _agrees(market, pair[0])
            samples = [pair[(surprising + place) % 2] for place in range(self._batch)]
        else:
            samples = [market.pool.draw() for _ in range(self._batch)]
        deposit = market.contribute(self.name, samples)
        if deposit is not None and self._crafted:
            self._turns.append((deposit.added_at + market.rules.terms.refund_wait_s, pair))
            self.do(self._turn, self._turns[-1][0])
        return began + self._every_s

    def _turn(self, market: Market) -> int:
        """Take one half back, turn the model, and take the other."""
        _, pair = self._turns.pop(0)
        refund(market, self.name)
        if market.now < self._until:
            market.contribute(self.name, [pair[_agrees(market, pair[0])]])
            refund(market, self.name)
        return NEVER

    def _craft(self, market: Market) -> tuple[Sample, Sample]:
        """The sample of which the model is least sure, with two labels.

        Words come by how often they are used, so the features of the second half are rare ones.
        """
        replica, n_features = market.replica, market.replica.params.n_features
        rare = range(n_features // 2, n_features)
        found = []
        for _ in range(CANDIDATES):
            indexes = tuple(sorted({rare[int(self._random.random() * len(rare))] for _ in range(FEATURES)}))
            data = encode_sample(0, Vector(indexes, (1,) * len(indexes)), replica.wire)
            found.append(Sample(data, payload_units(data, replica.wire)[0]))
        leads = np.abs(replica.leads(b"".join(sample.data for sample in found)))
        sample = found[int(leads.argmin())]
        return sample, sample.labelled(1)


def _agrees(market: Market, sample: Sample) -> bool:
    """Whether the model predicts a sample's label."""
    return bool(market.replica.agree(sample.data))
