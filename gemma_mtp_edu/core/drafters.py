"""Who proposes tokens: one protocol, and the drafters that need no Gemma 4 drafter model.

The Gemma 4 MTP drafter stands in `mtp_drafter`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.core.arguments import got, whole
from gemma_mtp_edu.core.sampling import Choice, Sampler
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.target import HandOver, Target
from gemma_mtp_edu.lessons.language import tr


@dataclass(frozen=True, slots=True, eq=False)
class DraftContext:
    """What a drafter gets for one round.

    Attributes:
        ids: The text so far; the last token is the newest one, which no model has passed yet.
        hand_over: The target's states; None for a drafter that does not ask for them.
        round: Which round of the run it is, the prefill being round 0; for messages.
    """

    ids: Int[Tensor, "1 seq"]
    hand_over: HandOver | None = None
    round: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """What a drafter proposes for one round.

    Attributes:
        ids: The drafts, `gamma` of them or fewer.
        own_probs: The drafter's probability of each.
        probs: The law that each was drawn from; None for drafts that were not drawn.
    """

    ids: Int[Tensor, "1 gamma"]
    own_probs: Float[Tensor, " gamma"]
    probs: Float[Tensor, "gamma vocab"] | None = None


@runtime_checkable
class Drafter(Protocol):
    """Proposes tokens, round by round. One object serves one generation."""

    hands_over: bool
    """Whether the target's states are needed in `DraftContext.hand_over`."""

    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Return at most `gamma` drafts, at least 0.

        Args:
            context: The text, and what the target hands over.
            gamma: Drafts at most.
            sampler: Chooses a token from logits.
            schedule: Asked after each draft whether to go on, where it watches probabilities.
        """
        ...


class DraftWriter:
    """Collects the choices of one round, for drafters that choose token by token."""

    def __init__(self, context: DraftContext, sampler: Sampler, schedule: Schedule) -> None:
        self.context, self.sampler, self.schedule = context, sampler, schedule
        self.choices: list[Choice] = []

    @property
    def ids(self) -> Int[Tensor, "1 gamma"]:
        """The drafts so far."""
        if not self.choices:
            return self.context.ids[:, :0]
        return torch.cat([choice.token_id for choice in self.choices], dim=1)

    def choose(self, logits: Float[Tensor, "1 vocab"]) -> Choice:
        """Choose a token that follows the text and the drafts so far."""
        where = tr(
            "in round {round} at draft {draft}",
            round=self.context.round,
            draft=len(self.choices) + 1,
        )
        return self.sampler.choose(logits, self.context.ids, self.ids, where)

    def add(self, choice: Choice) -> Int[Tensor, "1 1"]:
        """Take a choice as the next draft, and return its token."""
        self.choices.append(choice)
        return choice.token_id

    def goes_on(self) -> bool:
        """Return whether the schedule wants another draft after the last one."""
        # The question makes a GPU wait, so it is asked only where the answer matters.
        if not self.schedule.watches_probs:
            return True
        return self.schedule.keeps_drafting(float(self.choices[-1].prob))

    def draft(self) -> Draft:
        """Return the round's drafts."""
        laws = [choice.probs for choice in self.choices if choice.probs is not None]
        own = [choice.prob for choice in self.choices]
        own_probs = torch.stack(own) if own else torch.zeros(0, device=self.context.ids.device)
        return Draft(self.ids, own_probs, torch.stack(laws) if laws else None)


