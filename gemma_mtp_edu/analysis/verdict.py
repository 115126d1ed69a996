"""Say in words whether drafting pays on this machine, with which length, and what would change it.

Measured times differ by a few percent from run to run, so a speedup within `MARGIN` of 1 is called
about even.
"""

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import marked, sentences, tr

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.cost import CostModel

Answer = Literal["pays", "about even", "does not pay"]
MARGIN = 0.05
_OPENINGS: dict[Answer, str] = {
    "pays": marked(
        "MTP pays here: {drafts} per round should write {speedup:.2f} times as fast as plain "
        "decoding."
    ),
    "about even": marked(
        "MTP changes little here: the best choice, {drafts} per round, should write "
        "{speedup:.2f} times as fast as plain decoding."
    ),
    "does not pay": marked(
        "MTP does not pay here: even the best choice, {drafts} per round, should write "
        "{speedup:.2f} times as fast as plain decoding."
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether drafting pays.

    The four numbers of what would change it hold for rounds of `draft_length` drafts, each with all
    else as it is; None where that one number alone cannot make such rounds as fast as plain
    decoding.

    Attributes:
        answer: "pays", "about even" or "does not pay".
        draft_length: The best constant number of drafts per round; at least 1.
        speedup: Predicted speed with it, plain decoding being 1.
        alpha: Share of the judged drafts that were right.
        break_even_alpha: The alpha, of drafts that are right independently of each other.
        break_even_step_seconds: The time of a draft.
        break_even_verify_seconds: The time of a verify pass.
        best_speedup: With the best possible length in every round; None unless it was replayed.
        text: All of it in words.
    """

    answer: Answer
    draft_length: int
    speedup: float
    alpha: float
    break_even_alpha: float | None
    break_even_step_seconds: float | None
    break_even_verify_seconds: float | None
    best_speedup: float | None
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Case:
    """Rounds of one constant draft length."""

    gamma: int
    speedup: float
    tokens_per_round: float
    alpha: float


def judge(cost: "CostModel", evidence: GenerationTrace | AcceptanceProfile) -> Verdict:
    """Return the verdict of a cost model on a run or on a profile.

    Raises:
        ValueError: Nothing was drafted in it.
    """
    needed = tr("a trace of speculative_generate, or an acceptance_profile")
    check_kind(evidence, (GenerationTrace, AcceptanceProfile), "evidence", needed)
    best_speedup = None
    if isinstance(evidence, AcceptanceProfile):
        context = len(evidence.prompt_ids) + len(evidence) / 2
        best = max(_replayed(cost, evidence), key=lambda case: case.speedup)
        best_speedup = cost.predict_trace(best_schedule(evidence, cost)[1]).speedup
    else:
        prefixes = [record.prefix_length for record in evidence.draft_rounds]
        context = statistics.median(prefixes) if prefixes else 0
        best = max(_estimated(cost, evidence, context), key=lambda case: case.speedup)
    return _verdict(cost, best, context, best_speedup)


def answer_of(speedup: float) -> Answer:
    """Return whether a speed pays, plain decoding being 1.

    >>> answer_of(1.3), answer_of(0.97)
    ('pays', 'about even')
    """
    if abs(speedup - 1) <= MARGIN:
        return "about even"
    return "pays" if speedup > 1 else "does not pay"


def _replayed(cost: "CostModel", profile: AcceptanceProfile) -> list[_Case]:
    cases = []
    for gamma in range(1, min(profile.max_gamma, cost.max_gamma) + 1):
        trace = replay(profile, Constant(gamma))
        alpha, tokens = metrics.alpha(trace), trace.tokens_per_round
        if alpha is None or tokens is None:
            raise ValueError(_nothing_drafted(len(profile)))
        cases.append(_Case(gamma, cost.predict_trace(trace).speedup, tokens, alpha))
    return cases


def _estimated(cost: "CostModel", trace: GenerationTrace, context: float) -> list[_Case]:
    alpha = metrics.alpha(trace)
    if alpha is None:
        raise ValueError(_nothing_drafted(len(trace.token_ids)))
    return [
        _Case(gamma, cost.predict(alpha, gamma, context), expected_tokens(alpha, gamma), alpha)
        for gamma in range(1, cost.max_gamma + 1)
    ]


def _nothing_drafted(n_tokens: int) -> str:
    return tr(
        "got a text of {n_tokens} tokens in which no draft was judged: give a trace of "
        "speculative_generate or an acceptance_profile, of a longer text",
        n_tokens=n_tokens,
    )


def _verdict(cost: "CostModel", best: _Case, context: float, best_speedup: float | None) -> Verdict:
    gamma, plain, rest = best.gamma, cost.plain(context), cost.rest(context)
    step, verify = cost.drafter_step(context), cost.verify(gamma + 1, context)
    alpha = break_even_alpha(gamma, step / plain, lambda n: (verify + rest) / plain)
    # What a round may cost so that its tokens come as fast as in plain decoding.
    budget = best.tokens_per_round * plain
    steps = (budget - verify - rest) / gamma
    passes = budget - gamma * step - rest
    answer = answer_of(best.speedup)
    changes = [
        alpha is not None
        and tr(
            "drafts are right in {alpha:.0%} of the cases (here {here:.0%})",
            alpha=alpha,
            here=best.alpha,
        ),
        steps > 0 and tr("a draft takes {time} (here {here})", time=_ms(steps), here=_ms(step)),
        passes > 0
        and tr("a verify pass takes {time} (here {here})", time=_ms(passes), here=_ms(verify)),
    ]
    return Verdict(
        answer=answer,
        draft_length=gamma,
        speedup=best.speedup,
        alpha=best.alpha,
        break_even_alpha=alpha,
        break_even_step_seconds=steps if steps > 0 else None,
        break_even_verify_seconds=passes if passes > 0 else None,
        best_speedup=best_speedup,
        text=_words(answer, best, best_speedup, [c for c in changes if c]),
    )


def _words(answer: Answer, best: _Case, best_speedup: float | None, changes: list[str]) -> str:
    drafts = tr("1 draft") if best.gamma == 1 else tr("{n} drafts", n=best.gamma)
    opening = tr(_OPENINGS[answer], drafts=drafts, speedup=best.speedup)
    other = ""
    if best_speedup is not None:
        other = tr(
            "Another length in each round, chosen as well as possible, would reach {speedup:.2f}.",
            speedup=best_speedup,
        )
    change = tr("No better drafter, faster draft or faster verify pass alone would change that.")
    if changes:
        change = tr(
            "All else being equal it breaks even where {changes}.",
            changes=tr(", or where ").join(changes),
        )
    return sentences(opening, other, change)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
