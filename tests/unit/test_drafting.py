"""Prompt lookup, scripted drafts, the sampler and the end of a text; no model."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from gemma_mtp_edu.core.drafters import DraftContext, PromptLookupDrafter, ScriptedDrafter, lookup
from gemma_mtp_edu.core.sampling import Sampler, logits_processors, seeded_generator
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.stopping import Text

GREEDY = Sampler(LogitsProcessorList())


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3, 9, 1, 2], [3, 9, 1]),
        ([5, 1, 5, 2, 5], [2, 5]),  # the latest place counts
        ([1, 2, 7, 1, 9, 2], [7, 1, 9]),  # the longest piece that is found: here one token
        ([1, 2, 3], []),
        ([4], []),
        ([4, 4], [4]),
    ],
)
def test_lookup_by_hand(ids: list[int], expected: list[int]) -> None:
    assert lookup(ids, max_ngram=3, gamma=3) == expected


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 6))
def test_lookup_copies_what_followed(ids: list[int], max_ngram: int, gamma: int) -> None:
    drafts = lookup(ids, max_ngram, gamma)
    assert len(drafts) <= gamma
    if drafts:
        joined = ",".join(map(str, ids))
        assert ",".join(map(str, [ids[-1], *drafts])) in joined


def test_drafters_without_a_model_say_one_for_every_draft() -> None:
    context = DraftContext(torch.tensor([[1, 2, 3, 1, 2]]))
    draft = PromptLookupDrafter().draft(context, 2, GREEDY, Constant(2))
    assert draft.ids.tolist() == [[3, 1]]
    assert draft.own_probs.tolist() == [1.0, 1.0]
    assert draft.probs is None
    scripted = ScriptedDrafter([[7, 8, 9], [4]])
    drafts = [scripted.draft(context, 2, GREEDY, Constant(2)).ids.tolist() for _ in range(3)]
    assert drafts == [[[7, 8]], [[4]], [[]]]
    with pytest.raises(ValueError, match="max_ngram 0"):
        PromptLookupDrafter(0)


def test_each_position_is_processed_with_the_drafts_before_it() -> None:
    logits = torch.full((3, 6), 2.0)
    sampler = Sampler(LogitsProcessorList([RepetitionPenaltyLogitsProcessor(2.0)]))
    scores = sampler.processed(logits, torch.tensor([[0]]), torch.tensor([[3, 5]]))
    assert scores.tolist() == [[1, 2, 2, 2, 2, 2], [1, 2, 2, 1, 2, 2], [1, 2, 2, 1, 2, 1]]


def test_rows_at_once_are_rows_one_by_one() -> None:
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    ids, drafts = torch.tensor([[1, 2]]), torch.tensor([[3, 4, 5, 6]])
    sampler = Sampler(logits_processors(0.7, 8, 0.9))
    rows = [sampler.processed(row[None], ids, drafts[:, :0]) for row in logits]
    assert torch.equal(sampler.processed(logits, ids, drafts), torch.cat(rows))


def test_the_processors_are_transformers_own_in_its_order() -> None:
    kinds = [type(p) for p in logits_processors(0.7, 8, None, 1.2)]
    assert kinds == [RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper]
    assert list(logits_processors(0.0, 8, 0.9)) == [], "greedy decoding needs no warper"


def test_numbers_that_are_off_need_no_processor() -> None:
    assert [type(p) for p in logits_processors(1.0, None, 0.9)] == [TopPLogitsWarper]
    assert [type(p) for p in logits_processors(0.7)] == [TemperatureLogitsWarper]
    assert list(logits_processors(1.0, None, 1.0, 1.0)) == []


def test_a_draft_is_chosen_with_the_drafts_before_it_in_the_text() -> None:
    """Token 3 is the best but has been drafted; the penalty makes 1 the better one."""
    logits = torch.tensor([[0.0, 3.0, 1.0, 4.0]])
    sampler = Sampler(LogitsProcessorList([RepetitionPenaltyLogitsProcessor(2.0)]))
    ids = torch.tensor([[0]])
    assert sampler.choose(logits, ids, ids[:, :0]).token_id.item() == 3
    assert sampler.choose(logits, ids, torch.tensor([[3]])).token_id.item() == 1


def test_a_greedy_choice_is_the_argmax_and_a_drawn_one_knows_its_law() -> None:
    logits, ids = torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([[0]])
    choice = GREEDY.choose(logits, ids, ids[:, :0])
    assert choice.token_id.tolist() == [[1]]
    assert choice.probs is None
    drawing = Sampler(LogitsProcessorList(), seeded_generator(torch.device("cpu"), 1))
    drawn = drawing.choose(logits, ids, ids[:, :0])
    assert drawn.probs is not None
    torch.testing.assert_close(drawn.probs, logits[0].softmax(-1))
    assert drawn.prob == drawn.probs[drawn.token_id[0, 0]]


class OnEven(StoppingCriteria):
    def __call__(self, input_ids: torch.Tensor, scores: object, **kwargs: object) -> torch.Tensor:
        return input_ids[:, -1] % 2 == 0


@pytest.mark.parametrize(
    ("criteria", "tokens", "written", "reason"),
    [
        ([], [5, 6, 1, 7], [5, 6, 1], "eos"),
        ([OnEven()], [5, 6, 1, 7], [5, 6], "stop"),
        ([OnEven()], [5, 7, 1, 8], [5, 7, 1], "eos"),
        ([], [5, 6, 7, 8, 9, 3], [5, 6, 7, 8, 9], "length"),
        ([], [5, 6], [5, 6], None),
    ],
)
def test_a_text_ends_at_the_first_token_that_ends_it(
    criteria: list[StoppingCriteria], tokens: list[int], written: list[int], reason: str | None
) -> None:
    text = Text(torch.tensor([[2, 4]]), 5, {1}, criteria)
    assert text.append(tokens) == len(written)
    assert text.ids[0, 2:].tolist() == written
    assert text.stop_reason == reason
    assert text.n_new == len(written) and text.remaining == 5 - len(written)
