"""Write a JSON Schema for the document of each command into docs/schemas/.

`python tools/json_schemas.py [--check]`: with --check nothing is written, and the exit status is 1 if a file
is stale. The fields and their types stand here, what they mean in docs/json.md; a test holds that both name
the same fields.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "json.md"
FOLDER = PROJECT / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES: dict[str, dict[str, Any]] = {
    "amount": {"type": "string", "pattern": "^(0|-?[1-9][0-9]*)$"},
    "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    "address": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
    "hash": {"type": "string", "pattern": "^0x[0-9a-f]{64}$"},
    "hex": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
    "text": {"type": "string"},
    "count": {"type": "integer", "minimum": 0},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "flag": {"type": "boolean"},
}
"""What a field can be; `?` behind it means "or null", and behind a field's name "may be missing"."""

_SENT = {"gas_used": "count", "fee_wei": "amount"}
_PART = {
    "samples": "count",
    "deposit_wei": "amount",
    "refunded_wei": "amount",
    "lost_wei": "amount",
    "open_wei": "amount",
}
"""Samples, and what became of their deposits."""

_SKIPPED = [{"row": "count", "reason": "text"}]
_SUM = {"batches": "count", "samples": "count", "amount_wei": "amount"}
_SUM_OR_NULL = {**_SUM, "?": True}
_NEXT = [{"command": "text", "why": "text"}]
_ACCOUNT = {"name": "text", "address": "address?", "in_use": "flag"}
_MODEL = {
    "name": "text",
    "address": "address",
    "owner": "address",
    "model": "address",
    "incentive": "address",
    "data_handler": "address",
    "kind": ("text", "tabular", "dense"),
    "labels": ["text"],
    "n_features": "count",
    "model_type": ("perceptron", "multiclass-perceptron", "naive-bayes", "nearest-centroid"),
    "margin": "count",
    "weight_bits": "count",
    "smoothing": "number",
    "bernoulli": "flag",
    "incentive_type": ("stake", "points"),
    "refund_wait_s": "count",
    "report_wait_s": "count",
    "owner_wait_s": "count",
    "public_wait_s": "count",
    "min_gap_s": "count",
    "max_idle_s": "count",
    "cost_weight_wei": "amount",
}
_ERROR = {"code": "text", "exit_code": "count", "message": "text", "hint": "text"}
_TRIAL = {
    "analyzer": ("word", "char", "char_wb"),
    "ngram_range": ["count"],
    "n_features": "count",
    "max_features": "count",
    "accuracy": "share?",
    "features": "number",
    "units": "number",
    "gas": "count",
    "is_choice": "flag",
}
_ITEM = {
    "batch_id": "count",
    "model": "address",
    "contributor": "address",
    "samples": "count",
    "claimable_samples": "count",
    "amount_wei": "amount",
    "points": "count",
    "added_at": "time",
    "due_at": "time",
    "expires_at": "time?",
    "state": ("waiting", "due", "at-risk", "unreadable", "disputed", "agreed", "sweepable"),
}
_LEFT = [{"batch_id": "count", "model": "address", "code": "text", "reason": "text"}]
_CLAIMED = {
    "points": "count",
    "claimed_samples": "count",
    "disagreed_samples": "count",
    "gas_used": "count",
    "fee_wei": "amount",
    "transactions": ["hash"],
    "left": _LEFT,
}
_RULES = {
    "pieces": "count",
    "piece_samples": "count",
    "orders": "count",
    "max_units": "count",
    "max_units_each": "count",
    "rounds": "count",
    "open_s": "count",
    "participate_s": "count",
    "reveal_s": "count",
    "tests_s": "count",
    "collect_s": "count",
    "bounty_wei": "amount",
    "stake_wei": "amount",
    "step_fee_wei": "amount",
}
_MARKET = {
    "name": "text",
    "address": "address",
    "provider": "address",
    "model": "address",
    "stage": (
        *("drawing", "opening", "participating", "revealing", "testing", "tested", "evaluating"),
        *("resetting", "replaying", "publishing", "published", "failed"),
    ),
    "missed": "flag",
    "deadline": "time?",
    "draw_block": "count",
    "pieces_shown": "count",
    "units_taken": "count",
    "orders_scored": "count",
    "left_wei": "amount",
    "left_from": "time?",
    "rules": _RULES,
    "participants": [
        {
            "address": "address",
            "stake_wei": "amount",
            "units": "count",
            "samples": "count",
            "score": "integer",
            "removed": "flag",
            "owed_wei": "amount",
        }
    ],
    "next": {
        "who": ("provider", "participants", "anybody", "nobody"),
        "what": "text",
        "command": "text?",
        "until": "time?",
    },
}
_MARKET_OR_NULL = {**_MARKET, "?": True}
_WORK = {
    "account": "address",
    "dry_run": "flag",
    "plan": [{"market": "address", "move": "text", "what": "text", "gas": "count", "pays_wei": "amount"}],
    "moves": [{"market": "address", "move": "text", "what": "text", "transaction": "hash", **_SENT}],
    "paid_wei": "amount",
    "fee_wei": "amount",
    "markets": [{**_MARKET, "blocks_to_draw": "count"}],
}
_TRANSACTION = {
    "hash": "hash",
    "nonce": "count",
    "kind": "text",
    "detail": "text",
    "model": "address?",
    "state": ("signed", "sent", "mined", "reverted", "cancelled", "dropped"),
    "cancels": "flag",
    "attempts": "count",
    "signed_at": "time",
    "to": "address?",
    "value_wei": "amount",
    "gas": "count",
    "max_fee_per_gas_wei": "amount",
    "priority_fee_wei": "amount?",
    "block_number": "count?",
    "final": "flag",
    "gas_used": "count?",
    "fee_wei": "amount?",
}
_LEDGER = {"ledger": "text", "transactions": "count", "batches": "count", "samples": "count"}
_NETWORK = {
    "name": "text",
    "chain_id": "count?",
    "nodes": ["text"],
    "in_use": "flag",
    "confirmations": "count?",
    "fault": "text?",
}
_CHAIN = {"network": "text", "chain_id": "count", "block_number": "count", "time": "time", "path": "text?"}
_OUT = {
    "pending_batches": "count",
    "pending_wei": "amount",
    "claimable_batches": "count",
    "claimable_wei": "amount",
    "at_risk_batches": "count",
    "at_risk_wei": "amount",
    "oldest_deadline": "time?",
}
_FILE = {
    "model": "address",
    "output": "text",
    "block_number": "count",
    "block_hash": "hash",
    "words": "count",
}
_SETTING = {"name": "text", "is_set": "flag", "was_set": "flag", "path": "text"}

