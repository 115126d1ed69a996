"""All that transformers lets a caller give, by introspection: plain's text, or refused by name.

What a new release adds has no value in `honoured.json`, and fails here until somebody gives it one.
"""

import copy
import inspect
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from transformers.generation import logits_process, stopping_criteria

import gemma_mtp_edu as mtp
from gemma_mtp_edu import ModelPair, autoregressive_generate, speculative_generate
from gemma_mtp_edu.analysis import custom
from gemma_mtp_edu.analysis.cost import round_cost
from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.core.drafters import Drafter, PromptLookupDrafter
from gemma_mtp_edu.core.target import CACHE
from tests.goldens.cases import pair_of
from tests.model.tiny import KnowingDrafter, check_rounds, generated, prompt_ids, tiny_pair

SPELLED = pair_of("perlayer centroids double")  # it has a tokenizer, and is often right
VALUES = json.loads(Path(__file__).with_name("honoured.json").read_text(encoding="utf-8"))
IDS, NEW = prompt_ids(9), 16


def plain_text(pair: ModelPair, ids: Tensor = IDS, **given: Any) -> list[int]:
    given = {"max_new_tokens": NEW, "do_sample": False, **given}
    output = pair.target.generate(ids, **given)
    return list(getattr(output, "sequences", output)[0].tolist())


def our_text(pair: ModelPair, ids: Tensor = IDS, **given: Any) -> list[int]:
    usual = {"attention_mask": None, "max_new_tokens": NEW, "return_dict_in_generate": False}
    output = generated(pair, ids, **usual | given)
    return list(getattr(output, "sequences", output)[0].tolist())


class Watch:
    """A streamer that counts what was written."""

    n = -1  # the prompt comes first

    def put(self, value: Tensor) -> None:
        self.n += 1

    def end(self) -> None:
        pass


def holds(name: str, plain: Callable[[], Any], ours: Callable[..., Any]) -> str:
    """Return "same", "raises" or "refused"; fail where ours is another text, or a late refusal."""
    watch = Watch()
    try:
        wanted = plain()
    except Exception as error:
        with pytest.raises((type(error), ValueError, TypeError)):
            ours(streamer=watch)
        assert watch.n <= 0
        return "raises"
    try:
        got = ours(streamer=watch)
    except (ValueError, TypeError) as error:
        return "refused" if name in str(error) and watch.n <= 0 else f"late or nameless: {error}"
    assert got == wanted
    return "same"


def subclasses(module: Any, parent: type) -> list[type]:
    kinds = [kind for kind in vars(module).values() if inspect.isclass(kind)]
    return [kind for kind in kinds if issubclass(kind, parent) and kind is not parent]


def made(kind: type, pair: ModelPair) -> Any:
    """Return an object with `honoured.json`'s value of each argument that it needs."""
    own = {
        "model": pair.target, "encoder_input_ids": IDS,
        "prefix_allowed_tokens_fn": lambda _, text: [i for i in range(64) if (i + text[-1]) % 3],
        "generate_config": SimpleNamespace(
            no_timestamps_token_id=40, eos_token_id=5, bos_token_id=2, max_initial_timestamp_index=3
        ),
    }  # fmt: skip
    parameters = inspect.signature(kind.__init__).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.name != "self"]
    values = VALUES["processors"] | own
    return kind(**{name: values[name] for name in needed if name not in ("args", "kwargs")})


class Counting:
    """A processor with a memory: every call prefers another token."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.seen.append(input_ids[0].tolist())
        scores = scores.clone()
        scores[:, (7 * len(self.seen)) % 31] += 4.0
        return scores


class Grammar(Counting):
    """As xgrammar's: it takes the tokens one after the other, and none that it did not allow."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        last = input_ids[0, -1].item()
        if self.seen:
            assert last in self.allowed and len(input_ids[0]) == len(self.seen[-1]) + 1
        self.seen.append(input_ids[0].tolist())
        self.allowed = {i for i in range(64) if (i + len(self.seen)) % 3}
        forbidden = torch.tensor([i not in self.allowed for i in range(64)])
        return scores.masked_fill(forbidden, -torch.inf)


def a_function_with_a_memory() -> Callable[..., Tensor]:
    calls: list[int] = []

    def changed(input_ids: Tensor, scores: Tensor) -> Tensor:
        calls.append(1)
        return scores.roll(len(calls), -1)

    return changed


