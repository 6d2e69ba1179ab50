"""Parts of JSON documents that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcai_cli.services.models import HostedModel


def model_data(model: HostedModel) -> dict[str, Any]:
    """A model, as every command's document describes it."""
    terms, params = model.terms, model.params
    return {
        "name": model.name,
        "address": model.address,
        "owner": model.owner,
        "model": model.model,
        "incentive": model.incentive,
        "data_handler": model.data_handler,
        "kind": model.spec.kind,
        "labels": list(model.spec.labels),
        "n_features": model.spec.n_features,
        "model_type": params.model_type,
        "margin": params.margin,
        "weight_bits": params.weight_bits,
        "smoothing": params.smoothing / 256,
        "bernoulli": params.bernoulli,
        "incentive_type": model.incentive_type,
        "refund_wait_s": terms.refund_wait_s,
        "report_wait_s": terms.report_wait_s,
        "owner_wait_s": terms.owner_wait_s,
        "public_wait_s": terms.public_wait_s,
        "min_gap_s": terms.min_gap_s,
        "max_idle_s": terms.max_idle_s,
        "cost_weight_wei": str(terms.cost_weight_wei),
    }
