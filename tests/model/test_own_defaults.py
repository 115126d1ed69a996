"""What own settings of a target, conversations and own drafters must not do in silence."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from gemma_mtp_edu import (
    CostModel,
    ModelPair,
    acceptance_profile,
    autoregressive_generate,
    reference_generate,
    speculative_generate,
)
from gemma_mtp_edu.analysis.replay import best_schedule
from gemma_mtp_edu.core.drafters import Draft
from gemma_mtp_edu.core.sampling import NonFiniteLogitsError
from gemma_mtp_edu.show.widgets import RoundViewer
from gemma_mtp_edu.training.target_texts import own_texts
from tests.model.tiny import Shape, prompt_ids, tiny_pair

IDS = prompt_ids(5)


@pytest.fixture
def tiny() -> Iterator[ModelPair]:
    pair = tiny_pair(Shape(seed=6))
    before = pair.target.generation_config
    yield pair
    pair.target.generation_config = before


@pytest.mark.parametrize(
    "own",
    [
        {"return_dict_in_generate": True},
        {"repetition_penalty": 1.8},
        {"num_beams": 2},
        {"use_cache": False},
        {"stop_strings": ["4"]},
    ],
)
@pytest.mark.parametrize("assisted", [False, True])
def test_the_checkpoints_defaults_change_no_run(
    tiny: ModelPair, own: dict[str, Any], assisted: bool
) -> None:
    plain = autoregressive_generate(tiny, IDS, max_new_tokens=12).token_ids
    tiny.target.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=None, **own)
    theirs = reference_generate(tiny, IDS, assisted=assisted, max_new_tokens=12).token_ids
    assert theirs == plain
    (texts,) = own_texts(tiny, [IDS], max_new_tokens=12)
    assert tuple(texts.input_ids[0, 5:].tolist()) == plain


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_own_texts_of_a_broken_target_are_refused(tiny: ModelPair, temperature: float) -> None:
    hook = tiny.target.lm_head.register_forward_hook(lambda m, a, o: torch.full_like(o, torch.nan))
    try:
        with pytest.raises(NonFiniteLogitsError, match=r"target's logits hold NaN after 5 tokens"):
            own_texts(tiny, [IDS], max_new_tokens=4, temperature=temperature)
    finally:
        hook.remove()


class Odd:
    """Gives one answer, whatever it is asked."""

    hands_over = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def draft(self, context: Any, gamma: int, sampler: Any, schedule: Any) -> Any:
        return self.answer


class Ceiling(Odd):
    """Gives its answer, cut to what is asked for."""

    def draft(self, context: Any, gamma: int, sampler: Any, schedule: Any) -> Any:
        ids, own, probs = self.answer.ids, self.answer.own_probs, self.answer.probs
        return Draft(ids[:, :gamma], own[:gamma], probs[:gamma])


def _draft(ids: Any, own_probs: Any, probs: Any = None) -> Draft:
    """Return a draft past the tests' shape checks, which no user has."""
    draft = object.__new__(Draft)
    for name, value in (("ids", ids), ("own_probs", own_probs), ("probs", probs)):
        object.__setattr__(draft, name, value)
    return draft


