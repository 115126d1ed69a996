"""In Chromium: no text of a token, a prompt or a name runs a script or adds an element."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.unit.test_escaping import BENIGN, HOSTILE, PAGES, SLOW_PAGES

pytestmark = pytest.mark.browser

VIEWS: dict[str, Callable[[str], str]] = {**PAGES, **SLOW_PAGES}
# Elements with their attributes, but those that are read out; a picture's data draws letters.
TREE = """() => [...document.querySelectorAll("*")].map(e => [e.tagName, [...e.attributes]
    .filter(a => !["alt", "title", "aria-label", "src"].includes(a.name))
    .map(a => [a.name, a.value])])"""
SOURCES = """() => [...document.querySelectorAll("[src], [href], [srcdoc]")]
    .map(e => e.src || e.href || e.srcdoc).filter(a => !a.startsWith("data:image/png;base64,"))"""


class Window:
    """A page, and what it does beyond showing: dialogs, errors of scripts, requests."""

    def __init__(self, page: Page) -> None:
        self.page, self.deeds = page, []
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self.deeds.append(f"error {error}"))
        page.on("request", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.deeds.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith("data:"):
            self.deeds.append(f"request {request.url}")

    def show(self, html: str) -> list[Any]:
        """Show a page, move over all that takes the focus, and return its elements."""
        self.page.set_content(html, wait_until="load")
        self.page.evaluate("() => document.querySelectorAll('[tabindex]').forEach(e => e.focus())")
        assert self.page.evaluate(SOURCES) == []
        elements: list[Any] = self.page.evaluate(TREE)
        return elements


@pytest.fixture
def window(browser: Browser) -> Iterator[Window]:
    context = browser.new_context()
    yield Window(context.new_page())
    context.close()


@pytest.mark.parametrize("name", VIEWS)
def test_a_hostile_text_does_nothing(name: str, window: Window) -> None:
    usual = window.show(VIEWS[name](BENIGN))
    for text in HOSTILE if name in PAGES else ("".join(HOSTILE),):
        assert window.show(VIEWS[name](text)) == usual, text
    assert window.deeds == []


@pytest.mark.parametrize(
    ("html", "deed"),
    [
        ("<script>alert(1)</script>", "dialog 1"),
        ("<b tabindex=0 onfocus=alert(2)>x</b>", "dialog 2"),
        ("<script>nothing()</script>", "error "),
    ],
)
def test_what_a_page_does_is_seen(html: str, deed: str, window: Window) -> None:
    window.show(html)
    assert any(found.startswith(deed) for found in window.deeds)


def test_an_image_from_elsewhere_is_seen(window: Window) -> None:
    with pytest.raises(AssertionError):
        window.show("<img src='https://example.invalid/x.png'>")
