"""The checkers of lessons 07 to 12: the formula, draft lengths, measuring, training, real pairs."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, count, repeat
from operator import mul, truediv
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome
from gemma_mtp_edu.lessons import checks_drafting
from gemma_mtp_edu.lessons.checking import Rows, agrees, answered, tried
from gemma_mtp_edu.lessons.language import marked, tr

__getattr__ = checks_drafting.__getattribute__
Ints = Sequence[int]
Floats = Sequence[float]
# Costs of a round with 0, 1, 2, ... drafts, in decode steps.
_FLAT, _STEEP = (1.0, 1.1, 1.2, 1.3, 1.4), (1.0, 1.4, 2.4, 3.5)
MISTAKES = {
    "warm-up": marked("the first run of the program is counted"),
    "one run": marked("there is a single run of each"),
    "different texts": marked("the two do not write the same text"),
    "not in turns": marked("all runs of one come before all runs of the other"),
    "fine": marked("nothing is wrong"),
}
# The reports of lesson 10: what is wrong with each, and what to ask who says something else.
_REPORTS = {
    "A": ("different texts", marked("What does each of the two write?")),
    "B": ("not in turns", marked("Read the numbers in the order of the runs: what goes on?")),
    "C": ("fine", marked("Which of the mistakes do you see in it: can you point at it?")),
    "D": ("warm-up", marked("Leave the first number of each out: what is the speedup then?")),
    "E": ("one run", marked("If you ran it again, would the same number come out?")),
}


@tried([(4, 1.6), (1, 1.4), (3, 3.94), (4, 1.0), (8, 3.0)], break_even_alpha, abs_tol=0.0101)
def smallest_alpha(answer: float, best: float, *case: float) -> Rows:
    """Lesson 07: the least alpha, to a hundredth, that pays for a round of this cost."""
    yield not 0 <= answer <= 1, "Alpha is a share, from 0 to 1."
    yield answer < best, "Does a round write as many tokens there as it costs decode steps?"
    yield True, "Is there a smaller one that also pays?"


# A round verifies as many drafts as one with a draft less would write tokens.
@tried(
    [([0.5, 0.5], [0.9, 0.3], 4), ([0.5, 0.5], [1.0, 0.0], 4), ([1.0], [0.7], 3)],
    lambda shares, alphas, n: (_mix(shares, alphas, n) - 1) / _mix(shares, alphas, n - 1),
)
def pooled_alpha(answer: float, best: float, shares: Floats, alphas: Floats, n: int) -> Rows:
    """Lesson 07: the alpha that a log shows of rounds of several kinds."""
    mean = agrees(answer, sum(map(mul, shares, alphas)))
    yield mean, "Do an easy round and a hard one verify equally many drafts?"
    every = agrees(answer, (_mix(shares, alphas, n) - 1) / n)
    yield every, "Are the drafts after a rejected one verified?"
    yield True, "How many drafts does a round keep on average, and how many does it verify?"


def _mix(shares: Floats, alphas: Floats, gamma: int) -> float:
    return sum(map(mul, shares, (expected_tokens(alpha, gamma) for alpha in alphas)))


@tried(
    [([0, 2, 0, 1, 3, 3], 3), ([0, 4, 4, 1], 2), ([0, 1, 1], 1)],
    lambda kept, n: tuple(_above(kept, k) / _above(kept, k - 1) for k in range(n)),
)
def alpha_by_position(answer: Any, best: Any, kept: Ints, places: int) -> Rows:
    """Lesson 08: how often each draft is right where all before it are, from an acceptance list."""
    shares = tuple(_above(kept, k) / _above(kept, -1) for k in range(places))
    yield tuple(answer) == shares, "Does the second draft count where the first is wrong?"
    yield True, "Where k drafts or more are kept, in which share are more than k? Not at entry 0?"


def _above(kept: Ints, k: int) -> int:
    return sum(n > k for n in kept[1:])


def _price(kept: Ints, lengths: Ints, costs: Floats, at: int = 1) -> float:
    if at >= len(kept):
        return 0.0
    return costs[lengths[at]] + _price(kept, lengths, costs, at + min(kept[at], lengths[at]) + 1)


def _best_constant(kept: Ints, costs: Floats) -> int:
    return min(range(len(costs)), key=lambda n: _price(kept, [n] * len(kept), costs))


@tried(
    # Entry i: how many drafts would be kept after i tokens; a text of as many tokens as entries.
    [([0, 2, 0, 1], _FLAT), ([0, 7, 6, 5, 4, 3, 2, 1], _FLAT), ([0, 0, 0, 0, 0], _FLAT),
     ([0, 3, 2, 1, 0, 3, 2, 1], _STEEP), ([0], _FLAT)],
    _best_constant,
)  # fmt: skip
def best_constant(answer: int, best: int, kept: Ints, costs: Floats) -> Rows:
    """Lesson 08: the constant draft length that makes a text cheapest, 0 among them."""
    yield best == 0, "What do rounds without drafts cost, one token each?"
    fewest = _best_constant(kept, [1] * len(costs))
    yield answer == fewest, "That has the fewest rounds. What does each of them cost?"
    yield True, "What is the total of all rounds, for each length from 0 on?"


@answered
def oracle_lengths(lengths: Ints, profile: AcceptanceProfile, costs: Floats) -> Rows:
    """Lesson 09: the draft length of each position that makes a known text cheapest."""
    kept, most = profile.n_accepted, len(costs) - 1
    oracle, _ = best_schedule(profile, costs.__getitem__, max_gamma=most)
    best, longest = (_price(kept, n, costs) for n in (oracle.lengths, [min(k, most) for k in kept]))
    known = len(lengths) == len(kept) and {*lengths} <= {*range(most + 1)}
    mine = _price(kept, lengths, costs) if known else math.inf
    yield agrees(mine, best), "Your rounds cost {mine:.2f} decode steps, as those of best_schedule."
    yield not known, "Is there a length for every position, also 0, that has a cost?"
    yield agrees(mine, longest), "Is a draft that will be kept always worth its cost?"
    yield True, "{mine:.2f} steps, {best:.2f} can be. What is cheapest, from the end backwards?"


@tried(
    [(0, 0, _STEEP), (9, 10, _FLAT), (0, 8, _STEEP), (5, 8, _STEEP)],
    lambda a, v, c: max(range(len(c)), key=lambda n: expected_tokens((a + 1) / (v + 2), n) / c[n]),
)
def next_length(answer: int, best: int, accepted: int, verified: int, costs: Floats) -> Rows:
    """Lesson 09: the draft length that the alpha so far makes fastest, with a round's costs."""
    yield best == 0, "Which length has a round that is a decode step?"
    yield answer == len(costs) - 1, "Such a round writes the most tokens. What does it cost?"
    yield True, "Which alpha do you take, and how many tokens for its cost gives each length?"


