"""Every committed notebook keeps every rule of tools/lesson_rules.py."""

from pathlib import Path

import pytest

from tools import buttons, japanese
from tools.built_lesson import Lesson, Rule
from tools.lesson_rules import FORM_RULES, rules_for
from tools.lesson_shape import LESSON_RULES
from tools.lessons import japanese_notebooks, lesson_name, notebooks, read_notebook, source_of
from tools.notebooks import differences

NOTEBOOKS = [*notebooks(), *japanese_notebooks()]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lesson_name)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    path: Path = request.param
    english, name = source_of(path), lesson_name(path)
    is_english = path in notebooks()
    source = english.read_text(encoding="utf-8") if is_english else japanese.edition(english)
    size, slug = path.stat().st_size, buttons.repository_slug()
    return Lesson(name, read_notebook(path), size, source, slug)


@pytest.mark.parametrize("rule", FORM_RULES + LESSON_RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_rule(lesson: Lesson, rule: Rule) -> None:
    if rule in rules_for(lesson.name):
        assert list(rule(lesson)) == [], rule.__doc__


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_sources_and_notebooks_belong_together() -> None:
    assert differences() == []


def test_every_address_is_the_one_in_pyproject() -> None:
    assert [path.name for path in [*buttons.pending(), *buttons.stale_notebooks()]] == []
