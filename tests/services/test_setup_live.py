"""The setup cell in real environments, from a learner's first click to a working lesson.

The short form needs no network: it is packed from what is installed here. The long ones (`fresh`,
run by `make test-colab`) install each service's own releases.
"""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

import gemma_mtp_edu
from gemma_mtp_edu.lessons.setup import KEPT
from tests.services import service
from tests.services.live_kernel import LiveKernel, Reply
from tests.services.service import Service
from tools import fresh_environment
from tools.fresh_environment import Environment
from tools.lessons import ROOT

STAY = (*KEPT, "matplotlib", "pillow")
FOLDER = ROOT / "build" / "fresh"
GENERATE = """
from gemma_mtp_edu import load_pair, speculative_generate
print(speculative_generate(load_pair(), "Count from 3 to 12.", max_new_tokens=40).text)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fresh_environment.snapshot(tmp_path_factory.mktemp("repository"))


def touched(environment: Environment, before: dict[str, dict[str, tuple[int, int]]]) -> list[str]:
    """Return the packages of which pip removed or replaced a file."""
    return [name for name, files in before.items() if environment.files_of(name) != files]


def sentence_of(reply: Reply) -> str:
    """Return the one sentence that a stopped cell shows, and nothing besides it but pip's note."""
    assert re.fullmatch(r"(Note: you may need to restart .*\n)?", reply.text)
    (sentence,) = reply.traceback
    assert reply.error == f"NotReadyError: {sentence}"
    assert "\n" not in sentence
    return sentence


def assert_ready(reply: Reply, place: str) -> None:
    assert reply.error == ""
    *_, first, second = reply.text.splitlines()
    assert first.startswith(f"gemma_mtp_edu {gemma_mtp_edu.__version__} on {place}, ")
    assert f"transformers {version('transformers')}" in second


@pytest.fixture
def offline(tmp_path: Path) -> tuple[Environment, dict[str, str]]:
    """Give all that the course needs but for transformers, of which a wrong release is there."""
    names = fresh_environment.closure([*service.BARE, "gemma-mtp-edu"])
    environment = fresh_environment.make(
        FOLDER / "offline", [*names, "hatchling"], without=["transformers", "gemma-mtp-edu"]
    )
    service.add_stub(environment, "transformers", "5.23.0")
    service.wheel_of("transformers", tmp_path)
    # pip reads the isolation's variable the other way round: 0 is "no isolation".
    return environment, {
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_COMPILE": "1",
        "PIP_FIND_LINKS": str(tmp_path),
    }


@pytest.mark.slow
def test_a_learner_who_imported_too_early_restarts_once(
    offline: tuple[Environment, dict[str, str]], repository: str
) -> None:
    environment, variables = offline
    cell = service.the_setup_cell(repository)
    before = {name: environment.files_of(name) for name in (*STAY, "pandas", "accelerate")}
    with LiveKernel(environment, variables) as kernel:
        away = kernel.run(service.the_setup_cell("file:///no/such/place"))
        assert re.search(r"fatal: .*repository", away.text)
        assert away.error == "ModuleNotFoundError: No module named 'gemma_mtp_edu'"
        assert "switch the internet on" in "".join(away.traceback)
        kernel.run("import transformers")
        assert sentence_of(kernel.run(cell)) == (
            f"transformers 5.23.0 was imported before {version('transformers')} was installed: "
            "restart the runtime (Kernel > Restart Kernel) and run this cell again"
        )
        kernel.restart()
        assert_ready(kernel.run(cell), "local")
        assert "3, 4, 5, 6" in kernel.run(GENERATE).text
    assert touched(environment, before) == []


# Moves every control of both widgets and prints what each of them shows as HTML; a picture's bytes
# are matplotlib's, its text is not.
WIDGETS = Path(__file__).with_name("widgets_cell.py.txt").read_text(encoding="utf-8")


@pytest.fixture(params=[service.COLAB, service.KAGGLE, service.VS_CODE], ids=lambda s: s.name)
def served(request: pytest.FixtureRequest) -> tuple[Service, Environment]:
    """Give a service, and an environment with its packages."""
    environment = fresh_environment.make(FOLDER / request.param.name.lower(), service.BARE)
    request.param.furnish(environment)
    return request.param, environment


@pytest.mark.fresh
def test_a_lesson_works_on_a_service(
    served: tuple[Service, Environment], repository: str, capsys: pytest.CaptureFixture[str]
) -> None:
    what, environment = served
    cell = service.the_setup_cell(repository)
    stay = ({*STAY} | what.releases.keys()) - {*what.replaced}
    before = {name: environment.files_of(name) for name in stay}
    with LiveKernel(environment, what.variables) as kernel:
        for name in what.loaded:
            assert kernel.run(f"import {name}").error == ""
        if what.loaded:
            sentence = sentence_of(kernel.run(cell))
            (name,) = what.loaded
            found = f"{name} {what.releases[name]} was imported before "
            assert sentence.startswith(found + environment.version(name))
            assert sentence.endswith(") and run this cell again")
            kernel.restart()
        assert_ready(kernel.run(cell), what.name)
        kernel.run_all(service.cells_after_setup("00_first_run"))
        shown = kernel.run(WIDGETS)
    assert touched(environment, before) == []
    assert {name: environment.version(name) for name in stay & what.releases.keys()} == {
        name: what.releases[name] for name in stay & what.releases.keys()
    }
    assert shown.error == ""
    exec(WIDGETS, {})
    assert shown.text == capsys.readouterr().out
