"""dcai market: the whole life of a market, deadlines that are missed, and what is not the time for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account

from dcai_cli.chain import Chain
from dcai_cli.chain.factory import MARKET, REPLAY, factory_address, market_address
from dcai_cli.chain.market import Stake, settle
from dcai_cli.domain import format_duration, iso_time
from dcai_cli.models import make_replica
from dcai_cli.models.market import draw_orders, evaluate
from dcai_cli.models.perceptron import Perceptron
from dcai_cli.models.replica import Replica
from dcai_cli.models.samples import split_samples
from dcai_cli.services.markets.factory import known_deployer
from dcai_cli.services.markets.keys import contribution_salt, piece_salt
from dcai_cli.services.markets.market import Market, read_market, shown_pieces
from dcai_cli.services.workspace import Workspace
from tests.cli.conftest import ADDRESSES
from tests.cli.markets import (
    BURN,
    PEOPLE,
    RULES,
    joined,
    joined_market,
    made,
    made_market,
    make_market,
    open_market,
    opened,
    rows,
)
from tests.cli.test_completion import offered
from tests.cli.test_tx import Died

if TYPE_CHECKING:
    from tests.cli.conftest import Dcai

__all__ = ["joined", "joined_market", "made", "made_market", "open_market", "opened"]  # fixtures


def state(dcai: Dcai) -> dict[str, Any]:
    """The market as `status` says it."""
    (market,) = dcai.data("market", "status", "bounty")["markets"]
    assert isinstance(market, dict)
    return market


def address_of(name: str) -> str:
    """The address of one of the people."""
    return str(Account.from_key(PEOPLE[name]).address)


def moves(data: dict[str, Any]) -> list[str]:
    """The moves that a command made."""
    return [move["move"] for move in data["moves"]]


def test_a_market_lives_from_its_bounty_to_a_model(joined: Dcai) -> None:
    """Who helps shares the bounty, who harms or shows nothing pays, what is left is the provider's."""
    for name in ("bob", "carol"):
        data = joined.data("market", "reveal", "bounty", "--account", name, "--yes")
        assert moves(data) == ["reveal"]
    joined.data("devnet", "advance", "2d")
    assert moves(joined.data("market", "reveal", "--yes")) == ["piece"] * 3
    tested = state(joined)
    assert (tested["stage"], tested["pieces_shown"]) == ("tested", 4)
    stepped = joined.data("market", "step", "bounty", "--yes")
    assert moves(stepped)[:2] == ["order", "step"]
    assert int(stepped["paid_wei"]) > int(stepped["fee_wei"])
    published = state(joined)
    assert published["stage"] == "published"
    bob, carol, dora = published["participants"]
    assert bob["score"] > carol["score"]
    for one in (bob, carol):
        gain_wei = int(one["owed_wei"]) - int(one["stake_wei"])
        assert (gain_wei > 0, gain_wei < 0) == (one["score"] > 0, one["score"] < 0)
    assert (dora["samples"], dora["owed_wei"]) == (0, "0")
    before = {name: joined.balance_wei(address_of(name)) for name in PEOPLE}
    left_wei = int(published["left_wei"])
    owed_wei = {"alice": left_wei, "bob": int(bob["owed_wei"]), "carol": int(carol["owed_wei"])}
    for name, amount_wei in owed_wei.items():
        data = joined.data("market", "collect", "bounty", "--account", name, "--yes")
        assert int(data["paid_wei"]) == amount_wei
        assert joined.balance_wei(address_of(name)) == before[name] + amount_wei - int(data["fee_wei"])
    assert joined.balance_wei(published["address"]) == 0
    assert state(joined)["next"]["who"] == "nobody"
    said = joined("predict", "a warm great story", "--model", published["model"])
    assert (said.code, said.out in {"positive\n", "negative\n"}) == (0, True)


def test_status_shows_which_order_is_scored(joined: Dcai) -> None:
    """Where steps by somebody else have come to: so many samples, then so many orders."""
    for name in ("bob", "carol"):
        joined.data("market", "reveal", "bounty", "--account", name, "--yes")
    joined.data("devnet", "advance", "2d")
    joined.data("market", "reveal", "--yes")
    address = state(joined)["address"]

    def send(function: str, *arguments: object) -> str:
        with joined.chain() as chain:
            data = chain.encode(MARKET, function, *arguments)
        joined.send("alice", address, data)
        return joined("market", "status", "bounty").out

    with joined.chain() as chain:
        block = chain.view(MARKET, address, "drawBlock")
        while chain.block_number() <= block:
            chain.advance(0)
        header = chain.header(block)
    assert "scoring   order 1 of 4; 0 of 26 samples" in send("drawOrder", header)
    assert "scoring   order 1 of 4; 5 of 26 samples" in send("step", 5)
    assert "scoring" not in send("step", 256)
    now = state(joined)
    assert (now["stage"], now["orders_scored"]) == ("resetting", 1)
    assert "scoring   order 2 of 4; 0 of 26 samples" in send("step", 256)


