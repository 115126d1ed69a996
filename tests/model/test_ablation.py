"""Ablations against changes made by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair, reference_generate
from gemma_mtp_edu.analysis.ablation import AS_IS, PARTS, ablate, without
from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from tests.model.test_profiling import GAMMA, by_hand
from tests.model.tiny import WINDOW, prompt_ids, tiny_pair

Run = tuple[ModelPair, GenerationTrace]
STORY = "Tell me a short story about a heron."


def only(kind: str, states: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (keys, values if name == kind else 0 * values)
        for name, (keys, values) in states.items()
    }


def turned(states: dict[str, Any]) -> dict[str, Any]:
    return {kind: (keys.flip(2), values.flip(2)) for kind, (keys, values) in states.items()}


CHANGES: dict[str, Callable[..., dict[str, Any]]] = {
    AS_IS: lambda index, **given: {},
    "no hidden state": lambda index, hidden, **given: {"hidden": 0 * hidden},
    "hidden state not fed back": lambda index, first, **given: {"hidden": first},
    "keys and values shuffled together": lambda index, states, **given: {"states": turned(states)},
    "full KV alone": lambda index, states, **given: {"states": only("full_attention", states)},
    "sliding KV alone": lambda index, states, **given: {
        "states": only("sliding_attention", states)
    },
    "advancing positions": lambda index, position, **given: {"position": position + index},
}


@pytest.fixture(scope="module")
def tiny_run() -> Run:
    pair = tiny_pair(dtype=torch.float64)
    return pair, autoregressive_generate(pair, prompt_ids(2 * WINDOW), max_new_tokens=20)


@pytest.mark.parametrize("part", CHANGES)
def test_an_ablated_profile_is_what_the_change_by_hand_gives(tiny_run: Run, part: str) -> None:
    pair, trace = tiny_run
    whole = profile_of(pair, trace, max_gamma=GAMMA)
    with without(pair, part), torch.no_grad():
        # Twice: the second text's first step must not be taken for the next one of the last chain.
        profile_of(pair, trace, max_gamma=2)
        changed = profile_of(pair, trace, max_gamma=GAMMA)
    for place in range(1, len(changed)):
        assert changed.draft_ids[place] == by_hand(pair, trace, place, CHANGES[part])[0]
    changes_nothing = part in (AS_IS, "keys and values shuffled together")
    assert (changed.draft_ids == whole.draft_ids) == changes_nothing
    assert profile_of(pair, trace, max_gamma=GAMMA) == whole


def test_a_dense_head_drafts_the_best_of_all_tokens(tiny_run: Run) -> None:
    pair, trace = tiny_run
    head, states = pair.drafter.masked_embedding, list[torch.Tensor]()
    keep = pair.drafter.model.register_forward_hook(
        lambda module, args, output: states.append(output.last_hidden_state[0])
    )
    searched = profile_of(pair, trace, max_gamma=1)
    keep.remove()
    with without(pair, "dense head"):
        dense = profile_of(pair, trace, max_gamma=1)
    assert pair.drafter.masked_embedding is head and pair.drafter.config.use_ordered_embeddings
    best = (torch.cat(states) @ pair.drafter.lm_head.weight.T).argmax(-1)
    assert dense.draft_ids == ((), *((token,) for token in best.tolist()))
    assert dense.draft_ids != searched.draft_ids, "the clusters never hide the best token"


def test_values_shuffled_alone_stay_among_what_a_place_sees(tiny_run: Run) -> None:
    """A longer text must not change the first places: so no value of a later token came there."""
    pair, trace = tiny_run
    drafter, seen = pair.drafter, []

    def looks(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        seen.append((kwargs["attention_mask"], kwargs["shared_kv_states"]))

    before = drafter.model.register_forward_pre_hook(looks, with_kwargs=True)
    with without(pair, "values shuffled alone"):
        after = drafter.model.register_forward_pre_hook(looks, with_kwargs=True)
        profile_of(pair, trace, max_gamma=1)
        after.remove()
    before.remove()
    (masks, given), (_, shuffled) = seen
    for kind, (keys, values) in shuffled.items():
        moved = 0
        for row, mask in enumerate(masks[kind][0, 0]):
            old, new = given[kind][1][0, :, mask == 0], values[row][:, mask == 0]
            assert torch.equal(old.sort(dim=1).values, new.sort(dim=1).values)
            assert torch.equal(keys[row], given[kind][0][0])
            moved += not torch.equal(old, new)
        assert moved > len(masks[kind][0, 0]) / 2


@pytest.mark.parametrize("part", PARTS)
def test_every_loop_sees_the_change_and_the_text_stays(part: str) -> None:
    # The library's mask counts one entry more than the window: so a prompt that is shorter.
    pair, ids = tiny_pair(dtype=torch.float64), prompt_ids(WINDOW - 1)
    plain = autoregressive_generate(pair, ids, max_new_tokens=20)
    with without(pair, part):
        profile = profile_of(pair, plain, max_gamma=GAMMA)
        ours = speculative_generate(pair, ids, gamma=GAMMA, max_new_tokens=20)
        library = reference_generate(pair, ids, gamma=GAMMA, max_new_tokens=20)
    assert ours.token_ids == library.token_ids == plain.token_ids
    if part == "values shuffled alone":  # each run draws orders of its own
        return
    for record in ours.draft_rounds:
        place = record.prefix_length - len(plain.prompt_ids)
        assert record.draft_ids == profile.draft_ids[place][: len(record.draft_ids)]
    # Before the first rejection the library has left nothing stale.
    assert library.draft_rounds[0].draft_ids == ours.draft_rounds[0].draft_ids


def test_results_count_chains_by_hand(pair: ModelPair) -> None:
    plain = autoregressive_generate(pair, STORY, max_new_tokens=40)
    profile = profile_of(pair, plain, max_gamma=3)
    (whole,) = ablate(pair, [STORY], [AS_IS], gamma=3, max_new_tokens=40)
    counts = profile.n_accepted[1:38]  # 40 - 3: from later places no whole chain fits
    assert whole.n_chains == len(counts)
    assert whole.kept == whole.as_is == tuple(sum(n > k for n in counts) / 37 for k in range(3))
    assert whole.mean_kept == pytest.approx(sum(counts) / 37)


def test_what_cannot_be_ablated_is_refused(pair: ModelPair) -> None:
    with pytest.raises(ValueError, match=r"got part 'legs', need one of \['as is'"):
        ablate(pair, [STORY], ["legs"])
    with pytest.raises(ValueError, match="gamma 0"):
        ablate(pair, [STORY], gamma=0)
    with pytest.raises(ValueError, match="no chain of 4 drafts for 'as is': give longer texts"):
        ablate(pair, [STORY], [AS_IS], max_new_tokens=3)


def test_nothing_is_left_behind_after_an_error(pair: ModelPair) -> None:
    plain = autoregressive_generate(pair, STORY, max_new_tokens=12)
    before = profile_of(pair, plain, max_gamma=GAMMA)
    for part in PARTS:
        with pytest.raises(RuntimeError, match="stop"), without(pair, part):
            raise RuntimeError("stop")
    assert profile_of(pair, plain, max_gamma=GAMMA).draft_ids == before.draft_ids
    assert not pair.drafter.model._forward_pre_hooks and not pair.drafter.model._forward_hooks
