"""The checkers of lessons 07 to 12: the formula, draft lengths, measuring, training, real pairs."""

import statistics
from collections.abc import Mapping, Sequence
from operator import truediv
from typing import Any

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Heuristic, LastRound
from gemma_mtp_edu.lessons.checking import Rows, agrees, answered, tried
from gemma_mtp_edu.lessons.language import marked, tr

# Entry i: how many drafts would be kept after i tokens; a text of as many tokens as entries.
_TEXTS = ([0, 2, 0, 1], [0, 3, 2, 1, 0, 0], [0, 0, 0, 0, 0], [0, 7, 6, 5, 4, 3, 2, 1], [0])
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


@tried([(0.8, 4), (0.5, 2), (0.0, 3), (0.9, 0), (1.0, 4)], expected_tokens)
def tokens_per_round(answer: float, best: float, alpha: float, gamma: int) -> Rows:
    """Lesson 07: expected tokens of a round from alpha and gamma."""
    yield agrees(answer, best - 1), "These are kept drafts. Which token does every round add?"
    yield agrees(answer, 1 + alpha * gamma), "Does the second draft count where the first is wrong?"
    yield True, "With which chance is the k-th draft kept, and what does a round always write?"


# Gemma 4 12B with 3 drafts per round keeps 1.05 (lablup/mlxcel, pull request 744).
@tried(
    [(1.72,), (0.52,)],
    lambda speedup: 2.05 / speedup,
    got=marked("Not {answer:g} where the speedup is {speedup:g}."),
    praise=marked("On the second machine, a pass over 4 tokens ran as 4 passes over one."),
    rel_tol=0.02,
)
def _round_cost(answer: float, best: float, speedup: float) -> Rows:
    yield agrees(answer, 1.05 / speedup, rel_tol=0.02), "Those are drafts. What else does it write?"
    yield agrees(answer * best, 1, rel_tol=0.02), "That is its inverse: rounds per plain pass."
    yield True, "How many tokens does a round write, and plain decoding in that time?"


def round_costs(first: float | None, second: float | None) -> None:
    """Lesson 07: what a round costs in plain passes on the two machines of a published table."""
    _round_cost({1.72: first, 0.52: second}.get)


@tried([(4, 1.6), (1, 1.4), (3, 3.94), (4, 1.0), (8, 3.0)], break_even_alpha, abs_tol=0.0101)
def smallest_alpha(answer: float, best: float, *case: float) -> Rows:
    """Lesson 07: the least alpha, to a hundredth, that pays for a round of this cost."""
    yield not 0 <= answer <= 1, "Alpha is a share, from 0 to 1."
    yield answer < best, "Does a round write as many tokens there as it costs plain passes?"
    yield True, "Is there a smaller one that also pays?"


def _rounds(kept: Sequence[int], gamma: int, at: int = 1) -> int:
    return 0 if at >= len(kept) else 1 + _rounds(kept, gamma, at + min(kept[at], gamma) + 1)


@tried([(text, gamma) for text in _TEXTS for gamma in (1, 2, 4)], _rounds)
def rounds_needed(answer: int, best: int, kept: list[int], gamma: int) -> Rows:
    """Lesson 08: rounds that a text takes, from how many drafts would be kept at each position."""
    yield answer == best + 1, "Is the prefill a round, and where does the first round start?"
    yield answer == _rounds(kept, 99), "Can a round keep more drafts than it makes?"
    yield answer > best, "How many tokens does a round write when it keeps 2 drafts?"
    yield True, "How far does a round go, and when is the text complete?"


@answered
def best_length(answer: int, profile: AcceptanceProfile, cost_ratio: float) -> Rows:
    """Lesson 08: the best constant draft length for a text."""
    speeds = dict(enumerate(speedups_by_length(profile, cost_ratio), 1))
    best, known = max(speeds, key=speeds.__getitem__), {"longest": len(speeds)}
    right = speeds.get(answer) == speeds[best]
    yield right, "No other constant length is faster on this text at this cost."
    yield answer not in speeds, "Not {answer}: choose 1 to {longest} drafts per round.", known
    yield answer < best, "Too few. Did you compare all lengths, at {cost_ratio:g} passes per draft?"
    yield True, "Too many. Did you compare all lengths, at {cost_ratio:g} passes per draft?"


@tried(
    [(4, 4), (4, 1), (1, 0), (1, 1), (2, 1), (7, 7)],
    lambda gamma, kept: Heuristic(4).gamma(1, LastRound(gamma, gamma, kept)),
    got=marked("After {gamma} drafts, {kept} of them kept, you say {answer}."),
)
def heuristic_rule(answer: int, best: int, gamma: int, kept: int) -> Rows:
    """Lesson 09: the next draft length from the last one and the number of kept drafts."""
    yield answer < 1, "Could a round without drafts ever be followed by a longer one?"
    yield kept == gamma, "All were kept. By how much does the rule grow then?"
    yield True, "One was rejected. By how much does the rule shrink, however many were rejected?"


