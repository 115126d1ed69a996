"""The model card: generated parts are those of the code, tables say what was measured."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.cases import tables
from tools.document import part, with_part, write_parts
from tools.pocket import card
from tools.pocket.example import split_of

TEXT = card.CARD.read_text(encoding="utf-8")
QUALITY = pd.DataFrame({"ends": [1.0, 0.985], "parses": [0.97, math.nan]}, index=["json", "story"])
SPEED = pd.DataFrame(tables(__file__)["speed"], index=["json", "story"])


def test_measured_tables_hold_every_number_and_its_conditions() -> None:
    lines = card.measured(QUALITY, SPEED, {"machine": "a CPU", "dtype": "float32"}).splitlines()
    assert lines[0] == "machine a CPU, dtype float32."
    assert "| `json` | 100% | 97% |" in lines
    assert "| `story` | 98% |  |" in lines  # what a workload does not demand stays empty
    assert "| `json` | 100% | 0.91 | 4.60 | 2.25 | 57 |" in lines
    assert "| `story` | 50% | 0.60 | 3.40 | 1.25 | 100 |" in lines
    assert "| mean |  | 0.76 | 4.00 | 1.75 |  |" in lines


def test_measured_tables_land_between_their_marks(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(TEXT, encoding="utf-8")
    measured = card.measured(QUALITY, SPEED, {"dtype": "float32"})
    assert write_parts(copy, {"measured": measured})
    assert not write_parts(copy, {"measured": measured})
    new = copy.read_text(encoding="utf-8")
    assert part(new, "measured") == measured
    assert with_part(new, "measured", part(TEXT, "measured")) == TEXT


@pytest.mark.parametrize("marks", ["", "<!-- a -->\n<!-- /a -->\n" * 2, "<!-- /a --><!-- a -->"])
def test_marks_must_be_there_once(marks: str) -> None:
    with pytest.raises(ValueError, match="parts named 'a', need one"):
        with_part(marks, "a", "new")


def test_architecture_and_recipe_are_those_of_the_files() -> None:
    assert part(TEXT, "architecture") == card.architecture(card.CARD.parent)
    assert part(TEXT, "recipe") == card.recipe(card.TRAINING_LOG)


def test_examples_are_held_out_and_what_the_program_writes() -> None:
    assert part(TEXT, "examples") == card.examples()
    for example in card.short_examples().values():
        assert split_of(example.prompt) == "held_out"


def test_every_workload_has_a_row() -> None:
    rows = part(TEXT, "data").splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(card.WORKLOADS)
    assert sum(int(share) for share in re.findall(r"\| (\d+)% \|", part(TEXT, "data"))) == 100
