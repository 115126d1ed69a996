"""Measure the bundled pair on held-out prompts: is it right, what is accepted, what is saved.

    python -m tools.pocket.evaluate [--folder FOLDER] [--prompts 100] [--timed 8] [--card]

Prints a table of quality (batched plain decoding) and a table of acceptance and time (one prompt at
a time, plain and assisted in turns), both greedy and in fp32 on the CPU. With `--card` the model
card of the bundled pair gets them.
"""

import argparse
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pandas as pd
import torch
import transformers

from gemma_mtp_edu import ModelPair, load_pair, reference_generate
from gemma_mtp_edu.models.registry import POCKET
from tools.document import part, write_parts
from tools.pocket import card
from tools.pocket.corpus import WORKLOADS
from tools.pocket.example import Example, draw

MAX_NEW_TOKENS = 320
BATCH = 25


def held_out(name: str, count: int) -> list[Example]:
    """Return `count` held-out examples of a workload, always the same ones."""
    rng = Random(f"evaluate-{name}")
    return [draw(WORKLOADS[name], rng, "held_out") for _ in range(count)]


@torch.no_grad()
def answers(pair: ModelPair, examples: list[Example]) -> Iterator[tuple[Example, str, bool]]:
    """Yield each example with its greedy answer and whether that ended by itself, in batches."""
    for start in range(0, len(examples), BATCH):
        chunk = examples[start : start + BATCH]
        ids = [pair.encode(example.prompt)[0].tolist() for example in chunk]
        inputs = pair.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        output = pair.target.generate(
            **inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, pad_token_id=0
        )
        for example, ids in zip(chunk, output[:, inputs["input_ids"].shape[1] :], strict=True):
            ended = any(end in ids for end in pair.target.generation_config.eos_token_id)
            yield example, pair.decode(ids), ended


def quality(pair: ModelPair, count: int, failures: Path | None) -> pd.DataFrame:
    """Return the share of answers that meet each demand, per workload."""
    rows, wrong = {}, []
    for name, workload in WORKLOADS.items():
        marks = defaultdict(list)
        for example, text, ended in answers(pair, held_out(name, count)):
            grades = {"ends": ended, **workload.grade(example, text)}
            for demand, met in grades.items():
                marks[demand].append(met)
            if not all(grades.values()):
                wrong.append(
                    f"== {name} {grades}\n{example.prompt}\n-- got\n{text}\n"
                    f"-- want\n{example.answer}\n"
                )
        rows[name] = {demand: sum(met) / len(met) for demand, met in marks.items()}
        print(name, rows[name], flush=True)
    if failures is not None:
        failures.write_text("\n".join(wrong), encoding="utf-8")
    return pd.DataFrame.from_dict(rows, orient="index")


def speed(pair: ModelPair, count: int, gamma: int) -> pd.DataFrame:
    """Return acceptance, tokens per round and the time ratio, per workload."""
    generate = partial(reference_generate, pair, max_new_tokens=MAX_NEW_TOKENS)
    generate("warm up", assisted=True, max_new_tokens=16)
    rows = {}
    for name in WORKLOADS:
        plain_seconds = assisted_seconds = 0.0
        same, accepted, drafted, tokens, rounds = [], 0, 0, 0, 0
        for example in held_out(name, count):
            plain = generate(example.prompt, assisted=False)
            assisted = generate(example.prompt, gamma=gamma)
            plain_seconds += plain.seconds * len(assisted.token_ids) / len(plain.token_ids)
            assisted_seconds += assisted.seconds
            same.append(plain.token_ids == assisted.token_ids)
            accepted += assisted.n_accepted
            drafted += assisted.drafter_passes
            tokens += len(assisted.token_ids)
            rounds += len(assisted.draft_rounds)
        rows[name] = {
            "identical": sum(same) / len(same),
            "acceptance": accepted / max(1, drafted),
            "tokens_per_round": (tokens - count) / max(1, rounds),
            "speedup": plain_seconds / assisted_seconds,
            "tokens": tokens / count,
        }
        print(name, rows[name], flush=True)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    print(f"mean speedup {statistics.mean(frame['speedup']):.2f}")
    return frame


def conditions(pair: ModelPair, args: argparse.Namespace) -> dict[str, str]:
    """Return all that the measured numbers depend on."""
    return {
        "machine": machine(),
        "threads": str(torch.get_num_threads()),
        "dtype": str(pair.target.dtype).removeprefix("torch."),
        "decoding": "greedy",
        "held-out prompts a workload": f"{args.prompts} for quality, {args.timed} for time",
        "drafts per round": str(args.gamma),
        "tokens an answer": f"at most {MAX_NEW_TOKENS}",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def machine() -> str:
    """Return the processor and the number of its cores that are there."""
    return f"{_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    """Print both tables, and write them into the model card where that is wanted."""
    args = _parser().parse_args()
    if args.card:
        if not (args.prompts and args.timed and args.folder == POCKET):
            raise SystemExit("--card needs both tables of the bundled pair: no --folder, no zeros")
        part(card.CARD.read_text(encoding="utf-8"), "measured")  # fails now, not after an hour
    pair = load_pair(args.folder, device="cpu", dtype="float32")
    if args.prompts:
        marks = quality(pair, args.prompts, args.failures)
        print(marks.round(3).to_string())
    if args.timed:
        times = speed(pair, args.timed, args.gamma)
        print(times.round(3).to_string())
    if args.card:
        measured = card.measured(marks, times, conditions(pair, args))
        write_parts(card.CARD, card.parts() | {"measured": measured})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=POCKET, help="a pair's folder, or pocket")
    parser.add_argument("--prompts", type=int, default=100, help="prompts a workload for quality")
    parser.add_argument("--timed", type=int, default=8, help="prompts a workload for acceptance")
    parser.add_argument("--gamma", type=int, default=4)
    parser.add_argument("--failures", type=Path, help="write the wrong answers to this file")
    parser.add_argument("--card", action="store_true", help="write the tables into the model card")
    return parser


if __name__ == "__main__":
    main()
