"""Exercise checkers of the lessons about draft lengths and schedules; `checks` hands them on."""

from collections.abc import Callable, Sequence

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.tradeoff import Setting, fastest_length, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Heuristic, LastRound
from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT
from gemma_mtp_edu.lessons.language import sentences, tr

# Entry i: how many drafts would be kept after i tokens; a text of as many tokens as entries.
_TEXTS = ((0, 2, 0, 1), (0, 3, 2, 1, 0, 0), (0, 0, 0, 0, 0), (0, 7, 6, 5, 4, 3, 2, 1), (0,))
_ROUNDS = ((4, 4), (4, 1), (1, 0), (1, 1), (2, 1), (7, 7))


def rounds_needed(function: Callable[[Sequence[int], int], int | None]) -> None:
    """Lesson 08: rounds that a text takes, from how many drafts would be kept at each position."""
    for counts in _TEXTS:
        for gamma in (1, 2, 4):
            answer = function(list(counts), gamma)
            if answer is None:
                print(tr(NOT_TRIED))
                return
            expected = _rounds(counts, gamma)
            if answer != expected:
                got = tr(
                    "For ({arguments}) you got {answer}.",
                    arguments=f"{list(counts)}, {gamma}",
                    answer=answer,
                )
                print(sentences(got, _rounds_question(answer, expected, counts, gamma)))
                return
    print(tr(RIGHT))


def best_length(answer: int | None, profile: AcceptanceProfile, cost_ratio: float) -> None:
    """Lesson 08: the best constant draft length for a text."""
    speeds = speedups_by_length(profile, cost_ratio)
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer not in range(1, len(speeds) + 1):
        print(
            tr(
                "Not {answer}: the profile knows 1 to {longest} drafts per round.",
                answer=answer,
                longest=len(speeds),
            )
        )
    elif speeds[answer - 1] == max(speeds):
        fastest = tr("No other constant length is faster on this text at this cost.")
        print(sentences(tr(RIGHT), fastest))
    else:
        longer = fastest_length(speeds) > answer
        print(
            tr(
                "{answer} drafts are too few. Have you compared all lengths, with {cost:g} plain "
                "passes per draft?"
                if longer
                else "{answer} drafts are too many. Have you compared all lengths, with {cost:g} "
                "plain passes per draft?",
                answer=answer,
                cost=cost_ratio,
            )
        )


def heuristic_rule(function: Callable[[int, int], int | None]) -> None:
    """Lesson 09: the next draft length from the last one and the number of kept drafts."""
    for gamma, n_accepted in _ROUNDS:
        answer = function(gamma, n_accepted)
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = Heuristic(4).gamma(1, LastRound(gamma, gamma, n_accepted))
        if answer != expected:
            said = tr(
                "After {gamma} drafts, {kept} of them kept, you say {answer}.",
                gamma=gamma,
                kept=n_accepted,
                answer=answer,
            )
            print(sentences(said, _heuristic_question(answer, gamma, n_accepted)))
            return
    print(tr(RIGHT))


def best_threshold(
    answer: float | None,
    profile: AcceptanceProfile,
    thresholds: Sequence[float],
    cost_ratio: float,
) -> None:
    """Lesson 09: the threshold of a confidence schedule that is fastest on a text."""
    speeds = {
        threshold: outcome(profile, Setting("confidence", threshold=threshold), cost_ratio).speedup
        for threshold in thresholds
    }
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer not in speeds:
        known = ", ".join(f"{t:g}" for t in thresholds)
        print(tr("Not {answer}: choose one of {known}.", answer=answer, known=known))
    elif speeds[answer] == max(speeds.values()):
        print(sentences(tr(RIGHT), tr("None of the others is faster on this text.")))
    else:
        print(
            tr(
                "Another of them is faster. Have you divided the tokens by the cost of all "
                "rounds, with {cost:g} plain passes per draft?",
                cost=cost_ratio,
            )
        )


def _rounds(counts: Sequence[int], gamma: int) -> int:
    position, rounds = 1, 0
    while position < len(counts):
        position += min(counts[position], gamma) + 1
        rounds += 1
    return rounds


def _rounds_question(answer: int, expected: int, counts: Sequence[int], gamma: int) -> str:
    if answer == expected + 1:
        return tr("Is the prefill a round, and at which position does the first round start?")
    if gamma < max(counts) and answer == _rounds(counts, max(counts)):
        return tr("Can a round keep more drafts than it makes?")
    if answer > expected:
        return tr("How many tokens does a round write when it keeps 2 drafts?")
    return tr("After how many tokens does the next round start, and when is the text complete?")


def _heuristic_question(answer: int, gamma: int, n_accepted: int) -> str:
    if answer < 1:
        return tr("Could a round without drafts ever be followed by a longer one?")
    if n_accepted == gamma:
        return tr("All were kept. By how much does the rule grow then?")
    return tr("One was refused. By how much does the rule shrink, however many were refused?")
