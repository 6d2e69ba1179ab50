"""docs/experiments.md and its figures, from the figures of paper.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.paper.attacks import ADAPTED, AS_IT_IS, FREE, PAID, REMEDIES, SEARCH_SEEDS, SEEDS, STANDING
from benchmarks.paper.published import DAYS, EXPERIMENTS, LAST_DAYS, MORE_SEEDS, PERCEPTRON, PUBLISHED
from benchmarks.paper.published import SEEDS as CURVE_SEEDS
from benchmarks.paper.study import PROJECT
from dcai_cli.services.plots import Timeline, write_plot

PAGE = PROJECT / "docs" / "experiments.md"
FIGURES = PROJECT / "docs" / "images" / "experiments"
DAY_S = 86_400
USUAL = "good looks every hour, bad once a day"
"""As the published experiment is run here."""


def write(figures: dict[str, Any]) -> None:
    """Write the page and its figures."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    for name in EXPERIMENTS:
        _draw(FIGURES / f"{_slug(name)}.svg", name, figures["published"][name]["curve"])
    PAGE.write_text(page(figures), encoding="utf-8")


def page(figures: dict[str, Any]) -> str:
    """The text of the page."""
    return "\n".join(
        [
            HEAD,
            *_published(figures["published"]),
            *_causes({USUAL: figures["published"][PERCEPTRON]["figures"]} | figures["causes"]),
            *_attacks(figures["attacks"], figures["alone"]),
            *_remedies(figures["attacks"], figures["alone"]),
            *_adapted(figures["attacks"], figures["alone"]),
            *_followed(figures["followed"], figures["attacks"]),
            *_sent(figures["sent"]),
        ]
    )


HEAD = f"""\
# Experiments

<!-- Made by `make paper`: benchmarks/paper/page.py writes it anew. -->

The published work argues with simulations. These are the same ones, and harder ones, under the contracts' own
rules: `dcai simulate` reckons with the replicas, and [the last section](#real-and-reckoned) holds what it reckons
against transactions on a chain, to the wei. Gas is not part of balances. `make paper` runs everything again from
the data and writes this page, byte for byte.

Balances are in % of what everybody had at the start, without deposits that are out. ± is half a 95 % confidence
interval (Student's t) over {len(CURVE_SEEDS)} seeds, or {len(MORE_SEEDS)} of the first perceptron and of attackers.
"""


def _published(experiments: dict[str, Any]) -> Iterable[str]:
    yield "## The published experiment\n"
    yield (
        "IMDB reviews, the 1,000 most frequent words, a model that starts with 2,000 reviews; a good contributor "
        "every 10 minutes with one label in 10,000 wrong, a bad one every hour that always flips the label; 10,000 "
        "tokens each; refunds after a day, everybody takes the rest after nine. The good one looks after its "
        "deposits every hour, as the daemon does, the bad one once a day.\n"
    )
    for name, found in experiments.items():
        yield f"### {name[0].upper()}{name[1:]}\n"
        yield f"![balances and accuracy](images/experiments/{_slug(name)}.svg)\n"
        rows = []
        for what in ("good", "bad", "accuracy"):
            for source, cells in (
                ("published", [_cell(PUBLISHED[what].get(day)) for day in DAYS]),
                ("ours", [_between(found["figures"][what][str(day)], 1) for day in DAYS]),
            ):
                rows.append([f"{what}, {source}", *cells])
        yield _table(["day", *map(str, DAYS)], rows)
        last = found["figures"]["last"]
        yield (
            f"Accuracy over the last {LAST_DAYS} days: {_between(last, 1)} %, "
            f"{last[0] - PUBLISHED['accuracy'][125]:+.1f} points against the end of the published curve.\n"
        )


def _causes(causes: dict[str, Any]) -> Iterable[str]:
    yield "## What explains the differences\n"
    yield (
        "A perceptron changes with every sample, so a sample that it rejects now it may accept in an hour. Whoever "
        "looks more often than the others gets more of its doubtful samples back, honest or not, before they are "
        "reported. The experiment above at day 100, with other habits and steadier rules:\n"
    )
    rows = [
        [name, *(_between(causes[name][what]["100"], 1) for what in ("good", "bad", "accuracy"))]
        for name in causes
    ]
    yield _table(["who looks how often", "good", "bad", "accuracy"], rows)
    yield (
        "The published agents pay `max(1, int(60 / int(sqrt(seconds))))` tokens, rounded down, for one sample; "
        "here a review has two units of influence, the cost weight is set so that two units cost 60 tokens after a "
        "second, and nothing is rounded down: after ten minutes 2.45 tokens, not 2. The margin per feature explains "
        "the accuracy: with margin 0, the classic rule, the model follows every flipped label.\n"
    )


