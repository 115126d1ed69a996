"""The checkers of lessons 08 to 12: draft lengths, measuring, training, real checkpoints."""

import statistics
from collections.abc import Mapping, Sequence

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Heuristic, LastRound
from gemma_mtp_edu.lessons.checks_decoding import agrees, answered, right, tried
from gemma_mtp_edu.lessons.language import marked, sentences, tr

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
    "B": (
        "not in turns",
        marked("Read the numbers in the order of the runs: what is the machine doing?"),
    ),
    "C": ("fine", marked("Which of the mistakes do you see in it: can you point at it?")),
    "D": ("warm-up", marked("Leave the first number of each out: what is the speedup then?")),
    "E": ("one run", marked("If you ran it again, would the same number come out?")),
}


def _rounds(kept: Sequence[int], gamma: int) -> int:
    position, rounds = 1, 0
    while position < len(kept):
        position += min(kept[position], gamma) + 1
        rounds += 1
    return rounds


# Entry i: how many drafts would be kept after i tokens; a text of as many tokens as entries.
_TEXTS = ([0, 2, 0, 1], [0, 3, 2, 1, 0, 0], [0, 0, 0, 0, 0], [0, 7, 6, 5, 4, 3, 2, 1], [0])


@tried([(text, gamma) for text in _TEXTS for gamma in (1, 2, 4)], _rounds)
def rounds_needed(answer: int, best: int, kept: list[int], gamma: int) -> str:
    """Lesson 08: rounds that a text takes, from how many drafts would be kept at each position."""
    if answer == best + 1:
        return tr("Is the prefill a round, and at which position does the first round start?")
    if gamma < max(kept) and answer == _rounds(kept, max(kept)):
        return tr("Can a round keep more drafts than it makes?")
    if answer > best:
        return tr("How many tokens does a round write when it keeps 2 drafts?")
    return tr("After how many tokens does the next round start, and when is the text complete?")


@answered
def best_length(answer: int, profile: AcceptanceProfile, cost_ratio: float) -> str:
    """Lesson 08: the best constant draft length for a text."""
    speeds = speedups_by_length(profile, cost_ratio)
    if answer not in range(1, len(speeds) + 1):
        return tr(
            "Not {answer}: the profile knows 1 to {longest} drafts per round.",
            answer=answer,
            longest=len(speeds),
        )
    if speeds[answer - 1] == max(speeds):
        return right(tr("No other constant length is faster on this text at this cost."))
    return tr(
        "{answer} drafts are too few. Have you compared all lengths, with {cost:g} plain "
        "passes per draft?"
        if answer < speeds.index(max(speeds)) + 1
        else "{answer} drafts are too many. Have you compared all lengths, with {cost:g} "
        "plain passes per draft?",
        answer=answer,
        cost=cost_ratio,
    )


@tried(
    [(4, 4), (4, 1), (1, 0), (1, 1), (2, 1), (7, 7)],
    lambda gamma, kept: Heuristic(4).gamma(1, LastRound(gamma, gamma, kept)),
    got=marked("After {gamma} drafts, {kept} of them kept, you say {answer}."),
)
def heuristic_rule(answer: int, best: int, gamma: int, kept: int) -> str:
    """Lesson 09: the next draft length from the last one and the number of kept drafts."""
    if answer < 1:
        return tr("Could a round without drafts ever be followed by a longer one?")
    if kept == gamma:
        return tr("All were kept. By how much does the rule grow then?")
    return tr("One was rejected. By how much does the rule shrink, however many were rejected?")


@answered
def best_threshold(
    answer: float, profile: AcceptanceProfile, thresholds: Sequence[float], cost_ratio: float
) -> str:
    """Lesson 09: the threshold of a confidence schedule that is fastest on a text."""
    speeds = {
        threshold: outcome(profile, Setting("confidence", threshold=threshold), cost_ratio).speedup
        for threshold in thresholds
    }
    if answer not in speeds:
        known = ", ".join(f"{t:g}" for t in thresholds)
        return tr("Not {answer}: choose one of {known}.", answer=answer, known=known)
    if speeds[answer] == max(speeds.values()):
        return right(tr("None of the others is faster on this text."))
    return tr(
        "Another of them is faster. Have you divided the tokens by the cost of all "
        "rounds, with {cost:g} plain passes per draft?",
        cost=cost_ratio,
    )


