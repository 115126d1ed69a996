"""Every committed notebook keeps every rule of tools/lesson_rules.py."""

from pathlib import Path

import pytest

from tools import buttons
from tools.built_lesson import Lesson, Rule
from tools.lesson_rules import FORM_RULES, rules_for
from tools.lesson_shape import LESSON_RULES
from tools.lessons import ENGLISH, JAPANESE, lesson_name, notebooks, read_notebook, source_of
from tools.notebooks import differences, text_of
from tools.translation import missing

NOTEBOOKS = [*notebooks(), *notebooks(language=JAPANESE)]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lesson_name)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    path: Path = request.param
    source = text_of(source_of(path), ENGLISH if path in notebooks() else JAPANESE)
    size, slug = path.stat().st_size, buttons.repository_slug()
    return Lesson(lesson_name(path), read_notebook(path), size, source, slug)


@pytest.mark.parametrize("rule", FORM_RULES + LESSON_RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_rule(lesson: Lesson, rule: Rule) -> None:
    # Where paragraphs of a translation are stale, its shape is for later.
    waits = lesson.language == JAPANESE and missing(source_of(Path(lesson.name)))
    if rule in rules_for(lesson.name) and not (waits and rule in LESSON_RULES):
        assert list(rule(lesson)) == [], rule.__doc__


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_sources_and_notebooks_belong_together() -> None:
    assert differences() == []


def test_every_address_is_the_one_in_pyproject() -> None:
    assert [path.name for path in [*buttons.pending(), *buttons.stale_notebooks()]] == []
