"""Files of prompts, and results that outlive a kill."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemma_mtp_edu.measure.prompt_file import PromptFileError, read_prompts
from gemma_mtp_edu.measure.result_lines import (
    ResultsError,
    append,
    check_writable,
    part_of,
    read,
    write_text,
    write_whole,
)

RUN = {"pair": "pocket", "gammas": [2, 4]}


def result(key: str, **more: object) -> dict[str, object]:
    facts = {"conditions": {"pair": "pocket"}, "peak_memory_bytes": 1, "context": 32, "cost": "{}"}
    return {"key": key, "run": RUN, "kind": "context", **facts, **more}


def test_plain_and_json_lines_are_prompts(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text('Hello!\n\n{"prompt": "Count <b>", "workload": "count"}\n', encoding="utf-8")
    first, second = read_prompts(file)
    assert (first.prompt, first.workload) == ("Hello!", "all")
    assert (second.prompt, second.workload) == ("Count <b>", "count")
    assert first.key.startswith("1-")
    assert second.key.startswith("3-")


def test_a_key_changes_with_its_prompt_and_tells_equal_prompts_apart(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a\na\n", encoding="utf-8")
    first, second = read_prompts(file)
    assert first.key != second.key
    file.write_text("b\na\n", encoding="utf-8")
    changed, same = read_prompts(file)
    assert changed.key != first.key
    assert same.key == second.key


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no prompt, need one to a line"),
        (b'{"prompt": "cut', "line 1 is .*need JSON such as"),
        (b'{"text": "a"}', "line 1 is .*need JSON such as"),
        (b'[{"prompt": "Count", "workload": "a"}]', "line 1 is .*need JSON such as"),
        (b'[\n{"prompt": "Count"}\n]', "line 1 is .*need JSON such as"),
        (b'{"prompt": 3}', "line 1 has prompt 3"),
        (b'{"prompt": " "}', "line 1 has prompt ' '"),
        (b'["a", "b"]', "line 1 is .*need JSON such as"),
        (b'{"prompt": "a\\ud800"}', r"line 1 has prompt 'a\\ud800'"),
        (b'{"prompt": ' + b"1" * 5000 + b"}", "line 1 is .*need JSON such as"),
        (b'{"prompt": ' + b"[" * 100_000, "line 1 is .*need JSON such as"),
        (b"\xff\xfe", "cannot read prompts.txt"),
    ],
)
def test_files_that_cannot_be_used_say_why(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    with pytest.raises(PromptFileError, match=message):
        read_prompts(file)
    with pytest.raises(PromptFileError, match=r"cannot read none\.txt"):
        read_prompts(tmp_path / "none.txt")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_line_that_a_kill_cut_off_is_done_again_and_spoils_no_other(
    cut: int, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    part = part_of(out, 0)
    append(part, result("1-a", value=1))
    append(part, result("2-b", value=2))
    whole = part.read_bytes()
    part.write_bytes(whole[:-cut])
    assert set(read(out, RUN)) == ({"1-a", "2-b"} if cut == 1 else {"1-a"})
    append(part, result("3-c", value=3))
    assert {"1-a", "3-c"} <= set(read(out, RUN))


def test_parts_of_any_number_of_processes_are_read_and_end_in_one_file(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    append(out, result("1-a"))
    append(part_of(out, 0), result("2-b"))
    append(part_of(out, 5), result("3-c"))
    found = read(out, RUN)
    assert set(found) == {"1-a", "2-b", "3-c"}
    write_whole(out, [found[key] for key in ("3-c", "1-a", "2-b")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl"]
    keys = [json.loads(line)["key"] for line in out.read_text().splitlines()]
    assert keys == ["3-c", "1-a", "2-b"]


def test_results_of_another_run_are_never_mixed_in(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    append(out, result("1-a"))
    before = out.read_bytes()
    with pytest.raises(ResultsError, match=r"holds results of another run.*--out"):
        read(out, {**RUN, "pair": "E2B"})
    assert out.read_bytes() == before


def test_marks_and_line_ends_of_other_editors_are_no_part_of_a_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes('\ufeff{"prompt": "a\u2028b"}\r\n[1, 2 is a list\r\n'.encode())
    assert [prompt.prompt for prompt in read_prompts(file)] == ["a\u2028b", "[1, 2 is a list"]


@pytest.mark.parametrize(
    "content",
    [
        "Hello!\n",
        '{"prompt": "Hello!"}\n',
        "[" * 100_000,
        json.dumps({**result("1-a"), "key": ["a"]}),
        json.dumps(result("1-a", kind="prompt")),
        json.dumps(result("1-a", kind="other")),
        json.dumps(result("1-a", conditions={})),
        json.dumps(
            result("1-a", kind="prompt", prompt="a", workload="a", prompt_tokens=1, rows=[{}])
        ),
    ],
)
def test_a_file_that_holds_no_results_is_not_taken_for_one(content: str, tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text(content, encoding="utf-8")
    with pytest.raises(ResultsError, match=r"line 1 of notes\.txt.*--out"):
        read(out, RUN)


def test_what_is_only_called_like_a_part_stays(tmp_path: Path) -> None:
    out = tmp_path / "r[1]*.jsonl"
    append(part_of(out, 0), result("a"))
    others = {
        tmp_path / f"{out.name}.part-prompts": "mine",
        tmp_path / "r1x.jsonl.part-0": "of another sweep",
    }
    for path, text in others.items():
        path.write_text(text)
    assert set(read(out, RUN)) == {"a"}
    write_whole(out, [result("a")])
    assert {path: path.read_text() for path in others} == others
    assert not part_of(out, 0).exists()
    assert set(read(out, RUN)) == {"a"}


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)  # a text can be written into it
    with pytest.raises(ResultsError, match="is no file that can be replaced"):
        read(pipe, RUN)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("write", ["lines", "text"])
def test_a_link_stays_one_and_a_file_keeps_its_mode(write: str, tmp_path: Path) -> None:
    place, link = tmp_path / "place", tmp_path / "link"
    place.touch(mode=0o600)
    link.symlink_to(place)
    if write == "lines":
        write_whole(link, [result("a")])
    else:
        write_text(link, "new")
    assert link.is_symlink()
    assert place.read_text()
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "place"]


def test_an_interrupt_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    def results() -> Iterator[dict[str, object]]:
        yield result("a")
        raise KeyboardInterrupt

    out = tmp_path / "r.jsonl"
    out.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_whole(out, results())
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]
    assert out.read_text() == "before"


@pytest.mark.parametrize("name", ["x" * 250, "no/such/folder", "."])
def test_a_place_that_cannot_be_written_is_told_before_the_measuring(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ResultsError, match="cannot write"):
        check_writable(tmp_path / name)
    check_writable(tmp_path / "r.jsonl")
    assert list(tmp_path.iterdir()) == []
