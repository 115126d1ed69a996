"""What a training needs without a model: its rates, its order."""

import pytest

from gemma_mtp_edu.training.training import Plan, shuffled


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
