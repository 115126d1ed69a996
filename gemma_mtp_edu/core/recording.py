"""Make trace records of what a loop did.

Probabilities stay tensors until the run is over: reading one makes a GPU wait.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.analysis.timing import clock
from gemma_mtp_edu.core.drafters import Draft
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace, StopReason, kind_after
from gemma_mtp_edu.core.verification import Verification
from gemma_mtp_edu.models.pairs import ModelPair


@dataclass(slots=True)
class _Round:
    prefix_length: int
    draft_ids: list[int]
    verdict: Verification
    n_written: int
    own_probs: Tensor | None
    target_probs: Tensor | None
    draft_seconds: float = 0.0
    verify_seconds: float = 0.0
    other_seconds: float = 0.0


class Recorder:
    """Takes each round's facts and turns them into records at the end.

    Args:
        device: Waited for before the clock is read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._rounds: list[_Round] = []
        self._last = clock(device)

    @property
    def round(self) -> int:
        """Which round is not recorded yet; the prefill is round 0."""
        return len(self._rounds)

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now = clock(self._device)
        seconds, self._last = now - self._last, now
        return seconds

    def add(
        self,
        prefix_length: int,
        draft: Draft | None,
        verdict: Verification,
        n_written: int,
        target_probs: Float[Tensor, " gamma"] | None,
    ) -> None:
        """Take one pass.

        Args:
            prefix_length: Tokens of prompt and text before it.
            draft: The drafts; None for a prefill or a plain pass.
            verdict: What the target decided.
            n_written: Tokens that entered the text; fewer than decided where the text ended.
            target_probs: The target's probability of each draft.
        """
        drafts = [] if draft is None else draft.ids[0].tolist()
        own_probs = None if draft is None else draft.own_probs
        self._rounds.append(
            _Round(prefix_length, drafts, verdict, n_written, own_probs, target_probs)
        )

    def end_round(self, draft_seconds: float, verify_seconds: float) -> None:
        """Add the times of the last pass; what is left since the last lap is the rest of it."""
        last = self._rounds[-1]
        last.draft_seconds, last.verify_seconds = draft_seconds, verify_seconds
        last.other_seconds = self.lap()

    def records(self) -> tuple[RoundTrace, ...]:
        """Return the records; the first pass is the prefill."""
        return tuple(_record(r, first=index == 0) for index, r in enumerate(self._rounds))


def _record(taken: _Round, *, first: bool) -> RoundTrace:
    n_accepted = min(taken.verdict.n_accepted, taken.n_written)
    ended_inside = taken.n_written <= taken.verdict.n_accepted
    next_kind = kind_after(len(taken.draft_ids), taken.verdict.n_accepted, first=first)
    return RoundTrace(
        prefix_length=taken.prefix_length,
        draft_ids=tuple(taken.draft_ids),
        n_accepted=n_accepted,
        next_id=None if ended_inside else taken.verdict.next_id,
        next_kind="none" if ended_inside else next_kind,
        draft_probs=() if taken.own_probs is None else tuple(taken.own_probs.tolist()),
        target_probs=() if taken.target_probs is None else tuple(taken.target_probs.tolist()),
        overlaps=taken.verdict.overlaps,
        uniforms=taken.verdict.uniforms,
        draft_seconds=taken.draft_seconds,
        verify_seconds=taken.verify_seconds,
        other_seconds=taken.other_seconds,
    )


def draft_probabilities(
    logits: Float[Tensor, "positions vocab"], draft_ids: Int[Tensor, "1 gamma"]
) -> Float[Tensor, " gamma"]:
    """Return the probability that logits give to each draft, without waiting for a GPU."""
    rows = logits[: draft_ids.shape[1]].float()
    chosen = rows.gather(1, draft_ids.T)[:, 0]
    return (chosen - rows.logsumexp(-1)).exp()


def make_trace(
    pair: ModelPair,
    prompt_ids: Int[Tensor, "1 seq"],
    token_ids: Iterable[int],
    rounds: tuple[RoundTrace, ...],
    stop_reason: StopReason,
    method: str,
) -> GenerationTrace:
    """Return the trace of a finished run, with its text and where it comes from."""
    written = tuple(token_ids)
    return GenerationTrace(
        prompt_ids=tuple(prompt_ids[0].tolist()),
        token_ids=written,
        text=pair.decode(written) if pair.processor is not None else "",
        rounds=rounds,
        stop_reason=stop_reason,
        vocabulary=token_texts(pair, {*written, *(d for r in rounds for d in r.draft_ids)}),
        provenance=provenance(pair, method),
    )


def token_texts(pair: ModelPair, token_ids: set[int]) -> dict[int, str]:
    """Return the text of each token id; empty where the pair has no processor."""
    if pair.processor is None:
        return {}
    return {i: pair.decode([i], skip_special_tokens=False) for i in sorted(token_ids)}


def provenance(pair: ModelPair, method: str) -> dict[str, str]:
    """Return what made a trace: pair, method, dtype, device, versions."""
    return {
        "pair": pair.name,
        "method": method,
        "dtype": str(pair.target.dtype).removeprefix("torch."),
        "device": pair.device.type,
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