@tried(
    [
        ([3.4, 2.0, 2.1, 2.0, 9.0], [1.9, 1.0, 1.1, 1.0, 1.0]),
        ([1.0, 1.0, 1.0, 1.0], [1.3, 1.25, 1.25, 1.2]),
    ],
    lambda plain, fast: statistics.median(plain[1:]) / statistics.median(fast[1:]),
    got=marked("For {plain} and {assisted} you got {answer:.3g}."),
)
def fair_speedup(answer: float, best: float, plain: list[float], assisted: list[float]) -> str:
    """Lesson 10: the speedup from two lists of seconds, of which each first one is a warm-up."""
    if agrees(answer * best, 1):
        return tr("That is the time with drafts over the plain one. Which of them is the speedup?")
    if agrees(answer, statistics.mean(plain[1:]) / statistics.mean(assisted[1:])):
        return tr("Once something else was running. Which kind of middle does not mind that?")
    if agrees(answer, statistics.median(plain) / statistics.median(assisted)):
        return tr("Is every run in the list one that should count?")
    return tr("Which runs count, and what stands for them: one run, the mean, the median?")


@answered
def wrong_benchmarks(answers: Mapping[str, str | None]) -> str | None:
    """Lesson 10: what is wrong with each of five benchmark reports, by a word of `MISTAKES`."""
    given = {name: answer for name in _REPORTS if (answer := answers.get(name)) is not None}
    if not any(given.values()):
        return None
    for name, answer in given.items():
        wanted, question = _REPORTS[name]
        if answer not in MISTAKES:
            known = ", ".join(map(repr, MISTAKES))
            return f"{name}: {tr('{answer!r} is not one of {known}.', answer=answer, known=known)}"
        if answer != wanted:
            wrong = tr("{name}: not {answer!r}.", name=name, answer=answer)
            return sentences(wrong, tr(question))
    if missing := [name for name in _REPORTS if name not in given]:
        return tr("Right so far; still open: {names}.", names=", ".join(missing))
    return right("; ".join(f"{name}: {tr(MISTAKES[w])}" for name, (w, _) in _REPORTS.items()))


@tried(
    [(1.0, 9.0, 3.0), (4.0, 4.0, 2.0), (0.0, 5.0, 1.5), (5.0, 5.0, 0.5)],
    lambda prefill, rest, speedup: (prefill + rest) / (prefill + rest / speedup),
)
def end_to_end(answer: float, best: float, prefill: float, decoding: float, speedup: float) -> str:
    """Lesson 10: the speedup of a whole answer, prefill included."""
    if agrees(answer, speedup):
        return tr("Does a drafter make the prefill faster?")
    if agrees(answer * best, 1):
        return tr("That is the time with drafts over the plain one. Which of them is the speedup?")
    return tr("Which seconds stay, which ones are divided by the speedup?")


