"""Is the text the target's own? Two texts compared; the distributions at one position, exactly."""

from collections.abc import Sequence
from itertools import zip_longest

import torch

from gemma_mtp_edu.analysis.inside import read
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.sampling import Ids
from gemma_mtp_edu.core.verification import Probs, residual_distribution
from gemma_mtp_edu.models.pairs import ModelPair


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the first index at which two texts differ, or None where they are equal.

    >>> first_difference([1, 2, 3], [1, 5, 3]), first_difference([1], [1])
    (1, None)
    """
    pairs = enumerate(zip_longest(one, other))
    return next((i for i, (a, b) in pairs if a != b), None)


def emitted_distribution(target_probs: Probs, draft_probs: Probs) -> Probs:
    """Return the exact distribution of the token that one draft-and-verify position gives.

    min(p, q) from accepted drafts, the rest of the mass from the residual. The sum is p: lossless.

    Source: Leviathan et al. 2023, arXiv:2211.17192, appendix A.1.
    """
    kept = torch.minimum(target_probs, draft_probs)
    if not (target_probs > draft_probs).any():
        return kept  # equal distributions: nothing is ever rejected
    return kept + (1 - kept.sum()) * residual_distribution(target_probs, draft_probs)


@torch.no_grad()
def distributions_after(pair: ModelPair, ids: Ids, temperature: float = 1.0) -> tuple[Probs, Probs]:
    """Return the target's distribution p and the MTP drafter's q of the token after a text.

    Both are in float64, so on the CPU. q is 0 for tokens that a centroid head does not search.
    """
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    target, state = read(pair, ids)
    drafter.start(ids, state)
    both = target.verify(ids[:, -1:]).logits[0], drafter.next_logits(ids)[0]
    p, q = ((logits.cpu().double() / temperature).softmax(-1) for logits in both)
    return p, q
