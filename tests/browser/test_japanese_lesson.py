"""A Japanese lesson in the browser: its text, and a widget that answers in Japanese."""

from collections.abc import Callable

import pytest

import lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_viewer_speaks_japanese(open_notebook: Callable[[str], lab.NotebookPage]) -> None:
    lesson = open_notebook("ja/03_watch_one_round.ipynb")
    lesson.page.get_by_role("heading", name="セットアップ").wait_for()
    lesson.run_all()
    cell = lesson.show(lesson.index_of("RoundViewer("))
    cell.get_by_text("ラウンド 1 /").wait_for()
    assert cell.get_by_text("まず予想してください").count() == 1
    cell.get_by_role("button", name="判定を見る").click()
    cell.get_by_text("個を受け入れました。").wait_for()
    cell.get_by_role("button", name="次のラウンド").click()
    cell.get_by_text("ラウンド 2 /").wait_for()
