"""A model with its KV cache: read the prompt, verify drafts, cut rejected tokens off again."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.releases import drop_newest, keep_past

# Per attention type the keys and values `[1, kv_heads, kv_seq, head_dim]` that a drafter reads.
SharedKV = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class TargetOutput:
    """What one pass gives.

    Attributes:
        logits: Scores of the next token after each passed token; after a prefill of the last one
            only.
        hidden: The hidden state that each row of `logits` was made from; None unless it is handed
            over.
        shared_kv_states: Keys and values of the whole text, the passed tokens included; empty
            unless they are handed over.
    """

    logits: Float[Tensor, "positions vocab"]
    hidden: Float[Tensor, "1 positions hidden"] | None
    shared_kv_states: SharedKV


@dataclass(frozen=True, slots=True, eq=False)
class HandOver:
    """What an MTP drafter gets of the target for one round.

    Attributes:
        hidden: The state that predicted the newest token.
        shared_kv_states: Keys and values of the tokens before the newest one, and of no other.
    """

    hidden: Float[Tensor, "1 1 hidden"]
    shared_kv_states: SharedKV


class Target:
    """A causal language model and the cache of one generation.

    Args:
        model: The model.
        hands_over: Whether to collect what an MTP drafter reads; needs a Gemma 4 target.
        cache: An empty cache to use instead of a new one.

    Raises:
        ValueError: The cache cannot be cut back.
    """

    def __init__(self, model: Any, *, hands_over: bool, cache: Any = None) -> None:
        self.model = model
        self.hands_over = hands_over
        text_config = model.config.get_text_config()
        self.window: int | None = getattr(text_config, "sliding_window", None)
        self.softcap: float | None = getattr(text_config, "final_logit_softcapping", None)
        self.cache = DynamicCache(config=text_config) if cache is None else cache
        if not isinstance(self.cache, DynamicCache):
            raise ValueError(
                tr(
                    "got a {kind}, need a DynamicCache: only that can be cut back after a "
                    "rejection; leave cache_implementation unset",
                    kind=type(self.cache).__name__,
                )
            )

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        length: int = self.cache.get_seq_length()
        return length

    def prefill(self, ids: Int[Tensor, "1 seq"]) -> TargetOutput:
        """Read the prompt; the logits are those after its last token.

        Tokens that a given cache holds already are not read again, but the last one always is.

        Raises:
            ValueError: The cache holds the whole prompt, and more of it than can be cut off.
        """
        self._leave_one_unread(ids)
        output = self._forward(ids[:, self.length :], last_only=True)
        # From here on sliding layers must keep what falls out of the window until `crop` says how
        # many tokens stay. During the prefill that would only hold the whole prompt in memory.
        keep_past(self.cache)
        return output

    def _leave_one_unread(self, ids: Int[Tensor, "1 seq"]) -> None:
        surplus = self.length - (ids.shape[1] - 1)
        if surplus <= 0:
            return
        # A longer cache is one of another text. And past its window a sliding layer has forgotten
        # what it would need again.
        if surplus > 1 or any(map(_is_past_its_window, self.cache.layers)):
            raise ValueError(
                tr(
                    "the cache holds {cached} tokens and the prompt has {prompt}, need a cache of "
                    "fewer: pass the whole conversation, its new turn too, or no past_key_values",
                    cached=self.length,
                    prompt=ids.shape[1],
                )
            )
        drop_newest(self.cache, surplus)

    def verify(self, ids: Int[Tensor, "1 positions"]) -> TargetOutput:
        """Pass the newest token and the drafts after it; one row of logits for each."""
        return self._forward(ids, last_only=False)

    def crop(self, n_rejected: int) -> None:
        """Forget the last `n_rejected` tokens. Call it after every pass: it also trims windows."""
        drop_newest(self.cache, n_rejected)

    def hand_over(self, output: TargetOutput, n_accepted: int, n_rejected: int) -> HandOver | None:
        """Return what an MTP drafter may see after a pass; None for drafters that see nothing.

        Args:
            output: The pass.
            n_accepted: Accepted drafts: row `n_accepted` predicted the newest token.
            n_rejected: Rejected drafts, whose keys and values stand at the end.
        """
        if output.hidden is None:
            return None
        return HandOver(
            output.hidden[:, n_accepted, None],
            {
                kind: (self._visible(kind, keys, n_rejected), self._visible(kind, vals, n_rejected))
                for kind, (keys, vals) in output.shared_kv_states.items()
            },
        )

    def _visible(self, kind: str, states: Tensor, n_rejected: int) -> Tensor:
        # Cut from the END: past the window a sliding layer's length is not the text's length. The
        # library (transformers 5.22.2) cuts at an absolute position, which leaves rejected tokens
        # there: up to `n_rejected` of them, and one in full attention.
        end = states.shape[2] - n_rejected
        start = max(0, end - self.window) if kind == "sliding_attention" and self.window else 0
        return states[:, :, start:end]

    def _forward(self, ids: Tensor, *, last_only: bool) -> TargetOutput:
        start = self.length
        arguments = {
            "input_ids": ids,
            "position_ids": torch.arange(start, start + ids.shape[1], device=ids.device)[None],
            "past_key_values": self.cache,
            "use_cache": True,
        }
        if not self.hands_over:
            logits = self.model(**arguments, logits_to_keep=1 if last_only else 0).logits
            return TargetOutput(logits[0], None, {})
        # The body alone gives the last hidden state; asking the whole model for it would keep the
        # states of all layers, for a long prompt gigabytes.
        body = self.model.base_model(**arguments, return_shared_kv_states=True)
        hidden = body.last_hidden_state[:, -1:] if last_only else body.last_hidden_state
        return TargetOutput(self._head(hidden)[0], hidden, dict(body.shared_kv_states))

    def _head(self, hidden: Float[Tensor, "1 positions hidden"]) -> Tensor:
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def _is_past_its_window(layer: Any) -> bool:
    return bool(layer.is_sliding) and layer.get_seq_length() >= layer.sliding_window
