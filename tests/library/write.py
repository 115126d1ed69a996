"""Measure the installed transformers release, and write its row of the doctor's table.

python -m tests.library.write
"""

import json

import torch
import transformers
from packaging.version import Version
from transformers.utils import logging

from gemma_mtp_edu.checkup import RELEASES
from tests.library.parts import PARTS, holds


def main() -> None:
    """Run every part, and rewrite the file."""
    logging.set_verbosity_error()
    release = transformers.__version__
    rows = json.loads(RELEASES.read_text(encoding="utf-8"))
    measured = f"python -m tests.library.write, torch {torch.__version__}"
    rows[release] = {"measured": measured, "parts": {name: holds(name) for name in PARTS}}
    ordered = {name: rows[name] for name in sorted(rows, key=Version)}
    RELEASES.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    print(f"{release}: {rows[release]['parts']}")


if __name__ == "__main__":
    main()
