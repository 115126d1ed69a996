"""What measurements say: a results file as one HTML page; a benchmark, a score, a verdict in words.

The page holds all it needs, so that it can be mailed; its numbers are those of the file.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from gemma_mtp_edu.analysis.cost import Answer, CostModel, Verdict, answer_of
from gemma_mtp_edu.analysis.metrics import alpha
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import current, marked, sentences, tr
from gemma_mtp_edu.measure.bench import rows_of
from gemma_mtp_edu.measure.results import Result, ResultsCard, best_lengths, prediction_errors
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.style import drafts, figure_html

MOST_PROMPTS = 200
SETTINGS = (Setting("constant", 4), Setting("heuristic", 4), Setting("confidence"))
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #ffffff; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #767676; padding: .2rem .6rem; text-align: right; }
tbody th { text-align: left; }
figure { margin: 1.5rem 0; }
"""


def report_page(results: Sequence[Result]) -> str:
    """Return the page of a file's results.

    Raises:
        ValueError: There is no prompt among them.
    """
    prompts = [result for result in results if result["kind"] == "prompt"]
    if not prompts:
        raise ValueError("got no results of prompts, need one or more: run the bench first")
    contexts = [result for result in results if result["kind"] == "context"]
    costs = [CostModel.from_json(result["cost"]) for result in contexts]
    facts = {**prompts[0]["conditions"], "plan": prompts[0]["run"]}
    title = tr(
        "Plain and assisted decoding of {pair}, {count} prompts",
        pair=facts["pair"],
        count=len(prompts),
    )
    sections = [_measured(prompts)]
    if profiles := _profiles(prompts):
        sections += _figures(profiles, costs[0] if costs else 0.1)
    if costs:
        sections.append(_by_context(contexts, costs))
    sections.append(_by_prompt(prompts))
    terms = "\n".join(
        f"<dt><b>{escape(name)}</b></dt><dd>{escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    return (
        f'<!doctype html>\n<html lang="{current()}"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n<dl>{terms}</dl>\n" + "\n".join(sections) + "\n</body></html>\n"
    )


def _section(heading: str, note: str, *parts: str | Axes) -> str:
    shown = (p if isinstance(p, str) else f"<figure>{figure_html(p)}</figure>" for p in parts)
    return "\n".join((f"<h2>{escape(heading)}</h2>", f"<p>{escape(note)}</p>", *shown))


