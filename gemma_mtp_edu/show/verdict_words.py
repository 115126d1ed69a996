"""The verdict of a cost model in words."""

from gemma_mtp_edu.analysis.cost import Answer, Verdict
from gemma_mtp_edu.lessons.language import marked, sentences, tr

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


def verdict_text(verdict: Verdict) -> str:
    """Return whether drafting pays, with which length, and what would change that."""
    n = verdict.draft_length
    drafts = tr("1 draft") if n == 1 else tr("{n} drafts", n=n)
    opening = tr(_OPENINGS[verdict.answer], drafts=drafts, speedup=verdict.speedup)
    other = ""
    if verdict.best_speedup is not None:
        other = tr(
            "Another length in each round, chosen as well as possible, would reach {speedup:.2f}.",
            speedup=verdict.best_speedup,
        )
    changes = _changes(verdict)
    if not changes:
        change = tr(
            "No better drafter, faster draft or faster verify pass alone would change that."
        )
    else:
        change = tr(
            "All else being equal it breaks even where {changes}.",
            changes=tr(", or where ").join(changes),
        )
    return sentences(opening, other, change)


def _changes(verdict: Verdict) -> list[str]:
    changes = []
    if (alpha := verdict.break_even_alpha) is not None:
        changes.append(
            tr(
                "drafts are right in {alpha:.0%} of the cases (here {here:.0%})",
                alpha=alpha,
                here=verdict.alpha,
            )
        )
    if (step := verdict.break_even_step_seconds) is not None:
        here = _ms(verdict.step_seconds)
        changes.append(tr("a draft takes {time} (here {here})", time=_ms(step), here=here))
    if (verify := verdict.break_even_verify_seconds) is not None:
        here = _ms(verdict.verify_seconds)
        changes.append(tr("a verify pass takes {time} (here {here})", time=_ms(verify), here=here))
    return changes


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
