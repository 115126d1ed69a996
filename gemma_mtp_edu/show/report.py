"""A benchmark in words."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


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
