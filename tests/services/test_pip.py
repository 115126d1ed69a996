"""What pip would do to a learner's packages; it only plans (`--dry-run`), for torch is gigabytes.

What is there is a stub: pip reads a package's name and version, never its content.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from gemma_mtp_edu import lesson
from gemma_mtp_edu.models.compatibility import REQUIREMENT
from tests.cases import cases
from tests.services import service
from tests.unit.test_project import PROJECT
from tools import fresh_environment
from tools.fresh_environment import Environment
from tools.lessons import ROOT

KEPT = {"numpy": "2.5.0", "ipywidgets": "9.0.0"}
WAYS = {"the package": ["-e", "."], "requirements.txt": ["-r", "requirements.txt"], "setup": None}


def planned(environment: Environment, arguments: list[str]) -> dict[str, str]:
    """Return what pip would install, by name."""
    report = environment.folder / "report.json"
    environment.pip(*arguments, "--dry-run", "--report", str(report), folder=ROOT)
    found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in found}


@pytest.mark.fresh
@pytest.mark.parametrize("way", WAYS)
@cases
def test_what_a_learner_has_stays(
    torch: str | None, transformers: str | None, way: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    environment = fresh_environment.make(tmp_path / "learner", [])
    all_of_it = {**KEPT, "torch": torch, "transformers": transformers}
    have = {name: version for name, version in all_of_it.items() if version}
    for name, version in have.items():
        service.add_stub(environment, name, version)
    plan: dict[str, str] = {}

    def run(command: list[str], **options: object) -> SimpleNamespace:
        plan.update(planned(environment, command[command.index("--constraint") :]))
        return SimpleNamespace(returncode=0)

    if arguments := WAYS[way]:
        plan = planned(environment, arguments)
    else:
        monkeypatch.setattr(lesson, "installed", lambda: have)
        monkeypatch.setattr(lesson, "subprocess", SimpleNamespace(run=run))
        lesson.bring([Requirement(line) for line in PROJECT["dependencies"]], "here")
    assert KEPT.keys().isdisjoint(plan)
    assert ("torch" in plan) == (torch is None)
    assert ("transformers" in plan) == (transformers != "5.24.0")
    newest = plan.get("transformers", "5.24.0")
    assert Requirement(REQUIREMENT).specifier.contains(newest)
    assert "accelerate" in plan
