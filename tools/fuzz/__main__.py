"""Compare generated cases with plain decoding: `python -m tools.fuzz --cases 400 --seed 1`."""

import argparse
import json
import sys
from pathlib import Path

import torch

from tools.fuzz.cases import draw_case
from tools.fuzz.run import run_case
from tools.fuzz.series import ROOT, is_sound, run_series, summary


def main() -> int:
    """Run a series, print its record, and return 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=400, help="how many cases")
    parser.add_argument("--seed", type=int, default=1, help="which series")
    parser.add_argument("--only", type=int, help="run this case alone and print it")
    parser.add_argument("--out", type=Path, help="write the record to this JSON file")
    args = parser.parse_args()
    torch.set_num_threads(1)  # models this small are slower on more
    if args.only is not None:
        case = draw_case(args.seed, args.only)
        failure = run_case(case).failure
        print(case, failure or "holds", sep="\n")
        return int(bool(failure))
    blocks = []
    for block in run_series(args.seed, args.cases, ROOT / f"build/fuzz/{args.seed}.jsonl"):
        blocks.append(block)
        for failure in block["failures"]:
            print(f"case {failure['number']}: {failure['what']}\n  {failure['case']}")
        print(f"{block['first'] + block['cases']} of {args.cases}", file=sys.stderr, flush=True)
    record = summary(args.seed, blocks)
    text = json.dumps(record, indent=1) + "\n"
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    print(text)
    return int(not is_sound(record))


if __name__ == "__main__":
    sys.exit(main())
