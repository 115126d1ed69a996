"""Acceptance profiles: what they count, that they survive storage, and that they hold together."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.analysis.profile import AcceptanceProfile, accepted_counts
from tests.cases import cases


def make_profile(
    token_ids: tuple[int, ...],
    chains: tuple[tuple[int, ...], ...],
    *,
    probs: tuple[tuple[float, ...], ...] | None = None,
    max_new_tokens: int | None = None,
    prompt_length: int = 3,
) -> AcceptanceProfile:
    """Return a profile with `chains[i]` at position `i + 1`; an EOS text where room is left."""
    drafts = ((), *chains)
    limit = len(token_ids) if max_new_tokens is None else max_new_tokens
    return AcceptanceProfile(
        prompt_ids=tuple(range(100, 100 + prompt_length)),
        token_ids=token_ids,
        text="text",
        n_accepted=accepted_counts(token_ids, drafts),
        draft_ids=drafts,
        draft_probs=probs if probs is not None else tuple((0.5,) * len(c) for c in drafts),
        max_gamma=len(chains[0]) if chains else 2,
        max_new_tokens=limit,
        stop_reason="length" if limit == len(token_ids) else "eos",
        vocabulary={token: f"t{token}" for token in token_ids},
        provenance={"pair": "test"},
    )


@st.composite
def profiles(draw: st.DrawFn, max_tokens: int = 12, max_gamma: int = 5) -> AcceptanceProfile:
    """Profiles of few different tokens, so that drafts are right now and then; some end by EOS."""
    ids, probs = st.integers(0, 2), st.floats(0, 1, width=32)
    tokens = tuple(draw(st.lists(ids, min_size=1, max_size=max_tokens)))
    gamma, n = draw(st.integers(1, max_gamma)), len(tokens) - 1
    spare = draw(st.integers(0, 4))

    def table(values: st.SearchStrategy) -> tuple:
        rows = st.lists(values, min_size=gamma, max_size=gamma).map(tuple)
        return tuple(draw(st.lists(rows, min_size=n, max_size=n)))

    chains = table(ids)
    # Half of the chains start with the text's own tokens: long accepted runs must occur too.
    known = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    followed = tuple(
        (tokens[i + 1 :] + chain)[:gamma] if knows else chain
        for i, (chain, knows) in enumerate(zip(chains, known, strict=True))
    )
    profile = make_profile(
        tokens, followed, probs=((), *table(probs)), max_new_tokens=len(tokens) + spare
    )
    return profile if n else replace(profile, max_gamma=gamma)


HAND = make_profile((5, 6, 7, 8), ((6, 7, 9), (1, 8, 9), (8, 8, 8)))


def test_hand_worked_counts() -> None:
    """From token 5 two drafts hold, from 6 none, from 7 the last one; 3 in 3 positions."""
    assert HAND.n_accepted == (0, 2, 0, 1)
    assert len(HAND) == 4
    assert repr(HAND) == (
        "AcceptanceProfile(4 tokens of test, 3 drafts from each position, "
        "1.00 of them right on average)"
    )


@given(profiles())
def test_counts_are_the_longest_common_start(profile: AcceptanceProfile) -> None:
    for i, n in enumerate(profile.n_accepted):
        chain, rest = profile.draft_ids[i], profile.token_ids[i:]
        assert chain[:n] == rest[:n]
        assert n in (len(chain), len(rest)) or chain[n] != rest[n]


@given(profiles())
def test_json_round_trip(profile: AcceptanceProfile) -> None:
    assert AcceptanceProfile.from_json(profile.to_json()) == profile
    assert AcceptanceProfile.from_json(profile.to_json(indent=1)) == profile


def test_a_text_of_one_token_can_be_stored() -> None:
    profile = make_profile((9,), ())
    assert AcceptanceProfile.from_json(profile.to_json()) == profile
    assert "0.00 of them right" in repr(profile)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HAND.to_json()[:200], "cut off"),
        ("[]", "reads 'gemma_mtp_edu.profile/1'"),
    ],
)
def test_what_is_no_profile_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AcceptanceProfile.from_json(text)


@cases
def test_stored_entries_of_a_wrong_kind_or_that_contradict_each_other_are_refused(
    field: str, value: object, message: str
) -> None:
    record = json.loads(HAND.to_json())
    with pytest.raises(ValueError, match=message):
        AcceptanceProfile.from_json(json.dumps(record | {field: value}))
