"""A benchmark in words."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def with_speedups(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with each one's speedup per token, like for like.

    Drafting in our loop is compared with our plain loop, and all else with the library's.
    """
    keys = ["context", "workload", "prompt", "base"]
    base = "plain, " + rows["method"].eq("assisted, ours").map({True: "ours", False: "library"})
    rows = rows.assign(each=rows["seconds"] / rows["tokens"], base=base)
    plain = rows[rows["gamma"] == 0].assign(base=rows["method"]).set_index(keys)["each"]
    rows = rows.join(plain.rename("plain"), on=keys)
    return rows.assign(speedup=rows["plain"] / rows["each"])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean speedup by context, workload and method."""
    lengths = rows["gamma"].map(lambda gamma: f", {gamma} drafts" if gamma else "")
    rows = with_speedups(rows).assign(label=rows["method"] + lengths)
    table = rows.pivot_table(index=["context", "workload"], columns="label", values="speedup")
    return table[list(dict.fromkeys(rows["label"]))]


def bench_text(record: Mapping[str, Any]) -> str:
    """Return what `measure.bench.bench` measured as text: conditions, then speedups."""
    facts = (f"{name}: {value}" for name, value in record["conditions"].items())
    rows = pd.DataFrame(record["rows"])
    same = f"same text as the library's plain run: {rows['same_text'].mean():.0%}"
    return "\n".join((*facts, summary(rows).round(2).T.to_string(), same))
