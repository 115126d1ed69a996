"""When a text ends: token by token, so that it ends inside a draft just where it should.

The library asks its stopping criteria once per round, so a stop inside accepted drafts is found
late or, where a later token hides it, not at all.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import (
    EosTokenCriteria,
    MaxLengthCriteria,
    StoppingCriteria,
    StoppingCriteriaList,
    StopStringCriteria,
)

from gemma_mtp_edu.core.arguments import got, whole
from gemma_mtp_edu.core.trace import StopReason
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.encoding import check_text

LONGEST_STOP = 1000  # characters
LONGEST = 2**20  # tokens of prompt and text, where a model states no limit


class Text:
    """The prompt and what has been written after it.

    Args:
        prompt_ids: The prompt.
        max_new_tokens: Tokens to write at most.
        eos_ids: Tokens that end the text; they are kept.
        criteria: More reasons to stop, asked after every token.

    Attributes:
        stop_reason: Why the text is over; None while it is not.
    """

    def __init__(
        self,
        prompt_ids: Int[Tensor, "1 seq"],
        max_new_tokens: int,
        eos_ids: Iterable[int],
        criteria: Sequence[StoppingCriteria] = (),
    ) -> None:
        self.prompt_length = prompt_ids.shape[1]
        self.eos_ids = frozenset(eos_ids)
        self.criteria = StoppingCriteriaList(criteria)
        # One buffer for the whole run: appending would copy the prompt in every round.
        self._buffer = prompt_ids.new_zeros(1, self.prompt_length + max_new_tokens)
        self._buffer[:, : self.prompt_length] = prompt_ids
        self._length = self.prompt_length
        self.stop_reason: StopReason | None = None

    @property
    def ids(self) -> Int[Tensor, "1 seq"]:
        """Prompt and text."""
        return self._buffer[:, : self._length]

    @property
    def newest(self) -> Int[Tensor, "1 1"]:
        """The last token."""
        return self.ids[:, -1:]

    @property
    def n_new(self) -> int:
        """Tokens written so far."""
        return self._length - self.prompt_length

    @property
    def remaining(self) -> int:
        """Tokens that may still be written."""
        return self._buffer.shape[1] - self._length

    def append(self, tokens: Sequence[int]) -> int:
        """Write tokens up to the first one that ends the text, and return how many were written."""
        start = self._length
        new = torch.tensor(tokens[: self.remaining], dtype=self._buffer.dtype)
        self._buffer[0, start : start + len(new)] = new.to(self._buffer.device)
        for token in new.tolist():
            self._length += 1
            self.stop_reason = self._reason(token)
            if self.stop_reason is not None:
                break
        return self._length - start

    def _reason(self, token: int) -> StopReason | None:
        if token in self.eos_ids:
            return "eos"
        # Criteria know no scores here: transformers' own never look at them.
        if self.criteria and bool(self.criteria(self.ids, None).all()):
            return "stop"
        return None if self.remaining else "length"


def stop_criteria(stop_strings: Sequence[str] | None, tokenizer: Any) -> list[StoppingCriteria]:
    """Return the criterion that ends a text at one of some strings.

    Raises:
        ValueError: There are strings but no tokenizer, or a string is empty.
    """
    strings = readable_stop_strings(stop_strings, tokenizer)
    return [StopStringCriteria(tokenizer, strings)] if strings else []


def readable_stop_strings(stop_strings: Any, tokenizer: Any) -> list[str]:
    """Return stop strings as `check_stop_strings` does, once there is a tokenizer to read them.

    Raises:
        ValueError: There are strings but no tokenizer, or one of them is no text to stop at.
    """
    strings = check_stop_strings(stop_strings)
    if strings and tokenizer is None:
        raise ValueError(
            tr(
                "stop_strings need a tokenizer, and this pair has none: give one as "
                "ModelPair(..., processor=...)"
            )
        )
    return strings


def check_stop_strings(stop_strings: Any) -> list[str]:
    """Return stop strings as a list: none, one, or several.

    Raises:
        ValueError: There is something else in it than whole texts, neither empty nor too long.
    """
    if stop_strings is None:
        return []
    several = isinstance(stop_strings, list | tuple | set | frozenset)
    strings = list(stop_strings) if several else [stop_strings]
    if not all(isinstance(text, str) and text for text in strings):
        raise ValueError(
            got(stop_strings, "stop_strings", tr("texts that are not empty, such as ['END']"))
        )
    for text in strings:
        check_text(text)
        if len(text) > LONGEST_STOP:
            raise ValueError(
                tr(
                    "got a stop string of {count} characters, need at most {most}: the library "
                    "compares it with every token's text at every place",
                    count=len(text),
                    most=LONGEST_STOP,
                )
            )
    return strings


@dataclass(frozen=True, slots=True)
class Ends:
    """What `generate()`'s stopping criteria say, as `Text` takes it.

    Attributes:
        eos_ids: Tokens that end the text.
        max_length: Tokens of prompt and text.
        others: All other criteria.
    """

    eos_ids: frozenset[int]
    max_length: int
    others: tuple[StoppingCriteria, ...]


def ends_of(criteria: Iterable[StoppingCriteria], eos_ids: Iterable[int], max_length: int) -> Ends:
    """Return the ends of a text: the library's own, or a caller's that took their place.

    Args:
        criteria: The library's and the caller's.
        eos_ids: What ends the text where no criterion says it.
        max_length: The same for its length.

    Source: transformers 5.22.2, `GenerationMixin._merge_criteria_processor_list`.
    """
    given = list(criteria)
    eos = [c.eos_token_id.reshape(-1).tolist() for c in given if type(c) is EosTokenCriteria]
    lengths = [c.max_length for c in given if type(c) is MaxLengthCriteria]
    return Ends(
        frozenset(itertools.chain(*eos) if eos else eos_ids),
        min(lengths, default=max_length),
        tuple(c for c in given if type(c) not in (EosTokenCriteria, MaxLengthCriteria)),
    )


def check_max_new_tokens(max_new_tokens: Any, prompt_length: int, positions: int | None) -> int:
    """Return a number of tokens that can be written after a prompt.

    Args:
        max_new_tokens: What the caller gave.
        prompt_length: Tokens of the prompt.
        positions: How many tokens the model was made for; None where it does not say.

    Raises:
        ValueError: It is not a whole number of at least 1, or there is no room for so many.
    """
    tokens = whole(max_new_tokens, "max_new_tokens", 1, " of tokens")
    room = (LONGEST if positions is None else positions) - prompt_length
    if tokens > room:
        raise ValueError(
            tr(
                "got max_new_tokens {tokens} after a prompt of {prompt} tokens, need at most "
                "{room}: the target has {positions} positions (max_position_embeddings); a text "
                "that ends by itself ends long before",
                tokens=tokens,
                prompt=prompt_length,
                room=room,
                positions=room + prompt_length,
            )
        )
    return tokens
