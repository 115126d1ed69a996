"""What the instructor's guide says of the bundled pair, and the figures for slides."""

from pathlib import Path

import pytest
from PIL import Image

from tests.cases import beside
from tools import slides

LESSON = beside(__file__, ".py.txt")


def test_slides_are_the_figures_of_a_lesson(tmp_path: Path) -> None:
    source = tmp_path / "00_example.py"
    source.write_text(LESSON, encoding="utf-8")
    found = slides.export(source, tmp_path)
    assert [(slide.name, slide.section, slide.alt) for slide in found] == [
        ("00_example-1", "Two [figures]", "A bar of height 1 [cm]."),
        ("00_example-2", "Two [figures]", "A bar of height 2 [cm]."),
    ]
    for slide in found:
        assert min(Image.open(tmp_path / f"{slide.name}.png").size) > 600
        assert slide.alt in (tmp_path / f"{slide.name}.svg").read_text(encoding="utf-8")
    assert r"![A bar of height 1 \[cm\].](00_example-1.svg)" in slides.index(found)


def test_slides_of_a_lesson_that_there_is_not() -> None:
    with pytest.raises(SystemExit, match="no lesson named 99_none; there are: 00_first_run"):
        slides.main(["build/slides", "99_none"])
    assert slides.main([]) == 2


@pytest.mark.slow
def test_slides_of_a_real_lesson(tmp_path: Path) -> None:
    assert slides.main([str(tmp_path), "00_first_run"]) == 0
    assert (tmp_path / "00_first_run-1.svg").exists()
    assert "Round 1" in (tmp_path / "index.md").read_text(encoding="utf-8")
