"""The rules that every notebook keeps; each yields one sentence for each thing that is wrong.

Rules see one notebook at a time and are independent of each other. `FORM_RULES` hold for every
notebook, those of `lesson_shape` only for lessons, whose names begin with a number.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from selectolax.lexbor import LexborHTMLParser

from tools.built_lesson import Lesson, Rule, first_line, outputs, tags
from tools.buttons import buttons, setup_cell
from tools.lesson_shape import LESSON_RULES
from tools.lessons import CHECKED, TAGS, WIDGET_VIEW, has_cells_of, normalised
from tools.links import misordered

MAX_BYTES = 400 * 1024  # every picture twice: with its alt text, and for tools that read no HTML


def equals_its_source(lesson: Lesson) -> Iterator[str]:
    """The notebook has the cells of its source."""
    if not has_cells_of(lesson.notebook, lesson.source):
        yield "differs from its source: run  make notebooks"


def is_executed_in_order(lesson: Lesson) -> Iterator[str]:
    """Every code cell was executed once, from top to bottom, in a fresh kernel."""
    counts = [cell.execution_count for cell in lesson.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def has_no_failure(lesson: Lesson) -> Iterator[str]:
    """No output is an error or a warning."""
    for cell, output in outputs(lesson):
        if output.output_type == "error":
            yield f"{first_line(cell)} failed with {output.ename}"
        elif output.get("name") == "stderr":
            yield f"{first_line(cell)} wrote to stderr: {output.text[:80]!r}"


def is_small(lesson: Lesson) -> Iterator[str]:
    """The file opens fast on a phone."""
    if lesson.size > MAX_BYTES:
        yield f"has {lesson.size} bytes, {MAX_BYTES} are allowed"


def is_in_normal_form(lesson: Lesson) -> Iterator[str]:
    """No widget state, time stamp, editor's mark or Python release is stored."""
    form = normalised(lesson.notebook)
    if lesson.notebook.metadata != form.metadata:
        extra = set(lesson.notebook.metadata) - set(form.metadata)
        yield f"has metadata of its own {sorted(extra)}: run  make notebooks"
    for cell, clean in zip(lesson.notebook.cells, form.cells, strict=True):
        if cell.metadata != clean.metadata:
            yield f"{first_line(cell)} has cell metadata {sorted(cell.metadata)}"
    if any(WIDGET_VIEW in output.get("data", {}) for _, output in outputs(lesson)):
        yield "stores a widget's view, whose model is gone"


_PATH = re.compile(r"(?:/(?:home|root|tmp|work|usr|Users|content|opt|var)/|\b[A-Z]:\\)[\w.-]+")
_MEMORY = re.compile(r"\b0x[0-9a-f]{6,}\b")
_BAR = re.compile(r"\d+%\|")
_TIME = re.compile(r"\d\s?(?:ms|s|sec|seconds|tokens/s|tok/s)\b")
_PAYLOAD = re.compile(r"base64,[A-Za-z0-9+/=\s]+")


def names_no_machine(lesson: Lesson) -> Iterator[str]:
    """No output holds a path, an address in memory or a progress bar; times only where said so.

    A time may stand in a cell tagged `timing`, or in a checked cell, where nbval shows that it is
    the same everywhere. The setup cell is meant to say what it found.
    """
    for cell, output in outputs(lesson):
        text = _PAYLOAD.sub("", _text(output))
        for what, pattern in (("path", _PATH), ("address", _MEMORY), ("progress bar", _BAR)):
            if match := pattern.search(text):
                yield f"{first_line(cell)} shows a {what}: {match[0]}"
        if not {"timing", "setup", CHECKED} & set(tags(cell)) and (match := _TIME.search(text)):
            yield f"{first_line(cell)} shows a time ({match[0]}): tag it timing"


def has_alt_texts(lesson: Lesson) -> Iterator[str]:
    """Every image says what it shows."""
    for cell, output in outputs(lesson):
        is_image = any(mime.startswith("image/") for mime in output.get("data", {}))
        if is_image and not _html_alts(_html(output)):
            yield f"{first_line(cell)} shows a bare image: use plots.show_figure"
        for alt in _html_alts(_html(output)):
            if not alt.strip():
                yield f"{first_line(cell)} shows an <img> without alt text"
    for cell in lesson.notebook.cells:
        if cell.cell_type == "markdown":
            alts = [*re.findall(r"!\[(.*?)\]\(", cell.source), *_html_alts(cell.source)]
            if not all(alt.strip() for alt in alts):
                yield f"{first_line(cell)} has an image without alt text"


