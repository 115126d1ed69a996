"""What the two models of a pair are made of, read from the models or their configurations."""

from dataclasses import dataclass
from typing import Any

import torch

from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair

# Parts of a model, told apart by what their parameters' names hold; the first match counts.
_PARTS = (
    ("vision and audio", ("vision", "audio", "multi_modal")),  # they have attention of their own
    ("per-layer embeddings", ("per_layer",)),
    ("embeddings", ("embed_tokens", "lm_head")),
    ("attention", ("self_attn",)),
    ("feed-forward", ("mlp", "experts", "router")),
    ("centroid head", ("masked_embedding",)),
    ("projections to and from the target", ("pre_projection", "post_projection")),
)


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One decoder layer of the target or the drafter.

    Attributes:
        index: Position in its model.
        attention: "sliding" or "full".
        kv: Where its keys and values come from: "own" (it computes them), "shared" (it reads those
            of a lower layer), "handed over" (own, and the drafter reads them too) or "target" (a
            drafter layer).
        head_dim: Size of a head.
    """

    index: int
    attention: str
    kv: str
    head_dim: int


def layers(pair: ModelPair) -> tuple[list[LayerInfo], list[LayerInfo]]:
    """Return the decoder layers of target and drafter."""
    target = pair.target.config.get_text_config()
    drafter = pair.drafter.config.get_text_config()
    producers = set(kv_layers(target).values())
    first_shared = target.num_hidden_layers - target.num_kv_shared_layers
    target_layers = [
        LayerInfo(
            i,
            kind.removesuffix("_attention"),
            "handed over" if i in producers else "own" if i < first_shared else "shared",
            target.per_layer_config[i].head_dim,
        )
        for i, kind in enumerate(target.layer_types)
    ]
    drafter_layers = [
        LayerInfo(
            i, kind.removesuffix("_attention"), "target", drafter.per_layer_config[i].head_dim
        )
        for i, kind in enumerate(drafter.layer_types)
    ]
    return target_layers, drafter_layers


def parameter_counts(model: torch.nn.Module) -> dict[str, int]:
    """Return the number of parameters of each part; tied weights count once."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = next((p for p, keys in _PARTS if any(k in name for k in keys)), "norms")
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def size_in_megabytes(model: torch.nn.Module) -> float:
    """Return the memory of a model's parameters in MB (1,000,000 bytes)."""
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6


@torch.no_grad()
def state_shapes(pair: ModelPair, prompt: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what the drafter gets of one target pass over a prompt.

    Returns:
        Name to shape: the last hidden state `[batch, seq, hidden]`, and keys and values `[batch,
        heads, seq, head_dim]` of one sliding and one full attention layer.
    """
    output = pair.target(
        input_ids=pair.encode(prompt),
        use_cache=True,
        output_hidden_states=True,
        return_shared_kv_states=True,
    )
    shapes = {"last hidden state": tuple(output.hidden_states[-1].shape)}
    for kind, (keys, values) in sorted(output.shared_kv_states.items()):
        shapes[f"{kind} keys"] = tuple(keys.shape)
        shapes[f"{kind} values"] = tuple(values.shape)
    return shapes


def scored_share(drafter: Any) -> float:
    """Return the share of the vocabulary that the drafter scores per draft."""
    config = drafter.config
    if not config.use_ordered_embeddings:
        return 1.0
    return float(config.centroid_intermediate_top_k / config.num_centroids)


@dataclass(frozen=True, slots=True)
class HeadWork:
    """Multiplications to score one draft, with the centroid head and without it."""

    centroids: int
    clusters: int
    dense: int

    @property
    def times_less(self) -> float:
        """How many times less work the centroid head does."""
        return self.dense / (self.centroids + self.clusters)


def head_work(drafter_config: Any) -> HeadWork | None:
    """Return the work of a drafter's head, from its configuration alone; None for a dense one."""
    if not drafter_config.use_ordered_embeddings:
        return None
    text = drafter_config.get_text_config()
    size = text.vocab_size // drafter_config.num_centroids
    return HeadWork(
        drafter_config.num_centroids * text.hidden_size,
        drafter_config.centroid_intermediate_top_k * size * text.hidden_size,
        text.vocab_size * text.hidden_size,
    )
