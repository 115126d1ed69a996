"""Draft from one place of a text, and keep every tensor on the way."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.analysis.profiling import profile_of
from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.mtp_drafter import MTPDrafter
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.sharing import changing
from gemma_mtp_edu.core.target import Target
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair


@dataclass(frozen=True, slots=True, eq=False)
class LayerView:
    """What one drafter layer asked the target's memory, and where it looked.

    Attributes:
        attention: "sliding" or "full".
        queries: One per head, before the position is turned into them.
        keys: The target's keys that it compares them with.
        weights: How much each head reads of each value; every row sums to 1.
        first: Index in the text of the token that column 0 of `weights` belongs to.
    """

    attention: str
    queries: Float[Tensor, "heads head_dim"]
    keys: Float[Tensor, "kv_heads kv_seq head_dim"]
    weights: Float[Tensor, "heads kv_seq"]
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class DraftStep:
    """One draft step, from its input to its draft.

    Attributes:
        newest_id: The token that was written or drafted last.
        position: The position that the step is told.
        embedding: The target's embedding of `newest_id`.
        hidden: The target's hidden state; from the second step on the drafter's `handed_on`.
        joined: Both, side by side.
        projected: The same at the drafter's width.
        layers: The drafter's layers.
        state: What the head scores tokens with.
        handed_on: The state at the target's width, for the next step.
        clusters: The clusters that were searched, the best first; empty for a dense head.
        draft_id: The draft.
        draft_prob: The drafter's probability of it, among the searched tokens.
        target_id: What the target writes there; None behind a wrong draft and past the text's end.
        target_rank: Rank of its cluster, 0 for the best; None where it or the clusters are unknown.
    """

    newest_id: int
    position: int
    embedding: Float[Tensor, " backbone_hidden"]
    hidden: Float[Tensor, " backbone_hidden"]
    joined: Float[Tensor, " both"]
    projected: Float[Tensor, " hidden"]
    layers: tuple[LayerView, ...]
    state: Float[Tensor, " hidden"]
    handed_on: Float[Tensor, " backbone_hidden"]
    clusters: tuple[int, ...]
    draft_id: int
    draft_prob: float
    target_id: int | None
    target_rank: int | None

    @property
    def target_was_searched(self) -> bool | None:
        """Whether the target's token is in a searched cluster; None where that is unknown."""
        return None if self.target_rank is None else self.target_rank < len(self.clusters)


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


@torch.no_grad()
def draft_steps(
    pair: ModelPair, trace: GenerationTrace, place: int, gamma: int = 4
) -> tuple[DraftStep, ...]:
    """Draft from one place of a text that the target wrote, greedily, and keep what is inside.

    Args:
        pair: A target and its Gemma 4 MTP drafter.
        trace: A greedy run of the target.
        place: How many tokens of it are there already; at least 1.
        gamma: Number of steps.

    Raises:
        ValueError: There is no such place.
    """
    gamma = check_gamma(gamma)
    place = whole(place, "place", 0, " of tokens")
    if not 1 <= place < len(trace.token_ids):
        raise ValueError(
            tr(
                "got place {place}, need one from 1 to {last}: behind the first token of the "
                "text, and before its end",
                place=place,
                last=len(trace.token_ids) - 1,
            )
        )
    ids = [*trace.prompt_ids, *trace.token_ids[:place]]
    text = torch.tensor([ids], device=pair.device)
    target = Target(pair.target, hands_over=True)
    handed = target.hand_over(target.prefill(text[:, :-1]), 0, 0)
    assert handed is not None
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    newest, hidden = text[:, -1:], handed.hidden.to(drafter.device)
    states = {k: (a.to(drafter.device), b.to(drafter.device))
              for k, (a, b) in handed.shared_kv_states.items()}  # fmt: skip
    position = torch.tensor([[len(ids) - 1]], device=drafter.device)
    steps: list[DraftStep] = []
    with changing(pair.drafter), _listening(pair.drafter) as heard:
        for index in range(gamma):
            state, hidden = drafter.step(newest, hidden, position, states)
            scores, searched = drafter.searched(state)
            best = scores.float().softmax(-1).max(-1)
            draft = int(best.indices if searched is None else searched[best.indices])
            known = all(step.draft_id == step.target_id for step in steps)
            wanted = trace.token_ids[place + index : place + index + 1] if known else ()
            steps.append(
                _step(pair, heard, int(newest), len(ids) - 1, states, state, draft,
                      float(best.values), wanted[0] if wanted else None)
            )  # fmt: skip
            newest = torch.tensor([[draft]], device=pair.device)
    return tuple(steps)


