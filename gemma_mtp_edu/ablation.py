"""Take one thing away from the drafter, and count which drafts are still kept.

Hooks on the drafter change what it gets, so whatever runs it sees the change: a profile, our loop,
the library's `generate()`. The target stays whole, so the text stays the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.decoding import autoregressive_generate, pair_drafter, speculate
from gemma_mtp_edu.pairs import ModelPair
from gemma_mtp_edu.profile import AcceptanceProfile
from gemma_mtp_edu.profiling import profile_of
from gemma_mtp_edu.run import Options, new_run
from gemma_mtp_edu.schedules import Constant, check_gamma
from gemma_mtp_edu.target import Target
from gemma_mtp_edu.trace import GenerationTrace

AS_IS, STALE = "as is", "the library's stale KV"
Prompt = str | Int[Tensor, "1 seq"]


@dataclass(frozen=True, slots=True)
class AblationResult:
    """How many drafts are kept with one thing changed.

    Attributes:
        part: What was changed.
        kept: For the first, second, ... draft: in which share of the chains it and all before it
            are what the target writes.
        as_is: The same for the whole drafter, from the same places of the same texts.
        n_chains: Number of chains.
    """

    part: str
    kept: tuple[float, ...]
    as_is: tuple[float, ...]
    n_chains: int

    @property
    def mean_kept(self) -> float:
        """Mean number of drafts kept per chain."""
        return sum(self.kept)


def ablate(
    pair: ModelPair,
    prompts: Sequence[Prompt],
    parts: Sequence[str] | None = None,
    *,
    gamma: int = 4,
    max_new_tokens: int = 64,
) -> tuple[AblationResult, ...]:
    """Write texts greedily, and draft from every place of them with each thing changed in turn.

    Stale KV needs drafts that were rejected before, so for it rounds are run one after the other,
    and only those count that follow a rejection: the others have no stale KV.

    Args:
        pair: A target and its Gemma 4 MTP drafter.
        prompts: Users' messages, or token ids `[1, seq]`.
        parts: Some of `PARTS`, or `STALE`; by default all.
        gamma: Drafts per chain.
        max_new_tokens: Tokens to write for each prompt at most.

    Raises:
        ValueError: A part is unknown, a number is out of range, or the texts are too short.
    """
    chosen = (*PARTS, STALE) if parts is None else parts
    for part in chosen:
        _check_part(part, (*PARTS, STALE))
    check_gamma(gamma)
    plains = [autoregressive_generate(pair, p, max_new_tokens=max_new_tokens) for p in prompts]
    whole = [profile_of(pair, plain, max_gamma=gamma) for plain in plains]
    clean = _chains(whole, gamma)
    results = []
    for part in chosen:
        if part == STALE:
            results.append(_stale_result(pair, prompts, whole, gamma))
            continue
        with without(pair, part):
            changed = [profile_of(pair, plain, max_gamma=gamma) for plain in plains]
        results.append(_result(part, _chains(changed, gamma), clean, gamma))
    return tuple(results)


@contextmanager
def without(pair: ModelPair, part: str) -> Iterator[None]:
    """Change one thing in the pair's drafter, and put it back at the end.

    Args:
        pair: Its drafter is changed in place, for whoever runs it.
        part: One of `PARTS`.

    Raises:
        ValueError: The part is unknown.
    """
    _check_part(part, tuple(PARTS))
    with ExitStack() as stack:
        PARTS[part](pair.drafter, stack)
        yield


@torch.inference_mode()
def stale_run(
    pair: ModelPair, prompt: Prompt, *, gamma: int = 4, max_new_tokens: int = 64
) -> GenerationTrace:
    """Write a text with drafts, and leave in the drafter's KV what the library leaves there.

    Source: transformers 5.22.2, `SinglePositionMultiTokenCandidateGenerator.get_candidates`.
    """
    greedy = Options(max_new_tokens, 0.0, None, None, None, None, None, None, None, None)
    run = new_run(pair, prompt, greedy, hands_over=True)
    run.target = _StaleTarget(pair.target, hands_over=True)
    speculate(run, pair_drafter(pair), Constant(gamma))
    return run.trace(pair, f"speculative, {STALE}")


class _StaleTarget(Target):
    """Cuts the shared KV at the length of the text, as the library does."""

    def _visible(self, kind: str, states: Tensor, n_rejected: int) -> Tensor:
        # The newest token has no KV yet: an entry at its place is a rejected draft's. In a sliding
        # layer that has dropped old entries, the cut comes later still, or takes nothing away.
        states = states[:, :, : self.length + 1]
        # The library's mask counts the distance from the last entry, and includes the window.
        is_sliding = kind == "sliding_attention" and self.window
        return states[:, :, -(self.window + 1) :] if is_sliding and self.window else states


class _Chain:
    """Tells the first step of a chain from later ones: those get the drafter's own last state."""

    def __init__(self, drafter: Any, stack: ExitStack) -> None:
        self.width = drafter.config.backbone_hidden_size
        self.step = 0
        self.first: Tensor | None = None
        self.last: Tensor | None = None
        stack.callback(drafter.pre_projection.register_forward_pre_hook(self._starts).remove)
        stack.callback(drafter.post_projection.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: tuple[Tensor]) -> None:
        hidden = args[0][..., self.width :]
        if self.last is not None and torch.equal(hidden, self.last):
            self.step += 1
        else:
            self.step, self.first = 0, hidden

    def _ends(self, module: Any, args: Any, output: Tensor) -> None:
        self.last = output


