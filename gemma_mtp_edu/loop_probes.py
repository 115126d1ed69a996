"""What the installed transformers really does with a Gemma 4 drafter, and what our loop does.

Each probe runs both loops on a pair built in memory and says what was seen. A defect of the library
that our loop does not share is a note: the course teaches it. One of our loop is a failure.
"""

import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.emitted_law import emitted_law, total_variation
from gemma_mtp_edu.core.schedules import Heuristic
from gemma_mtp_edu.cycle_pair import CyclePair, cycle_pair
from gemma_mtp_edu.findings import BUILDS, LIBRARY, OURS, SAME_TEXT, Finding
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.loop_watch import Watched, watch_library, watch_ours
from gemma_mtp_edu.models.releases import REMEDY, REQUIREMENT

_TOKENS, _PROMPT, _START = 40, 12, 4
_UNBIASED = 1e-3
_LETTERS = string.ascii_letters + string.digits + "+/"  # 64, as the pair has tokens


class LoopProbes:
    """The probes; what several of them need is made once, when it is first asked for."""

    @cached_property
    def models(self) -> CyclePair:
        """The pair; its drafter asks for the heuristic schedule."""
        models = cycle_pair()
        models.drafter.generation_config.num_assistant_tokens = _START
        models.drafter.generation_config.num_assistant_tokens_schedule = "heuristic"
        return models

    @cached_property
    def prompt(self) -> Tensor:
        """A prompt that is longer than the sliding window."""
        return self.models.prompt(_PROMPT)

    @cached_property
    def plain(self) -> tuple[int, ...]:
        """The text that the target writes alone."""
        output = self.models.target.generate(
            self.prompt,
            attention_mask=torch.ones_like(self.prompt),
            max_new_tokens=_TOKENS,
            do_sample=False,
        )
        return tuple(output[0, _PROMPT:].tolist())

    @cached_property
    def theirs(self) -> Watched:
        """The library's assisted run."""
        return watch_library(self.models, self.prompt, max_new_tokens=_TOKENS, do_sample=False)

    @cached_property
    def ours(self) -> Watched:
        """Our run."""
        return watch_ours(self.models, self.prompt, Heuristic(_START), _TOKENS)

    def builds(self) -> Finding:
        """Whether a drafter can be constructed at all."""
        found = tr("{kind} with random weights", kind=type(self.models.drafter).__name__)
        return Finding(LIBRARY, BUILDS, "ok", found)

    def library_text(self) -> Finding:
        """Whether assisted greedy decoding writes what the target alone writes."""
        if self.theirs.token_ids == self.plain:
            return _same_text(LIBRARY)
        found = tr("greedy texts with and without drafter differ")
        return Finding(LIBRARY, SAME_TEXT, "fail", found, tr(REMEDY, requirement=REQUIREMENT))

    def library_schedule(self) -> Finding:
        """Whether the library asks the schedule that its configuration names."""
        lengths, wanted = self.theirs.draft_lengths, self.theirs.wanted_lengths(Heuristic(_START))
        if lengths == wanted:
            return _scheduled(LIBRARY, lengths)
        found = tr(
            "heuristic drafts {lengths}, should draft {wanted}",
            lengths=_shown(lengths),
            wanted=_shown(wanted),
        )
        fix = _ours_is_right("speculative_generate(..., schedule=Heuristic(4))", "09")
        return Finding(LIBRARY, "honours the schedule", "note", found, fix)

    def library_state(self) -> Finding:
        """Whether the drafter gets the state that predicted the newest token."""
        return _states(LIBRARY, self.theirs, self.models.target)

    def library_kv(self) -> Finding:
        """Whether the drafter sees keys of rejected tokens."""
        return _clean_kv(LIBRARY, self.theirs, self.models.target)

    def library_stop(self) -> Finding:
        """Whether the library's text ends at a stop string."""
        tokenizer, stop, wanted = self._stop_case()
        output = watch_library(
            self.models,
            self.prompt,
            max_new_tokens=_TOKENS,
            do_sample=False,
            stop_strings=[stop],
            tokenizer=tokenizer,
        )
        return _stops(LIBRARY, len(output.token_ids), wanted)

    def library_sampling(self) -> Finding:
        """Whether the library's assisted sampling follows the target's law, exactly."""
        case = _SamplingCase()
        return _sampling(LIBRARY, case.difference(case.theirs))

    def our_text(self) -> Finding:
        """Whether our loop writes what the library's plain `generate()` writes."""
        if self.ours.token_ids == self.plain:
            return _same_text(OURS)
        return _ours_is_wrong(SAME_TEXT, tr("the greedy text differs from plain generation"))

    def our_schedule(self) -> Finding:
        """Whether our loop asks the schedule."""
        lengths, wanted = self.ours.draft_lengths, self.ours.wanted_lengths(Heuristic(_START))
        if lengths == wanted:
            return _scheduled(OURS, lengths)
        found = tr(
            "drafts {lengths}, should draft {wanted}",
            lengths=_shown(lengths),
            wanted=_shown(wanted),
        )
        return _ours_is_wrong("honours the schedule", found)

    def our_state(self) -> Finding:
        """Whether our loop hands over the state that predicted the newest token."""
        return _states(OURS, self.ours, self.models.target)

    def our_kv(self) -> Finding:
        """Whether our loop hands over keys of rejected tokens."""
        return _clean_kv(OURS, self.ours, self.models.target)

    def our_stop(self) -> Finding:
        """Whether our text ends at a stop string."""
        from gemma_mtp_edu.core.decoding import speculative_generate
        from gemma_mtp_edu.models.pairs import ModelPair

        tokenizer, stop, wanted = self._stop_case()
        pair = ModelPair(self.models.target, self.models.drafter, tokenizer, name="cycle")
        trace = speculative_generate(
            pair, self.prompt, gamma=_START, max_new_tokens=_TOKENS, stop_strings=[stop]
        )
        return _stops(OURS, len(trace.token_ids), wanted)

    def our_sampling(self) -> Finding:
        """Whether our sampling follows the target's law, exactly."""
        case = _SamplingCase()
        return _sampling(OURS, case.difference(case.ours))

    def _stop_case(self) -> tuple[Any, str, int]:
        """Return a tokenizer, a stop string, and after how many tokens the text must end.

        It is the text of a draft that was accepted with others behind it.
        """
        starts = [seen.length - _PROMPT for seen in self.theirs.rounds]
        ends = [*starts[1:], _TOKENS]
        place = next(a for a, b in zip(starts, ends, strict=True) if b - a >= 3)
        token = self.plain[place]
        return _tokenizer(), _LETTERS[token], self.plain.index(token) + 1


