"""Both loops against the library and each other: the same text, whatever is drafted."""

from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gemma_mtp_edu import ModelPair, reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import CausalLMDrafter, Draft, ScriptedDrafter
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Confidence, Constant, FromProfile, Heuristic, Schedule
from gemma_mtp_edu.core.target import ALL_ROWS, CachedModel
from tests.model.tiny import WINDOW, KnowingDrafter, Shape, check_rounds, prompt_ids, tiny_pair

shapes = st.builds(
    Shape,
    shared_layers=st.sampled_from([0, 2]),
    centroids=st.sampled_from([0, 8]),
    experts=st.booleans(),
    softcap=st.sampled_from([None, 5.0]),
    per_layer_inputs=st.sampled_from([0, 4]),
    seed=st.integers(0, 2),
)
schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Constant, st.integers(1, 9)),
    st.builds(Heuristic, st.integers(1, 6)),
    st.builds(Confidence, st.floats(0, 1), st.integers(1, 6)),
    st.builds(FromProfile, st.lists(st.integers(0, 5), max_size=30).map(tuple)),
)


def library(pair: ModelPair, ids: torch.Tensor, max_new_tokens: int) -> tuple[int, ...]:
    # An int, as by default, fails in 5.24.0 where layers share KV without per-layer embeddings.
    settings = {"attention_mask": torch.ones_like(ids), "logits_to_keep": torch.tensor([-1])}
    output = pair.target.generate(ids, max_new_tokens=max_new_tokens, do_sample=False, **settings)
    return tuple(output[0, ids.shape[1] :].tolist())


@settings(max_examples=30)
@given(shapes, schedules, st.sampled_from([2, 5, WINDOW, WINDOW + 1, 3 * WINDOW]))
def test_the_drafter_never_changes_the_text(shape: Shape, schedule: Schedule, length: int) -> None:
    pair, ids = tiny_pair(shape), prompt_ids(length)
    wanted = library(pair, ids, 20)
    assert len(set(wanted)) > 3, "a text of one token would prove nothing"
    assert autoregressive_generate(pair, ids, max_new_tokens=20).token_ids == wanted
    trace = speculative_generate(pair, ids, schedule=schedule, max_new_tokens=20)
    assert trace.token_ids == wanted
    check_rounds(trace)


@settings(max_examples=30)
@given(
    shapes, schedules, st.sampled_from([3, WINDOW, 3 * WINDOW]), st.sampled_from([0.3, 0.7, 1.0])
)
def test_accepted_rejected_and_bonus_tokens_give_the_same_text(
    shape: Shape, schedule: Schedule, length: int, right: float
) -> None:
    pair, ids = tiny_pair(shape), prompt_ids(length)
    wanted = autoregressive_generate(pair, ids, max_new_tokens=30).token_ids
    # Any token may end the text, also one inside accepted drafts.
    eos = wanted[17]
    end = wanted.index(eos) + 1
    pair.target.generation_config.eos_token_id = eos
    try:
        drafter = KnowingDrafter(length, wanted, right, shape.vocab)
        trace = speculative_generate(
            pair, ids, drafter=drafter, schedule=schedule, max_new_tokens=30
        )
    finally:
        pair.target.generation_config.eos_token_id = None
    assert trace.token_ids == wanted[:end]
    assert trace.stop_reason == "eos"
    check_rounds(trace)


def test_a_round_worked_by_hand() -> None:
    """Five drafts, the third is wrong: two are kept, the target corrects, two are never judged."""
    pair, ids = tiny_pair(), prompt_ids(5)
    text = autoregressive_generate(pair, ids, max_new_tokens=9).token_ids
    wrong = (text[3] + 1) % 64
    script = [[text[1], text[2], wrong, text[4], text[5]], [text[4], text[5]]]
    trace = speculative_generate(
        pair, ids, drafter=ScriptedDrafter(script), gamma=5, max_new_tokens=9
    )
    prefill, first, second, plain, *_ = trace.rounds
    assert prefill.token_ids == (text[0],)
    assert (first.n_accepted, first.next_id, first.next_kind) == (2, text[3], "correction")
    assert first.token_ids == text[1:4]
    assert (second.n_accepted, second.next_id, second.next_kind) == (2, text[6], "bonus")
    assert (plain.draft_ids, plain.next_kind, plain.token_ids) == ((), "plain", (text[7],))