def _table(frame: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", None):
        return str(frame.to_html(float_format="{:.2f}".format, border=0))


def _measured(prompts: Sequence[Result]) -> str:
    rows = pd.DataFrame(rows_of(prompts)).assign(context="file")
    note = tr(
        "Speed over the library's plain run of the same prompt, mean over the prompts of a "
        "workload. {same:.1%} of all runs wrote the same text as the library's plain one.",
        same=rows["same_text"].mean(),
    )
    return _section(tr("Measured"), note, _table(summary(rows).loc["file"].T))


def _profiles(prompts: Sequence[Result]) -> dict[str, list[AcceptanceProfile]]:
    """Return the profiles by workload; none where the drafter is no MTP drafter."""
    profiles: dict[str, list[AcceptanceProfile]] = {}
    for result in prompts:
        if "profile" in result:
            profile = AcceptanceProfile.from_json(result["profile"])
            profiles.setdefault(result["workload"], []).append(profile)
    return profiles


def _figures(
    profiles: Mapping[str, Sequence[AcceptanceProfile]], cost: CostModel | float
) -> Iterator[str]:
    lengths = {}
    for name, group in profiles.items():
        by_text = [speedups_by_length(profile, cost) for profile in group]
        lengths[name] = [sum(speeds) / len(speeds) for speeds in zip(*by_text, strict=True)]
    note = tr("Every length is replayed on every text; costs are measured.")
    yield _section(tr("Draft length"), note, plots.plot_lengths(lengths))
    firsts = {name: group[0] for name, group in profiles.items()}
    note = tr("The first prompt of each workload.")
    yield _section(tr("Acceptance by place"), note, plots.plot_kept_by_place(firsts))
    outcomes = {
        name: {str(s.kind): outcome(profile, s, cost) for s in SETTINGS}
        for name, profile in firsts.items()
    }
    note = tr("The first prompt of each workload, against the best possible lengths.")
    yield _section(tr("Schedules"), note, plots.plot_schedules(outcomes))
    workload, first = next(iter(firsts.items()))
    gammas = [gamma for gamma in (1, 2, 4, 8, 12, 16) if gamma <= first.max_gamma]
    note = tr("The first prompt, of the workload {workload}.", workload=workload)
    yield _section(tr("Saved and wasted work"), note, plots.plot_saved_and_wasted(first, gammas))
    gamma, longest = min(4, first.max_gamma), max(2, first.max_gamma)
    here = alpha(replay(first, Constant(gamma))) or 0.0
    surface = plots.plot_speedup_surface(cost, alpha=here, gamma=gamma, max_gamma=longest)
    yield _section(tr("This machine"), tr("Expected speed; the first prompt is marked."), surface)


def _by_context(contexts: Sequence[Result], costs: Sequence[CostModel]) -> str:
    gamma = min(4, costs[0].max_gamma)
    columns = (
        tr("plain step, ms"), tr("draft, ms"), tr("pass over {tokens}, ms", tokens=gamma + 1),
        tr("peak MB"),
    )  # fmt: skip
    rows = [
        (1e3 * cost.plain(), 1e3 * cost.drafter_step(), 1e3 * cost.verify(gamma + 1),
         result["peak_memory_bytes"] / 1e6)
        for result, cost in zip(contexts, costs, strict=True)
    ]  # fmt: skip
    index = pd.Index([result["context"] for result in contexts], name=tr("tokens before"))
    note = tr(
        "Medians. The peak is what tensors held on a GPU; on a CPU it is that of the process since "
        "its start, so it can only rise. The figure is of the shortest context."
    )
    table = _table(pd.DataFrame(rows, index, columns))
    ax = plots.plot_round_costs(costs[0], (1, 2, gamma))
    return _section(tr("Cost and memory by context"), note, table, ax)


def _by_prompt(prompts: Sequence[Result]) -> str:
    rows = [
        {
            tr("prompt"): result["prompt"][:80],
            tr("workload"): result["workload"],
            tr("prompt tokens"): result["prompt_tokens"],
            tr("tokens written"): result["rows"][0]["tokens"],
            tr("peak MB"): round(result["peak_memory_bytes"] / 1e6),
        }
        for result in prompts[:MOST_PROMPTS]
    ]
    more = len(prompts) - len(rows)
    note = tr("And {more} more in the file of results." if more else "All of them.", more=more)
    return _section(tr("Prompts"), note, _table(pd.DataFrame(rows).set_index(tr("prompt"))))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the speedup over the library's plain run, by context, workload, method, draft length.

    Per prompt the ratio of the medians; then the mean over a workload's prompts.
    """
    keys = ["context", "workload", "prompt"]
    plain = rows[rows["method"] == "plain, library"].set_index(keys)["seconds"]
    ratios = rows.join(plain.rename("plain_seconds"), on=keys)
    ratios["speedup"] = ratios["plain_seconds"] / ratios["seconds"]
    drafts = ratios["gamma"].map(lambda gamma: f", {gamma} drafts" if gamma else "")
    ratios["label"] = ratios["method"] + drafts
    table = ratios.pivot_table(index=["context", "workload"], columns="label", values="speedup")
    return table[list(dict.fromkeys(ratios["label"]))]


def bench_text(record: Mapping[str, Any]) -> str:
    """Return what `measure.bench.bench` measured as text: conditions, then speedups."""
    facts = (f"{name}: {value}" for name, value in record["conditions"].items())
    rows = pd.DataFrame(record["rows"])
    table = summary(rows).round(2).T.to_string()
    same = f"same text as the library's plain run: {rows['same_text'].mean():.0%}"
    return "\n".join((*facts, table, same))


def score_text(card: ResultsCard) -> str:
    """Return in words how good a card's predictions were."""
    errors, measured = prediction_errors(card), [m for m in card.measurements if m.gamma]
    right = [
        answer_of(m.predicted_speedup) == answer_of(card.speedup(m.workload, m.gamma))
        for m in measured
    ]
    lines = [
        tr(
            "Median error {median:.0%}, worst {worst:.0%}. Whether drafting pays: predicted right "
            "in {right} of {n} cases.",
            median=statistics.median(map(abs, errors.values())),
            worst=max(map(abs, errors.values())),
            right=sum(right),
            n=len(errors),
        )
    ]
    for workload, (guess, best, kept) in best_lengths(card).items():
        line = tr(
            "{workload}: best with {predicted} by prediction, with {measured} by measurement; the "
            "predicted choice gives {kept:.0%} of the best speed.",
            workload=workload,
            predicted=drafts(guess),
            measured=drafts(best),
            kept=kept,
        )
        lines.append(line)
    return "\n".join(lines)


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
    changes, length, bound = [], drafts(verdict.draft_length), ""
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
    if verdict.best_speedup is not None:
        bound = tr(
            "Another length in each round, chosen as well as possible, would reach {speedup:.2f}.",
            speedup=verdict.best_speedup,
        )
    opening = tr(_OPENINGS[verdict.answer], drafts=length, speedup=verdict.speedup)
    return sentences(opening, bound, change)
