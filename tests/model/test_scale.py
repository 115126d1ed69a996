"""A file of prompts measured: kills, two processes, the report."""

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.measure import scale
from gemma_mtp_edu.measure.bench import Plan
from gemma_mtp_edu.measure.prompt_file import NumberedPrompt, read_prompts
from gemma_mtp_edu.measure.result_lines import ResultsError, part_of
from gemma_mtp_edu.measure.scale_report import measured_rows, report_page

SWEEP = scale.Sweep(Plan(gammas=(2,), repeats=1, max_new_tokens=4), contexts=(32,))
LINES = ("Count from 3 to 9.", "Hello!", '{"prompt": "<script>x</script>", "workload": "<i>"}')


@pytest.fixture
def prompts(tmp_path: Path) -> list[NumberedPrompt]:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(LINES), encoding="utf-8")
    return read_prompts(file)


class Killed(BaseException):
    """What no handler may swallow."""


def test_a_killed_run_goes_on_with_nothing_lost_or_done_twice(
    pair: ModelPair,
    prompts: list[NumberedPrompt],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, measured = tmp_path / "out.jsonl", Counter[int]()
    original = scale.measure

    def counting(pair, ids, plan):  # type: ignore[no-untyped-def]
        if measured.total() == 2:
            measured.clear()
            raise Killed
        measured[ids.shape[1]] += 1
        return original(pair, ids, plan)

    monkeypatch.setattr(scale, "measure", counting)
    with pytest.raises(Killed):
        scale.run(pair, prompts, SWEEP, out)
    first = part_of(out, 0).read_text().splitlines()
    assert len(first) == 2
    results = scale.run(pair, prompts, SWEEP, out)
    assert results is not None
    assert measured.total() == 1, "only the prompt that was left"
    assert [r["key"] for r in results] == [*(p.key for p in prompts), "context-32"]
    assert out.read_text().splitlines()[:2] == first
    assert not part_of(out, 0).exists()
    again = scale.run(pair, prompts, SWEEP, out)
    assert again == results
    assert measured.total() == 1
    other = scale.Sweep(Plan(gammas=(3,), repeats=1), contexts=())
    with pytest.raises(ResultsError, match="another run"):
        scale.run(pair, prompts, other, out)


class Tags(HTMLParser):
    """Counts elements and collects what pictures say."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.alts = Counter[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag == "img":
            self.alts.append(dict(attrs).get("alt") or "")


def test_two_processes_share_the_prompts_and_the_report_holds_all(
    prompts: list[NumberedPrompt], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launch += ["--standalone", "-m", "gemma_mtp_edu", "bench"]
    options = ["--prompts", str(tmp_path / "prompts.txt"), "--out", str(out), "--gammas", "2"]
    options += ["--repeats", "1", "--max-new-tokens", "4", "--contexts", "32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        launch + options, capture_output=True, text=True, timeout=540, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["key"] for r in results] == [*(p.key for p in prompts), "context-32"]
    assert {r["process"] for r in results} == {0, 1}, "both of them did a share"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.html",
        "out.jsonl",
        "prompts.txt",
    ]
    for result in results:
        assert result["peak_memory_bytes"] > 50e6
    rows = measured_rows([r for r in results if r["kind"] == "prompt"])
    assert set(rows["prompt"]) == {p.key for p in prompts}
    assert rows["same_text"].all()
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page == report_page(results)
    seen = Tags()
    seen.feed(page)
    assert seen.tags["script"] == seen.tags["i"] == 0
    assert "&lt;script&gt;" in page
    assert len(seen.alts) >= 6
    assert all(len(alt) > 40 for alt in seen.alts)


def test_a_page_needs_a_prompt() -> None:
    with pytest.raises(ValueError, match="run the bench first"):
        report_page([])


def test_a_sweep_is_not_gone_on_with_by_other_models(
    pair: ModelPair, prompts: list[NumberedPrompt], tmp_path: Path
) -> None:
    out, sweep = tmp_path / "out.jsonl", scale.Sweep(SWEEP.plan, ())
    first = scale.run(pair, prompts[:1], sweep, out)
    drafter = copy.deepcopy(pair.drafter)
    with torch.no_grad():
        drafter.pre_projection.weight[0, 0] += 1.0
    other = ModelPair(pair.target, drafter, pair.processor, pair.name)
    with pytest.raises(ResultsError, match="another run"):
        scale.run(other, prompts[:1], sweep, out)
    assert scale.run(pair, prompts[:1], sweep, out) == first


@pytest.mark.parametrize(
    ("contexts", "max_new_tokens", "message"),
    [
        ((32, 1), 4, r"got contexts \(1,\)"),
        ((32, 10**9), 4, "got context 1000000000 .*leave that"),
        ((), 10**9, "the prompt of line 1 cannot be measured: got max_new_tokens"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    pair: ModelPair,
    prompts: list[NumberedPrompt],
    tmp_path: Path,
    contexts: tuple[int, ...],
    max_new_tokens: int,
    message: str,
) -> None:
    sweep = scale.Sweep(Plan((2,), 1, max_new_tokens), contexts)
    with pytest.raises(ValueError, match=message):
        scale.run(pair, prompts, sweep, tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prompts.txt"]


@pytest.mark.parametrize(
    "options",
    [
        ["--out", "p.txt"],
        ["--out", "r.html"],
        ["--out", "r.jsonl", "--report", "p.txt"],
        ["--out", "notes.txt"],
    ],
)
def test_no_file_of_the_user_is_overwritten(
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p.txt", "notes.txt"):
        (tmp_path / name).write_text("Hello!\n", encoding="utf-8")
    assert main(["bench", "--prompts", "p.txt", "--quick", "--max-new-tokens", "2",
                 "--contexts", "", *options]) == 2  # fmt: skip
    assert capsys.readouterr().err.startswith("error: ")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"p.txt": "Hello!\n", "notes.txt": "Hello!\n"}