class Spy:
    """Drafts like another drafter, and compares what is handed over with a clean pass."""

    needs_state = True

    def __init__(self, pair: ModelPair, inner: KnowingDrafter) -> None:
        self.pair, self.inner = pair, inner
        self.rounds = 0

    def draft(
        self, ids: Any, state: Any, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        assert state is not None
        before = ids[:, :-1]
        given = {"input_ids": before, "use_cache": False, "logits_to_keep": ALL_ROWS}
        clean = self.pair.target.model(**given, return_shared_kv_states=True)
        torch.testing.assert_close(state.hidden, clean.last_hidden_state[:, -1:], atol=1e-9, rtol=0)
        for kind, states in state.shared_kv.items():
            kept = WINDOW if kind == "sliding_attention" else before.shape[1]
            for given_states, clean_states in zip(
                states, clean.shared_kv_states[kind], strict=True
            ):
                wanted = clean_states[:, :, -kept:]
                assert given_states.shape == wanted.shape
                torch.testing.assert_close(given_states, wanted, atol=1e-9, rtol=0)
        self.rounds += 1
        return self.inner.draft(ids, state, gamma, sampler, schedule)


@pytest.mark.parametrize("shared_layers", [0, 2])
@pytest.mark.parametrize("length", [3, WINDOW, 3 * WINDOW])
@pytest.mark.parametrize("chunk", [5, 512])  # tokens of the prompt in one pass
def test_the_drafter_sees_the_kv_of_a_clean_pass_in_every_round(
    chunk: int, length: int, shared_layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = tiny_pair(Shape(shared_layers=shared_layers), torch.float64)
    ids = prompt_ids(length)
    text = autoregressive_generate(pair, ids, max_new_tokens=40).token_ids
    spy = Spy(pair, KnowingDrafter(length, text, 0.7, 64))
    monkeypatch.setattr("gemma_mtp_edu.core.target.PREFILL_TOKENS", chunk)
    trace = speculative_generate(pair, ids, drafter=spy, gamma=5, max_new_tokens=40)
    assert trace.token_ids == text
    assert {r.n_accepted for r in trace.draft_rounds} > {0, 1, 2}
    assert spy.rounds == len(trace.draft_rounds)


@torch.no_grad()
def test_cached_equals_uncached() -> None:
    """A target pass after rejections gives the logits that a fresh pass over the text gives."""
    pair, ids = tiny_pair(Shape(softcap=5.0), torch.float64), prompt_ids(3 * WINDOW)
    target = CachedModel(pair.target, shares_state=True)
    target.prefill(ids)
    text = ids
    for n_drafted, n_rejected in ((5, 5), (4, 1), (6, 0), (9, 8), (1, 1)):
        passed = prompt_ids(n_drafted + 1, seed=n_drafted)
        logits = target.verify(passed).logits
        fresh = pair.target(input_ids=torch.cat([text, passed], dim=1), use_cache=False).logits
        torch.testing.assert_close(logits, fresh[0, -n_drafted - 1 :], atol=1e-9, rtol=0)
        target.crop(n_rejected)
        text = torch.cat([text, passed[:, : n_drafted + 1 - n_rejected]], dim=1)
        assert target.length == text.shape[1]


def test_an_ordinary_smaller_model_drafts() -> None:
    target, smaller = tiny_pair().target, tiny_pair(Shape(seed=1)).target
    ids = prompt_ids(3 * WINDOW)
    wanted = autoregressive_generate(tiny_pair(), ids, max_new_tokens=24).token_ids
    trace = speculative_generate(ModelPair(target, smaller), ids, gamma=3, max_new_tokens=24)
    assert trace.token_ids == wanted
    # The target as its own drafter is always right: every round is full.
    same = speculative_generate(ModelPair(target, target), ids, gamma=3, max_new_tokens=25)
    assert same.acceptance_rate == 1.0
    assert same.token_ids[:24] == wanted


class Catching(CausalLMDrafter):
    """Compares the drafter's cached logits with a clean pass at every step."""

    def next_logits(self, text: torch.Tensor) -> torch.Tensor:
        logits = super().next_logits(text)
        clean = self.reader.model(input_ids=torch.tensor([self.passed]), use_cache=False).logits
        torch.testing.assert_close(logits, clean[0, -1:], atol=1e-9, rtol=0)
        return logits


def test_the_smaller_model_s_cache_forgets_rejected_drafts() -> None:
    pair = tiny_pair(dtype=torch.float64)
    drafter = Catching(tiny_pair(Shape(seed=1), torch.float64).target)
    trace = speculative_generate(
        pair, prompt_ids(WINDOW + 3), drafter=drafter, gamma=3, max_new_tokens=20
    )
    assert trace.drafter_passes > 20
    assert trace.acceptance_rate is not None
    assert trace.acceptance_rate < 0.9


def test_tokens_and_streamers_arrive_round_by_round(pair: ModelPair) -> None:
    streamer, chunks = mock.Mock(), []
    trace = speculative_generate(
        pair, "Count from 3 to 9.", streamer=streamer, on_tokens=chunks.append
    )
    assert chunks == [r.token_ids for r in trace.rounds]
    put = [call.args[0].flatten().tolist() for call in streamer.put.call_args_list]
    assert put == [list(trace.prompt_ids), *map(list, chunks)]
    streamer.end.assert_called_once_with()


@pytest.mark.parametrize("stop", [["5,"], [", 7", "zzz"], ["4, 5, 6, 7"], ["9"]])
@pytest.mark.parametrize("gamma", [1, 4, 9])
def test_stop_strings_end_where_the_library_s_plain_run_ends(
    pair: ModelPair, stop: list[str], gamma: int
) -> None:
    prompt = "Count from 3 to 12."
    wanted = reference_generate(pair, prompt, assisted=False, stop_strings=stop)
    trace = speculative_generate(pair, prompt, gamma=gamma, stop_strings=stop)
    assert trace.token_ids == wanted.token_ids
    assert trace.stop_reason == wanted.stop_reason == "stop"
    assert len(trace.token_ids) < len(speculative_generate(pair, prompt).token_ids)


def test_the_same_seed_gives_the_same_text_and_leaves_the_global_state(pair: ModelPair) -> None:
    prompt = "Tell me a short story about a heron."
    before = torch.get_rng_state()
    texts = [
        speculative_generate(pair, prompt, temperature=1.0, top_k=50, top_p=0.95, seed=seed).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.get_rng_state(), before)