def test_scores_and_money_are_those_of_the_replica(joined: Dcai) -> None:
    """What the contract found by steps, the replica finds by itself; burned is what both say."""
    for name in ("bob", "carol"):
        joined.data("market", "reveal", "bounty", "--account", name, "--yes")
    joined.data("devnet", "advance", "2d")
    joined.data("market", "reveal", "--yes")
    drawn = joined.data("market", "step", "--yes")["moves"][0]["transaction"]
    with Workspace(joined.settings) as workspace:
        chain = workspace.chain
        address = state_address(workspace)
        market = read_market(chain, address)
        kept = {
            name: workspace.ledger.kept(chain.key, address_of(name), address, kind="contribution")[0].payload
            for name in ("bob", "carol")
        }
        tests = b"".join(
            one.payload for one in workspace.ledger.kept(chain.key, ADDRESSES["alice"], address, kind="piece")
        )
        receipt = chain.receipt(drawn)
        assert receipt is not None
        (seed,) = (one.args["seed"] for one in chain.events(MARKET, receipt) if one.name == "OrderDrawn")
    params = market.model.params
    orders = draw_orders(seed, [kept["bob"], kept["carol"]], params, market.rules.orders)
    start = make_replica(params, [0] * params.total_words)
    assert isinstance(start, Perceptron)
    found = evaluate(start, tests, orders, 2)
    assert list(found.scores) == [one.score for one in market.participants[:2]]
    stakes = [Stake(one.stake_wei, one.score, one.samples > 0) for one in market.participants]
    settlement = settle(market.rules, stakes)
    assert [one.owed_wei for one in settlement.outcomes] == [one.owed_wei for one in market.participants]
    assert [one.removed for one in settlement.outcomes] == [one.removed for one in market.participants]
    assert joined.balance_wei(BURN) == settlement.burned_wei


@pytest.mark.parametrize("missed", ["opening", "testing"])
def test_a_provider_that_misses_a_deadline_pays_with_half_of_the_bounty(
    request: pytest.FixtureRequest, missed: str
) -> None:
    """Anybody ends the market; stakes go back, and those who showed their samples share the other half."""
    dcai: Dcai = request.getfixturevalue("made" if missed == "opening" else "joined")
    if missed == "opening":
        dcai.data("devnet", "advance", "25h")
    else:
        dcai.data("market", "reveal", "bounty", "--account", "bob", "--yes")
        dcai.data("devnet", "advance", "97h")
    found = state(dcai)
    assert (found["stage"], found["missed"], found["next"]["who"]) == (missed, True, "anybody")
    done = dcai.data("market", "collect", "bounty", "--account", "bob", "--yes")
    after = state(dcai)
    assert after["stage"] == "failed"
    half_wei = 10**18 // 2
    if missed == "opening":
        assert moves(done) == ["fail"]
        assert dcai.balance_wei(BURN) == half_wei
    else:
        assert moves(done) == ["fail", "collect"]
        bob, carol, dora = after["participants"]
        assert int(done["paid_wei"]) == int(bob["stake_wei"]) + half_wei
        assert dcai.balance_wei(BURN) == half_wei + int(carol["stake_wei"]) + int(dora["stake_wei"])
    assert moves(dcai.data("market", "collect", "bounty", "--yes")) == ["left"]
    assert dcai.balance_wei(after["address"]) == 0


def test_before_it_opens_and_after_it_closes_nobody_can_take_part(made: Dcai, joined: Dcai) -> None:
    """One error says what the market waits for; nothing is signed."""
    file = made.write("bob.csv", rows(3, 1))
    error = made.error("market", "join", "bounty", file, "--account", "bob", "--yes")
    assert (error["exit_code"], "not open yet" in error["message"]) == (1, True)
    file = joined.write("alice.csv", rows(3, 1))
    error = joined.error("market", "join", "bounty", file, "--yes")
    assert "takes no contributions any more" in error["message"]


