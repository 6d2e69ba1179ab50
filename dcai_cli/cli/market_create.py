"""dcai market create: a bounty for data, a hidden test set, and the model that comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcai_cli.cli import options
from dcai_cli.cli.market_output import Deployer, market_data, rules_data
from dcai_cli.cli.output import Output
from dcai_cli.cli.typed_dense import Vectors
from dcai_cli.cli.typed_spec import Reading, typed_spec
from dcai_cli.domain import counted, format_duration, format_ether, parse_amount, parse_duration
from dcai_cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from dcai_cli.services.markets.create import Created
    from dcai_cli.services.markets.plan import MarketPlan

_TEXTS, _TABLES = "Texts", "Tables"
_MONEY, _TIME = "Money", "Time"
_LEARNING = "The model that it becomes"
"""Groups of options in the help text."""

_N_FEATURES = 4_096
_MAX_FEATURES = 256


def register(app: typer.Typer) -> None:
    """Add the command to the group of markets."""
    app.command(
        "create",
        epilog="Example: dcai market create wanted --test test.csv --labels negative,positive --bounty "
        "1ether --yes. Exit codes: 0, 2, 10, 11, 12, 13, 14, 15 (bad file, or the name is taken), 17, 18.",
    )(create)


def create(
    name: Annotated[str, typer.Argument(help="Its name, and the model's: a-z, 0-9 and dashes, at most 32.")],
    *,
    test: Annotated[
        Path, typer.Option(help=f"Labelled rows that nobody sees yet: {options.DATA}", readable=False)
    ],
    bounty: Annotated[
        str,
        typer.Option(help="What those share whose data helps, for instance 1ether.", rich_help_panel=_MONEY),
    ],
    kind: Annotated[str, typer.Option(help="text or tabular.")] = "text",
    labels: Annotated[str | None, typer.Option(help="The two labels, the class 0 first: ham,spam.")] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with the columns of a tabular model.", readable=False, rich_help_panel=_TABLES
        ),
    ] = None,
    quantiles_from: Annotated[
        Path | None,
        typer.Option(
            help="Rows that quantiles of the schema are learned from.",
            readable=False,
            rich_help_panel=_TABLES,
        ),
    ] = None,
    n_features: Annotated[
        int, typer.Option(min=256, max=65_536, help="Size of the hash space.")
    ] = _N_FEATURES,
    max_features: Annotated[
        int, typer.Option(min=1, max=_MAX_FEATURES, help="Features of one sample at most.")
    ] = _MAX_FEATURES,
    text_column: Annotated[
        str | None, typer.Option(help="Column of the text; text if left out.", rich_help_panel=_TEXTS)
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the label; label if left out.")] = None,
    analyzer: Annotated[
        str | None,
        typer.Option(
            help="What features are made of: word, char, or char_wb (within words); word if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    ngrams: Annotated[
        str | None,
        typer.Option(
            help="Words or characters in a feature, up to 8: 1, or 1-2; 1 if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    lowercase: Annotated[
        bool | None,
        typer.Option(
            "--lowercase/--no-lowercase",
            help="Lower-case texts first; so if left out.",
            rich_help_panel=_TEXTS,
        ),
    ] = None,
    margin: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_535,
            help="Margin per active feature; the smaller, the more each sample changes, and is scored for.",
            rich_help_panel=_LEARNING,
        ),
    ] = 0,
    pretrain: Annotated[
        Path | None,
        typer.Option(
            help="Weights (.npz), or labelled rows, that training begins with.",
            readable=False,
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    refund_wait: Annotated[
        str,
        typer.Option(
            help="Once published: from here contributors earn their points.", rich_help_panel=_LEARNING
        ),
    ] = "1d",
    format: options.Format = None,
    encoding: options.Encoding = None,
    pieces: Annotated[
        int, typer.Option(min=2, max=112, help="Pieces of the test set; one is shown at first.")
    ] = 8,
    reserve: Annotated[
        str | None,
        typer.Option(
            help="What is paid for steps; if left out, what their gas costs now.", rich_help_panel=_MONEY
        ),
    ] = None,
    stake: Annotated[
        str | None,
        typer.Option(
            help="Price of the first unit (64 features); if left out, what one test sample is worth.",
            rich_help_panel=_MONEY,
        ),
    ] = None,
    orders: Annotated[
        int,
        typer.Option(
            min=1,
            max=32,
            help="In so many random orders contributions are scored; more take more gas, and less is chance.",
        ),
    ] = 4,
    rounds: Annotated[
        int,
        typer.Option(
            min=10, max=1_000_000, help="How often at most the test is paid for.", rich_help_panel=_MONEY
        ),
    ] = 224,
    quota: Annotated[
        int, typer.Option(min=1, max=1_024, help="Units of all participants.", rich_help_panel=_MONEY)
    ] = 512,
    quota_each: Annotated[
        int, typer.Option(min=1, max=1_024, help="Units of one participant.", rich_help_panel=_MONEY)
    ] = 64,
    open_within: Annotated[
        str, typer.Option(help="Until then you show the first piece.", rich_help_panel=_TIME)
    ] = "1d",
    participate: Annotated[
        str, typer.Option(help="How long contributions are committed.", rich_help_panel=_TIME)
    ] = "7d",
    reveal: Annotated[
        str, typer.Option(help="How long they are revealed after that.", rich_help_panel=_TIME)
    ] = "2d",
    tests: Annotated[
        str, typer.Option(help="How long you have to show the other pieces.", rich_help_panel=_TIME)
    ] = "2d",
    collect: Annotated[
        str, typer.Option(help="How long you wait for what is left.", rich_help_panel=_TIME)
    ] = "0s",
    deployer: Deployer = None,
    registry: Annotated[
        str | None, typer.Option(help="Address of the registry for the model; remembered for this chain.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but sign.")] = False,
    rpc_url: options.RpcUrl = None,
    chain_id: options.ChainId = None,
    account: options.Account = None,
    password_file: options.PasswordFile = None,
    yes: options.Yes = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Offer a bounty for data that improves a model on a test set of yours; hidden until all is committed."""
    from dcai_cli.services.deploy import pretrained_words
    from dcai_cli.services.limits import model_params, points_terms
    from dcai_cli.services.markets.create import create_market
    from dcai_cli.services.markets.factory import use_deployer
    from dcai_cli.services.markets.hidden_set import read_tests
    from dcai_cli.services.markets.plan import MarketRequest, MarketTerms, check_request
    from dcai_cli.services.registry import use_registry

    output = Output("market create", json=json, quiet=quiet, yes=yes)
    if kind not in {"text", "tabular"}:
        raise UsageError(f"A market has no kind {kind!r}.", hint="Choose --kind text or --kind tabular.")
    named = {"--test": test, "--quantiles-from": quantiles_from, "--pretrain": pretrain}
    sources = options.row_sources(named, format, encoding)
    spec = typed_spec(
        kind,
        labels=labels,
        schema=schema,
        n_features=n_features,
        max_features=max_features,
        counts=False,
        reading=Reading(analyzer, ngrams, lowercase, False, None, None, None),
        quantiles_from=sources.get("--quantiles-from"),
        vectors=Vectors("perceptron", None, None, None, None, None),
        text_column=text_column,
        label_column=label_column,
        note=output.note,
    )
    params = model_params(spec, margin=margin)
    words = []
    if pretrain is not None:
        words = pretrained_words(sources["--pretrain"], spec, params, note=output.note)
    request = MarketRequest(
        name=name,
        spec=spec,
        params=params,
        incentive_type="points",
        model_terms=points_terms(parse_duration(refund_wait)),
        terms=MarketTerms(
            pieces=pieces,
            orders=orders,
            max_units=quota,
            max_units_each=quota_each,
            rounds=rounds,
            open_s=parse_duration(open_within),
            participate_s=parse_duration(participate),
            reveal_s=parse_duration(reveal),
            tests_s=parse_duration(tests),
            collect_s=parse_duration(collect),
            bounty_wei=parse_amount(bounty),
            stake_wei=None if stake is None else parse_amount(stake),
            reserve_wei=None if reserve is None else parse_amount(reserve),
        ),
        words=words,
        account=account,
        dry_run=dry_run,
    )
    check_request(request)
    test_set = read_tests(sources["--test"], spec, pieces, note=output.note)

    def confirm(plan: MarketPlan) -> None:
        if not workspace.chain.is_embedded:
            output.note(f"network   {options.network(workspace)}")
        for line in _plan_lines(plan):
            output.note(line)
        output.ask(f"Make the market and pay {format_ether(plan.paid_wei)}?")

    flags = {"rpc_url": rpc_url, "chain_id": chain_id, "password_file": password_file}
    with options.open_workspace(**flags) as workspace:
        if deployer is not None:
            use_deployer(workspace, deployer)
        if registry is not None:
            use_registry(workspace, registry)
        done = create_market(
            workspace,
            request,
            test_set,
            password=output.password(workspace.settings),
            confirm=confirm,
            progress=output.note,
        )
    output.result(_data(done), lambda console: _show(console, done))


