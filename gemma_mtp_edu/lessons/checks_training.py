"""Exercise checkers of the lesson about training a drafter; `checks` hands them on."""

from collections.abc import Callable, Sequence

from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT
from gemma_mtp_edu.lessons.language import sentences, tr

_LAWS = (
    ((0.3, 0.3, 0.25, 0.15), (0.6, 0.2, 0.1, 0.1)),
    ((1.0, 0.0), (0.5, 0.5)),
    ((0.5, 0.5), (0.5, 0.5)),
    ((0.9, 0.1, 0.0), (0.0, 0.1, 0.9)),
)
_PLACES = ((10, 9), (10, 10), (10, 11), (10, 6), (10, 5), (3, 0))
_WINDOW = 4


def rejection_probability(
    function: Callable[[Sequence[float], Sequence[float]], float | None],
) -> None:
    """Lesson 11: how often lossless sampling rejects a draft from q where the target has p."""
    for p, q in _LAWS:
        answer = function(list(p), list(q))
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = 1 - sum(map(min, p, q))
        if abs(answer - expected) > 1e-9:
            got = tr("For p {p} and q {q} you got {answer:.4g}.", p=p, q=q, answer=answer)
            print(sentences(got, _rejection_question(answer, expected)))
            return
    print(tr(RIGHT))


def _rejection_question(answer: float, expected: float) -> str:
    if abs(answer - (1 - expected)) < 1e-9:
        return tr("Is that how often a draft is kept, or how often it is refused?")
    if abs(answer - 2 * expected) < 1e-9:
        return tr(
            "All differences added count each moved bit twice. Where is it taken, where given?"
        )
    return tr(
        "A token x is drafted with q(x) and kept with min(1, p(x)/q(x)): how often is it kept?"
    )


def may_see(function: Callable[[int, int], bool | None]) -> None:
    """Lesson 11: whether a drafter whose newest token is at one place sees the KV of another."""
    for newest, key in _PLACES:
        answer = function(newest, key)
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = newest - _WINDOW <= key < newest
        if answer != expected:
            said = tr(
                "With the newest token at {newest} and a window of {window}, you say that the KV "
                "at {key} is seen."
                if answer
                else "With the newest token at {newest} and a window of {window}, you say that "
                "the KV at {key} is hidden.",
                newest=newest,
                window=_WINDOW,
                key=key,
            )
            print(sentences(said, _sight_question(newest, key)))
            return
    print(tr(RIGHT))


def _sight_question(newest: int, key: int) -> str:
    if key >= newest:
        return tr("Has the target passed that token yet when the drafter starts?")
    return tr("How far back does a window of that size reach from the newest token?")
