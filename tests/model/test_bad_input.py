"""What users really pass, to everything that runs a model: an error that helps, or the right text.

Nothing may be changed by a refusal, and no refusal may come after a model has run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gemma_mtp_edu import (
    Constant,
    ModelPair,
    acceptance_profile,
    autoregressive_generate,
    reference_generate,
    speculative_generate,
)
from gemma_mtp_edu.analysis.custom import draft_and_verify
from gemma_mtp_edu.models.compatibility import IncompatiblePairError
from tests.model.tiny import prompt_ids, tiny_pair

NAN, INF = float("nan"), float("inf")
IDS = prompt_ids(5)
ENTRIES: dict[str, Callable[..., Any]] = {
    "plain": autoregressive_generate,
    "speculative": speculative_generate,
    "library": reference_generate,
    "profile": acceptance_profile,
}
Refused = tuple[dict[str, Any], str]


@pytest.fixture(params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return ENTRIES[request.param]


@pytest.fixture(autouse=True)
def no_pass(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model run where a test says that it must not."""
    if "refused" in request.node.name:
        target = tiny_pair().target
        monkeypatch.setattr(target, "forward", lambda *a, **k: pytest.fail("the target ran"))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([3, 4, 5], r"got a list as prompt.*torch\.tensor\(\[ids\]\)"),
        ((3, 4), "got a tuple"),
        (np.array([[3, 4]]), r"got a ndarray.*from_numpy"),
        ({"input_ids": IDS}, r'got a dict.*inputs\["input_ids"\]'),
        (None, "got a NoneType"),
        (5, "got a int"),
        (b"abc", "got a bytes.*decode"),
        ("text", "no processor"),
        (IDS[0], r"shape \(5,\).*ids\[None\]"),
        (IDS[None], r"shape \(1, 1, 5\)"),
        (IDS.repeat(2, 1), r"shape \(2, 5\).*one prompt at a time"),
        (IDS[:, :0], r"shape \(1, 0\)"),
        (IDS.bool(), "dtype torch.bool"),
        (IDS.float(), "dtype torch.float32"),
        (IDS.to(torch.complex64), "dtype torch.complex64"),
        (IDS.to("meta"), "without values"),
        (IDS.to_sparse(), "without values"),
        (torch.tensor([[3, -1]]), "got id -1, need ids from 0 to 63"),
        (torch.tensor([[3, 64]]), "got id 64, need ids from 0 to 63"),
        (torch.tensor([[2**40]]), f"got id {2**40}"),
        (prompt_ids(256), "prompt of 256 tokens, need fewer than 256"),
        (prompt_ids(300), "prompt of 300 tokens"),
        (prompt_ids(250), "max_new_tokens 8 after a prompt of 250 tokens, need at most 6"),
    ],
)
def test_prompts_are_refused(entry: Callable[..., Any], prompt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entry(tiny_pair(), prompt, max_new_tokens=8)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_any_whole_numbers_are_ids(entry: Callable[..., Any], dtype: torch.dtype) -> None:
    wanted = entry(tiny_pair(), IDS, max_new_tokens=4)
    assert entry(tiny_pair(), IDS.to(dtype), max_new_tokens=4).token_ids == wanted.token_ids


@pytest.mark.parametrize("number", [0, -1, True, 2.0, "4", NAN, INF, None, [4], 10**9, 10**30, 252])
def test_numbers_of_new_tokens_are_refused(entry: Callable[..., Any], number: Any) -> None:
    with pytest.raises(ValueError, match=r"got max_new_tokens .*need"):
        entry(tiny_pair(), IDS, max_new_tokens=number)


def test_numpy_s_numbers_are_numbers() -> None:
    pair = tiny_pair()
    numbers = {
        "max_new_tokens": np.int64(9), "temperature": np.float32(1), "top_k": np.int32(20),
        "top_p": np.float64(0.9), "seed": np.int64(3),
    }  # fmt: skip
    plain = {"max_new_tokens": 9, "temperature": 1.0, "top_k": 20, "top_p": 0.9, "seed": 3}
    for run in (speculative_generate, reference_generate):
        wanted = run(pair, IDS, gamma=2, **plain)
        got = run(pair, IDS, gamma=np.int64(2), **numbers)  # type: ignore[arg-type]
        assert got.token_ids == wanted.token_ids
    schedule = Constant(np.int64(2))  # type: ignore[arg-type]
    trace = speculative_generate(pair, IDS, schedule=schedule, max_new_tokens=9)
    assert trace.provenance["method"] == "speculative, Constant(drafts=2)"
    profile = acceptance_profile(pair, IDS, max_gamma=np.int64(2), max_new_tokens=np.int64(9))  # type: ignore[arg-type]
    assert type(profile).from_json(profile.to_json()) == profile


@pytest.mark.parametrize("gamma", [0, -1, True, 2.0, 2.5, "4", NAN, INF, [2], torch.tensor(2)])
@pytest.mark.parametrize("run", [speculative_generate, reference_generate])
def test_draft_lengths_are_refused(run: Callable[..., Any], gamma: Any) -> None:
    with pytest.raises(ValueError, match=r"got gamma .*need a whole number of drafts"):
        run(tiny_pair(), IDS, gamma=gamma)


@pytest.mark.parametrize("gamma", [10**9, 10**30])
@pytest.mark.parametrize("run", [speculative_generate, reference_generate])
def test_huge_draft_lengths_draft_what_there_is_room_for(
    run: Callable[..., Any], gamma: int
) -> None:
    wanted = autoregressive_generate(tiny_pair(), IDS, max_new_tokens=6)
    trace = run(tiny_pair(), IDS, gamma=gamma, max_new_tokens=6)
    assert trace.token_ids == wanted.token_ids
    assert max(len(record.draft_ids) for record in trace.rounds) == 4


@pytest.mark.parametrize("max_gamma", [0, True, 2.0, "a", NAN, 257, 10**9])
def test_profile_depths_are_refused(max_gamma: Any) -> None:
    with pytest.raises(ValueError, match="got max_gamma"):
        acceptance_profile(tiny_pair(), IDS, max_gamma=max_gamma)


SAMPLING = [
    *(("temperature", v) for v in (-1, NAN, INF, "1", None, True, 1e-30, 10**400, [1.0])),
    *(("top_p", v) for v in (0, -0.1, 1.1, NAN, "0.9", True, INF)),
    *(("top_k", v) for v in (0, -1, 2.0, True, "5", NAN)),
    *(("seed", v) for v in (-1, 2**64, 1.5, "a", True, NAN)),
]


@pytest.mark.parametrize(("name", "value"), SAMPLING)
@pytest.mark.parametrize("run", [autoregressive_generate, speculative_generate, reference_generate])
def test_sampling_numbers_are_refused(run: Callable[..., Any], name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"(?i)got (a )?{name} .*need"):
        run(tiny_pair(), IDS, **{"temperature": 1.0, name: value})


@pytest.mark.parametrize("more", [{"top_p": 0.9}, {"top_k": 5}])
@pytest.mark.parametrize("run", [autoregressive_generate, speculative_generate, reference_generate])
def test_sampling_at_temperature_0_is_refused(run: Callable[..., Any], more: Any) -> None:
    with pytest.raises(ValueError, match=r"temperature 0, which is greedy.*need a temperature"):
        run(tiny_pair(), IDS, **more)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repetition_penalty": "1.2"}, "got repetition_penalty '1.2'"),
        ({"repetition_penalty": NAN}, "got repetition_penalty nan"),
        ({"stop_strings": ""}, "got stop_strings ''"),
        ({"stop_strings": ["a", 1]}, "got stop_strings"),
        ({"stop_strings": 5}, "got stop_strings 5"),
        ({"stop_strings": ["a"]}, "need a tokenizer"),
        ({"on_tokens": 5}, "got on_tokens 5, need a function"),
        ({"streamer": 5}, "got streamer 5, need an object with put and end"),
        ({"logits_processor": 5}, "got logits_processor 5, need a list"),
        ({"logits_processor": [5]}, r"got logits_processor \[5\]"),
        ({"schedule": "heuristic"}, "got schedule 'heuristic', need a schedule such as"),
        ({"schedule": 4}, "got schedule 4"),
        ({"schedule": Constant}, "got schedule <class"),
        ({"drafter": "x"}, "got a str as drafter"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        speculative_generate(tiny_pair(), IDS, **arguments)


def test_models_are_refused_as_drafter_or_pair(entry: Callable[..., Any]) -> None:
    pair = tiny_pair()
    with pytest.raises(ValueError, match="a model goes into ModelPair"):
        speculative_generate(pair, IDS, drafter=pair.drafter)
    for other in (None, "pocket", pair.target, 5):
        with pytest.raises(ValueError, match=r"got a \w+ as pair, need what load_pair"):
            entry(other, IDS)


class Odd:
    """A schedule that breaks its word."""

    watches_probs = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def gamma(self, position: int, last: object) -> Any:
        return self.answer

    def keeps_drafting(self, draft_prob: float) -> bool:
        return True


@pytest.mark.parametrize("answer", [-1, None, 2.5, True, "a", NAN])
def test_a_schedule_of_one_s_own_is_held_to_whole_numbers(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"draft length of .* at position 1"):
        speculative_generate(tiny_pair(), IDS, schedule=Odd(answer), max_new_tokens=4)


def test_num_assistant_tokens_of_a_configuration_are_refused() -> None:
    pair = tiny_pair()
    config = pair.drafter.generation_config
    try:
        for wrong in (0, -1, "4", 2.5):
            config.num_assistant_tokens = wrong
            for run in (speculative_generate, reference_generate):
                with pytest.raises(ValueError, match="got num_assistant_tokens"):
                    run(pair, IDS)
            assert config.num_assistant_tokens == wrong
    finally:
        config.num_assistant_tokens = 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_new_tokens": 4, "gamma": 0}, "got gamma 0"),
        ({"max_new_tokens": 4, "schedule": "heuristic"}, "got schedule"),
        ({"max_new_tokens": 4, "seed": "a", "do_sample": True}, "got seed 'a'"),
        ({"max_new_tokens": 4, "token_streamer": 5}, "got streamer 5"),
    ],
)
def test_custom_generate_is_refused(arguments: dict[str, Any], message: str) -> None:
    pair = tiny_pair()
    given = {"custom_generate": draft_and_verify, "drafter": pair.drafter}
    with pytest.raises(ValueError, match=message):
        pair.target.generate(IDS, **given, **arguments)
    with pytest.raises(ValueError, match="got id 99"):
        pair.target.generate(torch.tensor([[99]]), max_new_tokens=4, **given)


def test_what_is_no_model_is_refused() -> None:
    pair = tiny_pair()
    for target, drafter, got in (
        (None, pair.drafter, "got a NoneType as target"),
        ("pocket", pair.drafter, "got a str as target"),
        (pair.target, "E2B", "got a str as drafter"),
        (pair.target.config, pair.drafter, "as target, need a loaded model"),
        (pair, pair, "got a ModelPair as target"),
        (pair.drafter, pair.target, "which is a drafter"),
    ):
        with pytest.raises(IncompatiblePairError, match=got):
            ModelPair(target, drafter)
