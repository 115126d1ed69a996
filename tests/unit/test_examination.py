"""The doctor's report and its probes without a model; and that nothing broken makes it raise."""

import importlib.metadata
import json
import os
import subprocess
import sys
import types
from html.parser import HTMLParser
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu import doctor, examination, machine_probes, torch_probes
from gemma_mtp_edu.analysis.emitted_law import ForcedDraws, emitted_law, total_variation
from gemma_mtp_edu.examination import Probe, examined
from gemma_mtp_edu.findings import SIGNS, Finding, Report, Status
from gemma_mtp_edu.models import hub_cache
from gemma_mtp_edu.models.registry import PAIRS
from gemma_mtp_edu.models.safety import without_commands

ROOT = Path(__file__).resolve().parents[2]
STATUSES: tuple[Status, ...] = ("ok", "note", "warning", "fail")


def report(*statuses: Status) -> Report:
    return Report(tuple(Finding("area", s, s, f"found {s}", f"mend {s}") for s in statuses), 1.5)


# The report.


@pytest.mark.parametrize(
    ("statuses", "code"), [((), 0), (STATUSES[:3], 0), (("ok", "fail"), 1), (("fail",), 1)]
)
def test_only_a_failure_is_an_exit_code(statuses: tuple[Status, ...], code: int) -> None:
    made = report(*statuses)
    assert made.exit_code == code
    assert json.loads(made.to_json())["exit_code"] == code
    assert ("CANNOT" in str(made)) == bool(code)


def test_text_says_each_status_by_symbol_and_word_with_its_fix() -> None:
    text = str(report(*STATUSES))
    for status in STATUSES:
        assert f"{SIGNS[status].symbol} {status}" in text
        assert f"-> mend {status}" in text
    assert report(*STATUSES).to_text(ascii_only=True).isascii()
    assert len({sign.ascii_symbol for sign in SIGNS.values()}) == len(SIGNS)
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_everything() -> None:
    content = json.loads(report(*STATUSES).to_json())
    assert (content["schema"], content["runs"]) == (1, False)
    assert [f["status"] for f in content["findings"]] == list(STATUSES)
    assert content["findings"][3] == {
        "area": "area",
        "name": "fail",
        "status": "fail",
        "found": "found fail",
        "fix": "mend fail",
    }


def test_a_finding_is_found_by_name_or_said_to_be_missing() -> None:
    assert report("ok", "note").find("note").found == "found note"
    with pytest.raises(KeyError, match="there are: ok, note"):
        report("ok", "note").find("warning")


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(st.lists(st.text(st.characters(blacklist_characters="\r"), min_size=1), min_size=4))
def test_html_escapes_whatever_was_found(texts: list[str]) -> None:
    area, name, found, fix = texts[:4]
    page = Page(Report((Finding(area, name, "warning", found, fix),), 0.0)._repr_html_())
    assert page.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    shown = {area, name, without_commands(found), without_commands(fix), "! warning"}
    assert shown <= set(page.words)


# Probes.


def broken() -> Finding:
    raise RuntimeError("first line\nsecond line")


def leaving() -> Finding:
    sys.exit("goodbye")


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


def mute() -> Finding:
    raise MuteError


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (broken, "RuntimeError: first line"),
        (leaving, "SystemExit: goodbye"),
        (mute, "MuteError"),
    ],
)
def test_whatever_a_probe_raises_is_a_finding(run: object, found: str) -> None:
    probe = Probe("area", "name", run, status="warning", fix="mend it")  # type: ignore[arg-type]
    assert examined(probe) == [Finding("area", "name", "warning", found, "mend it")]


def test_an_interrupt_still_interrupts() -> None:
    def stop() -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examined(Probe("area", "name", stop))


def test_what_is_left_when_time_is_up_is_said() -> None:
    made = doctor(seconds=1e-9)
    assert {finding.found for finding in made.findings} == {"not checked: time is up"}
    assert "not all was checked" in made.verdict
    assert (made.runs, made.exit_code) == (True, 1)


