"""Take one thing away from the drafter, and count which drafts are still accepted.

The target stays whole, so the text stays the same. Hooks on the drafter change what it gets, so
whatever runs it sees the change: a profile, our loop, the library's `generate()`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.analysis.profile import AcceptanceProfile, profile_of
from gemma_mtp_edu.core.decoding import Run, autoregressive_generate, speculate
from gemma_mtp_edu.core.sampling import Ids, Settings
from gemma_mtp_edu.core.schedules import Constant, check_gamma
from gemma_mtp_edu.core.target import CachedModel
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.pairs import ModelPair

AS_IS = "as is"
STALE = "the library's stale KV"
Prompt = str | Ids
Inputs = dict[str, Any]  # of the drafter's own layers


@dataclass(frozen=True, slots=True)
class AblationResult:
    """How many drafts are accepted with one thing changed."""

    part: str  # what was changed
    # For the first, second, ... draft: in which share of the chains it and all before it are what
    # the target writes; and the same for the whole drafter, from the same positions.
    kept: tuple[float, ...]
    as_is: tuple[float, ...]
    n_chains: int

    @property
    def mean_kept(self) -> float:
        """Mean number of drafts accepted per chain."""
        return sum(self.kept)


def ablate(
    pair: ModelPair,
    prompts: Sequence[Prompt],
    parts: Sequence[str] = (),
    *,
    gamma: int = 4,
    max_new_tokens: int = 64,
) -> tuple[AblationResult, ...]:
    """Write texts greedily, and draft from every position of them with each thing changed in turn.

    Stale KV needs drafts that were rejected before, so for it rounds are run one after the other,
    and only those count that follow a rejection: the others have no stale KV. Parts are some of
    `PARTS`, or `STALE`; by default all.
    """
    gamma, chosen = check_gamma(gamma), parts or (*PARTS, STALE)
    if unknown := {*chosen} - {*PARTS, STALE}:
        raise ValueError(f"got part {unknown.pop()!r}, need one of {[*PARTS, STALE]}")
    plains = [autoregressive_generate(pair, p, max_new_tokens=max_new_tokens) for p in prompts]
    whole = [profile_of(pair, plain, max_gamma=gamma) for plain in plains]
    results = []
    for part in chosen:
        if part == STALE:
            changed, clean = _stale_chains(pair, prompts, whole, gamma)
        else:
            with without(pair, part):
                ablated = [profile_of(pair, plain, max_gamma=gamma) for plain in plains]
            changed, clean = _chains(ablated), _chains(whole)
        if not changed:
            raise ValueError(f"got no chain of {gamma} drafts for {part!r}: give longer texts")
        kept, as_is = (
            tuple(sum(n > draft for n in counts) / len(counts) for draft in range(gamma))
            for counts in (changed, clean)
        )
        results.append(AblationResult(part, kept, as_is, len(changed)))
    return tuple(results)


@contextmanager
def without(pair: ModelPair, part: str) -> Iterator[None]:
    """Change one of `PARTS` in the pair's drafter, for whoever runs it; put it back at the end."""
    with ExitStack() as stack:
        PARTS[part](pair.drafter, stack)
        yield


def stale_run(
    pair: ModelPair, prompt: Prompt, *, gamma: int = 4, max_new_tokens: int = 64
) -> GenerationTrace:
    """Write a text with drafts, and leave in the drafter's KV what the library leaves there.

    Source: transformers 5.22.2, `SinglePositionMultiTokenCandidateGenerator.get_candidates`.
    """
    run = Run(pair, pair.encode(prompt), Settings(max_new_tokens=max_new_tokens))
    run.target = _StaleTarget(pair.target, shares_state=True)
    speculate(run, pair.new_drafter(), Constant(gamma))
    return run.trace(f"speculative, {STALE}")


class _StaleTarget(CachedModel):
    """Cuts the shared KV at the length of the text, as the library does."""

    def _visible(self, kind: str, states: Tensor, n_rejected: int) -> Tensor:
        # The newest token has no KV yet: what stands at its position is a rejected draft's. In a
        # sliding layer that has dropped old tokens, the cut comes later still, or takes nothing.
        states = states[:, :, : self.length + 1]
        # The library's mask counts the distance from the last one, and includes the window.
        first = -(self.window + 1) if kind == "sliding_attention" and self.window else None
        return states[:, :, first:]


def _stale_chains(
    pair: ModelPair, prompts: Sequence[Prompt], whole: Sequence[AcceptanceProfile], gamma: int
) -> tuple[list[int], list[int]]:
    """Return how many drafts are accepted after rejections, and in clean chains from there."""
    stale, clean = [], []
    for prompt, profile in zip(prompts, whole, strict=True):
        trace = stale_run(pair, prompt, gamma=gamma, max_new_tokens=len(profile))
        for before, record in pairwise(trace.draft_rounds):
            place = record.prefix_length - len(trace.prompt_ids)
            # In 16 bit a run may leave the plain text, and what follows is then another text.
            same = trace.token_ids[: place + gamma] == profile.token_ids[: place + gamma]
            is_whole = len(record.draft_ids) == gamma and place + gamma <= len(profile)
            if before.next_kind == "correction" and is_whole and same:
                stale.append(record.n_accepted)
                clean.append(profile.n_accepted[place])
    return stale, clean


