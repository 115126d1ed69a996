"""From logits to a token, the same way for both models; no global random state is touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

Ids = Int[Tensor, "1 seq"]
Logits = Float[Tensor, "positions vocab"]
# These look at one row of logits and at no token before it, so all rows can go through at once.
_ROW_BY_ROW = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)


class NonFiniteLogitsError(FloatingPointError):
    """A model gave NaN or infinity where scores of tokens should be, or no token is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to write a text: what both generate functions share.

    Attributes:
        max_new_tokens: Tokens to write at most.
        temperature: 0 for greedy decoding, else sampling.
        top_k: When sampling, keep that many most probable tokens.
        top_p: When sampling, keep the most probable tokens up to that mass.
        repetition_penalty: Divide the scores of tokens that occur already; 1 is off.
        logits_processor: More of transformers' processors; they come before the warpers.
        stop_strings: Strings that end the text, also inside accepted drafts.
        seed: Seed of the sampling; the global random state is neither read nor changed.
        on_tokens: Called with the new token ids of each round, as they come.
        streamer: A streamer of transformers, such as `TextStreamer(pair.tokenizer)`.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    logits_processor: Sequence[Any] | None = None
    stop_strings: str | Sequence[str] | None = None
    seed: int | None = None
    on_tokens: Callable[[tuple[int, ...]], Any] | None = None
    streamer: Any = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"got max_new_tokens {self.max_new_tokens}, need at least 1")
        # Logits over less than 1e-6 may overflow; written so that NaN fails too.
        if not (self.temperature == 0 or 1e-6 <= self.temperature <= 1e6):
            raise ValueError(f"got temperature {self.temperature}, need 0 (greedy) or 1e-6 to 1e6")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"got top_p {self.top_p}, need a mass above 0 and up to 1, or None")
        if self.temperature == 0 and (self.top_k is not None or self.top_p is not None):
            raise ValueError("top_k and top_p need a temperature above 0: temperature 0 is greedy")

    def sampler(self, device: torch.device) -> "Sampler":
        """Return how tokens are chosen; processors in the order in which `generate()` has them."""
        processors = LogitsProcessorList()
        if self.repetition_penalty not in (None, 1.0):
            processors.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        processors.extend(self.logits_processor or ())
        if self.temperature == 0:
            return Sampler(processors)
        if self.temperature != 1:
            processors.append(TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            processors.append(TopKLogitsWarper(top_k=self.top_k))
        if self.top_p is not None and self.top_p < 1:
            processors.append(TopPLogitsWarper(top_p=float(self.top_p)))
        generator = torch.Generator(device)
        generator.seed() if self.seed is None else generator.manual_seed(self.seed)
        return Sampler(processors, generator)


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """How a token is chosen: after which processors, and greedily (None) or by which Generator."""

    processors: LogitsProcessorList = field(default_factory=LogitsProcessorList)
    generator: torch.Generator | None = None

    def processed(self, logits: Logits, ids: Ids, draft_ids: Int[Tensor, "1 gamma"]) -> Logits:
        """Return the logits after all processors, in float32; row j follows the first j drafts."""
        scores = logits.float()
        # Not isinstance: a subclass may look at the text.
        if all(type(processor) in _ROW_BY_ROW for processor in self.processors):
            return self.processors(ids, scores)
        rows: list[Tensor] = []
        for j in range(len(scores)):
            text = torch.cat([ids, draft_ids[:, :j]], dim=1)
            rows.append(self.processors(text, scores[j, None]))
            if j < draft_ids.shape[1] and rows[j][0, draft_ids[0, j]] == -torch.inf:
                # This draft is not allowed, so nothing after it counts; and a grammar may have
                # nothing to say about a text that it does not allow.
                rows.append(scores[j + 1 :])
                break
        return torch.cat(rows)

    def choose(
        self, logits: Float[Tensor, "1 vocab"], text: Ids
    ) -> tuple[Int[Tensor, "1 1"], Float[Tensor, ""], Float[Tensor, " vocab"] | None]:
        """Return the token after a text, its probability, and what it was drawn from, if drawn."""
        scores = self.processors(text, logits.float())
        probs = scores.softmax(-1)[0]
        if self.generator is None:
            best = scores[0].argmax()
            return best[None, None], probs[best], None
        check_finite(probs.max(), "drafter")
        drawn = torch.multinomial(probs, 1, generator=self.generator)
        return drawn[None], probs[drawn[0]], probs


def check_finite(best: Tensor, whose: str) -> None:
    """Raise unless the best scores are numbers: NaN anywhere makes the best one NaN."""
    if not best.isfinite().all():
        raise NonFiniteLogitsError(
            f"the {whose}'s best scores are {best.tolist()}, need numbers: load in bfloat16 or "
            "float32, or check the weights and your logits processors"
        )