def a_trie_with_a_memory() -> Callable[..., list[int]]:
    """Return a `prefix_allowed_tokens_fn` whose answer depends on how often it was asked."""
    calls: list[int] = []

    def allowed(batch: int, text: Tensor) -> list[int]:
        calls.append(1)
        return [i for i in range(64) if (i + len(calls)) % 3]

    return allowed


class Uneven(hf.TopKLogitsWarper):
    """Of a class that has no memory, with one."""

    calls = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.calls += 1
        scores = scores.clone()
        scores[:, self.calls % 7 :: 7] += 3
        return super().__call__(input_ids, scores)


OWN: list[Callable[[], Any]] = [
    Counting, Grammar, a_function_with_a_memory, lambda: Uneven(9),
    lambda: hf.PrefixConstrainedLogitsProcessor(a_trie_with_a_memory(), 1),
]  # fmt: skip
KINDS = subclasses(logits_process, logits_process.LogitsProcessor)
PROCESSORS: dict[str, Callable[[ModelPair], Any]] = {
    **{kind.__name__: lambda pair, kind=kind: made(kind, pair) for kind in KINDS},
    **{f"own {n}": lambda pair, make=make: make() for n, make in enumerate(OWN)},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_processors(name: str) -> None:
    pair, make = tiny_pair(), PROCESSORS[name]

    def given() -> dict[str, Any]:
        return {"logits_processor": hf.LogitsProcessorList([make(pair)])}

    text = plain_text(pair)

    class Script(KnowingDrafter, Drafter):
        needs_state = False

    def function(**more: Any) -> list[int]:
        drafter = Script(9, tuple(text[9:]), 0.8, 64)
        more |= {"max_new_tokens": NEW, "gamma": 3}
        trace = speculative_generate(pair, IDS, drafter=drafter, **more)
        return [*IDS[0].tolist(), *trace.token_ids]

    for ours in (partial(our_text, pair, **given()), partial(function, **given())):
        assert holds(name, partial(plain_text, pair, **given()), ours) in ("same", "raises")


@pytest.mark.parametrize("more", [{}, {"temperature": 1.0, "seed": 3}])
@pytest.mark.parametrize("run", [autoregressive_generate, speculative_generate])
def test_a_memory_sees_the_text_token_by_token_and_no_draft(
    run: Callable[..., Any], more: dict[str, Any]
) -> None:
    counting = Counting()
    trace = run(tiny_pair(), IDS, max_new_tokens=NEW, logits_processor=[counting], **more)
    whole = [*trace.prompt_ids, *trace.token_ids]
    assert counting.seen == [whole[:n] for n in range(9, len(whole))]


class Third(stopping_criteria.StoppingCriteria):
    """A criterion with a memory, which answers with a bool."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.calls == 3


@pytest.mark.parametrize(
    "kind", [*subclasses(stopping_criteria, stopping_criteria.StoppingCriteria), Third]
)
def test_stopping_criteria(kind: type) -> None:
    pair, ids = SPELLED, torch.tensor([[3, 9, 4, 20, 7]])
    text = plain_text(pair, ids)
    arguments: dict[str, list[dict[str, Any]]] = {
        "MaxLengthCriteria": [{"max_length": n} for n in (2, 5, 11)],
        "MaxTimeCriteria": [{"max_time": n} for n in (1e-9, 600)],
        "StopStringCriteria": [{"tokenizer": pair.tokenizer, "stop_strings": [s]}
                               for s in (pair.decode(text[9:11]), pair.decode([31, 30, 29]))],
        "EosTokenCriteria": [{"eos_token_id": n} for n in (text[10], [text[12], text[9]], 31)],
        "ConfidenceCriteria": [{"assistant_confidence_threshold": 0.5}],
        "Third": [{}],
    }  # fmt: skip
    for more in arguments[kind.__name__]:
        calls = [
            partial(call, pair, ids, stopping_criteria=hf.StoppingCriteriaList([kind(**more)]))
            for call in (plain_text, our_text)
        ]
        outcome = holds(kind.__name__, *calls)
        assert outcome == ("raises" if kind.__name__ == "ConfidenceCriteria" else "same")


FIELDS = [name for name in vars(hf.GenerationConfig()) if not name.startswith("_")]


@pytest.mark.parametrize("name", [n for n in FIELDS if n != "transformers_version"])
def test_settings_of_generate(name: str) -> None:
    """On the call, greedy and sampling, and as the target's own."""
    for value in VALUES["fields"][name]:
        for base in ({}, {"do_sample": True, "top_k": 1}, None):
            theirs, ours = (copy.deepcopy(tiny_pair().target) for _ in range(2))  # one is altered
            given = {**(base or {}), name: value}
            if name in ("do_sample", "top_k") and given.get("do_sample"):
                given["top_k"] = 1
            given |= {"max_new_tokens": None} if name == "max_length" else {}
            if base is None:
                for target in (theirs, ours):
                    target.generation_config = hf.GenerationConfig(pad_token_id=0)
                    setattr(target.generation_config, name, value)
                given = {}
            pairs = [ModelPair(target, tiny_pair().drafter) for target in (theirs, ours)]
            calls = partial(plain_text, pairs[0], **given), partial(our_text, pairs[1], **given)
            outcome = holds(name, *calls)
            assert outcome in ("same", "raises", "refused")
            # What changes how the library drafts, or what it returns, is not ours to follow.
            follows = base is None or ("assistant" not in name and not name.startswith("output_"))
            assert follows or outcome != "same"


@pytest.mark.parametrize("name", FIELDS)
def test_settings_of_our_own_function(name: str) -> None:
    ours = {"max_new_tokens", "repetition_penalty", "temperature", "top_k", "top_p", "stop_strings"}
    if name not in ours:
        with pytest.raises(TypeError, match=name):
            speculative_generate(tiny_pair(), IDS, **{name: VALUES["fields"].get(name, [1])[0]})


def cache_of(pair: ModelPair, length: int) -> hf.DynamicCache:
    cache = hf.DynamicCache(config=pair.target.config.get_text_config())
    pair.target(input_ids=IDS[:, :length], **{CACHE: cache}, use_cache=True)
    return cache


def arguments_of(pair: ModelPair, name: str) -> Iterator[dict[str, Any]]:
    """Yield calls that give an argument of `generate()`, or of the model behind it."""
    ones, places = torch.ones(1, 9, dtype=torch.long), torch.arange(9)[None]
    values: dict[str, list[Any]] = {
        "inputs": [None], "generation_config": [hf.GenerationConfig(repetition_penalty=1.7)],
        "logits_processor": [hf.LogitsProcessorList([made(logits_process.MinPLogitsWarper, pair)])],
        "stopping_criteria": [hf.StoppingCriteriaList()], "synced_gpus": [False, True],
        "prefix_allowed_tokens_fn": [
            lambda _, text: [i for i in range(64) if (i + text[-1]) % 3], a_trie_with_a_memory()],
        "assistant_model": [pair.drafter, tiny_pair().target], "streamer": [],
        "negative_prompt_ids": [prompt_ids(4)], "negative_prompt_attention_mask": [ones[:, :4]],
        "custom_generate": [], "input_ids": [], "is_first_iteration": [True],
        "attention_mask": [ones, ones.bool(), ones.float(), torch.ones(1, 16), torch.ones(1, 4),
                           torch.ones(1, 1, 9, 9), torch.tensor([[0, 0] + [1] * 7]),
                           torch.tensor([[1, 0] * 4 + [1]]), 2 * ones],
        "position_ids": [places, 2 * places, places + 3, places * 0, places[:, -1:]],
        "cache_position": [places[0], places[0] + 1], "inputs_embeds": [torch.zeros(1, 9, 32)],
        "token_type_ids": [ones, 0 * ones], "mm_token_type_ids": [ones, 0 * ones],
        "labels": [IDS], "logits_to_keep": [1, 0, 3], "next_sequence_length": [3],
        "per_layer_inputs": [torch.zeros(1, 9, 4, 4)], "use_cache": [True, False],
        CACHE: [cache_of(pair, 4), cache_of(pair, 9)],
        "shared_kv_states": [{}], "return_shared_kv_states": [True], "return_dict": [True],
        "seq_idx": [ones], "cu_seq_lens_q": [ones], "cu_seq_lens_k": [ones], "max_length_q": [4],
        "max_length_k": [4], "is_causal": [False], "num_items_in_batch": [1],
        "output_attentions": [True], "output_hidden_states": [True], "output_router_logits": [True],
        "mm_encoder_outputs": [{}, {"image": ones}], "trust_remote_code": [True],
        "pixel_values": [ones], "tokenizer": [],
    }  # fmt: skip
    yield from ({name: value} for value in values[name])
    if name == CACHE:  # only the new ids, with a mask of the whole text
        for more in ({}, {"repetition_penalty": 1.6}, {"eos_token_id": plain_text(pair)[14]}):
            yield {"ids": IDS[:, 4:], CACHE: cache_of(pair, 4), "attention_mask": ones, **more}


ARGUMENTS = {
    *inspect.signature(hf.GenerationMixin.generate).parameters,
    *inspect.signature(type(tiny_pair().target).forward).parameters,
    *inspect.signature(hf.GenerationMixin.prepare_inputs_for_generation).parameters,
    *hf.utils.TransformersKwargs.__optional_keys__,
    "cache_position", "mm_encoder_outputs", "pixel_values",
} - {"self", "kwargs"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_arguments_of_generate(name: str) -> None:
    pair = tiny_pair()
    both = zip(arguments_of(pair, name), arguments_of(pair, name), strict=True)
    for theirs, ours in both:  # a cache each
        named = name.partition("_")[0]
        if name == "assistant_model":  # taken as the drafter
            theirs, named = {}, "drafter"
        calls = partial(plain_text, pair, **theirs), partial(our_text, pair, **ours)
        assert holds(named, *calls) in ("same", "raises", "refused"), ours


HOOKS: dict[str, tuple[str, Callable[..., Any]]] = {
    "logits": ("", lambda m, a, out: type(out)({**out, "logits": out.logits.roll(1, -1)})),
    "layer": ("model.layers.1", lambda m, a, out: out * 1.5),
    "head": ("lm_head", lambda m, a, out: out.roll(2, -1)),
    "embeddings": ("model.embed_tokens", lambda m, a, out: out.flip(-1)),
}


@pytest.mark.parametrize("place", HOOKS)
def test_whatever_changes_the_targets_forward_changes_our_text(place: str) -> None:
    pair = tiny_pair()
    unhooked = plain_text(pair)
    name, hook = HOOKS[place]
    handle = pair.target.get_submodule(name).register_forward_hook(hook)
    try:
        wanted = plain_text(pair)
        assert wanted != unhooked
        assert our_text(pair) == wanted
        for run in (autoregressive_generate, speculative_generate):
            assert [*IDS[0].tolist(), *run(pair, IDS, max_new_tokens=NEW).token_ids] == wanted
    finally:
        handle.remove()


@pytest.mark.parametrize(("length", "new"), [(250, 7), (240, 30), (256, 1)])
def test_one_rule_for_texts_that_reach_the_last_position(length: int, new: int) -> None:
    pair, ids = tiny_pair(), prompt_ids(length)
    for call in (our_text, autoregressive_generate, speculative_generate):
        with pytest.raises(ValueError, match=f"max_new_tokens {new} after a prompt of {length} "):
            call(pair, ids, max_new_tokens=new)


# Routes, kinds of text and ends: what holds for every trace.


def causal_pair() -> ModelPair:
    """Return a pair of ordinary models, whose drafter is often right."""
    torch.manual_seed(5)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 32,
             "num_attention_heads": 2, "max_position_embeddings": 256}  # fmt: skip
    target = hf.LlamaForCausalLM(hf.LlamaConfig(tie_word_embeddings=False, **shape))
    with torch.no_grad():
        target.lm_head.weight.normal_(0, 0.5)
        drafter = copy.deepcopy(target)
        drafter.lm_head.weight.add_(torch.randn(32, 32) * 0.03)
    target.generation_config.eos_token_id = None
    return ModelPair(target, drafter, SPELLED.processor, "causal")


PROMPT, CAUSAL = torch.tensor([[3, 9, 4, 20, 7, 3, 9, 4]]), causal_pair()
FIVE = {"gamma": 5}
ROUTES: dict[str, tuple[ModelPair, Callable[..., mtp.GenerationTrace], dict[str, Any]]] = {
    "plain": (CAUSAL, autoregressive_generate, {}),
    "mtp": (SPELLED, speculative_generate, FIVE),
    "mtp, confidence": (SPELLED, speculative_generate, {"schedule": mtp.Confidence(0.2)}),
    "causal": (CAUSAL, speculative_generate, FIVE),
    "lookup": (CAUSAL, speculative_generate, {**FIVE, "drafter": PromptLookupDrafter()}),
    "library, mtp": (SPELLED, mtp.reference_generate, FIVE),
    "library, causal": (CAUSAL, mtp.reference_generate, FIVE),
    "library, plain": (CAUSAL, mtp.reference_generate, {"assisted": False}),
}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("stop", ["limit", "one", "eos", "string"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_trace_adds_up_and_ends_with_its_text(route: str, stop: str, temperature: float) -> None:
    pair, run, arguments = ROUTES[route]
    drawn = {"temperature": temperature, "seed": 1 if temperature else None}
    config = pair.target.generation_config
    for place in (4, 9, 13) if stop in ("eos", "string") else (0,):
        given: dict[str, Any] = {**arguments, **drawn, "max_new_tokens": 1 if stop == "one" else 24}
        text = run(pair, PROMPT, **given).token_ids
        if stop == "string":
            given["stop_strings"] = [pair.decode(text[place : place + 2])]
        config.eos_token_id = [text[place]] if stop == "eos" else None
        try:
            trace = run(pair, PROMPT, **given)
        finally:
            config.eos_token_id = None
        check_rounds(trace)
        if stop == "eos" and not temperature:
            assert trace.stop_reason == "eos" and trace.token_ids[-1] == text[place]


@pytest.mark.parametrize("more", [{}, {"do_sample": True, "top_k": 0}])
def test_rounds_behind_generate_add_up(monkeypatch: pytest.MonkeyPatch, more: Any) -> None:
    runs: list[Run] = []

    class Kept(Run):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            runs.append(self)

    monkeypatch.setattr(custom, "Run", Kept)
    for pair in (SPELLED, CAUSAL):
        for end in ({}, {"stopping_criteria": hf.StoppingCriteriaList([Third()])}):
            generated(pair, PROMPT, gamma=5, **more, **end)
            check_rounds(runs[-1].trace("custom"))


def test_a_prediction_without_drafts_is_exactly_one() -> None:
    noisy = mtp.CostModel(
        contexts=(8, 64), lengths=(1, 3, 9), plain_seconds=(0.010, 0.013), other_seconds=(0.0, 0.0),
        verify_seconds=((0.006, 0.008, 0.009), (0.007, 0.02, 0.03)), drafter_seconds=(1.0, 1.0),
    )  # fmt: skip
    pair = tiny_pair()
    profile = mtp.acceptance_profile(pair, IDS, max_gamma=4, max_new_tokens=20)
    none = mtp.replay(profile, mtp.FromProfile((0,) * 20))
    assert noisy.predict_trace(none).speedup == 1.0
    assert noisy.predict_trace(autoregressive_generate(pair, IDS, max_new_tokens=20)).speedup == 1.0
    schedule, best = mtp.best_schedule(profile, noisy)  # a draft takes a second: none is worth it
    assert set(schedule.lengths) == {0} and noisy.predict_trace(best).speedup == 1.0
    assert round_cost(noisy)(0) == round_cost(0.3)(0) == 1.0
    for context in (None, 1, 30, 900):
        assert noisy.round_seconds(0, context) == noisy.plain(context)
        assert noisy.predict(0.7, 0, context) == 1.0
    mixed = mtp.replay(profile, mtp.FromProfile((0, 2) * 10))
    assert noisy.predict_trace(mixed).speedup < 1.0


def test_an_ordinary_pair_drafts_as_many_as_it_is_told() -> None:
    run = mtp.reference_generate(CAUSAL, PROMPT, gamma=4, max_new_tokens=30)
    assert max(len(r.draft_ids) for r in run.rounds) == 4
    ours = speculative_generate(CAUSAL, PROMPT, schedule=mtp.Constant(4), max_new_tokens=30)
    assert run.token_ids == ours.token_ids


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_drafter_of_another_dtype_is_cast_at_the_hand_over(dtype: torch.dtype) -> None:
    pair = tiny_pair()
    other = ModelPair(pair.target, copy.deepcopy(pair.drafter).to(dtype))
    wanted = plain_text(pair)
    assert our_text(other) == wanted
    for run in (speculative_generate, mtp.reference_generate):
        assert [*IDS[0].tolist(), *run(other, IDS, gamma=3, max_new_tokens=NEW).token_ids] == wanted
    assert len(mtp.acceptance_profile(other, IDS, max_gamma=2, max_new_tokens=NEW)) == NEW
