"""The accept rules: exact laws, worked cases, and broken rules that must be caught."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gemma_mtp_edu.core.verification import residual_distribution, verify_greedy, verify_sampling

P = torch.tensor([0.30, 0.30, 0.25, 0.15], dtype=torch.float64)
Q = torch.tensor([0.60, 0.20, 0.10, 0.10], dtype=torch.float64)
TRIALS = 2000


def laws(size: int) -> st.SearchStrategy[torch.Tensor]:
    weights = st.lists(st.floats(0, 1), min_size=size, max_size=size).filter(lambda w: sum(w) > 0.1)
    return weights.map(lambda w: torch.tensor(w, dtype=torch.float64) / sum(w))


@given(st.integers(2, 12).flatmap(lambda n: st.tuples(laws(n), laws(n))))
def test_accepted_and_residual_mass_are_the_target_s_law(
    pair: tuple[torch.Tensor, torch.Tensor],
) -> None:
    target_probs, draft_probs = pair
    emitted = torch.minimum(target_probs, draft_probs)
    if (target_probs > draft_probs).any():  # else p is q, and nothing is ever rejected
        emitted += (1 - emitted.sum()) * residual_distribution(target_probs, draft_probs)
    torch.testing.assert_close(emitted, target_probs, atol=1e-12, rtol=0)


def test_the_residual_worked_by_hand() -> None:
    expected = torch.tensor([0.0, 0.1, 0.15, 0.05], dtype=torch.float64) / 0.3
    torch.testing.assert_close(residual_distribution(P, Q), expected)
    with pytest.raises(ValueError, match="nowhere above"):
        residual_distribution(P, P)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.data())
def test_greedy_keeps_the_longest_right_prefix(wanted: list[int], data: st.DataObject) -> None:
    drafts = data.draw(
        st.lists(st.integers(0, 3), min_size=len(wanted) - 1, max_size=len(wanted) - 1)
    )
    verdict = verify_greedy(torch.tensor(wanted), torch.tensor(drafts, dtype=torch.long))
    n = verdict.n_accepted
    assert drafts[:n] == wanted[:n]
    assert n == len(drafts) or drafts[n] != wanted[n]
    assert verdict.next_id == wanted[n]


Rule = Callable[..., object]


def emitted(rule: Rule, one_hot: bool, gamma: int = 1) -> np.ndarray:
    """Return how often each token came first, in many rounds with drafts drawn from Q."""
    generator = torch.Generator().manual_seed(0)
    counts = np.zeros(4)
    p, q = P.expand(gamma + 1, 4), Q.expand(gamma, 4)
    for _ in range(TRIALS):
        drafts = torch.multinomial(Q, gamma, replacement=True, generator=generator)
        if one_hot:
            drafts = torch.full((gamma,), int(Q.argmax()))
        verdict = rule(p, None if one_hot else q, drafts, generator)
        first = int(drafts[0]) if verdict.n_accepted else verdict.next_id  # type: ignore[attr-defined]
        counts[first] += 1
    return counts


@pytest.mark.parametrize("one_hot", [False, True])
def test_sampling_follows_the_target_s_law(one_hot: bool) -> None:
    counts = emitted(verify_sampling, one_hot)
    assert stats.chisquare(counts, TRIALS * P.numpy()).pvalue > 1e-3


def test_the_bonus_token_follows_the_target_s_law() -> None:
    generator = torch.Generator().manual_seed(1)
    counts = np.zeros(4)
    p = torch.stack([Q, P])
    for _ in range(TRIALS):
        verdict = verify_sampling(p, Q[None], torch.tensor([1]), generator)
        assert verdict.n_accepted == 1, "equal laws never reject"
        counts[verdict.next_id] += 1
    assert stats.chisquare(counts, TRIALS * P.numpy()).pvalue > 1e-3


def test_the_overlaps_are_those_of_the_judged_positions() -> None:
    generator = torch.Generator().manual_seed(2)
    p, q = P.expand(4, 4), Q.expand(3, 4)
    seen = set()
    for _ in range(60):
        drafts = torch.multinomial(Q, 3, replacement=True, generator=generator)
        verdict = verify_sampling(p, q, drafts, generator)
        judged = min(verdict.n_accepted + 1, 3)
        assert verdict.overlaps == pytest.approx([0.7] * judged)
        assert len(verdict.uniforms) == judged
        seen.add(verdict.n_accepted)
    assert seen == {0, 1, 2, 3}


def test_nothing_behind_a_rejected_draft_is_kept() -> None:
    """The first draft cannot hold, the second one is sure to: it must not enter the text."""
    p = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    verdict = verify_sampling(p, None, torch.tensor([0, 1]), torch.Generator().manual_seed(0))
    assert (verdict.n_accepted, verdict.next_id) == (0, 1)
    assert len(verdict.uniforms) == 1


def test_laws_are_compared_by_their_shares() -> None:
    """Rounded laws sum to nearly 1; twice and three times them are the same laws."""
    for seed in range(20):
        verdicts = [
            verify_sampling(
                P.expand(4, 4) * by_p, Q.expand(3, 4) * by_q, torch.tensor([0, 1, 2]),
                torch.Generator().manual_seed(seed),
            )
            for by_p, by_q in ((1.0, 1.0), (2.0, 3.0))
        ]  # fmt: skip
        assert verdicts[0].overlaps == pytest.approx(verdicts[1].overlaps)
        assert verdicts[0].n_accepted == verdicts[1].n_accepted


# Deliberately broken rules: for each, the test above must fail.


def always_accept(p, q, drafts, generator):
    verdict = verify_sampling(p, q, drafts, generator)
    return type(verdict)(len(drafts), verdict.next_id)


def upside_down(p, q, drafts, generator):
    return verify_sampling(torch.cat([q, p[-1:]]), p[:-1], drafts, generator)


def correction_from_p(p, q, drafts, generator):
    verdict = verify_sampling(p, q, drafts, generator)
    own = int(torch.multinomial(p[verdict.n_accepted], 1, generator=generator))
    return type(verdict)(verdict.n_accepted, own)


def softmax_q_for_argmax_drafts(p, q, drafts, generator):
    """What the library does (transformers#47932)."""
    return verify_sampling(p, Q.expand(len(drafts), 4), drafts, generator)


def match_only(p, q, drafts, generator):
    """Accept a draft only where a draw of the target's gives the same token... and draw again."""
    own = torch.multinomial(p, 1, generator=generator)[:, 0]
    verdict = verify_greedy(own, drafts)
    fresh = int(torch.multinomial(p[verdict.n_accepted], 1, generator=generator))
    return type(verdict)(verdict.n_accepted, fresh)


@pytest.mark.parametrize(
    ("rule", "one_hot"),
    [
        (always_accept, False),
        (upside_down, False),
        (correction_from_p, False),
        (softmax_q_for_argmax_drafts, True),
        (match_only, False),
    ],
)
def test_broken_rules_are_caught(rule: Rule, one_hot: bool) -> None:
    counts = emitted(rule, one_hot)
    assert stats.chisquare(counts, TRIALS * P.numpy()).pvalue < 1e-6


@pytest.mark.parametrize("q", [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
def test_a_draft_that_the_target_never_writes_is_rejected(
    q: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a draw of exactly 0, and where the drafter's own probability of it is 0."""
    p, drafts = torch.tensor([[0.5, 0.0, 0.0, 0.5]] * 2), torch.tensor([2])
    drawn = torch.tensor([[*q, 1 - sum(q)]])
    for seed in range(50):
        verdict = verify_sampling(p, drawn, drafts, torch.Generator().manual_seed(seed))
        assert verdict.n_accepted == 0 and verdict.next_id in (0, 3)
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.zeros(n, dtype=torch.float64))
    assert verify_sampling(p, drawn, drafts, torch.Generator()).n_accepted == 0
