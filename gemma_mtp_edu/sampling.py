"""From logits to a token, the same way for target and drafter.

Logits processors are transformers' own classes. Every draw takes a Generator, so no global random
state is read or changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from gemma_mtp_edu.verification import draw

# These look at one row of logits and at no token before it, so all rows can go through at once.
_ROW_BY_ROW = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)


class NonFiniteLogitsError(FloatingPointError):
    """A model gave NaN where scores of tokens should be."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A token chosen from logits.

    Attributes:
        token_id: The token, on the device of the logits.
        prob: Probability of that token; 0-dimensional.
        probs: The law that the token was drawn from; None where it was not drawn: greedily, the
            law has all its mass on the token.
    """

    token_id: Int[Tensor, "1 1"]
    prob: Float[Tensor, ""]
    probs: Float[Tensor, " vocab"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """How a token is chosen: greedily or by drawing, after which processors, by which Generator.

    Attributes:
        processors: Applied in this order to logits `[1, vocab]`, given the token ids before them.
        generator: Draws tokens; None for greedy decoding.
    """

    processors: LogitsProcessorList
    generator: torch.Generator | None = None

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is taken."""
        return self.generator is None

    def processed(
        self,
        logits: Float[Tensor, "positions vocab"],
        ids: Int[Tensor, "1 seq"],
        draft_ids: Int[Tensor, "1 gamma"],
    ) -> Float[Tensor, "positions vocab"]:
        """Return the logits after all processors, in float32.

        Args:
            logits: Row j belongs to the position after `j` drafts.
            ids: The text before the drafts.
            draft_ids: At least `positions - 1` drafts; row j is processed with the first j.
        """
        scores = logits.float()
        if all(isinstance(processor, _ROW_BY_ROW) for processor in self.processors):
            return self.processors(ids, scores)
        texts = (torch.cat([ids, draft_ids[:, :j]], dim=1) for j in range(len(logits)))
        rows = [self.processors(text, scores[j, None]) for j, text in enumerate(texts)]
        return torch.cat(rows)

    def choose(
        self,
        logits: Float[Tensor, "1 vocab"],
        ids: Int[Tensor, "1 seq"],
        draft_ids: Int[Tensor, "1 gamma"],
    ) -> Choice:
        """Return the token that follows `ids` and `draft_ids`."""
        text = torch.cat([ids, draft_ids], dim=1) if draft_ids.shape[1] else ids
        scores = self.processors(text, logits.float())
        probs = scores.softmax(-1)[0]
        if self.generator is None:
            token_id = scores.argmax(-1, keepdim=True)
            return Choice(token_id, probs[token_id[0, 0]])
        if probs.isnan().any():
            raise NonFiniteLogitsError("the drafter's logits hold NaN, nothing can be drawn")
        token_id = draw(probs, self.generator)[None, None]
        return Choice(token_id, probs[token_id[0, 0]], probs)


def logits_processors(
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float | None = None,
    others: Iterable[LogitsProcessor] = (),
) -> LogitsProcessorList:
    """Return transformers' processors in the order in which `generate()` applies them.

    Args:
        temperature: 0 for greedy decoding, which needs no warper; else the divisor of the logits.
        top_k: Keep that many most probable tokens.
        top_p: Keep the most probable tokens up to that mass, above 0, up to 1.
        repetition_penalty: Divide the scores of tokens that occur in the text; 1 changes nothing.
        others: More processors, applied before the warpers.

    Raises:
        ValueError: A number is out of range.

    Source:
        transformers 5.22.2, `GenerationMixin._get_logits_processor`.
    """
    check_sampling(temperature, top_k, top_p, repetition_penalty)
    chosen = LogitsProcessorList()
    if repetition_penalty is not None and repetition_penalty != 1.0:
        chosen.append(RepetitionPenaltyLogitsProcessor(float(repetition_penalty)))
    chosen.extend(others)
    if temperature > 0:
        if temperature != 1.0:
            chosen.append(TemperatureLogitsWarper(float(temperature)))
        if top_k:
            chosen.append(TopKLogitsWarper(top_k=top_k))
        if top_p is not None and top_p < 1.0:
            chosen.append(TopPLogitsWarper(top_p=float(top_p)))
    return chosen


def check_sampling(
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float | None = None,
) -> None:
    """Raise unless the sampling numbers make sense.

    Raises:
        ValueError: It names the number, its range and what 'off' is.
    """
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise ValueError(f"got temperature {temperature!r}, need a number: 0 is greedy decoding")
    if not 0.0 <= temperature < float("inf"):
        raise ValueError(f"got temperature {temperature!r}, need 0 (greedy) or a positive number")
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"got top_k {top_k!r}, need a whole number of at least 1, or None for off")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"got top_p {top_p!r}, need a mass above 0 and up to 1, or None for off")
    if repetition_penalty is not None and not 0.0 < repetition_penalty < float("inf"):
        raise ValueError(
            f"got repetition_penalty {repetition_penalty!r}, need a positive number; 1 is off"
        )


def seeded_generator(device: torch.device, seed: int | None) -> torch.Generator:
    """Return a Generator of its own for one call; without a seed it starts anywhere."""
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
