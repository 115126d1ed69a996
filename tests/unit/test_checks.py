"""Exercise checkers: right answers pass, wrong ones get a question, unanswered ones do not stop."""

import math
import statistics
from typing import Any

import numpy as np
import pytest
import torch

from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.core.verification import residual_distribution
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


def mixed(shares: list[float], alphas: list[float], gamma: int) -> float:
    return sum(s * expected_tokens(a, gamma) for s, a in zip(shares, alphas, strict=True))


def above(kept: list[int], k: int) -> int:
    return sum(n > k for n in kept[1:])


def cheapest_constant(kept: list[int], costs: Any) -> int:
    totals = [0.0] * len(costs)
    for gamma, cost in enumerate(costs):
        position = 1
        while position < len(kept):
            position += min(kept[position], gamma) + 1
            totals[gamma] += cost
    return totals.index(min(totals))


def fastest(alpha: float, costs: Any) -> int:
    return max(range(len(costs)), key=lambda n: expected_tokens(alpha, n) / costs[n])


def in_turns(plain: Any, drafted: Any, repeats: int, middle: Any = statistics.median) -> float:
    turns = [(plain(), drafted()) for _ in range(repeats + 1)][1:]
    return ratio(*map(list, zip(*turns, strict=True)), middle)


def most(alpha: float, gamma: int, draft: float, knee: int) -> int:
    """Above the tokens that are free, the verify pass takes b (gamma + 1) / knee: solved for b."""
    bound = expected_tokens(alpha, gamma) - gamma * draft
    return math.floor(knee * bound / (gamma + 1)) if bound > 1 else 0


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


def without(p: Any, draft: int) -> Any:
    left = p.clone()
    left[draft] = 0
    return left / left.sum()


def sampling_round(p: Any, q: Any, drafts: list[int], uniforms: list[float]) -> Any:
    for i, (x, u) in enumerate(zip(drafts, uniforms, strict=True)):
        if u >= p[i, x] / q[i, x]:
            return i, residual_distribution(p[i], q[i])
    return len(drafts), p[len(drafts)]


def counting_all(p: Any, q: Any, drafts: list[int], uniforms: list[float]) -> Any:
    tried = enumerate(zip(drafts, uniforms, strict=True))
    n = sum(u < p[i, x] / q[i, x] for i, (x, u) in tried)
    return n, sampling_round(p, q, drafts, uniforms)[1]


def bonus_or_nothing(p: Any, q: Any, drafts: list[int], uniforms: list[float]) -> Any:
    n, last = sampling_round(p, q, drafts, uniforms)
    return n, last if n == len(drafts) else (p[n] - q[n]).clamp(min=0)


def drafted(state: Any, centroids: Any, order: Any, table: Any, top_k: int) -> int:
    best = (centroids @ state).topk(top_k).indices
    candidates = order.view(len(centroids), -1)[best].flatten()
    return int(candidates[(table[candidates] @ state).argmax()])


KINDS = ("full", "sliding")


def last(kinds: list[str], kind: str) -> int:
    return len(kinds) - 1 - kinds[::-1].index(kind)


def attention(q: Any, keys: Any, values: Any, before: int | None = None) -> Any:
    before = len(keys) - len(q) if before is None else before
    later = torch.ones(len(q), len(keys)).triu(before + 1).bool()
    scores = q @ keys.T / keys.shape[1] ** 0.5
    return scores.masked_fill(later, -torch.inf).softmax(-1) @ values


