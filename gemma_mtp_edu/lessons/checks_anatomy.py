"""Exercise checkers of the lesson about the drafter's inside; `checks` hands them on."""

import math
from collections.abc import Callable, Sequence

from gemma_mtp_edu.analysis.ablation import AblationResult
from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT, agrees
from gemma_mtp_edu.lessons.language import sentences, tr


def visible_entries(function: Callable[[int, int], tuple[int, int] | None]) -> None:
    """Lesson 06: KV entries that a full and a sliding layer of the drafter see."""
    for length, window in ((10, 64), (65, 64), (66, 64), (300, 64), (1, 8)):
        answer = function(length, window)
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = (length - 1, min(window, length - 1))
        if tuple(answer) != expected:
            question = _visible_question(tuple(answer), expected, length)
            got = tr(
                "For ({arguments}) you got {answer}.",
                arguments=f"{length}, {window}",
                answer=tuple(answer),
            )
            print(sentences(got, question))
            return
    print(tr(RIGHT))


def times_less_work(function: Callable[[int, int, int], float | None]) -> None:
    """Lesson 06: how many times less a centroid head multiplies, from vocabulary, clusters, top-k.

    For the real E2B that is 262144 / (2048 + 4096), about 43.
    """
    for case in ((2048, 128, 16), (262_144, 2048, 32), (1000, 10, 10)):
        vocabulary, centroids, top_k = case
        expected = vocabulary / (centroids + vocabulary // centroids * top_k)

        def question(answer: float, right: float, case: tuple[int, int, int] = case) -> str:
            return _work_question(answer, right, case)

        if not agrees(function, case, expected, question):
            return
    print(tr(RIGHT))


def needs_the_loop(answer: str | None, results: Sequence[AblationResult]) -> None:
    """Lesson 06: the change that leaves the first draft alone, and costs the later ones most."""
    known = {result.part: result for result in results}
    untouched = [r for r in results if math.isclose(r.kept[0], r.as_is[0])]
    expected = max(untouched, key=lambda r: sum(r.as_is) - r.mean_kept)
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer not in known:
        print(
            tr(
                "{answer!r} is not one of {known}.",
                answer=answer,
                known=", ".join(map(repr, known)),
            )
        )
    elif answer == expected.part:
        loses = tr(
            "The last draft is kept in {kept:.0%} of all chains instead of {whole:.0%}, the first "
            "one as often as before.",
            kept=expected.kept[-1],
            whole=expected.as_is[-1],
        )
        print(sentences(tr(RIGHT), loses))
    elif known[answer] not in untouched:
        print(
            tr(
                "{answer!r} changes the first draft too. Which rows have the same first number?",
                answer=answer,
            )
        )
    else:
        print(
            tr(
                "{answer!r} leaves the first draft alone, but does another row lose more behind "
                "it?",
                answer=answer,
            )
        )


def _visible_question(answer: tuple[int, ...], expected: tuple[int, int], length: int) -> str:
    if answer[0] == length:
        return tr("Has the newest token gone through the target, so that it has keys and values?")
    if answer[0] != expected[0]:
        return tr("Which tokens have gone through the target when a draft starts?")
    if answer[1] > expected[1]:
        return tr("Can a sliding layer see more than its window, or more than there is?")
    return tr(
        "How far back does a sliding layer see, counted from the token before the newest one?"
    )


def _work_question(answer: float, expected: float, case: tuple[int, int, int]) -> str:
    _, centroids, top_k = case
    if math.isclose(answer * expected, 1, rel_tol=1e-6):
        return tr("That is the share of the work that is left. How many times less is it?")
    if math.isclose(answer, centroids / top_k, rel_tol=1e-6):
        return tr(
            "Those are the scores of tokens. What must be scored first, to know the clusters?"
        )
    return tr(
        "How many scores does each head compute: of the whole vocabulary, of clusters, of tokens?"
    )