@tried(
    [
        ([0.3, 0.3, 0.25, 0.15], [0.6, 0.2, 0.1, 0.1]),
        ([1.0, 0.0], [0.5, 0.5]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([0.9, 0.1, 0.0], [0.0, 0.1, 0.9]),
    ],
    lambda p, q: 1 - sum(map(min, p, q)),
    got=marked("For p {p} and q {q} you got {answer:.4g}."),
)
def rejection_probability(answer: float, best: float, p: list[float], q: list[float]) -> str:
    """Lesson 11: how often lossless sampling rejects a draft from q where the target has p."""
    if agrees(answer, 1 - best):
        return tr("Is that how often a draft is kept, or how often it is rejected?")
    if agrees(answer, 2 * best):
        return tr("All differences count each moved bit twice. Where is it taken, where given?")
    return tr("x is drafted with q(x) and kept with min(1, p(x)/q(x)): how often is it kept?")


@tried(
    [(10, 9), (10, 10), (10, 11), (10, 6), (10, 5), (3, 0)],
    lambda newest, key: newest - 4 <= key < newest,
)
def may_see(answer: bool, best: bool, newest: int, key: int) -> str:
    """Lesson 11: whether a drafter whose newest token is at one place sees the KV of another."""
    if key >= newest:
        return tr("Has the target passed that token yet when the drafter starts?")
    return tr("How far back does a window of that size reach from the newest token?")


@tried(
    [(3, 12, 512, 100), (3, 12, 512, 2048), (10, 50, 1024, 1024), (2, 0, 512, 9000)],
    lambda full, sliding, window, n: full * n + sliding * min(n, window),
)
def cache_entries(answer: int, best: int, full: int, sliding: int, window: int, n: int) -> str:
    """Lesson 12: token entries in a cache of full and sliding layers after a context."""
    if answer == (full + sliding) * n:
        return tr("Does a sliding layer keep what lies before its window?")
    if answer == full * n + sliding * window:
        return tr("Is the window full yet?")
    return tr("How many tokens does each kind of layer keep, and how many layers are there?")


def _choice(speeds: dict[int, float]) -> int:
    return max(speeds, key=lambda gamma: speeds[gamma])


@tried(
    [
        # Seconds of each workload by draft length; 0 is plain decoding.
        ({0: [10.0, 10.0], 2: [6.0, 7.0], 4: [5.0, 9.5]},),
        # The long workload decides, although 8 drafts have the better mean speedup,
        ({0: [2.0, 20.0], 2: [1.4, 11.0], 8: [0.5, 17.0]},),
        # or win two workloads of three.
        ({0: [1.0, 1.0, 20.0], 2: [0.8, 0.8, 12.0], 8: [0.7, 0.7, 16.0]},),
        ({0: [4.0, 4.0], 2: [4.5, 3.8], 4: [6.0, 3.5]},),
    ],
    lambda sweep: min(sweep, key=lambda gamma: sum(sweep[gamma])),
)
def one_length(answer: int, best: int, sweep: dict[int, list[float]]) -> str:
    """Lesson 12: the draft length of the least seconds over all workloads together."""
    if answer not in sweep:
        return tr("Is it one of the lengths {lengths}?", lengths=sorted(sweep))
    workloads = range(len(sweep[0]))
    wins = [min(sweep, key=lambda gamma: sweep[gamma][i]) == answer for i in workloads]
    if 2 * sum(wins) > len(wins):
        return tr("It wins most workloads. How long does somebody wait for all of them?")
    speedups = {n: sum(sweep[0][i] / own[i] for i in workloads) for n, own in sweep.items()}
    if answer == _choice(speedups):
        return tr("Its mean speedup is the best. Which workload takes most of the time?")
    return tr("Add the seconds of each length. 0 is a length, too.")


@tried(
    [
        ({0: 1.0, 2: 1.5, 4: 1.8}, {0: 1.0, 2: 1.6, 4: 1.2}),
        ({0: 1.0, 2: 1.4, 4: 1.3}, {0: 1.0, 2: 0.8, 4: 0.7}),
        ({0: 1.0, 1: 1.2, 8: 3.0}, {0: 1.0, 1: 1.1, 8: 2.0}),
    ],
    lambda predicted, measured: measured[_choice(predicted)] / max(measured.values()),
)
def kept_speed(answer: float, best: float, *sweeps: dict[int, float]) -> str:
    """Lesson 12: share of the best measured speed that the predicted length gives."""
    predicted, measured = sweeps
    promised, real = predicted[_choice(predicted)], measured[_choice(predicted)]
    if agrees(answer * best, 1):
        return tr("That is how much faster the best is. Which share of it does the choice keep?")
    if agrees(answer, promised / max(measured.values())):
        return tr("The speed that was promised is not the one that you get. Which one is?")
    if agrees(answer, promised / real):
        return tr("That is the error of the promise. What does a wrong promise cost, if anything?")
    return tr("Which length would you have taken by the prediction? How fast is that one really?")
