"""From logits to a token, the same way for both models; no global random state is touched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsInt

import torch
import transformers as hf
from jaxtyping import Float, Int
from torch import Tensor
from transformers import LogitsProcessorList

Ids = Int[Tensor, "1 seq"]
Logits = Float[Tensor, "positions vocab"]
# These look at one row of logits and at no token before it, so all rows can go through at once.
_ROW_BY_ROW = (hf.TemperatureLogitsWarper, hf.TopKLogitsWarper, hf.TopPLogitsWarper)
# These may look at the text, but have no memory: they can be asked about drafts, kept or not.
_FORGETFUL = (
    *_ROW_BY_ROW, hf.MinPLogitsWarper, hf.MinNewTokensLengthLogitsProcessor,
    hf.NoBadWordsLogitsProcessor, hf.NoRepeatNGramLogitsProcessor, hf.SuppressTokensLogitsProcessor,
    hf.RepetitionPenaltyLogitsProcessor,
)  # fmt: skip


class NonFiniteLogitsError(FloatingPointError):
    """A model gave NaN or infinity where scores of tokens should be, or no token is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to write a text: what both generate functions share.

    Of the target's `generation_config` they follow the end tokens alone, of torch's seeds none.
    """

    max_new_tokens: int = 128  # tokens to write at most
    temperature: float = 0.0  # 0 for greedy decoding, else sampling
    top_k: int | None = None  # when sampling, keep that many most probable tokens
    top_p: float | None = None  # when sampling, keep the most probable ones up to that mass
    repetition_penalty: float | None = None  # divides scores of tokens that occur; 1 is off
    logits_processor: Sequence[Any] | None = None  # more of transformers', before the warpers
    stop_strings: str | Sequence[str] | None = None  # that end the text, in drafts too
    seed: SupportsInt | None = None  # of the sampling; None draws another one each time
    on_tokens: Callable[[tuple[int, ...]], Any] | None = None  # called with a round's new ids
    streamer: Any = None  # of transformers, such as `TextStreamer(pair.tokenizer)`

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
        processors = LogitsProcessorList(self.logits_processor or ())
        if self.repetition_penalty not in (None, 1.0):
            penalty = hf.RepetitionPenaltyLogitsProcessor(self.repetition_penalty)
            if any(type(p) is type(penalty) for p in processors):
                raise ValueError("got repetition_penalty and a processor that does it, need one")
            processors.insert(0, penalty)
        if self.temperature == 0:
            return Sampler(processors)
        if self.temperature != 1:
            processors.append(hf.TemperatureLogitsWarper(float(self.temperature)))
        if self.top_k:
            processors.append(hf.TopKLogitsWarper(top_k=self.top_k))
        if self.top_p is not None and self.top_p < 1:
            processors.append(hf.TopPLogitsWarper(top_p=float(self.top_p)))
        generator = torch.Generator(device)
        generator.seed() if self.seed is None else generator.manual_seed(int(self.seed))
        return Sampler(processors, generator)


@dataclass(frozen=True, slots=True, eq=False)
class Sampler:
    """How a token is chosen: after which processors, and greedily (None) or by which Generator."""

    processors: LogitsProcessorList = field(default_factory=LogitsProcessorList)
    generator: torch.Generator | None = None

    @property
    def forgetful(self) -> LogitsProcessorList:
        """The processors without a memory. Not by isinstance: a subclass may have one."""
        return LogitsProcessorList(p for p in self.processors if type(p) in _FORGETFUL)

    def processed(
        self, logits: Logits, ids: Ids, drafts: Int[Tensor, "1 gamma"], goes_on: Callable[..., bool]
    ) -> Logits:
        """Return the logits after all processors, in float32; row j follows the first j drafts.

        With a memory among them they are asked as in plain decoding, once for each token of the
        text: `goes_on` says whether, by the rows so far, it goes on after a draft.
        """
        scores = logits.float()
        if all(type(processor) in _ROW_BY_ROW for processor in self.processors):
            return self.processors(ids, scores)
        rows, all_rows = list(scores.split(1)), self.forgetful == self.processors
        for j in range(len(rows)):
            rows[j] = self.processors(torch.cat([ids, drafts[:, :j]], dim=1), rows[j])
            if j == drafts.shape[1] or not (all_rows or goes_on(j, rows)):
                break
        return torch.cat(rows)

    def choose(
        self, logits: Float[Tensor, "1 vocab"], text: Ids
    ) -> tuple[Int[Tensor, "1 1"], Float[Tensor, ""], Float[Tensor, " vocab"] | None]:
        """Return the token after a text, its probability, and what it was drawn from, if drawn."""
        scores = self.forgetful(text, logits.float())
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