ONE, LAW = torch.ones(1), torch.full((1, 64), 1 / 64)
TWO = torch.tensor([[2]])


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (None, "Odd gave in round 1 a NoneType, need a Draft"),
        (_draft(torch.tensor([[64]]), ONE), r"ids \[64\], need ids from 0 to 63"),
        (_draft(torch.tensor([[-1]]), ONE), r"ids \[-1\]"),
        (_draft(torch.tensor([[2.0]]), ONE), "dtype torch.float32, need shape"),
        (_draft(torch.tensor([[2, 3, 4]]), torch.ones(3)), r"\(1, 3\).*at most 2"),
        (_draft(TWO, torch.ones(2)), r"own_probs of shape \(2,\), need one for each of 1"),
        (_draft(TWO, ONE, LAW[:, :9]), r"probs of shape \(1, 9\), need \(1, 64\)"),
        (_draft(TWO, ONE, LAW * torch.nan), "probs that are no law"),
        (_draft(TWO, ONE, LAW * 0), "probs that are no law"),
        (_draft(TWO, ONE, -LAW), "probs that are no law"),
        (_draft(TWO, ONE, LAW.double() * 1e308 * 64), "probs that are no law"),
        (_draft(TWO, ONE, LAW * 2), "probs that are no law"),
        (_draft(TWO, ONE, LAW.to_sparse()), "probs tensor.*need a tensor with values"),
        (_draft(TWO, ONE, LAW.tolist()), r"probs \[\[.*need a tensor with values"),
        (_draft(None, ONE), "ids None, need a tensor with values"),
        (_draft([[2]], ONE), "need a tensor with values"),
        (_draft(TWO.to("meta"), ONE), "need a tensor with values"),
        (_draft(TWO, None), "own_probs None, need a tensor"),
        (_draft(TWO, 5 * ONE), r"own_probs \[5.0\], need numbers from 0 to 1"),
        (_draft(TWO, -ONE), "need numbers from 0 to 1"),
        (_draft(TWO, ONE * torch.nan), "need numbers from 0 to 1"),
        (_draft(TWO, ONE.bool()), "own_probs of dtype torch.bool, need floating-point"),
        (_draft(TWO, ONE.to(torch.complex64)), "own_probs of dtype torch.complex64"),
    ],
)
def test_a_drafter_of_ones_own_is_held_to_its_word(
    tiny: ModelPair, draft: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        speculative_generate(tiny, IDS, drafter=Odd(draft), gamma=2, max_new_tokens=8)


class Wiping(Odd):
    """Writes into the text that it is given."""

    def draft(self, context: Any, gamma: int, sampler: Any, schedule: Any) -> Any:
        context.ids.zero_()
        return Draft(self.answer.ids[:, :gamma], self.answer.own_probs[:gamma])


def test_a_drafter_cannot_change_the_text(tiny: ModelPair) -> None:
    plain = autoregressive_generate(tiny, IDS, max_new_tokens=8)
    wiping = Wiping(_draft(TWO, ONE))
    run = speculative_generate(tiny, IDS, drafter=wiping, gamma=1, max_new_tokens=8)
    assert (run.prompt_ids, run.token_ids) == (plain.prompt_ids, plain.token_ids)


def test_a_right_draft_passes_in_greedy_runs_and_drawn_ones(tiny: ModelPair) -> None:
    for temperature in (0.0, 1.0):
        draft = Ceiling(Draft(TWO, LAW[0, :1], LAW))
        trace = speculative_generate(
            tiny, IDS, drafter=draft, gamma=1, max_new_tokens=3, temperature=temperature, seed=0
        )
        assert trace.rounds[1].draft_ids == (2,)


TEXT = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": [{"type": "image", "url": "x"}]},
        {"role": "user", "content": " "},
        {"role": "user", "content": []},
        {"role": "wizard", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": ""}]},
        {"role": "\ud800", "content": "Hi"},
    ],
)
def test_turns_that_would_be_left_out_are_refused(pair: ModelPair, turn: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"got the turn .*need a role of user, assistant"):
        pair.encode_messages([turn])


def test_half_a_character_is_found_in_parts_and_stop_strings(pair: ModelPair) -> None:
    half: Any = [{"role": "user", "content": [{"type": "text", "text": "a\ud800"}]}]
    with pytest.raises(ValueError, match="half a character at place 1"):
        pair.encode_messages(half)
    with pytest.raises(ValueError, match="half a character at place 0"):
        autoregressive_generate(pair, "Hi", stop_strings=["\ud800"], max_new_tokens=2)


def test_a_template_that_refuses_is_explained(
    pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    monkeypatch.setattr(pair.processor, "chat_template", template)
    with pytest.raises(ValueError, match=r"refuses the messages \(roles must alternate\)"):
        pair.encode_messages([{"role": "user", "content": "Hi"}])


def test_a_conversation_as_prompt_gets_the_right_advice(pair: ModelPair) -> None:
    with pytest.raises(ValueError, match=r"pair\.encode_messages\(messages\)"):
        pair.encode([TEXT])  # type: ignore[arg-type]


def test_a_temperature_beyond_all_sense_is_refused(tiny: ModelPair) -> None:
    with pytest.raises(ValueError, match=r"got temperature 1e\+300, need 0 .* at most 1e\+06"):
        autoregressive_generate(tiny, IDS, temperature=1e300)


@pytest.mark.parametrize(
    ("trace", "revealed", "message"),
    [(None, False, "got a NoneType as trace, need what"), ("t", "yes", "got a str as trace")],
)
def test_the_viewer_says_what_it_shows(trace: Any, revealed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoundViewer(trace, revealed=revealed)


def test_the_viewers_verdict_is_shown_or_not(tiny: ModelPair) -> None:
    trace = autoregressive_generate(tiny, IDS, max_new_tokens=2)
    with pytest.raises(ValueError, match="got a str as revealed, need True or False"):
        RoundViewer(trace, revealed="yes")  # type: ignore[arg-type]


def test_a_class_is_no_cost_model(tiny: ModelPair) -> None:
    profile = acceptance_profile(tiny, IDS, max_new_tokens=4, max_gamma=2)
    with pytest.raises(ValueError, match="need a CostModel"):
        best_schedule(profile, CostModel)  # type: ignore[arg-type]
