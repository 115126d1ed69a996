"""A drafter with fresh weights that fits a given target: configuration, clusters, start values.

Source: transformers 5.22.2, `Gemma4AssistantConfig` and `Gemma4AssistantMaskedEmbedder`.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    Gemma4AssistantConfig,
    Gemma4AssistantForCausalLM,
    Gemma4TextConfig,
    GenerationConfig,
)

from gemma_mtp_edu.analysis.reference import drawing
from gemma_mtp_edu.core.arguments import check_kind, whole
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import is_mtp_drafter, kv_layers
from gemma_mtp_edu.models.pairs import configured_eos_ids

POST_NORM = 0.5
LARGEST_CLUSTERING = 2**26  # distances, each a Python number for a while


@dataclass(frozen=True, slots=True)
class DrafterShape:
    """The sizes of a drafter that its target leaves free.

    Attributes:
        hidden_size: Width of its layers; the target's width is another matter.
        intermediate_size: Width of its feed-forward parts.
        layers: Decoder layers: all sliding but the last, which is full.
        attention_heads: Query heads; the KV heads are the target's.
        centroids: Clusters of the vocabulary; 0 for a dense head.
        searched: Clusters of which the tokens are scored, of each draft.

    Raises:
        ValueError: A number is out of range.
    """

    hidden_size: int = 128
    intermediate_size: int = 256
    layers: int = 4
    attention_heads: int = 4
    centroids: int = 128
    searched: int = 16

    def __post_init__(self) -> None:
        least = {"centroids": 0, "searched": 0}
        what = {"centroids": " (0 for a dense head)", "searched": " of clusters"}
        for field in fields(self):
            name = field.name
            number = whole(getattr(self, name), name, least.get(name, 1), what.get(name, ""))
            object.__setattr__(self, name, number)


def new_drafter(
    target: Any,
    shape: DrafterShape = DrafterShape(),
    *,
    seed: int = 0,
    num_assistant_tokens: int = 4,
) -> Gemma4AssistantForCausalLM:
    """Return an untrained drafter for `target`, in float32 on the target's device.

    Its output embeddings start from the target's where the widths agree, its clusters always.

    Args:
        target: The loaded target.
        shape: Its free sizes.
        seed: Of the start values; the global random state is left as it was.
        num_assistant_tokens: Drafts per round in its generation configuration.

    Raises:
        ValueError: The shape does not fit the target; the message says what does.
    """
    num_assistant_tokens = check_gamma(num_assistant_tokens)
    config = drafter_config(target, shape)
    with drawing(torch.device("cpu"), seed), torch.no_grad():
        drafter = Gemma4AssistantForCausalLM(config)
        set_start_values(drafter, POST_NORM)
        table = target.get_input_embeddings().weight.detach().float().cpu()
        same_width = table.shape[1] == shape.hidden_size
        if same_width:
            drafter.model.embed_tokens.weight.copy_(table)
        if shape.centroids:
            clusters, centers = balanced_clusters(table, shape.centroids)
            drafter.masked_embedding.token_ordering.copy_(clusters.flatten())
            if same_width:
                drafter.masked_embedding.centroids.weight.copy_(centers)
    drafter.tie_weights()
    eos = sorted(configured_eos_ids(target.generation_config))
    text = target.config.get_text_config()
    drafter.generation_config = GenerationConfig(
        num_assistant_tokens=num_assistant_tokens,
        num_assistant_tokens_schedule="constant",
        is_assistant=True,
        do_sample=False,
        eos_token_id=eos or None,
        pad_token_id=text.pad_token_id,
        bos_token_id=text.bos_token_id,
    )
    return drafter.to(target.device).eval()


def drafter_config(target: Any, shape: DrafterShape = DrafterShape()) -> Gemma4AssistantConfig:
    """Return the configuration of a drafter that fits `target`'s KV heads and hidden size.

    Raises:
        ValueError: The target is a drafter, or the shape does not fit it.
    """
    config = getattr(target, "config", None)
    if config is None or is_mtp_drafter(config):
        kind = type(target).__name__ if config is None else config.model_type
        raise ValueError(
            tr("got a {kind} as target, need the full model: pass pair.target", kind=kind)
        )
    text = target.config.get_text_config()
    _check(shape, text)
    sliding, full = (
        text.per_layer_config[kv_layers(text)[kind]]
        for kind in ("sliding_attention", "full_attention")
    )
    layers = Gemma4TextConfig(
        vocab_size=text.vocab_size,
        vocab_size_per_layer_input=0,
        hidden_size_per_layer_input=0,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_kv_shared_layers=shape.layers,
        layer_types=["sliding_attention"] * (shape.layers - 1) + ["full_attention"],
        num_attention_heads=shape.attention_heads,
        num_key_value_heads=sliding.num_key_value_heads,
        num_global_key_value_heads=full.num_key_value_heads,
        attention_k_eq_v=text.attention_k_eq_v,
        head_dim=sliding.head_dim,
        global_head_dim=full.head_dim,
        sliding_window=text.sliding_window,
        max_position_embeddings=text.max_position_embeddings,
        rope_parameters=text.rope_parameters,
        pad_token_id=text.pad_token_id,
        eos_token_id=text.eos_token_id,
        bos_token_id=text.bos_token_id,
    )
    return Gemma4AssistantConfig(
        text_config=layers,
        backbone_hidden_size=text.hidden_size,
        use_ordered_embeddings=shape.centroids > 0,
        num_centroids=shape.centroids or 1,
        centroid_intermediate_top_k=shape.searched if shape.centroids else 1,
        dtype="float32",
    )


def _check(shape: DrafterShape, text: Any) -> None:
    check_kind(shape, DrafterShape, "shape", "DrafterShape(...)")
    if shape.layers < 2:
        raise ValueError(
            tr(
                "got {layers} layers, need 2 or more: the target hands over the KV of one "
                "sliding and one full layer, and the drafter reads both",
                layers=shape.layers,
            )
        )
    if shape.centroids and text.vocab_size % shape.centroids:
        fitting = [n for n in range(1, 4097) if text.vocab_size % n == 0]
        nearest = min(fitting, key=lambda n: abs(n - shape.centroids))
        raise ValueError(
            tr(
                "got {centroids} centroids, need a number that divides the vocabulary of "
                "{vocabulary} (the clusters are of equal size), such as {nearest}",
                centroids=shape.centroids,
                vocabulary=text.vocab_size,
                nearest=nearest,
            )
        )
    if shape.centroids * text.vocab_size > LARGEST_CLUSTERING:
        raise ValueError(
            tr(
                "got {centroids} centroids for a vocabulary of {vocabulary}: clustering so "
                "many tokens takes hours here; use centroids=0, a dense head",
                centroids=shape.centroids,
                vocabulary=text.vocab_size,
            )
        )
    if shape.centroids and not 1 <= shape.searched <= shape.centroids:
        raise ValueError(
            tr(
                "got {searched} searched clusters, need 1 to {centroids}, the centroids",
                searched=shape.searched,
                centroids=shape.centroids,
            )
        )
    for kind, place in kv_layers(text).items():
        heads = text.per_layer_config[place].num_key_value_heads
        if shape.attention_heads % heads:
            raise ValueError(
                tr(
                    "got {own} attention heads, need a multiple of the {heads} KV heads of "
                    "the target's {kind}",
                    own=shape.attention_heads,
                    heads=heads,
                    kind=kind,
                )
            )


@torch.no_grad()
def set_start_values(model: torch.nn.Module, post_norm: float) -> None:
    """Set embeddings and norms so that a narrow Gemma 4 trains from the first step.

    Gemma 4 scales attention by 1 and leaves the size of its logits to the q and k norms; queries
    and keys of unit root mean square would start far too sharp.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            parameter.fill_(parameter.shape[0] ** -0.25)
        elif "post_" in name and name.endswith("norm.weight"):
            parameter.fill_(post_norm)
        elif name.endswith("embed_tokens.weight"):
            parameter.normal_(std=parameter.shape[1] ** -0.5)


