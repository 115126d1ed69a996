"""What a pair's layers are, and what happens inside one draft step: every tensor on the way."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.target import CachedModel, TargetState
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One decoder layer of the target or the drafter.

    `kv` says where keys and values come from: "own" (it computes them), "shared" (it reads those
    of a lower layer), "handed over" (own, and the drafter reads them) or "target" (a drafter's).
    """

    index: int
    attention: str  # "sliding" or "full"
    kv: str
    head_dim: int


def layers(pair: ModelPair) -> tuple[list[LayerInfo], list[LayerInfo]]:
    """Return the decoder layers of target and drafter."""
    target = pair.target.config.get_text_config()
    producers = set(kv_layers(target).values())
    first_shared = target.num_hidden_layers - target.num_kv_shared_layers

    def of(config: Any, kv: Callable[[int], str]) -> list[LayerInfo]:
        kinds = [kind.removesuffix("_attention") for kind in config.layer_types]
        return [
            LayerInfo(i, kind, kv(i), config.per_layer_config[i].head_dim)
            for i, kind in enumerate(kinds)
        ]

    def source(i: int) -> str:
        return "handed over" if i in producers else "own" if i < first_shared else "shared"

    return of(target, source), of(pair.drafter.config.get_text_config(), lambda i: "target")


class HeadWork(NamedTuple):
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
    text, centroids = drafter_config.get_text_config(), drafter_config.num_centroids
    scored = drafter_config.centroid_intermediate_top_k * (text.vocab_size // centroids)
    return HeadWork(*(n * text.hidden_size for n in (centroids, scored, text.vocab_size)))


@dataclass(frozen=True, slots=True, eq=False)
class LayerView:
    """What one drafter layer asked the target's memory, and where it looked."""

    attention: str  # "sliding" or "full"
    queries: Float[Tensor, "heads head_dim"]  # before the position is turned into them
    keys: Float[Tensor, "kv_heads kv_seq head_dim"]  # the target's
    weights: Float[Tensor, "heads kv_seq"]  # every row sums to 1
    first: int  # index in the text of the token that column 0 of `weights` belongs to


@dataclass(frozen=True, slots=True, eq=False)
class DraftStep:
    """One draft step, from its input to its draft."""

    newest_id: int  # the token that was written or drafted last
    position: int  # that the step is told
    embedding: Float[Tensor, " backbone_hidden"]  # the target's, of `newest_id`
    hidden: Float[Tensor, " backbone_hidden"]  # the target's; later the drafter's `fed_back`
    joined: Float[Tensor, " both"]  # both, side by side
    projected: Float[Tensor, " hidden"]  # the same at the drafter's width
    layers: tuple[LayerView, ...]
    state: Float[Tensor, " hidden"]  # what the head scores tokens with
    fed_back: Float[
        Tensor, " backbone_hidden"
    ]  # the state at the target's width, for the next step
    clusters: tuple[int, ...]  # that were searched, the best first; empty for a dense head
    draft_id: int
    draft_prob: float  # among the candidates
    target_id: int | None  # what the target writes there; None after a wrong draft and the end
    target_rank: int | None  # of its cluster, 0 for the best; None where that is unknown

    @property
    def target_was_searched(self) -> bool | None:
        """Whether the target's token is in a searched cluster; None where that is unknown."""
        return None if self.target_rank is None else self.target_rank < len(self.clusters)


@torch.no_grad()
def draft_steps(
    pair: ModelPair, trace: GenerationTrace, place: int, gamma: int = 4
) -> tuple[DraftStep, ...]:
    """Draft from one position of a text that the target wrote, greedily, and keep what is inside.

    Args:
        pair: A target and its Gemma 4 MTP drafter.
        trace: A greedy run of the target.
        place: How many tokens of it are there already; at least 1, fewer than all.
        gamma: Number of steps.
    """
    text = torch.tensor([[*trace.prompt_ids, *trace.token_ids[:place]]], device=pair.device)
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    _, state = read(pair, text)
    drafter.start(text, state)
    newest, hidden, steps = text[:, -1:], drafter.hidden, list[DraftStep]()
    with _listening(pair.drafter) as heard:
        for index in range(gamma):
            drafted, hidden = drafter.step(newest, hidden, drafter.position, drafter.shared_kv)
            scores, candidates = drafter.score(drafted[0])
            best = scores.float().softmax(-1)[0].max(-1)
            draft = int(best.indices if candidates is None else candidates[0, best.indices])
            known = all(step.draft_id == step.target_id for step in steps)
            follows = trace.token_ids[place + index : place + index + 1] if known else ()
            target_id = follows[0] if follows else None
            prob = float(best.values)
            steps.append(_step(drafter, heard, int(newest), drafted, draft, prob, target_id))
            newest = torch.tensor([[draft]], device=pair.device)
    return tuple(steps)


def read(pair: ModelPair, text: Int[Tensor, "1 seq"]) -> tuple[CachedModel, TargetState]:
    """Pass a text but for its newest token, and return the target and what a drafter may see."""
    target = CachedModel(pair.target, shares_state=True)
    state = target.state_after(target.prefill(text[:, :-1]), 0, 0)
    assert state is not None
    return target, state


def cluster_ranks(pair: ModelPair, plain: GenerationTrace) -> list[int]:
    """Return the rank of the cluster that holds the target's next token, at every position.

    A first draft can be right only where the rank is below the number of searched clusters.

    Args:
        pair: A target and an MTP drafter with a centroid head.
        plain: A greedy run of the target.
    """
    head, seen = pair.drafter.masked_embedding, list[Tensor]()
    handle = head.centroids.register_forward_hook(lambda _, args, out: seen.append(out))
    try:
        profile_of(pair, plain, max_gamma=1)
    finally:
        handle.remove()
    if not seen:
        return []
    target_ids = torch.tensor(plain.token_ids[1:], device=seen[0].device)
    return _ranks(torch.cat(seen), _cluster_of(head, target_ids)).tolist()


def _step(
    drafter: MTPDrafter,
    heard: dict[str, Any],
    newest_id: int,
    state: Tensor,
    draft_id: int,
    draft_prob: float,
    target_id: int | None,
) -> DraftStep:
    joined, head, position = heard["joined"][0, 0], drafter.model.masked_embedding, drafter.position
    width, clusters, rank, layers = len(joined) // 2, (), None, []
    for index, layer in enumerate(drafter.model.model.layers):
        kind = layer.self_attn.layer_type
        keys, weights = drafter.shared_kv[kind][0][0], heard[f"weights {index}"][0, :, 0]
        queries, first = heard[f"queries {index}"][0, 0], int(position) - keys.shape[1]
        layers.append(LayerView(kind.removesuffix("_attention"), queries, keys, weights, first))
    if head is not None:
        scores = head.centroids(state)[0]
        clusters = tuple(scores[0].topk(head.centroid_intermediate_top_k).indices.tolist())
        if target_id is not None:
            cluster = _cluster_of(head, torch.tensor([target_id], device=scores.device))
            rank = int(_ranks(scores, cluster))
    return DraftStep(
        newest_id=newest_id,
        position=int(position),
        embedding=joined[:width],
        hidden=joined[width:],
        joined=joined,
        projected=heard["projected"][0, 0],
        layers=tuple(layers),
        state=state[0, 0],
        fed_back=heard["fed back"][0, 0],
        clusters=clusters,
        draft_id=draft_id,
        draft_prob=draft_prob,
        target_id=target_id,
        target_rank=rank,
    )


@contextmanager
def _listening(drafter: Any) -> Iterator[dict[str, Any]]:
    """Collect what passes through the drafter; only eager attention tells its weights."""
    heard: dict[str, Any] = {}

    def keep(module: Any, name: str, part: int | None = None) -> None:
        def hook(module: Any, args: Any, output: Any) -> None:
            heard[name] = output if part is None else output[part]
            if name == "projected":
                heard["joined"] = args[0]

        stack.callback(module.register_forward_hook(hook).remove)

    before = drafter.config.get_text_config()._attn_implementation
    with ExitStack() as stack:
        stack.callback(drafter.set_attn_implementation, before)
        drafter.set_attn_implementation("eager")
        keep(drafter.pre_projection, "projected")
        keep(drafter.post_projection, "fed back")
        for index, layer in enumerate(drafter.model.layers):
            keep(layer.self_attn.q_norm, f"queries {index}")
            keep(layer.self_attn, f"weights {index}", 1)
        yield heard


def _cluster_of(head: Any, ids: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the cluster of each token: where it stands in the head's order of tokens."""
    return head.token_ordering.long().argsort()[ids] // head.vocab_size_per_centroid


def _ranks(scores: Float[Tensor, "n centroids"], clusters: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    return (scores > scores.gather(1, clusters[:, None])).sum(1)
