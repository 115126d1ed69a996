"""A results file as one HTML page that holds all it needs; a benchmark and a verdict in words."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from gemma_mtp_edu.analysis.cost import CostModel, Verdict
from gemma_mtp_edu.analysis.metrics import alpha
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import current, marked, sentences, tr
from gemma_mtp_edu.measure.bench import rows_of
from gemma_mtp_edu.measure.results import Result
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.style import drafts, figure_html

SETTINGS = (Setting("constant", 4), Setting("heuristic", 4), Setting("confidence"))
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #767676; padding: .2rem .6rem; text-align: left; }}
</style></head><body><h1>{title}</h1>
{parts}
</body></html>
"""
_OPENINGS = {
    "pays": marked("MTP pays here."),
    "about even": marked("MTP changes little here."),
    "does not pay": marked("MTP does not pay here."),
}
Profiles = dict[str, list[AcceptanceProfile]]  # by workload
Section = tuple[Any, ...]  # a heading, then notes, tables and figures


def report_page(results: Sequence[Result]) -> str:
    """Return the page of a file's results."""
    prompts = [result for result in results if result["kind"] == "prompt"]
    if not prompts:
        raise ValueError("got no results of prompts, need one or more: run the bench first")
    facts = {**prompts[0]["conditions"], "plan": str(prompts[0]["run"])}
    told = marked("Plain and assisted decoding of {pair}, {count} prompts")
    title = escape(tr(told, pair=facts["pair"], count=len(prompts)))
    parts = [_html(pd.DataFrame(facts, [""]).T)]
    for heading, *shown in _sections(prompts, [r for r in results if r["kind"] == "context"]):
        parts += [f"<h2>{escape(heading)}</h2>", *map(_html, shown)]
    return PAGE.format(language=current(), title=title, parts="\n".join(parts))


def _html(shown: Any) -> str:
    if isinstance(shown, pd.DataFrame):
        with pd.option_context("display.max_colwidth", None):
            return str(shown.to_html(float_format="{:.2f}".format, border=0))
    if isinstance(shown, str):
        return f"<p>{escape(shown)}</p>"
    return f"<figure>{figure_html(shown)}</figure>"


def _sections(prompts: Sequence[Result], contexts: Sequence[Result]) -> Iterator[Section]:
    rows = pd.DataFrame(rows_of(prompts)).assign(context="file")
    told = marked("Mean speed over the library's plain run; {same:.1%} of all texts are its text.")
    yield tr("Measured"), tr(told, same=rows["same_text"].mean()), summary(rows).loc["file"].T
    costs = [CostModel.from_json(result["cost"]) for result in contexts]
    profiles: Profiles = {}
    for result in prompts:
        if "profile" in result:  # there is none where the drafter is no MTP drafter
            profile = AcceptanceProfile.from_json(result["profile"])
            profiles.setdefault(result["workload"], []).append(profile)
    if profiles:
        yield from _figures(profiles, costs[0] if costs else 0.1)
    if costs:
        gamma = min(4, costs[0].max_gamma)
        steps = [(c.plain(), c.drafter_step(), c.verify(gamma + 1)) for c in costs]
        names = ("plain step, ms", "draft, ms", f"pass over {gamma + 1}, ms")
        table = 1e3 * pd.DataFrame(steps, [result["context"] for result in contexts], names)
        table["peak MB"] = [result["peak_memory_bytes"] / 1e6 for result in contexts]
        note = tr("Medians. The peak is that of tensors on a GPU, of the process on a CPU.")
        ax = plots.plot_round_costs(costs[0], (1, 2, gamma))
        yield tr("Cost and memory by context"), note, table.rename_axis("context"), ax
    first = pd.DataFrame(prompts[:200])[["prompt", "workload", "prompt_tokens"]]
    first["prompt"] = first["prompt"].str[:80]
    first["tokens"] = [result["rows"][0]["tokens"] for result in prompts[:200]]
    yield tr("The first {n} prompts", n=len(first)), first.set_index("prompt")


def _figures(profiles: Profiles, cost: CostModel | float) -> Iterator[Section]:
    lengths = {}
    for name, group in profiles.items():
        lengths[name] = pd.DataFrame([speedups_by_length(p, cost) for p in group]).mean().tolist()
    note = tr("Replayed on every prompt; the next figures show the first one of each workload.")
    yield tr("Draft length"), note, plots.plot_lengths(lengths)
    firsts = {name: group[0] for name, group in profiles.items()}
    yield tr("Acceptance by place"), plots.plot_kept_by_place(firsts)
    outcomes = {n: {s.kind: outcome(p, s, cost) for s in SETTINGS} for n, p in firsts.items()}
    yield tr("Schedules"), plots.plot_schedules(outcomes)
    first = next(iter(firsts.values()))
    gammas = [gamma for gamma in (1, 2, 4, 8, 12, 16) if gamma <= first.max_gamma]
    yield tr("Saved and wasted work"), plots.plot_saved_and_wasted(first, gammas)
    gamma, longest = min(4, first.max_gamma), max(2, first.max_gamma)
    here = alpha(replay(first, Constant(gamma))) or 0.0
    ax = plots.plot_speedup_surface(cost, alpha=here, gamma=gamma, max_gamma=longest)
    yield tr("This machine"), tr("Expected speed; the first prompt is marked."), ax


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean speedup over the library's plain run, by context, workload and method."""
    keys = ["context", "workload", "prompt"]
    plain = rows[rows["method"] == "plain, library"].set_index(keys)["seconds"]
    rows = rows.join(plain.rename("plain"), on=keys)
    lengths = rows["gamma"].map(lambda gamma: f", {gamma} drafts" if gamma else "")
    rows = rows.assign(label=rows["method"] + lengths, speedup=rows["plain"] / rows["seconds"])
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
    bound, changes, oracle = "", [], verdict.best_speedup
    if oracle is not None:
        bound = tr("The oracle's lengths would reach {speedup:.2f}.", speedup=oracle)
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
