"""Both models' laws at one position of a text: what sampling decides about."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.core.mtp_drafter import MTPDrafter
from gemma_mtp_edu.core.target import Target
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair


@torch.no_grad()
def laws_after(
    pair: ModelPair, ids: Int[Tensor, "1 seq"], temperature: float = 1.0
) -> tuple[Float[Tensor, " vocab"], Float[Tensor, " vocab"]]:
    """Return the target's law p and the MTP drafter's law q of the token after a text.

    Args:
        pair: A target with its MTP drafter.
        ids: The text, at least two tokens.
        temperature: Divides both models' logits; above 0.

    Returns:
        p and q in float64, on the CPU, because some devices know no float64. q is 0 for tokens that
        the centroid head does not search.

    Raises:
        ValueError: The text is too short.
    """
    if ids.shape[1] < 2:
        raise ValueError(
            tr(
                "got {count} tokens, need at least 2: a text and its newest token",
                count=ids.shape[1],
            )
        )
    target = Target(pair.target, hands_over=True)
    handed = target.hand_over(target.prefill(ids[:, :-1]), 0, 0)
    assert handed is not None
    target_probs = (target.verify(ids[:, -1:]).logits[0].cpu().double() / temperature).softmax(-1)
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    position = torch.tensor([[ids.shape[1] - 1]], device=ids.device)
    states, _ = drafter.step(ids[:, -1:], handed.hidden, position, handed.shared_kv_states)
    scores, searched = drafter.searched(states)
    law = (scores.cpu().double() / temperature).softmax(-1)
    if searched is None:
        return target_probs, law
    return target_probs, torch.zeros_like(target_probs).scatter(0, searched.cpu(), law)


def library_law(
    target_probs: Float[Tensor, " vocab"], draft_probs: Float[Tensor, " vocab"]
) -> Float[Tensor, " vocab"]:
    """Return the exact law of the token that transformers' assisted sampling emits.

    It drafts the argmax of q, but accepts it as if it had been drawn from q.

    Source: transformers 5.22.2, `_speculative_sampling`; transformers#47932.
    """
    draft = int(draft_probs.argmax())
    accepted = min(1.0, float(target_probs[draft] / draft_probs[draft]))
    left = (target_probs - draft_probs).clamp(min=0)
    law = (1 - accepted) * left / left.sum() if accepted < 1 else torch.zeros_like(left)
    law[draft] += accepted
    return law


def total_variation(one: Float[Tensor, " vocab"], other: Float[Tensor, " vocab"]) -> float:
    """Return half the summed difference of two laws: the largest error of any event's chance."""
    return float((one - other).abs().sum() / 2)


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the first index at which two texts differ, or None where they are equal.

    >>> first_difference([1, 2, 3], [1, 5, 3]), first_difference([1], [1])
    (1, None)
    """
    if tuple(one) == tuple(other):
        return None
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@torch.no_grad()
def logit_gap(pair: ModelPair, ids: Int[Tensor, "1 seq"]) -> float:
    """Return by how much the target's best next token beats the second best, in logits."""
    best = pair.target(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].topk(2)
    return float(best.values[0] - best.values[1])
