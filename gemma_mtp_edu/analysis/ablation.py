"""Take one thing away from the drafter, and count which drafts are still accepted.

The target stays whole, so the text stays the same. Hooks on the drafter change what it gets, so
whatever runs it sees the change: a profile, our loop, the library's `generate()`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.analysis.profile import AcceptanceProfile, profile_of
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.sampling import Ids
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.models.pairs import ModelPair

AS_IS = "as is"
Prompt = str | Ids
Inputs = dict[str, Any]  # of the drafter's own layers


@dataclass(frozen=True, slots=True)
class AblationResult:
    """How many drafts are accepted with one thing changed."""

    part: str  # what was changed
    # For the first, second, ... draft: in which share of the chains it and all before it are what
    # the target writes; and the same for the whole drafter, from the same positions.
    kept: tuple[float, ...]
    as_is: tuple[float, ...]
    n_chains: int

    @property
    def mean_kept(self) -> float:
        """Mean number of drafts accepted per chain."""
        return sum(self.kept)


def ablate(
    pair: ModelPair,
    prompts: Sequence[Prompt],
    parts: Sequence[str] = (),
    *,
    gamma: int = 4,
    max_new_tokens: int = 64,
) -> tuple[AblationResult, ...]:
    """Write texts greedily, and draft from every position of them with each thing changed in turn.

    Parts are some of `PARTS`; by default all.
    """
    gamma, chosen = check_gamma(gamma), parts or (*PARTS,)
    if unknown := {*chosen} - {*PARTS}:
        raise ValueError(f"got part {unknown.pop()!r}, need one of {[*PARTS]}")
    plains = [autoregressive_generate(pair, p, max_new_tokens=max_new_tokens) for p in prompts]
    if not (clean := _chains([profile_of(pair, plain, max_gamma=gamma) for plain in plains])):
        raise ValueError(f"got no chain of {gamma} drafts for {chosen[0]!r}: give longer texts")
    as_is, results = _shares(clean, gamma), []
    for part in chosen:
        with without(pair, part):
            ablated = [profile_of(pair, plain, max_gamma=gamma) for plain in plains]
        results.append(AblationResult(part, _shares(_chains(ablated), gamma), as_is, len(clean)))
    return tuple(results)


def _shares(counts: Sequence[int], gamma: int) -> tuple[float, ...]:
    return tuple(sum(n > draft for n in counts) / len(counts) for draft in range(gamma))


@contextmanager
def without(pair: ModelPair, part: str) -> Iterator[None]:
    """Change one of `PARTS` in the pair's drafter, for whoever runs it; put it back at the end."""
    with ExitStack() as stack:
        PARTS[part](pair.drafter, stack)
        yield


def _chains(profiles: Sequence[AcceptanceProfile]) -> list[int]:
    """Return how many drafts are accepted, from every position with room for a whole chain."""
    return [n for p in profiles for n in p.n_accepted[1 : max(1, len(p) - p.max_gamma + 1)]]


