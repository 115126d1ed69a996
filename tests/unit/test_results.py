"""Results that outlive a kill, and what is not overwritten by them."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gemma_mtp_edu.measure import results
from gemma_mtp_edu.measure.results import LINES_SCHEMA, check_writable, read_results, write_text
from tests.cases import posix

RUN = {"pair": "pocket", "gammas": [2, 4]}


def line(key: str) -> dict[str, Any]:
    return {"schema": LINES_SCHEMA, "key": key, "run": RUN, "kind": "context"}


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_that_a_kill_cut_off_spoils_no_other(cut: int, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    results.append(out, 0, line("1-a"))
    results.append(out, 0, line("2-b"))
    part = tmp_path / "out.jsonl.part-0"
    part.write_bytes(part.read_bytes()[:-cut])
    assert set(read_results(out, RUN)) == ({"1-a", "2-b"} if cut == 1 else {"1-a"})
    results.append(out, 0, line("3-c"))
    assert {"1-a", "3-c"} <= set(read_results(out, RUN))


def test_parts_end_in_one_file_and_what_is_only_called_like_one_stays(tmp_path: Path) -> None:
    out = tmp_path / "r[1]*.jsonl"
    others = {tmp_path / name: "mine" for name in (f"{out.name}.part-prompts", "r1x.jsonl.part-0")}
    for path, text in others.items():
        path.write_text(text)
    results.write_results(out, [line("1-a")])
    results.append(out, 0, line("2-b"))
    results.append(out, 5, line("3-c"))
    found = read_results(out, RUN)
    assert set(found) == {"1-a", "2-b", "3-c"}
    results.write_results(out, [found[key] for key in ("3-c", "1-a", "2-b")])
    assert {path: path.read_text() for path in tmp_path.iterdir() if path != out} == others
    assert list(read_results(out, RUN)) == ["3-c", "1-a", "2-b"]


@pytest.mark.parametrize(
    "content",
    ["Hello!\n", '{"prompt": "Hello!"}', "[" * 99_999, json.dumps({**line("1-a"), "run": {}})],
)
def test_no_file_of_another_kind_or_run_is_taken(content: str, tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes.txt holds .* need results of .*--out"):
        read_results(out, RUN)
    with pytest.raises(FileExistsError, match="something else than"):
        check_writable(out, "another/1")
    assert out.read_text(encoding="utf-8") == content


@posix
def test_what_cannot_be_written_or_replaced_is_told_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("x" * 250, "no/such/folder", ".", "pipe"):
        with pytest.raises(OSError, match=r"name|No such"):
            check_writable(tmp_path / name)
    check_writable(tmp_path / "r.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@posix
def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    place, link = tmp_path / "place", tmp_path / "link"
    place.touch(mode=0o600)
    link.symlink_to(place)
    write_text(link, "new")
    assert link.is_symlink()
    assert (place.read_text(), stat.S_IMODE(place.stat().st_mode)) == ("new", 0o600)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_file_before_it(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    write_text(path, "old")

    def fails(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(type(error)):
        write_text(path, "newer")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