def _chains(profiles: Sequence[AcceptanceProfile]) -> list[int]:
    """Return how many drafts are accepted, from every position with room for a whole chain."""
    return [n for p in profiles for n in p.n_accepted[1 : max(1, len(p) - p.max_gamma + 1)]]


class _Chain:
    """Replaces the state that a step gets; the drafter's own last one marks the later steps."""

    def __init__(self, drafter: Any, stack: ExitStack, hidden: Callable[..., Tensor]) -> None:
        self.hidden, self.width, self.step = hidden, drafter.config.backbone_hidden_size, 0
        self.first = self.last = drafter.pre_projection.weight.new_zeros(0)
        stack.callback(drafter.pre_projection.register_forward_pre_hook(self._starts).remove)
        stack.callback(drafter.post_projection.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        embedding, hidden = args[0].split(self.width, dim=-1)
        if torch.equal(hidden, self.last):
            self.step += 1
        else:
            self.step, self.first = 0, hidden
        return (torch.cat([embedding, self.hidden(hidden, self.first)], dim=-1),)

    def _ends(self, module: Any, args: Any, output: Tensor) -> None:
        self.last = output


def _advancing(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack, lambda own, first: own)
    _change(drafter, stack, lambda kw: {"position_ids": kw["position_ids"] + chain.step})


def _alone(drafter: Any, stack: ExitStack, kind: str) -> None:
    # Where all values are zero, attention adds nothing, whatever its weights are.
    def changed(kwargs: Inputs) -> Inputs:
        states = kwargs["shared_kv_states"].items()
        kept = {k: (keys, v if k == kind else torch.zeros_like(v)) for k, (keys, v) in states}
        return {"shared_kv_states": kept}

    _change(drafter, stack, changed)


def _shuffled(drafter: Any, stack: ExitStack, *, together: bool) -> None:
    """Put the values that a position sees into another order; with the keys, or apart from them."""
    generator = torch.Generator().manual_seed(0)

    def order(mask: Tensor | None, n_rows: int, n_keys: int) -> Int[Tensor, "rows keys"]:
        """Return per position a random order of what it sees; what is hidden stays hidden."""
        hidden = torch.zeros(n_rows, n_keys, dtype=torch.long)
        if mask is not None:
            hidden = (~mask if mask.dtype == torch.bool else mask < 0)[0, 0].long().cpu()
        draws = torch.rand(n_rows, n_keys, generator=generator)
        seen_first = hidden.argsort(dim=1, stable=True)
        return torch.empty_like(hidden).scatter(1, seen_first, (draws + hidden).argsort(dim=1))

    def changed(kwargs: Inputs) -> Inputs:
        # Each position sees others: it becomes a row of the batch, with an order of its own.
        embeds, masks, states = kwargs["inputs_embeds"].transpose(0, 1), {}, {}
        for kind, (keys, values) in kwargs["shared_kv_states"].items():
            mask = kwargs["attention_mask"][kind]
            masks[kind] = mask if mask is None else mask[0, 0, :, None, None]
            by_row = order(mask, len(embeds), keys.shape[2]).to(keys.device)
            values = values[0][:, by_row].transpose(0, 1)
            given = keys[0][:, by_row].transpose(0, 1) if together else keys
            states[kind] = (given.expand(len(embeds), -1, -1, -1), values)
        position = kwargs["position_ids"].transpose(0, 1)
        return {"inputs_embeds": embeds, "attention_mask": masks, "position_ids": position,
                "shared_kv_states": states}  # fmt: skip

    def ends(module: Any, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.transpose(0, 1)
        return output

    _change(drafter, stack, changed)
    stack.callback(drafter.model.register_forward_hook(ends).remove)


def _change(drafter: Any, stack: ExitStack, changed: Callable[[Inputs], Inputs]) -> None:
    def starts(module: Any, args: Any, kwargs: Inputs) -> tuple[Any, Inputs]:
        return args, kwargs | changed(kwargs)

    stack.callback(drafter.model.register_forward_pre_hook(starts, with_kwargs=True).remove)


def _dense_head(drafter: Any, stack: ExitStack) -> None:
    for part, name in ((drafter, "masked_embedding"), (drafter.config, "use_ordered_embeddings")):
        stack.callback(setattr, part, name, getattr(part, name))
    drafter.masked_embedding, drafter.config.use_ordered_embeddings = None, False


PARTS: dict[str, Callable[[Any, ExitStack], Any]] = {
    AS_IS: lambda drafter, stack: None,
    "no hidden state": lambda d, stack: _Chain(d, stack, lambda own, first: 0 * own),
    "hidden state not fed back": lambda d, stack: _Chain(d, stack, lambda own, first: first),
    "keys and values shuffled together": lambda d, stack: _shuffled(d, stack, together=True),
    "values shuffled alone": lambda d, stack: _shuffled(d, stack, together=False),
    "full KV alone": lambda d, stack: _alone(d, stack, "full_attention"),
    "sliding KV alone": lambda d, stack: _alone(d, stack, "sliding_attention"),
    "advancing positions": _advancing,
    "dense head": _dense_head,
}
