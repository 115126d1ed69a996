"""A drafter of one's own, held to what the protocol asks of it."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.core.drafters import Draft, DraftContext, Drafter
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.stored import MOST_MASS
from gemma_mtp_edu.lessons.language import tr

_ROUNDING = 0.02  # of a law's sum in 16 bit


class CheckedDrafter:
    """Holds a drafter of one's own to its word, round by round.

    The accept rule trusts a draft: one that is too long or names no token fails far from here, and
    a law without the draft would make the text lossy without a word.

    Args:
        drafter: The one that proposes.
        vocabulary: Number of tokens that the target knows.
    """

    def __init__(self, drafter: Drafter, vocabulary: int) -> None:
        self.drafter, self.vocabulary = drafter, vocabulary
        self.hands_over = drafter.hands_over

    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Return the drafter's drafts.

        Raises:
            ValueError: They are none, too many, no tokens, or not drawn from their law.
        """
        # Ids of its own: a drafter that changes them must not change the text.
        own = replace(context, ids=context.ids.clone())
        draft: Any = self.drafter.draft(own, gamma, sampler, schedule)
        if fault := _fault(draft, gamma, self.vocabulary, context.ids.device):
            raise ValueError(
                tr(
                    "{kind} gave in round {round} {fault}: see Drafter and Draft for what draft() "
                    "returns",
                    kind=type(self.drafter).__name__,
                    round=context.round,
                    fault=fault,
                )
            )
        checked: Draft = draft
        return checked


def _fault(draft: Any, gamma: int, vocabulary: int, device: torch.device) -> str | None:
    """Return what is wrong with a draft, and what is needed; None where it is right."""
    if not isinstance(draft, Draft):
        return tr("a {kind}, need a Draft", kind=type(draft).__name__)
    if fault := _kind_fault(draft, device):
        return fault
    ids = draft.ids
    if ids.ndim != 2 or ids.shape[0] != 1 or ids.dtype != torch.long or ids.shape[1] > gamma:
        return tr(
            "ids of shape {shape} and dtype {dtype}, need shape (1, n) of torch.int64, where n is "
            "at most {gamma}",
            shape=tuple(ids.shape),
            dtype=ids.dtype,
            gamma=gamma,
        )
    count = ids.shape[1]
    if tuple(draft.own_probs.shape) != (count,):
        return tr(
            "own_probs of shape {shape}, need one for each of {count} drafts",
            shape=tuple(draft.own_probs.shape),
            count=count,
        )
    if not bool(((draft.own_probs >= 0) & (draft.own_probs <= MOST_MASS)).all()):
        return tr("own_probs {probs}, need numbers from 0 to 1", probs=draft.own_probs.tolist())
    if count and not bool(((ids >= 0) & (ids < vocabulary)).all()):
        return tr("ids {ids}, need ids from 0 to {last}", ids=ids.tolist()[0], last=vocabulary - 1)
    return None if draft.probs is None else _law_fault(draft.probs, ids[0], vocabulary)


def _kind_fault(draft: Draft, device: torch.device) -> str | None:
    """Return what of a draft is no tensor with numbers in the memory of the text's device."""
    for name in ("ids", "own_probs", "probs"):
        value = getattr(draft, name)
        if value is None and name == "probs":
            continue
        if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
            return tr("{name} {value!r:.60}, need a tensor with values", name=name, value=value)
        if value.device != device:
            return tr(
                "{name} on {got}, need the text's device, {needed}: context.ids.device",
                name=name,
                got=value.device,
                needed=device,
            )
        if name != "ids" and not value.is_floating_point():
            return tr(
                "{name} of dtype {dtype}, need floating-point numbers", name=name, dtype=value.dtype
            )
    return None


def _law_fault(probs: Tensor, ids: Tensor, vocabulary: int) -> str | None:
    if tuple(probs.shape) != (len(ids), vocabulary):
        return tr(
            "probs of shape {shape}, need {needed}",
            shape=tuple(probs.shape),
            needed=(len(ids), vocabulary),
        )
    own, sums = probs.gather(1, ids[:, None])[:, 0], probs.float().sum(-1)
    if not bool((probs >= 0).all() & (own > 0).all() & ((sums - 1).abs() < _ROUNDING).all()):
        return tr(
            "probs that are no law its drafts were drawn from (sums {sums}, at the drafts {own}), "
            "need numbers of at least 0 that sum to 1, and above 0 at the draft",
            sums=sums.tolist(),
            own=own.tolist(),
        )
    return None