class _SamplingCase:
    """Two loops that write a token and then one that comes of a draft, from four tokens."""

    def __init__(self) -> None:
        self.models = cycle_pair(vocab=4, sharpness=0.25)
        self.models.drafter.generation_config.num_assistant_tokens = 1
        self.prompt = self.models.prompt(6)
        self.first = int(self.models.successors[self.prompt[0, -1]])

    def ours(self) -> tuple[int, ...]:
        """Run our loop."""
        from gemma_mtp_edu.core.decoding import speculative_generate
        from gemma_mtp_edu.models.pairs import ModelPair

        pair = ModelPair(self.models.target, self.models.drafter, name="cycle")
        return speculative_generate(
            pair, self.prompt, gamma=1, temperature=1.0, max_new_tokens=3, seed=0
        ).token_ids

    def theirs(self) -> tuple[int, ...]:
        """Run the library's loop."""
        return watch_library(
            self.models,
            self.prompt,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=3,
        ).token_ids

    def difference(self, loop: Callable[[], tuple[int, ...]]) -> float:
        """Return the total variation between what a loop emits and the target's law."""
        text = torch.cat([self.prompt, torch.tensor([[self.first]])], dim=1)
        with torch.no_grad():
            logits = self.models.target(text, use_cache=False).logits[0, -1]
        return total_variation(emitted_law(loop, self.first), logits.double().softmax(-1))


