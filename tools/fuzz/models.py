"""The models of a case, its prompt, its stop and its drafter; models are made once per shape."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    PreTrainedTokenizerFast,
    StoppingCriteria,
)

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.core.drafters import Draft, Drafter, PromptLookupDrafter
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Schedule
from tests.model.tiny import KnowingDrafter, Shape, tiny_pair, wrapped_pair
from tools.fuzz.cases import Case, Setting


@cache
def tokenizer(vocab: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are one to three letters long, so that stops straddle them.

    >>> tokenizer(16).decode([0, 5, 9, 15])
    'afdadb'
    """
    letters = "abcdef"
    pieces = [a + b + c for b in ("", *letters) for c in ("", *letters) for a in letters]
    words = list(dict.fromkeys(pieces))[:vocab]
    inner = Tokenizer(tokenizer_models.WordLevel({word: i for i, word in enumerate(words)}, "a"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False)


@cache
def make_pair(shape: Shape, wrapped: bool, double: bool) -> ModelPair:
    """Return the pair of a shape."""
    dtype = torch.float64 if double else torch.float32
    inner = tiny_pair(shape, dtype)
    target = wrapped_pair(shape).target.to(dtype) if wrapped else inner.target
    if double and shape.experts:
        # torch's grouped product takes no float64.
        target.set_experts_implementation("eager")
    return ModelPair(target, inner.drafter, tokenizer(shape.vocab), name="tiny")


def pair_of(case: Case) -> ModelPair:
    """Return the pair of a case; a smaller model that drafts stands in the drafter's place."""
    setting = case.setting
    pair = make_pair(setting.shape, setting.wrapped, setting.double)
    if case.drafts != "smaller":
        return pair
    other = replace(setting.shape, seed=setting.shape.seed + 1, experts=False)
    smaller = make_pair(other, False, setting.double).target
    return ModelPair(pair.target, smaller, pair.processor, name="tiny")


def prompt_of(setting: Setting) -> torch.Tensor:
    """Return the prompt `[1, seq]`."""
    random = Random(setting.prompt_seed)
    words = random.sample(range(setting.shape.vocab), setting.prompt_words)
    return torch.tensor([[random.choice(words) for _ in range(setting.prompt_length)]])


def processors_of(setting: Setting) -> LogitsProcessorList | None:
    """Return the processors that the caller gives."""
    return LogitsProcessorList([NoRepeatNGramLogitsProcessor(2)]) if setting.no_repeat else None


class EndsAfter(StoppingCriteria):
    """A criterion of one's own: the text is over after a token that some number divides."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return for each text whether it is over."""
        return input_ids[:, -1] % self.divisor == 0


@dataclass(frozen=True, slots=True)
class Stop:
    """What ends a text before its limit; at most one of them is given."""

    eos: tuple[int, ...] = ()
    string: str | None = None
    divisor: int | None = None

    def ends(self, vocab: int, before: list[int], token: int) -> str | None:
        """Return why a token that follows others ends the text, by a rule of its own."""
        if token in self.eos:
            return "eos"
        words = tokenizer(vocab)
        if self.string is not None:
            last = words.decode([token])
            text = (words.decode(before) if before else "") + last
            # The string must end inside the last token, wherever it began.
            end = text.rfind(self.string) + len(self.string)
            if self.string in text and end > len(text) - len(last):
                return "stop"
        if self.divisor is not None and token % self.divisor == 0:
            return "stop"
        return None


def stop_of(setting: Setting, free: list[int]) -> Stop:
    """Return the stop, taken from a text that nothing ends but its limit."""
    place = int(setting.stop_place * len(free))
    if setting.stop == "eos":
        # One of the text's own tokens; for drawn texts, which differ, some more.
        more = () if setting.is_greedy else range(setting.prompt_seed % 7, setting.shape.vocab, 11)
        return Stop(eos=(free[place], *more))
    if setting.stop == "string":
        text = tokenizer(setting.shape.vocab).decode(free)
        start = int(setting.stop_place * len(text))
        return Stop(string=text[start : start + 1 + setting.prompt_seed % 4])
    return Stop(divisor=7) if setting.stop == "criterion" else Stop()


@contextmanager
def ending_at(pair: ModelPair, stop: Stop) -> Iterator[None]:
    """Let the target's configuration end texts at the stop's tokens, and put it back."""
    config = pair.target.generation_config
    before = config.eos_token_id
    config.eos_token_id = list(stop.eos) or None
    try:
        yield
    finally:
        config.eos_token_id = before


class Mixed:
    """Takes turns between a script, whose drafts are often right, and the pair's own drafter."""

    def __init__(self, script: Drafter, own: Drafter) -> None:
        self.turns, self.needs_state = (script, own), own.needs_state
        self.round = 0

    def draft(
        self, ids: Any, state: Any, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Let the one draft whose turn it is."""
        self.round += 1
        return self.turns[1 - self.round % 2].draft(ids, state, gamma, sampler, schedule)


class Heard:
    """Another drafter, and the distribution of each of its drafts, round by round."""

    def __init__(self, drafter: Drafter, vocab: int) -> None:
        self.drafter, self.needs_state, self.vocab = drafter, drafter.needs_state, vocab
        self.distributions: list[torch.Tensor] = []

    def draft(
        self, ids: Any, state: Any, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Let the other one draft."""
        draft = self.drafter.draft(ids, state, gamma, sampler, schedule)
        hot = torch.nn.functional.one_hot(draft.ids[0], self.vocab).double()
        self.distributions.append(hot if draft.probs is None else draft.probs.double())
        return draft


def drafter_of(case: Case, pair: ModelPair, known: list[int]) -> Drafter:
    """Return a fresh drafter; a script knows a text."""
    if case.drafts == "lookup":
        return PromptLookupDrafter(1 + case.seed % 3)
    if case.drafts in ("mtp", "smaller"):
        return pair.new_drafter()
    setting = case.setting
    script = KnowingDrafter(setting.prompt_length, tuple(known), case.right, setting.shape.vocab)
    script.generator.manual_seed(case.seed)
    return script if case.drafts == "scripted" else Mixed(script, pair.new_drafter())
