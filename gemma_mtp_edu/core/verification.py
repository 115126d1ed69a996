"""The accept rules: which drafts the target keeps, and the token of its own that it adds.

p is the target's distribution and q the drafter's: Leviathan et al. 2023, arXiv:2211.17192, Alg. 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Drafts = Int[Tensor, " gamma"]
Probs = Float[Tensor, " vocab"]
Rows = Float[Tensor, "_ vocab"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What the target decided about a round's drafts."""

    n_accepted: int  # drafts that are kept, 0 to gamma, from the left
    next_id: int  # the target's own token after them: a correction, or the bonus token
    # When sampling, per verified position: sum of min(p, q), and the number drawn.
    overlaps: tuple[float, ...] = ()
    uniforms: tuple[float, ...] = ()


def verify_greedy(target_ids: Int[Tensor, " positions"], draft_ids: Drafts) -> Verification:
    """Keep drafts as long as they are what the target would have written.

    Args:
        target_ids: The target's argmax at each of gamma + 1 positions; the last follows all drafts.
        draft_ids: The drafts.

    >>> verify_greedy(torch.tensor([5, 7, 9]), torch.tensor([5, 8]))
    Verification(n_accepted=1, next_id=7, overlaps=(), uniforms=())
    >>> verify_greedy(torch.tensor([5, 7, 9]), torch.tensor([5, 7]))  # all right: a bonus token
    Verification(n_accepted=2, next_id=9, overlaps=(), uniforms=())
    """
    target, drafts = target_ids.tolist(), draft_ids.tolist()
    wrong = (i for i, draft in enumerate(drafts) if draft != target[i])
    n_accepted = next(wrong, len(drafts))
    return Verification(n_accepted, target[n_accepted])


def verify_sampling(
    target_probs: Rows, draft_probs: Rows | None, draft_ids: Drafts, generator: torch.Generator
) -> Verification:
    """Keep each draft with probability min(1, p/q), so that the text follows p exactly.

    Args:
        target_probs: p at each of gamma + 1 positions; the last row follows all drafts.
        draft_probs: q, the distributions that the drafts were drawn from. None for drafts that
            were not drawn, such as an argmax: q then has all its mass on the draft.
        draft_ids: The drafts.
        generator: Draws the uniforms and the target's own token.
    """
    gamma, chosen = len(draft_ids), draft_ids[:, None]
    # In float64: p and q are equal almost everywhere, and their difference must not be rounding.
    p = _normalised(target_probs)
    if draft_probs is None:
        q = torch.zeros_like(p[:gamma]).scatter_(1, chosen, 1.0)
    else:
        q = _normalised(draft_probs)
    uniforms = torch.rand(gamma, generator=generator, device=p.device, dtype=p.dtype)
    ratios = (p[:gamma].gather(1, chosen) / q.gather(1, chosen))[:, 0]
    rejected = (~(uniforms < ratios)).tolist()  # always, where the ratio is 0, or 0 over 0
    n_accepted = rejected.index(True) if True in rejected else gamma
    last = p[gamma] if n_accepted == gamma else residual_distribution(p[n_accepted], q[n_accepted])
    verified = min(n_accepted + 1, gamma)
    overlaps = torch.minimum(p[:verified], q[:verified]).sum(-1)
    next_id = int(torch.multinomial(last, 1, generator=generator))
    drawn = tuple(uniforms[:verified].tolist())
    return Verification(n_accepted, next_id, tuple(overlaps.tolist()), drawn)


def residual_distribution(target_probs: Probs, draft_probs: Probs) -> Probs:
    """Return max(0, p - q), normalised: the distribution to draw from after a rejection.

    Raises:
        ValueError: p <= q everywhere, so nothing can have been rejected.

    >>> residual_distribution(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.7, 0.2, 0.1]))
    tensor([0.0000, 0.5000, 0.5000])
    """
    left = (target_probs - draft_probs).clamp(min=0)
    if left.sum() <= 0:
        raise ValueError("p is nowhere above q: are both normalised, the first the target's?")
    return left / left.sum()


def _normalised(probs: Tensor) -> Tensor:
    # MPS has no float64.
    wide = probs.double() if probs.device.type != "mps" else probs.float()
    return wide / wide.sum(-1, keepdim=True)
