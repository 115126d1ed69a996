"""Look at the pinned packages: are the pins exact, and is anything known against them?

The first question is answered anywhere. The second one needs a database of vulnerabilities, which
pip-audit asks over the network. A package that it could not ask about is not called sound: offline
pip-audit itself says "no known vulnerabilities" although it has looked at nothing.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
SOUND, HARMED, UNKNOWN = 0, 1, 3


def pin_problems(text: str) -> list[str]:
    r"""Return what is wrong with a file of pins: each line must name one exact release.

    >>> pin_problems("numpy==2.4.6\nscipy>=1")
    ['scipy>=1: need one exact release, as in name==1.2.3']
    """
    lines = [line.split(" #")[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    problems = [f"{line}: {problem}" for line in lines if (problem := _problem(line))]
    names = Counter(canonicalize_name(line.split("==")[0]) for line in lines)
    return problems + [f"{name}: pinned {n} times" for name, n in names.items() if n > 1]


def _problem(line: str) -> str | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return "not a requirement; files, addresses and options are no pins"
    clauses = list(requirement.specifier)
    if [clause.operator for clause in clauses] != ["=="] or clauses[0].version.endswith("*"):
        return "need one exact release, as in name==1.2.3"
    if requirement.url or requirement.marker or requirement.extras:
        return "need name==version alone, without address, marker or extras"
    try:
        version = Version(clauses[0].version)
    except InvalidVersion:
        return "not a version"
    if version.is_prerelease or version.local:
        return "need a final release of the package index, neither a trial nor a local one"
    return None


def findings(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return pip-audit's findings, and the packages that it could not ask about."""
    harmed, unknown = [], []
    for package in report["dependencies"]:
        if "skip_reason" in package:
            unknown.append(package["name"])
        for found in package.get("vulns", []):
            fixed = ", ".join(found.get("fix_versions", [])) or "no release yet"
            where = f"{package['name']} {package['version']}"
            harmed.append(f"{where}: {found['id']}, fixed in {fixed}")
    return harmed, unknown


def ask(program: Path, pins: Path = PINS) -> dict[str, Any] | None:
    """Return pip-audit's report on the pins; None where it cannot be run."""
    command = [program, "--requirement", pins, "--no-deps", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        report: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return report


def main(program: Path) -> int:
    """Print what was found and return 0 (sound), 1 (harmed) or 3 (nobody could be asked)."""
    problems = pin_problems(PINS.read_text(encoding="utf-8"))
    print(*problems, sep="\n", end="\n" if problems else "")
    if problems:
        return HARMED
    report = ask(program)
    if report is None:
        print("All pins are exact. NOT CHECKED for known vulnerabilities: pip-audit did not run.")
        return UNKNOWN
    harmed, unknown = findings(report)
    print(*harmed, sep="\n", end="\n" if harmed else "")
    total = len(report["dependencies"])
    print(f"All pins are exact. Asked about {total - len(unknown)} of {total} packages, ", end="")
    print(f"{len(harmed)} known vulnerabilities.")
    if harmed:
        return HARMED
    if unknown:
        print(f"NOT CHECKED: {', '.join(unknown)}. The database cannot be reached from here.")
    return UNKNOWN if unknown else SOUND


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
