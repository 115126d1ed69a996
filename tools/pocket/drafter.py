"""The bundled drafter: its configuration, its start values and its clusters of tokens."""

import torch
from transformers import (
    Gemma4AssistantConfig,
    Gemma4AssistantForCausalLM,
    Gemma4ForCausalLM,
    Gemma4TextConfig,
    GenerationConfig,
)

from tools.pocket.target import set_start_values

NUM_CENTROIDS = 128
TOP_K_CENTROIDS = 16  # 256 of 2,048 tokens are scored, one in eight
NUM_ASSISTANT_TOKENS = 4


def drafter_config(target: Gemma4ForCausalLM) -> Gemma4AssistantConfig:
    """Return a four-layer drafter configuration that fits `target`'s KV heads and hidden size."""
    text = target.config.get_text_config()
    layers = Gemma4TextConfig(
        vocab_size=text.vocab_size,
        vocab_size_per_layer_input=0,
        hidden_size_per_layer_input=0,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_kv_shared_layers=4,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
        num_attention_heads=4,
        num_key_value_heads=text.num_key_value_heads,
        head_dim=32,
        global_head_dim=64,
        sliding_window=text.sliding_window,
        max_position_embeddings=text.max_position_embeddings,
        pad_token_id=0,
        eos_token_id=[1, 5],
        bos_token_id=2,
    )
    return Gemma4AssistantConfig(
        text_config=layers,
        backbone_hidden_size=text.hidden_size,
        use_ordered_embeddings=True,
        num_centroids=NUM_CENTROIDS,
        centroid_intermediate_top_k=TOP_K_CENTROIDS,
        dtype="float32",
    )


@torch.no_grad()
def new_drafter(target: Gemma4ForCausalLM, seed: int) -> Gemma4AssistantForCausalLM:
    """Return a fresh drafter whose output embeddings and clusters start from the target's."""
    torch.manual_seed(seed)
    drafter = Gemma4AssistantForCausalLM(drafter_config(target))
    set_start_values(drafter, post_norm=0.5)
    table = target.get_input_embeddings().weight
    drafter.model.embed_tokens.weight.copy_(table)
    clusters, centers = balanced_clusters(table, NUM_CENTROIDS)
    drafter.masked_embedding.token_ordering.copy_(clusters.flatten())
    drafter.masked_embedding.centroids.weight.copy_(centers)
    drafter.tie_weights()
    drafter.generation_config = GenerationConfig(
        num_assistant_tokens=NUM_ASSISTANT_TOKENS,
        num_assistant_tokens_schedule="constant",
        is_assistant=True,
        do_sample=False,
        eos_token_id=[1, 5],
        pad_token_id=0,
        bos_token_id=2,
    )
    return drafter


def balanced_clusters(
    table: torch.Tensor, num_centroids: int, rounds: int = 10
) -> tuple[torch.Tensor, torch.Tensor]:
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


def _assign(similarity: torch.Tensor, size: int) -> torch.Tensor:
    """Fill clusters with their nearest tokens, in order of how sure the assignment is."""
    members: list[list[int]] = [[] for _ in range(similarity.shape[1])]
    preferences = similarity.argsort(dim=-1, descending=True).tolist()
    for token in similarity.max(dim=-1).values.argsort(descending=True).tolist():
        choice = next(c for c in preferences[token] if len(members[c]) < size)
        members[choice].append(token)
    return torch.tensor(members)
