"""Exercise checkers: right answers pass, wrong ones get a question, unanswered ones do not stop."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from gemma_mtp_edu.lessons import checks
from gemma_mtp_edu.lessons.checks import NOT_TRIED, RIGHT


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip()


FUNCTIONS = {
    checks.passes_needed: (
        lambda n, k: 1 + math.ceil((n - 1) / k),
        lambda n, k: math.ceil((n - 1) / k),
        "reads the prompt",
    ),
    checks.memory_floor: (
        lambda parameters, size, bandwidth: parameters * size / bandwidth,
        lambda parameters, size, bandwidth: bandwidth / (parameters * size),
        "tokens per second",
    ),
    checks.break_even: (
        lambda verify, gamma, drafter: verify + gamma * drafter,
        lambda verify, gamma, drafter: verify + drafter,
        "every drafter step",
    ),
    checks.scored_tokens: (
        lambda vocabulary, centroids, top_k: vocabulary // centroids * top_k,
        lambda vocabulary, centroids, top_k: top_k,
        "in one cluster",
    ),
}


@pytest.mark.parametrize("check", FUNCTIONS)
def test_functions(check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, question = FUNCTIONS[check]
    check(right)
    assert said(capsys) == RIGHT
    check(wrong)
    assert question in said(capsys)
    check(lambda *_: None)
    assert said(capsys) == NOT_TRIED


def test_saved_passes(capsys: pytest.CaptureFixture[str]) -> None:
    plain = SimpleNamespace(target_passes=20)
    assisted = SimpleNamespace(target_passes=8, n_accepted=13)
    for answer, reply in ((None, NOT_TRIED), (12, "20 passes became 8"), (13, "inside the drafts")):
        checks.saved_passes(answer, plain, assisted)
        assert reply in said(capsys)
    checks.saved_passes(5, plain, assisted)
    assert said(capsys).startswith("Not 5.")


def test_kv_layer(capsys: pytest.CaptureFixture[str]) -> None:
    text = SimpleNamespace(
        num_hidden_layers=4,
        num_kv_shared_layers=2,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )
    text.get_text_config = lambda: text
    pair = SimpleNamespace(target=SimpleNamespace(config=text))
    replies = {None: NOT_TRIED, 1: RIGHT, 3: "or share them", 0: "sliding-window KV", 2: "Not 2."}
    for answer, reply in replies.items():
        checks.kv_layer(answer, pair)
        assert reply in said(capsys)