class _Chain:
    """Replaces the state that a step gets; the drafter's own last one marks the later steps."""

    def __init__(self, drafter: Any, stack: ExitStack, hidden: Callable[..., Tensor]) -> None:
        self.hidden, self.width, self.step = hidden, drafter.config.backbone_hidden_size, 0
        self.first = self.last = drafter.pre_projection.weight.new_zeros(0)
        stack.callback(drafter.pre_projection.register_forward_pre_hook(self._starts).remove)
        stack.callback(drafter.post_projection.register_forward_hook(self._ends).remove)

    def _starts(self, module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        embedding, hidden = args[0].split(self.width, dim=-1)
        if torch.equal(hidden, self.last):
            self.step += 1
        else:
            self.step, self.first = 0, hidden
        return (torch.cat([embedding, self.hidden(hidden, self.first)], dim=-1),)

    def _ends(self, module: Any, args: Any, output: Tensor) -> None:
        self.last = output


def _advancing(drafter: Any, stack: ExitStack) -> None:
    chain = _Chain(drafter, stack, lambda own, first: own)
    _change(drafter, stack, lambda kw: {"position_ids": kw["position_ids"] + chain.step})


def _alone(drafter: Any, stack: ExitStack, kind: str) -> None:
    # Where all values are zero, attention adds nothing, whatever its weights are.
    def changed(kwargs: Inputs) -> Inputs:
        states = kwargs["shared_kv_states"].items()
        kept = {k: (keys, v if k == kind else torch.zeros_like(v)) for k, (keys, v) in states}
        return {"shared_kv_states": kept}

    _change(drafter, stack, changed)


def _shuffled(drafter: Any, stack: ExitStack, *, together: bool) -> None:
    """Put the values that a position sees into another order; with the keys, or apart from them."""
    generator = torch.Generator().manual_seed(0)

    def order(mask: Tensor | None, n_rows: int, n_keys: int) -> Int[Tensor, "rows keys"]:
        """Return per position a random order of what it sees; what is hidden stays hidden."""
        hidden = torch.zeros(n_rows, n_keys, dtype=torch.long)
        if mask is not None:
            hidden = (~mask if mask.dtype == torch.bool else mask < 0)[0, 0].long().cpu()
        draws = torch.rand(n_rows, n_keys, generator=generator)
        seen_first = hidden.argsort(dim=1, stable=True)
        return torch.empty_like(hidden).scatter(1, seen_first, (draws + hidden).argsort(dim=1))

    def changed(kwargs: Inputs) -> Inputs:
        # Each position sees others: it becomes a row of the batch, with an order of its own.
        embeds, masks, states = kwargs["inputs_embeds"].transpose(0, 1), {}, {}
        for kind, (keys, values) in kwargs["shared_kv_states"].items():
            mask = kwargs["attention_mask"][kind]
            masks[kind] = mask if mask is None else mask[0, 0, :, None, None]
            by_row = order(mask, len(embeds), keys.shape[2]).to(keys.device)
            values = values[0][:, by_row].transpose(0, 1)
            given = keys[0][:, by_row].transpose(0, 1) if together else keys
            states[kind] = (given.expand(len(embeds), -1, -1, -1), values)
        position = kwargs["position_ids"].transpose(0, 1)
        return {"inputs_embeds": embeds, "attention_mask": masks, "position_ids": position,
                "shared_kv_states": states}  # fmt: skip

    def ends(module: Any, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state.transpose(0, 1)
        return output

    _change(drafter, stack, changed)
    stack.callback(drafter.model.register_forward_hook(ends).remove)


def _change(drafter: Any, stack: ExitStack, changed: Callable[[Inputs], Inputs]) -> None:
    def starts(module: Any, args: Any, kwargs: Inputs) -> tuple[Any, Inputs]:
        return args, kwargs | changed(kwargs)

    stack.callback(drafter.model.register_forward_pre_hook(starts, with_kwargs=True).remove)


def _dense_head(drafter: Any, stack: ExitStack) -> None:
    for part, name in ((drafter, "masked_embedding"), (drafter.config, "use_ordered_embeddings")):
        stack.callback(setattr, part, name, getattr(part, name))
    drafter.masked_embedding, drafter.config.use_ordered_embeddings = None, False


PARTS: dict[str, Callable[[Any, ExitStack], Any]] = {
    AS_IS: lambda drafter, stack: None,
    "no hidden state": lambda d, stack: _Chain(d, stack, lambda own, first: 0 * own),
    "hidden state not fed back": lambda d, stack: _Chain(d, stack, lambda own, first: first),
    "keys and values shuffled together": lambda d, stack: _shuffled(d, stack, together=True),
    "values shuffled alone": lambda d, stack: _shuffled(d, stack, together=False),
    "full KV alone": lambda d, stack: _alone(d, stack, "full_attention"),
    "sliding KV alone": lambda d, stack: _alone(d, stack, "sliding_attention"),
    "advancing positions": _advancing,
    "dense head": _dense_head,
}