DOCUMENTS: dict[str, dict[str, Any]] = {
    "dcai": {
        "problem": {**_ERROR, "?": True},
        "network": "text",
        "chain_id": "count?",
        "chain_time": "time?",
        "account": "text?",
        "address": "address?",
        "accounts": ["text"],
        "balance_wei": "amount?",
        "model": "text?",
        "model_address": "address?",
        "models": ["text"],
        "due": _SUM_OR_NULL,
        "waiting": _SUM_OR_NULL,
        "next_due_at": "time?",
        "claimable_at": "time?",
        "on_their_way": "count?",
        "daemon_running": "flag",
        "daemon_pid": "count?",
        "next": _NEXT,
    },
    "init": {
        "changed": [("account", "network", "model")],
        "network": "text",
        "chain_id": "count?",
        "account": "text?",
        "address": "address?",
        "model": "text?",
        "model_address": "address?",
        "next": _NEXT,
    },
    "account new": _ACCOUNT,
    "account import": _ACCOUNT,
    "account use": _ACCOUNT,
    "account show": {**_ACCOUNT, "balance_wei": "amount"},
    "account list": {"accounts": [_ACCOUNT]},
    "model use": _MODEL,
    "model verify": {
        **_MODEL,
        "verified": "flag",
        "standard_json": [
            {
                "path": "text",
                "contract": "text",
                "address": "address",
                "implementation": "address",
                "compiler": "text",
            }
        ],
    },
    "model snapshot": _FILE,
    "model export": _FILE,
    "model audit": {
        "model": "address",
        "block_number": "count",
        "block_hash": "hash",
        "written_words": "count",
        "batches": "count",
        "samples": "count",
        "informative": "count",
        "is_result": "flag",
        "seconds": "number",
    },
    "model list": {"models": [{**_MODEL, "sealed": "flag", "superseded_by": "address?"}]},
    "model supersede": {"address": "address", "transaction": "hash", **_SENT},
    "model seal": {"address": "address", "transaction": "hash", **_SENT},
    "model show": {
        **_MODEL,
        "sealed_at": "time?",
        "batches": "count",
        "unit_price_wei": "amount?",
        "balance_wei": "amount",
        "superseded_by": "address?",
        "spec": "text",
        "contributors": "count?",
        "samples": "count?",
        "informative": "count?",
        "last_contributed_at": "time?",
        "evaluations": [
            {
                "published_at": "time",
                "block_number": "count",
                "publisher": "address",
                "test_set_hash": "text",
                "rows": "count",
                "correct": "count",
                "accuracy": "share?",
                "transaction": "hash",
            },
            None,
        ],
    },
    "model suggest": {
        "rows": "count",
        "is_whole": "flag",
        "tried_rows": "count",
        "labels": [{"label": "text", "rows": "count"}],
        "majority": {"label": "text", "share": "share"},
        "is_sorted": "flag",
        "unspaced_share": "share",
        "mark_share": "share",
        "reason": "text",
        "trials": [_TRIAL],
        "suggested": _TRIAL,
        "accuracy_error": "number",
        "spec": "text",
        "command": "text",
    },
    "model deploy": {**_MODEL, "sealed": "flag", **_SENT, "transactions": ["hash"]},
    "model evaluate": {
        "model": "address",
        "rows": "count",
        "correct": "count",
        "accuracy": "share?",
        "classes": [{"label": "text", "rows": "count", "precision": "share?", "recall": "share?"}],
        "confusion": {"labels": ["text"], "matrix": [["count"]]},
        "test_set_hash": "text",
        "skipped": _SKIPPED,
        "published": {"publisher": "address", "transaction": "hash", **_SENT, "?": True},
    },
    "featurize": {
        "rows": "count",
        "skipped": "count",
        "cut": "count",
        "payload_bytes": "count",
        "samples?": [
            {
                "row": "count",
                "label?": "text?",
                "indices?": ["count"],
                "values?": ["integer"],
                "cut?": "flag",
                "payload?": "hex",
                "skipped?": "text",
            }
        ],
        "output?": "text",
    },
    "contribute": {
        "model": "address",
        "account": "address",
        "dry_run": "flag",
        "rows": "count",
        "contributed": "count",
        "already_contributed": "count",
        "skipped": _SKIPPED,
        "findings": [
            {"kind": "text", "count": "count", "first": [{"row": "count", "earlier_row": "count?"}]}
        ],
        "sorted_by_label": "flag",
        "plan": {
            "samples": "count",
            "batches": "count",
            "unfinished_batches": "count",
            "deposit_at_most_wei": "amount",
            "ceiling": {"samples": "count", "quoted_wei": "amount", "offer_wei": "amount", "?": True},
            "spread": {
                "seconds": "count",
                "interval_s": "count",
                "batches": "count",
                "deposit_alone_wei": "amount",
                "?": True,
            },
            "gas": "count",
            "fee_estimate_wei": "amount",
            "fee_offer_wei": "amount",
            "fee_at_most_wei": "amount",
            "data_fee_wei": "amount",
            "balance_wei": "amount",
            "rejected": "count",
            "at_risk_wei": "amount",
            "loss_wei": "amount",
            "total_at_most_wei": "amount",
        },
        "batches": [
            {
                "batch_id": "count",
                "samples": "count",
                "informative": "count",
                "deposit_wei": "amount",
                "added_at": "time",
                "gas_used": "count",
                "fee_wei": "amount",
                "transaction": "hash",
            }
        ],
        "deposit_wei": "amount",
        **_SENT,
    },
    "predict": {
        "model": "address",
        "predictions?": [{"row": "count", "label": "text?", "reason?": "text"}],
        "output?": "text",
        "rows?": "count",
    },
    "refunds": {
        "totals": {**_SUM, "due": _SUM, "waiting": _SUM},
        "shown": "count",
        "items": [_ITEM],
    },
    "reports": {
        "totals": {**_SUM, "due": _SUM, "waiting": _SUM, "agreed": _SUM},
        "next_due_at": "time?",
        "next_sweep_at": "time?",
        "shown": "count",
        "items": [_ITEM],
    },
    "refunds --claim": {"refunded_wei": "amount", **_CLAIMED},
    "reports --claim": {"reported_wei": "amount", **_CLAIMED},
    "validate": {
        "model": "address",
        "account": "address",
        "validated": [{"contributor": "address", "transaction": "hash", **_SENT}],
        "already_validated": ["address"],
        "points_left": "count",
        **_SENT,
    },
    "leaderboard": {
        "model": "address",
        "by": ("model", "validation"),
        "contributors": "count",
        "leaderboard": [
            {
                "rank": "count",
                "contributor": "address",
                "account": "text?",
                "model_points": "count",
                "validation_points": "count",
                "badge_level": "count",
            }
        ],
    },
    "daemon run": {
        "outcome": ("good",),
        "network": "text",
        "account": "address",
        "started_at": "time",
        "ended_at": "time",
        "chain_time": "time",
        "recovered": "count",
        "claims": [
            {
                "kind": (
                    *("refund", "report", "sweep", "market-commit", "market-reveal", "market-draw"),
                    *("market-step", "market-fail", "market-collect"),
                ),
                "transaction": "hash",
                "mined": "flag",
                "amount_wei": "amount",
                "samples": "count",
                **_SENT,
            }
        ],
        "left": _LEFT,
        "markets": [
            {
                "market": "address",
                "name": "text",
                "stage": "text",
                "moves": ["text"],
                "paid_wei": "amount",
                "next_moment": "time?",
                "code": "text?",
                "reason": "text?",
            }
        ],
        **_OUT,
        "balance_wei": "amount",
        "gas_spent_today_wei": "amount",
    },
    "daemon status": {
        "daemons": [
            {
                "name": "text?",
                "account": "address",
                "network": "text",
                "mode": ("loop", "once"),
                "running": "flag",
                "pid": "count?",
                "host": "text",
                "healthy": "flag",
                "why": "text",
                "interval_s": "count",
                "started_at": "time",
                "last_cycle": "time?",
                "last_outcome": "text?",
                "last_good_cycle": "time?",
                "next_cycle": "time?",
                "failures": "count",
                "error": {"code": "text", "message": "text", "hint": "text", "?": True},
                "listen": "text?",
                "left": [{"code": "text", "batches": "count"}],
                **{name: kind.removesuffix("?") + "?" for name, kind in _OUT.items()},
                "lost_wei": "amount?",
                "balance_wei": "amount?",
                "gas_spent_wei": "amount",
                "gas_spent_today_wei": "amount",
                "gas_budget_wei": "amount?",
                "undelivered_alerts": "count",
            }
        ]
    },
    "daemon install": {
        "name": "text",
        "written": "flag",
        "path": "text?",
        "environment_file": "text",
        "text": "text",
    },
    "daemon uninstall": {"name": "text", "removed": "flag"},
    "data export": {
        "model": "address",
        "output": "text",
        "format": ("csv", "parquet", "hf"),
        "batches": "count",
        "samples": "count",
        "columns": ["text"],
        "to_block": "count",
    },
    "data stats": {
        "model": "address",
        "to_block": "count",
        **_PART,
        "batches": "count",
        "informative": "count",
        "contributors": "count",
        "first_at": "time?",
        "last_at": "time?",
        "duplicates": "count",
        "contradictions": "count",
        "features": {"least": "count", "median": "count", "mean": "number", "most": "count"},
        "labels": [{"label": "text", **_PART}],
        "states": [{"state": ("open", "refunded", "reported", "swept"), **_PART}],
        "by_contributor": [
            {
                "contributor": "address",
                "account": "text?",
                "batches": "count",
                "first_at": "time",
                "last_at": "time",
                **_PART,
            }
        ],
    },
    "market create": {
        "name": "text",
        "account": "address",
        "dry_run": "flag",
        "rules": _RULES,
        "labels": ["count"],
        "left_out": "count",
        "repeated": "count",
        "skipped": _SKIPPED,
        "reserve_wei": "amount",
        "paid_wei": "amount",
        "fee_at_most_wei": "amount",
        "market": _MARKET_OR_NULL,
        "transactions": ["hash"],
        **_SENT,
    },
    "market join": {
        "market": _MARKET,
        "account": "address",
        "dry_run": "flag",
        "rows": "count",
        "samples": "count",
        "units": "count",
        "payload_bytes": "count",
        "skipped": _SKIPPED,
        "repeated": "count",
        "stake_now_wei": "amount",
        "stake_at_most_wei": "amount",
        "test_wei": "amount",
        "locked_until": "time",
        "locked_s": "count",
        "step_gas_wei": "amount",
        "shown_samples": "count?",
        "shown_right": "count?",
        "shown_right_after": "count?",
        "fee_at_most_wei": "amount",
        "balance_wei": "amount",
        "stake_wei": "amount",
        "transaction": "hash?",
        **_SENT,
    },
    "market reveal": _WORK,
    "market step": _WORK,
    "market collect": _WORK,
    "market status": {"markets": [_MARKET]},
    "market simulate": {
        "scenario": "text",
        "title": "text",
        "seed": "count",
        "draws": "count",
        "rules": {
            name: kind for name, kind in _RULES.items() if not name.endswith("_s") and "fee" not in name
        },
        "participants": [
            {
                "name": "text",
                "samples": "count",
                "mistakes": "share",
                "stake_wei": "amount",
                "score": "number",
                "owed_wei": "amount",
                "above": "count",
                "removed": "count",
                "gas_used": "count?",
                "fee_wei": "amount?",
            }
        ],
        "right_sides": "count",
        "burned_wei": "amount",
        "left_wei": "amount",
        "accuracy_before": "share",
        "accuracy_published": "share",
        "gas_used": "count?",
        "fee_wei": "amount?",
    },
    "tx list": {"transactions": [_TRANSACTION]},
    "tx show": _TRANSACTION,
    "tx speed-up": _TRANSACTION,
    "tx cancel": _TRANSACTION,
    "ledger check": _LEDGER,
    "ledger rebuild": {
        "account": "address",
        "models": [{"name": "text", "address": "address"}],
        "foreign": [{"address": "address", "reason": "text"}],
        "batches": "count",
        "samples": "count",
        "open_batches": "count",
        "open_wei": "amount",
    },
    "ledger backup": {**_LEDGER, "path": "text"},
    "ledger restore": {**_LEDGER, "kept": "text?", "left_out": "count"},
    "devnet status": _CHAIN,
    "devnet advance": _CHAIN,
    "devnet reset": {"removed": "flag"},
    "network list": {"networks": [_NETWORK]},
    "network show": _NETWORK,
    "network add": _NETWORK,
    "network use": _NETWORK,
    "network remove": {"name": "text"},
    "config show": {
        "network": "text",
        "nodes": "text?",
        "webhook": "text?",
        "chain_id": "count?",
        "account": "text?",
        "password_file": "text?",
        "gas_price_wei": "count?",
        "priority_fee_wei": "count?",
        "confirmations": "count",
        "replace_after_s": "count",
        "ledger": "text",
        "config_file": "text",
        "data_folder": "text",
        "keystore": "text",
    },
    "config path": {"path": "text"},
    "config set": _SETTING,
    "config unset": _SETTING,
    "demo": {
        "stories": [
            {
                "title": "text",
                "rows": "count",
                "accuracy_before": "share",
                "accuracy_after": "share",
                "good_wei": "amount",
                "bad_wei": "amount",
                "gas_used": "count",
                "moments": [{"what": "text", "good_wei": "amount", "bad_wei": "amount"}],
            }
        ]
    },
    "simulate": {
        "scenario": "text",
        "title": "text",
        "seed": "count",
        "model_type": _MODEL["model_type"],
        "terms": {name: kind for name, kind in _MODEL.items() if name.endswith(("_s", "_wei"))},
        "duration_s": "count",
        "settle_s": "count",
        "test_rows": "count",
        "weights_hash": "hash",
        "times_s": ["count"],
        "correct": ["count"],
        "agents": [
            {
                "name": "text",
                "strategy": "text",
                "accounts": ["text"],
                "contributed": "count",
                "deposit_wei": "amount",
                "refunded": "count",
                "refunded_wei": "amount",
                "reported_wei": "amount",
                "swept_wei": "amount",
                "gas_used": "count?",
                "balances_wei": ["amount"],
                "out_wei": ["amount"],
            }
        ],
        "files": ["text"],
    },
}
"""The data of each document: field -> type; a tuple for one of some texts, a list for many (or null)."""


