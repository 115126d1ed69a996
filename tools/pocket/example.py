"""One instruction-and-answer pair, and the rule that keeps held-out prompts out of training.

This file does not write any text: each workload in `tools.pocket.workloads` does, from the tables
of words and phrases in `tools/pocket/data`.
"""

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol

Split = Literal["train", "held_out"]
HELD_OUT_ONE_IN = 20


@dataclass(frozen=True, slots=True)
class Example:
    """An instruction, its one right answer, and what a grader needs to judge another answer."""

    workload: str
    prompt: str
    answer: str
    spec: dict[str, Any] = field(default_factory=dict)


class Workload(Protocol):
    """What every workload module offers."""

    NAME: str

    def sample(self, rng: Random) -> Example:
        """Draw one example; every choice comes from `rng`."""
        ...

    def grade(self, example: Example, text: str) -> dict[str, bool]:
        """Judge a generated answer: a name for each demand, and whether `text` meets it."""
        ...


def is_the_answer(example: Example, text: str) -> dict[str, bool]:
    """Grade an answer where only one is right."""
    return {"right": text.strip() == example.answer}


def split_of(prompt: str) -> Split:
    """Return the split that a prompt belongs to, decided by its text alone.

    A prompt is held out when the sha256 of its case-folded words divides by `HELD_OUT_ONE_IN`, so
    the same prompt can never stand in both splits, whatever the seed.
    """
    words = " ".join(prompt.casefold().split())
    digest = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")
    return "held_out" if digest % HELD_OUT_ONE_IN == 0 else "train"


def draw(workload: Workload, rng: Random, split: Split) -> Example:
    """Draw examples until one belongs to `split`, both as it was drawn and as it was typed."""
    from tools.pocket.typed import typed

    while True:
        example = workload.sample(rng)
        prompt = typed(rng, example)
        splits = {split_of(example.prompt), split_of(prompt.prompt)}
        if splits == {split} and not is_kept_out(prompt.prompt):
            return prompt


def is_kept_out(prompt: str) -> bool:
    """Return whether a prompt stands in the lists that nothing is trained on."""
    return _bare(prompt) in _kept_out()


def _bare(prompt: str) -> str:
    return re.sub(r"\W+", " ", prompt.casefold()).strip() or prompt


@cache
def _kept_out() -> frozenset[str]:
    lists = (Path(__file__).parents[2] / "tests" / "prompts").glob("*.jsonl")
    lines = [line for path in lists for line in path.read_text(encoding="utf-8").splitlines()]
    return frozenset(_bare(json.loads(line)["prompt"]) for line in lines)


def table(name: str) -> dict[str, Any]:
    """Return a table of words and phrases of `tools/pocket/data`."""
    path = Path(__file__).parent / "data" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
