"""Exercise checkers of the lessons about draft lengths and schedules; `checks` hands them on."""

from collections.abc import Callable, Sequence

from gemma_mtp_edu.decoding_checks import NOT_TRIED, RIGHT
from gemma_mtp_edu.profile import AcceptanceProfile
from gemma_mtp_edu.schedules import Heuristic, LastRound
from gemma_mtp_edu.tradeoff import Setting, outcome, speedups_by_length

# Entry i: how many drafts would be kept after i tokens; a text of as many tokens as entries.
_TEXTS = ((0, 2, 0, 1), (0, 3, 2, 1, 0, 0), (0, 0, 0, 0, 0), (0, 7, 6, 5, 4, 3, 2, 1), (0,))
_ROUNDS = ((4, 4), (4, 1), (1, 0), (1, 1), (2, 1), (7, 7))


def rounds_needed(function: Callable[[Sequence[int], int], int | None]) -> None:
    """Lesson 08: rounds that a text takes, from how many drafts would be kept at each position."""
    for counts in _TEXTS:
        for gamma in (1, 2, 4):
            answer = function(list(counts), gamma)
            if answer is None:
                print(NOT_TRIED)
                return
            expected = _rounds(counts, gamma)
            if answer != expected:
                print(
                    f"For ({list(counts)}, {gamma}) you got {answer}. "
                    f"{_rounds_question(answer, expected, counts, gamma)}"
                )
                return
    print(RIGHT)


def best_length(answer: int | None, profile: AcceptanceProfile, cost_ratio: float) -> None:
    """Lesson 08: the best constant draft length for a text."""
    speeds = speedups_by_length(profile, cost_ratio)
    if answer is None:
        print(NOT_TRIED)
    elif answer not in range(1, len(speeds) + 1):
        print(f"Not {answer}: the profile knows 1 to {len(speeds)} drafts per round.")
    elif speeds[answer - 1] == max(speeds):
        print(f"{RIGHT} No other constant length is faster on this text at this cost.")
    else:
        longer = speeds.index(max(speeds)) + 1 > answer
        print(
            f"{answer} drafts are {'too few' if longer else 'too many'}. Have you compared all "
            f"lengths, with {cost_ratio:g} plain passes per draft?"
        )


def heuristic_rule(function: Callable[[int, int], int | None]) -> None:
    """Lesson 09: the next draft length from the last one and the number of kept drafts."""
    for gamma, n_accepted in _ROUNDS:
        answer = function(gamma, n_accepted)
        if answer is None:
            print(NOT_TRIED)
            return
        expected = Heuristic(4).gamma(1, LastRound(gamma, gamma, n_accepted))
        if answer != expected:
            print(
                f"After {gamma} drafts, {n_accepted} of them kept, you say {answer}. "
                f"{_heuristic_question(answer, gamma, n_accepted)}"
            )
            return
    print(RIGHT)


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
        print(NOT_TRIED)
    elif answer not in speeds:
        print(f"Not {answer}: choose one of {', '.join(f'{t:g}' for t in thresholds)}.")
    elif speeds[answer] == max(speeds.values()):
        print(f"{RIGHT} None of the others is faster on this text.")
    else:
        print(
            "Another of them is faster. Have you divided the tokens by the cost of all rounds, "
            f"with {cost_ratio:g} plain passes per draft?"
        )


def _rounds(counts: Sequence[int], gamma: int) -> int:
    position, rounds = 1, 0
    while position < len(counts):
        position += min(counts[position], gamma) + 1
        rounds += 1
    return rounds


def _rounds_question(answer: int, expected: int, counts: Sequence[int], gamma: int) -> str:
    if answer == expected + 1:
        return "Is the prefill a round, and at which position does the first round start?"
    if gamma < max(counts) and answer == _rounds(counts, max(counts)):
        return "Can a round keep more drafts than it makes?"
    if answer > expected:
        return "How many tokens does a round write when it keeps 2 drafts?"
    return "After how many tokens does the next round start, and when is the text complete?"


def _heuristic_question(answer: int, gamma: int, n_accepted: int) -> str:
    if answer < 1:
        return "Could a round without drafts ever be followed by a longer one?"
    if n_accepted == gamma:
        return "All were kept. By how much does the rule grow then?"
    return "One was refused. By how much does the rule shrink, however many were refused?"