def test_what_is_not_the_time_for_is_not_tried(opened: Dcai) -> None:
    """While contributions come in there is nothing to show, no step, nothing to collect; it says so."""
    file = opened.write("bob.csv", rows(3, 1))
    opened.data("market", "join", "bounty", file, "--account", "bob", "--yes")
    for command in ("reveal", "step", "collect"):
        for name in ("alice", "bob"):
            data = opened.data("market", command, "bounty", "--account", name, "--yes")
            assert (data["moves"], data["plan"]) == ([], [])
    said = opened("market", "reveal", "--account", "bob", "--yes")
    assert "nothing to do now; next, participants: take part, within 6 d" in said.out


def test_what_nobody_may_yet_do_the_contract_refuses(opened: Dcai) -> None:
    """The errors of the contract come in words of their own, by its names."""
    with Workspace(opened.settings) as workspace:
        chain, market = workspace.chain, state_address(workspace)
        for function, args, name in (
            ("drawOrder", (b"",), "WrongPhase"),
            ("step", (1,), "WrongPhase"),
            ("fail", (), "NotFailed"),
            ("collectLeft", (), "WrongPhase"),
            ("collect", (ADDRESSES["bob"],), "NothingToCollect"),
            ("revealPiece", (0, bytes(32), b""), "WrongTime"),
        ):
            with pytest.raises(Exception, match=name) as caught:
                chain.estimate_gas(ADDRESSES["bob"], market, chain.encode(MARKET, function, *args))
            assert getattr(caught.value, "name", "") == name


def state_address(workspace: Workspace) -> str:
    """The address of the market."""
    deployer = known_deployer(workspace)
    assert deployer is not None
    return market_address(deployer, ADDRESSES["alice"], "bounty")


def die(*_: object) -> None:
    """The process ends where it was to send."""
    raise Died


def killed(dcai: Dcai, *arguments: str | Path) -> None:
    """Run a command that dies when it sends its first transaction: signed, written down, and not sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "send", die)
        with pytest.raises(Died):
            dcai(*arguments)


def killed_at(dcai: Dcai, number: int, *arguments: str | Path) -> None:
    """Run a command that dies when it sends its transaction of a number."""
    send, sent = Chain.send, list[None]()

    def die_late(chain: Chain, *more: Any) -> Any:
        sent.append(None)
        return die() if len(sent) == number else send(chain, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "send", die_late)
        with pytest.raises(Died):
            dcai(*arguments)


def test_killed_before_it_was_sent_the_same_command_takes_part_once(opened: Dcai) -> None:
    """The transaction that was signed is sent as it stands; a second stake is not paid."""
    file = opened.write("bob.csv", rows(6, 1))
    join = ("market", "join", "bounty", file, "--account", "bob", "--yes")
    killed(opened, *join)
    data = opened.data(*join)
    assert (data["transaction"], data["stake_wei"] != "0") == (None, True)
    assert [one["units"] for one in state(opened)["participants"]] == [6]
    assert opened.data(*join)["transaction"] is None


def test_what_was_committed_is_in_ledger_and_key_alone(joined: Dcai) -> None:
    """With all but ledger, keys and chain gone, each shows what it committed to."""
    for file in joined.folder.glob("*.csv"):
        file.unlink()
    shutil.rmtree(joined.home / "locks", ignore_errors=True)
    killed(joined, "market", "reveal", "--account", "bob", "--yes")
    assert moves(joined.data("market", "reveal", "--account", "bob", "--yes")) == []
    assert [one["samples"] > 0 for one in state(joined)["participants"]] == [True, False, False]
    joined.data("devnet", "advance", "2d")
    assert moves(joined.data("market", "reveal", "--yes")) == ["piece"] * 3


def test_where_the_ledger_is_lost_the_same_file_brings_back_what_must_be_shown(joined: Dcai) -> None:
    """Without the ledger it says what to do; the same join or create, by the same key, restores it."""
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (joined.home / name).unlink(missing_ok=True)
    deployer = factory_deployer(joined)
    named = ("--deployer", deployer, "--account", "bob")
    error = joined.error("market", "reveal", "bounty", *named, "--yes")
    assert (error["code"], "samples that you committed to" in error["message"]) == ("bad-input", True)
    file = joined.folder / "bob.csv"
    assert joined.data("market", "join", "bounty", file, *named, "--yes")["transaction"] is None
    assert moves(joined.data("market", "reveal", "bounty", *named, "--yes")) == ["reveal"]
    joined.data("devnet", "advance", "2d")
    alice = ("--account", "alice")
    test = ("--test", joined.folder / "test.csv")
    assert joined.data("market", "create", "bounty", *test, *RULES, *alice)["transactions"] == []
    assert moves(joined.data("market", "reveal", "bounty", *alice, "--yes")) == ["piece"] * 3


def factory_deployer(dcai: Dcai) -> str:
    """The deployer of the embedded chain: alice's first contract for markets."""
    with Workspace(dcai.settings) as workspace:
        for nonce in range(40):
            from dcai_cli.chain.signing import created_address

            deployer = created_address(ADDRESSES["alice"], nonce)
            if workspace.chain.code(factory_address(deployer)):
                return deployer
    raise AssertionError("no factory")


