"""Write the parts of the bundled pair's model card that come from code, files or measurements.

    python -m tools.pocket.card                # architecture, data, recipe
    python -m tools.pocket.evaluate --card     # these and the measured tables

Each part replaces what stood between its marks; the rest of the card is written by hand.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from textwrap import fill
from typing import Any

import pandas as pd

from gemma_mtp_edu.models.files import BUNDLED
from tools.document import table, write_parts
from tools.pocket import train_drafter
from tools.pocket.architecture import architecture
from tools.pocket.build import SEED
from tools.pocket.corpus import SHARES, TWO_TURNS, WORKLOADS
from tools.pocket.example import HELD_OUT_ONE_IN, Example, Workload, draw
from tools.pocket.example import table as texts
from tools.pocket.train_target import DEEP_PHASES, SHALLOW, WIDE_PHASES

CARD = BUNDLED / "README.md"
TEXTS = texts("card")
TRAINING_LOG = Path(__file__).parent / "training-log"
DRAWS = 5000
MAX_EXAMPLE = 400  # characters of prompt and answer


def parts() -> dict[str, str]:
    """Return the parts that need no measurement."""
    return {
        "architecture": architecture(BUNDLED),
        "data": data(),
        "examples": examples(),
        "recipe": recipe(TRAINING_LOG),
    }


def data() -> str:
    """Return a table of the workloads: share of examples, and how widely their prompts vary."""
    header = [
        "workload",
        "what it asks for",
        "share of examples",
        f"different prompts in {DRAWS:,} draws",
        "prompts there are, at least about",
    ]
    return table(header, [_workload_row(workload) for workload in SHARES])


def _workload_row(workload: Workload) -> list[str]:
    rng = Random("card")
    counts = Counter(workload.sample(rng).prompt for _ in range(DRAWS))
    summary = (workload.__doc__ or "").splitlines()[0].rstrip(".")
    estimate = f"{least_number(counts):.1g}"
    return [
        f"`{workload.NAME}`",
        summary,
        f"{SHARES[workload]:.0%}",
        f"{len(counts):,}",
        f"{int(float(estimate)):,}",
    ]


def least_number(counts: Mapping[str, int]) -> float:
    """Return Chao's lower estimate of how many kinds there are, from how often each was drawn.

    >>> least_number({"a": 1, "b": 1, "c": 2})
    3.5

    Source:
        Chao 1984, "Nonparametric estimation of the number of classes in a population"; the form
        that holds where nothing was drawn twice.
    """
    often = Counter(counts.values())
    return len(counts) + often[1] * (often[1] - 1) / (2 * (often[2] + 1))


def examples() -> str:
    """Return one real held-out prompt of each workload with its answer; long lines are broken."""
    texts = [
        f"# {name}\n{_broken(f'user: {example.prompt}')}\n{_broken(f'model: {example.answer}')}"
        for name, example in short_examples().items()
    ]
    return "```text\n" + "\n\n".join(texts) + "\n```"


def _broken(text: str) -> str:
    lines = [fill(line, 90, replace_whitespace=False) for line in text.splitlines()]
    return "\n".join(lines)


def short_examples() -> dict[str, Example]:
    """Return each workload's first held-out example that is short enough for a card."""
    found = {}
    for name, workload in WORKLOADS.items():
        rng = Random("card")
        while name not in found:
            example = draw(workload, rng, "held_out")
            if len(example.prompt) + len(example.answer) <= MAX_EXAMPLE:
                found[name] = example
    return found


def recipe(logs: Path) -> str:
    """Return the table of the training's phases; the hours are those of the log."""
    rows = [
        [
            phase.name,
            TEXTS["phases"][phase.name],
            *_schedule(phase),
            _hours(logs / f"{phase.name}.csv"),
        ]
        for phase in (SHALLOW, *DEEP_PHASES, *WIDE_PHASES, *train_drafter.RECIPES)
        if (logs / f"{phase.name}.csv").exists()  # a pair may be from before the last phases
    ]
    header = ["phase", "model", "steps", "tokens a step", "learning rate", "data seed", "hours"]
    total = sum(float(row[-1]) for row in rows)
    return (
        f"{table(header, rows)}\n\n"
        f"{total:.1f} hours in all on two CPU cores that did other work beside it. "
        f"Weights and tokenizer start from seed {SEED}. "
        f"One prompt in {HELD_OUT_ONE_IN} is held out, {TWO_TURNS:.0%} of the conversations have "
        f"two turns, and the drafter is unrolled {train_drafter.DISTIL.unroll} steps."
    )


def _schedule(phase: Any) -> list[str]:
    rate = f"{phase.learning_rate:g}, warm-up {phase.warmup} steps"
    if phase.decay_from < phase.steps:
        rate += f", falls from step {phase.decay_from:,} on"
    tokens = phase.tokens_per_batch * phase.lanes
    return [f"{phase.steps:,}", f"{tokens:,}", rate, str(phase.data_seed)]


def _hours(log: Path) -> str:
    return f"{pd.read_csv(log)['seconds'].iloc[-1] / 3600:.2f}"


def measured(quality: pd.DataFrame, speed: pd.DataFrame, conditions: Mapping[str, str]) -> str:
    """Return both measured tables and what they were measured with.

    Args:
        quality: Share of answers that meet each demand; a row for each workload.
        speed: What `tools.pocket.evaluate.speed` returns.
        conditions: Name and value of each thing that the numbers depend on.
    """
    shares = [
        [f"`{name}`", *("" if math.isnan(share) else f"{share:.0%}" for share in row)]
        for name, row in zip(quality.index, quality.to_numpy(), strict=True)
    ]
    columns = TEXTS["measured"]
    shown = [form.format for _, form in columns.values()]
    rows = [
        [f"`{name}`", *(show(value) for show, value in zip(shown, row, strict=True))]
        for name, row in zip(speed.index, speed[list(columns)].to_numpy(), strict=True)
    ]
    means = (f"{speed[name].mean():.2f}" for name in ("acceptance", "tokens_per_round", "speedup"))
    header = ["workload", *(title for title, _ in columns.values())]
    return (
        f"{', '.join(f'{name} {value}' for name, value in conditions.items())}.\n\n"
        "Share of answers that meet each demand:\n\n"
        f"{table(['workload', *quality.columns], shares)}\n\n"
        "Assisted against plain generation:\n\n"
        f"{table(header, [*rows, ['mean', '', *means, '']])}"
    )


if __name__ == "__main__":
    print("changed" if write_parts(CARD, parts()) else "as it was")
