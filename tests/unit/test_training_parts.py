"""What a training needs without a model: its memory, its figure, its order."""

import pytest
import torch
from transformers import Gemma4AssistantForCausalLM

from gemma_mtp_edu.show.plots import plot_training
from gemma_mtp_edu.training.training import shuffled
from gemma_mtp_edu.training.training_memory import training_memory
from gemma_mtp_edu.training.training_plan import Look, Plan, learning_rate_factor
from tests.model.tiny import tiny_pair

LOOKS = {
    "first": (Look(0, acceptance=0.0), Look(10, 1.5, (0.5,), 0.25, 2.0)),
    "second": (Look(0, acceptance=0.5),),
}


def test_memory_counts_weights_four_times_and_laws_by_token() -> None:
    drafter: Gemma4AssistantForCausalLM = tiny_pair().drafter
    parameters = sum(p.numel() for p in drafter.parameters())
    need = training_memory(1000, drafter, tokens=10, answer_tokens=4, plan=Plan(unroll=3))
    assert need.drafter == 16 * parameters
    assert need.laws == 4 * 10 * 64
    assert need.unroll == 4 * 4 * 4 * 3 * 64
    assert need.total == 1000 + need.drafter + need.laws + need.unroll
    assert "together, at least" in str(need)
    with pytest.raises(ValueError, match="got 3 tokens, 4 of them in answers"):
        training_memory(1000, drafter, tokens=3, answer_tokens=4, plan=Plan())


def test_a_real_pairs_need_comes_from_its_drafter_without_weights() -> None:
    with torch.device("meta"):
        drafter = Gemma4AssistantForCausalLM(tiny_pair().drafter.config)
    need = training_memory(10, drafter, tokens=5, answer_tokens=5, plan=Plan())
    assert need == training_memory(10, tiny_pair().drafter, tokens=5, answer_tokens=5, plan=Plan())


def test_the_figure_holds_every_look_and_its_text_says_the_same() -> None:
    ax = plot_training(LOOKS, reference=0.9)
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert lines["first"] == [0.0, 0.25]
    assert lines["second"] == [0.5]
    assert lines["bundled drafter"][0] == 0.9
    text = ax.get_label()
    assert "first: 0% at step 0, 25% at step 10; second: 50% at step 0." in text
    assert "90%" in text


def test_the_rate_warms_up_holds_and_falls() -> None:
    plan = Plan(steps=100, warmup=10, decay_from=50, learning_rate=2.0)
    assert plan.rate(0) == pytest.approx(0.2)
    assert plan.rate(9) == plan.rate(49) == 2.0
    assert plan.rate(75) == pytest.approx(2.0 * (1 - 0.98 * 0.5))
    assert learning_rate_factor(100, warmup=10, decay_from=50, total=100) == pytest.approx(0.02)


def test_every_epoch_has_all_items_in_an_order_of_its_own() -> None:
    stream = shuffled(list(range(10)), seed=1)
    epochs = [[next(stream) for _ in range(10)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = shuffled(list(range(10)), seed=1)
    assert [next(again) for _ in range(10)] == epochs[0]