def test_salts_follow_from_the_key_and_stand_nowhere(joined: Dcai) -> None:
    """The same key gives the same salts, each another; none is in the ledger, nor in what commands say."""
    with Workspace(joined.settings) as workspace:
        market, chain_id = state_address(workspace), workspace.chain.chain_id
        drawn = read_market(workspace.chain, market).drawn_piece
    alice, bob = Account.from_key(PEOPLE["alice"]), Account.from_key(PEOPLE["bob"])
    salts = [piece_salt(alice, chain_id, market, index) for index in range(4)]
    salts += [contribution_salt(one, chain_id, market) for one in (alice, bob)]
    salts.append(piece_salt(alice, chain_id + 1, market, 0))
    assert len(set(salts)) == len(salts)
    assert salts[0] == piece_salt(alice, chain_id, market, 0)
    said = [
        joined("market", command, "bounty", *more, "--account", "bob", "--json", "--verbose")
        for command, more in (("status", ()), ("reveal", ("--dry-run",)), ("reveal", ("--yes",)))
    ]
    texts = "".join(one.out + one.err for one in said)
    ledger = (joined.home / "ledger.sqlite").read_bytes()
    assert [salt.hex() in texts for salt in salts] == [False] * len(salts)
    # That of the piece that was drawn is public by now, as part of a transaction.
    assert [salt in ledger for salt in salts[:4]] == [index == drawn for index in range(4)]


def test_a_dry_run_signs_nothing(made: Dcai, opened: Dcai) -> None:
    """Plans are shown, and chain, money and ledger are as they were."""
    file = opened.write("bob.csv", rows(5, 1))
    with opened.unchanged():
        data = opened.data("market", "join", "bounty", file, "--account", "bob", "--dry-run")
        assert (data["dry_run"], data["units"], data["transaction"]) == (True, 5, None)
    test = made.write("other.csv", rows(24, 9))
    with made.unchanged():
        data = made.data("market", "create", "other", "--test", test, *RULES, "--dry-run")
        assert (data["market"], data["rules"]["piece_samples"]) == (None, 6)
    with made.unchanged():
        plan = made.data("market", "reveal", "bounty", "--dry-run")["plan"]
        assert [move["move"] for move in plan] == ["piece"]


def test_who_joins_is_told_until_when_the_stake_is_bound(opened: Dcai) -> None:
    """Until the provider has shown all, at the latest by the rules: as a date, and how long that is."""
    opened.data("devnet", "advance", "1d")
    file = opened.write("bob.csv", rows(4, 2))
    join = ("market", "join", "bounty", file, "--account", "bob", "--dry-run")
    with Workspace(opened.settings) as workspace:
        market = read_market(workspace.chain, state_address(workspace))
    end = market.since + (7 + 2 + 2) * 86_400
    data, said = opened.data(*join), opened(*join).out
    with Workspace(opened.settings) as workspace:  # Its time is that of this machine, a day later.
        last = read_market(workspace.chain, market.address).now
    left = range(end - last, end - market.now + 1)
    assert data["locked_until"] == iso_time(end)
    assert data["locked_s"] in left
    assert 0 < int(data["step_gas_wei"]) <= int(data["market"]["rules"]["step_fee_wei"])
    lines = {
        f"locked    until {iso_time(end)} ({format_duration(seconds)}) at the latest" for seconds in left
    }
    assert any(line in said for line in lines)
    assert "warning:" not in said


