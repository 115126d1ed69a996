"""Draft lengths: each rule by hand, and what a configuration asks for."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.core import schedules
from gemma_mtp_edu.core.schedules import Confidence, Constant, FromProfile, Heuristic, Schedule
from tests.cases import cases
from tests.model.tiny import tiny_pair


def test_heuristic_worked_by_hand() -> None:
    """Starts at n; +2 when all were accepted, -1 otherwise, never below 1."""
    rule, asked, last = Heuristic(3), [], None
    for n_accepted in (3, 5, 2, 0, 0, 0, 0, 0, 0, 1):
        gamma = rule.gamma(1, last)
        asked.append(gamma)
        last = schedules.LastRound(gamma, gamma, min(n_accepted, gamma))
    assert asked == [3, 5, 7, 6, 5, 4, 3, 2, 1, 1]
    assert rule.gamma(1, last) == 3


def test_fewer_drafts_than_asked_for_are_no_full_success() -> None:
    assert Heuristic(4).gamma(1, schedules.LastRound(4, 2, 2)) == 3


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 9))
def test_constant_never_moves(drafts: int, position: int, n_accepted: int) -> None:
    rule = Constant(drafts)
    assert rule.gamma(position, None) == drafts
    last = schedules.LastRound(drafts, drafts, min(n_accepted, drafts))
    assert rule.gamma(position, last) == drafts
    assert not rule.watches_probs
    assert rule.keeps_drafting(0.0)


def test_confidence_stops_below_its_threshold() -> None:
    rule = Confidence(0.5, 6)
    assert rule.watches_probs
    assert rule.gamma(1, None) == 6
    assert rule.keeps_drafting(0.5)
    assert not rule.keeps_drafting(0.499)


def test_a_profile_s_lengths_are_looked_up_by_position() -> None:
    rule = FromProfile((0, 3, 0, 5))
    assert [rule.gamma(i, None) for i in range(6)] == [0, 3, 0, 5, 0, 0]


def schedule(kind: str, arguments: list) -> Schedule:
    given = (tuple(a) if isinstance(a, list) else a for a in arguments)
    return getattr(schedules, kind)(*given)


@cases
def test_numbers_out_of_range_are_named(kind: str, arguments: list) -> None:
    with pytest.raises(ValueError, match=r"got .* need"):
        schedule(kind, arguments)


@cases
def test_the_configuration_is_honoured(drafts: int | None, kind: str, expected: list) -> None:
    """Without a number it is the registry's, 4 for the bundled pair."""
    config = GenerationConfig(num_assistant_tokens=drafts, num_assistant_tokens_schedule=kind)
    before = config.to_dict()
    assert pair_with(config, "pocket").default_schedule() == schedule(*expected)
    assert config.to_dict() == before


def test_a_configuration_that_says_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="pass gamma=4"):
        pair_with(GenerationConfig(num_assistant_tokens=None), "mine").default_schedule()
    config = GenerationConfig(num_assistant_tokens=2)
    config.num_assistant_tokens_schedule = "sometimes"
    with pytest.raises(ValueError, match="'sometimes'"):
        pair_with(config, "pocket").default_schedule()


def pair_with(config: GenerationConfig, name: str) -> ModelPair:
    made = copy.copy(tiny_pair())
    made.name, made.drafter = name, copy.copy(made.drafter)
    made.drafter.generation_config = config
    return made
