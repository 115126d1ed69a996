"""A benchmark and a verdict in words."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gemma_mtp_edu.analysis.cost import Verdict
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.show.style import drafts

_OPENINGS = {
    "pays": marked("MTP pays here."),
    "about even": marked("MTP changes little here."),
    "does not pay": marked("MTP does not pay here."),
}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean speed per token over plain's, by context, workload and method."""
    keys = ["context", "workload", "prompt"]
    rows = rows.assign(each=rows["seconds"] / rows["tokens"])
    plain = rows[rows["method"] == "plain, library"].set_index(keys)["each"]
    rows = rows.join(plain.rename("plain"), on=keys)
    lengths = rows["gamma"].map(lambda gamma: f", {gamma} drafts" if gamma else "")
    rows = rows.assign(label=rows["method"] + lengths, speedup=rows["plain"] / rows["each"])
    table = rows.pivot_table(index=keys[:2], columns="label", values="speedup")
    return table[list(dict.fromkeys(rows["label"]))]


def bench_text(record: Mapping[str, Any]) -> str:
    """Return what `measure.bench.bench` measured as text: conditions, then speedups."""
    facts = (f"{name}: {value}" for name, value in record["conditions"].items())
    rows = pd.DataFrame(record["rows"])
    same = f"same text as the library's plain run: {rows['same_text'].mean():.0%}"
    return "\n".join((*facts, summary(rows).round(2).T.to_string(), same))


def verdict_text(verdict: Verdict) -> str:
    """Return whether drafting pays, with which length, and what would change that."""
    told = marked("Best with {drafts}: predicted {speedup:.2f} times as fast as plain decoding.")
    best = tr(told, drafts=drafts(verdict.draft_length), speedup=verdict.speedup)
    told, changes = marked("The oracle's lengths would reach {speedup:.2f}."), []
    bound = tr(told, speedup=verdict.best_speedup)
    if verdict.break_even_alpha is not None:
        right = marked("drafts are right in {alpha:.0%} of the cases (here {here:.0%})")
        changes.append(tr(right, alpha=verdict.break_even_alpha, here=verdict.alpha))
    step = marked("a draft takes {time} (here {here})")
    verify = marked("a verify pass takes {time} (here {here})")
    for words, needed, here in (
        (step, verdict.break_even_step_seconds, verdict.step_seconds),
        (verify, verdict.break_even_verify_seconds, verdict.verify_seconds),
    ):
        if needed is not None:
            changes.append(tr(words, time=f"{needed * 1e3:.3g} ms", here=f"{here * 1e3:.3g} ms"))
    change = tr("No better drafter, faster draft or faster verify pass alone would change that.")
    if changes:
        either = tr(", or where ").join(changes)
        change = tr("All else being equal it breaks even where {changes}.", changes=either)
    return sentences(tr(_OPENINGS[verdict.answer]), best, bound, change)