def test_a_stake_is_not_bound_for_longer_than_somebody_allows(opened: Dcai) -> None:
    """60 days unless it is said; a provider that takes its time, and fees too low for steps, are named."""
    make_market(opened, "--tests", "49000d", "--reserve", "0wei", name="forever")
    opened.data("market", "reveal", "forever", "--yes")
    file = opened.write("bob.csv", rows(4, 2))
    join = ("market", "join", "alice/forever", file, "--account", "bob")
    contribute = ("contribute", file, "--market", "alice/forever", "--account", "bob")
    with opened.unchanged():
        for typed in ((*join, "--dry-run"), (*join, "--yes"), (*contribute, "--yes")):
            error = opened.error(*typed)
            assert (error["exit_code"], "--max-lock" in error["hint"]) == (16, True)
            assert "above the limit of 60 d." in error["message"]
        error = opened.error(*contribute, "--yes", "--max-lock", "49008d")
        assert "49,008 d" in error["message"] or "49008 d" in error["message"]
        said = opened(*join, "--dry-run", "--max-lock", "49009d").out
        assert "warning: the provider has given itself 49000 d to show its test set" in said
        assert "warning: a step pays 0 ETH for each contribution" in said
        error = opened.error("contribute", file, "--max-lock", "1d", "--yes")
        assert (error["exit_code"], "--market" in error["hint"]) == (2, True)
    assert int(opened.data(*contribute, "--yes", "--max-lock", "49009d")["stake_wei"]) > 0


def test_parts_that_were_shown_are_found_from_the_market_s_block_on(joined: Dcai) -> None:
    """Whatever the ledger knows: nodes drop old logs, and refuse to be asked for all from block 0 on."""
    joined.data("devnet", "advance", "2d")
    killed_at(joined, 3, "market", "reveal", "bounty", "--yes")
    asked: list[int] = []
    logs = Chain.logs

    def watched(chain: Chain, contract: str, address: str, event: str, first: int, *more: int) -> Any:
        asked.append(first)
        return logs(chain, contract, address, event, first, *more)

    with Workspace(joined.settings) as workspace:
        address = state_address(workspace)
        (made,) = workspace.ledger.transactions(workspace.chain.key, states=("mined",), kind="market-create")
    for file in joined.home.glob("ledger.sqlite*"):
        file.unlink()
    with Workspace(joined.settings) as workspace, pytest.MonkeyPatch.context() as patch:
        market = read_market(workspace.chain, address)
        assert 1 < market.revealed < 4
        patch.setattr(Chain, "logs", watched)
        shown = shown_pieces(workspace, market)
    assert (len(shown), market.drawn_piece in shown) == (market.revealed, True)
    assert asked == [made.block_number]


def test_a_market_that_broke_off_is_made_by_the_same_command(prepared: Path, tmp_path: Path) -> None:
    """Killed at its first transaction, it is finished, the bounty paid once; other tests are refused."""
    from tests.cli.conftest import Dcai

    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    dcai = Dcai(tmp_path)
    test = dcai.write("test.csv", rows(24, 5))
    killed(dcai, "market", "create", "bounty", "--test", test, *RULES)
    make_market(dcai)
    with Workspace(dcai.settings) as workspace:
        sent = workspace.ledger.transactions(workspace.chain.key, states=("mined",), kind="market-create")
    assert len(sent) == 1
    assert dcai.data("market", "create", "bounty", "--test", test, *RULES)["transactions"] == []
    error = dcai.error("market", "create", "bounty", "--test", dcai.write("b.csv", rows(24, 6)), *RULES)
    assert (error["exit_code"], "another test set" in error["message"]) == (15, True)


def test_training_begins_with_the_provider_s_weights(made: Dcai) -> None:
    """The words are on-chain before the first piece is shown, as the ledger has them."""
    train = made.write("train.csv", rows(30, 77))
    make_market(made, "--pretrain", str(train), name="ahead")
    market, words, kept = begun(made)
    assert any(words)
    assert [words] == kept
    assert market.phase == "opening"


def test_a_market_is_not_taken_up_with_other_weights(made: Dcai) -> None:
    """The same command goes on; another file to start with is refused, and so is none, with nothing sent."""
    train, other = (str(made.write(f"{seed}.csv", rows(30, seed))) for seed in (77, 78))
    make_market(made, "--pretrain", train, name="ahead")
    make_market(made, "--pretrain", train, name="ahead")
    _, words, kept = begun(made)
    for weights in (("--pretrain", other), ()):
        with made.unchanged():
            test = made.write("test.csv", rows(24, 5))
            error = made.error("market", "create", "ahead", "--test", test, *RULES, *weights)
        assert (error["exit_code"], "starts with other weights" in error["message"]) == (15, True)
    assert begun(made)[1:] == (words, kept)


