"""Binder's environment, built by hand from the files in `binder/` as repo2docker builds it.

One line is not taken as it stands: the index of PyTorch's CPU builds is left out where pip is told
of such a build by other means (PIP_FIND_LINKS). The release that is asked for stays the same.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import service
from tests.services.live_kernel import LiveKernel
from tools import fresh_environment
from tools.fresh_environment import Environment
from tools.lessons import ROOT

REQUIREMENTS = ROOT / "binder" / "requirements.txt"
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("binder")
    fresh_environment.snapshot(folder)
    requirements = folder / "binder" / "requirements.txt"
    text = requirements.read_text(encoding="utf-8")
    assert CPU_INDEX in text
    if "PIP_FIND_LINKS" in os.environ:
        requirements.write_text(text.replace(CPU_INDEX, ""), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def image(checkout: Path) -> Iterator[Environment]:
    """Do as repo2docker does: runtime.txt's Python, a JupyterLab, requirements.txt, postBuild."""
    release = (checkout / "binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    python = shutil.which(release.replace("-", ""))
    assert python, f"binder/runtime.txt asks for {release}: install it, or put it on PATH"
    environment = Environment(ROOT / "build" / "fresh" / "binder")
    if environment.folder.exists():
        shutil.rmtree(environment.folder)
    subprocess.run([python, "-m", "venv", str(environment.folder)], check=True)
    environment.pip("jupyterlab>=4.4,<5")
    environment.pip("-r", "binder/requirements.txt", folder=checkout)
    path = f"{environment.python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "binder/postBuild"], cwd=checkout, env=environment.variables({"PATH": path}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1, 2, 3, 4, 5" in done.stdout
    yield environment
    shutil.rmtree(environment.folder)  # a gigabyte


@pytest.mark.binder
def test_a_lesson_runs_in_the_image_and_nothing_is_installed(image: Environment) -> None:
    before = image.files_of("torch") | image.files_of("transformers")
    (torch,) = re.findall(r"^torch==(\S+)$", REQUIREMENTS.read_text("utf-8"), re.MULTILINE)
    with LiveKernel(image, {"BINDER_REPO_URL": "x", "PIP_NO_INDEX": "1"}) as kernel:
        reply = kernel.run(service.the_setup_cell("file:///no/such/place"))
        assert reply.error == ""
        assert " on Binder, CPU, " in reply.text
        assert f"torch {torch}, " in reply.text
        kernel.run_all(service.cells_after_setup("00_first_run"))
    assert image.files_of("torch") | image.files_of("transformers") == before
