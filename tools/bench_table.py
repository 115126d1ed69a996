"""Write the benchmark's table into the READMEs, from what `make bench` has stored.

make bench BENCH_ARGS="--out docs/bench.json"
python -m tools.bench_table
"""

import json
from typing import Any

import pandas as pd

from gemma_mtp_edu.show.report import summary
from tools import readme_ja
from tools.document import table, write_parts
from tools.lessons import ROOT

RESULT = ROOT / "docs" / "bench.json"
README = ROOT / "README.md"


def bench_part(record: dict[str, Any]) -> str:
    """Return the table, the conclusions and the conditions as Markdown."""
    speedups = summary(pd.DataFrame(record["rows"]))
    header = [
        "context",
        "workload",
        "prompt lookup, library",
        "assisted, library",
        "assisted, ours",
    ]
    rows = [
        [
            str(context),
            str(workload),
            f"{row['lookup, library, 4 drafts']:.2f}x",
            best(row, "assisted, library"),
            best(row, "assisted, ours"),
        ]
        for (context, workload), row in speedups.iterrows()
    ]
    numbers = [f"- {name}: {value:.2f}" for name, value in conclusions(record).items()]
    facts = "; ".join(f"{name} {value}" for name, value in record["conditions"].items())
    return "\n".join([table(header, rows), "", *numbers, "", f"Conditions: {facts}."])


def conclusions(record: dict[str, Any]) -> dict[str, float]:
    """Return the few numbers that hold the project to its goals."""
    rows = pd.DataFrame(record["rows"])
    speedups = summary(rows)
    ours = speedups[[c for c in speedups.columns if c.startswith("assisted, ours")]]
    theirs = speedups[[c for c in speedups.columns if c.startswith("assisted, library")]]
    result: dict[str, float] = {}
    for context in speedups.index.unique("context"):
        mine, library = ours.loc[context], theirs.loc[context]
        best = mine.max(axis=1)
        ratio = mine.to_numpy() / library.to_numpy()
        result[f"{context}: ours over library's assisted run, mean"] = float(ratio.mean())
        result[f"{context}: ours over plain, best length per workload, mean"] = float(best.mean())
        for workload in ("json", "code"):
            result[f"{context}: ours over plain, {workload}"] = float(best[workload])
    passes = rows.groupby("method")["target_passes"].sum()
    result["library's target passes over ours"] = float(
        passes["assisted, library"] / passes["assisted, ours"]
    )
    result["share of texts equal to the library's plain one"] = float(rows["same_text"].mean())
    return result


def best(row: pd.Series, method: str) -> str:
    """Return a method's best speedup and the draft length that gave it."""
    values = row[[label for label in row.index if label.startswith(f"{method}, ")]]
    length = str(values.idxmax()).removeprefix(f"{method}, ").removesuffix(" drafts")
    return f"{values.max():.2f}x ({length})"


def main() -> None:
    """Write the part into both READMEs."""
    english = bench_part(json.loads(RESULT.read_text(encoding="utf-8")))
    write_parts(README, {"bench": english})
    write_parts(readme_ja.README, {"bench": readme_ja.bench(english)})


if __name__ == "__main__":
    main()