def cluster_ranks(pair: ModelPair, plain: GenerationTrace) -> list[int]:
    """Return for every place of a text the rank of the cluster that holds the target's next token.

    A first draft can be right only where the rank is below the number of searched clusters.

    Args:
        pair: A target and an MTP drafter with a centroid head.
        plain: A greedy run of the target.

    Raises:
        ValueError: The drafter has no centroid head.
    """
    head = pair.drafter.masked_embedding
    if head is None:
        raise ValueError(tr("the drafter has a dense head, which has no clusters: see head_work"))
    seen: list[Tensor] = []
    with changing(pair.drafter), ExitStack() as stack:
        handle = head.centroids.register_forward_hook(lambda _, args, out: seen.append(out))
        stack.callback(handle.remove)
        profile_of(pair, plain, max_gamma=1)
    if not seen:
        return []
    wanted = _cluster_of(head, torch.tensor(plain.token_ids[1:], device=seen[0].device))
    return _ranks(torch.cat(seen), wanted).tolist()


def _step(
    pair: ModelPair,
    heard: dict[str, Any],
    newest_id: int,
    position: int,
    shared_kv_states: dict[str, tuple[Tensor, Tensor]],
    state: Tensor,
    draft_id: int,
    draft_prob: float,
    target_id: int | None,
) -> DraftStep:
    joined, head = heard["joined"][0, 0], pair.drafter.masked_embedding
    width, clusters, rank = len(joined) // 2, (), None
    layers = []
    for index, layer in enumerate(pair.drafter.model.layers):
        kind = layer.self_attn.layer_type
        keys = shared_kv_states[kind][0][0]
        weights = heard[f"weights {index}"][0, :, 0]
        layers.append(
            LayerView(kind.removesuffix("_attention"), heard[f"queries {index}"][0, 0], keys,
                      weights, position - keys.shape[1])
        )  # fmt: skip
    if head is not None:
        scores = head.centroids(state)[0]
        clusters = tuple(scores[0].topk(head.centroid_intermediate_top_k).indices.tolist())
        if target_id is not None:
            wanted = _cluster_of(head, torch.tensor([target_id], device=scores.device))
            rank = int(_ranks(scores, wanted))
    return DraftStep(
        newest_id, position, joined[:width], joined[width:], joined, heard["projected"][0, 0],
        tuple(layers), state[0, 0], heard["handed on"][0, 0], clusters, draft_id, draft_prob,
        target_id, rank,
    )  # fmt: skip


@contextmanager
def _listening(drafter: Any) -> Iterator[dict[str, Any]]:
    """Collect what passes through the drafter; only eager attention tells its weights."""
    heard: dict[str, Any] = {}

    def enters(module: Any, args: tuple[Tensor], output: Tensor) -> None:
        heard["joined"], heard["projected"] = args[0], output

    before = drafter.config.get_text_config()._attn_implementation
    with ExitStack() as stack:
        stack.callback(drafter.set_attn_implementation, before)
        drafter.set_attn_implementation("eager")
        stack.callback(drafter.pre_projection.register_forward_hook(enters).remove)
        stack.callback(
            drafter.post_projection.register_forward_hook(_keeps(heard, "handed on")).remove
        )
        for index, layer in enumerate(drafter.model.layers):
            attention = layer.self_attn
            for module, name, part in (
                (attention.q_norm, f"queries {index}", None),
                (attention, f"weights {index}", 1),
            ):
                stack.callback(module.register_forward_hook(_keeps(heard, name, part)).remove)
        yield heard


def _keeps(heard: dict[str, Any], name: str, part: int | None = None) -> Any:
    def hook(module: Any, args: Any, output: Any) -> None:
        heard[name] = output if part is None else output[part]

    return hook


def _cluster_of(head: Any, ids: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the cluster of each token: where it stands in the head's order of tokens."""
    return head.token_ordering.long().argsort()[ids] // head.vocab_size_per_centroid


def _ranks(scores: Float[Tensor, "n centroids"], wanted: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    return (scores > scores.gather(1, wanted[:, None])).sum(1)
