"""Every committed notebook keeps every rule of tools/lesson_rules.py."""

from pathlib import Path

import pytest

from tools import buttons
from tools.built_lesson import Lesson, Rule
from tools.lesson_rules import FORM_RULES, rules_for
from tools.lesson_shape import LESSON_RULES
from tools.lessons import ROOT, notebooks, read_notebook, source_of
from tools.notebooks import differences

NOTEBOOKS = notebooks()


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=name_of)
def lesson(request: pytest.FixtureRequest) -> Lesson:
    path: Path = request.param
    source = source_of(path).read_text(encoding="utf-8")
    size = path.stat().st_size
    slug = buttons.repository_slug()
    return Lesson(name_of(path), read_notebook(path), size, source, slug)


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
