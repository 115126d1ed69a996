"""Profiles against drafting position by position, replays against runs, and calibration."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.analysis import profile as profiling
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import (
    AcceptanceProfile,
    acceptance_profile,
    positions_per_chunk,
)
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.core import decoding
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.schedules import Confidence, Constant, FromProfile, Heuristic, Schedule
from gemma_mtp_edu.core.target import ALL_ROWS, CachedModel
from gemma_mtp_edu.core.trace import GenerationTrace
from tests.model.tiny import WINDOW, Shape, prompt_ids, tiny_pair

GAMMA = 4
SCHEDULES = [
    Constant(1),
    Constant(6),
    Heuristic(2),
    Confidence(0.6, 8),
    FromProfile(tuple(i % 4 for i in range(60))),
]


@torch.no_grad()
def by_hand(
    pair: ModelPair,
    text: GenerationTrace | AcceptanceProfile,
    place: int,
    change: Callable[..., dict[str, Any]] = lambda index, **given: {},
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Draft from one place as a run would: a clean pass over what is there, then step by step.

    All is spelt out with the library's own drafter call; nothing is shared with the package.
    `change` alters what each step gets.
    """
    ids = torch.tensor([[*text.prompt_ids, *text.token_ids[:place]]])
    given = {"input_ids": ids[:, :-1], "use_cache": False, "logits_to_keep": ALL_ROWS}
    before = pair.target.model(**given, return_shared_kv_states=True)
    states = {
        kind: tuple(s[:, :, -WINDOW:] if kind == "sliding_attention" else s for s in pair_of)
        for kind, pair_of in before.shared_kv_states.items()
    }
    token, hidden, drafts, probs = ids[:, -1:], before.last_hidden_state[:, -1:], [], []
    first = hidden
    for index in range(GAMMA):
        given = {"hidden": hidden, "position": ids.shape[1] - 1, "states": states}
        given |= change(index, first=first, **given)
        embeds = pair.target.get_input_embeddings()(token)
        output = pair.drafter(
            inputs_embeds=torch.cat([embeds, given["hidden"]], dim=-1),
            position_ids=torch.tensor([[given["position"]]]),
            shared_kv_states=given["states"],
        )
        logits = output.logits[0, -1]
        # The library gives tokens outside the searched clusters the least score, less 1.
        dense = pair.drafter.masked_embedding is None
        searched = logits if dense else logits[logits > logits.min()]
        token, hidden = logits.argmax()[None, None], output.last_hidden_state
        drafts.append(int(token))
        probs.append(float(searched.softmax(-1).max()))
    return tuple(drafts), tuple(probs)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(),
        Shape(centroids=0, shared_layers=0),
        Shape(per_layer_inputs=0, softcap=5.0, seed=1),
    ],
    ids=str,
)
@pytest.mark.parametrize("length", [1, 3, 3 * WINDOW])
def test_every_chain_is_what_drafting_from_there_gives(shape: Shape, length: int) -> None:
    pair = tiny_pair(shape, torch.float64)
    profile = acceptance_profile(pair, prompt_ids(length), max_gamma=GAMMA, max_new_tokens=18)
    assert len(profile) == 18 > 2 * WINDOW
    for position in range(1, len(profile)):
        ids, probs = by_hand(pair, profile, position)
        assert profile.draft_ids[position] == ids
        assert profile.draft_probs[position] == pytest.approx(probs, abs=1e-6)
    assert len({i for chain in profile.draft_ids for i in chain}) > 5, "one draft for ever"


def same_run(replayed: GenerationTrace, run: GenerationTrace) -> None:
    # All that a round records before its probabilities and times.
    assert [astuple(r)[:5] for r in replayed.rounds] == [astuple(r)[:5] for r in run.rounds]
    for a, b in zip(replayed.rounds, run.rounds, strict=True):
        assert a.draft_probs == pytest.approx(b.draft_probs, abs=1e-4)
    assert (replayed.token_ids, replayed.text) == (run.token_ids, run.text)
    assert replayed.stop_reason == run.stop_reason


@contextmanager
def ending_with(pair: ModelPair, eos: int | None) -> Iterator[None]:
    pair.target.generation_config.eos_token_id = eos
    try:
        yield
    finally:
        pair.target.generation_config.eos_token_id = None


