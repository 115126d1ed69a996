"""The accept rules: which drafts the target keeps, and the token of its own that it adds.

Pure functions. Here p is the target's law and q the drafter's, as in Leviathan et al. 2023,
arXiv:2211.17192 (gpt-fast names them the other way round).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.lessons.language import tr


@dataclass(frozen=True, slots=True)
class Verification:
    """What the target decided about a round's drafts.

    Attributes:
        n_accepted: Drafts that are kept, 0 to gamma, from the left.
        next_id: The target's own token after them: a correction, or the bonus token.
        overlaps: Per judged position, sum over the vocabulary of min(p, q); only when sampling.
        uniforms: The number drawn at each judged position; only when sampling.
    """

    n_accepted: int
    next_id: int
    overlaps: tuple[float, ...] = ()
    uniforms: tuple[float, ...] = ()


def verify_greedy(
    target_ids: Int[Tensor, " positions"], draft_ids: Int[Tensor, " gamma"]
) -> Verification:
    """Keep drafts as long as they are what the target would have written.

    Args:
        target_ids: The target's most probable token at each of gamma + 1 positions; the last one
            follows all drafts.
        draft_ids: The drafts.

    Returns:
        The first disagreement ends the drafts, and the target's token stands in its place.

    >>> verify_greedy(torch.tensor([5, 7, 9]), torch.tensor([5, 8]))
    Verification(n_accepted=1, next_id=7, overlaps=(), uniforms=())
    >>> verify_greedy(torch.tensor([5, 7, 9]), torch.tensor([5, 7]))  # all right: a bonus token
    Verification(n_accepted=2, next_id=9, overlaps=(), uniforms=())
    """
    wanted, drafts = target_ids.tolist(), draft_ids.tolist()
    wrong = (i for i, draft in enumerate(drafts) if draft != wanted[i])
    n_accepted = next(wrong, len(drafts))
    return Verification(n_accepted, wanted[n_accepted])


def verify_sampling(
    target_probs: Float[Tensor, "positions vocab"],
    draft_probs: Float[Tensor, "gamma vocab"] | None,
    draft_ids: Int[Tensor, " gamma"],
    generator: torch.Generator,
) -> Verification:
    """Keep each draft with probability min(1, p/q), so that the text follows p exactly.

    Args:
        target_probs: p at each of gamma + 1 positions; the last row follows all drafts.
        draft_probs: q at each position, the law that the draft was really drawn from. None for
            drafts that were not drawn, such as an argmax: q then has all its mass on the draft.
        draft_ids: The drafts.
        generator: Draws the uniforms and the target's own token.

    Returns:
        The first rejection ends the drafts; the token in its place comes from the residual
        distribution, and after drafts that were all kept it comes from p.

    Source: Leviathan et al. 2023, arXiv:2211.17192, Algorithm 1.
    """
    gamma = len(draft_ids)
    # In float64: p and q are equal almost everywhere, and their difference must not be rounding.
    p = _normalised(target_probs)
    q = one_hot(draft_ids, p) if draft_probs is None else _normalised(draft_probs)
    uniforms = torch.rand(gamma, generator=generator, device=p.device, dtype=p.dtype)
    chosen = draft_ids[:, None]
    ratios = (p[:gamma].gather(1, chosen) / q.gather(1, chosen))[:, 0]
    rejected = (uniforms >= ratios).tolist()  # a ratio of 0 must always be rejected
    n_accepted = rejected.index(True) if True in rejected else gamma
    law = p[gamma] if n_accepted == gamma else residual_distribution(p[n_accepted], q[n_accepted])
    judged = min(n_accepted + 1, gamma)
    overlaps = torch.minimum(p[:judged], q[:judged]).sum(-1)
    return Verification(
        n_accepted,
        int(draw(law, generator)),
        tuple(overlaps.tolist()),
        tuple(uniforms[:judged].tolist()),
    )


def draw(probs: Float[Tensor, " vocab"], generator: torch.Generator) -> Int[Tensor, ""]:
    """Return a token id drawn from `probs`."""
    return torch.multinomial(probs, 1, generator=generator)[0]


def residual_distribution(
    target_probs: Float[Tensor, " vocab"], draft_probs: Float[Tensor, " vocab"]
) -> Float[Tensor, " vocab"]:
    """Return the distribution to draw from after a rejection.

    Args:
        target_probs: p(x); non-negative, sums to 1.
        draft_probs: q(x), the law that the draft was really drawn from; sums to 1.

    Returns:
        max(0, p - q), normalised.

    Raises:
        ValueError: p <= q everywhere, so nothing is left to draw from (and nothing can have been
            rejected).

    Source: Leviathan et al. 2023, arXiv:2211.17192, Algorithm 1.

    >>> residual_distribution(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.7, 0.2, 0.1]))
    tensor([0.0000, 0.5000, 0.5000])
    """
    left = (target_probs - draft_probs).clamp(min=0)
    mass = left.sum()
    if mass <= 0:
        raise ValueError(
            tr(
                "the target's law is nowhere above the drafter's, so no draft can be "
                "rejected: are both normalised, and is the first one the target's?"
            )
        )
    return left / mass


def emitted_distribution(
    target_probs: Float[Tensor, " vocab"], draft_probs: Float[Tensor, " vocab"]
) -> Float[Tensor, " vocab"]:
    """Return the exact law of the token that one draft-and-verify position gives.

    A draft x comes with probability q(x) and is kept with min(1, p/q), which makes min(p, q); the
    rest of the mass goes to the residual distribution. The sum is p: sampling is lossless.

    Source: Leviathan et al. 2023, arXiv:2211.17192, appendix A.1.
    """
    kept = torch.minimum(target_probs, draft_probs)
    if not (target_probs > draft_probs).any():
        return kept  # equal laws: nothing is ever rejected
    return kept + (1 - kept.sum()) * residual_distribution(target_probs, draft_probs)


def one_hot(
    draft_ids: Int[Tensor, " gamma"], like: Float[Tensor, "positions vocab"]
) -> Float[Tensor, "gamma vocab"]:
    """Return laws with all their mass on the drafts, in the vocabulary and dtype of `like`."""
    return torch.zeros_like(like[: len(draft_ids)]).scatter_(1, draft_ids[:, None], 1.0)


def _normalised(probs: Float[Tensor, "positions vocab"]) -> Float[Tensor, "positions vocab"]:
    # MPS has no float64.
    wide = probs.double() if probs.device.type != "mps" else probs.float()
    return wide / wide.sum(-1, keepdim=True)
