"""What a pair's layers are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One decoder layer of the target or the drafter."""

    index: int
    attention: str  # "sliding" or "full"
    # Where keys and values come from: "own" (it computes them), "shared" (those of a lower layer),
    # "handed over" (own, and the drafter reads them) or "target" (a drafter's).
    kv: str


def layers(pair: ModelPair) -> tuple[list[LayerInfo], list[LayerInfo]]:
    """Return the decoder layers of target and drafter."""
    target = pair.target.config.get_text_config()
    producers = set(kv_layers(target).values())
    first_shared = target.num_hidden_layers - target.num_kv_shared_layers

    def of(config: Any, kv: Callable[[int], str]) -> list[LayerInfo]:
        kinds = enumerate(config.layer_types)
        return [LayerInfo(i, kind.removesuffix("_attention"), kv(i)) for i, kind in kinds]

    def source(i: int) -> str:
        return "handed over" if i in producers else "own" if i < first_shared else "shared"

    return of(target, source), of(pair.drafter.config.get_text_config(), lambda i: "target")