def _attacks(attacks: Sequence[dict[str, Any]], alone: dict[str, Any]) -> Iterable[str]:
    now = alone[AS_IT_IS]
    yield "## What attackers earn\n"
    yield (
        "Three honest contributors with 10,000 tokens each, some 144 reviews a day, one label in a hundred wrong; "
        "beside them an attacker with 10,000 tokens, for 30 days and until every deposit is settled. Of each "
        f"strategy all settings of a grid are tried with {len(SEARCH_SEEDS)} seeds; the one that earns most is then "
        f"measured on {len(SEEDS)} fresh seeds. Everybody looks every hour: who looks more often than the others "
        "gains by that alone, as shown above. What is found is a lower bound: the best setting of a grid, not the best there is. So that nothing else is taken for the attack's, the same agent is also "
        "measured without its attack, on the same seeds: with true labels, or without pushing. Gains are in % of the "
        f"start. Alone, the honest ones end at "
        f"{_percent(now['honest'])} and the model at {_percent(now['accuracy'])} accuracy.\n"
    )
    rows = []
    for attack in attacks:
        found = attack["remedies"][AS_IT_IS]
        rows.append(
            [
                f"[{attack['name']}](#{attack['name']})",
                str(attack["settings"]),
                _percent(found["attacker"], sign=True),
                _percent(found["harmless"], sign=True),
                _percent(found["honest"], sign=True),
                _percent(found["accuracy"]),
                f"{found['deposited'][0]:,.0f}",
            ]
        )
    yield _table(
        [
            "attack",
            "settings",
            "attacker gains %",
            "without the attack %",
            "the honest gain %",
            "accuracy %",
            "tokens deposited",
        ],
        rows,
    )
    for attack in attacks:
        yield f"### {attack['name']}\n"
        best = ", ".join(f"{name} {value}" for name, value in attack["best"].items())
        found = attack["remedies"][AS_IT_IS]
        yield (
            f"An attacker that {attack['title']}; "
            f"[the scenario](../examples/scenarios/attack-{attack['name']}.toml). Best of {attack['settings']}: "
            f"{best}; the worst of them brings {100 * attack['worst']:+.1f} %. {_verdict(found)}\n"
        )


def _remedies(attacks: Sequence[dict[str, Any]], alone: dict[str, Any]) -> Iterable[str]:
    yield "## What would stop them\n"
    yield (
        "Each attack that gains something, in the best setting that was found, under other "
        "rules. What an attacker gains the honest lose, a third each, but for a fee; so where nobody attacks their mean is "
        "0 without a fee, and only the fee shows, though some of them always lose a little to the others.\n"
    )
    yield (
        "Attacks earn by reports: the model rejects some samples of the honest, and who has standing takes their "
        "deposits. Where influence is dearer, so is what the honest lose, and what is taken from them grows with it. "
        "Longer waits are another kind of price: tokens that move the model are bound until their refund, so that a "
        "balance moves it less often; those of the honest are bound longer, too. They are terms that every model "
        "chooses for itself: `dcai model deploy --refund-wait 5d --report-wait 8d --owner-wait 13d --public-wait 13d`. "
        "A copy is mined first, and makes the original dear; who refuses a price far above the one that was quoted does "
        "not pay for the copy, but does not contribute either, then: a ceiling (`dcai contribute --max-rise 25`) makes it a "
        "loss to copy everything, and leaves a way to keep others out, as the samples show that the honest contribute. A fee, a share of what a contribution costs that is burned at once, weighs on whoever has "
        "to contribute much to gain little: on those who push a model again and again.\n"
    )
    paying = [attack for attack in attacks if len(attack["remedies"]) > 1]
    for remedy in REMEDIES:
        rows = [
            [
                attack["name"],
                *(_percent(attack["remedies"][remedy][what], sign=True) for what in ("attacker", "honest")),
                *_kept(attack["remedies"][remedy]),
            ]
            for attack in paying
        ]
        rows.append(["nobody", "", _percent(alone[remedy]["honest"], sign=True), *_kept(alone[remedy])])
        yield f"### {remedy[0].upper()}{remedy[1:]}\n"
        yield _table(["attack", "attacker gains %", "the honest gain %", *KEPT], rows)


def _adapted(attacks: Sequence[dict[str, Any]], alone: dict[str, Any]) -> Iterable[str]:
    yield "## When attackers adapt\n"
    yield (
        f"Under the last two of these rules the attacks again with all their settings: the best one then. Under "
        f"{PAID} only those that gain something under {FREE}: a fee takes from the honest, too. An owner that waits as long as all "
        "others sweeps no sooner than they do.\n"
    )
    head = [
        "attack",
        "best setting",
        "attacker gains %",
        "without the attack %",
        "the honest gain %",
        *KEPT,
        "tokens deposited",
        "",
    ]
    for rule in ADAPTED:
        rows = [
            [
                attack["name"],
                ", ".join(f"{name} {value}" for name, value in found["best"].items()),
                *(_percent(found[what], sign=True) for what in ("attacker", "harmless", "honest")),
                *_kept(found),
                f"{found['deposited'][0]:,.0f}",
                _verdict(found),
            ]
            for attack in attacks
            if (found := attack["adapted"].get(rule))
        ]
        honest = _percent(alone[rule]["honest"], sign=True)
        rows.append(["nobody", "", "", "", honest, *_kept(alone[rule]), "", ""])
        yield f"### {rule[0].upper()}{rule[1:]}: the best then\n"
        yield _table(head, rows)


