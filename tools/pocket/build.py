"""Build the bundled pair from seeds: data, tokenizer, target, drafter, package.

    python -m tools.pocket.build --out build/pocket

Every stage is skipped when it is done and resumed from its last checkpoint when it was cut off.
With `--start FOLDER` (or `--start pocket`) the last phases of both models go on from that pair.
"""

import argparse
import os
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from gemma_mtp_edu import load_pair
from gemma_mtp_edu.models.files import BUNDLED
from tools.pocket.package import package, report
from tools.pocket.target import set_generation_config
from tools.pocket.tokenizer import save_tokenizer
from tools.pocket.train_drafter import train_drafter
from tools.pocket.train_target import train_target, widen

SEED = 20261123


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer in `folder`, trained there first if it is missing."""
    if not (folder / "tokenizer.json").exists():
        save_tokenizer(folder, SEED)
    return AutoTokenizer.from_pretrained(folder)


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/pocket"))
    parser.add_argument("--start", help="a pair to go on from: a folder, or pocket")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(args.out / "target")
    start = load_pair(args.start, device="cpu", dtype="float32") if args.start else None
    if start:
        start.target.requires_grad_(True).train()
        target = widen(start.target, tokenizer, args.out)
    else:
        target = train_target(tokenizer, args.out, SEED)
    set_generation_config(target)
    target.save_pretrained(args.out / "target")
    drafter = train_drafter(target, tokenizer, args.out, SEED, start and start.drafter)
    drafter.save_pretrained(args.out / "drafter")
    package(args.out, BUNDLED)
    report(args.out, Path(__file__).parent / "training-log")


if __name__ == "__main__":
    main()
