"""Exercise checkers: right answers pass, wrong ones get a question, unanswered ones do not stop."""

import math
import statistics
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gemma_mtp_edu.analysis.ablation import AblationResult
from gemma_mtp_edu.analysis.lossless import emitted_distribution
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.core.verification import residual_distribution, verify_greedy
from gemma_mtp_edu.lessons import checks
from gemma_mtp_edu.lessons.checking import NOT_TRIED, RIGHT, numbers
from gemma_mtp_edu.lessons.checks_measuring import MISTAKES
from tests.unit.test_replay import make_profile
from tests.unit.test_tradeoff import HARD


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that asks a checker and returns its reply."""

    def ask(check: Any, *given: Any) -> str:
        assert check(*given) is None
        return capsys.readouterr().out.strip()

    return ask


def smallest(gamma: int, cost: float) -> float:
    return next(a / 100 for a in range(101) if expected_tokens(a / 100, gamma) >= cost)


def ratio(plain: list[float], drafted: list[float], middle: Any = statistics.median) -> float:
    return middle(plain) / middle(drafted)


def rounds(kept: list[int], gamma: int) -> int:
    position, count = 1, 0
    while position < len(kept):
        position += min(kept[position], gamma) + 1
        count += 1
    return count


def least(sweep: dict[int, list[float]]) -> int:
    return min(sweep, key=lambda gamma: sum(sweep[gamma]))


def best_mean(sweep: dict[int, list[float]]) -> int:
    return max(sweep, key=lambda n: sum(a / b for a, b in zip(sweep[0], sweep[n], strict=True)))


def greedy(drafts: list[int], wanted: list[int]) -> tuple[int, int]:
    verdict = verify_greedy(torch.tensor(wanted), torch.tensor(drafts, dtype=torch.long))
    return verdict.n_accepted, verdict.next_id


# Of each checker a right function, and wrong ones with words of the question that they get.
FUNCTIONS: dict[Any, list[tuple[Any, str]]] = {
    checks.passes_needed: [
        (lambda n, k: 1 + math.ceil((n - 1) / k), RIGHT),
        (lambda n, k: math.ceil((n - 1) / k), "For (60, 1) you got 59. Which pass reads"),
        (lambda n, k: n, "left after the prefill"),
    ],
    checks.memory_floor: [
        (lambda n, size, bandwidth: n * size / bandwidth, RIGHT),
        (lambda n, size, bandwidth: bandwidth / (n * size), "tokens per second"),
        (lambda n, size, bandwidth: n / bandwidth, "For (2.3e+09, 2, 3.2e+11) you got 0.0071"),
    ],
    checks.break_even: [
        (lambda verify, gamma, drafter: verify + gamma * drafter, RIGHT),
        (lambda verify, gamma, drafter: verify + drafter, "every drafter step"),
        (lambda verify, gamma, drafter: 9.0, "commit how many tokens"),
    ],
    checks.scored_tokens: [
        (lambda v, c, k: v // c * k, RIGHT),
        (lambda v, c, k: k, "in one cluster"),
    ],
    checks.greedy_round: [
        (greedy, RIGHT),
        (lambda d, w: (len(d), w[-1]), "after a wrong one"),
        (lambda d, w: (0, w[0]), "stop too early"),
        (lambda d, w: (len(d), 0) if d == w[:-1] else greedy(d, w), "All drafts hold"),
        (
            lambda d, w: (greedy(d, w)[0], w[-1]),
            "For drafts [5, 8] and target [5, 7, 9] you got (1, 9). What stands in the place",
        ),
    ],
    checks.residual: [
        (residual_distribution, RIGHT),
        (lambda p, q: p - q, "negative"),
        (lambda p, q: (p - q).clamp(min=0), "It sums to 0."),
        (lambda p, q: p, "not this one"),
    ],
    checks.emitted: [
        (emitted_distribution, f"{RIGHT} It is p, whatever q is."),
        (torch.minimum, "the rejected mass"),
        (lambda p, q: q, "It sums to 1, but is not p. Did you count the chance of"),
    ],
    checks.visible_entries: [
        (lambda n, w: [n - 1, min(w, n - 1)], RIGHT),
        (lambda n, w: (n, min(w, n)), "For (10, 64) you got (10, 10). Has the newest token"),
        (lambda n, w: (n + 1, w), "Which tokens have gone"),
        (lambda n, w: (n - 1, w), "more than its window"),
        (lambda n, w: (n - 1, min(w, n) - 1), "How far back"),
    ],
    checks.times_less_work: [
        (lambda v, c, k: v / (c + v // c * k), RIGHT),
        (lambda v, c, k: c / k, "What must be scored first"),
        (lambda v, c, k: (c + v // c * k) / v, "share of the work"),
        (lambda v, c, k: v / c, "How many scores does each head"),
    ],
    checks.tokens_per_round: [
        (lambda alpha, gamma: sum(alpha**k for k in range(gamma + 1)), RIGHT),
        (lambda a, g: sum(a**k for k in range(1, g + 1)), "does every round"),
        (lambda a, g: 1 + a * g, "where the first is wrong"),
        (lambda a, g: a**g, "k-th draft"),
        (lambda a, g: (1 - a ** (g + 1)) / (1 - a), "For (1, 4) it divides by zero"),
    ],
    checks.smallest_alpha: [
        (smallest, RIGHT),
        (lambda g, c: 1.0, "a smaller one"),
        (lambda g, c: smallest(g, c) - 0.05, "as many tokens there"),
        (lambda g, c: 100 * smallest(g, c), "from 0 to 1"),
    ],
    checks.rounds_needed: [
        (rounds, RIGHT),
        (lambda kept, gamma: rounds(kept, gamma) + 1, "For ([0, 2, 0, 1], 1) you got 3. Is th"),
        (lambda kept, gamma: rounds(kept, 99), "more drafts than it makes"),
        (lambda kept, gamma: len(kept) + 5, "How many tokens"),
        (lambda kept, gamma: 0, "complete"),
    ],
    checks.heuristic_rule: [
        (lambda gamma, kept: gamma + 2 if kept == gamma else max(1, gamma - 1), RIGHT),
        (lambda gamma, kept: gamma + 1, "After 4 drafts, 4 of them kept, you say 5. All were"),
        (lambda gamma, kept: gamma + 2 if kept == gamma else max(1, kept), "shrink"),
        (lambda gamma, kept: gamma + 2 if kept == gamma else gamma - 1, "without drafts"),
    ],
    checks.fair_speedup: [
        (lambda plain, drafted: ratio(plain[1:], drafted[1:]), RIGHT),
        (lambda p, d: ratio(d[1:], p[1:]), "Which of them is the speedup"),
        (lambda p, d: ratio(p[1:], d[1:], statistics.mean), "something else"),
        (ratio, "one that should count"),
        (lambda p, d: p[0] / d[0], "you got 1.79. Which runs count"),
    ],
    checks.end_to_end: [
        (lambda prefill, decoding, s: (prefill + decoding) / (prefill + decoding / s), RIGHT),
        (lambda p, d, s: s, "make the prefill faster"),
        (lambda p, d, s: (p + d / s) / (p + d), "Which of them is the speedup"),
        (lambda p, d, s: p + d / s, "Which seconds stay"),
    ],
    checks.rejection_probability: [
        (lambda p, q: 1 - sum(map(min, p, q)), RIGHT),
        (lambda p, q: sum(map(min, p, q)), "you got 0.7. Is that how often a draft is kept"),
        (lambda p, q: sum(abs(a - b) for a, b in zip(p, q, strict=True)), "Each moved bit"),
        (lambda p, q: 0.123, "kept with min"),
    ],
    checks.may_see: [
        (lambda newest, key: newest - 4 <= key < newest, RIGHT),
        (lambda newest, key: key <= newest, "Has the target passed that token"),
        (lambda newest, key: key < newest, "For (10, 5) you got True. How far back"),
    ],
    checks.cache_entries: [
        (lambda full, sliding, window, n: full * n + sliding * min(n, window), RIGHT),
        (lambda f, s, w, n: (f + s) * n, "before its window"),
        (lambda f, s, w, n: f * n + s * w, "window full yet"),
        (lambda f, s, w, n: f + s, "how many layers"),
    ],
    checks.one_length: [
        (least, RIGHT),
        (lambda sweep: 3, "one of the lengths [0, 2, 8]"),
        (lambda sweep: least({n: s for n, s in sweep.items() if n}), "Add the seconds"),
        (lambda sweep: 8 if len(sweep) == len(sweep[0]) else least(sweep), "wins most"),
        (best_mean, "which takes most of the time?"),
    ],
    checks.kept_speed: [
        (lambda p, m: m[max(p, key=p.get)] / max(m.values()), RIGHT),
        (lambda p, m: max(m.values()) / m[max(p, key=p.get)], "Which share"),
        (lambda p, m: max(p.values()) / max(m.values()), "promised"),
        (lambda p, m: max(p.values()) / m[max(p, key=p.get)], "error of the promise"),
        (lambda p, m: 1.0, "by the prediction"),
    ],
}


@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_functions(check: Any, said: Any) -> None:
    (right, praise), *wrong = FUNCTIONS[check]
    assert said(check, right) == praise
    assert said(check, lambda *_: None) == NOT_TRIED
    for function, question in wrong:
        reply = said(check, function)
        assert question in reply
        assert reply.endswith("?") or question == "Add the seconds" or "from 0 to 1" in reply


FORMS: dict[str, Any] = {
    "tensor": torch.tensor, "array": np.array, "row": lambda value: torch.tensor([numbers(value)]),
    "list": numbers, "tuple": lambda value: tuple(numbers(value)),
    "of tensors": lambda value: [torch.tensor(number) for number in numbers(value)],
    "float32": lambda value: torch.tensor(value, dtype=torch.float32),
    "float64": lambda value: np.array(value, dtype=np.float64),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_counts_in_any_form(check: Any, form: str, said: Any) -> None:
    right = FUNCTIONS[check][0][0]

    def other(*case: Any) -> Any:
        answer = right(*case)
        return FORMS[form](answer.tolist() if isinstance(answer, torch.Tensor) else answer)

    assert said(check, other).startswith(RIGHT)


@pytest.mark.parametrize("answer", ["seven", {}, object(), [["a"]], [1.0] * 9, torch.zeros(3, 3)])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_of_another_kind_gets_a_question(check: Any, answer: Any, said: Any) -> None:
    reply = said(check, lambda *case: answer)
    assert reply.endswith("?") and not reply.startswith(RIGHT)


def test_a_function_that_changes_its_arguments_is_tried_on_whole_ones(said: Any) -> None:
    def emptying(drafts: list[int], wanted: list[int]) -> tuple[int, int]:
        verdict = greedy(drafts, wanted)
        drafts.clear()
        wanted.clear()
        return verdict

    assert said(checks.greedy_round, emptying) == said(checks.greedy_round, emptying) == RIGHT


def test_an_alpha_of_either_side_of_a_hundredth_passes(said: Any) -> None:
    assert said(checks.smallest_alpha, break_even_alpha) == RIGHT


PLAIN = SimpleNamespace(target_passes=20)
ASSISTED = SimpleNamespace(target_passes=8, n_accepted=13)
TEXT = SimpleNamespace(
    num_hidden_layers=4,
    num_kv_shared_layers=2,
    layer_types=["sliding_attention", "full_attention"] * 2,
)
TEXT.get_text_config = lambda: TEXT
PAIR = SimpleNamespace(target=SimpleNamespace(config=TEXT))
ABLATIONS = (
    AblationResult("as is", (0.8, 0.6), (0.8, 0.6), 10),
    AblationResult("hidden state not fed back", (0.8, 0.25), (0.8, 0.6), 10),
    AblationResult("advancing positions", (0.8, 0.5), (0.8, 0.6), 10),
    AblationResult("no hidden state", (0.25, 0.05), (0.8, 0.6), 10),
)
# Chains of three right drafts: the fourth is always paid for nothing.
THREES = make_profile(tuple(range(17)), tuple((*range(i, i + 3), 99) for i in range(1, 17)))
ANSWERS: list[tuple[Any, tuple[Any, ...], dict[Any, str]]] = [
    (
        checks.saved_passes,
        (PLAIN, ASSISTED),
        {None: NOT_TRIED, 12: f"{RIGHT} 20 passes became 8", 13: "inside the drafts", 5: "Not 5."},
    ),
    (
        checks.kv_layer,
        (PAIR,),
        {None: NOT_TRIED, 1: RIGHT, 3: "or share them", 0: "sliding-window KV", 2: "Not 2."},
    ),
    (
        checks.best_length,
        (THREES, 0.1),
        {None: NOT_TRIED, 3: RIGHT, 1: "Too few", 4: "Too many", 0: "1 to 4"},
    ),
    # All drafts are wrong and half sure: the sooner drafting stops, the better.
    (
        checks.best_threshold,
        (HARD, (0.1, 0.9), 0.25),
        {None: NOT_TRIED, 0.9: RIGHT, 0.1: "faster", 0.3: "choose one of (0.1, 0.9)"},
    ),
    (
        checks.needs_the_loop,
        (ABLATIONS,),
        {
            None: NOT_TRIED,
            "head": "'head' is not one of 'as is'",
            "no hidden state": "changes the first draft too",
            "advancing positions": "does another row lose more",
            "as is": "does another row lose more",
            "hidden state not fed back": "Right. The last draft is kept in 25% of chains",
        },
    ),
]


@pytest.mark.parametrize(
    ("check", "given", "replies"), ANSWERS, ids=[check.__name__ for check, *_ in ANSWERS]
)
def test_answers(check: Any, given: tuple[Any, ...], replies: dict[Any, str], said: Any) -> None:
    for answer, reply in replies.items():
        for form in FORMS.values() if isinstance(answer, int | float) else ():
            assert reply in said(check, form(answer), *given)
        assert reply in said(check, answer, *given)
    for several in ([1, 2], torch.arange(3), np.zeros((2, 2))):
        assert said(check, several, *given).endswith("and nothing else?")


@pytest.mark.parametrize(
    ("first", "second", "reply"),
    [
        (None, 3.94, NOT_TRIED),
        (1.19, None, NOT_TRIED),
        (2.05 / 1.72, 2.05 / 0.52, RIGHT),
        (1.2, 3.9, RIGHT),
        (1.05 / 1.72, 3.94, "What else does it write"),
        (1.19, 1.05 / 0.52, "0.52. Those are drafts"),
        (1.19, 0.52 / 2.05, "its inverse"),
        (3.94, 1.19, "Not 3.94 where the speedup is 1.72. How many"),
    ],
)
def test_round_costs(first: float | None, second: float | None, reply: str, said: Any) -> None:
    assert reply in said(checks.round_costs, first, second)


BENCHMARKS = {
    "A": "different texts", "B": "not in turns", "C": "fine", "D": "warm-up", "E": "one run",
}  # fmt: skip


def test_benchmark_reports(said: Any) -> None:
    assert set(BENCHMARKS.values()) == set(MISTAKES)
    told = said(checks.wrong_benchmarks, BENCHMARKS)
    assert told.startswith(f"{RIGHT} A: the two do not write the same text; B: all runs")
    for answers, reply in (
        (dict.fromkeys("ABCDE"), NOT_TRIED),
        ({}, NOT_TRIED),
        ({**BENCHMARKS, "B": None, "E": None}, "still open: B, E."),
        ({"A": "noise"}, "A: 'noise' is not one of 'warm-up', 'one run'"),
    ):
        assert reply in said(checks.wrong_benchmarks, answers)
    questions = set()
    for name, right in BENCHMARKS.items():
        for word in set(MISTAKES) - {right}:
            reply = said(checks.wrong_benchmarks, {**BENCHMARKS, name: word})
            assert reply.startswith(f"{name}: not {word!r}. ")
            questions.add(reply.split(". ", 1)[1])
    assert len(questions) == 5, "each report has a question of its own"