def described() -> dict[str, dict[str, str]]:
    """What docs/json.md says of each field, by command; `as above` is left to the fields above."""
    sections: dict[str, dict[str, str]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        if "| field | value |" not in text:
            continue
        table = text.partition("| field | value |")[2].partition("\n\n")[0]
        fields = {}
        for line in table.splitlines()[2:]:
            _, names, meaning, *_ = re.split(r"(?<!\\)\|", line)
            for name in re.findall(r"`([^`]+)`", names):
                fields[name] = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", meaning).replace("`", "").strip()
        for command in title.split(", "):
            sections[command] = dict(fields)
    model = sections["model use"]
    for command in ("model verify", "model show", "model deploy"):
        sections[command] = model | sections[command]
    sections["model list"] |= {f"models[].{name}": meaning for name, meaning in model.items()}
    listed = {name: meaning for name, meaning in sections["market status"].items() if name != "markets"}
    market = {name.removeprefix("markets[]."): meaning for name, meaning in listed.items()}
    for command in ("market create", "market join"):
        sections[command] |= {f"market.{name}": meaning for name, meaning in market.items()}
    rules = {name: meaning for name, meaning in market.items() if name.startswith("rules.")}
    sections["market create"] |= rules
    for command in ("market reveal", "market step", "market collect"):
        sections[command] |= listed
    for name in ("address", "in_use", "name"):
        sections["account list"][f"accounts[].{name}"] = sections["account new"][name]
    return sections


def shape_schema(shape: Any, path: str, meanings: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 - as above
    """The schema of one field.

    Args:
        shape: as in `DOCUMENTS`.
        path: of the field, as docs/json.md writes it.
        meanings: path -> what it means.
    """
    if isinstance(shape, list):
        kind: Any = "array" if len(shape) == 1 else ["array", "null"]
        found: dict[str, Any] = {"type": kind, "items": shape_schema(shape[0], f"{path}[]", meanings)}
    elif isinstance(shape, tuple):
        found = {"type": "string", "enum": list(shape)}
    elif isinstance(shape, dict):
        found = _object(shape, path, meanings)
    else:
        found = dict(_TYPES[shape.removesuffix("?")])
        if shape.endswith("?"):
            found["type"] = [found["type"], "null"]
    if path in meanings:
        return {"description": meanings[path], **found}
    return found


def _object(shape: dict[str, Any], path: str, meanings: dict[str, str]) -> dict[str, Any]:
    prefix = f"{path}." if path else ""
    fields = {name: kind for name, kind in shape.items() if name != "?"}
    return {
        "type": ["object", "null"] if "?" in shape else "object",
        "properties": {
            name.removesuffix("?"): shape_schema(kind, prefix + name.removesuffix("?"), meanings)
            for name, kind in fields.items()
        },
        "required": [name for name in fields if not name.endswith("?")],
    }


def document_schema(command: str, meanings: dict[str, str]) -> dict[str, Any]:
    """The schema of a command's whole document: its data, or its error."""
    words = command.removesuffix(" --claim").removeprefix("dcai")
    return {
        "$schema": DIALECT,
        "title": f"dcai {command.removeprefix('dcai')} --json".replace("  ", " "),
        "type": "object",
        "properties": {
            "version": {"const": 1},
            "command": {"const": words},
            "data": shape_schema(DOCUMENTS[command], "", meanings),
            "error": shape_schema(_ERROR, "", {}),
        },
        "required": ["version", "command"],
        "oneOf": [{"required": ["data"]}, {"required": ["error"]}],
    }


def paths(shape: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401 - as above
    """The fields of a shape, as docs/json.md writes them."""
    if isinstance(shape, dict):
        for name, kind in shape.items():
            if name != "?":
                yield prefix + name.removesuffix("?")
                yield from paths(kind, f"{prefix}{name.removesuffix('?')}.")
    elif isinstance(shape, list):
        yield from paths(shape[0], f"{prefix.removesuffix('.')}[].")


def file_name(command: str) -> str:
    """The file of a command's schema.

    >>> file_name("refunds --claim")
    'refunds-claim.json'
    """
    return f"{command.replace(' --', '-').replace(' ', '-')}.json"


def schemas() -> dict[str, str]:
    """File name -> text, for every command.

    Raises:
        ValueError: docs/json.md describes other commands.
    """
    meanings = described()
    if meanings.keys() != DOCUMENTS.keys():
        raise ValueError(f"only in one of both: {sorted(meanings.keys() ^ DOCUMENTS.keys())}")
    return {
        file_name(command): json.dumps(document_schema(command, meanings[command]), indent=1) + "\n"
        for command in DOCUMENTS
    }


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    texts = schemas()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if not parser.parse_args().check:
        for name in there.keys() - texts.keys():
            (FOLDER / name).unlink()
        for name, text in texts.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    if there == texts:
        return 0
    print(f"{FOLDER} is stale; run: python tools/json_schemas.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
