"""Write the benchmark's table into the READMEs, as `make bench` does once it has stored its record.

make bench BENCH_ARGS="--gammas 2 4 8 --out docs/bench.json"
"""

import json
from typing import Any

import pandas as pd

from gemma_mtp_edu.show.report import with_speedups
from tools import readme_ja
from tools.document import table, write_parts
from tools.lessons import ROOT

RESULT = ROOT / "docs" / "bench.json"
README = ROOT / "README.md"
METHODS = ("plain, ours", "lookup, library", "assisted, library", "assisted, ours")


def bench_part(record: dict[str, Any]) -> str:
    """Return the table, the conclusions and the conditions as Markdown."""
    found = scores(record)
    rows = [[*map(str, case), *map(cell, found.loc[case].itertuples())] for case in cases(found)]
    numbers = [
        f"- {name}: {value:.2f}".removesuffix(".00") for name, value in conclusions(record).items()
    ]
    facts = "; ".join(f"{name} {value}" for name, value in record["conditions"].items())
    header = ["context", "workload", *METHODS]
    return "\n".join([table(header, rows), "", *numbers, "", f"Conditions: {facts}."])


def cases(found: pd.DataFrame) -> list[tuple[str, str]]:
    """Return context and workload of every row of the table."""
    return sorted({case[:2] for case in found.index})


def cell(scored: Any) -> str:
    """Return mean, lowest and highest speedup of a workload's prompts, and the length, if any."""
    length = f", {scored.length}" * bool(scored.length)
    return f"{scored.mean:.2f}x ({scored.low:.2f}-{scored.high:.2f}){length}"


def scores(record: dict[str, Any]) -> pd.DataFrame:
    """Return speedups over a workload's prompts, by context, workload and method."""
    rows = with_speedups(pd.DataFrame(record["rows"]))
    groups = rows.groupby(["context", "workload", "method"])
    found = {names: _score(group) for names, group in groups if names[2] in METHODS}
    table = pd.DataFrame.from_dict(found, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index)
    return table.astype({"length": int}).reindex(METHODS, level=2)


def _score(rows: pd.DataFrame) -> dict[str, float]:
    # Each prompt is scored with the length that was best on the workload's other prompts.
    found = rows.pivot_table(index="prompt", columns="gamma", values="speedup")
    others = found.sum() - found if len(found) > 1 else found
    lengths = others.idxmax(axis=1)
    each = pd.Series({prompt: found.loc[prompt, length] for prompt, length in lengths.items()})
    length = 0 if rows["method"].iloc[0].startswith("lookup") else lengths.mode()[0]
    return {"mean": each.mean(), "low": each.min(), "high": each.max(), "length": length}


def conclusions(record: dict[str, Any]) -> dict[str, float]:
    """Return the few numbers that hold the project to its goals."""
    rows, found = with_speedups(pd.DataFrame(record["rows"])), scores(record)
    mean = found["mean"].groupby(level=[0, 2]).mean()
    result: dict[str, float] = {}
    for context in rows["context"].unique():
        for method in METHODS:
            result[f"{context}: {method}, mean"] = float(mean[context, method])
        drafted = rows[rows["context"] == context].pivot_table(
            index=["workload", "prompt", "gamma"], columns="method", values="each"
        )
        ratio = drafted["assisted, library"] / drafted["assisted, ours"]
        result[f"{context}: assisted, ours over the library's, mean"] = float(ratio.mean())
    passes = rows.groupby("method")["target_passes"].sum()
    result["library's target passes over ours"] = float(
        passes["assisted, library"] / passes["assisted, ours"]
    )
    result["share of texts equal to the library's plain one"] = float(rows["same_text"].mean())
    result["prompts in each workload"] = float(rows.groupby("workload")["prompt"].nunique().min())
    return result


def main() -> None:
    """Write the part into both READMEs."""
    english = bench_part(json.loads(RESULT.read_text(encoding="utf-8")))
    write_parts(README, {"bench": english})
    write_parts(readme_ja.README, {"bench": readme_ja.bench(english)})


if __name__ == "__main__":
    main()