KEPT = ("accuracy %", "samples of the honest")
"""What an attack leaves of the model, and of those who mean well."""


def _kept(found: dict[str, Sequence[float]]) -> tuple[str, str]:
    return _percent(found["accuracy"]), f"{found['contributed'][0]:,.0f}"


def _followed(followed: dict[str, Any], attacks: Sequence[dict[str, Any]]) -> Iterable[str]:
    yield "## Rules that the contracts took over\n"
    yield (
        "At first every sample that changed the model made standing, and a perceptron with a margin learns from samples "
        "that it predicts right by less than that, too. So it paid to confirm the model's mistakes: to flip samples that the "
        "model gets wrong, which it agrees with before and after, and to earn by reports what their refunds made standing "
        "for. Now a sample makes standing only if the model predicted another label when it came.\n"
    )
    yield (
        "That has a price: of what the honest deposit a smaller part makes standing, so that who manufactures surprises has a "
        "larger share. And standing was counted in wei, so that it paid to contribute when that is dear, in large batches one "
        "after the other, which costs nothing if all of it comes back: to farm standing, and to hold the model. Now standing is "
        "counted in units, which are the same at all times. That has a price, too: whoever has all samples of others copied "
        "before they are mined takes nearly all standing from them, where before it had only the small part of who contributes "
        "while it is cheap; so a [ceiling](#the-honest-pay-at-most-a-quarter-more-than-they-were-quoted) matters more than before. "
        "These attacks at their best under each rule:\n"
    )
    by_name = {attack["name"]: attack for attack in attacks}
    rows: list[list[str]] = []
    for attack in STANDING:
        now = {"best": by_name[attack]["best"], **by_name[attack]["remedies"][AS_IT_IS]}
        under = {**followed[attack], "what the model did not expect, in units": now}
        rows += [
            [
                attack,
                rule,
                ", ".join(f"{name} {value}" for name, value in found["best"].items()),
                *(_percent(found[what], sign=True) for what in ("attacker", "honest")),
                _percent(found["accuracy"]),
            ]
            for rule, found in under.items()
        ]
    yield _table(
        ["attack", "standing for", "best setting", "attacker gains %", "the honest gain %", "accuracy %"],
        rows,
    )
    yield (
        "What farming still earns no rule here takes away: the model can judge what a sample does to it, not whether the "
        "sample says anything. It moves no prediction for others and takes no deposit that was not lost already; it takes "
        "the honest reporters' share of those.\n"
    )


def _verdict(found: dict[str, Sequence[float]]) -> str:
    """Whether an attack brings more than nothing, and more than the same agent gets without it."""
    gain, more = found["attacker"], found["more"]
    if gain[0] - gain[1] > 0 and more[0] - more[1] > 0:
        return "It pays."
    if gain[0] + gain[1] < 0 or more[0] + more[1] < 0:
        return "It does not pay."
    return "Whether it pays, these seeds do not tell."


def _sent(sent: dict[str, Any]) -> Iterable[str]:
    yield "## Real and reckoned\n"
    gas = sum(sent["gas_used"].values())
    yield (
        f"`dcai simulate {sent['scenario'].removesuffix('.toml')} --real` on anvil: {sent['contributions']:,} "
        f"contributions, {sent['transactions']:,} transactions in all, {gas:,} gas. Every amount, every bitmap of "
        f"informative, refunded and reported samples, and on each of {sent['moments']} days every balance and all "
        "weights were what the fast mode had reckoned, to the wei and bit for bit.\n"
    )
    yield _table(
        ["agent", "gain %", "gas"],
        [[name, f"{100 * gain:+.1f}", f"{sent['gas_used'][name]:,}"] for name, gain in sent["gains"].items()],
    )


def _draw(path: Path, title: str, curve: dict[str, list[float]]) -> None:
    balances = {
        name: [(day * DAY_S, value) for day, value in enumerate(curve[name])] for name in ("good", "bad")
    }
    accuracy = [(day * DAY_S, value / 100) for day, value in enumerate(curve["accuracy"])]
    published = [(day * DAY_S, value / 100) for day, value in PUBLISHED["accuracy"].items()]
    write_plot(
        path,
        [
            Timeline(title, "balances, in % of the start", balances, is_elapsed=True),
            Timeline(
                "accuracy",
                "of the test set",
                {"ours": accuracy, "published": published},
                is_share=True,
                is_elapsed=True,
            ),
        ],
    )


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _between(pair: Sequence[float], digits: int) -> str:
    return f"{pair[0]:.{digits}f} ± {pair[1]:.{digits}f}"


def _percent(pair: Sequence[float], *, sign: bool = False) -> str:
    # No -0.00.
    mean = round(100 * pair[0], 2) + 0.0
    return f"{mean:{'+' if sign else ''}.2f} ± {100 * pair[1]:.2f}"