class CausalLMDrafter:
    """An ordinary, smaller causal language model with a cache of its own.

    Args:
        model: Any causal language model with the target's tokenizer.

    Source: Leviathan et al. 2023, arXiv:2211.17192.
    """

    hands_over = False

    def __init__(self, model: Any) -> None:
        self.reader = Target(model, hands_over=False)
        self.passed: list[int] = []

    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Read what is new in the text, then draft one token after the other."""
        writer = DraftWriter(context, sampler, schedule)
        unread = self._unread(context.ids)
        for _ in range(gamma):
            unread = writer.add(writer.choose(self._read(unread)))
            if not writer.goes_on():
                break
        return writer.draft()

    def _unread(self, ids: Int[Tensor, "1 seq"]) -> Int[Tensor, "1 new"]:
        """Forget drafts that did not enter the text, and return the tokens that were not passed."""
        text: list[int] = ids[0].tolist()
        pairs = enumerate(zip(self.passed, text, strict=False))
        shorter = min(len(self.passed), len(text) - 1)
        same = min(next((i for i, (a, b) in pairs if a != b), shorter), shorter)
        if self.passed:
            self.reader.crop(len(self.passed) - same)
        self.passed = self.passed[:same]
        return ids[:, same:]

    def _read(self, ids: Int[Tensor, "1 new"]) -> Float[Tensor, "1 vocab"]:
        read = self.reader.verify if self.passed else self.reader.prefill
        self.passed += ids[0].tolist()
        return read(ids).logits[-1:]


class PromptLookupDrafter:
    """Drafts what followed the last few tokens where they stood before in the text; no model.

    Args:
        max_ngram: Longest piece of text to look for, in tokens.

    Raises:
        ValueError: `max_ngram` is below 1.

    Source: Saxena 2023, prompt lookup decoding; transformers' `PromptLookupCandidateGenerator`,
        which takes the first place where this one takes the latest.
    """

    hands_over = False

    def __init__(self, max_ngram: int = 3) -> None:
        self.max_ngram = whole(max_ngram, "max_ngram", 1, " of tokens")

    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Copy from the text; nothing is drafted where nothing is found."""
        return fixed_draft(lookup(context.ids[0].tolist(), self.max_ngram, gamma), context)


def lookup(ids: Sequence[int], max_ngram: int, gamma: int) -> list[int]:
    """Return the up to `gamma` tokens that followed the latest earlier place of the text's end.

    >>> lookup([1, 2, 3, 9, 1, 2], max_ngram=3, gamma=2)
    [3, 9]
    """
    for size in range(min(max_ngram, len(ids) - 1), 0, -1):
        end = list(ids[-size:])
        for start in range(len(ids) - size - 1, -1, -1):
            # The last token first: comparing pieces at every place would take long in long texts.
            if ids[start + size - 1] == end[-1] and list(ids[start : start + size]) == end:
                return list(ids[start + size : start + size + gamma])
    return []


class ScriptedDrafter:
    """Drafts what a script says, round by round; for tests and lessons.

    Args:
        rounds: Token ids for each round. Rounds past the script have no drafts.

    Raises:
        ValueError: They are none.
    """

    hands_over = False

    def __init__(self, rounds: Sequence[Sequence[int]]) -> None:
        try:
            self.left = [[whole(token, "token", 0) for token in tokens] for tokens in rounds]
        except TypeError as error:
            raise ValueError(got(rounds, "rounds", tr("token ids for each round"))) from error

    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Return the next entry of the script, cut to `gamma`."""
        return fixed_draft(self.left.pop(0)[:gamma] if self.left else [], context)


def fixed_draft(tokens: Sequence[int], context: DraftContext) -> Draft:
    """Return drafts that were not drawn: their law has all its mass on them."""
    device = context.ids.device
    ids = torch.tensor([list(tokens)], dtype=torch.long, device=device).reshape(1, -1)
    return Draft(ids, torch.ones(len(tokens), device=device))


def check_drafter(drafter: Any) -> Drafter:
    """Return a drafter as it is.

    Raises:
        ValueError: It is none.
    """
    if isinstance(drafter, type) or not isinstance(drafter, Drafter):
        raise ValueError(
            tr(
                "got a {kind} as drafter, need one with hands_over and draft(), such as "
                "PromptLookupDrafter(); a model goes into ModelPair(target, drafter)",
                kind=type(drafter).__name__,
            )
        )
    return drafter
