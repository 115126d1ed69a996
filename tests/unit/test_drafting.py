"""Prompt lookup, scripted drafts, the sampler and the end of a text; no model."""

from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor, StoppingCriteria

from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.core.drafters import PromptLookupDrafter, ScriptedDrafter, fixed_draft, lookup
from gemma_mtp_edu.core.sampling import Sampler, Settings
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.verification import Verification
from tests.cases import cases
from tests.model.tiny import tiny_pair

GREEDY = Sampler(LogitsProcessorList())


@cases
def test_lookup_by_hand(ids: list[int], expected: list[int], why: str) -> None:
    assert lookup(ids, max_ngram=3, gamma=3) == expected, why


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 6))
def test_lookup_copies_what_followed(ids: list[int], max_ngram: int, gamma: int) -> None:
    drafts = lookup(ids, max_ngram, gamma)
    assert len(drafts) <= gamma
    if drafts:
        joined = ",".join(map(str, ids))
        assert ",".join(map(str, [ids[-1], *drafts])) in joined


def test_drafters_without_a_model_say_one_for_every_draft() -> None:
    ids = torch.tensor([[1, 2, 3, 1, 2]])
    draft = PromptLookupDrafter().draft(ids, None, 2, GREEDY, Constant(2))
    assert draft.ids.tolist() == [[3, 1]]
    assert draft.own_probs.tolist() == [1.0, 1.0]
    assert draft.probs is None
    scripted = ScriptedDrafter([[7, 8, 9], [4]])
    drafts = [scripted.draft(ids, None, 2, GREEDY, Constant(2)).ids.tolist() for _ in range(3)]
    assert drafts == [[[7, 8]], [[4]], [[]]]


def processors(**settings: Any) -> list[Any]:
    return list(Settings(**settings).sampler(torch.device("cpu")).processors)


def test_each_position_is_processed_with_the_drafts_before_it() -> None:
    logits = torch.full((3, 6), 2.0)
    sampler = Sampler(LogitsProcessorList([RepetitionPenaltyLogitsProcessor(2.0)]))
    scores = sampler.processed(logits, torch.tensor([[0]]), torch.tensor([[3, 5]]), all)
    assert scores.tolist() == [[1, 2, 2, 2, 2, 2], [1, 2, 2, 1, 2, 2], [1, 2, 2, 1, 2, 1]]


def test_rows_at_once_are_rows_one_by_one() -> None:
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    ids, drafts = torch.tensor([[1, 2]]), torch.tensor([[3, 4, 5, 6]])
    sampler = Sampler(LogitsProcessorList(processors(temperature=0.7, top_k=8, top_p=0.9)))
    rows = [sampler.processed(row[None], ids, drafts[:, :0], all) for row in logits]
    assert torch.equal(sampler.processed(logits, ids, drafts, all), torch.cat(rows))


@cases
def test_the_processors_are_transformers_own_in_its_order(
    settings: dict[str, Any], kinds: list[str]
) -> None:
    own = [getattr(transformers, kind) for kind in kinds]
    assert [type(p) for p in processors(**settings)] == own


@cases
def test_settings_out_of_range_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)


def test_a_draft_is_chosen_with_the_drafts_before_it_in_the_text() -> None:
    """Token 3 is the best but has been drafted; the penalty makes 1 the better one."""
    logits = torch.tensor([[0.0, 3.0, 1.0, 4.0]])
    sampler = Sampler(LogitsProcessorList([RepetitionPenaltyLogitsProcessor(2.0)]))
    assert sampler.choose(logits, torch.tensor([[0]]))[0].item() == 3
    assert sampler.choose(logits, torch.tensor([[0, 3]]))[0].item() == 1


def test_a_greedy_choice_is_the_argmax_and_a_drawn_one_knows_its_distribution() -> None:
    logits, ids = torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([[0]])
    token, _, probs = GREEDY.choose(logits, ids)
    assert token.tolist() == [[1]]
    assert probs is None
    token, prob, probs = Settings(temperature=1.0, seed=1).sampler(ids.device).choose(logits, ids)
    assert probs is not None
    torch.testing.assert_close(probs, logits[0].softmax(-1))
    assert prob == probs[token[0, 0]]


class Plain:
    """What a run needs of a pair before any model runs."""

    eos_ids = frozenset({1})
    target = tiny_pair().target


class OnEven(StoppingCriteria):
    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        return input_ids[:, -1] % 2 == 0


@cases
def test_a_text_ends_at_the_first_token_that_ends_it(
    on_even: bool, tokens: list[int], written: list[int], reason: str | None
) -> None:
    run = Run(Plain(), torch.tensor([[2, 4]]), Settings(max_new_tokens=5))
    run.criteria.extend([OnEven()] * on_even)
    run._target_probs = torch.zeros(len(tokens) - 1)
    draft = fixed_draft(tokens[:-1], torch.device("cpu"))
    assert run.commit(draft, Verification(len(tokens) - 1, tokens[-1])) == len(written)
    assert run.ids[0, 2:].tolist() == written
    assert run.stop_reason == reason
    assert run.n_new == len(written) and run.remaining == 5 - len(written)