@answered
def best_threshold(answer: float, profile: Any, thresholds: list[float], cost: Any) -> Rows:
    """Lesson 09: the threshold of a confidence schedule that is fastest on a text."""
    choices = ((value, Setting("confidence", threshold=value)) for value in thresholds)
    speeds = {value: outcome(profile, choice, cost).speedup for value, choice in choices}
    if isinstance(answer, float):  # perhaps of 16 bits
        answer = next((value for value in thresholds if agrees(answer, value)), answer)
    yield speeds.get(answer) == max(speeds.values()), "None of the others is faster."
    yield answer not in speeds, "Not {answer}: choose one of {thresholds}."
    yield True, "Another is faster. Did you count what every draft and every pass costs?"


def _machine(speedup: float, drift: float) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return plain and drafted runs of a machine: slow at first, drifting, sometimes disturbed."""
    hours = (drift**n * (3 if n % 7 == 4 else 1) for n in count())

    def method(seconds: float) -> Callable[[], float]:
        slow = chain([9], repeat(1))
        return lambda: seconds * next(slow) * next(hours)

    return method(speedup), method(1.0)


def _measured(case: tuple[float, float, int], middle: Callable[..., float], turns: int) -> float:
    plain, fast = _machine(*case[:2])
    if turns:
        pairs = [(plain(), fast()) for _ in range(1 + case[2])]
        methods = [[pair[i] for pair in pairs] for i in (0, 1)]
    else:
        methods = [[run() for _ in range(1 + case[2])] for run in (plain, fast)]
    return middle(methods[0][1:]) / middle(methods[1][1:])


@tried(
    [(1.5, 1.02, 9), (0.8, 1.0, 5), (2.0, 1.03, 9)],
    lambda speedup, *_: speedup,
    got=marked("Where the true speedup is {speedup:g} you measured {answer:.3g}."),
    rel_tol=0.06,
)
def _benchmark(answer: float, best: float, speedup: float, drift: float, n: int) -> Rows:
    inverse = agrees(answer * best, 1, rel_tol=0.06)
    yield inverse, "That is drafted over plain time. Which of them is the speedup?"
    case = speedup, drift, n
    blocks = _measured(case, statistics.median, turns=0)
    yield agrees(answer, blocks, rel_tol=0.01), "The machine drifts. In which order do you call?"
    mean = agrees(answer, _measured(case, statistics.mean, turns=1), rel_tol=0.01)
    yield mean, "Once something else ran. Which kind of average ignores that?"
    yield True, "Which runs count, and what stands for them: one run, the mean, the median?"


def benchmark(function: Callable[..., float | None]) -> None:
    """Lesson 10: a benchmark of two functions, on a simulated machine."""
    _benchmark(lambda speedup, drift, n: function(*_machine(speedup, drift), n))


@answered
def wrong_benchmarks(answers: Mapping[str, str | None]) -> Rows:
    """Lesson 10: what is wrong with each of five benchmark reports, by a word of `MISTAKES`."""
    if given := {name: answer for name in _REPORTS if (answer := answers.get(name))}:
        told = (f"{name}: {tr(MISTAKES[word])}" for name, (word, _) in _REPORTS.items())
        yield given == {name: word for name, (word, _) in _REPORTS.items()}, "; ".join(told)
        for name, word in given.items():
            right, question = _REPORTS[name]
            known = {"known": ", ".join(map(repr, MISTAKES)), "question": tr(question)}
            yield word not in MISTAKES, "{name}: {word!r} is not one of {known}.", known
            yield word != right, "{name}: not {word!r}. {question}", known
        missing = ", ".join(name for name in _REPORTS if name not in given)
        yield True, "Right so far; still open: {names}.", {"names": missing}


@tried([(1, 9, 3), (4, 4, 2), (0, 5, 1.5), (5, 5, 0.5)], lambda p, d, s: (p + d) / (p + d / s))
def end_to_end(answer: float, best: float, prefill: float, decoding: float, speedup: float) -> Rows:
    """Lesson 10: the speedup of a whole answer, prefill included."""
    yield agrees(answer, speedup), "Does a drafter make the prefill faster?"
    yield agrees(answer * best, 1), "That is drafted over plain time. Which of them is the speedup?"
    yield True, "Which seconds stay, which ones are divided by the speedup?"


@tried(
    torch.randn(4, 2, 3, 6, generator=torch.Generator().manual_seed(11)).softmax(-1),
    lambda p, z: 1 - torch.minimum(p, z.softmax(-1)).sum(-1),
    got="",
)
def acceptance_loss(answer: Tensor, best: Tensor, p: Tensor, z: Tensor) -> Rows:
    """Lesson 11: the chance of a rejection for each row, from probabilities and logits."""
    yield agrees(answer, 1 - best), "Is that how often a draft is kept, or rejected?"
    logits = agrees(answer, 1 - torch.minimum(p, z).sum(-1))
    yield logits, "Those are logits. What makes a distribution of them?"
    yield True, "x is drafted with q(x), kept with min(1, p(x)/q(x)): how often is it kept?"


@tried(
    [([0.9, 0.8, 0.7, 0.6],), ([0.5],), ([1.0, 1.0],), ([0.0, 0.9],)],
    lambda right: 1 + sum(accumulate(right, mul)),
)
def round_tokens(answer: float, best: float, right: list[float]) -> Rows:
    """Lesson 11: tokens of a round from how often each draft is right after right ones."""
    yield agrees(answer, best - 1), "These are kept drafts. Which token does every round add?"
    yield agrees(answer, 1 + sum(right)), "Does the second draft count where the first is wrong?"
    yield True, "With which chance are the first k drafts all right?"


@tried([(3, 12, 512, 100), (3, 12, 512, 2048)], lambda f, s, w, n: f * n + s * min(n, w))
def cache_positions(answer: int, best: int, full: int, sliding: int, window: int, n: int) -> Rows:
    """Lesson 12: positions in a cache of full and sliding layers after a context."""
    yield answer == (full + sliding) * n, "Does a sliding layer keep what lies before its window?"
    yield answer == full * n + sliding * window, "Is the window full yet?"
    yield True, "How many tokens does each kind of layer keep, and how many layers are there?"


# Seconds of each workload by draft length; 0 is plain decoding.
@tried(
    [
        # The long workload decides, although 8 drafts have the better mean speedup,
        ({0: [2.0, 20.0], 2: [1.4, 11.0], 8: [0.5, 17.0]},),
        # or win two workloads of three.
        ({0: [1.0, 1.0, 20.0], 2: [0.8, 0.8, 12.0], 8: [0.7, 0.7, 16.0]},),
        ({0: [4.0, 4.0], 2: [4.5, 3.8], 4: [6.0, 3.5]},),
    ],
    lambda sweep: min(sweep, key=lambda gamma: sum(sweep[gamma])),
)
def one_length(answer: int, best: int, sweep: dict[int, list[float]]) -> Rows:
    """Lesson 12: the draft length of the least seconds over all workloads together."""
    yield answer not in sweep, "Is it one of the lengths {lengths}?", {"lengths": sorted(sweep)}
    wins = [own <= min(rest) for own, *rest in zip(sweep[answer], *sweep.values(), strict=True)]
    yield 2 * sum(wins) > len(wins), "It wins most workloads. How long does one wait for all?"
    means = {n: sum(map(truediv, sweep[0], own)) for n, own in sweep.items()}
    best_mean = means[answer] == max(means.values())
    yield best_mean, "Best mean speedup, but which takes most of the time?"
    yield True, "Add the seconds of each length. 0 is a length, too."


def _pays(requests: int, alpha: float, gamma: int, draft: float, knee: int) -> bool:
    step, verify = (max(1.0, requests * n / knee) for n in (1, gamma + 1))
    return expected_tokens(alpha, gamma) * step > gamma * draft * step + verify


@tried(
    [(0.8, 4, 0.1, 64), (0.5, 4, 0.2, 16), (0.2, 4, 0.5, 64), (0.95, 2, 0.05, 100)],
    lambda *case: max((b for b in range(1, case[-1] + 1) if _pays(b, *case)), default=0),
)
def most_requests(answer: int, best: int, *case: Any) -> Rows:
    """Lesson 12: up to how many requests at once drafts pay, on a machine with a knee."""
    free = case[-1] // (case[1] + 1)
    yield answer == free > best, "Does it pay for one request: do its tokens outweigh the drafts?"
    yield answer == free, "So far the extra tokens are free. May they cost something and still pay?"
    yield answer > best, "With so many, are a round's tokens more than its time in decode steps?"
    yield True, "Try one request more: what do a decode step and a round take then?"
