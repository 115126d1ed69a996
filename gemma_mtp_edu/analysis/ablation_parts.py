"""What can be taken away from a drafter, one thing at a time.

Hooks on the drafter change what it gets, so whatever runs it sees the change: a profile, our loop,
the library's `generate()`. Each change is taken back when its `ExitStack` closes.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

AS_IS = "as is"


class _Chain:
    """Tells the first step of a chain from later ones: those get the drafter's own last state."""

    def __init__(self, drafter: Any, stack: ExitStack) -> None:
        self.width = drafter.config.backbone_hidden_size
        self.step = 0
        self.first: Tensor | None = None
        self.last: Tensor | None = None
        stack.callback(drafter.pre_projection.register_forward_pre_hook(self._starts).remove)
        stack.callback(drafter.post_projection.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: tuple[Tensor]) -> None:
        hidden = args[0][..., self.width :]
        if self.last is not None and torch.equal(hidden, self.last):
            self.step += 1
        else:
            self.step, self.first = 0, hidden

    def _ends(self, module: Any, args: Any, output: Tensor) -> None:
        self.last = output


class _Shuffle:
    """Puts the values that a place sees into another order; with the keys, or apart from them."""

    def __init__(self, drafter: Any, stack: ExitStack, *, together: bool) -> None:
        self.together = together
        self.generator = torch.Generator().manual_seed(0)
        starts = drafter.model.register_forward_pre_hook(self._starts, with_kwargs=True)
        stack.callback(starts.remove)
        stack.callback(drafter.model.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        # Each place sees other entries: it becomes a row of the batch, with an order of its own.
        embeds, masks, states = kwargs["inputs_embeds"].transpose(0, 1), {}, {}
        for kind, (keys, values) in kwargs["shared_kv_states"].items():
            mask = kwargs["attention_mask"][kind]
            masks[kind] = mask if mask is None else mask[0, 0, :, None, None]
            order = self._order(mask, len(embeds), keys.shape[2]).to(keys.device)
            shuffled = values[0][:, order].transpose(0, 1)
            given = keys[0][:, order].transpose(0, 1) if self.together else keys
            states[kind] = (given.expand(len(embeds), -1, -1, -1), shuffled)
        return args, kwargs | {
            "inputs_embeds": embeds,
            "attention_mask": masks,
            "position_ids": kwargs["position_ids"].transpose(0, 1),
            "shared_kv_states": states,
        }

    def _ends(self, module: Any, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.transpose(0, 1)
        return output

    def _order(self, mask: Tensor | None, n_places: int, n_keys: int) -> Int[Tensor, "places keys"]:
        """Return per place a random order of the entries it sees; hidden ones stay hidden."""
        hidden = torch.zeros(n_places, n_keys, dtype=torch.long)
        if mask is not None:
            hidden = (~mask if mask.dtype == torch.bool else mask < 0)[0, 0].long().cpu()
        draws = torch.rand(n_places, n_keys, generator=self.generator)
        seen_first = hidden.argsort(dim=1, stable=True)
        return torch.empty_like(hidden).scatter(1, seen_first, (draws + hidden).argsort(dim=1))


def _no_hidden_state(drafter: Any, stack: ExitStack) -> None:
    width = drafter.config.backbone_hidden_size

    def starts(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        embedding = args[0][..., :width]
        return (torch.cat([embedding, torch.zeros_like(embedding)], dim=-1),)

    stack.callback(drafter.pre_projection.register_forward_pre_hook(starts).remove)


def _not_fed_back(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack)

    def starts(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        assert chain.first is not None
        return (torch.cat([args[0][..., : chain.width], chain.first], dim=-1),)

    stack.callback(drafter.pre_projection.register_forward_pre_hook(starts).remove)


def _advancing(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack)
    _change(drafter, stack, lambda kw: {"position_ids": kw["position_ids"] + chain.step})


def _alone(kind: str) -> Callable[[Any, ExitStack], None]:
    # Where all values are zero, attention adds nothing, whatever its weights are.
    def changed(kwargs: dict[str, Any]) -> dict[str, Any]:
        states = kwargs["shared_kv_states"].items()
        return {
            "shared_kv_states": {
                name: (keys, values if name == kind else torch.zeros_like(values))
                for name, (keys, values) in states
            }
        }

    return lambda drafter, stack: _change(drafter, stack, changed)


def _change(
    drafter: Any, stack: ExitStack, changed: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    def starts(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | changed(kwargs)

    stack.callback(drafter.model.register_forward_pre_hook(starts, with_kwargs=True).remove)


def _dense_head(drafter: Any, stack: ExitStack) -> None:
    head, is_used = drafter.masked_embedding, drafter.config.use_ordered_embeddings

    def put_back() -> None:
        drafter.masked_embedding, drafter.config.use_ordered_embeddings = head, is_used

    stack.callback(put_back)
    drafter.masked_embedding, drafter.config.use_ordered_embeddings = None, False


PARTS: dict[str, Callable[[Any, ExitStack], None]] = {
    AS_IS: lambda drafter, stack: None,
    "no hidden state": _no_hidden_state,
    "hidden state not fed back": _not_fed_back,
    "keys and values shuffled together": lambda d, stack: _shuffled(d, stack, together=True),
    "values shuffled alone": lambda d, stack: _shuffled(d, stack, together=False),
    "full KV alone": _alone("full_attention"),
    "sliding KV alone": _alone("sliding_attention"),
    "advancing positions": _advancing,
    "dense head": _dense_head,
}


def _shuffled(drafter: Any, stack: ExitStack, *, together: bool) -> None:
    _Shuffle(drafter, stack, together=together)
