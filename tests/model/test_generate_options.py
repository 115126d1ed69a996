"""What callers of `generate()` bring along: ends, processors, caches and templates of their own."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    SuppressTokensLogitsProcessor,
)

from gemma_mtp_edu import (
    ModelPair,
    autoregressive_generate,
    load_pair,
    reference_generate,
    speculative_generate,
)
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.sampling import NonFiniteLogitsError
from gemma_mtp_edu.core.target import CACHE
from gemma_mtp_edu.training.target_texts import target_texts
from tests.model.tiny import WINDOW, Shape, generated, prompt_ids, tiny_pair

COUNT = "Count from 3 to 12."


class StopAt(StoppingCriteria):
    """Ends a text at a length, wherever in a round that is."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.tensor([input_ids.shape[1] >= self.length])


@pytest.mark.parametrize("more", range(2, 17))
def test_the_cache_ends_where_the_text_does(pair: ModelPair, more: int) -> None:
    """Also inside accepted drafts: else the next turn would go on from tokens never written."""
    ids = pair.encode(COUNT)
    stop = [StopAt(ids.shape[1] + more)]
    output = generated(pair, ids, stopping_criteria=StoppingCriteriaList(stop))
    assert output.sequences.shape[1] == ids.shape[1] + more
    assert output[CACHE].get_seq_length() == output.sequences.shape[1] - 1
    longer = torch.cat([output.sequences, pair.encode("Name 3 colors.")], dim=1)
    plain = pair.target.generate(longer, max_new_tokens=12, do_sample=False)
    cached = generated(pair, longer, max_new_tokens=12, **{CACHE: output[CACHE]}).sequences
    assert torch.equal(cached, plain)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize(("cached", "prompt"), [(3 * WINDOW, 3 * WINDOW), (6, 4), (3 * WINDOW, 4)])
def test_a_cache_that_cannot_be_cut_back_is_refused_and_stays(
    ours: bool, cached: int, prompt: int
) -> None:
    """One of a longer text, such as where only the new turn is passed; or past its window."""
    pair, ids = tiny_pair(), prompt_ids(cached)
    cache = DynamicCache(config=pair.target.config.get_text_config())
    if ours:
        generated(pair, ids[:, :-1], max_new_tokens=2, **{CACHE: cache})
    else:
        pair.target(input_ids=ids, **{CACHE: cache}, use_cache=True)
    message = f"got a cache of {cached} tokens for a prompt of {prompt}: pass the whole conversat"
    with pytest.raises(ValueError, match=message):
        generated(pair, prompt_ids(prompt), max_new_tokens=8, **{CACHE: cache})
    assert cache.get_seq_length() == cached


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_torch_s_default_dtype_is_none_of_the_loop_s_business(dtype: torch.dtype) -> None:
    pair = tiny_pair()
    arguments: dict[str, Any] = {"max_new_tokens": 12, "temperature": 1.0, "seed": 1}
    expected = speculative_generate(pair, prompt_ids(5), **arguments)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert speculative_generate(pair, prompt_ids(5), **arguments).token_ids == (
            expected.token_ids
        )
    finally:
        torch.set_default_dtype(before)


def only(allowed: list[int], vocabulary: int) -> SuppressTokensLogitsProcessor:
    return SuppressTokensLogitsProcessor([i for i in range(vocabulary) if i not in set(allowed)])


class Blind(MTPDrafter):
    """Never searches the first eight tokens."""

    def score(self, states: Tensor) -> Any:
        scores, ids = super().score(states)
        assert ids is not None
        return scores[:, ids[0] >= 8], ids[:, ids[0] >= 8]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_tokens_that_the_head_never_searches_can_be_all_that_is_allowed(temperature: float) -> None:
    pair, ids = tiny_pair(), prompt_ids(5)
    blind = Blind(pair.drafter, pair.target.get_input_embeddings())
    processors = LogitsProcessorList([only(list(range(8)), 64)])
    arguments: dict[str, Any] = {
        "max_new_tokens": 12, "temperature": temperature, "seed": 1, "logits_processor": processors,
    }  # fmt: skip
    run = speculative_generate(pair, ids, gamma=3, drafter=blind, **arguments)
    assert max(run.token_ids) < 8
    if not temperature:
        assert run.token_ids == autoregressive_generate(pair, ids, **arguments).token_ids


def test_a_tokenizer_that_adds_the_beginning_adds_no_second_one() -> None:
    pair = load_pair()
    wanted = pair.encode(COUNT)
    pair.processor.add_bos_token = True
    assert pair.encode(COUNT).tolist() == wanted.tolist()


def test_who_listens_cannot_change_the_text(pair: ModelPair) -> None:
    wanted = speculative_generate(pair, COUNT, max_new_tokens=16)
    wiping = SimpleNamespace(put=lambda value: value.zero_(), end=lambda: None)
    for run in (speculative_generate, autoregressive_generate):
        got = run(pair, COUNT, max_new_tokens=16, streamer=wiping)
        assert got.token_ids == wanted.token_ids
        assert got.prompt_ids == wanted.prompt_ids


# A target's own settings must change no run in silence.

IDS = prompt_ids(5)
OWN = {"repetition_penalty": 1.8, "num_beams": 2, "use_cache": False, "stop_strings": ["4"]}
OWN["return_dict_in_generate"] = True


@pytest.fixture
def tiny() -> Iterator[ModelPair]:
    pair = tiny_pair(Shape(seed=6))
    before = pair.target.generation_config
    yield pair
    pair.target.generation_config = before


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("assisted", [False, True])
def test_the_checkpoints_defaults_change_no_run(tiny: ModelPair, name: str, assisted: bool) -> None:
    plain = autoregressive_generate(tiny, IDS, max_new_tokens=12).token_ids
    own: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": None, name: OWN[name]}
    tiny.target.generation_config = GenerationConfig(**own)
    theirs = reference_generate(tiny, IDS, assisted=assisted, max_new_tokens=12).token_ids
    assert theirs == plain
    (texts,) = target_texts(tiny, [IDS], max_new_tokens=12)
    assert tuple(texts.input_ids[0, 5:].tolist()) == plain


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_target_texts_of_a_broken_target_are_refused(tiny: ModelPair, temperature: float) -> None:
    hook = tiny.target.lm_head.register_forward_hook(lambda m, a, o: torch.full_like(o, torch.nan))
    try:
        with pytest.raises(NonFiniteLogitsError, match=r"target's best scores are .*nan"):
            target_texts(tiny, [IDS], max_new_tokens=4, temperature=temperature)
    finally:
        hook.remove()