def test_many_weights_are_written_in_order_and_few_enough_at_once(made: Dcai) -> None:
    """The contract takes 400 words in a transaction, and none before the last one that it has."""
    train = made.write("train.csv", rows(30, 77))
    make_market(made, "--pretrain", str(train), "--n-features", "16384", name="ahead")
    market, words, kept = begun(made)
    with made.chain() as chain:
        written = [event.args for event in chain.logs(MARKET, market.address, "InitialWeights", 0)]
    assert len(kept) > 1
    assert [list(one["words"]) for one in written] == kept
    assert max(map(len, kept)) <= 400
    found = [0] * market.model.params.total_words
    last = 0
    for one in written:
        assert one["firstWord"] >= last
        last = one["firstWord"] + len(one["words"])
        found[one["firstWord"] : last] = one["words"]
    assert (found, any(found)) == (words, True)


def begun(dcai: Dcai) -> tuple[Market, list[int], list[list[int]]]:
    """The market `ahead`, the words that training begins with there, and those of the ledger by parts."""
    with Workspace(dcai.settings) as workspace:
        chain, deployer = workspace.chain, known_deployer(workspace)
        assert deployer is not None
        market = read_market(chain, market_address(deployer, ADDRESSES["alice"], "ahead"))
        working = chain.view(REPLAY, market.replay, "working")
        total = market.model.params.total_words
        words = [
            word
            for first in range(0, total, 1024)
            for word in chain.view("Perceptron", working, "weights", first, min(1024, total - first))
        ]
        kept = workspace.ledger.kept(chain.key, ADDRESSES["alice"], market.address, kind="weights")
    parts = [
        [int.from_bytes(one.payload[at : at + 32], "big") for at in range(0, len(one.payload), 32)]
        for one in kept
    ]
    return market, words, parts


def test_a_test_set_that_no_piece_could_show_is_refused(made: Dcai) -> None:
    """All pieces together have 24,576 bytes, each its equal part; what fits that part can be shown."""
    fitting, longer = (
        [(words_of(at, count), ("negative", "positive")[at % 2]) for at in range(60)] for count in (200, 215)
    )
    market = ("--labels", "negative,positive", "--n-features", "16384", "--bounty", "1ether", "--yes")
    create = ("market", "create", "long", "--pieces", "4", *market)
    with made.unchanged():
        error = made.error(*create, "--test", made.write("longer.csv", longer))
    assert (error["exit_code"], "takes 6,144 in each of 4 pieces" in error["message"]) == (15, True)
    assert made.data(*create, "--test", made.write("fitting.csv", fitting))["rules"]["piece_samples"] == 15
    assert moves(made.data("market", "reveal", "long", "--yes")) == ["piece"]


def words_of(row: int, count: int) -> str:
    """A text of so many words that no other row has."""
    return " ".join(f"w{row}x{at}" for at in range(count))


