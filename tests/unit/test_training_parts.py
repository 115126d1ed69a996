"""What a training needs without a model: its figure, its rates, its order."""

import pytest

from gemma_mtp_edu.show.plots import plot_training
from gemma_mtp_edu.training.target_texts import Evaluation
from gemma_mtp_edu.training.training import Plan, shuffled

EVALUATIONS = {
    "first": (Evaluation(0, acceptance=0.0), Evaluation(10, 1.5, (0.5,), 0.25, 2.0)),
    "second": (Evaluation(0, acceptance=0.5),),
}


def test_the_figure_holds_every_evaluation_and_its_text_says_the_same() -> None:
    ax = plot_training(EVALUATIONS, reference=0.9)
    lines = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert lines["first"] == [0.0, 0.25]
    assert lines["second"] == [0.5]
    assert lines["bundled drafter"][0] == 0.9
    text = ax.get_label()
    assert "first: 0% at 0, 25% at 10; second: 50% at 0; " in text
    assert text.endswith("bundled drafter 0.90.")


def test_the_rate_warms_up_holds_and_falls() -> None:
    plan = Plan(steps=100, warmup=10, decay_from=50, learning_rate=2.0)
    assert plan.rate(0) == pytest.approx(0.2)
    assert plan.rate(9) == plan.rate(49) == 2.0
    assert plan.rate(75) == pytest.approx(2.0 * (1 - 0.98 * 0.5))
    assert plan.rate(100) == pytest.approx(0.04)


def test_every_epoch_has_all_items_in_an_order_of_its_own() -> None:
    stream = shuffled(list(range(10)), seed=1)
    epochs = [[next(stream) for _ in range(10)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    again = shuffled(list(range(10)), seed=1)
    assert [next(again) for _ in range(10)] == epochs[0]
