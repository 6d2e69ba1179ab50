"""Models on the chain: deployed pre-trained, contributed to, refunded and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount

from benchmarks.gas.network import Network
from dcai_cli.chain.artifacts import artifact
from dcai_cli.chain.commitment import sample_proof, samples_root
from dcai_cli.chain.registry import (
    DATA_HANDLER,
    INCENTIVE_CONTRACTS,
    MODEL_CONTRACTS,
    TRAINER,
    code_hash,
    constructor_arguments,
)
from dcai_cli.domain import Batch, bits
from dcai_cli.features.payload import HEADER_BYTES, UNIT_INFLUENCE
from dcai_cli.features.spec import FeatureSpec
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.models.replica import Replica
from dcai_cli.services.deploy import WORDS_PER_TRANSACTION

DAY_S = 86_400
COST_WEIGHT_WEI = 10**11
TERMS = (DAY_S, 2 * DAY_S, 7 * DAY_S, 9 * DAY_S, DAY_S, 3_600, COST_WEIGHT_WEI)


@dataclass(frozen=True)
class Contribution:
    """A batch on the chain.

    Args:
        sender: who contributed it.
        samples: its samples.
        batch: its meta-data.
        updates: how many of its samples changed the model; where each does, how many were informative.
        gas: of contributing it.
    """

    sender: LocalAccount
    samples: tuple[bytes, ...]
    batch: Batch
    updates: int
    gas: int


@dataclass(frozen=True)
class Refund:
    """A claim on whole batches.

    Args:
        samples: how many were paid for; the model disagrees with the others now.
        gas: of the claim.
    """

    samples: int
    gas: int


class Registry:
    """A registry in which all implementations are installed.

    Args:
        network: where.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.owner = network.account("owner")
        chain = network.chain
        creation = chain.encode_deploy("ModelRegistry", *constructor_arguments())
        made = network.send(self.owner, None, creation)
        assert made.contract_address is not None
        self.address = made.contract_address
        self.gas = made.gas_used
        """Gas of the registry itself."""

        self.install_gas: dict[str, int] = {}
        """Gas of installing each implementation, in a transaction of its own."""

        for name in (TRAINER, *MODEL_CONTRACTS.values(), INCENTIVE_CONTRACTS["stake"], DATA_HANDLER):
            data = chain.encode("ModelRegistry", "install", [artifact(name).bytecode])
            self.install_gas[name] = network.send(self.owner, self.address, data).gas_used

    def deploy(self, name: str, replica: Replica) -> Model:
        """Create a model, write its replica's words and seal it."""
        chain, params, words = self.network.chain, replica.params, replica.words()
        spec = FeatureSpec.text(
            labels=["neg", "pos"], n_features=params.n_features, max_features=params.max_features
        )
        codes = (code_hash(MODEL_CONTRACTS[params.model_type]), code_hash(INCENTIVE_CONTRACTS["stake"]))
        what = (name, spec.to_json(), *codes, params.as_tuple(), TERMS)
        created = self.network.send(self.owner, self.address, chain.encode("ModelRegistry", "create", what))
        trainer = chain.events("ModelRegistry", created)[0].args["trainer"]
        model = Model(self.network, trainer, replica)
        model.deploy_gas["create"] = created.gas_used
        model.deploy_gas["weights"] = sum(
            model.call(self.owner, "writeWeights", first, words[first : first + WORDS_PER_TRANSACTION])
            for first in range(0, len(words), WORDS_PER_TRANSACTION)
        )
        model.deploy_gas["seal"] = model.call(self.owner, "seal")
        return model


class Model:
    """A deployed model.

    Args:
        network: where.
        address: of its trainer.
        replica: the same model in numpy.
    """

    def __init__(self, network: Network, address: str, replica: Replica) -> None:
        self.network = network
        self.address = address
        self._replica = replica
        self.deploy_gas: dict[str, int] = {}
        """Gas of each step of its deployment."""

    def call(self, sender: LocalAccount, function: str, *args: object) -> int:
        """Send a transaction to it; the gas it used."""
        data = self.network.chain.encode("CollaborativeTrainer", function, *args)
        return self.network.send(sender, self.address, data).gas_used

    def contribute(self, sender: str, samples: Sequence[bytes]) -> Contribution:
        """Contribute a batch; the offer is the highest price, as the client's is, and the rest comes back."""
        chain, account = self.network.chain, self.network.account(sender)
        units = sum(-(-(len(sample) - HEADER_BYTES) // 2 // UNIT_INFLUENCE) for sample in samples)
        data = chain.encode("CollaborativeTrainer", "contribute", b"".join(samples))
        receipt = self.network.send(account, self.address, data, COST_WEIGHT_WEI * 3_600 * units)
        (event,) = chain.events("CollaborativeTrainer", receipt)
        batch = Batch(
            id=event.args["batchId"],
            contributor=account.address,
            added_at=event.args["addedAt"],
            deposit_per_unit_wei=event.args["depositPerUnit"],
            count=len(samples),
            units=units,
            informative=event.args["informative"],
            samples_root=samples_root(samples),
        )
        updates = self._count_updates(batch, samples)
        return Contribution(account, tuple(samples), batch, updates, receipt.gas_used)

    def _count_updates(self, batch: Batch, samples: Sequence[bytes]) -> int:
        if not isinstance(self._replica, Perceptron):
            return batch.informative.bit_count()
        # Samples within the margin change the model without being informative.
        return int(self._replica.learn(b"".join(samples)).sum())

    def refund(self, *contributions: Contribution) -> Refund:
        """Claim whole batches in one transaction, by their contributor."""
        chain, (sender, *_) = self.network.chain, [contribution.sender for contribution in contributions]
        claims = [
            (sent.batch.as_tuple(), b"".join(sent.samples), (1 << sent.batch.count) - 1)
            for sent in contributions
        ]
        data = chain.encode("CollaborativeTrainer", "refund", claims)
        receipt = self.network.send(sender, self.address, data)
        events = chain.events("CollaborativeTrainer", receipt)
        return Refund(sum(len(bits(event.args["refunded"])) for event in events), receipt.gas_used)

    def disagreed(self, samples: Sequence[bytes]) -> list[int]:
        """The numbers of the samples whose label the model does not predict now."""
        predicted = self.network.chain.view(
            "CollaborativeTrainer", self.address, "predict", b"".join(samples)
        )
        return [number for number, sample in enumerate(samples) if predicted[number] != sample[0]]

    def report(self, sender: str, contribution: Contribution, numbers: Sequence[int]) -> int:
        """Report samples, each of which must pay; the gas it used."""
        chain, samples = self.network.chain, contribution.samples
        proofs = [(number, samples[number], sample_proof(samples, number)) for number in numbers]
        data = chain.encode("CollaborativeTrainer", "report", contribution.batch.as_tuple(), proofs)
        receipt = self.network.send(self.network.account(sender), self.address, data)
        (event,) = chain.events("CollaborativeTrainer", receipt)
        assert event.name == "Reported"
        assert bits(event.args["reported"]) == sorted(numbers)
        return receipt.gas_used
