"""What a choice of draft lengths wins and wastes on known texts: numbers, and one HTML view.

Everything here is a replay of acceptance profiles, so it needs no model, no clock and no widget.
Costs are counted in plain passes, the time in which plain decoding writes one token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.needed_records import need_profile
from gemma_mtp_edu.analysis.prices import (
    Price,
    draft_cost,
    longest_draft,
    rounds_cost,
    trace_speedup,
)
from gemma_mtp_edu.analysis.prices import round_price as round_price
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.core.schedules import (
    Confidence,
    Constant,
    Heuristic,
    LastRound,
    Schedule,
    check_gamma,
)
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import html_lang, marked, speaking, tr
from gemma_mtp_edu.show.views import html_tokens, more_rounds

Kind = Literal["constant", "heuristic", "confidence", "best possible"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KIND_WORDS: dict[Kind, str] = {
    "constant": marked("constant"),
    "heuristic": marked("heuristic"),
    "confidence": marked("confidence"),
    "best possible": marked("best possible"),
}
Measured = Mapping[int, float]
ROUNDS_SHOWN = 8


@dataclass(frozen=True)
class Bounded(Schedule):
    """Another schedule, with an upper bound for its draft lengths.

    >>> Bounded(Heuristic(4), 5).gamma(6, LastRound(4, 4, 4))  # 6 without the bound
    5
    """

    schedule: Schedule
    max_gamma: int

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the other schedule's length, or the bound where that is less."""
        return min(self.max_gamma, self.schedule.gamma(position, last))

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Ask the other schedule."""
        return self.schedule.keeps_drafting(draft_prob)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watches_probs", self.schedule.watches_probs)


@dataclass(frozen=True, slots=True)
class Setting:
    """A schedule as it is set by hand.

    Attributes:
        kind: Which schedule.
        draft_length: Drafts per round of a constant one, the first round's of a heuristic one.
        threshold: Probability below which a confidence schedule stops.
    """

    kind: Kind = "constant"
    draft_length: int = 4
    threshold: float = 0.4

    def __str__(self) -> str:
        template = {
            "constant": marked("constant, {length} drafts in every round"),
            "heuristic": marked("heuristic, {length} drafts in the first round"),
            "confidence": marked("confidence, until a draft is below {threshold:.0%}"),
        }.get(self.kind, self.kind)
        return tr(template, length=self.draft_length, threshold=self.threshold)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rounds that a schedule has on a text, and their cost in plain passes.

    Attributes:
        trace: The replayed rounds.
        cost: All rounds after the prefill.
        best_cost: The same for the best possible lengths; nothing costs less.
        draft_cost: Of one draft.
    """

    trace: GenerationTrace
    cost: float
    best_cost: float
    draft_cost: float

    @property
    def speedup(self) -> float:
        """How many times as fast as plain decoding, the prefill left out."""
        return trace_speedup(self.trace, self.cost)

    @property
    def best_speedup(self) -> float:
        """The speedup of the best possible lengths."""
        return trace_speedup(self.trace, self.best_cost)

    @property
    def share_of_best(self) -> float:
        """Speedup over the best possible one, 0 to 1."""
        return self.best_cost / self.cost if self.cost else 1.0

    @property
    def wasted_drafts(self) -> int:
        """Drafts that did not enter the text."""
        return metrics.wasted_drafts(self.trace)

    @property
    def saved_passes(self) -> int:
        """Target passes that plain decoding would have needed beyond these."""
        return metrics.saved_passes(self.trace)


def schedule_of(setting: Setting, max_gamma: int) -> Schedule:
    """Return the schedule of a setting; not for the best possible one, which needs a text.

    Raises:
        ValueError: The kind is another one.
    """
    if setting.kind == "constant":
        return Constant(min(check_gamma(setting.draft_length), max_gamma))
    if setting.kind == "heuristic":
        return Bounded(Heuristic(setting.draft_length), max_gamma)
    if setting.kind == "confidence":
        return Confidence(setting.threshold, max_gamma)
    raise ValueError(
        tr(
            "got kind {kind!r}, need 'constant', 'heuristic' or 'confidence'; the best "
            "possible one is best_schedule(profile, cost)",
            kind=setting.kind,
        )
    )


def outcome(
    profile: AcceptanceProfile,
    setting: Setting,
    cost: CostModel | float,
    cost_ratio: float | None = None,
) -> Outcome:
    """Replay a setting on a text and price its rounds.

    Args:
        profile: The text.
        setting: The schedule.
        cost: As in `round_price`.
        cost_ratio: As in `round_price`.

    Raises:
        ValueError: An argument is of another kind or out of range.
    """
    need_profile(profile)
    check_kind(setting, Setting, "setting", "tradeoff.Setting(...)")
    price, longest = round_price(cost, cost_ratio), longest_draft(profile, cost)
    _, best = best_schedule(profile, price, max_gamma=longest)
    trace = best
    if setting.kind != "best possible":
        trace = replay(profile, schedule_of(setting, longest))
    ratio = draft_cost(cost) if cost_ratio is None else cost_ratio
    return Outcome(trace, rounds_cost(trace, price), rounds_cost(best, price), ratio)


def speedups_by_length(
    profile: AcceptanceProfile,
    cost: CostModel | float,
    cost_ratio: float | None = None,
) -> tuple[float, ...]:
    """Return the speedup with 1, 2, 3, ... drafts in every round."""
    traces = constant_replays(profile, longest_draft(profile, cost))
    return speedups(traces, round_price(cost, cost_ratio))


