"""What is refused before any model runs, by everything that runs one; nothing is changed by it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gemma_mtp_edu import Constant, ModelPair, acceptance_profile, reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.models.compatibility import IncompatiblePairError
from tests.cases import cases
from tests.model.tiny import prompt_ids, tiny_pair

IDS = prompt_ids(5)
ENTRIES = (autoregressive_generate, speculative_generate, reference_generate, acceptance_profile)
DRAFTING = (speculative_generate, reference_generate)


@pytest.fixture(autouse=True)
def no_pass(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model run where a test says that it must not."""
    if "refused" in request.node.name:
        target = tiny_pair().target
        monkeypatch.setattr(target, "forward", lambda *a, **k: pytest.fail("the target ran"))


@pytest.mark.parametrize("entry", ENTRIES)
@cases
def test_prompts_are_refused(
    entry: Callable[..., Any], kind: str, prompt: Any, message: str
) -> None:
    makes: dict[str, Callable[..., Any]] = {"tensor": torch.tensor, "of length": prompt_ids}
    with pytest.raises(ValueError, match=message):
        entry(tiny_pair(), makes.get(kind, lambda given: given)(prompt), max_new_tokens=8)


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_prompt_is_refused(pair: ModelPair, empty: str) -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        speculative_generate(pair, empty)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("number", [0, -1])
def test_numbers_of_new_tokens_are_refused(entry: Callable[..., Any], number: int) -> None:
    with pytest.raises(ValueError, match=rf"max_new_tokens {number}, need at least 1"):
        entry(tiny_pair(), IDS, max_new_tokens=number)


@pytest.mark.parametrize("gamma", [0, -1, True, 2.0, "4", float("nan"), [2]])
@pytest.mark.parametrize("run", DRAFTING)
def test_draft_lengths_are_refused(run: Callable[..., Any], gamma: Any) -> None:
    with pytest.raises(ValueError, match=r"got gamma .*need a whole number of drafts, at least 1"):
        run(tiny_pair(), IDS, gamma=gamma)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"gamma": 2, "schedule": Constant(2)}, "got schedule and gamma, need one"),
        ({"schedule": "heuristic"}, r"got schedule 'heuristic', need .* Heuristic\(4\)"),
        ({"schedule": 4}, r"got schedule 4, need .* Constant\(4\)"),
    ],
)
def test_schedules_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        speculative_generate(tiny_pair(), IDS, **more)


@cases
@pytest.mark.parametrize("run", [autoregressive_generate, *DRAFTING])
def test_sampling_numbers_are_refused(run: Callable[..., Any], more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"temperature|top_p"):
        run(tiny_pair(), IDS, **more)


@pytest.mark.parametrize("run", DRAFTING)
def test_huge_draft_lengths_draft_what_there_is_room_for(run: Callable[..., Any]) -> None:
    wanted = autoregressive_generate(tiny_pair(), IDS, max_new_tokens=6)
    trace = run(tiny_pair(), IDS, gamma=10**9, max_new_tokens=6)
    assert trace.token_ids == wanted.token_ids
    assert max(len(record.draft_ids) for record in trace.rounds) == 4


def test_numpy_s_numbers_are_draft_lengths() -> None:
    wanted = speculative_generate(tiny_pair(), IDS, gamma=2, max_new_tokens=9)
    for more in ({"gamma": np.int64(2)}, {"schedule": Constant(np.int64(2))}):  # type: ignore[arg-type]
        trace = speculative_generate(tiny_pair(), IDS, max_new_tokens=9, **more)  # type: ignore[arg-type]
        assert trace.token_ids == wanted.token_ids
        assert trace.provenance["method"] == "speculative, Constant(drafts=2)"


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(TypeError, match="max_new_token'"):
        speculative_generate(tiny_pair(), IDS, max_new_token=4)


def test_swapped_models_are_refused() -> None:
    pair = tiny_pair()
    with pytest.raises(IncompatiblePairError):
        ModelPair(pair.drafter, pair.target)
