"""Take one thing away from the drafter, and count which drafts are still kept.

The target stays whole, so the text stays the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.analysis.ablation_parts import PARTS
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.profiling import profile_of
from gemma_mtp_edu.core.decoding import autoregressive_generate, pair_drafter, speculate
from gemma_mtp_edu.core.options import Options
from gemma_mtp_edu.core.run import new_run
from gemma_mtp_edu.core.schedules import Constant, check_gamma
from gemma_mtp_edu.core.sharing import changing, running
from gemma_mtp_edu.core.target import Target
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair

STALE = "the library's stale KV"
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
    gamma = check_gamma(gamma)
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
    with changing(pair.drafter), ExitStack() as stack:
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
    with running(pair.target, pair.drafter):
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
            tr(
                "got no chain of {gamma} drafts for {part!r}: give longer texts "
                "(max_new_tokens) or harder ones, in which drafts are rejected",
                gamma=gamma,
                part=part,
            )
        )
    kept, as_is = (
        tuple(sum(n > draft for n in counts) / len(counts) for draft in range(gamma))
        for counts in (changed, clean)
    )
    return AblationResult(part, kept, as_is, len(changed))


def _check_part(part: str, known: Sequence[str]) -> None:
    if part not in known:
        raise ValueError(
            tr(
                "got part {part!r}, need one of {parts}",
                part=part,
                parts=", ".join(map(repr, known)),
            )
        )