# Of each checker a right function, and wrong ones with words of the question that they get.
FUNCTIONS: dict[Any, list[tuple[Any, str]]] = {
    checks.passes_needed: [
        (lambda n, k: 1 + math.ceil((n - 1) / k), RIGHT),
        (lambda n, k: math.ceil((n - 1) / k), "For (60, 1) you got 59. Which pass reads"),
        (lambda n, k: n, "left after the prefill"),
    ],
    checks.experts_read: [
        (lambda e, k, n: e * (1 - (1 - k / e) ** n), RIGHT),
        (lambda e, k, n: min(e, k * n), "For (128, 8, 5) you got 40. So many if no two"),
        (lambda e, k, n: e * (1 - k / e) ** n, "left out"),
        (lambda e, k, n: k, "For (128, 8, 5) you got 8. With what probability"),
    ],
    checks.kv_sources: [
        (lambda kinds, n: [last(kinds[: len(kinds) - n], kind) for kind in KINDS], RIGHT),
        (lambda kinds, n: (last(kinds, "sliding"), last(kinds, "full")), "Which of the two"),
        (lambda kinds, n: (last(kinds, "full"), last(kinds, "sliding")), "share those of an ear"),
        (lambda kinds, n: [kinds.index(kind) for kind in KINDS], "Is it the last layer"),
    ],
    checks.attend: [
        (attention, RIGHT),
        (lambda q, k, v: attention(q, k, v, 9), "Which keys belong to later tokens?"),
        (lambda q, k, v: attention(q, k, v, 0), "How many cached keys stand before"),
        (lambda q, k, v: attention(2 * q, k, v), "divided by the root of the head size"),
    ],
    checks.break_even: [
        (lambda verify, gamma, drafter: verify + gamma * drafter, RIGHT),
        (lambda verify, gamma, drafter: verify + drafter, "every drafter step"),
        (lambda verify, gamma, drafter: 9.0, "commit how many tokens"),
    ],
    checks.emitted: [
        (lambda q, accept, after: q * accept + (1 - (q * accept).sum()) * after, RIGHT),
        (lambda q, accept, after: q * accept, "is written after a rejection"),
        (lambda q, accept, after: q, "Those are the drafts"),
        (lambda q, accept, after: after, "drafted and accepted"),
        (lambda q, accept, after: q * torch.nan, "drafted and accepted"),
    ],
    checks.argmax_rule: [
        (lambda p, d: (p[d], without(p, d) if p[d] < 1 else p), RIGHT),
        (lambda p, d: (p[d], without(p, d)), "NaN, for p(draft) = 1.00"),
        (lambda p, d: (0.0, p), "possible, not 0.00"),
        (lambda p, d: (p[d], p), "Which tokens may follow a rejection"),
        (lambda p, d: (1.0, p), "how often may it be accepted"),
    ],
    checks.sampling_round: [
        (sampling_round, RIGHT),
        (counting_all, "that follows a rejected one"),
        (lambda p, q, d, u: (0, p[0]), "that p/q is compared to"),
        (lambda p, q, d, u: (n := sampling_round(p, q, d, u)[0], p[n]), "That is p."),
        (lambda p, q, d, u: (sampling_round(p, q, d, u)[0], q[0]), "Which row of p comes after"),
        (bonus_or_nothing, "is it normalised"),
        (lambda p, q, d, u: (sampling_round(p, q, d, u)[0], p[0] * torch.nan), "Which row"),
    ],
    checks.centroid_head: [
        (drafted, RIGHT),
        (lambda state, c, order, table, k: (table @ state).argmax(), "best of all tokens"),
        (
            lambda s, c, order, *rest: drafted(s, c, torch.arange(24), *rest),
            "are those of cluster c",
        ),
        (lambda s, c, order, table, k: drafted(s, c, order, -table, k), "With which embeddings"),
        (lambda *head: -1, "-1 is no candidate."),
    ],
    checks.times_less_work: [
        (lambda v, c, k: v / (c + v // c * k), RIGHT),
        (lambda v, c, k: c / k, "What must be scored first"),
        (lambda v, c, k: (c + v // c * k) / v, "share of the work"),
        (lambda v, c, k: v / c, "How many scores does each head"),
    ],
    checks.pooled_alpha: [
        (lambda s, a, n: (mixed(s, a, n) - 1) / mixed(s, a, n - 1), RIGHT),
        (lambda s, a, n: sum(x * y for x, y in zip(s, a, strict=True)), "verify equally many"),
        (lambda s, a, n: (mixed(s, a, n) - 1) / n, "after a rejected one"),
        (lambda s, a, n: 0.5, "and how many does it verify"),
        (lambda s, a, n: 1 / (n - 4), "For ([0.5, 0.5], [0.9, 0.3], 4) it divides by zero"),
    ],
    checks.smallest_alpha: [
        (smallest, RIGHT),
        (lambda g, c: 1.0, "a smaller one"),
        (lambda g, c: smallest(g, c) - 0.05, "as many tokens there"),
        (lambda g, c: 100 * smallest(g, c), "from 0 to 1"),
    ],
    checks.alpha_by_position: [
        (lambda kept, n: [above(kept, k) / above(kept, k - 1) for k in range(n)], RIGHT),
        (
            lambda kept, n: [above(kept, k) / len(kept[1:]) for k in range(n)],
            "where the first is wrong",
        ),
        (lambda kept, n: [0.5] * n, "you got (0.5, 0.5, 0.5). Where k drafts"),
    ],
    checks.best_constant: [
        (cheapest_constant, RIGHT),
        (lambda kept, costs: max(1, cheapest_constant(kept, costs)), "one token"),
        (lambda kept, costs: cheapest_constant(kept, [1] * len(costs)), "fewest rounds"),
        (lambda kept, costs: 9, "the total of all rounds"),
    ],
    checks.next_length: [
        (lambda a, n, costs: fastest((a + 1) / (n + 2), costs), RIGHT),
        (lambda a, n, costs: max(1, fastest((a + 1) / (n + 2), costs)), "is a decode step"),
        (lambda a, n, costs: len(costs) - 1, "writes the most tokens"),
        (lambda a, n, costs: 0 if n == 10 else fastest(a / max(n, 1), costs), "Which alpha"),
    ],
    checks.benchmark: [
        (in_turns, RIGHT),
        (lambda p, d, n: 1 / in_turns(p, d, n), "Which of them is the speedup"),
        (lambda p, d, n: ratio(*([run() for _ in range(n + 1)][1:] for run in (p, d))), "drifts"),
        (lambda p, d, n: in_turns(p, d, n, statistics.mean), "something else"),
        (lambda p, d, n: p() / d() * 2, "you measured 2.94. Which runs count"),
    ],
    checks.end_to_end: [
        (lambda prefill, decoding, s: (prefill + decoding) / (prefill + decoding / s), RIGHT),
        (lambda p, d, s: s, "make the prefill faster"),
        (lambda p, d, s: (p + d / s) / (p + d), "Which of them is the speedup"),
        (lambda p, d, s: p + d / s, "Which seconds stay"),
    ],
    checks.acceptance_loss: [
        (lambda p, z: 1 - torch.minimum(p, z.softmax(-1)).sum(-1), RIGHT),
        (lambda p, z: torch.minimum(p, z.softmax(-1)).sum(-1), "how often a draft is kept, or"),
        (lambda p, z: 1 - torch.minimum(p, z).sum(-1), "Those are logits"),
        (lambda p, z: 1 - torch.minimum(p, z.softmax(-1)).sum(), "Is that as many numbers"),
        (lambda p, z: (p - z.softmax(-1)).abs().sum(-1), "kept with min"),
    ],
    checks.round_tokens: [
        (lambda right: 1 + sum(math.prod(right[:k]) for k in range(1, len(right) + 1)), RIGHT),
        (lambda right: sum(math.prod(right[:k]) for k in range(1, len(right) + 1)), "round add"),
        (lambda right: 1 + sum(right), "where the first is wrong"),
        (lambda right: 9.0, "the first k drafts"),
    ],
    checks.cache_positions: [
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
    checks.most_requests: [
        (most, RIGHT),
        (lambda alpha, gamma, draft, knee: knee // (gamma + 1), "So far the extra tokens are free"),
        (lambda *case: max(most(*case), case[-1] // (case[1] + 1)), "Does it pay for one request"),
        (lambda *case: most(*case) + 1, "more than its time"),
        (lambda *case: most(*case) - 1, "Try one request more"),
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
    "float16": lambda value: np.array(value, dtype=np.float16),
    "bfloat16": lambda value: torch.tensor(value, dtype=torch.bfloat16),
    "once bfloat16": lambda value: torch.tensor(numbers(value)).bfloat16().tolist(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_counts_in_any_form(check: Any, form: str, said: Any) -> None:
    assert said(check, in_form(FUNCTIONS[check][0][0], form)).startswith(RIGHT)


def in_form(function: Any, form: str) -> Any:
    """Return a function whose answers have another form."""

    def other(*case: Any) -> Any:
        answer = function(*case)
        return FORMS[form](answer if isinstance(answer, int | float) else numbers(answer))

    return other


@pytest.mark.parametrize("form", ["float16", "bfloat16", "once bfloat16"])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_of_16_bits_only_what_they_lack_is_forgiven(check: Any, form: str, said: Any) -> None:
    for wrong, _ in FUNCTIONS[check][1:]:
        assert not said(check, in_form(wrong, form)).startswith(RIGHT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("check", [checks.attend, checks.emitted, checks.acceptance_loss])
def test_an_answer_computed_in_16_bits_counts(check: Any, dtype: torch.dtype, said: Any) -> None:
    right = FUNCTIONS[check][0][0]
    assert said(check, lambda *case: right(*(part.to(dtype) for part in case))) == RIGHT


@pytest.mark.parametrize("answer", ["seven", {}, object(), [["a"]], [1.0] * 9, torch.zeros(3, 3)])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_of_another_kind_gets_a_question(check: Any, answer: Any, said: Any) -> None:
    reply = said(check, lambda *case: answer)
    assert reply.endswith("?") and not reply.startswith(RIGHT)


def test_a_function_that_changes_its_arguments_is_tried_on_whole_ones(said: Any) -> None:
    def emptying(kept: list[int], costs: Any) -> int:
        best = cheapest_constant(kept, costs)
        kept.clear()
        return best

    assert said(checks.best_constant, emptying) == said(checks.best_constant, emptying) == RIGHT


def test_an_alpha_of_either_side_of_a_hundredth_passes(said: Any) -> None:
    assert said(checks.smallest_alpha, break_even_alpha) == RIGHT


# Chains of three right drafts: a fourth would be paid for nothing.
THREES = make_profile(tuple(range(17)), tuple((*range(i, i + 3), 99) for i in range(1, 17)))
ANSWERS: list[tuple[Any, tuple[Any, ...], dict[Any, str]]] = [
    (
        checks.oracle_lengths,
        (THREES, [1.0, 1.2, 1.4, 1.6, 1.8]),
        {
            None: NOT_TRIED,
            (3,) * 17: f"{RIGHT} Your rounds cost 6.40 decode steps, as those of best_schedule.",
            (4,) * 17: "7.20 steps, 6.40 can be. What is cheapest",
            (0,) * 16: "a length for every position",
            (9,) * 17: "that has a cost?",
        },
    ),
    (
        checks.oracle_lengths,
        (THREES, [1.0, 1.2, 3.6, 5.6, 9.0]),
        {(3,) * 17: "always worth its cost", (1,) * 17: RIGHT},
    ),
    # All drafts are wrong and half sure: the sooner drafting stops, the better.
    (
        checks.best_threshold,
        (HARD, (0.1, 0.9), 0.25),
        {None: NOT_TRIED, 0.9: RIGHT, 0.1: "faster", 0.3: "choose one of (0.1, 0.9)"},
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
        assert said(check, several, *given).endswith("?")


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
