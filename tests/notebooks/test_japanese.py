"""The Japanese edition has the English code, and no paragraph that says something old."""

from pathlib import Path

import pytest

from tools import japanese, translation

SOURCE = """\
# %% [markdown] tags=["buttons"]
# Buttons.

# %% [markdown]
# # Title
#
# One
# paragraph.

# %%
print(1)

# %% [markdown]
# # Title
#
# ```python
# a = 1
#
# b = 2
# ```
"""
TITLE, ONE, CODE = "# Title", "One\nparagraph.", "```python\na = 1\n\nb = 2\n```"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks" / "src" / "ja"
    folder.mkdir(parents=True)
    (folder.parent / "00_tiny.py").write_text(SOURCE)
    return tmp_path


def entry(english: str, japanese_text: str) -> str:
    return f"<!-- en {translation.paragraph_hash(english)} -->\n{japanese_text}\n\n"


def test_paragraphs_have_one_entry_each_and_buttons_none() -> None:
    assert list(translation.lesson_paragraphs(SOURCE).values()) == [TITLE, ONE, CODE]


def test_missing_paragraphs_are_reported(checkout: Path) -> None:
    translation.translation_file("common", checkout).write_text(entry(TITLE, "# 題"))
    translation.translation_file("00_tiny", checkout).write_text(entry(CODE, CODE))
    (sentence,) = japanese.complaints(checkout)
    assert sentence == f"00_tiny: {translation.paragraph_hash(ONE)} is missing: 'One'"


def test_stale_paragraphs_are_reported(checkout: Path) -> None:
    texts = entry(TITLE, "# 題") + entry(ONE, "一つの段落。") + entry(CODE, CODE)
    translation.translation_file("00_tiny", checkout).write_text(texts)
    translation.translation_file("common", checkout).write_text(entry(TITLE, "# 別の題"))
    assert japanese.complaints(checkout) == []
    source = checkout / "notebooks" / "src" / "00_tiny.py"
    source.write_text(SOURCE.replace("One", "Another"))
    missing, old = japanese.complaints(checkout)
    assert "is missing: 'Another'" in missing
    assert old.startswith(f"00_tiny: {translation.paragraph_hash(ONE)} is stale")


def test_a_lessons_own_entry_wins(checkout: Path) -> None:
    translation.translation_file("common", checkout).write_text(entry(TITLE, "# 共通"))
    translation.translation_file("00_tiny", checkout).write_text(entry(TITLE, "# 固有"))
    have = translation.translations("00_tiny", checkout)
    assert translation.translated(TITLE, have) == "# 固有"


@pytest.mark.parametrize("text", [entry(ONE, "一") * 2, entry(ONE, "")])
def test_doubtful_entries_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="need one that says something"):
        translation.entries(text)


def test_what_is_to_do_is_ready_to_fill_in() -> None:
    english = translation.lesson_paragraphs(SOURCE)
    assert translation.entries(japanese.as_entries(english)) == english


def test_a_cell_is_translated_paragraph_by_paragraph() -> None:
    have = translation.entries(entry(TITLE, "# 題") + entry(CODE, CODE))
    assert translation.translated(f"{TITLE}\n\n{CODE}", have) == f"# 題\n\n{CODE}"