def balanced_clusters(
    table: Float[Tensor, "vocab hidden"], num_centroids: int, rounds: int = 10
) -> tuple[Int[Tensor, "centroids size"], Float[Tensor, "centroids hidden"]]:
    """Cut the vocabulary into clusters of equal size by k-means on unit-length embeddings.

    The library's centroid head demands equal sizes (`vocab_size // num_centroids`), so tokens are
    assigned greedily, the surest first, and a full cluster takes no more.

    Returns:
        Token ids `[num_centroids, vocab // num_centroids]` and centres `[num_centroids, hidden]`.
    """
    size = table.shape[0] // num_centroids
    units = torch.nn.functional.normalize(table, dim=-1)
    generator = torch.Generator().manual_seed(0)
    centers = units[torch.randperm(len(units), generator=generator)[:num_centroids]]
    for _ in range(rounds):
        clusters = _assign(units @ centers.T, size)
        centers = torch.nn.functional.normalize(units[clusters].mean(dim=1), dim=-1)
    return clusters, centers * table.norm(dim=-1).mean()


def _assign(similarity: Float[Tensor, "vocab centroids"], size: int) -> Int[Tensor, "..."]:
    """Fill clusters with their nearest tokens, in order of how sure the assignment is."""
    members: list[list[int]] = [[] for _ in range(similarity.shape[1])]
    preferences = similarity.argsort(dim=-1, descending=True).tolist()
    for token in similarity.max(dim=-1).values.argsort(descending=True).tolist():
        choice = next(c for c in preferences[token] if len(members[c]) < size)
        members[choice].append(token)
    return torch.tensor(members)
