"""The doctor's report in Japanese: every area, name, finding and fix; ids and JSON keys stay."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemma_mtp_edu import examination, findings, machine_probes, torch_probes
from gemma_mtp_edu.examination import examined
from gemma_mtp_edu.findings import Finding, Report
from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons.language import called, columns, speaking, wrapped
from gemma_mtp_edu.models.registry import PAIRS
from tests.unit.test_examination import BLOCKED, examine
from tests.unit.test_japanese_views import JAPANESE

MODULES = ("examination", "findings", "machine_probes", "torch_probes", "loop_probes")
# Names and numbers, an error of others, and a call stand for themselves.
PLAIN = re.compile(r"[\w.+-]*|(CUDA|MPS): .*|load_pair\([^)]*\)|\w+(Error|Exit|Interrupt)\b.*")
PROPER = {
    "Python", "ipywidgets", "torch", "float32", "bfloat16", "float16", "accelerate", "transformers",
    *PAIRS, *machine_probes.NEEDED,
}  # fmt: skip
SENTENCE = re.compile(r"[a-z]{2,} [a-z]{2,}")
MARKUP = re.compile(r"<\w|\dpx")


def untranslated(report: Report) -> list[str]:
    """Return what a Japanese report says in English."""
    told = [
        text
        for finding in report.findings
        for text in (called(finding.area), called(finding.name), finding.found, finding.fix)
        if not JAPANESE.search(text) and not PLAIN.fullmatch(text) and text not in PROPER
    ]
    names = {name for f in report.findings for name in (f.area, f.name)}
    return told + [name for name in names - PROPER if not JAPANESE.search(called(name))]


def test_the_checker_can_fail() -> None:
    with speaking("ja"):
        assert untranslated(Report((Finding("machine", "disk", "ok", "1 GB free", ""),), 1.0))
        assert untranslated(Report((Finding("no such area", "disk", "ok", "", ""),), 1.0))


def test_a_broken_environment_is_described_in_japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "ja")
    code, found = examine(BLOCKED["no torch"])
    assert code == 1
    report = Report(tuple(Finding(**finding) for finding in found.values()), 1.0, "ja")  # type: ignore[arg-type]
    with speaking("ja"):
        assert untranslated(report) == []
    assert found["torch"]["area"] == "torch"
    assert found["samples without bias"]["found"].startswith("未確認: 先に「")
    assert "を実行して" in found["torch"]["fix"]


PROBES: dict[str, Callable[[], Finding | list[Finding]]] = {
    "a T4": lambda: torch_probes.native("bfloat16", "cuda", (7, 5)),
    "a format that works": lambda: torch_probes.native("float16", "mps", None),
    "pocket fits": lambda: torch_probes.pair_finding(PAIRS["pocket"], "cpu", "float32", 10**10),
    "pocket does not": lambda: torch_probes.pair_finding(PAIRS["pocket"], "cpu", "float32", 1),
    "E2B fits": lambda: torch_probes.pair_finding(PAIRS["E2B"], "cpu", "float32", 16 * 10**9),
    "31B does not": lambda: torch_probes.pair_finding(PAIRS["31B"], "cuda", "bfloat16", 10**10),
    "files": torch_probes.bundled_pair,
    "Python": machine_probes.python,
    "place": machine_probes.place,
    "disk": machine_probes.disk,
    "hub": machine_probes.hub,
    "packages": machine_probes.packages,
    "page": machine_probes.front_end,
    "release": examination._release,
}


@pytest.mark.parametrize("name", PROBES)
def test_each_finding_is_japanese(name: str) -> None:
    with speaking("ja"):
        made = PROBES[name]()
        report = Report(tuple(made if isinstance(made, list) else [made]), 1.0)
        assert untranslated(report) == []


@pytest.mark.parametrize(
    "place", ["COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_REPO_URL"]
)
def test_what_to_know_about_a_place_is_japanese(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(place, "x")
    with speaking("ja"):
        assert JAPANESE.search(machine_probes.place().fix)


def english_texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts below a node that are no docstring and neither `tr` nor `marked` gets."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in ("tr", "marked"):
            return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from english_texts(child)


@pytest.mark.parametrize("module", MODULES)
def test_no_probe_says_anything_in_english_alone(module: str) -> None:
    tree = ast.parse(Path(findings.__file__).with_name(f"{module}.py").read_text("utf-8"))
    alone = [
        text
        for text in english_texts(tree)
        if SENTENCE.search(text) and not MARKUP.search(text)
        if text not in language.catalogue("ja")
    ]
    # Said where no language can be had.
    assert [text for text in alone if not text.startswith(" to en or ja, or install")] == []


def test_the_release_finding_tells_what_is_wrong_from_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import gemma_mtp_edu.models.releases as releases

    monkeypatch.setattr(releases, "transformers_release", lambda: "5.23.0")
    english = examination._release()
    assert english.found.startswith("got transformers 5.23.0")
    assert english.fix == 'run  pip install "transformers>=5.20.2,<5.23"  and restart Python'
    with speaking("ja"):
        japanese = examination._release()
    assert japanese.found.endswith("誤った値が渡されます)")
    assert japanese.fix.startswith("pip install")
    monkeypatch.setattr(releases, "transformers_release", lambda: "a fork")
    unreadable = examination._release()
    assert "a fork" in unreadable.found
    assert "pip install" in unreadable.fix


def test_damaged_files_are_told_without_a_path_in_japanese_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemma_mtp_edu.models import bundled

    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path)
    with speaking("ja"):
        missing = torch_probes.bundled_pair()
        (tmp_path / "manifest.json").write_text('{"sha256": {"weights": "0"}}')
        (tmp_path / "weights").write_text("x")
        altered = torch_probes.bundled_pair()
    assert missing.found == "gemma_mtp_edu に manifest.json がありません"
    assert altered.found.startswith("weights の sha256 は")
    assert altered.fix == "このコースをインストールし直してください"


# The report.


def japanese_report() -> Report:
    with speaking("ja"):
        made = (machine_probes.python(), machine_probes.disk(), torch_probes.bundled_pair())
        texts = (*made, Finding("our loop", "samples without bias", "fail", "長い文です。" * 20))
        return Report(texts, 1.5)


def test_a_report_stays_in_its_language() -> None:
    report = japanese_report()
    for told in (str(report), repr(report), report._repr_html_()):
        assert "このコースはまだここでは動きません(3 ok, 1 fail、1.5 秒)" in told
        assert "偏りなくサンプリングする" in told
    assert "<th scope='col'" in report._repr_html_()
    assert ">対処</th>" in report._repr_html_()
    with speaking("ja"):
        assert "CANNOT" in str(Report(report.findings, 1.5, "en"))


def test_json_keeps_ids_in_english() -> None:
    content = json.loads(japanese_report().to_json())
    assert content["language"] == "ja"
    last = content["findings"][-1]
    assert (last["area"], last["name"]) == ("our loop", "samples without bias")
    assert last["status"] == "fail"
    assert japanese_report().find("disk").status in ("ok", "warning")


def test_columns_of_a_japanese_table_stand_in_line() -> None:
    rows = str(japanese_report()).splitlines()
    assert max(map(columns, rows)) <= 100
    starts = {
        columns(row) - columns(re.split(" {2,}", row)[-1])
        for row in rows
        if row.startswith(("  ✓", "  ✗"))
    }
    assert len(starts) == 1


def test_lines_break_between_words() -> None:
    assert wrapped("", 10) == []
    assert wrapped("two words", 5) == ["two", "words"]
    assert wrapped('pip install "x" を実行して、Python を再起動してください', 24) == [
        'pip install "x" を', "実行して、Python を", "再起動してください",
    ]  # fmt: skip
    assert not any(row.startswith(("、", "。", ")")) for row in wrapped("確認、" * 30, 7))


# Where the language itself is broken.


def test_an_unknown_language_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "de")
    code, found = examine(BLOCKED["no torch"])
    assert code == 1
    assert found["language"]["status"] == "fail"
    assert "got language 'de'" in found["language"]["found"]
    assert language.VARIABLE in found["language"]["fix"]
    assert found["Python"]["status"] == "ok"


def test_translations_that_cannot_be_read_are_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ja.json").write_text('{"cut')
    monkeypatch.setattr(language, "_DATA", tmp_path)
    language.catalogue.cache_clear()
    try:
        with speaking("ja"):
            made = examination.doctor(seconds=-1.0)
    finally:
        monkeypatch.undo()
        language.catalogue.cache_clear()
    assert made.language == "en"
    assert made.find("language").status == "fail"
    assert "not all was checked" not in made.verdict


def test_errors_of_our_own_are_quoted_in_japanese() -> None:
    def unreadable() -> Finding:
        from gemma_mtp_edu.models.releases import check_transformers

        check_transformers("5.23.0")
        raise AssertionError

    with speaking("ja"):
        (made,) = examined(examination.Probe("machine", "disk", unreadable))
    assert made.found.startswith("UnsupportedReleaseError: transformers 5.23.0 が使われていますが")
