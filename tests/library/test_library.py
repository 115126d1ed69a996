"""The known faults of transformers with a Gemma 4 drafter, and that our loop has none of them.

What is expected of a release stands in the doctor's table, `gemma_mtp_edu/data/releases.json`. A
release that mends a fault, or a new one, fails here: `python -m tests.library.write` measures it.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version

from gemma_mtp_edu import speculative_generate
from gemma_mtp_edu.checkup import LIBRARY, RELEASES
from gemma_mtp_edu.core.schedules import Heuristic
from tests.library import parts
from tests.library.cycle import WINDOW, cycle_pair
from tests.library.emitted import observed_distribution, total_variation
from tests.library.watch import Watched, watch_ours

TABLE = json.loads(RELEASES.read_text(encoding="utf-8"))
RELEASE = transformers.__version__


def test_the_table_names_parts_that_are_measured_and_shown() -> None:
    assert set(parts.PARTS) == set(LIBRARY)
    assert list(TABLE) == sorted(TABLE, key=Version)
    for row in TABLE.values():
        assert row["measured"]
        assert set(row["parts"]) <= set(LIBRARY)
        assert {*map(type, row["parts"].values())} == {bool}


@pytest.mark.parametrize("name", LIBRARY)
def test_the_installed_release_is_as_the_table_says(name: str) -> None:
    assert RELEASE in TABLE, "run  python -m tests.library.write"
    expected = TABLE[RELEASE]["parts"].get(name)
    if expected is None:
        pytest.skip(f"not measured on {RELEASE}: run  python -m tests.library.write")
    assert parts.holds(name) == expected


def test_the_library_s_schedule_and_bias_in_numbers() -> None:
    if TABLE[RELEASE]["parts"]["honours the schedule"]:
        pytest.skip("this release asks the schedule")
    assert set(parts.assisted().draft_lengths[:-1]) == {parts.START}
    assert parts.sampling_difference(parts.sampled) == pytest.approx(0.378, abs=1e-3)


@pytest.fixture(scope="module")
def ours() -> Watched:
    return watch_ours(parts.models(), parts.prompt(), Heuristic(parts.START), parts.TOKENS)


def test_our_loop_gives_the_drafter_what_belongs_to_it(ours: Watched) -> None:
    target = parts.models().target
    assert ours.token_ids == parts.plain()
    assert ours.draft_lengths == ours.wanted_lengths(Heuristic(parts.START))
    assert ours.wrong_states(target) == 0
    assert ours.stale_rounds(target) == 0
    kept = list(zip(ours.accepted, ours.draft_lengths, strict=True))
    assert ours.prompt_length > WINDOW
    assert {0 if not a else 2 if a == n else 1 for a, n in kept} == {0, 1, 2}, "all kinds of rounds"


def test_our_loop_stops_inside_accepted_drafts() -> None:
    tokenizer, stop, wanted = parts.stop_case()
    settings = {"gamma": 4, "max_new_tokens": parts.TOKENS, "stop_strings": [stop]}
    trace = speculative_generate(parts.models().pair(tokenizer), parts.prompt(), **settings)
    assert len(trace.token_ids) == wanted


def test_our_loop_samples_without_bias() -> None:
    def sampled(models: Any, ids: torch.Tensor) -> tuple[int, ...]:
        settings = {"gamma": 1, "temperature": 1.0, "max_new_tokens": 3, "seed": 0}
        return speculative_generate(models.pair(), ids, **settings).token_ids

    assert parts.sampling_difference(sampled) < 1e-3


def test_the_pair_in_memory_is_the_same_each_time() -> None:
    state, one, other = torch.get_rng_state(), cycle_pair(), cycle_pair()
    both = zip(one.target.parameters(), other.target.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)
    assert torch.equal(torch.get_rng_state(), state)


# The exact distribution of an accept rule: FACTS' worked case.

P = torch.tensor([0.30, 0.30, 0.25, 0.15], dtype=torch.float64)
Q = torch.tensor([0.60, 0.20, 0.10, 0.10], dtype=torch.float64)


def loop(draws: bool) -> Callable[[], tuple[int, ...]]:
    """A token, a draft from Q or its argmax, and the rule of Leviathan et al. with Q."""

    def run() -> tuple[int, ...]:
        first = int(torch.multinomial(P, 1))
        draft = int(torch.multinomial(Q, 1)) if draws else int(Q.argmax())
        if float(torch.rand(1)) < P[draft] / Q[draft]:
            return first, draft, int(torch.multinomial(P, 1))
        return first, int(torch.multinomial((P - Q).clamp(min=0), 1))

    return run


def test_drafts_that_were_drawn_are_lossless_and_argmax_drafts_are_not() -> None:
    assert total_variation(observed_distribution(loop(draws=True), first=1), P) < 1e-4
    worked = torch.tensor([0.5, 1 / 6, 0.25, 1 / 12], dtype=torch.float64)
    assert torch.allclose(observed_distribution(loop(draws=False), 1), worked, atol=1e-4)
