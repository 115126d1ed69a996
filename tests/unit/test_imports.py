"""Data flows one way (the table in CONTRIBUTING.md): who may import whom, read from the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gemma_mtp_edu"
MODELS = {"torch", "transformers", "accelerate"}
SHOWS = {f"gemma_mtp_edu.{name}" for name in ("plots", "views", "widgets")}
# What a module may not reach, directly or through the package's other modules.
FORBIDDEN = {
    "trace": MODELS,
    "schedules": MODELS,
    "metrics": MODELS,
    "cost": MODELS,
    "replay": MODELS,
    "views": MODELS,
    "sampling": {"gemma_mtp_edu.models.pairs"} | SHOWS,
    "verification": {"transformers"} | SHOWS,
    "decoding": {"gemma_mtp_edu.show.plots", "gemma_mtp_edu.show.widgets"},
}
PRESENT = sorted(name for name in FORBIDDEN if (PACKAGE / f"{name}.py").exists())


def imported_names(code: str) -> set[str]:
    """Return all that a module imports, also inside functions, but not for type checkers alone."""
    names: set[str] = set()
    for node in _executed_nodes(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _executed_nodes(node: ast.AST) -> list[ast.AST]:
    nodes = [node]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        nodes += _executed_nodes(child)
    return nodes


def reachable(module: str, package: Path = PACKAGE) -> set[str]:
    """Return all that a module imports, itself or through other modules of the package."""
    found: set[str] = set()
    waiting = [f"gemma_mtp_edu.{module}"]
    while waiting:
        path = package / f"{waiting.pop().removeprefix('gemma_mtp_edu.')}.py"
        if path.exists():
            new = imported_names(path.read_text(encoding="utf-8")) - found
            found |= new
            waiting += [name for name in new if name.startswith("gemma_mtp_edu.")]
    return found


def breaches(names: set[str], forbidden: set[str]) -> set[str]:
    """Return the names that are forbidden or lie inside of something forbidden."""
    return {
        name for name in names for ban in forbidden if name == ban or name.startswith(f"{ban}.")
    }


@pytest.mark.parametrize("module", PRESENT)
def test_module_reaches_nothing_forbidden(module: str) -> None:
    assert breaches(reachable(module), FORBIDDEN[module]) == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_package_never_imports_what_is_not_shipped(path: Path) -> None:
    names = imported_names(path.read_text(encoding="utf-8"))
    assert (
        breaches(names, {"tools", "tests", "pytest", "hypothesis", "beartype", "nbformat"}) == set()
    )


def test_import_of_the_package_loads_no_model_library() -> None:
    code = (
        "import sys, gemma_mtp_edu; print(*{'torch', 'transformers', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from torch import Tensor", {"torch"}),
        ("def f():\n    import transformers", {"transformers"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", set()),
        ("import torchlike", set()),
    ],
)
def test_breaches_are_found(code: str, found: set[str]) -> None:
    assert found <= breaches(imported_names(code), MODELS)
    assert bool(found) == bool(breaches(imported_names(code), MODELS))


def test_breaches_through_other_modules_are_found(tmp_path: Path) -> None:
    (tmp_path / "trace.py").write_text("from gemma_mtp_edu import helper")
    (tmp_path / "helper.py").write_text("import torch")
    assert breaches(reachable("trace", tmp_path), MODELS) == {"torch"}