REFUSED = {
    "unknown": (("market", "status", "nosuch"), 2, "No market is called 'nosuch'"),
    "no market": (("market", "status", ADDRESSES["bob"]), 17, "is no market of the factory"),
    "too many units": (("market", "join", "bounty", "many.csv", "--yes"), 15, "--limit 30"),
    "limit": (("market", "join", "bounty", "few.csv", "--max-stake", "1gwei", "--yes"), 16, "--max-stake"),
    "labels": (("market", "join", "bounty", "strange.csv", "--yes"), 15, "row 1"),
    "three labels": (
        ("market", "create", "x", "--test", "few.csv", "--labels", "a,b,c", "--bounty", "1ether", "--yes"),
        2,
        "perceptrons of two labels",
    ),
    "too few tests": (
        ("market", "create", "x", "--test", "few.csv", *RULES, "--pieces", "9"),
        15,
        "--pieces",
    ),
    "too small a bounty": (
        ("market", "create", "x", "--test", "few.csv", *RULES, "--pieces", "2", "--bounty", "1wei"),
        2,
        "bounty in wei",
    ),
    "poor": (
        ("market", "create", "x", "--test", "few.csv", *RULES, "--pieces", "2", "--bounty", "2000ether"),
        12,
        "--bounty",
    ),
    "model options": (
        ("contribute", "few.csv", "--market", "bounty", "--spread", "1h", "--yes"),
        2,
        "--spread is for contributions to a model",
    ),
    "deployer": (("market", "status", "--deployer", ADDRESSES["bob"]), 17, "has made no factory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_has_one_error_that_names_it(opened: Dcai, case: str) -> None:
    """The right exit code, the value or option at fault, and nothing changed."""
    arguments, code, words = REFUSED[case]
    opened.write("many.csv", rows(60, 3))
    opened.write("few.csv", rows(6, 4))
    opened.write("strange.csv", [("a warm film", "neutral")])
    with opened.unchanged():
        error = opened.error(*arguments)
    assert error["exit_code"] == code
    assert words in error["message"] + error["hint"]


def right_of(model: Replica, samples: bytes) -> int:
    """How many samples a model gets right."""
    labels = [sample[0] for sample in split_samples(samples, model.wire)]
    return sum(map(int.__eq__, model.predict(samples).tolist(), labels))


@pytest.mark.parametrize("begins", ["with zeros", "with weights"])
def test_who_joins_is_told_what_the_rows_do_to_the_piece_that_was_shown(made: Dcai, begins: str) -> None:
    """Before and after is what a replica says that learns the rows, from the weights of the provider on."""
    weights = ("--pretrain", str(made.write("train.csv", rows(9, 77, is_wrong=True))))
    make_market(made, "--margin", "2", *(weights if begins == "with weights" else ()), name="ahead")
    made.data("market", "reveal", "ahead", "--yes")
    made.data("devnet", "advance", "1h")
    file = made.write("bob.csv", rows(16, 19))
    join = ("market", "join", "alice/ahead", file, "--account", "bob")
    tried = made.data(*join, "--dry-run")
    said = made(*join, "--dry-run").out
    joined = made.data(*join, "--yes")
    with Workspace(made.settings) as workspace:
        chain, deployer = workspace.chain, known_deployer(workspace)
        assert deployer is not None
        market = read_market(chain, market_address(deployer, ADDRESSES["alice"], "ahead"))
        of_market = (chain.key, ADDRESSES["alice"], market.address)
        pieces = [one.payload for one in workspace.ledger.kept(*of_market, kind="piece")]
        words = [one.payload for one in workspace.ledger.kept(*of_market, kind="weights")]
        (own,) = workspace.ledger.kept(chain.key, ADDRESSES["bob"], market.address, kind="contribution")
    model = make_replica(market.model.params, b"".join(words) or None)
    before = [right_of(model, piece) for piece in pieces]
    model.train(own.payload)
    after = [right_of(model, piece) for piece in pieces]
    # Whichever was drawn: nothing else would tell the one from the other.
    assert all(first != second for first, second in zip(before, after, strict=True))
    drawn = (6, before[market.drawn_piece], after[market.drawn_piece])
    for data in (tried, joined):
        assert tuple(data[key] for key in ("shown_samples", "shown_right", "shown_right_after")) == drawn
    line = "of the {} test samples shown the model gets {} right, and {} after these rows alone"
    assert line.format(*drawn) in said
    again = made.data(*join, "--yes")
    assert (again["transaction"], again["shown_samples"]) == (None, None)


@pytest.mark.parametrize("kind", ["bytes", "samples"])
def test_what_could_never_be_revealed_is_refused_before_a_stake_is_paid(opened: Dcai, kind: str) -> None:
    """More than 24,575 bytes, or 256 samples: found and allowed are named, and the rows that are said fit."""
    make_market(opened, "--n-features", "4096", "--quota", "1024", "--quota-each", "1024", name="large")
    opened.data("market", "reveal", "large", "--yes")
    per_row, count = (200, 70) if kind == "bytes" else (2, 257)
    file = opened.write("bob.csv", [(words_of(row, per_row), "positive") for row in range(count)])
    join = ("market", "join", "alice/large", file, "--account", "bob", "--yes")
    for more in ((), ("--dry-run",)):
        with opened.unchanged():
            error = opened.error(*join, *more)
        assert error["exit_code"] == 15
    found, allowed = [int(number.replace(",", "")) for number in re.findall(r" ([\d,]+) ", error["message"])]
    assert (allowed, found > allowed) == (24_575 if kind == "bytes" else 256, True)
    limit = error["hint"].rpartition(" ")[2]
    assert int(opened.data(*join, "--limit", limit)["payload_bytes"]) <= 24_575
    opened.data("devnet", "advance", "7d")
    assert moves(opened.data("market", "reveal", "alice/large", "--account", "bob", "--yes")) == ["reveal"]


def test_contribute_takes_part_in_a_market_as_well(opened: Dcai) -> None:
    """`dcai contribute FILE --market MARKET` is `dcai market join MARKET FILE`."""
    file = opened.write("bob.csv", rows(4, 2))
    data = opened.data("contribute", file, "--market", "bounty", "--account", "bob", "--yes")
    assert (data["samples"], int(data["stake_wei"]) > 0) == (4, True)
    assert len(state(opened)["participants"]) == 1


def test_who_takes_part_is_told_to_show_what_is_due(joined: Dcai) -> None:
    """`dcai` alone names the command first, for whoever has something to do in a market."""

    def steps(name: str) -> list[str]:
        data = joined("--json", ETH_FROM=name).document["data"]
        return [step["command"] for step in data["next"]]

    assert [steps(name)[0] for name in ("bob", "alice")] == ["dcai market reveal"] * 2
    joined.data("market", "reveal", "--account", "bob", "--yes")
    joined.data("devnet", "advance", "97h")
    joined.data("market", "collect", "--account", "bob", "--yes")
    assert "dcai market reveal" not in steps("bob")


def test_status_lists_all_markets_with_what_comes_next(joined: Dcai) -> None:
    """For people each market says stage, money, participants by their names, and the command that is next."""
    make_market(joined, name="second")
    said = joined("market", "status").out
    assert "bounty, a market of alice: revealing" in said
    assert "second, a market of alice: opening" in said
    assert "bob: 16 units for" in said
    assert "next      participants: show their samples, or lose their stakes, within" in said
    assert len(joined.data("market", "status")["markets"]) == 2


def test_markets_are_completed(joined: Dcai) -> None:
    """Those that somebody here made by their names, those that somebody takes part in by their addresses."""
    address = state(joined)["address"]
    lines = [f"market {command} " for command in ("join", "reveal", "step", "collect", "status")]
    for line in (*lines, "contribute bob.csv --market "):
        assert offered(joined, line) == ["bounty", address]
        assert offered(joined, f"{line}b") == ["bounty"]
    assert offered(joined, "market status b", ETH_RPC_URL="http://127.0.0.1:8545", DCAI_CHAIN_ID="1") == []


@pytest.mark.parametrize(("rounds", "harm"), [("12", "over 12 of 24"), ("23", "over 23 of 24"), ("24", "")])
def test_a_provider_is_told_of_harm_that_no_stake_pays_for(made: Dcai, rounds: str, harm: str) -> None:
    """Where the stake is less than the bounty by rounds, one round can cost more than it."""
    test = ("--test", made.write("other.csv", rows(24, 9)), *RULES)
    said = made(
        "market", "create", "other", *test, "--bounty", "2.4ether", "--rounds", rounds, "--dry-run"
    ).out
    assert ("Choose a higher --rounds" in said, harm in said) == (bool(harm), True)


def test_a_test_set_that_does_not_divide_the_bounty_needs_no_warning(made: Dcai) -> None:
    """The stake that is chosen is rounded up: rounded down, the last test sample would cost nothing."""
    said = made(
        "market", "create", "other", "--test", made.write("odd.csv", rows(28, 9)), *RULES, "--dry-run"
    )
    assert (said.code, "costs nothing" in said.out) == (0, False)
    few = made(
        *("market", "create", "other", "--test", made.write("odd.csv", rows(28, 9)), *RULES),
        *("--rounds", "27", "--dry-run"),
    )
    assert "over 27 of 28" in few.out


def test_steps_pay_what_is_said_where_training_begins_with_weights(made: Dcai) -> None:
    """A reset takes the provider's words back as well, in one part, and is paid for all of them."""
    weights = ("--pretrain", str(made.write("train.csv", rows(9, 77))))
    make_market(made, *weights, "--orders", "2", name="ahead")
    made.data("market", "reveal", "ahead", "--yes")
    file = made.write("bob.csv", rows(8, 3))
    made.data("market", "join", "alice/ahead", file, "--account", "bob", "--yes")
    made.data("devnet", "advance", "7d")
    made.data("market", "reveal", "alice/ahead", "--account", "bob", "--yes")
    made.data("devnet", "advance", "2d")
    made.data("market", "reveal", "ahead", "--yes")
    before_wei = made.balance_wei(ADDRESSES["alice"])
    stepped = made.data("market", "step", "ahead", "--yes")
    gained_wei = made.balance_wei(ADDRESSES["alice"]) - before_wei
    assert gained_wei == int(stepped["paid_wei"]) - int(stepped["fee_wei"])
    (ahead,) = made.data("market", "status", "ahead")["markets"]
    assert ahead["stage"] == "published"