class _Shuffle:
    """Puts the values that a place sees into another order; with the keys, or apart from them."""

    def __init__(self, drafter: Any, stack: ExitStack, *, together: bool) -> None:
        self.together = together
        self.generator = torch.Generator().manual_seed(0)
        starts = drafter.model.register_forward_pre_hook(self._starts, with_kwargs=True)
        stack.callback(starts.remove)
        stack.callback(drafter.model.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        # Each place sees other entries: it becomes a row of the batch, with an order of its own.
        embeds, masks, states = kwargs["inputs_embeds"].transpose(0, 1), {}, {}
        for kind, (keys, values) in kwargs["shared_kv_states"].items():
            mask = kwargs["attention_mask"][kind]
            masks[kind] = mask if mask is None else mask[0, 0, :, None, None]
            order = self._order(mask, len(embeds), keys.shape[2]).to(keys.device)
            shuffled = values[0][:, order].transpose(0, 1)
            given = keys[0][:, order].transpose(0, 1) if self.together else keys
            states[kind] = (given.expand(len(embeds), -1, -1, -1), shuffled)
        return args, kwargs | {
            "inputs_embeds": embeds,
            "attention_mask": masks,
            "position_ids": kwargs["position_ids"].transpose(0, 1),
            "shared_kv_states": states,
        }

    def _ends(self, module: Any, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.transpose(0, 1)
        return output

    def _order(self, mask: Tensor | None, n_places: int, n_keys: int) -> Int[Tensor, "places keys"]:
        """Return per place a random order of the entries it sees; hidden ones stay hidden."""
        hidden = torch.zeros(n_places, n_keys, dtype=torch.long)
        if mask is not None:
            hidden = (~mask if mask.dtype == torch.bool else mask < 0)[0, 0].long().cpu()
        draws = torch.rand(n_places, n_keys, generator=self.generator)
        seen_first = hidden.argsort(dim=1, stable=True)
        return torch.empty_like(hidden).scatter(1, seen_first, (draws + hidden).argsort(dim=1))


def _no_hidden_state(drafter: Any, stack: ExitStack) -> None:
    width = drafter.config.backbone_hidden_size

    def starts(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        embedding = args[0][..., :width]
        return (torch.cat([embedding, torch.zeros_like(embedding)], dim=-1),)

    stack.callback(drafter.pre_projection.register_forward_pre_hook(starts).remove)


def _not_fed_back(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack)

    def starts(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        assert chain.first is not None
        return (torch.cat([args[0][..., : chain.width], chain.first], dim=-1),)

    stack.callback(drafter.pre_projection.register_forward_pre_hook(starts).remove)


def _advancing(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack)
    _change(drafter, stack, lambda kw: {"position_ids": kw["position_ids"] + chain.step})


def _alone(kind: str) -> Callable[[Any, ExitStack], None]:
    # Where all values are zero, attention adds nothing, whatever its weights are.
    def changed(kwargs: dict[str, Any]) -> dict[str, Any]:
        states = kwargs["shared_kv_states"].items()
        return {
            "shared_kv_states": {
                name: (keys, values if name == kind else torch.zeros_like(values))
                for name, (keys, values) in states
            }
        }

    return lambda drafter, stack: _change(drafter, stack, changed)


def _change(
    drafter: Any, stack: ExitStack, changed: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    def starts(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | changed(kwargs)

    stack.callback(drafter.model.register_forward_pre_hook(starts, with_kwargs=True).remove)


def _dense_head(drafter: Any, stack: ExitStack) -> None:
    head, is_used = drafter.masked_embedding, drafter.config.use_ordered_embeddings

    def put_back() -> None:
        drafter.masked_embedding, drafter.config.use_ordered_embeddings = head, is_used

    stack.callback(put_back)
    drafter.masked_embedding, drafter.config.use_ordered_embeddings = None, False


PARTS: dict[str, Callable[[Any, ExitStack], None]] = {
    AS_IS: lambda drafter, stack: None,
    "no hidden state": _no_hidden_state,
    "hidden state not fed back": _not_fed_back,
    "keys and values shuffled together": lambda d, stack: _shuffled(d, stack, together=True),
    "values shuffled alone": lambda d, stack: _shuffled(d, stack, together=False),
    "full KV alone": _alone("full_attention"),
    "sliding KV alone": _alone("sliding_attention"),
    "advancing positions": _advancing,
    "dense head": _dense_head,
}


def _shuffled(drafter: Any, stack: ExitStack, *, together: bool) -> None:
    _Shuffle(drafter, stack, together=together)


def _stale_result(
    pair: ModelPair, prompts: Sequence[Prompt], whole: Sequence[AcceptanceProfile], gamma: int
) -> AblationResult:
    """Compare the rounds after a rejection with clean chains from the same places."""
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
    return _result(STALE, stale, clean, gamma)


def _chains(profiles: Sequence[AcceptanceProfile], gamma: int) -> list[int]:
    """Return how many drafts are kept, from every place with room for a whole chain."""
    return [n for p in profiles for n in p.n_accepted[1 : max(1, len(p) - gamma + 1)]]


def _result(part: str, changed: list[int], clean: list[int], gamma: int) -> AblationResult:
    if not changed:
        raise ValueError(
            f"got no chain of {gamma} drafts for {part!r}: give longer texts (max_new_tokens) or "
            "harder ones, in which drafts are rejected"
        )
    kept, as_is = (
        tuple(sum(n > draft for n in counts) / len(counts) for draft in range(gamma))
        for counts in (changed, clean)
    )
    return AblationResult(part, kept, as_is, len(changed))


def _check_part(part: str, known: Sequence[str]) -> None:
    if part not in known:
        raise ValueError(f"got part {part!r}, need one of {', '.join(map(repr, known))}")
