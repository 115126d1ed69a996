"""What lessons import: few names from few modules, all of them there."""

import ast
from importlib import import_module

import pytest

from tools.lessons import sources


def imported() -> set[tuple[str, str]]:
    """Return every name of ours that a lesson imports, with where it takes it from."""
    return {
        (node.module, alias.name)
        for source in sources()
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gemma_mtp_edu")
        for alias in node.names
    }


def test_lessons_name_few_things_from_few_modules() -> None:
    found = imported()
    assert len(found) <= 90
    assert len({module for module, _ in found}) <= 12


def test_all_that_lessons_import_is_there() -> None:
    for module, name in sorted(imported()):
        if not hasattr(import_module(module), name):
            import_module(f"{module}.{name}")


def test_a_folder_offers_no_other_names() -> None:
    folder = import_module("gemma_mtp_edu.analysis")
    with pytest.raises(AttributeError, match="has no attribute 'ablat'"):
        folder.ablat  # noqa: B018
