"""What a card says: the one draft length for all workloads, and how good the prediction was."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from gemma_mtp_edu.analysis.verdict import answer_of
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.measure.results import ResultsCard


@dataclass(frozen=True, slots=True)
class Score:
    """Predictions against measurements.

    Attributes:
        errors: Per workload and draft length, predicted over measured speedup, less 1.
        predicted_best: Per workload the length that was predicted to be fastest; 0 is no drafts.
        measured_best: Per workload the length that was fastest; 0 is no drafts.
        kept: Per workload the share of the best measured speed that the predicted length gives.
        right_answers: In how many cases it was predicted right whether drafting pays.
    """

    errors: Mapping[tuple[str, int], float]
    predicted_best: Mapping[str, int]
    measured_best: Mapping[str, int]
    kept: Mapping[str, float]
    right_answers: int

    @property
    def median_error(self) -> float:
        """The middle one of the errors, without their signs."""
        return statistics.median(map(abs, self.errors.values()))

    @property
    def worst_error(self) -> float:
        """The largest error, without its sign."""
        return max(map(abs, self.errors.values()))

    def __str__(self) -> str:
        first = tr(
            "Median error {median:.0%}, worst {worst:.0%}. Whether drafting pays: predicted right "
            "in {right} of {n} cases.",
            median=self.median_error,
            worst=self.worst_error,
            right=self.right_answers,
            n=len(self.errors),
        )
        return "\n".join([first, *map(self._line, self.predicted_best)])

    def _line(self, workload: str) -> str:
        return tr(
            "{workload}: best with {predicted} by prediction, with {measured} by measurement; the "
            "predicted choice gives {kept:.0%} of the best speed.",
            workload=workload,
            predicted=drafts(self.predicted_best[workload]),
            measured=drafts(self.measured_best[workload]),
            kept=self.kept[workload],
        )


def score(card: ResultsCard) -> Score:
    """Return how good the predictions on a card were."""
    measured = {name: _measured(card, name) for name in card.workloads}
    predicted = {name: _predicted(card, name) for name in card.workloads}
    cases = [(name, gamma) for name in card.workloads for gamma in card.gammas]
    best = {name: fastest(speeds) for name, speeds in measured.items()}
    guess = {name: fastest(speeds) for name, speeds in predicted.items()}
    return Score(
        errors={(name, n): predicted[name][n] / measured[name][n] - 1 for name, n in cases},
        predicted_best=guess,
        measured_best=best,
        kept={name: speeds[guess[name]] / speeds[best[name]] for name, speeds in measured.items()},
        right_answers=sum(
            answer_of(predicted[name][n]) == answer_of(measured[name][n]) for name, n in cases
        ),
    )


def overall_speedups(card: ResultsCard) -> dict[int, float]:
    """Return by draft length the speed over all workloads together, plain decoding being 1.

    Seconds are added, speedups are not: it is the speed of somebody who asks for as many tokens of
    each workload.
    """
    totals = {
        gamma: sum(card.of(name, gamma).seconds_per_token for name in card.workloads)
        for gamma in (0, *card.gammas)
    }
    return {gamma: totals[0] / total for gamma, total in totals.items()}


def length_for_all(card: ResultsCard) -> int:
    """Return the one draft length that is fastest over all workloads; 0 where none pays.

    A gain of 5% or less is none: then the target alone is simpler.
    """
    speeds = overall_speedups(card)
    best = fastest(speeds)
    return best if answer_of(speeds[best]) == "pays" else 0


def fastest(speeds: Mapping[int, float]) -> int:
    """Return the draft length of the highest speed; the shorter one where two are equal.

    >>> fastest({0: 1.0, 4: 1.8, 2: 1.8})
    2
    """
    return max(sorted(speeds), key=lambda gamma: speeds[gamma])


def drafts(length: int) -> str:
    """Return a draft length in words.

    >>> drafts(0), drafts(1), drafts(4)
    ('no drafts', '1 draft', '4 drafts')
    """
    if length == 0:
        return tr("no drafts")
    return tr("1 draft") if length == 1 else tr("{n} drafts", n=length)


def _measured(card: ResultsCard, workload: str) -> dict[int, float]:
    return {gamma: card.speedup(workload, gamma) for gamma in (0, *card.gammas)}


def _predicted(card: ResultsCard, workload: str) -> dict[int, float]:
    return {gamma: card.of(workload, gamma).predicted_speedup for gamma in (0, *card.gammas)}