@pytest.mark.parametrize("ends", [False, True], ids=["length", "eos"])
@pytest.mark.parametrize("seed", range(2))
def test_a_replay_on_random_models_is_the_run(seed: int, ends: bool) -> None:
    # Few tokens, so that a random drafter is right now and then.
    pair, ids = tiny_pair(Shape(vocab=8, seed=seed), torch.float64), prompt_ids(2 * WINDOW, vocab=8)
    text = autoregressive_generate(pair, ids, max_new_tokens=24).token_ids
    accepted = 0
    with ending_with(pair, max(text, key=text.index) if ends else None):
        profile = acceptance_profile(pair, ids, max_gamma=8, max_new_tokens=24)
        assert profile.stop_reason == ("eos" if ends else "length")
        for schedule in SCHEDULES:
            run = speculative_generate(pair, ids, schedule=schedule, max_new_tokens=24)
            same_run(replay(profile, schedule), run)
            accepted += run.n_accepted
    assert ends or accepted > 10


PROMPTS = {
    "Tell me a short story about a heron.": "length",
    "Count from 3 to 9.": "eos",
}


@pytest.fixture(scope="module", params=PROMPTS, ids=["story", "count"])
def profile(pair: ModelPair, request: pytest.FixtureRequest) -> tuple[str, AcceptanceProfile]:
    return request.param, acceptance_profile(pair, request.param, max_new_tokens=32)


@pytest.mark.parametrize("schedule", [*SCHEDULES, "best"], ids=lambda s: str(s)[:16])
def test_a_replay_on_the_bundled_pair_is_the_run(
    pair: ModelPair, profile: tuple[str, AcceptanceProfile], schedule: Schedule | str
) -> None:
    prompt, known = profile
    if isinstance(schedule, str):
        schedule = best_schedule(known, lambda gamma: 1 + 0.15 * gamma)[0]
    run = speculative_generate(pair, prompt, schedule=schedule, max_new_tokens=32)
    same_run(replay(known, schedule), run)


def test_the_bundled_profiles_hold_what_the_tests_above_need(
    profile: tuple[str, AcceptanceProfile],
) -> None:
    prompt, known = profile
    assert known.stop_reason == PROMPTS[prompt]
    assert len(set(known.n_accepted)) > 4
    kinds = {r.next_kind for s in SCHEDULES for r in replay(known, s).rounds}
    assert kinds >= {"prefill", "bonus"}
    assert "correction" in kinds or known.stop_reason == "eos", "the long text has wrong drafts"
    assert known.vocabulary.keys() == {*known.token_ids, *(i for c in known.draft_ids for i in c)}
    assert known.provenance["pair"] == "pocket"


@pytest.mark.parametrize(("n_per_chunk", "chunks"), [(100, [29]), (12, [12, 12, 5]), (1, [1] * 29)])
def test_chunks_change_nothing_but_the_number_of_passes(
    monkeypatch: pytest.MonkeyPatch, n_per_chunk: int, chunks: list[int]
) -> None:
    pair, ids = tiny_pair(dtype=torch.float64), prompt_ids(WINDOW)
    whole = acceptance_profile(pair, ids, max_gamma=GAMMA, max_new_tokens=30)
    monkeypatch.setattr(profiling, "positions_per_chunk", lambda pair, text_length: n_per_chunk)
    positions = list[int]()
    spy = pair.drafter.model.register_forward_pre_hook(
        lambda _, args, kwargs: positions.append(kwargs["position_ids"].shape[1]), with_kwargs=True
    )
    chunked = acceptance_profile(pair, ids, max_gamma=GAMMA, max_new_tokens=30)
    spy.remove()
    assert positions == [n for n in chunks for _ in range(GAMMA)]
    assert chunked.draft_ids == whole.draft_ids
    assert chunked.n_accepted == whole.n_accepted


