"""The two loops: one token per target pass, and draft, verify, commit, crop."""

import time
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteriaList, StopStringCriteria

from gemma_mtp_edu.core.drafters import Draft, Drafter, fixed_draft
from gemma_mtp_edu.core.sampling import Ids, Sampler, Settings, check_finite
from gemma_mtp_edu.core.schedules import Constant, LastRound, Schedule
from gemma_mtp_edu.core.target import CachedModel, TargetOutput, TargetState
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace, StopReason, kind_after
from gemma_mtp_edu.core.verification import Verification, verify_greedy, verify_sampling


@torch.inference_mode()
def decode_plainly(run: "Run") -> None:
    """Write the text with one target pass per token."""
    run.prefill()
    while run.stop_reason is None:
        run.commit(None, run.accept(run.target.verify(run.ids[:, -1:]), None))
        run.target.crop(0)
        run.end_round()


@torch.inference_mode()
def speculate(run: "Run", drafter: Drafter, schedule: Schedule) -> None:
    """Write the text round by round: draft, verify, commit, crop.

    Source: Leviathan et al. 2023, arXiv:2211.17192, Algorithm 1.
    """
    state, last = run.prefill(), None
    while run.stop_reason is None:
        # Draft. The verify pass gives a token of its own, so at the end one fewer is drafted.
        gamma = schedule.gamma(run.n_new, last)
        draft = drafter.draft(run.ids, state, min(gamma, run.remaining - 1), run.sampler, schedule)
        run.lap("draft")

        # Verify: one pass over the newest token and all drafts.
        output = run.target.verify(torch.cat([run.ids[:, -1:], draft.ids], dim=1))
        verification = run.accept(output, draft)

        # Commit the accepted drafts and the target's own token.
        n_written = run.commit(draft, verification)

        # Crop: neither the target nor the drafter may see a rejected token again, nor one after
        # the end of the text. The last token written is in no cache yet.
        n_drafted, n_accepted = draft.ids.shape[1], verification.n_accepted
        n_rejected = n_drafted + 1 - n_written
        run.target.crop(n_rejected)
        # Row n_accepted is the one that predicted the newest token.
        state = run.target.state_after(output, n_accepted, n_rejected)
        last = LastRound(gamma, n_drafted, n_accepted)
        run.end_round()


def autoregressive_generate(pair: Any, prompt: str | Tensor, **settings: Any) -> GenerationTrace:
    """Write a text with the target alone, one token per pass; see `speculative_generate`."""
    run = new_run(pair, prompt, settings)
    decode_plainly(run)
    return run.trace("plain")


def speculative_generate(
    pair: Any,
    prompt: str | Tensor,
    *,
    schedule: Schedule | None = None,
    gamma: int | None = None,
    drafter: Drafter | None = None,
    **settings: Any,
) -> GenerationTrace:
    """Write what the target alone would write, with a drafter that proposes tokens.

    Args:
        pair: The models.
        prompt: A user's message, or token ids `[1, seq]`.
        schedule: How many tokens to draft in each round.
        gamma: Short for `schedule=Constant(gamma)`. With neither, the drafter's
            `generation_config` decides, else what the pair's registry entry recommends.
        drafter: Proposes instead of the pair's drafter, such as `PromptLookupDrafter()`.
        **settings: See `Settings`.
    """
    if isinstance(drafter, type) or not hasattr(drafter or Drafter, "draft"):
        need = "an object such as PromptLookupDrafter(); a model goes into its ModelPair"
        raise ValueError(f"got a {type(drafter).__name__} as drafter, need {need}")
    drafter, schedule = drafter or pair.new_drafter(), choose_schedule(pair, schedule, gamma)
    run = new_run(pair, prompt, settings, shares_state=drafter.needs_state)
    speculate(run, drafter, schedule)
    return run.trace(f"speculative, {schedule}")


def new_run(pair: Any, prompt: str | Tensor, settings: dict[str, Any], **more: Any) -> "Run":
    """Return a run that is about to read a prompt, which who listens has heard."""
    chosen = Settings(**settings)
    ids = pair.encode(prompt, chosen.max_new_tokens)
    if chosen.streamer is not None:
        chosen.streamer.put(ids.cpu().clone())
    return Run(pair, ids, chosen, **more)


def choose_schedule(pair: Any, schedule: Schedule | None, gamma: int | None) -> Schedule:
    """Return the schedule that was asked for, or the pair's own."""
    if schedule is not None and gamma is not None:
        raise ValueError("got schedule and gamma, need one: gamma=4 is short for Constant(4)")
    if schedule is not None and not hasattr(schedule, "gamma"):
        raise ValueError(f"got schedule {schedule!r}, need one such as Constant(4) or Heuristic(4)")
    return Constant(gamma) if gamma is not None else schedule or pair.default_schedule()


