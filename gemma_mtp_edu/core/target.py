"""A model with its KV cache: read the prompt, verify drafts, cut rejected tokens off again."""

from dataclasses import dataclass
from inspect import signature
from threading import get_ident
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, GenerationMixin

# Per attention type the keys and values `[1, kv_heads, kv_seq, head_dim]` that a drafter reads.
SharedKV = dict[str, tuple[Tensor, Tensor]]
# What the installed release calls a cache, in arguments and outputs: "cache" since 5.24.
_PREPARED = signature(GenerationMixin.prepare_inputs_for_generation).parameters
CACHE = "cache" if "cache" in _PREPARED else "past_key_values"
# For models without a head. With an int `logits_to_keep`, transformers 5.24.0 fails over several
# positions if layers share KV without per-layer embeddings: `_maybe_slice_kv_shared_inputs`.
ALL_ROWS = torch.tensor(0, device="cpu")
PREFILL_TOKENS = 512  # of a prompt in one pass, whose mask has a row for each


@dataclass(frozen=True, slots=True, eq=False)
class TargetOutput:
    """What one pass gives: a row for each passed token; after a prefill for the last one only."""

    logits: Float[Tensor, "positions vocab"]
    hidden: Float[Tensor, "1 positions hidden"] | None = None  # what `logits` were made from
    shared_kv: SharedKV | None = None  # of the whole text, the passed tokens included


@dataclass(frozen=True, slots=True, eq=False)
class TargetState:
    """What an MTP drafter gets of the target for one round."""

    hidden: Float[Tensor, "1 1 hidden"]  # the state that predicted the newest token
    shared_kv: SharedKV  # of the tokens before the newest one, and of no other


class CachedModel:
    """A causal language model and the cache of one generation, empty or one to go on from.

    With `shares_state` passes collect what an MTP drafter reads; that needs a Gemma 4 target.
    """

    def __init__(self, model: Any, *, shares_state: bool = False, cache: Any = None) -> None:
        config = model.config.get_text_config()
        self.model, self.shares_state = model, shares_state
        self.window: int | None = getattr(config, "sliding_window", None)
        self.cache = DynamicCache(config=config) if cache is None else cache
        shares_kv = getattr(config, "num_kv_shared_layers", 0)
        self.names_rows = shares_kv and not getattr(config, "hidden_size_per_layer_input", 0)

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return int(self.cache.get_seq_length())

    def prefill(self, ids: Int[Tensor, "1 seq"]) -> TargetOutput:
        """Read what the cache does not hold of the prompt; logits after its last token only."""
        unread = ids[:, self.length :]
        for start in range(0, max(1, unread.shape[1]), PREFILL_TOKENS):
            output = self._forward(unread[:, start : start + PREFILL_TOKENS], logits_to_keep=1)
        # From here on sliding layers must keep what falls out of the window until `crop` says how
        # many tokens stay. During the prefill that would only hold the whole prompt in memory.
        self.cache.activate_past_recording()
        return output

    def verify(self, ids: Int[Tensor, "1 positions"]) -> TargetOutput:
        """Pass the newest token and the drafts after it; one row of logits for each."""
        return self._forward(ids, logits_to_keep=0)

    def crop(self, n_rejected: int) -> None:
        """Forget the last `n_rejected` tokens. Call it after every pass: it also trims windows."""
        self.cache.crop(-n_rejected)

    def state_after(self, output: TargetOutput, row: int, n_rejected: int) -> TargetState | None:
        """Return what an MTP drafter may see after a pass; None where nothing is shared.

        Args:
            output: The pass.
            row: The row of logits that predicted the newest token: `n_accepted` of a verify pass.
            n_rejected: Rejected drafts, whose keys and values stand at the end.
        """
        if output.hidden is None or output.shared_kv is None:
            return None
        kept = {
            kind: (self._visible(kind, keys, n_rejected), self._visible(kind, values, n_rejected))
            for kind, (keys, values) in output.shared_kv.items()
        }
        return TargetState(output.hidden[:, row, None], kept)

    def _visible(self, kind: str, states: Tensor, n_rejected: int) -> Tensor:
        # Cut from the END: past the window a sliding layer's length is not the text's length. The
        # library (transformers 5.22.2) cuts at an absolute position, which leaves rejected tokens.
        end = states.shape[2] - n_rejected
        start = max(0, end - self.window) if kind == "sliding_attention" and self.window else 0
        return states[:, :, start:end]

    def _forward(self, ids: Tensor, logits_to_keep: int) -> TargetOutput:
        positions = torch.arange(self.length, self.length + ids.shape[1], device=ids.device)
        rows = (positions - self.length)[-logits_to_keep:] if self.names_rows else logits_to_keep
        inputs = {"input_ids": ids, "position_ids": positions[None], "logits_to_keep": rows}
        inputs |= {CACHE: self.cache, "use_cache": True}
        if not self.shares_state:
            return TargetOutput(self.model(**inputs).logits[0])
        # The model itself is called, so that hooks and adapters count. Asking it for hidden states
        # would keep those of all layers, for a long prompt gigabytes.
        thread, hidden = get_ident(), list[Tensor]()

        def keep(head: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
            if get_ident() == thread:  # others may run the same model meanwhile
                hidden.append(args[0])

        handle = self.model.get_output_embeddings().register_forward_pre_hook(keep)
        try:
            output = self.model(**inputs, return_shared_kv_states=True)
        finally:
            handle.remove()
        return TargetOutput(output.logits[0], hidden[-1], dict(output.shared_kv_states))
