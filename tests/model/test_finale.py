"""The last lesson's steps on the bundled pair: choosing, loading, predicting, measuring, a card."""

import platform
from typing import Any

import pytest
import torch

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profiling import acceptance_profile
from gemma_mtp_edu.lessons import finale
from gemma_mtp_edu.lessons.finale import Choice, choose, load_chosen
from gemma_mtp_edu.measure.bench import Plan
from gemma_mtp_edu.measure.results import ResultsCard
from gemma_mtp_edu.measure.sweep_score import score
from gemma_mtp_edu.models.memory_plan import memory_plan
from gemma_mtp_edu.models.pairs import ModelPair, PairNotFoundError
from gemma_mtp_edu.models.room import NoDiskSpaceError, NotEnoughMemoryError

T4 = 14_600_000_000
PROMPTS = {"arithmetic": "Count from 7 to 12.", "story": "Tell me a short story about a heron."}


@pytest.mark.parametrize(
    ("wanted", "free", "capability", "name", "dtype", "words"),
    [
        ("auto", T4, (7, 5), "E2B", "float16", "14.6 GB"),
        ("auto", 22_000_000_000, (8, 9), "E2B", "bfloat16", "22.0 GB"),
        ("auto", 40_000_000_000, (8, 0), "12B", "bfloat16", "40.0 GB"),
        ("auto", 4_000_000_000, (8, 6), "pocket", "float32", "too few"),
        ("auto", T4, None, "pocket", "float32", "no NVIDIA GPU"),
        ("E4B", T4, (7, 5), "pocket", "float32", "does not fit in 14.6 GB"),
        ("E4B", 22_000_000_000, (8, 9), "E4B", "bfloat16", "As you wished"),
        ("google/gemma-4-E2B-it", 64_000_000_000, None, "E2B", "float32", "As you wished"),
        ("E2B", 12_000_000_000, None, "pocket", "float32", "does not fit"),
        ("pocket", T4, (7, 5), "pocket", "float32", "as you wished"),
    ],
)
def test_choice(wanted: str, free: int, capability: Any, name: str, dtype: str, words: str) -> None:
    choice = choose(wanted, free, capability)
    assert (choice.name, choice.dtype) == (name, dtype)
    assert words.lower() in choice.reason.lower()


def test_long_contexts_need_more() -> None:
    free = memory_plan("E2B", "float16", 2048).total_bytes
    assert choose("E2B", free, (7, 5)).name == "E2B"
    assert choose("E2B", free, (7, 5), context_length=131_072).name == "pocket"


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no registered pair 'E3B'"):
        choose("E3B", T4, (7, 5))


@pytest.mark.parametrize("refusal", [PairNotFoundError, NotEnoughMemoryError, NoDiskSpaceError])
def test_without_hub_or_memory_the_bundled_pair_is_taken_and_named(
    pair: ModelPair, refusal: type[Exception]
) -> None:
    asked: list[tuple[str, str]] = []

    def offline(name: str, *, dtype: str) -> ModelPair:
        asked.append((name, dtype))
        if name != "pocket":
            raise refusal("the hub did not give it")
        return pair

    loaded, why = load_chosen(Choice("E2B", "float16", "It fits."), load=offline)
    assert loaded is pair
    assert asked == [("E2B", "float16"), ("pocket", "float32")]
    assert why.startswith("The bundled pair, because E2B cannot be had here: the hub did not")


def test_chosen_pair_is_loaded_in_its_dtype() -> None:
    loaded, why = load_chosen(Choice("pocket", "bfloat16", "A reason."))
    assert (loaded.name, loaded.target.dtype, why) == ("pocket", torch.bfloat16, "A reason.")


def test_plan_counts_the_weights_that_are_loaded(pair: ModelPair) -> None:
    plan = memory_plan(pair.name, pair.target.dtype)
    assert finale.loaded_bytes(pair) == plan.target_bytes + plan.drafter_bytes


def test_sweep_fills_a_card(pair: ModelPair) -> None:
    gammas, reports = (1, 3), []
    cost = CostModel.calibrate(pair, lengths=(1, 2, 4), contexts=(64,), repeats=1)
    profiles = {
        name: acceptance_profile(pair, prompt, max_gamma=3, max_new_tokens=10)
        for name, prompt in PROMPTS.items()
    }
    predicted = finale.predicted_speedups(cost, profiles, gammas)
    assert set(predicted) == {(name, gamma) for name in PROMPTS for gamma in gammas}
    measured = finale.measure(
        pair, PROMPTS, predicted, max_new_tokens=10, repeats=1, done=reports.append
    )
    assert reports == ["arithmetic: measured", "story: measured"]
    verdict = {name: str(cost.verdict(profile)) for name, profile in profiles.items()}
    card = finale.results_card(pair, PROMPTS, measured, verdict, Plan(gammas, 1, 10, 1, False))
    assert ResultsCard.from_json(card.to_json()) == card
    assert (card.pair, card.workloads, card.gammas) == ("pocket", tuple(PROMPTS), gammas)
    assert all(m.same_text and m.tokens == 10 for m in card.measurements)
    # What was drafted is what the profile says, whatever the clock said.
    assert card.of("story", 0).tokens_per_round == 1
    assert card.of("story", 3).tokens_per_round > 1
    assert card.of("story", 3).predicted_speedup == predicted["story", 3]
    assert {"dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu"} <= set(card.provenance)
    assert card.peak_memory_bytes > 0
    assert platform.node() not in card.to_json()
    assert len(score(card).errors) == 4
