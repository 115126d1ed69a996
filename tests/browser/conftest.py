"""JupyterLab and Chromium for all browser tests; one server and one browser serve them all."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = lab.find_chromium(playwright)
        if path is None and os.environ.get("CI"):
            pytest.fail(lab.HOW_TO_GET_ONE)
        if path is None:
            # Gone as soon as there is one; CI may not do without.
            pytest.skip(lab.HOW_TO_GET_ONE)
        with lab.chromium(playwright, path) as browser:
            yield browser


@pytest.fixture(scope="session")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Server]:
    with lab.lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window; what the browser complains of fails the test that opened it."""
    with lab.watched_page(browser) as page:
        yield page


@pytest.fixture
def open_notebook(page: Page, server: lab.Server) -> Callable[[str], lab.NotebookPage]:
    """A function that opens a notebook of the server's folder in JupyterLab."""
    return lambda name: lab.NotebookPage(page, server, name)
