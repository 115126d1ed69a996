"""A drafter with fresh weights that fits a given target: configuration, clusters, start values.

Source: transformers 5.22.2, `Gemma4AssistantConfig` and `Gemma4AssistantMaskedEmbedder`.
"""

from dataclasses import dataclass
from typing import Any

import torch
import transformers as library
from jaxtyping import Float, Int  # an edge: arguments are checked here
from torch import Tensor
from torch.nn.functional import normalize

from gemma_mtp_edu.models.compatibility import kv_layers

SAME_AS_TARGET = (
    "vocab_size", "attention_k_eq_v", "sliding_window", "max_position_embeddings",
    "rope_parameters", "pad_token_id", "eos_token_id", "bos_token_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DrafterShape:
    """The sizes of a drafter that its target leaves free; its width need not be the target's."""

    hidden_size: int = 128
    intermediate_size: int = 256
    layers: int = 4  # all sliding but the last, which is full
    attention_heads: int = 0  # of the queries; 0: 4, or as many as the target's KV heads if more
    centroids: int = 128  # clusters of the vocabulary; 0 for a dense head
    top_centroids: int = 16  # clusters whose tokens are the candidates of a draft


def new_drafter(
    target: Any, shape: DrafterShape = DrafterShape(), *, seed: int = 0
) -> library.Gemma4AssistantForCausalLM:
    """Return an untrained drafter for `target`, in float32 on the target's device.

    Its output embeddings start from the target's where the widths agree, its clusters always.
    """
    config = drafter_config(target, shape)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        drafter = library.Gemma4AssistantForCausalLM(config)
        set_start_values(drafter, post_norm=0.5)
        table = target.get_input_embeddings().weight.detach().float()
        same_width = table.shape[1] == shape.hidden_size
        if same_width:
            drafter.model.embed_tokens.weight.copy_(table)
        if head := drafter.masked_embedding:
            clusters, centers = balanced_clusters(table, shape.centroids)
            head.token_ordering.copy_(clusters.flatten())
            if same_width:
                head.centroids.weight.copy_(centers)
    drafter.tie_weights()
    given: dict[str, Any] = {"num_assistant_tokens_schedule": "constant", "is_assistant": True}
    given |= {name: getattr(config.text_config, name) for name in ("pad_token_id", "bos_token_id")}
    given |= {"eos_token_id": target.generation_config.eos_token_id, "do_sample": False}
    drafter.generation_config = library.GenerationConfig(num_assistant_tokens=4, **given)
    return drafter.to(target.device).eval()


def drafter_config(target: Any, shape: DrafterShape) -> library.Gemma4AssistantConfig:
    """Return the configuration of a drafter that fits `target`'s KV heads and hidden size."""
    text = target.config.get_text_config()
    full, sliding = (text.per_layer_config[i] for i in kv_layers(text).values())  # as KV_TYPES
    if shape.centroids and text.vocab_size % shape.centroids:
        wanted = f"a number that divides the vocabulary of {text.vocab_size}, or 0 for a dense head"
        raise ValueError(f"got {shape.centroids} centroids, need {wanted}")
    kv_heads = sliding.num_key_value_heads, full.num_key_value_heads
    attention_heads = shape.attention_heads or max(4, *kv_heads)
    if any(attention_heads % heads for heads in kv_heads):
        wanted = "a multiple of the target's {} sliding and {} full KV heads".format(*kv_heads)
        raise ValueError(f"got {attention_heads} attention heads, need {wanted}")
    layers = library.Gemma4TextConfig(
        **{name: getattr(text, name) for name in SAME_AS_TARGET},
        vocab_size_per_layer_input=0, hidden_size_per_layer_input=0, hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size, num_hidden_layers=shape.layers,
        num_kv_shared_layers=shape.layers, num_attention_heads=attention_heads,
        layer_types=["sliding_attention"] * (shape.layers - 1) + ["full_attention"],
        num_key_value_heads=kv_heads[0], num_global_key_value_heads=kv_heads[1],
        head_dim=sliding.head_dim, global_head_dim=full.head_dim,
    )  # fmt: skip
    return library.Gemma4AssistantConfig(
        text_config=layers, backbone_hidden_size=text.hidden_size, dtype="float32",
        use_ordered_embeddings=shape.centroids > 0, num_centroids=shape.centroids or 1,
        centroid_intermediate_top_k=shape.top_centroids if shape.centroids else 1,
    )  # fmt: skip


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
    table: Float[Tensor, "vocab hidden"], num_centroids: int
) -> tuple[Int[Tensor, "centroids size"], Float[Tensor, "centroids hidden"]]:
    """Cut the vocabulary into clusters of equal size, which the centroid head needs, by k-means.

    Tokens are assigned greedily, the surest first, and a full cluster takes no more.
    """
    size = table.shape[0] // num_centroids
    units = normalize(table, dim=-1)
    generator = torch.Generator().manual_seed(0)
    centers = units[torch.randperm(len(units), generator=generator)[:num_centroids]]
    for _ in range(10):
        # In chunks, and the nearest only: a real vocabulary has half a billion pairs with clusters.
        near = [(part @ centers.T).topk(min(128, num_centroids)) for part in units.split(2**14)]
        nearest = torch.cat([found.indices for found in near]).cpu()
        surest = torch.cat([found.values[:, 0] for found in near]).argsort(descending=True)
        members, late = [list[int]() for _ in range(num_centroids)], list[int]()
        for token in surest.tolist():
            room = (members[c] for c in nearest[token].tolist() if len(members[c]) < size)
            next(room, late).append(token)
        for cluster in members:  # tokens whose nearest clusters are all full go where room is
            cluster += [late.pop() for _ in range(size - len(cluster))]
        clusters = torch.tensor(members)
        centers = normalize(units[clusters].mean(dim=1), dim=-1)
    return clusters, centers * table.norm(dim=-1).mean()