def _plan_lines(plan: MarketPlan) -> list[str]:
    from dcai_cli.services.markets.plan import warnings_of

    rules, tests = plan.rules, plan.tests
    samples = len(tests.pieces) * tests.samples
    by_label = " and ".join(str(count) for count in tests.labels)
    left_out = f", {counted(tests.left_out, 'sample')} left over" if tests.left_out else ""
    lines = [
        f"market    {plan.name}",
        f"account   {plan.account.name} ({plan.account.address})",
        f"balance   {format_ether(plan.cost.balance_wei)}",
        (
            f"test set  {counted(samples, 'sample')} ({by_label} by label) in {len(tests.pieces)} pieces of "
            f"{tests.samples}{left_out}"
        ),
        f"          {counted(len(tests.skipped), 'row')} skipped, {tests.repeated:,} repeated",
        (
            f"bounty    {format_ether(rules.bounty_wei)}: a test sample more is worth up to "
            f"{format_ether(rules.test_wei)}"
        ),
        f"scoring   in {counted(rules.orders, 'random order')}, each counts as much",
        (
            f"reserve   {format_ether(plan.reserve_wei)} for steps, {format_ether(rules.step_fee_wei)} for "
            "each contribution; what is left comes back"
        ),
        (
            f"stake     {format_ether(rules.stake_wei)} for the first unit, twice that for the last of "
            f"{rules.max_units:,}; {rules.max_units_each} for one participant"
        ),
        (
            f"time      {format_duration(rules.open_s)} to show the first piece, "
            f"{format_duration(rules.participate_s)} to take part,"
        ),
        (
            f"          {format_duration(rules.reveal_s)} to reveal, {format_duration(rules.tests_s)} to "
            "show the other pieces"
        ),
    ]
    if plan.words:
        lines.append(f"weights   {plan.words:,} words to start with")
    lines += [
        (
            f"fees      up to {format_ether(plan.cost.fee_wei)} for "
            f"{counted(plan.cost.transactions, 'transaction')} (about {plan.cost.gas:,} gas)"
        ),
        f"total     {format_ether(plan.paid_wei + plan.cost.fee_wei)} at most",
        *warnings_of(plan),
    ]
    return lines


