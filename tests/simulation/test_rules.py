"""The books against the contracts: the same balances, weights and refusals, to the wei."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from dcai_cli.errors import UsageError
from dcai_cli.models import make_replica
from dcai_cli.simulation.engine import run
from dcai_cli.simulation.market import Market
from dcai_cli.simulation.onchain import Mismatch, on_chain
from dcai_cli.simulation.pool import Pool, Prepared
from dcai_cli.simulation.rules import MAX_PAYLOAD_BYTES, Refused, StakeRules, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dcai_cli.simulation.rules import Deposit, Sample
    from dcai_cli.simulation.scenario import Scenario
    from tests.simulation.conftest import Read

DAY_S = 86_400
EVERYBODY: tuple[dict[str, Any], ...] = (
    {"name": "good", "strategy": "contributor", "balance": "100ether", "wait": "40m"},
    {"name": "noisy", "strategy": "contributor", "balance": "100ether", "wait": "2h", "mistakes": 0.3},
    {"name": "flips", "strategy": "contributor", "balance": "50ether", "wait": "2h", "mistakes": 1.0},
    {"name": "copies", "strategy": "copier", "balance": "50ether", "share": 0.3},
    {"name": "floods", "strategy": "flooder", "balance": "50ether", "wait": "1d", "batch": 16, "idle": "20m"},
    {"name": "near", "strategy": "boundary", "balance": "50ether", "wait": "4h"},
    {"name": "pair", "strategy": "colluders", "balance": "50ether", "wait": "4h"},
    {"name": "many", "strategy": "sybils", "balance": "50ether", "wait": "3h", "count": 3, "farm": "3d"},
    {"name": "farms", "strategy": "farmer", "balance": "90ether", "batch": 8, "every": "12h", "idle": "5m"},
    {
        "name": "moves",
        "strategy": "manipulator",
        "balance": "90ether",
        "farm": "2d",
        "every": "2d",
        "victims": 4,
        "pushes": 2,
    },
    {
        "name": "owns",
        "strategy": "owner",
        "balance": "90ether",
        "target": "others",
        "farm": "2d",
        "every": "3d",
        "victims": 4,
        "pushes": 4,
        "push_every": "5h",
    },
)
"""Every strategy, at once."""


def test_a_chain_says_what_the_rules_say_whatever_the_agents_do(
    read: Read, tumours: Prepared, anvil_url: str
) -> None:
    """All strategies on anvil: each amount and bitmap, every day all balances and weights, are the same."""
    scenario = read(*EVERYBODY, duration="4d")
    reckoned = run(scenario, tumours)
    with on_chain(scenario, tumours, anvil_url) as chain:
        sent = run(scenario, tumours, chain=chain)
    assert sent.moments == reckoned.moments
    assert sent.weights_hash == reckoned.weights_hash
    assert {entry.action for entry in sent.entries} == {"contribute", "refund", "report", "sweep"}
    assert {entry.account for entry in sent.entries} >= {
        account for agent in scenario.agents for account in agent.accounts
    }
    assert all(entry.gas_used for entry in sent.entries)
    assert sum(total.gas_used or 0 for total in sent.totals.values()) > 10**7
    assert all(total.gas_used is None for total in reckoned.totals.values())


@pytest.mark.parametrize("model_type", ["naive-bayes", "nearest-centroid"])
def test_the_embedded_chain_says_so_too_with_other_models(
    read: Read, tumours: Prepared, model_type: str
) -> None:
    """The chain in this process, and models that are no perceptrons."""
    from dcai_cli.simulation.pool import prepare
    from tests.simulation.conftest import SCENARIOS

    del tumours
    scenario = read(*EVERYBODY[:3], duration="8h", settle="10d", model__type=model_type)
    prepared = prepare(scenario, folder=SCENARIOS)
    with on_chain(scenario, prepared, None) as chain:
        assert run(scenario, prepared, chain=chain).moments == run(scenario, prepared).moments


def test_a_chain_that_says_otherwise_is_noticed(read: Read, tumours: Prepared) -> None:
    """Where the rules reckon with another price than the contracts, the first contribution says so."""
    scenario = read(*EVERYBODY[:1], duration="2h", settle="0s")
    dearer = read(*EVERYBODY[:1], duration="2h", settle="0s", terms__cost_weight="1000000000000001")
    with on_chain(scenario, tumours, None) as chain, pytest.raises(Mismatch, match="the rules say"):
        run(dearer, tumours, chain=chain)


def books(tumours: Prepared, read: Read, **variant: Any) -> StakeRules:
    """Books with three accounts."""
    scenario = read()
    return StakeRules(
        make_replica(tumours.params),
        scenario.terms,
        {"ann": 10**20, "bob": 10**20, "eve": 10**20},
        owner="eve",
        variant=Variant(**variant),
    )


def trained(rules: StakeRules, tumours: Prepared) -> Deposit:
    """Contribute until the model knows a little; the last batch."""
    for at in range(1, 20):
        deposit = rules.contribute("ann", tumours.samples[at : at + 1], at)
    return deposit


def test_what_the_contracts_refuse_is_refused_by_name(tumours: Prepared, read: Read) -> None:
    """Each custom error that an action of the rules can meet."""
    rules = books(tumours, read)
    deposit = trained(rules, tumours)
    now, number, one = deposit.added_at, deposit.id, [0]
    late = now + 9 * DAY_S
    rules.balances_wei["bob"] = 0
    refusals: dict[str, Callable[[], object]] = {
        "InsufficientDeposit": lambda: rules.contribute("bob", tumours.samples[:1], now + 1),
        "PayloadTooLarge": lambda: rules.contribute("ann", tumours.samples * 200, now + 1),
        "ContributionThisSecond": lambda: rules.refund("ann", [(number, 1)], now),
        "TooEarly": lambda: rules.refund("ann", [(number, 1)], now + DAY_S - 1),
        "NotContributor": lambda: rules.refund("bob", [(number, 1)], late),
        "InvalidMask": lambda: rules.refund("ann", [(number, 2)], late),
        "ReporterIsContributor": lambda: rules.report("ann", number, one, late),
        "ReporterNotValidated": lambda: rules.report("bob", number, one, late),
    }
    for name, action in refusals.items():
        with pytest.raises(Refused) as refused:
            action()
        assert refused.value.name == name
    for who, wait_s in (("eve", 7), ("bob", 9)):
        with pytest.raises(Refused, match="TooEarly"):
            rules.sweep(who, number, now + wait_s * DAY_S - 1)
    rules.sweep("eve", number, now + 7 * DAY_S)
    with pytest.raises(Refused, match="NothingLeft"):
        rules.sweep("bob", number, late)


@pytest.mark.parametrize("burned_bp", [0, 333])
def test_no_wei_is_made_or_lost(tumours: Prepared, read: Read, burned_bp: int) -> None:
    """Whatever random actions do, balances, open deposits and what was burned come to what there was."""
    rules = books(tumours, read, burned_bp=burned_bp)
    dice = random.Random(5)  # noqa: S311 - a seeded history
    now = 1
    for _ in range(600):
        now += dice.choice((1, 60, 3600, 20_000))
        who = dice.choice(("ann", "bob", "eve"))
        try:
            number = dice.randrange(max(len(rules.deposits), 1))
            act = dice.randrange(6)
            if act < 3:
                sample = dice.choice(tumours.samples)
                rules.contribute(who, [sample.labelled(dice.randrange(2))] * dice.randrange(1, 4), now)
            elif act == 3:
                rules.refund(who, [(number, rules.deposits[number].open)], now)
            elif act == 4:
                rules.report(who, number, [0], now)
            else:
                rules.sweep(who, number, now)
        except (Refused, IndexError):
            continue
        burned_wei = sum(deposit.burned_wei for deposit in rules.deposits)
        assert sum(rules.balances_wei.values()) + rules.open_wei + burned_wei == 3 * 10**20
    kinds = {bool(deposit.reported_wei) for deposit in rules.deposits}
    assert kinds == {True, False}


def test_a_share_is_burned_and_the_rest_is_the_deposit(tumours: Prepared, read: Read) -> None:
    """3 % of the price, rounded up for each unit; the ledger has the whole price."""
    market = Market(books(tumours, read, burned_bp=300), Pool(tumours.samples, 2, "a"))
    quoted_wei = market.quote_wei(tumours.samples[:1])
    deposit = market.contribute("ann", tumours.samples[:1])
    assert deposit is not None
    assert deposit.burned_wei == -(-quoted_wei // deposit.units * 3 // 100) * deposit.units
    assert deposit.deposit_wei == quoted_wei - deposit.burned_wei
    assert market.entries[-1].amount_wei == market.balance_wei("ann") - 10**20 == -quoted_wei


def test_standing_is_for_what_the_model_got_wrong_before(tumours: Prepared, read: Read) -> None:
    """The same sample twice: the first time it is news, the second time it trains the model, but is none."""
    rules = books(tumours, read)
    sample = next(one for one in tumours.samples if one.label == 1)
    first, second = (rules.contribute("ann", [sample], now) for now in (1, 2))
    assert (first.informative, second.informative) == (1, 0)
    rules.refund("ann", [(second.id, 1)], DAY_S + 2)
    assert rules.validated_units["ann"] == 0
    rules.refund("ann", [(first.id, 1)], DAY_S + 2)
    assert rules.validated_units["ann"] == rules.total_validated_units == sample.units
    changing = books(tumours, read, standing="changes")
    assert changing.contribute("ann", [sample, sample], 1).informative == 0b11
    assert changing.replica.words() == rules.replica.words()


def test_a_contribution_that_others_made_dear_is_given_up(tumours: Prepared, read: Read) -> None:
    """Somebody comes first, and the price rises above what was quoted by more than the contributor takes."""
    for most_rise, expected in ((0.25, False), (100.0, True)):
        market = Market(books(tumours, read), Pool(tumours.samples, 2, "a"))
        market.go_to(3600)

        def copy(_: str, samples: Sequence[Sample], market: Market = market) -> None:
            market.contribute("eve", samples, seen=False)

        market.watchers.append(copy)
        made = market.contribute("ann", tumours.samples[:1], most_rise=most_rise)
        assert (made is not None) is expected
        assert market.entries[0].account == "eve"


def test_refunds_are_parted_so_that_each_transaction_holds_its_payloads(
    tumours: Prepared, read: Read
) -> None:
    """A refund carries all samples again: of large batches, fewer than of single samples."""
    market = Market(books(tumours, read), Pool(tumours.samples, 2, "a"))
    market.rules.balances_wei["ann"] = 10**24
    claims = []
    for _ in range(9):
        deposit = market.contribute("ann", tumours.samples[:256])
        assert deposit is not None
        claims.append((deposit.id, deposit.open))
    assert deposit is not None
    at_once = MAX_PAYLOAD_BYTES // deposit.payload_bytes
    assert 1 < at_once < 9
    market.go_to(3 * DAY_S)
    market.refund("ann", claims)
    refunds = sum(entry.action == "refund" for entry in market.entries)
    assert refunds == -(-9 // at_once)


def test_a_chain_does_not_have_other_rules(read: Read, tumours: Prepared) -> None:
    """What the contracts do not do cannot be sent."""
    scenario = read(*EVERYBODY[:1], duration="2h", settle="0s", variant__burned=0.03)
    with (
        pytest.raises(UsageError, match="rules that the contracts do not have"),
        on_chain(scenario, tumours, None),
    ):
        pass


def test_with_two_looks_the_first_pays_nothing(tumours: Prepared, read: Read) -> None:
    """A refund needs two agreeing looks so far apart; the second pays."""
    rules = books(tumours, read, looks_apart_s=3600)
    trained(rules, tumours)
    agreed = [deposit for deposit in rules.deposits if rules.replica.agree(deposit.samples[0].data)]
    claims = [(deposit.id, 1) for deposit in agreed]
    assert claims
    now = 2 * DAY_S
    assert sum(wei for wei, _ in rules.refund("ann", claims, now)) == 0
    assert sum(wei for wei, _ in rules.refund("ann", claims, now + 3599)) == 0
    paid = rules.refund("ann", claims, now + 3600)
    assert [wei for wei, _ in paid] == [deposit.deposit_wei for deposit in agreed]


def test_pool_gives_each_sample_once_before_it_repeats(tumours: Prepared) -> None:
    """Every round has all samples, each round in another order; the seed decides."""
    count = len(tumours.samples)
    pool, twin, other = (Pool(tumours.samples, 2, seed) for seed in ("a", "a", "b"))
    first, second = ([pool.draw() for _ in range(count)] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(tumours.samples)
    assert first != second
    assert first == [twin.draw() for _ in range(count)] != [other.draw() for _ in range(count)]


def test_a_refund_of_many_batches_takes_several_transactions(tumours: Prepared, read: Read) -> None:
    """No transaction asks for more batches than fit."""
    rules = books(tumours, read)
    market = Market(rules, Pool(tumours.samples, 2, "a"))
    for number in range(70):
        market.go_to(600 * number)
        market.contribute("ann", [tumours.samples[0]])
    market.go_to(2 * DAY_S)
    market.refund("ann", [(number, 1) for number in range(70)])
    refunds = [entry for entry in market.entries if entry.action == "refund"]
    assert [entry.samples for entry in refunds] == [32, 32, 6]
    assert rules.open_wei == 0


def moved(read: Read, **changes: Any) -> Scenario:
    """An agent that moves the model, alone with a contributor."""
    agent = {
        "name": "moves",
        "strategy": "manipulator",
        "balance": "500ether",
        "farm": "1d",
        "farm_wait": "6h",
        "victims": 4,
    }
    return read({**agent, **changes}, EVERYBODY[0], duration="12d")


@pytest.mark.parametrize("every", ["12h", "1d", "3d"])
def test_every_plant_is_pushed_when_its_refund_is_due(read: Read, tumours: Prepared, every: str) -> None:
    """However often it plants: each plant has its own pushes, of the planted samples, a refund wait later."""
    done = run(moved(read, every=every, pushes=2, push_every="10m", copies=3), tumours)
    batches = [entry for entry in done.entries if entry.account == "moves" and entry.action == "contribute"]
    plants = [entry.at for entry in batches if entry.samples == 4]
    pushes = [entry.at for entry in batches if entry.samples == 12]
    ended = 12 * DAY_S
    expected = [at + DAY_S + later for at in plants for later in (0, 600) if at + DAY_S + later < ended]
    assert len(plants) >= 3
    assert len(pushes) == len(expected)
    assert all(abs(at - due) < 60 for at, due in zip(pushes, sorted(expected), strict=True))


def test_others_are_held_until_they_can_be_reported(read: Read, tumours: Prepared) -> None:
    """Pushes go on from the choice of victims to the report wait of the last, and end with contributing."""
    done = run(moved(read, target="others", every="100d", pushes=1000, push_every="1h"), tumours)
    pushes = [
        entry.at
        for entry in done.entries
        if (entry.account, entry.action, entry.samples) == ("moves", "contribute", 4)
    ]
    assert 24 <= len(pushes) <= 50
    assert DAY_S <= pushes[0] < DAY_S + 60
    assert pushes[-1] <= DAY_S + 2 * DAY_S
    late = run(moved(read, target="others", every="1d", pushes=1000, push_every="1h"), tumours)
    assert max(entry.at for entry in late.entries if entry.action == "contribute") < 12 * DAY_S
