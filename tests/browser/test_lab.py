"""`make lab` opens the first lesson, and every lesson runs to its end in the browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

import lab
from tools.lessons import notebooks

pytestmark = pytest.mark.browser


def test_make_lab_opens_the_first_lesson(page: Page, server: lab.Server) -> None:
    page.goto(server.opened_page())
    page.get_by_role("heading", name="00 First run").wait_for()
    assert "/lab/tree/00_first_run.ipynb" in page.url


@pytest.mark.slow
def test_the_first_lesson_runs_by_the_menu(page: Page, server: lab.Server) -> None:
    """Run > Run All Cells, as a learner does it."""
    lesson = lab.NotebookPage(page, server, "00_first_run.ipynb")
    lesson.command("notebook:clear-all-cell-outputs")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    lesson.wait_until_all_ran()
    assert (lesson.errors(), lesson.not_run()) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_every_notebook_runs_to_its_end(
    path: lab.Path, open_notebook: Callable[[str], lab.NotebookPage]
) -> None:
    lesson = open_notebook(path.relative_to(lab.ROOT / "notebooks").as_posix())
    lesson.run_all()
    assert (lesson.errors(), lesson.not_run()) == ([], [])
