"""The instructor's guide and the quiz say what the lessons say."""

import datetime
import json
import re
from pathlib import Path

import pytest
import torch

from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.core.verification import residual_distribution
from tests.cases import cases
from tools import lesson_memory
from tools.document import part
from tools.lessons import ROOT, sources

DOCS = ROOT / "docs"
GUIDE = (DOCS / "instructor_guide.md").read_text(encoding="utf-8")
QUIZ = (DOCS / "quiz.md").read_text(encoding="utf-8")
ANSWERS = (DOCS / "quiz_answers.md").read_text(encoding="utf-8")
LESSONS = {source.stem: source for source in sources() if source.stem[0].isdigit()}
COURSE = [f"{number:02}" for number in range(13)]
_PLACE = re.compile(r"\[(\d\d)\]\(\.\./notebooks/(\w+)\.ipynb\)")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    (found,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE
    )
    return str(found)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of all tables in a text, without their headers."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= {"-"}]
    return [r for n, r in enumerate(cells) if n not in rules and n + 1 not in rules]


def opening(source: Path) -> tuple[int, set[str]]:
    """Return a lesson's minutes, and the numbers of the lessons that it needs."""
    text = re.sub(r"\n# ?", " ", source.read_text(encoding="utf-8"))
    wanted = r"\*\*Minutes\*\*: (\d+)\. \*\*Prerequisites\*\*: ([^;.]*)"
    minutes, needed = re.findall(wanted, text)[0]
    return int(minutes), set(re.findall(r"\b\d\d\b", needed))


@pytest.mark.parametrize("text", [GUIDE, ANSWERS], ids=["guide", "answers"])
def test_named_lessons_exist(text: str) -> None:
    places = _PLACE.findall(text)
    assert len(places) == text.count("](../notebooks/")
    for number, name in places:
        assert name in LESSONS
        assert name.startswith(f"{number}_")


def test_named_notebooks_exist_and_readme_leads_here() -> None:
    for path in sorted(DOCS.glob("*.md")):
        for name in re.findall(r"`(notebooks/[\w./]+)`", path.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), path.name
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"](docs/{name}.md)" in readme for name in ("instructor_guide", "quiz", "memory"))


def test_lessons_have_their_own_minutes_and_needs() -> None:
    told = {row[0].strip("`"): row for row in rows(section(GUIDE, "The lessons"))}
    assert {name[:2] for name in told} >= {*COURSE}
    for name, (_, minutes, needs, _) in told.items():
        assert (int(minutes), set(re.findall(r"\d\d", needs))) == opening(LESSONS[name]), name


@cases
def test_plans_add_up(heading: str, limit: int) -> None:
    plan = rows(section(GUIDE, heading))
    minutes = {source.stem[:2]: opening(source)[0] for source in LESSONS.values()}
    clock = datetime.datetime.strptime(plan[0][0], "%H:%M")
    first = clock
    for start, length, what in plan:
        assert start == f"{clock.hour}:{clock.minute:02}"
        clock += datetime.timedelta(minutes=int(length))
        if lesson := re.match(r"lesson (\d\d)", what):
            assert int(length) == minutes[lesson[1]], what
    assert clock - first <= datetime.timedelta(minutes=limit)


def test_two_days_have_every_lesson_after_those_that_it_needs() -> None:
    days = (section(GUIDE, f"Two days: the {day}") for day in ("first", "second"))
    plan = re.findall(r"\| lesson (\d\d) \|", "\n".join(days))
    assert sorted(plan) == COURSE
    for source in LESSONS.values():
        if source.stem[:2] in plan:
            assert opening(source)[1] <= set(plan[: plan.index(source.stem[:2])]), source.stem


def questions() -> dict[int, dict[str, str]]:
    """Return the choices of every question, by letter."""
    parts = re.split(r"^\*\*(\d+)\.\*\* ", QUIZ, flags=re.MULTILINE)[1:]
    return {
        int(number): dict(re.findall(r"^- ([a-d])\) (.+)$", text, flags=re.MULTILINE))
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_question_has_four_choices_and_one_answer() -> None:
    asked, answered = questions(), rows(ANSWERS)
    assert list(asked) == list(range(1, 21)) == [int(row[0]) for row in answered]
    letters = [row[1] for row in answered]
    for choices, letter in zip(asked.values(), letters, strict=True):
        assert sorted(choices) == ["a", "b", "c", "d"]
        assert len(set(choices.values())) == 4
        assert letter in choices
    # Nobody passes by one letter, or by always taking the longest choice.
    assert max(map(letters.count, "abcd")) <= 7
    longest = [
        max(choices, key=lambda c: len(choices[c])) == letter
        for choices, letter in zip(asked.values(), letters, strict=True)
    ]
    assert sum(longest) <= 10


def test_sixteen_answers_are_met_in_the_first_six_lessons_and_all_lessons_occur() -> None:
    first = [_PLACE.findall(row[3])[0][0] for row in rows(ANSWERS)]
    assert sum(number <= "05" for number in first) == 16
    assert first == sorted(first)
    assert {number for number, _ in _PLACE.findall(ANSWERS)} == {*COURSE}


def test_answers_that_are_numbers_are_right() -> None:
    chosen = {int(row[0]): questions()[int(row[0])][row[1]] for row in rows(ANSWERS)}
    assert float(chosen[1]) == 1 + (41 - 1) / (3 + 1)
    assert float(chosen[3]) == 70e9 / (7e9 * 4 / 8)
    assert float(chosen[4]) == pytest.approx((2 / 500e9) / (2 / 50e12))
    assert float(chosen[9]) == 20 + 1 + 1
    p, q = torch.tensor([0.2, 0.6, 0.2]), torch.tensor([0.5, 0.4, 0.1])
    assert residual_distribution(p, q).tolist() == pytest.approx([0, 2 / 3, 1 / 3], abs=1e-6)
    assert chosen[14] == "Token 1 with probability 2/3, token 2 with probability 1/3."
    assert float(chosen[15]) == pytest.approx(torch.minimum(p, q).sum().item())
    assert chosen[16] == f"{0.5 / 0.9:.2f}"
    assert chosen[18] == f"{expected_tokens(0.8, 2) / (1.2 + 2 * 0.1):.2f}"
    assert float(chosen[19]) == 5 + 2 + 2 - 1


def test_every_lesson_s_memory_was_measured_and_is_small_enough() -> None:
    record = json.loads(lesson_memory.RESULT.read_text(encoding="utf-8"))
    assert set(record["peaks"]) >= {
        source.stem for source in sources() if source.stem.removeprefix("solutions_")[:2] in COURSE
    }
    for name, peak in record["peaks"].items():
        assert 100e6 < peak < lesson_memory.LIMIT, name
    text = lesson_memory.DOCUMENT.read_text(encoding="utf-8")
    assert part(text, "memory") == lesson_memory.memory_table(record)