def test_the_size_of_a_chunk_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 heads and 2 masks over 100 tokens; 4 clusters of 8 tokens, 32 numbers each, and scores."""
    pair = tiny_pair()
    needed = 4 * ((2 + 2) * 100 + 32 * (32 + 2))
    monkeypatch.setattr(profiling, "CHUNK_BYTES", 3 * needed)
    assert positions_per_chunk(pair, 100) == 3
    assert positions_per_chunk(pair, 101) == 2
    assert positions_per_chunk(pair, 10**6) == 1
    dense = tiny_pair(Shape(centroids=0))
    assert positions_per_chunk(dense, 100) == 3 * needed // (4 * (4 * 100 + 2 * 64))


def test_eager_attention_gives_the_same_profile() -> None:
    pair, ids = tiny_pair(dtype=torch.float64), prompt_ids(2 * WINDOW)
    wanted = acceptance_profile(pair, ids, max_gamma=GAMMA, max_new_tokens=12)
    pair.drafter.set_attn_implementation("eager")
    try:
        found = acceptance_profile(pair, ids, max_gamma=GAMMA, max_new_tokens=12)
    finally:
        pair.drafter.set_attn_implementation("sdpa")
    assert found.draft_ids == wanted.draft_ids


def test_a_text_of_one_token_has_nothing_to_draft() -> None:
    pair = tiny_pair()
    profile = acceptance_profile(pair, prompt_ids(3), max_new_tokens=1)
    assert (len(profile), profile.draft_ids) == (1, ((),))
    run = speculative_generate(pair, prompt_ids(3), gamma=3, max_new_tokens=1)
    same_run(replay(profile, Constant(3)), run)


def test_what_cannot_be_profiled_is_refused() -> None:
    pair = tiny_pair()
    with pytest.raises(ValueError, match="gamma 0"):
        acceptance_profile(pair, prompt_ids(3), max_gamma=0)
    with pytest.raises(ValueError, match="max_new_tokens 0"):
        acceptance_profile(pair, prompt_ids(3), max_new_tokens=0)


class FakeClock:
    """A clock that the models move: so calibration must find the very times they were given."""

    lengths = (1, 2, 5)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.passes: list[tuple[bool, int, int]] = []
        verify, step, crop = CachedModel.verify, MTPDrafter.step, CachedModel.crop

        def slow_verify(target: CachedModel, ids: torch.Tensor) -> Any:
            self.passes.append((target.shares_state, ids.shape[1], target.length))
            # The warm-up is slow, and so is every ninth pass.
            slow = 50 if len(self.passes) <= 6 or len(self.passes) % 9 == 0 else 1
            self.now += slow * (7 + 0.5 * ids.shape[1] if target.shares_state else 7)
            return verify(target, ids)

        def slow_step(*args: Any) -> Any:
            self.now += 2
            return step(*args)

        def slow_crop(*args: Any) -> None:
            self.now += 0.25
            crop(*args)

        monkeypatch.setattr(CachedModel, "verify", slow_verify)
        monkeypatch.setattr(MTPDrafter, "step", slow_step)
        monkeypatch.setattr(CachedModel, "crop", slow_crop)
        monkeypatch.setattr(decoding, "time", SimpleNamespace(perf_counter=lambda: self.now))


def test_calibration_finds_the_times_that_the_models_take(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    cost = CostModel.calibrate(tiny_pair(), lengths=clock.lengths, contexts=(6, 30), repeats=7)
    assert cost.plain_seconds == pytest.approx((7.25, 7.25))
    assert cost.verify_seconds == (pytest.approx((7.5, 8.0, 9.5)),) * 2
    assert cost.drafter_seconds == pytest.approx((2.0, 2.0))
    assert cost.other_seconds == pytest.approx((0.25, 0.25))
    # All from one context, in turns, and each length as often as any other.
    assert len(clock.passes) == 2 * 8 * 2 * len(clock.lengths)
    first, second = clock.passes[: len(clock.passes) // 2], clock.passes[len(clock.passes) // 2 :]
    assert {length for _, _, length in first} == {5}
    assert {length for _, _, length in second} == {29}
    assert [n for drafts, n, _ in first if drafts][:6] == [1, 2, 5, 2, 5, 1]
    assert [drafts for drafts, _, _ in first] == [True, False] * 24
    assert cost.provenance["method"] == "calibrated, median of 7"
    assert cost.provenance["hardware"]


def test_calibration_names_bad_numbers() -> None:
    with pytest.raises(ValueError, match=r"lengths \(2, 3\)"):
        CostModel.calibrate(tiny_pair(), lengths=(2, 3))
    with pytest.raises(ValueError, match=r"contexts \(1,\)"):
        CostModel.calibrate(tiny_pair(), contexts=(1,))