def uses_known_tags(lesson: Lesson) -> Iterator[str]:
    """No tag is misspelt, and a checked cell has something to check."""
    for cell in lesson.notebook.cells:
        if unknown := set(tags(cell)) - TAGS:
            yield f"{first_line(cell)} has unknown tags {sorted(unknown)}"
        if CHECKED in tags(cell) and not any(map(_is_comparable, cell.get("outputs", []))):
            yield f"{first_line(cell)} is tagged {CHECKED} but prints nothing"


def is_well_behaved(lesson: Lesson) -> Iterator[str]:
    """No cell installs, hides output or warnings, or patches the search path."""
    banned = {
        "!pip or %pip": r"^\s*[!%]\s*pip\b",
        "%%capture": r"^%%capture",
        "a warning filter for all": r"(?:filterwarnings|simplefilter)\(\s*[\"']ignore[\"']\s*\)",
        "sys.path": r"\bsys\.path\b",
    }
    for cell in lesson.code:
        for what, pattern in banned.items():
            if re.search(pattern, cell.source, re.MULTILINE):
                yield f"{first_line(cell)} uses {what}"


def has_buttons_and_setup(lesson: Lesson) -> Iterator[str]:
    """The first cell holds the buttons, and the first code cell is the one setup cell."""
    first = lesson.notebook.cells[0]
    if tags(first) != ["buttons"] or first.source != "\n".join(buttons(lesson.slug, lesson.name)):
        yield "does not open with its buttons: run  make buttons"
    setups = [cell for cell in lesson.code if "setup" in tags(cell)]
    if setups != lesson.code[:1] or [cell.source for cell in setups] != [setup_cell(lesson.slug)]:
        yield "does not have the setup cell as its first code cell: run  make buttons"


def has_ordered_headings(lesson: Lesson) -> Iterator[str]:
    """One title, first; no level is skipped on the way down."""
    yield from misordered(lesson.headings)


# Words and sentences that the field does not use, as patterns, and what to write.
_WORDS = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
_CODE = re.compile(r"```.*?```|`[^`]*`|<!--.*?-->|\]\([^)]*\)|</?\w[^>]*>|\"laws?\"", re.DOTALL)


def homely_words(text: str) -> Iterator[str]:
    """Yield what an editor would strike out of a text in Markdown; code and "law" may stand."""
    prose = " ".join(_CODE.sub(" ", text).split())
    for pattern, better in _WORDS.items():
        for word in sorted(set(re.findall(pattern, prose, re.IGNORECASE))):
            yield f"says {word!r}, not {better}"


def speaks_the_field_s_words(lesson: Lesson) -> Iterator[str]:
    """No homely word stands where the field has one of its own."""
    for cell in lesson.markdown:
        yield from (f"{first_line(cell)} {found}" for found in homely_words(cell.source))


FORM_RULES: tuple[Rule, ...] = (
    equals_its_source,
    is_executed_in_order,
    has_no_failure,
    is_small,
    is_in_normal_form,
    names_no_machine,
    has_alt_texts,
    uses_known_tags,
    is_well_behaved,
    has_buttons_and_setup,
    has_ordered_headings,
    speaks_the_field_s_words,
)


def rules_for(name: str) -> tuple[Rule, ...]:
    """Return the rules that hold for a notebook of this name."""
    is_lesson = re.match(r"\d\d_", Path(name).name)
    return FORM_RULES + LESSON_RULES if is_lesson else FORM_RULES


def _text(output: NotebookNode) -> str:
    data = output.get("data", {}).items()
    texts = [output.get("text", ""), *(text for mime, text in data if mime[:6] != "image/")]
    return "\n".join(text for text in texts if isinstance(text, str))


def _html(output: NotebookNode) -> str:
    return str(output.get("data", {}).get("text/html", ""))


def _is_comparable(output: NotebookNode) -> bool:
    # What nbval compares here: see notebooks/conftest.py.
    if output.output_type == "stream":
        return bool(output.name == "stdout" and output.text.strip())
    return output.output_type == "execute_result" and "text/plain" in output.data


def _html_alts(html: str) -> list[str]:
    return [image.attributes.get("alt") or "" for image in LexborHTMLParser(html).css("img")]
