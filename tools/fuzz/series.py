"""Run a series of cases in blocks, each on disk before the next begins, and sum it up."""

import hashlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers

from tools.fuzz.cases import draw_case, features
from tools.fuzz.distributions import uniform_p_value
from tools.fuzz.run import run_case

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 100
# Uneven numbers of a sound sampler come up less often than this once in ten thousand series.
SUSPICIOUS = 1e-4
Block = dict[str, Any]


def run_block(seed: int, first: int, size: int) -> Block:
    """Run some cases in a row and count what they gave."""
    block: Block = {
        "seed": seed, "first": first, "cases": size, "code": code_digest(),
        "features": Counter(), "seen": Counter(), "places": [], "uniforms": [], "failures": [],
    }  # fmt: skip
    start = time.process_time()
    for number in range(first, first + size):
        case = draw_case(seed, number)
        outcome = run_case(case)
        block["features"].update(features(case))
        block["seen"].update(outcome.seen)
        block["places"] += outcome.places
        block["uniforms"] += outcome.uniforms
        if outcome.failure:
            block["failures"].append({"number": number, "what": outcome.failure, "case": str(case)})
    block["cpu_seconds"] = time.process_time() - start
    return block


def run_series(seed: int, cases: int, store: Path | None) -> Iterator[Block]:
    """Yield the blocks of a series; those that the same code has run before come from `store`."""
    known = {block["first"]: block for block in stored(store, seed) if block["cases"] == BLOCK}
    for first in range(0, cases, BLOCK):
        size = min(BLOCK, cases - first)
        block = known.get(first) if size == BLOCK else None
        if block is None:
            block = run_block(seed, first, size)
            if store is not None:
                store.parent.mkdir(parents=True, exist_ok=True)
                with store.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(block) + "\n")
        yield block


def stored(store: Path | None, seed: int) -> list[Block]:
    """Return the whole blocks of this seed and this code; a line that was cut off is no block."""
    if store is None or not store.exists():
        return []
    blocks = []
    for line in store.read_text(encoding="utf-8").splitlines():
        try:
            block = json.loads(line)
        except json.JSONDecodeError:
            continue
        if (block["seed"], block["code"]) == (seed, code_digest()):
            blocks.append(block)
    return blocks


def summary(seed: int, blocks: list[Block]) -> dict[str, Any]:
    """Return the record of a series."""
    places = [place for block in blocks for place in block["places"]]
    uniforms = [number for block in blocks for number in block["uniforms"]]
    counts = {
        name: dict(sorted(sum((Counter(block[name]) for block in blocks), Counter()).items()))
        for name in ("features", "seen")
    }
    return {
        "seed": seed,
        "cases": sum(block["cases"] for block in blocks),
        "failures": [failure for block in blocks for failure in block["failures"]],
        **counts,
        "sampled tokens": {"number": len(places), "p-value": uniform_p_value(places)},
        "accept draws": {"number": len(uniforms), "p-value": uniform_p_value(uniforms)},
        "cpu_seconds": round(sum(block["cpu_seconds"] for block in blocks)),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "code": code_digest(),
        "commit": commit(),
    }


def is_sound(record: dict[str, Any]) -> bool:
    """Return whether every case held and what was drawn follows its distribution."""
    p_values = [record[name]["p-value"] for name in ("sampled tokens", "accept draws")]
    return not record["failures"] and all(p is None or p > SUSPICIOUS for p in p_values)


@cache
def code_digest() -> str:
    """Return a sum over the code that a case runs: after a change, old blocks do not count."""
    files = [*(ROOT / "gemma_mtp_edu").rglob("*.py"), *(ROOT / "tools/fuzz").glob("*.py")]
    total = hashlib.sha256()
    for path in sorted([*files, ROOT / "tests/model/tiny.py"]):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def commit() -> str:
    """Return the checkout's commit, or an empty string where there is no git."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