def best_constant(profile: AcceptanceProfile, cost: CostModel | float) -> Setting:
    """Return the fastest constant schedule, the shortest of equals; it must see the text first."""
    return Setting("constant", fastest_length(speedups_by_length(profile, cost)))


def fastest_length(speeds: Sequence[float]) -> int:
    """Return the shortest draft length of the greatest speed; the first speed is of 1 draft."""
    return speeds.index(max(speeds)) + 1


def speedups(traces: Sequence[GenerationTrace], price: Price) -> tuple[float, ...]:
    """Return the speedup of each trace when its rounds have these prices."""
    return tuple(trace_speedup(trace, rounds_cost(trace, price)) for trace in traces)


def constant_replays(profile: AcceptanceProfile, max_gamma: int) -> tuple[GenerationTrace, ...]:
    """Return the runs with 1, 2, 3, ... drafts in every round."""
    return tuple(replay(profile, Constant(gamma)) for gamma in range(1, max_gamma + 1))


def kept_by_place(profile: AcceptanceProfile, places: int = 8) -> tuple[float, ...]:
    """Return how often the first, second, ... draft of a chain is kept, over all positions.

    Positions too near the end to have that many drafts do not count; for a short text there are
    fewer places, at most half as many as tokens.
    """
    places = min(places, profile.max_gamma, len(profile) // 2)
    counts = profile.n_accepted[1 : len(profile) - places + 1]
    return tuple(sum(n > place for n in counts) / len(counts) for place in range(places))


def summary_html(
    profile: AcceptanceProfile,
    setting: Setting,
    cost: CostModel | float = 0.1,
    cost_ratio: float | None = None,
    *,
    workload: str = "",
    measured: Measured | None = None,
    lang: str | None = None,
) -> str:
    """Return what the explorer shows of a setting as HTML, with no widget.

    Args:
        profile: The text.
        setting: The schedule.
        cost: As in `round_price`.
        cost_ratio: As in `round_price`.
        workload: The text's name.
        measured: Measured speedups of this text by constant draft length, as
            `measured.measured_speedups` gives them; shown beside the predicted one.
        lang: "en" or "ja"; by default the language that is chosen.
    """
    result = outcome(profile, setting, cost, cost_ratio)
    return outcome_html(result, setting, workload=workload, measured=measured, lang=lang)


def outcome_html(
    result: Outcome,
    setting: Setting,
    *,
    workload: str = "",
    measured: Measured | None = None,
    lang: str | None = None,
) -> str:
    """Return an outcome as HTML: the first rounds' tokens, then the numbers."""
    with speaking(lang):
        rows = list(numbers(result))
        if measured is not None:
            rows.insert(-2, _measured_row(setting, measured))
        return _outcome_html(result, setting, workload, rows)


def _measured_row(setting: Setting, measured: Measured) -> tuple[str, str]:
    speed = measured.get(setting.draft_length) if setting.kind == "constant" else None
    shown = tr("not measured") if speed is None else f"{speed:.2f}"
    return tr("measured speed, plain decoding = 1"), shown


def _outcome_html(
    result: Outcome, setting: Setting, workload: str, rows: Sequence[tuple[str, str]]
) -> str:
    name = f"{workload}: {setting}" if workload else str(setting)
    rounds = result.trace.draft_rounds
    strip = "".join(_round_html(result.trace, i) for i in range(min(ROUNDS_SHOWN, len(rounds))))
    more = more_rounds(len(rounds) - ROUNDS_SHOWN)
    cells = "".join(
        f"<tr><th scope='row' style='text-align:left;padding:2px 8px'>{label}</th>"
        f"<td style='padding:2px 8px'>{value}</td></tr>"
        for label, value in rows
    )
    return (
        f"<div{html_lang()} class='mtp-tradeoff'><p><b>{escape(name)}</b></p>"
        f"<ol style='padding-left:2em;margin:0'>{strip}</ol>{f'<p>{more}</p>' if more else ''}"
        "<div role='status' aria-live='polite'><table style='border-collapse:collapse'>"
        f"<tbody>{cells}</tbody></table></div></div>"
    )


def numbers(result: Outcome) -> Sequence[tuple[str, str]]:
    """Return what there is to say of an outcome as pairs of label and value."""
    trace = result.trace
    return (
        (tr("cost of a draft, in plain passes"), f"{result.draft_cost:.2f}"),
        (
            tr("target passes"),
            tr(
                "{passes} for {tokens} tokens",
                passes=trace.target_passes,
                tokens=len(trace.token_ids),
            ),
        ),
        (tr("tokens per round"), f"{trace.tokens_per_round or 1:.2f}"),
        (
            tr("wasted drafts"),
            tr("{part} of {whole}", part=result.wasted_drafts, whole=trace.drafter_passes),
        ),
        (tr("predicted speed, plain decoding = 1"), f"{result.speedup:.2f}"),
        (tr("best possible speed"), f"{result.best_speedup:.2f}"),
        (tr("share of the best possible"), f"{result.share_of_best:.0%}"),
    )


def _round_html(trace: GenerationTrace, index: int) -> str:
    record = trace.draft_rounds[index]
    return f"<li>{html_tokens(trace, record)}</li>"
