"""What transformers' tests ask of its own assisted generation, asked of ours: question by kind.

Ours gives the text and leaves the cache of a plain run, or refuses before its first token.
"""

from copy import deepcopy
from functools import cache
from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from gemma_mtp_edu import speculative_generate
from gemma_mtp_edu.analysis import custom
from gemma_mtp_edu.core.decoding import Run, speculate
from gemma_mtp_edu.core.drafters import PromptLookupDrafter
from gemma_mtp_edu.core.target import CACHE
from tests.cases import cases, tables
from tests.goldens.cases import VOCAB, pair_of
from tests.library.emitted import observed_distribution, total_variation
from tests.model.tiny import WINDOW, check_rounds, prompt_ids

KINDS, ASKED = tables(__file__)["kinds"], tables(__file__)["asked"]
LENGTH, NEW = WINDOW + 3, 12
IDS = prompt_ids(LENGTH, VOCAB)
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def plain(kind: str, ids: Tensor | None = IDS, **given: Any) -> Any:
    """Return what the library's call gives, greedily."""
    # An int, as by default, fails in 5.24.0 where layers share KV without per-layer embeddings.
    usual = {"logits_to_keep": torch.tensor([-1]), "max_new_tokens": NEW, "do_sample": False}
    usual |= {"attention_mask": None if ids is None else torch.ones_like(ids)}  # 0 is no padding
    return pair_of(kind).target.generate(ids, **usual | {"return_dict_in_generate": True} | given)


def ours(kind: str, ids: Tensor | None = IDS, **given: Any) -> Any:
    """Return what the same call gives with our loop in it, called by a function of a user's own."""

    def around(model: Any, input_ids: Tensor, drafter: Any, gamma: int, **more: Any) -> Any:
        return custom.draft_and_verify(model, input_ids, drafter=drafter, gamma=gamma, **more)

    usual = {"custom_generate": around, "drafter": pair_of(kind).drafter, "gamma": 5}
    return plain(kind, ids, **usual | given)


greedy = cache(lambda kind: plain(kind).sequences)


