"""Every text that is marked for translation has a Japanese one, with the same fields in it."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons import setup as lesson
from gemma_mtp_edu.lessons.language import tr

PACKAGE = Path(language.__file__).parents[1]
JAPANESE = language.catalogue("ja")


def templates(tree: ast.AST, questions: bool) -> Iterator[str]:
    """Yield what `tr` and `marked` are given, both sides of a choice, and checkers' questions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and questions:
            assert not isinstance(node.value.elts[1], ast.JoinedStr), ast.unparse(node)
            yield from constants(node.value.elts[1])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("tr", "marked", "NotReadyError") and node.args:
                assert not isinstance(node.args[0], ast.JoinedStr), ast.unparse(node)
                yield from constants(node.args[0])


def constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def all_templates() -> dict[str, str]:
    """Return every template in the package with the module that it stands in."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found.update(dict.fromkeys(templates(tree, path.parent.name == "lessons"), path.name))
    return found


def test_no_text_is_translated_twice() -> None:
    pairs = json.loads(
        (PACKAGE / "data" / "ja.json").read_text(encoding="utf-8"), object_pairs_hook=list
    )
    assert len(pairs) == len(JAPANESE)


def test_the_lesson_chooses_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(language.VARIABLE, "en")
    lesson.language("ja")
    assert language.current() == "ja"
    assert "日本語" in capsys.readouterr().out
    lesson.language("en")
    assert "English" in capsys.readouterr().out


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_every_text_has_a_japanese_one_and_no_other_is_kept() -> None:
    english = all_templates()
    assert [f"{module}: {text}" for text, module in english.items() if text not in JAPANESE] == []
    assert [text for text in JAPANESE if text not in english] == []


def test_both_have_the_same_fields() -> None:
    assert [text for text, japanese in JAPANESE.items() if fields(text) != fields(japanese)] == []


def test_a_missing_text_stays_english() -> None:
    with language.speaking("ja"):
        assert tr("never {word} before", word="seen") == "never seen before"


def test_the_narrowest_choice_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(language.VARIABLE, raising=False)
    assert language.current() == "en"
    monkeypatch.setenv(language.VARIABLE, "ja")
    assert language.current() == "ja"
    lesson.language("en")
    assert language.current() == "en"
    with language.speaking("ja"):
        assert language.current() == "ja"
        with language.speaking(None):
            assert language.current() == "ja"
    assert language.current() == "en"


def test_unknown_languages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="need one of 'en', 'ja'"):
        lesson.language("jp")
    with pytest.raises(ValueError, match="got language 'fr'"), language.speaking("fr"):
        pass
    monkeypatch.setenv(language.VARIABLE, "de")
    with pytest.raises(ValueError, match="got language 'de'"):
        tr("Right.")


def functions(pattern: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(PACKAGE.rglob(pattern)):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}: {node.name}", node


def is_text(node: ast.expr | None) -> bool:
    """Return whether something is written out, without a call of `tr` or of what returns texts."""
    if isinstance(node, ast.JoinedStr):
        return not any(isinstance(part, ast.Call) for part in ast.walk(node))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != ""


def names(node: ast.AST) -> set[str]:
    return {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node)}


def test_every_alt_text_of_a_figure_is_translated() -> None:
    drawing = [(name, node) for name, node in functions("show/*.py") if ": plot_" in name]
    assert len(drawing) > 3
    for name, function in drawing:
        assert names(function) & {"tr", "describe_rounds", "lines_chart"}, name
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        last = ("tidy", "told", "lines_chart")
        told = [c for c in calls if ast.unparse(c.func).split(".")[-1] in last]
        assert told and not any(
            is_text(c.args[1]) for c in told if "chart" not in ast.unparse(c.func)
        ), name
