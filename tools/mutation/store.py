"""Results on disk, so that a run that was cut off goes on, and only what changed is run again."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from tools.mutation.faults import Fault, mutated
from tools.mutation.runner import Run


def key(fault: Fault, root: Path) -> str:
    """Return a sum over the faulty file and the tests that should find the fault."""
    total = hashlib.sha256(mutated(fault, root).encode())
    for argument in fault.tests:
        total.update(argument.encode())
        path = root / argument
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()[:24]


def read(path: Path) -> dict[str, Run]:
    """Return the results by key; a line that was cut off is none."""
    results: dict[str, Run] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        name = record.pop("key")
        results[name] = Run(**record)
    return results


def write(path: Path, name: str, run: Run) -> None:
    """Add a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"key": name, **asdict(run)}) + "\n")
