"""The rules of a lesson's shape: how it opens and closes, and how long its cells may be."""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from tools.built_lesson import Lesson, Rule, first_line, tags

MAX_CODE_LINES = 25
MAX_MEDIAN_LINES = 7
MAX_WORDS = 80
LAST = "12"
_JAPANESE = re.compile("[぀-ヿ一-鿿]")


@dataclass(frozen=True, slots=True)
class Words:
    """What a lesson's fixed parts are called."""

    goal: str
    minutes: str
    prerequisites: str
    takeaways: str
    exercises: str
    sources: str
    hint: str


WORDS = {
    "en": Words("Goal", "Minutes", "Prerequisites", "Takeaways", "Exercises", "Sources", "Hint"),
    "ja": Words("目標", "所要時間", "前提", "まとめ", "演習", "参考資料", "ヒント"),
}


def has_short_cells(lesson: Lesson) -> Iterator[str]:
    """More text than code, both in small pieces."""
    code = [cell for cell in lesson.code if not {"setup", "language"} & set(tags(cell))]
    if len(lesson.markdown) < len(code):
        yield f"has {len(code)} code cells, but {len(lesson.markdown)} markdown cells"
    lines = [_code_lines(cell) for cell in lesson.code]
    for cell, count in zip(lesson.code, lines, strict=True):
        if count > MAX_CODE_LINES:
            yield f"{first_line(cell)} has {count} lines, {MAX_CODE_LINES} are allowed"
    median = statistics.median(lines or [0])
    if median > MAX_MEDIAN_LINES:
        yield f"has a median of {median} lines of code per cell, {MAX_MEDIAN_LINES} are allowed"
    for cell in lesson.markdown:
        if (count := _count_words(cell.source)) > MAX_WORDS:
            yield f"{first_line(cell)} has {count} words, {MAX_WORDS} are allowed"


def opens_with_goal(lesson: Lesson) -> Iterator[str]:
    """The title's cell says what for, how long and what to know before."""
    opening = lesson.markdown[0].source if lesson.markdown else ""
    words = WORDS[lesson.language]
    for word in (words.goal, words.minutes, words.prerequisites):
        if f"**{word}**:" not in opening:
            yield f"the title's cell does not say **{word}**:"
    if not re.search(rf"\*\*{words.minutes}\*\*: \d+", opening):
        yield "minutes are not a number"


def closes_with_takeaways_exercises_sources(lesson: Lesson) -> Iterator[str]:
    """Three takeaways, two or three exercises with hint and check, then the sources."""
    names = [text for level, text in lesson.headings if level == 2]
    words = WORDS[lesson.language]
    wanted = [words.takeaways, words.exercises, words.sources]
    if names[-3:] != wanted:
        yield f"ends with {names[-3:]}, need {wanted}"
        return
    takeaways = re.findall(r"^\d\. ", _section(lesson, *wanted[:2]), re.MULTILINE)
    if takeaways != ["1. ", "2. ", "3. "]:
        yield f"has takeaways {takeaways}, need three"
    exercises = re.split(r"^(?=\*\*\d\.\*\*)", _section(lesson, *wanted[1:]), flags=re.M)[1:]
    if len(exercises) not in (2, 3):
        yield f"has {len(exercises)} exercises, need two or three"
    for number, text in enumerate(exercises, start=1):
        if not re.search(rf"<details>\s*<summary>{words.hint}", text):
            yield f"exercise {number} has no hidden hint"
        if not re.search(r"^check\(\"\w+\", ", text, re.MULTILINE):
            yield f"exercise {number} has no check"
    if not re.search(r"^- ", _section(lesson, words.sources, None), re.MULTILINE):
        yield "names no source"


def leads_on(lesson: Lesson) -> Iterator[str]:
    """Solutions and the next lesson are links."""
    name, text = lesson.name.split("/")[-1], "\n".join(cell.source for cell in lesson.markdown)
    following = rf"{int(name[:2]) + 1:02}_\w+" if name[:2] != LAST else ""
    for wanted in filter(None, (f"solutions_{name}", following)):
        if not re.search(rf"\]\({wanted}\.ipynb\)", text):
            yield f"has no link to {wanted}.ipynb"


LESSON_RULES: tuple[Rule, ...] = (
    has_short_cells,
    opens_with_goal,
    closes_with_takeaways_exercises_sources,
    leads_on,
)


def _code_lines(cell: NotebookNode) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def _count_words(markdown: str) -> int:
    """Count words; three Japanese characters are one, which is what a word of the lessons takes."""
    visible = re.sub(r"<[^>]*>|\]\([^)]*\)", " ", markdown)
    spaced = [word for word in _JAPANESE.sub(" ", visible).split() if re.search(r"\w", word)]
    return len(spaced) + len(_JAPANESE.findall(visible)) // 3


def _section(lesson: Lesson, heading: str, end: str | None) -> str:
    cells = lesson.notebook.cells
    text = "\n\n".join(cell.source for cell in cells)
    after = text.split(f"\n## {heading}\n", 1)[-1] if f"\n## {heading}\n" in text else text
    return after if end is None else after.split(f"\n## {end}\n", 1)[0]