def _data(done: Created) -> dict[str, Any]:
    plan, tests = done.plan, done.plan.tests
    return {
        "name": plan.name,
        "account": plan.account.address,
        "dry_run": done.market is None,
        "rules": rules_data(plan.rules),
        "labels": list(tests.labels),
        "left_out": tests.left_out,
        "repeated": tests.repeated,
        "skipped": [{"row": skip.row, "reason": skip.reason} for skip in tests.skipped],
        "reserve_wei": str(plan.reserve_wei),
        "paid_wei": str(plan.paid_wei),
        "fee_at_most_wei": str(plan.cost.fee_wei),
        "market": None if done.market is None else market_data(done.market),
        "transactions": [step.hash for step in done.steps],
        "gas_used": sum(step.gas_used for step in done.steps),
        "fee_wei": str(sum(step.fee_wei for step in done.steps)),
    }


def _show(console: Console, done: Created) -> None:
    if done.market is None:
        for line in _plan_lines(done.plan):
            console.print(line)
        console.print("Nothing was sent.")
        return
    data = _data(done)
    console.print(f"The market {done.plan.name} is at {done.market.address}")
    console.print(f"{data['gas_used']:,} gas, fees {format_ether(int(data['fee_wei']))}")
    left = format_duration(max(0, done.market.open_until - done.market.now))
    if done.market.phase == "drawing":
        console.print(f"Its first piece is not drawn yet; do that now: dcai market reveal {done.plan.name}")
        return
    console.print(f"Show the first piece within {left}: dcai market reveal {done.plan.name}")
