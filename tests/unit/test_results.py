"""Results that outlive a kill; cards, what they refuse, their scores and figures' texts."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from gemma_mtp_edu.measure.results import (
    LINES_SCHEMA,
    Measurement,
    ResultsCard,
    append,
    check_writable,
    read_results,
    write_results,
    write_text,
)
from gemma_mtp_edu.models.memory import memory_plan
from gemma_mtp_edu.show import plots
from tests.cases import cases

RUN = {"pair": "pocket", "gammas": [2, 4]}


def line(key: str) -> dict[str, Any]:
    return {"schema": LINES_SCHEMA, "key": key, "run": RUN, "kind": "context"}


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_that_a_kill_cut_off_spoils_no_other(cut: int, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    append(out, 0, line("1-a"))
    append(out, 0, line("2-b"))
    part = tmp_path / "out.jsonl.part-0"
    part.write_bytes(part.read_bytes()[:-cut])
    assert set(read_results(out, RUN)) == ({"1-a", "2-b"} if cut == 1 else {"1-a"})
    append(out, 0, line("3-c"))
    assert {"1-a", "3-c"} <= set(read_results(out, RUN))


def test_parts_end_in_one_file_and_what_is_only_called_like_one_stays(tmp_path: Path) -> None:
    out = tmp_path / "r[1]*.jsonl"
    others = {tmp_path / name: "mine" for name in (f"{out.name}.part-prompts", "r1x.jsonl.part-0")}
    for path, text in others.items():
        path.write_text(text)
    write_results(out, [line("1-a")])
    append(out, 0, line("2-b"))
    append(out, 5, line("3-c"))
    found = read_results(out, RUN)
    assert set(found) == {"1-a", "2-b", "3-c"}
    write_results(out, [found[key] for key in ("3-c", "1-a", "2-b")])
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


def test_what_cannot_be_written_or_replaced_is_told_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("x" * 250, "no/such/folder", ".", "pipe"):
        with pytest.raises(OSError, match=r"name|No such"):
            check_writable(tmp_path / name)
    check_writable(tmp_path / "r.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


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


# Seconds by workload and draft length, and what was predicted; 11 tokens each.
SECONDS = {"json": {0: 10.0, 2: 5.0, 4: 4.0}, "story": {0: 10.0, 2: 8.0, 4: 12.5}}
PREDICTED = {"json": {0: 1.0, 2: 2.2, 4: 2.0}, "story": {0: 1.0, 2: 1.25, 4: 1.2}}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def make_card(seconds: dict[str, dict[int, float]] = SECONDS) -> ResultsCard:
    measurements = tuple(
        Measurement(name, gamma, value, 0.5, 11, 1.0 + gamma, PREDICTED[name][gamma], True)
        for name, by_length in seconds.items()
        for gamma, value in by_length.items()
    )
    prompts = {"json": "What is in /etc/hosts?", "story": "either/or"}
    verdict = dict.fromkeys(seconds, "some words")
    provenance = {"dtype": "float16", "gpu": "Tesla T4", "torch": "2.13.0"}
    return ResultsCard("google/x", measurements, prompts, verdict, 13_000_000_000, provenance)


def test_score_by_hand() -> None:
    """Speedups are per token and without the prefill; one length adds seconds."""
    card = make_card()
    assert card.speedup("json", 4) == pytest.approx(2.5)
    longer = replace(card.of("json", 4), tokens=21)  # twice as many after the first one
    others = [m for m in card.measurements if (m.workload, m.gamma) != ("json", 4)]
    assert replace(card, measurements=(*others, longer)).speedup("json", 4) == pytest.approx(5.0)
    errors = card.prediction_errors()
    assert errors["json", 2] == pytest.approx(0.1)
    assert errors["json", 4] == pytest.approx(2.0 / 2.5 - 1)
    assert errors["story", 4] == pytest.approx(1.2 / 0.8 - 1)
    assert card.best_lengths() == {"json": (2, 4, pytest.approx(2.0 / 2.5)), "story": (2, 2, 1.0)}
    assert card.overall_speedups() == pytest.approx({0: 1.0, 2: 20 / 13, 4: 20 / 16.5})
    assert card.length_for_all() == 2
    slow = {"json": {0: 10.0, 2: 9.8, 4: 12.0}, "story": {0: 10.0, 2: 9.9, 4: 14.0}}
    assert make_card(slow).length_for_all() == 0
    assert "does not pay" in plots.plot_card(make_card(slow)).get_label()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: {"measurements": card.measurements[:-1]}, "need each workload once"),
        (lambda card: {"measurements": 2 * card.measurements}, "need each workload once"),
        (lambda card: {"pair": "/home/ada/models/mine"}, "names a folder"),
        (lambda card: {"provenance": {"plan": r"C:\Users\ada"}}, "names a folder"),
    ],
)
def test_card_refuses(change: Callable[[ResultsCard], dict[str, Any]], words: str) -> None:
    card = make_card()
    with pytest.raises(ValueError, match=words):
        replace(card, **change(card))


WHOLE = make_card().to_json()


@cases
def test_unreadable_cards(old: str, new: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ResultsCard.from_json(WHOLE.replace(old or WHOLE[99:], new))


def test_picture_and_its_text_say_the_same() -> None:
    card = make_card()
    ax = plots.plot_card(card)
    assert "1.54 times as fast with 2 drafts per round" in ax.get_title(loc="left")
    assert list(ax.lines[0].get_ydata()) == pytest.approx([2.0, 2.5])
    words = ax.get_label()
    assert "json: 2.00 at 2, 2.50 at 4" in words
    small = "\n".join(text.get_text() for text in ax.figure.texts)
    assert "gpu Tesla T4" in small
    assert "13.0 GB" in small
    assert str(Path.home()) not in WHOLE + small


def test_memory_figure_says_what_fits() -> None:
    plans = [memory_plan(name, "float16") for name in ("E2B", "E4B")]
    ax = plots.plot_memory(plans, 14_600_000_000)
    assert [text.get_text() for text in ax.texts] == ["13.0 GB, fits", "17.5 GB, does not fit"]
    total = sum(plan.total_bytes for plan in plans) / 1e9
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(total)
    assert "E2B, float16: 13.0 GB, fits; E4B, float16: 17.5 GB, does not fit" in ax.get_label()