def _same_text(area: str) -> Finding:
    return Finding(area, SAME_TEXT, "ok", tr("{count} of {count} tokens", count=_TOKENS))


def _scheduled(area: str, lengths: list[int]) -> Finding:
    found = tr("heuristic drafts {lengths}", lengths=_shown(lengths))
    return Finding(area, "honours the schedule", "ok", found)


def _states(area: str, watched: Watched, target: Any) -> Finding:
    name, wrong, count = (
        "hands over the right state",
        watched.wrong_states(target),
        len(watched.rounds),
    )
    if not wrong:
        return Finding(area, name, "ok", tr("in {count} of {count} rounds", count=count))
    found = tr(
        "in {wrong} of {count} rounds another token's hidden state", wrong=wrong, count=count
    )
    if area == OURS:
        return _ours_is_wrong(name, found)
    return Finding(area, name, "note", found, _ours_is_right("speculative_generate"))


def _clean_kv(area: str, watched: Watched, target: Any) -> Finding:
    name, stale, count = "hands over clean KV", watched.stale_rounds(target), len(watched.rounds)
    if not stale:
        return Finding(area, name, "ok", tr("in {count} of {count} rounds", count=count))
    found = tr(
        "in {stale} of {count} rounds the drafter sees keys of a rejected token",
        stale=stale,
        count=count,
    )
    if area == OURS:
        return _ours_is_wrong(name, found)
    fix = tr("our loop does it right; the text is right in both")
    return Finding(area, name, "note", found, fix)


def _stops(area: str, written: int, wanted: int) -> Finding:
    name = "stops at a stop string"
    if written == wanted:
        found = tr("after {tokens} tokens, inside accepted drafts", tokens=wanted)
        return Finding(area, name, "ok", found)
    found = tr(
        "writes {more} tokens more" if written > wanted else "stops too early",
        more=written - wanted,
    )
    if area == OURS:
        return _ours_is_wrong(name, found)
    return Finding(area, name, "note", found, _ours_is_right("speculative_generate"))


def _sampling(area: str, difference: float) -> Finding:
    name = "samples without bias"
    found = tr("total variation from the target's law {difference:.3f}", difference=difference)
    if difference < _UNBIASED:
        return Finding(area, name, "ok", found)
    if area == OURS:
        return _ours_is_wrong(name, found)
    fix = _ours_is_right("speculative_generate(..., temperature=1.0)", "05")
    return Finding(area, name, "note", found, fix)


def _ours_is_right(call: str, lesson: str = "") -> str:
    return tr(
        "our loop does it right: {call}; lesson {lesson}"
        if lesson
        else "our loop does it right: {call}",
        call=call,
        lesson=lesson,
    )


def _ours_is_wrong(name: str, found: str) -> Finding:
    remedy = tr(REMEDY, requirement=REQUIREMENT)
    fix = tr("install the course again; {remedy}", remedy=remedy)
    return Finding(OURS, name, "fail", found, fix)


def _shown(lengths: list[int]) -> str:
    more = ", ..." if len(lengths) > 6 else ""
    return ", ".join(map(str, lengths[:6])) + more


def _tokenizer() -> Any:
    """Return a tokenizer whose tokens are the letters of `_LETTERS`."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(_LETTERS)}, []))
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the library's log off the page, torch on one thread and its defaults the usual ones.

    All are left as they were. On a busy machine several threads wait for each other longer than
    these small models take.
    """
    from transformers.utils import logging

    level, threads, dtype = (
        logging.get_verbosity(), torch.get_num_threads(), torch.get_default_dtype(),
    )  # fmt: skip
    logging.set_verbosity(logging.CRITICAL)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        logging.set_verbosity(level)