@pytest.mark.parametrize("seconds", [None, "20", 0, -1, float("nan"), float("inf"), True, 10**400])
def test_a_time_that_is_none_is_a_finding(seconds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_probes", lambda left: (Probe("a", "b", lambda: []),))
    found = doctor(seconds=seconds).find("seconds")
    assert found.status == "note"
    assert "need a number of seconds above 0, such as 20" in found.found
    with pytest.raises(KeyError):
        doctor(seconds=np.float64(5)).find("seconds")


def in_a_python_of_its_own(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code where the modules in a folder come before all others."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=env, check=False)


def test_a_hanging_import_of_torch_takes_no_longer_than_there_is(tmp_path: Path) -> None:
    """A Python of its own: here torch is loaded already."""
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(60)\n")
    code = "from gemma_mtp_edu import doctor; print(doctor(seconds=1.5).to_json())"
    done = in_a_python_of_its_own(code, tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert report["seconds"] < 10
    assert found["torch"]["found"].startswith("not checked: loading torch took longer than")
    assert found["torch"]["fix"] == "give it more time: doctor(seconds=4.5)"
    assert found["builds a drafter"]["found"] == "not checked: time is up"
    assert report["runs"] is True


@pytest.mark.parametrize("package", ["ipywidgets", "huggingface_hub", "transformers"])
def test_an_import_that_hangs_is_left_behind(package: str, tmp_path: Path) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("import time\ntime.sleep(1000)\n")
    code = (
        "import sys; from gemma_mtp_edu import doctor; kept = sys.stdout, sys.stderr\n"
        "print(doctor(seconds=6).to_json()); assert (sys.stdout, sys.stderr) == kept"
    )
    done = in_a_python_of_its_own(code, tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["seconds"] < 20
    found = [finding["found"] for finding in report["findings"]]
    assert any(text.startswith("not checked: it takes longer") for text in found)


@pytest.mark.parametrize("package", [*machine_probes.NEEDED, "tokenizers", "ipywidgets"])
def test_a_hollow_package_is_named_itself(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was left behind can be imported, and holds nothing."""
    hollow = types.ModuleType(package)
    hollow.__spec__ = ModuleSpec(package, None)
    monkeypatch.setitem(sys.modules, package, hollow)
    if package == "ipywidgets":
        found = machine_probes.widgets()
    else:
        (found,) = machine_probes.packages()
        assert (found.name, found.status) == (package, "fail")
    assert found.fix.startswith(f'pip install --force-reinstall "{package}')


def test_nobody_may_look_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    for name in ("is_dir", "glob", "is_file"):
        monkeypatch.setattr(Path, name, refuse)
    assert hub_cache.cached("a/b", tmp_path) == "not cached"
    assert hub_cache.missing_bytes({"a/b": 5}) == {"a/b": 5}
    monkeypatch.setattr(torch_probes, "free_disk", refuse)
    found = torch_probes.pair_finding(PAIRS["E2B"], "cuda", "bfloat16", 10**11)
    assert (found.status, "not cached" in found.found) == ("ok", True)


def test_a_file_where_the_cache_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(machine_probes, "hub_cache", lambda: tmp_path / "home/hub")
    found = machine_probes.hub()
    assert (found.status, "HF_HOME" in found.fix) == ("warning", True)
    monkeypatch.setattr(machine_probes, "hub_cache", lambda: tmp_path / "hub")
    assert machine_probes.hub().status == "ok"
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    assert machine_probes.hub().found.startswith("offline by TRANSFORMERS_OFFLINE")


def test_files_that_nobody_may_read_are_no_fault_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from gemma_mtp_edu.models import bundled

    def refuse(folder: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(bundled, "verify", refuse)
    found = torch_probes.bundled_pair()
    assert (found.status, found.found) == ("fail", "PermissionError")
    assert found.fix == "install the course again"


def test_no_terminal_is_commanded_by_what_was_found() -> None:
    finding = Finding("area", "name", "note", "data\udce9 \x1b[2J\u202e")
    assert finding.found == r"data\udce9 \x1b[2J\u202e"


def test_a_t4_only_emulates_bf16() -> None:
    t4 = torch_probes.native("bfloat16", "cuda", (7, 5))
    assert (t4.status, t4.found) == ("note", "only emulated: compute capability 7.5, needs 8.0")
    assert "float16" in t4.fix
    assert torch_probes.native("bfloat16", "cuda", (8, 0)).status == "ok"
    assert torch_probes.native("float16", "cuda", (7, 5)).status == "ok"
    assert torch_probes.native("bfloat16", "cpu", None).status == "ok"


@pytest.mark.parametrize(
    ("name", "device", "auto", "gigabytes", "status", "words"),
    [
        ("pocket", "cpu", "float32", 2, "ok", "fits in float32"),
        ("pocket", "cpu", "float32", 0.01, "fail", "needs 0.3"),
        ("E2B", "cuda", "float16", 14.6, "ok", "fits in float16 (13.0 GB)"),
        ("E4B", "cuda", "float16", 14.6, "note", "needs 17"),
        ("E4B", "cuda", "float16", 14.6, "note", "14.6 GB free; not cached"),
        ("E2B", "cpu", "float32", 16, "ok", "fits in bfloat16"),
        ("E2B", "cpu", "float32", 40, "ok", "fits in float32"),
        ("31B", "cuda", "bfloat16", 79, "ok", "fits in bfloat16"),
        ("31B", "cpu", "float32", 24, "note", "in bfloat16, 24.0 GB free"),
    ],
)
def test_what_fits_with_which_dtype(
    name: str,
    device: str,
    auto: str,
    gigabytes: float,
    status: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_probes, "free_disk", lambda: 10**12)
    found = torch_probes.pair_finding(PAIRS[name], device, auto, int(gigabytes * 1e9))
    assert found.status == status
    assert words in found.found
    if "bfloat16" in words and device == "cpu" and status == "ok":
        assert 'load_pair("E2B", dtype="bfloat16")' in found.fix


def test_a_full_disk_is_said_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_probes, "free_disk", lambda: 10**9)
    found = torch_probes.pair_finding(PAIRS["E2B"], "cuda", "bfloat16", 10**11)
    assert found.status == "note"
    assert "10.4 GB are to be downloaded: free some disk" in found.fix


def test_what_is_downloaded_already_needs_no_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hub_cache, "hub_cache", lambda: tmp_path)
    monkeypatch.setattr(torch_probes, "free_disk", lambda: 10**9)
    pair = PAIRS["E2B"]
    target = tmp_path / f"models--{pair.target_id.replace('/', '--')}" / "snapshots" / "abc"
    target.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (target / name).write_text("{}")
    found = torch_probes.pair_finding(pair, "cuda", "bfloat16", 10**11)
    assert found.status == "ok"
    assert "cached in part" in found.found
    assert "downloads 0.16 GB" in found.fix


def test_cached_checkpoints_are_told_from_cut_off_ones(tmp_path: Path) -> None:
    def add(repo: str, *names: str, index: tuple[str, ...] = ()) -> None:
        folder = tmp_path / f"models--{repo.replace('/', '--')}" / "snapshots" / "abc"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text("{}")
        if index:
            weights = {f"w{i}": name for i, name in enumerate(index)}
            text = json.dumps({"weight_map": weights})
            (folder / "model.safetensors.index.json").write_text(text)

    add("a/whole", "config.json", "model.safetensors")
    add("a/shards", "config.json", "1.safetensors", "2.safetensors", index=("1.safetensors",) * 2)
    add("a/cut", "config.json", "1.safetensors", index=("1.safetensors", "2.safetensors"))
    add("a/config-only", "config.json")
    add("a/cut-index", "config.json", "1.safetensors", index=("1.safetensors",))
    (cut_index,) = tmp_path.glob("*cut-index/snapshots/abc/*.index.json")
    cut_index.write_text(cut_index.read_text()[:-4])
    add("a/empty-index", "config.json", "model.safetensors.index.json")
    states = {
        name: hub_cache.cached(f"a/{name}", tmp_path)
        for name in ("whole", "shards", "cut", "config-only", "cut-index", "empty-index", "absent")
    }
    assert states == {
        "whole": "cached",
        "shards": "cached",
        "cut": "cached in part",
        "config-only": "cached in part",
        "cut-index": "cached in part",
        "empty-index": "cached in part",
        "absent": "not cached",
    }
    assert hub_cache.existing(tmp_path / "no" / "such") == tmp_path


@pytest.mark.parametrize(
    ("declared", "fix"),
    [
        (
            ["torch>=2.8,<2.15", "tqdm>=4.66,<5; x"],
            'pip install "torch>=2.8,<2.15" "tqdm>=4.66,<5"',
        ),
        (None, "in the course's folder:  pip install --editable"),
    ],
)
def test_one_command_brings_all_that_is_absent(
    declared: list[str] | None, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requires(_name: str) -> list[str]:
        if declared is None:
            raise importlib.metadata.PackageNotFoundError
        return declared

    found = machine_probes.find_spec
    monkeypatch.setattr(
        machine_probes, "find_spec", lambda name: None if name in {"torch", "tqdm"} else found(name)
    )
    monkeypatch.setattr(importlib.metadata, "requires", requires)
    (finding,) = machine_probes.packages()
    assert (finding.status, finding.found) == ("fail", "not installed: torch, tqdm")
    assert finding.fix.startswith(fix)


def test_places_come_with_what_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_probes.place().status == "ok"
    monkeypatch.setenv("BINDER_LAUNCH_HOST", "x")
    assert "stay with pocket" in machine_probes.place().fix


@pytest.mark.parametrize(
    ("release", "status"), [("5.0.16", "ok"), ("3.1.9", "warning"), ("", "note")]
)
def test_the_page_s_part_of_the_widgets_belongs_to_the_kernel_s(
    release: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_probes, "_manager_release", lambda: release)
    assert machine_probes.front_end().status == status  # ipywidgets 8 here


def test_damaged_files_are_a_failure_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemma_mtp_edu.models import bundled

    assert torch_probes.bundled_pair().status == "ok"
    (tmp_path / "manifest.json").write_text('{"sha256": {"weights": "0"}}')
    (tmp_path / "weights").write_text("x")
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path)
    found = torch_probes.bundled_pair()
    assert found.status == "fail"
    assert "sha256" in found.found
    assert str(tmp_path) not in found.found + found.fix


# The exact law of a sampling rule.

P = torch.tensor([0.30, 0.30, 0.25, 0.15], dtype=torch.float64)
Q = torch.tensor([0.60, 0.20, 0.10, 0.10], dtype=torch.float64)


def loop(*, draws: bool) -> tuple[int, ...]:
    """A token, a draft from Q (or its argmax), and the rule of Leviathan et al. with law Q."""
    first = int(torch.multinomial(P, 1))
    draft = int(torch.multinomial(Q, 1)) if draws else int(Q.argmax())
    if float(torch.rand(1)) < P[draft] / Q[draft]:
        return first, draft, int(torch.multinomial(P, 1))
    return first, int(torch.multinomial((P - Q).clamp(min=0), 1))


def test_the_law_of_a_lossless_rule_is_the_target_s() -> None:
    law = emitted_law(lambda: loop(draws=True), first=1)
    assert total_variation(law, P) < 1e-4


def test_the_law_of_argmax_drafts_judged_as_if_drawn_is_the_worked_case() -> None:
    law = emitted_law(lambda: loop(draws=False), first=1)
    expected = torch.tensor([0.5, 1 / 6, 0.25, 1 / 12], dtype=torch.float64)
    assert torch.allclose(law, expected, atol=1e-4)


def test_forced_draws_leave_the_random_state_and_other_calls_alone() -> None:
    state = torch.get_rng_state()
    emitted_law(lambda: loop(draws=True), first=0)
    assert torch.equal(torch.get_rng_state(), state)
    with ForcedDraws(0.25, (2,)) as forced:
        assert float(torch.rand(())) == 0.25
        assert int(torch.multinomial(P, 1)) == 2
        assert float(torch.ones(2).sum()) == 2.0
    assert torch.equal(forced.laws[0], P)


# Broken installations, each in a Python of its own.

BLOCK_ALL = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in {"gemma_mtp_edu", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
"""
BLOCKED = {
    "no torch": "import sys; sys.modules['torch'] = None",
    "no transformers": "import sys; sys.modules['transformers'] = None",
    "nothing but Python": BLOCK_ALL,
}
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
BROKEN = {
    "torch leaves": ("torch", "raise SystemExit('no torch for you')", "torch"),
    "torch crashes Python": ("torch", CRASH, "torch"),
    "torch is empty": ("torch", "__version__ = '2.13.0'", "torch"),
    "transformers raises": ("transformers", "raise AttributeError('<b>numpy</b>')", "transformers"),
    "transformers is empty": (
        "transformers",
        f"__version__ = {importlib.metadata.version('transformers')!r}",
        "builds a drafter",
    ),
    "numpy raises": ("numpy", "raise RuntimeError('built for another numpy')", "numpy"),
}


def examine(code: str, folder: Path | None = None) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the doctor after some code, and return exit code and findings by name."""
    ask = "from gemma_mtp_edu.__main__ import main; raise SystemExit(main(['doctor', '--json']))"
    paths = [str(path) for path in (folder, ROOT) if path is not None]
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ask}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert content["exit_code"] == done.returncode
    return done.returncode, {finding["name"]: finding for finding in content["findings"]}


@pytest.mark.parametrize("name", BLOCKED)
def test_it_reports_what_is_absent(name: str) -> None:
    code, findings = examine(BLOCKED[name])
    assert code == 1
    absent = "transformers" if name == "no transformers" else "torch"
    assert findings[absent]["status"] == "fail"
    assert "pip install" in findings[absent]["fix"]
    assert absent in findings["packages"]["found"]
    assert "pip install" in findings["packages"]["fix"]
    assert findings["Python"]["status"] == findings["place"]["status"] == "ok"
    assert all(finding["fix"] for finding in findings.values() if finding["status"] == "fail")
    assert findings["samples without bias"]["found"].startswith("not checked: needs ")


@pytest.mark.parametrize("name", BROKEN)
def test_it_reports_what_is_broken(name: str, tmp_path: Path) -> None:
    package, text, failing = BROKEN[name]
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(text)
    code, findings = examine("", tmp_path)
    assert code == 1
    assert findings[failing]["status"] == "fail"
    assert "pip install" in findings[failing]["fix"]
