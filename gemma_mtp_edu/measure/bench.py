"""Measure plain and assisted decoding, ours and the library's, in one interleaved run.

Times of a machine drift. So all methods take turns on every prompt, medians are compared, and what
counts are the ratios of one run. Everything that a reader needs to judge a number stands in the
result: hardware, dtype, threads, versions, prompts, draft lengths.
"""

import json
import os
import platform
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from gemma_mtp_edu.analysis.reference import drafter_with, reference_generate
from gemma_mtp_edu.analysis.timing import clock
from gemma_mtp_edu.core.arguments import check_kind, listed, whole
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.lessons.language import called, marked, tr
from gemma_mtp_edu.lessons.prompts import PROMPTS
from gemma_mtp_edu.measure.result_lines import write_text
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair

SCHEMA = "gemma_mtp_edu.bench/1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        gammas: Draft lengths.
        repeats: Timed turns of each method.
        max_new_tokens: Tokens to write at most.
        prompts_per_workload: How many of each workload's prompts.
        long_contexts: Also run after a conversation of at least four sliding windows.

    Raises:
        ValueError: A number is out of range.
    """

    gammas: tuple[int, ...] = (1, 2, 4, 8, 12)
    repeats: int = 3
    max_new_tokens: int = 48
    prompts_per_workload: int = 1
    long_contexts: bool = True

    def __post_init__(self) -> None:
        if not listed(self.gammas, "gammas"):
            raise ValueError(
                tr("got no gammas, need one draft length or more, such as (1, 2, 4, 8)")
            )
        object.__setattr__(self, "gammas", tuple(map(check_gamma, self.gammas)))
        for name in ("repeats", "max_new_tokens", "prompts_per_workload"):
            object.__setattr__(self, name, whole(getattr(self, name), name))


QUICK = Plan(gammas=(4,), repeats=1)
# How methods and conclusions are called; stored ones are English.
NAMES = (
    marked("plain, library"), marked("plain, ours"), marked("lookup, library"),
    marked("assisted, library"), marked("assisted, ours"), marked("short"), marked("long"),
    marked("ours over library's assisted run, mean"),
    marked("ours over plain, best length per workload, mean"),
    marked("ours over plain, json"), marked("ours over plain, code"),
    marked("library's target passes over ours"),
    marked("share of texts equal to the library's plain one"),
)  # fmt: skip


def bench(pair: ModelPair, plan: Plan = Plan()) -> pd.DataFrame:
    """Return one row per context, workload, prompt, draft length and method.

    Columns: `seconds` (median), `tokens`, `target_passes`, `same_text` (as in the library's plain
    run).

    Args:
        pair: The models.
        plan: What to measure.

    Raises:
        ValueError: An argument is of another kind.
    """
    check_is_pair(pair)
    check_kind(plan, Plan, "plan", "bench.Plan(...)")
    cases = [
        (context, workload, prompt)
        for context in ("short", "long")[: 1 + plan.long_contexts]
        for workload, prompts in PROMPTS.items()
        for prompt in prompts[: plan.prompts_per_workload]
    ]
    rows: list[dict[str, Any]] = []
    for context, workload, prompt in tqdm(cases, unit="prompt", delay=2, leave=False):
        ids = long_context(pair, prompt) if context == "long" else pair.encode(prompt)
        for row in measure(pair, ids, plan):
            rows.append({"context": context, "workload": workload, "prompt": prompt, **row})
    return pd.DataFrame(rows)


def long_context(pair: ModelPair, prompt: str) -> Tensor:
    """Return ids of a conversation of at least four sliding windows that ends with `prompt`."""
    window = pair.target.config.get_text_config().sliding_window
    messages: list[dict[str, str]] = [{"role": "user", "content": prompt}]
    earlier = [text for prompts in PROMPTS.values() for text in prompts]
    while True:
        ids = pair.encode_messages(messages)
        if ids.shape[1] >= 4 * window:
            return ids
        question = earlier[len(messages) // 2 % len(earlier)]
        answer = autoregressive_generate(pair, question, max_new_tokens=64).text
        turn = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        messages = [*turn, *messages]


def measure(pair: ModelPair, ids: Tensor, plan: Plan) -> list[dict[str, Any]]:
    """Time all methods on one prompt `[1, seq]`, in turns; the first turn only warms up."""
    runs: list[tuple[str, int, Callable[[], Sequence[int]]]] = [
        ("plain, library", 0, lambda: _library(pair, ids, plan)),
        ("plain, ours", 0, lambda: _plain(pair, ids, plan)),
        ("lookup, library", 4, lambda: _library(pair, ids, plan, prompt_lookup_num_tokens=4)),
    ]
    for gamma in plan.gammas:
        runs += [
            ("assisted, library", gamma, partial(_assisted, pair, ids, plan, gamma)),
            ("assisted, ours", gamma, partial(_ours, pair, ids, plan, gamma)),
        ]
    seconds: list[list[float]] = [[] for _ in runs]
    texts: list[tuple[int, ...]] = [()] * len(runs)
    for _ in range(plan.repeats + 1):
        for index, (_, _, run) in enumerate(runs):
            start = clock(pair.device)
            texts[index] = tuple(run())
            seconds[index].append(clock(pair.device) - start)
    return [
        {
            "method": method,
            "gamma": gamma,
            "seconds": statistics.median(seconds[index][1:]),
            "tokens": len(texts[index]),
            "target_passes": _passes(pair, ids, plan, method, gamma),
            "same_text": texts[index] == texts[0],
        }
        for index, (method, gamma, _) in enumerate(runs)
    ]


def _library(pair: ModelPair, ids: Tensor, plan: Plan, **arguments: Any) -> list[int]:
    output = pair.target.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=plan.max_new_tokens,
        do_sample=False,
        **arguments,
    )
    written: list[int] = output[0, ids.shape[1] :].tolist()
    return written


def _assisted(pair: ModelPair, ids: Tensor, plan: Plan, gamma: int) -> list[int]:
    return _library(pair, ids, plan, assistant_model=drafter_with(pair, gamma))


def _plain(pair: ModelPair, ids: Tensor, plan: Plan) -> tuple[int, ...]:
    return autoregressive_generate(pair, ids, max_new_tokens=plan.max_new_tokens).token_ids


def _ours(pair: ModelPair, ids: Tensor, plan: Plan, gamma: int) -> tuple[int, ...]:
    limit = plan.max_new_tokens
    return speculative_generate(pair, ids, gamma=gamma, max_new_tokens=limit).token_ids


def _passes(pair: ModelPair, ids: Tensor, plan: Plan, method: str, gamma: int) -> int | None:
    """Count the target's passes in a run of its own: counting would cost the timed ones time."""
    limit = plan.max_new_tokens
    if method == "assisted, library":
        return reference_generate(pair, ids, gamma=gamma, max_new_tokens=limit).target_passes
    if method == "assisted, ours":
        return speculative_generate(pair, ids, gamma=gamma, max_new_tokens=limit).target_passes
    return None


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the speedup over the library's plain run, by context, workload, method, draft length.

    Per prompt the ratio of the medians; then the mean over a workload's prompts.
    """
    keys = ["context", "workload", "prompt"]
    plain = rows[rows["method"] == "plain, library"].set_index(keys)["seconds"]
    ratios = rows.join(plain.rename("plain_seconds"), on=keys)
    ratios["speedup"] = ratios["plain_seconds"] / ratios["seconds"]
    ratios["label"] = [
        f"{method}, {gamma} drafts" if gamma else method
        for method, gamma in zip(ratios["method"], ratios["gamma"], strict=True)
    ]
    order = list(dict.fromkeys(ratios["label"]))
    table = ratios.pivot_table(index=["context", "workload"], columns="label", values="speedup")
    return table[order]


def shown(label: str) -> str:
    """Return a label of `summary` in the current language.

    >>> shown("assisted, ours, 4 drafts")
    'assisted, ours, 4 drafts'
    """
    found = re.fullmatch(r"(.*), (\d+) drafts", label)
    if found is None:
        return called(label)
    drafts = tr("{n} drafts", n=found[2])
    return tr("{method}, {drafts}", method=called(found[1]), drafts=drafts)


def conclusions(rows: pd.DataFrame) -> dict[str, float]:
    """Return the few numbers that hold the project to its goals."""
    table = summary(rows)
    ours = table[[c for c in table.columns if c.startswith("assisted, ours")]]
    theirs = table[[c for c in table.columns if c.startswith("assisted, library")]]
    result: dict[str, float] = {}
    for context in table.index.unique("context"):
        mine, library = ours.loc[context], theirs.loc[context]
        ratio = mine.to_numpy() / library.to_numpy()
        best = mine.max(axis=1)
        result[f"{context}: ours over library's assisted run, mean"] = float(ratio.mean())
        result[f"{context}: ours over plain, best length per workload, mean"] = float(best.mean())
        for workload in ("json", "code"):
            result[f"{context}: ours over plain, {workload}"] = float(best[workload])
    counted = rows.dropna(subset=["target_passes"])
    passes = counted.groupby("method")["target_passes"].sum()
    result["library's target passes over ours"] = float(
        passes["assisted, library"] / passes["assisted, ours"]
    )
    result["share of texts equal to the library's plain one"] = float(rows["same_text"].mean())
    return result


def conditions(pair: ModelPair, plan: Plan) -> dict[str, str]:
    """Return what a number means nothing without."""
    gpu = torch.cuda.get_device_name(pair.device) if pair.device.type == "cuda" else ""
    return {
        **pair.provenance("bench"),
        "cpu": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "gpu": gpu or "none",
        "python": platform.python_version(),
        "plan": str(plan),
    }


def run(pair: ModelPair, plan: Plan, out: Path | None) -> None:
    """Measure, print the tables, and write all of it to a JSON file where one is named."""
    rows = bench(pair, plan)
    facts = conditions(pair, plan)
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    with pd.option_context("display.unicode.east_asian_width", True):
        print(summary(rows).round(2).T.rename(index=shown).to_string())
    numbers = conclusions(rows)
    for key, value in numbers.items():
        print(f"{': '.join(map(called, key.split(': ')))}: {value:.2f}")
    if out is not None:
        record = {
            "schema": SCHEMA,
            "conditions": facts,
            "conclusions": numbers,
            "rows": rows.to_dict(orient="records"),
        }
        write_text(out, json.dumps(record, indent=1))
