"""The benchmark: its rows and ratios, kills, two processes, the table, lesson 12's card."""

import copy
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import GenerationConfig

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.analysis.calibration import timed_runs
from gemma_mtp_edu.measure import bench
from gemma_mtp_edu.measure.bench import Plan, Prompts, read_prompts
from gemma_mtp_edu.show.report import bench_text, summary
from tests.cases import cases
from tests.model.tiny import prompt_ids, tiny_pair
from tools.bench_table import bench_part, conclusions

PLAN = Plan(gammas=(2,), repeats=1, max_new_tokens=4)
LINES = ("Count from 3 to 9.", "Hello!", '{"prompt": "<script>x</script>", "workload": "<i>"}')


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(LINES), encoding="utf-8")
    return read_prompts(file)


def test_plain_and_json_lines_are_prompts_whose_keys_change_with_them(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(
        b'\xef\xbb\xbfHello!\r\n\r\n{"prompt": "<b>", "workload": "count"}\n[1, 2 is\n'
    )
    found = read_prompts(file)
    assert list(found.values()) == [("all", "Hello!"), ("count", "<b>"), ("all", "[1, 2 is")]
    assert [key[:2] for key in found] == ["1-", "3-", "4-"]
    file.write_text("a\na\n", encoding="utf-8")
    first, second = read_prompts(file)
    file.write_text("b\na\n", encoding="utf-8")
    changed, same = read_prompts(file)
    assert changed != first != second == same


@pytest.mark.parametrize(
    "content",
    [b"\n \n", b'{"prompt": "cut', b'{"text": "a"}', b'{"prompt": 3}', b'["a", "b"]', b"\xff\xfe"],
)
def test_files_that_hold_no_prompts_say_why(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"need one to a line|need JSON such as|can't decode"):
        read_prompts(file)


@pytest.mark.parametrize("wrong", [{"gammas": ()}, {"gammas": (4, 0)}, {"repeats": 0}])
def test_plans_that_cannot_be_followed(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="need a draft length or more"):
        Plan(**wrong)  # type: ignore[arg-type]


def test_a_quick_run_is_complete(pair: ModelPair) -> None:
    texts = {"json": ["Create a JSON object for a book."], "code": ["Write a function.", "Hi!"]}
    plan = Plan(gammas=(2,), repeats=1, max_new_tokens=12)
    record = bench.bench(pair, texts, plan, questions=("Hello!", "List five fruits."))
    assert record is not None
    assert json.loads(json.dumps(record)) == record
    assert {"dtype", "threads", "torch", "cpu", "plan"} <= set(record["conditions"])
    rows = pd.DataFrame(record["rows"])
    assert len(rows) == 2 * 3 * 5, "contexts, prompts, methods"
    assert rows["same_text"].all()
    assert (rows["seconds"] > 0).all()
    assisted = rows[rows["method"].str.startswith("assisted")]
    assert (assisted["target_passes"] < assisted["tokens"]).all()
    assert "assisted, ours, 2 drafts" in bench_text(record)
    assert conclusions(record)["library's target passes over ours"] > 0.9


def test_long_contexts_are_four_windows_and_end_with_the_prompt(pair: ModelPair) -> None:
    ids = bench.long_context(pair, "List five fruits.", ("Hello!", "Why is decoding slow?"))
    assert ids.shape[1] >= 4 * pair.target.config.sliding_window
    short = pair.encode("List five fruits.")[0, 1:]  # without the mark that begins every text
    assert ids[0, -len(short) :].tolist() == short.tolist()


def test_speedups_are_like_for_like_and_lengths_chosen_on_other_prompts() -> None:
    """Prompt a is fastest with 8 drafts, b and c with 4: so a is scored with 4, the others too."""
    drafted = {"a": (2.0, 1.0), "b": (1.0, 4.0), "c": (1.0, 4.0)}
    cases = [(p, "plain, library", 0, 6.0) for p in drafted]
    cases += [(p, "plain, ours", 0, 4.0) for p in drafted]
    for name in ("assisted, library", "assisted, ours", "lookup, library"):
        for prompt, each in drafted.items():
            cases += [(prompt, name, g, s) for g, s in zip((4, 8), each, strict=True)]
    names = ["prompt", "method", "gamma", "seconds"]
    rows = pd.DataFrame(cases, columns=names).assign(
        context="short", workload="json", tokens=20, target_passes=5, same_text=True
    )
    assert summary(rows).loc[("short", "json"), "assisted, ours, 4 drafts"] == pytest.approx(10 / 3)
    record = {"rows": rows.to_dict(orient="records"), "conditions": {"cpu": "x"}}
    shown = "1.50x (1.50-1.50) | 5.00x (3.00-6.00) | 5.00x (3.00-6.00), 4 | 3.33x (2.00-4.00), 4 |"
    assert shown in bench_part(record)
    assert conclusions(record)["short: assisted, ours over the library's, mean"] == 1.0


def test_a_target_s_own_settings_reach_no_side_of_a_comparison() -> None:
    pair = tiny_pair()
    before = pair.target.generation_config
    settings = {"repetition_penalty": 2.0, "num_beams": 2, "do_sample": True}
    pair.target.generation_config = GenerationConfig(pad_token_id=0, **settings)
    try:
        rows = bench.measure(pair, prompt_ids(9), Plan((2,), 1, 12))
    finally:
        pair.target.generation_config = before
    assert all(row["same_text"] for row in rows)


def test_a_killed_run_goes_on_with_nothing_lost_or_done_twice(
    pair: ModelPair, prompts: Prompts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, measured = tmp_path / "out.jsonl", Counter[int]()
    original = bench.measure

    def counting(pair, ids, plan):  # type: ignore[no-untyped-def]
        if measured.total() == 2:
            measured.clear()
            raise KeyboardInterrupt
        measured[ids.shape[1]] += 1
        return original(pair, ids, plan)

    monkeypatch.setattr(bench, "measure", counting)
    with pytest.raises(KeyboardInterrupt):
        bench.run(pair, prompts, PLAN, contexts=(32,), out=out)
    part = tmp_path / f"{out.name}.part-0"
    first = part.read_text().split()
    results = bench.run(pair, prompts, PLAN, contexts=(32,), out=out)
    assert results is not None
    assert measured.total() == 1, "only the prompt that was left"
    assert [r["key"] for r in results] == [*prompts, "context-32"]
    assert out.read_text().split()[: len(first)] == first
    assert not part.exists()
    assert bench.run(pair, prompts, PLAN, contexts=(32,), out=out) == results
    assert measured.total() == 1
    drafter = copy.deepcopy(pair.drafter)
    with torch.no_grad():
        drafter.pre_projection.weight[0, 0] += 1.0
    other = ModelPair(pair.target, drafter, pair.processor, pair.name)
    for models, plan in ((pair, Plan((3,), 1)), (other, PLAN)):
        with pytest.raises(ValueError, match="of this run"):
            bench.run(models, prompts, plan, out=out)


def test_two_processes_share_the_prompts_and_the_table_shows_them(
    prompts: Prompts, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = (
        "-m torch.distributed.run --nproc_per_node 2 --standalone -m gemma_mtp_edu bench "
        f"--prompts {tmp_path / 'prompts.txt'} --out {out} --gammas 2 --repeats 1 "
        "--max-new-tokens 4 --contexts 32"
    )
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["key"] for r in results] == [*prompts, "context-32"]
    assert {r["process"] for r in results} == {0, 1}, "both of them did a share"
    assert {p.name for p in tmp_path.iterdir()} == {"out.jsonl", "prompts.txt"}
    assert all(result["peak_memory_bytes"] > 50e6 for result in results)
    rows = pd.DataFrame(bench.rows_of(results))
    assert set(rows["prompt"]) == set(prompts)
    assert rows["same_text"].all()
    assert "assisted, ours, 2 drafts" in done.stdout
    assert done.stdout.rstrip().endswith("4 results in " + str(out))


@cases
def test_what_cannot_be_measured_is_said_before_anything_is(
    contexts: tuple[int, ...], max_new_tokens: int, message: str,
    pair: ModelPair, prompts: Prompts, tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(ValueError, match=message):
        bench.run(pair, prompts, Plan((2,), 1, max_new_tokens), contexts, tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prompts.txt"]


@cases
def test_no_file_of_the_user_is_overwritten(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p.txt", "notes.txt"):
        (tmp_path / name).write_text("Hello!\n", encoding="utf-8")
    assert main(["bench", "--quick", *options.split()]) == 2
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"p.txt": "Hello!\n", "notes.txt": "Hello!\n"}


def test_timed_runs_write_one_text_with_every_length(pair: ModelPair) -> None:
    runs = timed_runs(pair, {"count": "Count from 7 to 12."}, (1, 3), max_new_tokens=10, repeats=2)
    assert [(name, gamma, len(traces)) for (name, gamma), traces in runs.items()] == [
        ("count", 0, 2), ("count", 1, 2), ("count", 3, 2),
    ]  # fmt: skip
    assert len({trace.token_ids for traces in runs.values() for trace in traces}) == 1
