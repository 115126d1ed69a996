"""One address in pyproject.toml, and everything that readers click follows it."""

from pathlib import Path

import pytest

import example_lesson as example
from tests.cases import beside, cases
from tools import buttons
from tools.lessons import read_notebook, write_notebook

README = beside(__file__, ".txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/somewhere"\n'
    )
    (tmp_path / "README.md").write_text(README)
    source = tmp_path / "notebooks/src/00_example.py"
    source.parent.mkdir(parents=True)
    source.write_text(example.BODY)
    buttons.write(tmp_path)
    write_notebook(example.built(), tmp_path / "notebooks/00_example.ipynb")
    return tmp_path


def all_texts(checkout: Path) -> str:
    paths = [checkout / "README.md", *(checkout / "notebooks").rglob("*.*")]
    return "\n".join(path.read_text() for path in paths)


def test_written_once_there_is_nothing_left_to_write(checkout: Path) -> None:
    assert (checkout / "notebooks/src/00_example.py").read_text() == example.SOURCE
    assert buttons.write(checkout) == []


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_fork_changes_every_address(checkout: Path, by_hand: bool) -> None:
    if by_hand:
        (checkout / "pyproject.toml").write_text('Repository = "https://github.com/me/my.fork"\n')
    else:
        buttons.set_repository("https://github.com/me/my.fork.git", checkout)
    assert len(buttons.write(checkout)) == 3
    assert buttons.write(checkout) == []
    texts = all_texts(checkout)
    assert "someone/somewhere-else" in texts
    assert "other/somewhere" in texts
    assert "someone/somewhere" not in texts.replace("someone/somewhere-else", "")
    assert texts.count("https://colab.research.google.com/github/me/my.fork/blob/main/") == 3
    assert "git clone https://github.com/me/my.fork\n" in texts
    assert "git+https://github.com/me/my.fork.git" in texts
    assert texts.count("--no-deps git+https://github.com/me/my.fork") == 2


def test_a_notebook_keeps_its_outputs(checkout: Path) -> None:
    buttons.set_repository("https://github.com/me/fork/", checkout)
    buttons.write(checkout)
    notebook = read_notebook(checkout / "notebooks/00_example.ipynb")
    assert [cell.outputs[0].text for cell in notebook.cells if cell.get("outputs")] == ["3\n"]


@pytest.mark.parametrize("damage", ["README.md", "notebooks/src/00_example.py"])
def test_a_changed_address_is_found(checkout: Path, damage: str) -> None:
    path = checkout / damage
    path.write_text(path.read_text().replace("mybinder.org/v2/gh/someone", "mybinder.org/v2/gh/x"))
    assert list(buttons.pending(checkout)) == [path]


def test_a_changed_notebook_is_found(checkout: Path) -> None:
    path = checkout / "notebooks/00_example.ipynb"
    path.write_text(path.read_text().replace("lesson.setup()", "lesson.setup(1)"))
    assert list(buttons.stale_notebooks(checkout)) == [path]


@cases
def test_wrong_addresses_are_refused(checkout: Path, address: str) -> None:
    with pytest.raises(ValueError, match=r"need https://github\.com/OWNER/NAME"):
        buttons.set_repository(address, checkout)


def test_a_project_without_address_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(ValueError, match="needs a line"):
        buttons.repository_slug(tmp_path)


def test_the_setup_cell_is_short_python() -> None:
    code = buttons.setup_cell("me/fork")
    compile(code, "setup", "exec")
    assert len(list(filter(None, code.splitlines()))) <= 4
