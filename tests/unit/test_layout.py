"""The house of the package: its budgets, and who may import whom, read from the code."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from tests.cases import cases

ROOT = Path(__file__).resolve().parents[2]
NAME = "gemma_mtp_edu"
# All lines of `*.py`. A new module needs a deleted one; whoever raises a number says in the commit
# what the learner gains.
LINES = {NAME: 7000, f"{NAME}/core": 1100, "tools": 6500, "tests": 12_500}
MODULES = {NAME: 48, f"{NAME}/core": 7}
LINES_OF_A_MODULE = 300
LOADED_BY_THE_FIRST_LINES = 16
NAMES_OF_THE_LESSONS, MODULES_OF_THE_LESSONS = 90, 12
# A folder imports from those with a lower number.
FLOORS = {
    "core": 0, "models": 1, "analysis": 2, "measure": 3, "training": 3, "lessons": 4, "show": 5,
}  # fmt: skip
NO_MODELS = (
    "core.trace", "core.schedules",
    "analysis.theory", "analysis.metrics", "analysis.replay", "analysis.cost",
)  # fmt: skip
IN_THE_ROOT = {
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.ja.md", "README.md",
    "SECURITY.md", "binder", "constraints.txt", "docs", NAME, "notebooks", "pyproject.toml",
    "requirements.txt", "tests", "tools",
    "build", "dist", "shared",  # not ours to commit
}  # fmt: skip
NOT_SHIPPED = {"tools", "tests", "pytest", "hypothesis", "beartype", "nbformat", "jupytext"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def imports(code: str) -> set[str]:
    """Return all that code imports, also in functions, but not for type checkers alone."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(code)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{NAME}."):
            names.add(str(node.value))  # import_module("...")
    return names


def module_of(name: str) -> str | None:
    """Return which of our modules an imported name lies in, without the package's own name."""
    path = ROOT / name.replace(".", "/")
    if not name.startswith(f"{NAME}."):
        return None
    if path.with_suffix(".py").exists() or path.is_dir():
        return name.removeprefix(f"{NAME}.")
    return module_of(name.rpartition(".")[0]) if name.count(".") > 1 else "__init__"


def graph() -> dict[str, set[str]]:
    """Return our modules, and which of the others each imports."""
    found = {}
    for path in sources(NAME):
        if path.name != "__init__.py":
            name = ".".join(path.relative_to(ROOT / NAME).with_suffix("").parts)
            ours = {module_of(name) for name in imports(path.read_text(encoding="utf-8"))}
            found[name] = {module for module in ours if module}
    return found


GRAPH = graph()


@pytest.mark.parametrize("folder", LINES)
def test_lines_are_within_the_budget(folder: str) -> None:
    assert sum(map(lines, sources(folder))) <= LINES[folder]


@pytest.mark.parametrize("folder", MODULES)
def test_modules_are_within_the_budget(folder: str) -> None:
    assert sum(path.name != "__init__.py" for path in sources(folder)) <= MODULES[folder]


@pytest.mark.parametrize("path", sources(NAME), ids=lambda path: path.stem)
def test_a_module_is_read_in_one_sitting(path: Path) -> None:
    assert lines(path) <= LINES_OF_A_MODULE


def test_nothing_strays_in_the_root() -> None:
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert names - IN_THE_ROOT == set()


@pytest.mark.parametrize("folder", [".", NAME, "notebooks", "notebooks/src", "tests", "tools"])
def test_where_a_user_may_stand_nothing_hides_the_standard_library(folder: str) -> None:
    names = {path.stem for path in (ROOT / folder).iterdir() if path.suffix in ("", ".py")}
    assert names & sys.stdlib_module_names == set()


@pytest.mark.parametrize("module", GRAPH)
def test_arrows_point_down(module: str) -> None:
    folder = module.rpartition(".")[0]
    for other in GRAPH[module] - {"__init__"} if folder else ():
        below = other.rpartition(".")[0]
        assert below == folder or FLOORS.get(below, 99) < FLOORS[folder], other


def test_no_modules_import_each_other() -> None:
    TopologicalSorter(GRAPH).prepare()


@pytest.mark.parametrize("path", sources(NAME), ids=lambda path: path.stem)
def test_the_package_imports_only_what_is_shipped(path: Path) -> None:
    names = imports(path.read_text(encoding="utf-8"))
    assert {name.split(".")[0] for name in names} & NOT_SHIPPED == set()


def loaded(code: str) -> list[str]:
    """Return the modules that a fresh Python has loaded after some code."""
    code += "\nimport sys; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


def test_importing_the_package_loads_no_model_library() -> None:
    assert {"torch", "transformers", "pandas"} & set(loaded(f"import {NAME}")) == set()


def test_numbers_need_no_model() -> None:
    """Neither at once, through what they import, nor later, in their own functions."""
    code = "; ".join(f"import {NAME}.{module}" for module in NO_MODELS)
    assert {"torch", "transformers"} & set(loaded(code)) == set()
    for module in NO_MODELS:
        path = ROOT / NAME / f"{module.replace('.', '/')}.py"
        names = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"))}
        assert {"torch", "transformers"} & names == set(), module


def test_a_first_generation_needs_few_modules() -> None:
    modules = loaded(f"from {NAME} import load_pair, speculative_generate")
    ours = [name for name in modules if name.startswith(f"{NAME}.")]
    files = [name for name in ours if not (ROOT / name.replace(".", "/")).is_dir()]
    assert len(files) <= LOADED_BY_THE_FIRST_LINES, files


def lesson_names() -> set[tuple[str, str]]:
    """Return the module and name of all that lessons take from us, as `from` or with a dot."""
    found = set()
    for path in sources("notebooks/src"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(NAME):
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    is_module = module_of(full) == full.removeprefix(f"{NAME}.")
                    if is_module or alias.name in ("lesson", "plots"):
                        modules[alias.asname or alias.name] = full
                    else:
                        found.add((str(node.module), alias.name))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in modules:
                    found.add((modules[node.value.id], node.attr))
    return found


def test_lessons_take_few_names_from_few_modules() -> None:
    names = lesson_names()
    assert len({module for module, _ in names}) <= MODULES_OF_THE_LESSONS
    assert len(names) <= NAMES_OF_THE_LESSONS


def test_a_folder_offers_no_other_names() -> None:
    folder = import_module(f"{NAME}.analysis")
    with pytest.raises(AttributeError, match="has no attribute 'ablat'"):
        folder.ablat  # noqa: B018


@cases
def test_imports_are_found(code: str, found: list[str]) -> None:
    assert imports(code) - {"typing.TYPE_CHECKING"} == set(found)


def test_an_imported_name_is_traced_to_its_module() -> None:
    assert module_of(f"{NAME}.core.trace.RoundTrace") == "core.trace"
    assert module_of(f"{NAME}.load_pair") == "__init__"
    assert module_of("torch.nn") is None