@answered
def best_threshold(answer: float, profile: Any, thresholds: list[float], cost_ratio: float) -> Rows:
    """Lesson 09: the threshold of a confidence schedule that is fastest on a text."""
    choices = ((value, Setting("confidence", threshold=value)) for value in thresholds)
    speeds = {value: outcome(profile, choice, cost_ratio).speedup for value, choice in choices}
    answer = round(answer, 6) if isinstance(answer, float) else answer  # from a float32 tensor
    yield speeds.get(answer) == max(speeds.values()), "None of the others is faster."
    yield answer not in speeds, "Not {answer}: choose one of {thresholds}."
    yield True, "Another is faster. Did you count {cost_ratio:g} plain passes per draft made?"


@tried(
    [([3.4, 2, 2.1, 2, 9], [1.9, 1, 1.1, 1, 1]), ([1, 1, 1, 1], [1.3, 1.25, 1.25, 1.2])],
    lambda plain, fast: statistics.median(plain[1:]) / statistics.median(fast[1:]),
    got=marked("For {plain} and {fast} you got {answer:.3g}."),
)
def fair_speedup(answer: float, best: float, plain: list[float], fast: list[float]) -> Rows:
    """Lesson 10: the speedup from two lists of seconds, of which each first one is a warm-up."""
    yield agrees(answer * best, 1), "That is drafted over plain time. Which of them is the speedup?"
    mean = statistics.mean(plain[1:]) / statistics.mean(fast[1:])
    yield agrees(answer, mean), "Once something else ran. Which kind of middle does not mind that?"
    every = statistics.median(plain) / statistics.median(fast)
    yield agrees(answer, every), "Is every run in the list one that should count?"
    yield True, "Which runs count, and what stands for them: one run, the mean, the median?"


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
    [([0.3, 0.3, 0.25, 0.15], [0.6, 0.2, 0.1, 0.1]), ([1, 0], [0.5, 0.5]), ([0.5] * 2, [0.5] * 2)],
    lambda p, q: 1 - sum(map(min, p, q)),
    got=marked("For p {p} and q {q} you got {answer:.4g}."),
)
def rejection_probability(answer: float, best: float, p: list[float], q: list[float]) -> Rows:
    """Lesson 11: how often lossless sampling rejects a draft from q where the target has p."""
    yield agrees(answer, 1 - best), "Is that how often a draft is kept, or rejected?"
    yield agrees(answer, 2 * best), "Each moved bit counts twice. Where is it taken, where given?"
    yield True, "x is drafted with q(x), kept with min(1, p(x)/q(x)): how often is it kept?"


@tried([(10, 9), (10, 10), (10, 11), (10, 6), (10, 5), (3, 0)], lambda n, key: n - 4 <= key < n)
def may_see(answer: bool, best: bool, newest: int, key: int) -> Rows:
    """Lesson 11: whether a drafter whose newest token is at one place sees the KV of another."""
    yield key >= newest, "Has the target passed that token yet when the drafter starts?"
    yield True, "How far back does a window of that size reach from the newest token?"


@tried([(3, 12, 512, 100), (3, 12, 512, 2048)], lambda f, s, w, n: f * n + s * min(n, w))
def cache_entries(answer: int, best: int, full: int, sliding: int, window: int, n: int) -> Rows:
    """Lesson 12: token entries in a cache of full and sliding layers after a context."""
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


@tried(
    [({0: 1, 2: 1.5, 4: 1.8}, {0: 1, 2: 1.6, 4: 1.2}), ({0: 1, 4: 1.3}, {0: 1, 4: 0.7})],
    lambda predicted, real: real[max(predicted, key=predicted.get)] / max(real.values()),
)
def kept_speed(answer: float, best: float, *sweeps: dict[int, float]) -> Rows:
    """Lesson 12: share of the best measured speed that the predicted length gives."""
    predicted, measured = sweeps
    promised, fastest = max(predicted.values()), max(measured.values())
    yield agrees(answer * best, 1), "That is the inverse. Which share of the best does it keep?"
    share, error = agrees(answer, promised / fastest), agrees(answer * best, promised / fastest)
    yield share, "The speed that was promised is not the one that you get. Which one is?"
    yield error, "Is the error of the promise what it costs?"
    yield True, "Which length would you take by the prediction? How fast is that one really?"
