"""The benchmark's rows and ratios; its times are not judged."""

import json
from pathlib import Path

import pandas as pd
import pytest

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.lessons import prompts
from gemma_mtp_edu.measure import bench


def test_a_quick_run_is_complete(
    pair: ModelPair,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {name: prompts.PROMPTS[name] for name in ("json", "code")}
    monkeypatch.setattr(bench, "PROMPTS", chosen)
    plan = bench.Plan(gammas=(2,), repeats=1, prompts_per_workload=1, max_new_tokens=12)
    bench.run(pair, plan, tmp_path / "bench.json")
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["schema"] == bench.SCHEMA
    assert {"dtype", "threads", "torch", "transformers", "cpu", "plan"} <= set(record["conditions"])
    rows = pd.DataFrame(record["rows"])
    assert len(rows) == 2 * 2 * 5, "contexts, workloads, methods"
    assert rows["same_text"].all()
    assert (rows["seconds"] > 0).all()
    assisted = rows[rows["method"].str.startswith("assisted")]
    assert (assisted["target_passes"] < assisted["tokens"]).all()
    assert "ours over library's assisted run" in capsys.readouterr().out


def test_long_contexts_are_four_windows_and_end_with_the_prompt(pair: ModelPair) -> None:
    prompt = "List five fruits."
    ids = bench.long_context(pair, prompt)
    assert ids.shape[1] >= 4 * pair.target.config.sliding_window
    short = pair.encode(prompt)[0, 1:]  # without the mark that begins every text
    assert ids[0, -len(short) :].tolist() == short.tolist()


def test_ratios_are_taken_prompt_by_prompt() -> None:
    rows = pd.DataFrame(
        [
            ("short", "json", "a", "plain, library", 0, 4.0, None, True),
            ("short", "json", "a", "assisted, ours", 4, 1.0, 5, True),
            ("short", "json", "a", "assisted, library", 4, 2.0, 6, True),
            ("short", "code", "b", "plain, library", 0, 6.0, None, True),
            ("short", "code", "b", "assisted, ours", 4, 3.0, 5, True),
            ("short", "code", "b", "assisted, library", 4, 3.0, 6, True),
        ],
        columns=[
            "context", "workload", "prompt", "method", "gamma", "seconds", "target_passes",
            "same_text",
        ],
    )  # fmt: skip
    table = bench.summary(rows)
    assert table.loc[("short", "json"), "assisted, ours, 4 drafts"] == pytest.approx(4.0)
    numbers = bench.conclusions(rows)
    assert numbers["short: ours over library's assisted run, mean"] == pytest.approx(1.5)
    assert numbers["short: ours over plain, best length per workload, mean"] == pytest.approx(3.0)
    assert numbers["library's target passes over ours"] == pytest.approx(1.2)
