"""Exercise checkers of the lesson about real checkpoints; `checks` hands them on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT, agrees
from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.measure.results import fastest

# Layers with full and with sliding attention, window, context.
_CACHES = ((3, 12, 512, 100), (3, 12, 512, 2048), (10, 50, 1024, 1024), (2, 0, 512, 9000))
# Seconds of each workload by draft length; 0 is plain decoding.
_SWEEPS: tuple[dict[int, tuple[float, ...]], ...] = (
    {0: (10.0, 10.0), 2: (6.0, 7.0), 4: (5.0, 9.5)},
    # The long workload decides, although 8 drafts have the better mean speedup,
    {0: (2.0, 20.0), 2: (1.4, 11.0), 8: (0.5, 17.0)},
    # or win two workloads of three.
    {0: (1.0, 1.0, 20.0), 2: (0.8, 0.8, 12.0), 8: (0.7, 0.7, 16.0)},
    {0: (4.0, 4.0), 2: (4.5, 3.8), 4: (6.0, 3.5)},
)
_FORECASTS: tuple[tuple[dict[int, float], dict[int, float]], ...] = (
    ({0: 1.0, 2: 1.5, 4: 1.8}, {0: 1.0, 2: 1.6, 4: 1.2}),
    ({0: 1.0, 2: 1.4, 4: 1.3}, {0: 1.0, 2: 0.8, 4: 0.7}),
    ({0: 1.0, 1: 1.2, 8: 3.0}, {0: 1.0, 1: 1.1, 8: 2.0}),
)


def cache_entries(function: Callable[[int, int, int, int], int | None]) -> None:
    """Lesson 12: token entries in a cache of full and sliding layers after a context."""
    for case in _CACHES:
        full, sliding, window, context = case
        expected = full * context + sliding * min(context, window)
        if not agrees(function, case, expected, partial(_cache_question, case)):
            return
    print(tr(RIGHT))


def _cache_question(case: tuple[int, int, int, int], answer: float, _: float) -> str:
    full, sliding, window, context = case
    if answer == (full + sliding) * context:
        return tr("Does a sliding layer keep what lies before its window?")
    if answer == full * context + sliding * window:
        return tr("Is the window full yet?")
    return tr(
        "How many tokens does a full layer keep, how many a sliding one, and how many layers?"
    )


def one_length(function: Callable[[Mapping[int, Sequence[float]]], int | None]) -> None:
    """Lesson 12: the draft length of the least seconds over all workloads together."""
    for sweep in _SWEEPS:
        answer = function({gamma: list(seconds) for gamma, seconds in sweep.items()})
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = min(sweep, key=lambda gamma: sum(sweep[gamma]))
        if answer != expected:
            got = tr("For ({arguments}) you got {answer}.", arguments=sweep, answer=answer)
            print(sentences(got, _length_question(answer, sweep)))
            return
    print(tr(RIGHT))


def _length_question(answer: int, sweep: Mapping[int, Sequence[float]]) -> str:
    if answer not in sweep:
        return tr("Is it one of the lengths {lengths}?", lengths=sorted(sweep))
    speedups = {
        gamma: [a / b for a, b in zip(sweep[0], seconds, strict=True)]
        for gamma, seconds in sweep.items()
    }
    best_of_each = [max(column) for column in zip(*speedups.values(), strict=True)]
    wins = sum(a == b for a, b in zip(speedups[answer], best_of_each, strict=True))
    if 2 * wins > len(best_of_each):
        return tr("It wins most workloads. How long does somebody wait for all of them?")
    if answer == fastest({gamma: sum(values) for gamma, values in speedups.items()}):
        return tr("Its mean speedup is the best. Which workload takes most of the time?")
    return tr("Add the seconds of each length. 0 is a length, too.")


def kept_speed(
    function: Callable[[Mapping[int, float], Mapping[int, float]], float | None],
) -> None:
    """Lesson 12: share of the best measured speed that the predicted length gives."""
    for predicted, measured in _FORECASTS:
        answer = function(dict(predicted), dict(measured))
        if answer is None:
            print(tr(NOT_TRIED))
            return
        guess = fastest(predicted)
        expected = measured[guess] / max(measured.values())
        if abs(answer - expected) > 1e-9:
            case = f"{predicted}, {measured}"
            got = tr("For ({arguments}) you got {answer:g}.", arguments=case, answer=answer)
            print(sentences(got, _kept_question(answer, predicted, measured)))
            return
    print(tr(RIGHT))


def _kept_question(
    answer: float, predicted: Mapping[int, float], measured: Mapping[int, float]
) -> str:
    guess, best = fastest(predicted), max(measured.values())
    if abs(answer - best / measured[guess]) < 1e-9:
        return tr(
            "That is how much faster the best one is. Which share of it does the choice keep?"
        )
    if abs(answer - predicted[guess] / best) < 1e-9:
        return tr("The speed that was promised is not the one that you get. Which one is?")
    if abs(answer - predicted[guess] / measured[guess]) < 1e-9:
        return tr("That is the error of the promise. What does a wrong promise cost, if anything?")
    return tr("Which length would you have taken by the prediction? How fast is that one really?")
