"""From logits to a token, the same way for target and drafter.

Logits processors are transformers' own classes. Every draw takes a Generator, so no global random
state is read or changed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import RLock
from typing import Any

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

from gemma_mtp_edu.core.arguments import got, real, whole
from gemma_mtp_edu.core.verification import draw
from gemma_mtp_edu.lessons.language import tr

# These look at one row of logits and at no token before it, so all rows can go through at once.
_ROW_BY_ROW = (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)
LEAST_TEMPERATURE = 1e-6  # logits over less than that may overflow
MOST_TEMPERATURE = 1e6  # far below it every token is as probable as any other


_GLOBAL_RANDOM = RLock()


class NonFiniteLogitsError(FloatingPointError):
    """A model gave NaN or infinity where scores of tokens should be, or no token is allowed."""


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
        # Not isinstance: a subclass may look at the text.
        if all(type(processor) in _ROW_BY_ROW for processor in self.processors):
            return self.processors(ids, scores)
        rows = list[Tensor]()
        for j in range(len(scores)):
            text = torch.cat([ids, draft_ids[:, :j]], dim=1)
            rows.append(self.processors(text, scores[j, None]))
            if j < draft_ids.shape[1] and rows[j][0, draft_ids[0, j]] == -torch.inf:
                # This draft is not allowed, so nothing behind it counts; and a grammar may have
                # nothing to say about a text that it does not allow.
                rows.append(scores[j + 1 :])
                break
        return torch.cat(rows)

    def choose(
        self,
        logits: Float[Tensor, "1 vocab"],
        ids: Int[Tensor, "1 seq"],
        draft_ids: Int[Tensor, "1 gamma"],
        where: str = "",
    ) -> Choice:
        """Return the token that follows `ids` and `draft_ids`.

        Raises:
            NonFiniteLogitsError: Nothing can be drawn; `where` says where. Without drawing nothing
                is checked, because looking makes a GPU wait: then `prob` tells.
        """
        text = torch.cat([ids, draft_ids], dim=1) if draft_ids.shape[1] else ids
        scores = self.processors(text, logits.float())
        probs = scores.softmax(-1)[0]
        if self.generator is None:
            token_id = scores.argmax(-1, keepdim=True)
            return Choice(token_id, probs[token_id[0, 0]])
        check_scores(probs.max(-1, keepdim=True).values, "drafter", where)
        token_id = draw(probs, self.generator)[None, None]
        return Choice(token_id, probs[token_id[0, 0]], probs)


def check_scores(best: Float[Tensor, " positions"], whose: str, where: str) -> None:
    """Raise unless the best score, or its probability, is a number at every position.

    NaN anywhere makes the best one NaN; a score of minus infinity is a token that is not allowed.

    Args:
        best: The largest score of each position.
        whose: "target" or "drafter".
        where: Which round, and how far the text is.

    Raises:
        NonFiniteLogitsError: One is NaN or infinite.
    """
    if best.isfinite().all():
        return
    first = float(best[~best.isfinite()][0])
    found = {float("inf"): tr("hold infinity"), float("-inf"): tr("allow no token")}
    raise NonFiniteLogitsError(
        tr(
            "the {whose}'s logits {found} {where}, so no token can be chosen: with float16 load "
            "the pair in bfloat16 or float32, else check its weights and your logits processors",
            whose=tr("target" if whose == "target" else "drafter"),
            found=found.get(first, tr("hold NaN")),
            where=where,
        )
    )


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
    temperature: Any, top_k: Any = None, top_p: Any = None, repetition_penalty: Any = None
) -> None:
    """Raise unless the sampling numbers make sense.

    Raises:
        ValueError: It names the number, its range and what 'off' is.
    """
    degrees = real(temperature, "temperature", tr("a number: 0 is greedy decoding"))
    if degrees != 0 and not LEAST_TEMPERATURE <= degrees <= MOST_TEMPERATURE:
        raise ValueError(
            tr(
                "got temperature {temperature!r}, need 0 (greedy) or a positive number, at least "
                "{least:g} and at most {most:g}",
                temperature=temperature,
                least=LEAST_TEMPERATURE,
                most=MOST_TEMPERATURE,
            )
        )
    if top_k is not None:
        whole(top_k, "top_k", 1, " of tokens (None for off)")
    if top_p is not None:
        needed = tr("a mass above 0 and up to 1, or None for off")
        if not 0.0 < real(top_p, "top_p", needed) <= 1.0:
            raise ValueError(got(top_p, "top_p", needed))
    if repetition_penalty is not None:
        needed = tr("a positive number; 1 is off")
        if not 0.0 < real(repetition_penalty, "repetition_penalty", needed) < float("inf"):
            raise ValueError(got(repetition_penalty, "repetition_penalty", needed))


def check_drawn(temperature: Any, top_k: Any, top_p: Any) -> None:
    """Raise where a caller asks for sampling and for greedy decoding at once.

    Raises:
        ValueError: Temperature is 0, and there is a number that only sampling uses.
    """
    if temperature == 0 and (top_k is not None or top_p is not None):
        raise ValueError(
            tr(
                "got top_k {top_k!r} and top_p {top_p!r} with temperature 0, which is greedy and "
                "draws nothing: need a temperature such as 1.0 to sample, or neither of them",
                top_k=top_k,
                top_p=top_p,
            )
        )


def seeded_generator(device: torch.device, seed: Any) -> torch.Generator:
    """Return a Generator of its own for one call; without a seed it starts anywhere.

    Raises:
        ValueError: The seed is not a whole number of 64 bits.
    """
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(check_seed(seed))
    return generator


def check_seed(seed: Any) -> int:
    """Return a seed as torch takes it.

    Raises:
        ValueError: It is not a whole number of 64 bits.
    """
    number = whole(seed, "seed", 0)
    if number >= 2**64:
        raise ValueError(got(number, "seed", tr("a whole number below 2**64")))
    return number


@contextmanager
def drawing(device: torch.device, seed: Any, draws: bool = True) -> Iterator[None]:
    """Seed the global generators, for code that draws from no others, and put their state back.

    They are one for all threads, so whoever draws from them waits for its turn.

    Args:
        device: Its generator is seeded beside the CPU's.
        seed: None draws on from the state that is there.
        draws: Whether anything is drawn at all.

    Raises:
        ValueError: The seed is out of range.
    """
    number = None if seed is None else check_seed(seed)
    if not draws or number is None:
        with _GLOBAL_RANDOM if draws else nullcontext():
            yield
        return
    devices = [device] if device.type == "cuda" else []
    with _GLOBAL_RANDOM, torch.random.fork_rng(devices=devices), _as_it_was_on_mps(device):
        torch.manual_seed(number)
        yield


@contextmanager
def _as_it_was_on_mps(device: torch.device) -> Iterator[None]:
    """Put the state of Apple's generator back, which `fork_rng` does not know."""
    if device.type != "mps":
        yield
        return
    state = torch.mps.get_rng_state()
    try:
        yield
    finally:
        torch.mps.set_rng_state(state)
