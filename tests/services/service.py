"""Notebook services as far as they differ from a fresh Python: packages, variables, modules."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

import jupytext

from gemma_mtp_edu.lessons.setup import KEPT
from tests.cases import tables
from tools.buttons import repository_slug, setup_cell
from tools.fresh_environment import Environment
from tools.lessons import ROOT

# What the issue of a bare notebook has; pandas, accelerate and the rest are for the cell to bring.
BARE = (*KEPT, "matplotlib", "ipykernel")
# These would bring the classic notebook server, which no kernel needs.
_ALONE = ("ipywidgets", "widgetsnbextension")


@dataclass(frozen=True)
class Service:
    """One service.

    Args:
        name: As `lesson.place` says it.
        variables: What it sets for every kernel.
        releases: What it has in place of the newest releases, by package.
        loaded: What is imported before the setup cell runs, by the service or by the learner.
        replaced: Those of its packages that are unsuitable, or that others follow.
    """

    name: str
    variables: Mapping[str, str]
    releases: Mapping[str, str] = field(default_factory=dict)
    loaded: Sequence[str] = ()
    replaced: Sequence[str] = ("transformers",)

    def furnish(self, environment: Environment) -> None:
        """Bring an environment that holds `BARE` to this service's state."""
        pins = {name: f"{name}=={release}" for name, release in self.releases.items()}
        alone = [pin for name, pin in pins.items() if name in _ALONE]
        # torch is named, lest pip think that another one would fit better.
        torch = f"torch=={environment.version('torch')}"
        environment.pip(torch, *(pin for pin in pins.values() if pin not in alone))
        if alone:
            environment.pip("--no-deps", *alone)


# Colab: googlecolab/backend-info, pip-freeze.gpu.txt of June 2026, as far as the course meets it.
# Its torch is 2.11.0+cu128 on Python 3.12.
# Kaggle's image is built on Colab's, so that Colab's variable may be there too. It holds matplotlib
# back, and its kernels load it for inline pictures (Kaggle/docker-python).
COLAB, KAGGLE, VS_CODE = (Service(**row) for row in tables(__file__))


def the_setup_cell(repository: str) -> str:
    """Return the setup cell as learners have it, but with another address."""
    slug = repository_slug()
    cell = setup_cell(slug)
    assert cell.count(f"https://github.com/{slug}") == 1
    return cell.replace(f"https://github.com/{slug}", repository)


def cells_after_setup(lesson: str) -> list[str]:
    """Return the code cells of a lesson that come after its setup cell."""
    source = ROOT / "notebooks" / "src" / f"{lesson}.py"
    notebook = jupytext.read(source, fmt="py:percent")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["setup"]
    return [cell.source for cell in code[1:]]


def add_stub(environment: Environment, name: str, version: str) -> None:
    """Add a package that is no more than its name and version."""
    folder = environment.site_packages
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(f'__version__ = "{version}"\n')
    details = folder / f"{name}-{version}.dist-info"
    details.mkdir()
    (details / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    files = [f"{name}/__init__.py", f"{details.name}/METADATA", f"{details.name}/RECORD"]
    (details / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def wheel_of(name: str, folder: Path) -> Path:
    """Pack an installed package into a wheel again, so that pip can install it offline."""
    package = distribution(name)
    path = folder / f"{name}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as wheel:
        for file in package.files or []:
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            with wheel.open(file.as_posix(), "w") as target, open(file.locate(), "rb") as source:
                shutil.copyfileobj(source, target)
    return path
