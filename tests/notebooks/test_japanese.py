"""The Japanese edition has the English code, and no paragraph that says something old."""

from pathlib import Path

import pytest
from nbformat import NotebookNode

from tests.cases import beside, cases, tables
from tools import lessons, translation
from tools import notebooks as building
from tools import translation_rules as rules
from tools.buttons import buttons, repository_slug
from tools.lessons import JAPANESE, ROOT, has_cells_of, notebook_of, parse_source, read_notebook

SOURCE = beside(__file__, ".py.txt")
SETUP = """
# %% tags=["setup"]
from gemma_mtp_edu import lesson
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
    (sentence,) = translation.pending(checkout)
    assert sentence == f"00_tiny: {translation.paragraph_hash(ONE)} is missing: 'One'"


def test_stale_paragraphs_are_reported(checkout: Path) -> None:
    texts = entry(TITLE, "# 題") + entry(ONE, "一つの段落。") + entry(CODE, CODE)
    translation.translation_file("00_tiny", checkout).write_text(texts)
    translation.translation_file("common", checkout).write_text(entry(TITLE, "# 別の題"))
    assert translation.pending(checkout) == []
    source = checkout / "notebooks" / "src" / "00_tiny.py"
    source.write_text(SOURCE.replace("One", "Another"))
    missing, old = translation.pending(checkout)
    assert "is missing: 'Another'" in missing
    assert old.startswith(f"00_tiny: {translation.paragraph_hash(ONE)} is stale")
    assert translation.complaints(checkout) == []
    have = translation.translations("00_tiny", checkout)
    assert translation.translated("Another\nparagraph.", have) == "Another\nparagraph."


def test_a_lessons_own_entry_wins(checkout: Path) -> None:
    translation.translation_file("common", checkout).write_text(entry(TITLE, "# 共通"))
    translation.translation_file("00_tiny", checkout).write_text(entry(TITLE, "# 固有"))
    have = translation.translations("00_tiny", checkout)
    assert translation.translated(TITLE, have) == "# 固有"


@pytest.mark.parametrize("text", [entry(ONE, "一") * 2, entry(ONE, "")])
def test_doubtful_entries_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="need one that says something"):
        translation.entries(text)


def test_entries_are_read_back_and_replace_paragraph_by_paragraph() -> None:
    english = translation.lesson_paragraphs(SOURCE)
    assert translation.entries(translation.as_entries(english)) == english
    have = translation.entries(entry(TITLE, "# 題") + entry(CODE, CODE))
    assert translation.translated(f"{TITLE}\n\n{CODE}", have) == f"# 題\n\n{CODE}"


def code_cells(notebook: NotebookNode) -> list[tuple[str, list[str]]]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [(cell.source, cell.metadata.get("tags", [])) for cell in cells]


@pytest.mark.parametrize("source", lessons.sources(), ids=lambda path: path.stem)
def test_code_is_the_english_one_and_a_cell_that_chooses_the_language(source: Path) -> None:
    english = code_cells(read_notebook(notebook_of(source)))
    code = code_cells(read_notebook(notebook_of(source, language=JAPANESE)))
    assert code[1] == (translation.LANGUAGE_CELL, ["language"])
    assert [code[0], *code[2:]] == english


def test_no_translation_breaks_a_rule_and_every_notebook_is_built() -> None:
    assert translation.complaints() == []
    assert building.differences(language=JAPANESE) == []


@pytest.fixture
def translated_checkout(checkout: Path) -> Path:
    (checkout / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (checkout / "notebooks" / "src" / "00_tiny.py").write_text(SOURCE + SETUP)
    texts = entry(TITLE, "# 題") + entry(ONE, "一つの段落。") + entry(CODE, CODE)
    translation.translation_file("00_tiny", checkout).write_text(texts)
    return checkout


def test_an_edition_is_made_cell_by_cell(translated_checkout: Path) -> None:
    (source,) = lessons.sources(translated_checkout)
    text = translation.edition(source, translated_checkout)
    cells = parse_source(text).cells
    assert has_cells_of(parse_source(text), text)
    assert cells[0].source == "\n".join(buttons(repository_slug(), "ja/00_tiny"))
    assert [cell.source for cell in cells[1:]] == [
        "# 題\n\n一つの段落。",
        "print(1)",
        f"# 題\n\n{CODE}",
        "from gemma_mtp_edu import lesson",
        translation.LANGUAGE_CELL,
    ]


def test_notebooks_that_differ_are_named(translated_checkout: Path) -> None:
    root = translated_checkout
    (source,) = lessons.sources(root)
    path = notebook_of(source, root, JAPANESE)
    assert building.differences(root, JAPANESE) == ["ja/00_tiny has not been built"]
    lessons.write_notebook(parse_source(translation.edition(source, root)), path)
    assert building.differences(root, JAPANESE) == []
    path.write_text(path.read_text().replace("print(1)", "print(2)"))
    assert building.differences(root, JAPANESE) == ["ja/00_tiny differs from its source"]
    path.rename(path.with_name("01_gone.ipynb"))
    assert "ja/01_gone has no source" in building.differences(root, JAPANESE)


@cases
def test_a_broken_translation_is_found(rule: str, english: str, text: str) -> None:
    said = {other.__name__: list(other(english, text)) for other in rules.RULES}
    broken = {name for name, *_ in tables(__file__)["test_a_broken_translation_is_found"][1:]}
    assert broken == said.keys()
    (sentence,) = said.pop(rule)
    assert sentence
    assert [s for sentences in said.values() for s in sentences] == []


def test_a_broken_rule_is_a_complaint(translated_checkout: Path) -> None:
    path = translation.translation_file("00_tiny", translated_checkout)
    path.write_text(path.read_text().replace("一つの段落", "**一つ。**の段落"))
    (sentence,) = translation.complaints(translated_checkout)
    assert "not rendered" in sentence
