"""What README.md shows of the bundled pair is what it does: `make figures` brings it up to date."""

from tools.document import part
from tools.figures import README, demo_output, picture_markdown, rounds_trace


def test_the_demo_prints_what_the_readme_shows() -> None:
    shown = part(README.read_text(encoding="utf-8"), "demo")
    assert shown == f"```text\n{demo_output()}\n```"


def test_the_alt_text_of_the_picture_is_that_of_the_rounds() -> None:
    shown = part(README.read_text(encoding="utf-8"), "picture").splitlines()[0]
    # Only the image: the caption names the release that drew it.
    assert shown == picture_markdown(rounds_trace()).splitlines()[0]
