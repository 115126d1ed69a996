"""What a pair's layers are, and what happens inside one draft step: every tensor on the way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.sampling import Ids
from gemma_mtp_edu.core.target import CachedModel, TargetState
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair

Wide = Float[Tensor, " backbone_hidden"]  # the target's width
Narrow = Float[Tensor, " hidden"]  # the drafter's


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
    embedding: Wide  # the target's, of `newest_id`
    hidden: Wide  # the target's; later the drafter's `fed_back`
    joined: Float[Tensor, " both"]  # both, side by side
    projected: Narrow  # the same at the drafter's width
    layers: tuple[LayerView, ...]
    state: Narrow  # what the head scores tokens with
    fed_back: Wide  # the state at the target's width, for the next step
    clusters: tuple[int, ...]  # that were searched, the best first; empty for a dense head
    draft_id: int
    target_id: int | None  # what the target writes there; None after a wrong draft and the end
    target_rank: int | None  # of its cluster, 0 for the best; None where that is unknown


@torch.no_grad()
def draft_steps(
    pair: ModelPair, trace: GenerationTrace, place: int, gamma: int = 4
) -> tuple[DraftStep, ...]:
    """Draft from one position of a text that the target wrote, greedily, and keep what is inside.

    `trace` is a greedy run of the target; the first of `gamma` steps drafts the token after `place`
    tokens of it, at least 1 and fewer than all.
    """
    text = torch.tensor([[*trace.prompt_ids, *trace.token_ids[:place]]], device=pair.device)
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    drafter.start(text, read(pair, text)[1])
    newest, hidden, steps = text[:, -1:], drafter.hidden, list[DraftStep]()
    with _listening(pair.drafter) as heard:
        for index in range(place, place + gamma):
            state, hidden = drafter.step(newest, hidden, drafter.position, drafter.shared_kv)
            scores, candidates = drafter.score(state[0])
            best = scores.argmax(-1, keepdim=True)
            draft = best if candidates is None else candidates.gather(1, best)
            known = all(step.draft_id == step.target_id for step in steps)
            target_id = trace.token_ids[index] if known and index < len(trace.token_ids) else None
            clusters, rank = _searched(pair.drafter.masked_embedding, state[0], target_id)
            joined = heard["joined"][0, 0]
            steps.append(DraftStep(
                newest_id=int(newest), position=int(drafter.position),
                embedding=joined[: len(joined) // 2], hidden=joined[len(joined) // 2 :],
                joined=joined, projected=heard["projected"][0, 0],
                layers=tuple(_views(drafter, heard)), state=state[0, 0], fed_back=hidden[0, 0],
                clusters=clusters, draft_id=int(draft), target_id=target_id, target_rank=rank,
            ))  # fmt: skip
            newest = draft.to(pair.device)
    return tuple(steps)


def read(pair: ModelPair, text: Ids) -> tuple[CachedModel, TargetState]:
    """Pass a text but for its newest token, and return the target and what a drafter may see."""
    target = CachedModel(pair.target, shares_state=True)
    state = target.state_after(target.prefill(text[:, :-1]), 0, 0)
    assert state is not None
    return target, state


def cluster_ranks(pair: ModelPair, plain: GenerationTrace) -> list[int]:
    """Return the rank of the cluster that holds the target's next token, at every position.

    A first draft can be right only where the rank is below the number of searched clusters. `plain`
    is a greedy run of the target; the drafter has a centroid head.
    """
    head, seen = pair.drafter.masked_embedding, list[Tensor]()
    handle = head.centroids.register_forward_hook(lambda _, args, out: seen.append(out))
    try:
        profile_of(pair, plain, max_gamma=1)
    finally:
        handle.remove()
    return _ranks(head, torch.cat(seen), plain.token_ids[1:]).tolist() if seen else []


def _views(drafter: MTPDrafter, heard: dict[str, Tensor]) -> Iterator[LayerView]:
    for index, layer in enumerate(drafter.model.model.layers):
        kind = layer.self_attn.layer_type
        keys, weights = drafter.shared_kv[kind][0][0], heard[f"weights {index}"][0, :, 0]
        queries, first = heard[f"queries {index}"][0, 0], int(drafter.position) - keys.shape[1]
        yield LayerView(kind.removesuffix("_attention"), queries, keys, weights, first)


def _searched(
    head: Any, state: Float[Tensor, "1 hidden"], target_id: int | None
) -> tuple[tuple[int, ...], int | None]:
    """Return the clusters that a head searches, and the rank of the target's token's."""
    if head is None:
        return (), None
    scores = head.centroids(state)
    clusters = scores[0].topk(head.centroid_intermediate_top_k).indices.tolist()
    return tuple(clusters), None if target_id is None else int(_ranks(head, scores, [target_id]))


@contextmanager
def _listening(drafter: Any) -> Iterator[dict[str, Tensor]]:
    """Collect what passes through the drafter; only eager attention tells its weights."""
    heard: dict[str, Tensor] = {}

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
        for index, layer in enumerate(drafter.model.layers):
            keep(layer.self_attn.q_norm, f"queries {index}")
            keep(layer.self_attn, f"weights {index}", 1)
        yield heard


def _ranks(head: Any, scores: Float[Tensor, "n centroids"], tokens: Sequence[int]) -> Tensor:
    """Return how many clusters the head scores above that of each token."""
    # A token's cluster: where it stands in the head's order of tokens.
    places = head.token_ordering.long().argsort()[torch.tensor(tokens, device=scores.device)]
    own = scores.gather(1, (places // head.vocab_size_per_centroid)[:, None])
    return (scores > own).sum(1)
