"""The command that tests other releases: which ones, and that it says clearly what went wrong."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from gemma_mtp_edu.models.compatibility import UnsupportedReleaseError, check_transformers
from tools import releases
from tools.document import part
from tools.releases import FULL, NEWEST, OLDEST, QUICK_TESTS, REFUSED, Combination

ROOT = Path(__file__).resolve().parents[2]


def test_oldest_and_newest_meet_two_releases_of_torch() -> None:
    assert {c.transformers for c in FULL} == {str(OLDEST), NEWEST}
    assert len({c.torch for c in FULL}) == 2
    assert len(FULL) == 4
    for version in REFUSED:
        with pytest.raises(UnsupportedReleaseError):
            check_transformers(version)


@pytest.mark.parametrize("test", QUICK_TESTS)
def test_the_chosen_tests_exist(test: str) -> None:
    path, _, name = test.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)


def fake(
    monkeypatch: pytest.MonkeyPatch, code: int, out: str = "", err: str = "", version: str = ""
) -> None:
    """Let every process of an environment end like this."""

    @contextmanager
    def environment(combination: Combination) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(python="python", version=lambda name: version)

    answer = SimpleNamespace(returncode=code, stdout=out, stderr=err)
    monkeypatch.setattr(releases, "_environment", environment)
    monkeypatch.setattr(releases, "_run", lambda environment, command: answer)


def test_a_failing_test_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(monkeypatch, 1, "FAILED tests/x.py\n1 failed in 2.0s")
    assert releases.main(["quick"]) == 1
    assert f"FAIL transformers {OLDEST}, torch" in capsys.readouterr().out


def test_a_release_that_runs_although_it_should_not_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, 0, "text")
    with pytest.raises(releases.ReleaseError, match="not refused"):
        releases.check_refused("5.23.0")


def test_a_canary_writes_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("RELEASES", "DOCUMENT"):
        copy = tmp_path / getattr(releases, name).name
        copy.write_bytes(getattr(releases, name).read_bytes())
        monkeypatch.setattr(releases, name, copy)
    fake(monkeypatch, 0, "...\n7 passed, 1 skipped in 9.1s\n", version="5.22.2")
    assert releases.main(["canary"]) == 0
    assert "ok   transformers the newest, torch the newest" in capsys.readouterr().out
    text = (tmp_path / "releases.md").read_text(encoding="utf-8")
    assert re.search(
        r"^\| 5\.22\.2 \| 2\.13\.0\+cpu \| 7 passed, 1 skipped \| yes \|", text, re.MULTILINE
    )
    fake(monkeypatch, 1, err="no such release", version="5.22.2")
    assert releases.main(["canary"]) == 1


def test_the_table_of_releases_is_what_was_measured() -> None:
    rows = json.loads(releases.RELEASES.read_text(encoding="utf-8"))
    text = releases.DOCUMENT.read_text(encoding="utf-8")
    assert part(text, "releases") == releases.release_table(rows)
    assert rows[NEWEST]["course"].endswith(" passed")


def test_no_package_index_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: str) -> None:
        raise RuntimeError("pip install failed:\nERROR: No matching distribution found")

    environment = SimpleNamespace(pip=offline, version=lambda name: "0")
    with pytest.raises(releases.ReleaseError, match="is a package index to be reached"):
        releases._install(environment, FULL[0])  # type: ignore[arg-type]


def test_a_run_can_be_narrowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, ...]] = []

    def check(combination: Combination, tests: tuple[str, ...]) -> str:
        seen.append((combination.transformers, combination.torch, *tests))
        return "passed"

    monkeypatch.setattr(releases, "check_supported", check)
    monkeypatch.setattr(releases, "check_refused", lambda version: "refused")
    other = FULL[-1].torch
    narrow = ["full", "--torch", other, "--transformers", NEWEST, "--tests", "a.py", "b.py"]
    assert releases.main(narrow) == 0
    assert seen == [(NEWEST, other, "a.py", "b.py")]
    assert capsys.readouterr().out.count("refused") == len(REFUSED)