class Run:
    """One generation: the target, the text so far, and the rounds that made it."""

    def __init__(
        self, pair: Any, ids: Ids, settings: Settings, shares_state: bool = False, cache: Any = None
    ) -> None:
        self.pair, self.settings, self.prompt_length = pair, settings, ids.shape[1]
        self.target = CachedModel(pair.target, shares_state=shares_state, cache=cache)
        self.sampler: Sampler = settings.sampler(ids.device)
        self.eos_ids: Collection[int] = pair.eos_ids
        self.criteria = StoppingCriteriaList()
        if settings.stop_strings:
            self.criteria.append(StopStringCriteria(pair.tokenizer, settings.stop_strings))
        # One buffer for the whole run: appending would copy the prompt in every round.
        self._buffer = torch.cat([ids, ids.new_zeros(1, settings.max_new_tokens)], dim=1)
        self._length = self._start = self.prompt_length  # now, and when the round began
        self._no_draft = fixed_draft([], ids.device)
        self.stop_reason: StopReason | None = None  # None while the text goes on
        self.rounds: list[RoundTrace] = []
        self._record: dict[str, Any] = {}
        self._seconds: dict[str, Any] = {"draft_seconds": 0.0}
        self._last_lap = clock(self._buffer.device)

    @property
    def ids(self) -> Tensor:
        """Prompt and text `[1, seq]`."""
        return self._buffer[:, : self._length]

    @property
    def n_new(self) -> int:
        """Tokens written so far."""
        return self._length - self.prompt_length

    @property
    def remaining(self) -> int:
        """Tokens that may still be written."""
        return self._buffer.shape[1] - self._length

    def prefill(self) -> TargetState | None:
        """Read the prompt, write the first token, and return what a drafter needs."""
        output = self.target.prefill(self.ids)
        self.commit(None, self.accept(output, None))
        state = self.target.state_after(output, 0, 0)
        self.end_round()
        return state

    def accept(self, output: TargetOutput, draft: Draft | None) -> Verification:
        """Apply the accept rule, greedy or sampling, to a pass."""
        draft, generator = draft or self._no_draft, self.sampler.generator
        drafts = draft.ids[0]
        check_finite(draft.own_probs, "drafter")

        def judge(scores: Tensor, generator: torch.Generator | None) -> Verification:
            best = scores.max(-1)
            check_finite(best.values, "target")
            if generator is None:
                return verify_greedy(best.indices, drafts)
            return verify_sampling(scores.softmax(-1), draft.probs, drafts, generator)

        def goes_on(j: int, rows: list[Tensor]) -> bool:
            # A copy draws what is drawn below. And written at once: the text may end with it.
            kept = judge(torch.cat(rows), generator and generator.clone_state()).n_accepted > j
            return kept and bool(self._append(drafts[: j + 1].tolist())) and not self.stop_reason

        scores = self.sampler.processed(output.logits, self.ids, draft.ids, goes_on)
        verification = judge(scores, generator)
        rows = scores[: len(drafts)]
        self._target_probs = (rows.gather(1, draft.ids.T)[:, 0] - rows.logsumexp(-1)).exp()
        self.lap("verify")
        return verification

    def commit(self, draft: Draft | None, verification: Verification) -> int:
        """Write the accepted drafts and the target's own token; return how many were written."""
        draft = draft or self._no_draft
        drafts: list[int] = draft.ids[0].tolist()
        n_accepted, next_id = verification.n_accepted, verification.next_id
        kind = kind_after(len(drafts), n_accepted, first=not self.rounds)
        written = self._append([*drafts[:n_accepted], next_id])
        ended_inside = len(written) <= n_accepted
        self._record = {
            "prefix_length": self._start,
            "draft_ids": tuple(drafts),
            "n_accepted": min(n_accepted, len(written)),
            "next_id": None if ended_inside else next_id,
            "next_kind": "none" if ended_inside else kind,
            "draft_probs": tuple(draft.own_probs.tolist()),
            "target_probs": tuple(self._target_probs.tolist()),
            # What was verified after the end of the text says nothing about it.
            "overlaps": verification.overlaps[: len(written)],
            "uniforms": verification.uniforms[: len(written)],
        }
        if self.settings.on_tokens is not None:
            self.settings.on_tokens(tuple(written))
        if (streamer := self.settings.streamer) is not None:
            streamer.put(torch.tensor(written))
            if self.stop_reason is not None:
                streamer.end()
        return len(written)

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap under a name."""
        now = clock(self._buffer.device)
        self._seconds[f"{name}_seconds"], self._last_lap = now - self._last_lap, now

    def end_round(self) -> None:
        """Record the round that was committed; what was not drafting or verifying is "other"."""
        self.lap("other")
        self.rounds.append(RoundTrace(**self._record, **self._seconds))
        self._start = self._length

    def trace(self, method: str) -> GenerationTrace:
        """Return the trace of the finished run."""
        assert self.stop_reason is not None
        ids, start = self.ids[0].tolist(), self.prompt_length
        return self.pair.trace(ids[:start], ids[start:], self.rounds, self.stop_reason, method)

    def _append(self, tokens: list[int]) -> list[int]:
        """Write a round's tokens so far, up to the first that ends the text, and return them."""
        start = self._start
        new = torch.tensor(tokens[: self._buffer.shape[1] - start], device=self._buffer.device)
        self._buffer[0, start : start + len(new)] = new
        for token in tokens[self._length - start : len(new)]:
            if self.stop_reason is not None:
                break
            self._length += 1
            # Asked after every token: the library asks once per round, and misses a stop inside.
            if token in self.eos_ids:
                self.stop_reason = "eos"
            elif self.criteria and bool(self.criteria(self.ids, None).all()):
                self.stop_reason = "stop"
            elif not self.remaining:
                self.stop_reason = "length"
        return tokens[: self._length - start]


def clock(device: torch.device) -> float:
    """Return the time in seconds, once a GPU has done its work: it runs ahead of Python."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()
