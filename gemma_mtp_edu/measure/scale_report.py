"""A results file as one HTML page: conditions, measured speeds, figures, memory and costs.

The page holds all it needs, so that it can be mailed; its numbers are those of the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from jinja2 import Environment

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.metrics import alpha
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome, speedups_by_length
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import current, tr
from gemma_mtp_edu.measure.bench import shown, summary
from gemma_mtp_edu.measure.result_lines import Result
from gemma_mtp_edu.show import plots

MOST_PROMPTS = 200
SETTINGS = (Setting("constant", 4), Setting("heuristic", 4), Setting("confidence"))
PAGE = """<!doctype html>
<html lang="{{ language }}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #ffffff; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #767676; padding: .2rem .6rem; text-align: right; }
th[scope=row] { text-align: left; }
figure { margin: 1.5rem 0; }
</style></head><body>
<h1>{{ title }}</h1>
<dl>{% for name, value in conditions.items() %}<dt><b>{{ name }}</b></dt><dd>{{ value }}</dd>
{% endfor %}</dl>
{% for heading, note, table, figures in sections %}
<h2>{{ heading }}</h2>
<p>{{ note }}</p>
{% if table %}<table><caption>{{ heading }}</caption><thead><tr>
{% for name in table.columns %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for row in table.rows %}<tr><th scope="row">{{ row[0] }}</th>
{% for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>{% endif %}
{% for figure in figures %}<figure>{{ figure|safe }}</figure>{% endfor %}
{% endfor %}
</body></html>
"""
Table = dict[str, Any]
Section = tuple[str, str, Table | None, list[str]]


def report_page(results: Sequence[Result]) -> str:
    """Return the page of a file's results.

    Raises:
        ValueError: There is no prompt among them.
    """
    prompts = [result for result in results if result["kind"] == "prompt"]
    if not prompts:
        raise ValueError(tr("got no results of prompts, need one or more: run the bench first"))
    contexts = [result for result in results if result["kind"] == "context"]
    costs = [CostModel.from_json(result["cost"]) for result in contexts]
    conditions = {**prompts[0]["conditions"], "plan": str(prompts[0]["run"])}
    sections = [_measured(prompts)]
    profiles = _profiles(prompts)
    if profiles:
        sections += _figures(profiles, costs[0] if costs else 0.1)
    if costs:
        sections.append(_by_context(contexts, costs))
    sections.append(_by_prompt(prompts))
    page = Environment(autoescape=True).from_string(PAGE)
    title = tr(
        "Plain and assisted decoding of {pair}, {count} prompts",
        pair=conditions["pair"],
        count=len(prompts),
    )
    return page.render(title=title, conditions=conditions, sections=sections, language=current())


def measured_rows(prompts: Sequence[Result]) -> pd.DataFrame:
    """Return one row per prompt, method and draft length, as `bench.bench` does."""
    return pd.DataFrame(
        {"context": "file", "workload": r["workload"], "prompt": r["key"], **row}
        for r in prompts
        for row in r["rows"]
    )


def _measured(prompts: Sequence[Result]) -> Section:
    rows = measured_rows(prompts)
    table = summary(rows).loc["file"].T
    same = rows["same_text"].mean()
    note = tr(
        "Speed over the library's plain run of the same prompt, mean over the prompts of a "
        "workload. {same:.1%} of all runs wrote the same text as the library's plain one.",
        same=same,
    )
    cells = [[shown(str(name)), *(f"{v:.2f}" for v in row)] for name, row in table.iterrows()]
    return tr("Measured"), note, {"columns": [tr("method"), *table.columns], "rows": cells}, []


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
) -> Iterator[Section]:
    lengths = {name: _mean_speeds(group, cost) for name, group in profiles.items()}
    yield _section(
        tr("Draft length"), tr("Every length is replayed on every text; costs are measured."),
        plots.plot_lengths(lengths),
    )  # fmt: skip
    firsts = {name: group[0] for name, group in profiles.items()}
    yield _section(
        tr("Acceptance by place"), tr("The first prompt of each workload."),
        plots.plot_kept_by_place(firsts),
    )  # fmt: skip
    outcomes = {
        name: {setting.kind: outcome(profile, setting, cost) for setting in SETTINGS}
        for name, profile in firsts.items()
    }
    yield _section(
        tr("Schedules"),
        tr("The first prompt of each workload, against the best possible lengths."),
        plots.plot_schedules(outcomes),
    )  # fmt: skip
    first = next(iter(firsts.values()))
    gammas = [gamma for gamma in (1, 2, 4, 8, 12, 16) if gamma <= first.max_gamma]
    note = tr("The first prompt, of the workload {workload}.", workload=next(iter(firsts)))
    yield _section(tr("Saved and wasted work"), note, plots.plot_saved_and_wasted(first, gammas))
    gamma, longest = min(4, first.max_gamma), max(2, first.max_gamma)
    here = alpha(replay(first, Constant(gamma))) or 0.0
    surface = plots.plot_speedup_surface(cost, alpha=here, gamma=gamma, max_gamma=longest)
    yield _section(tr("This machine"), tr("Expected speed; the first prompt is marked."), surface)


def _section(heading: str, note: str, ax: Any) -> Section:
    return heading, note, None, [plots.figure_html(ax)]


def _mean_speeds(group: Sequence[AcceptanceProfile], cost: CostModel | float) -> list[float]:
    by_text = [speedups_by_length(profile, cost) for profile in group]
    return [sum(speeds) / len(speeds) for speeds in zip(*by_text, strict=True)]


def _by_context(contexts: Sequence[Result], costs: Sequence[CostModel]) -> Section:
    gamma = min(4, costs[0].max_gamma)
    rows = [
        [
            str(result["context"]),
            f"{1e3 * cost.plain():.1f}",
            f"{1e3 * cost.drafter_step():.1f}",
            f"{1e3 * cost.verify(gamma + 1):.1f}",
            f"{result['peak_memory_bytes'] / 1e6:.0f}",
        ]
        for result, cost in zip(contexts, costs, strict=True)
    ]
    columns = [
        tr("tokens before"), tr("plain step, ms"), tr("draft, ms"),
        tr("pass over {tokens}, ms", tokens=gamma + 1), tr("peak MB"),
    ]  # fmt: skip
    figure = plots.figure_html(plots.plot_round_costs(costs[0], (1, 2, gamma)))
    note = tr(
        "Medians. The peak is what tensors held on a GPU; on a CPU it is that of the process since "
        "its start, so it can only rise. The figure is of the shortest context."
    )
    return (
        tr("Cost and memory by context"),
        note,
        {"columns": columns, "rows": rows},
        [figure],
    )


def _by_prompt(prompts: Sequence[Result]) -> Section:
    rows = [
        [
            result["prompt"][:80],
            result["workload"],
            str(result["prompt_tokens"]),
            str(result["rows"][0]["tokens"]),
            f"{result['peak_memory_bytes'] / 1e6:.0f}",
        ]
        for result in prompts[:MOST_PROMPTS]
    ]
    more = len(prompts) - len(rows)
    note = tr("And {more} more in the file of results." if more else "All of them.", more=more)
    columns = [
        tr("prompt"), tr("workload"), tr("prompt tokens"), tr("tokens written"), tr("peak MB"),
    ]  # fmt: skip
    return tr("Prompts"), note, {"columns": columns, "rows": rows}, []