def check_same(one: Any, other: Any) -> None:
    """Hold two runs to the same text, and to the same cache, layer by layer."""
    assert (type(one), one.sequences.tolist()) == (type(other), other.sequences.tolist())
    assert one[CACHE].get_seq_length() == other[CACHE].get_seq_length()
    for layer, like in zip(one[CACHE].layers, other[CACHE].layers, strict=True):
        for name in ("keys", "values"):
            both = (getattr(part, name, None) for part in (layer, like))
            torch.testing.assert_close(*both, atol=1e-4, rtol=0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    made: list[Run] = []
    monkeypatch.setattr(custom, "speculate", lambda run, *a: made.append(run) or speculate(run, *a))
    return made


@kinds
@pytest.mark.parametrize("drafter", ["own", "same", "other"])
def test_whoever_drafts_the_text_is_the_library_s(kind: str, drafter: str, runs: list[Run]) -> None:
    pair, stranger = pair_of(kind), pair_of("stranger").target
    models = {"own": pair.drafter, "same": pair.target, "other": stranger}
    heard: list[int] = []
    ears = SimpleNamespace(put=lambda ids: heard.extend(ids.flatten()), end=lambda: heard.append(0))
    check_same(ours(kind, drafter=models[drafter], streamer=ears, **ASKED), plain(kind, **ASKED))
    assert heard == [*runs[0].ids[0].tolist(), 0]  # the end
    trace = runs[0].trace("custom")
    check_rounds(trace)
    assert drafter == "own" or (trace.acceptance_rate == 1) == (drafter == "same")


@kinds
@pytest.mark.parametrize("length", [0, 4 * WINDOW])
def test_prompts_of_any_length_and_eager_attention(kind: str, length: int) -> None:
    ids = prompt_ids(length, VOCAB) if length else None  # `generate()` begins by itself
    for name in ("eager", "sdpa"):
        for model in (pair_of(kind).target, pair_of(kind).drafter):
            model.set_attn_implementation(name)
        both = (f(kind, ids, bos_token_id=3, **{CACHE: hf.DynamicCache()}) for f in (ours, plain))
        check_same(*both)


def ending(kind: str, how: str, place: int) -> dict[str, Any]:
    pair, text, end = pair_of(kind), greedy(kind)[0, LENGTH:].tolist(), LENGTH + place
    token, stop = text[place], pair.decode(text[place - 1 : place + 1]) or "a"
    return {
        "id": {"eos_token_id": token},
        "list": {"eos_token_id": [text[-1], token]},
        "tensor": {"eos_token_id": torch.tensor([token, VOCAB - 1])},
        "config": {"generation_config": hf.GenerationConfig(eos_token_id=[token])},
        "length": {"max_length": end + 1, "max_new_tokens": None},
        "criterion": {"stopping_criteria": [lambda ids, scores: ids.shape[1] > end]},
        "string": {"stopping_criteria": [hf.StopStringCriteria(pair.tokenizer, stop)]},
        "least": {"min_new_tokens": place, "eos_token_id": text[0]},
    }[how]


@kinds
@cases
def test_a_text_ends_where_the_library_s_does(kind: str, how: str, place: int) -> None:
    """Also inside drafts that are all accepted; nothing after the end is written or cached."""
    given = ending(kind, how, place)
    check_same(ours(kind, drafter=pair_of(kind).target, **given), plain(kind, **given))


@kinds
@pytest.mark.parametrize("calls", [(ours, ours), (ours, plain), (plain, ours)])
def test_a_text_goes_on_from_a_cache(kind: str, calls: tuple[Any, Any]) -> None:
    """With all ids, or with a new turn's and a mask of all; of a copy; and in a user's own pass."""
    begun, whole = calls[0](kind, max_new_tokens=NEW - 5), greedy(kind)
    more = calls[1](kind, begun.sequences, max_new_tokens=5, **{CACHE: deepcopy(begun[CACHE])})
    assert more.sequences.tolist() == whole.tolist()
    turn = torch.cat([begun.sequences, IDS[:, :4]], dim=1)
    given = {CACHE: deepcopy(begun[CACHE]), "attention_mask": torch.ones_like(turn)}
    more = calls[1](kind, turn[:, -5:], **given).sequences[0, 5:]
    assert more.tolist() == plain(kind, turn).sequences[0, -NEW:].tolist()
    output = pair_of(kind).target(begun.sequences[:, -1:], **{CACHE: begun[CACHE]})
    assert output.logits[0, -1].argmax() == whole[0, -5]


@kinds
def test_prompt_lookup_gives_the_same_text(kind: str) -> None:
    ids = torch.cat([torch.arange(VOCAB)[None], IDS], dim=1)  # every token can be found
    lookup: Any = {"drafter": PromptLookupDrafter(2), "gamma": 3, "max_new_tokens": NEW}
    trace = speculative_generate(pair_of(kind), ids, **lookup)
    assert [*trace.prompt_ids, *trace.token_ids] == plain(kind, ids).sequences[0].tolist()
    assert trace.rounds[1].draft_ids
    check_rounds(trace)


def test_an_end_token_that_is_copied_ends_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, cycle = pair_of(KINDS["text"]), [*range(3, 23), 3, 4, 5]
    monkeypatch.setattr(pair.target.generation_config, "eos_token_id", 12)
    only = hf.PrefixConstrainedLogitsProcessor(lambda _, ids: [(int(ids[-1]) - 2) % 20 + 3], 1)
    lookup: Any = {"drafter": PromptLookupDrafter(), "gamma": 4, "logits_processor": [only]}
    trace = speculative_generate(pair, torch.tensor([cycle]), **lookup)
    assert (trace.token_ids, trace.rounds[-1].draft_ids) == ((*range(6, 13),), (12, 13, 14, 15))
    with pytest.raises(ValueError, match="got max_ngram 0, need a whole number of tokens"):
        PromptLookupDrafter(max_ngram=0)


@pytest.mark.parametrize("kind", [KINDS[name] for name in ("experts", "wrapped", "unified")])
def test_sampled_tokens_follow_the_target_s_distribution(kind: str) -> None:
    """Exactly: every draw is answered, none is random. The library's test looks at shapes."""
    given = {"do_sample": True, "temperature": 4.0, "top_k": 2, "gamma": 1, "max_new_tokens": 3}
    text = greedy(kind)[:, : LENGTH + 1]
    loop = lambda: tuple(ours(kind, **given).sequences[0, LENGTH:].tolist())  # noqa: E731
    best = (pair_of(kind).target(text).logits[0, -1].detach().double() / 4).topk(2)
    wanted = torch.zeros(VOCAB).double().scatter(0, best.indices, best.values.softmax(-1))
    assert total_variation(observed_distribution(loop, int(text[0, -1])), wanted) < 1e-4


def test_a_drafter_s_own_schedule_is_followed_and_stays(runs: list[Run]) -> None:
    config = (drafter := deepcopy(pair_of(KINDS["text"]).target)).generation_config
    config.num_assistant_tokens, config.num_assistant_tokens_schedule = 2, "heuristic"
    ours(KINDS["text"], drafter=drafter, gamma=None)
    lengths = [len(r.draft_ids) for r in runs[0].rounds[1:]]
    assert (lengths, config.num_assistant_tokens) == ([2, 4, 2], 2)


@kinds
@cases
def test_what_is_not_followed_is_refused_before_a_token(kind: str, name: str, value: Any) -> None:
    heard: list[Tensor] = []
    with pytest.raises(ValueError, match=name):
        ours(kind, streamer=SimpleNamespace(put=heard.append), **{name: value})
    assert len(heard) <= 1  # the prompt


TEXT = signature(hf.Gemma4ForCausalLM.forward).parameters.keys()
SEEN = signature(hf.Gemma4ForConditionalGeneration.forward).parameters.keys()


@pytest.mark.parametrize("name", sorted(SEEN - TEXT))
def test_what_only_a_multimodal_target_takes_changes_nothing_or_is_refused(name: str) -> None:
    for kind in (KINDS["wrapped"], KINDS["unified"]):
        given, said = {name: torch.ones(1, LENGTH).long()}, name
        try:
            text = ours(kind, **given)
        except (TypeError, ValueError) as error:
            said = str(error)
        else:
            check_same(text, plain(kind, **given))
        assert name in said or "not callable" in said  # an encoder, which is absent here
