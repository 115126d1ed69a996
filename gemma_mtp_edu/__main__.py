"""The command line: `python -m gemma_mtp_edu demo | bench`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gemma_mtp_edu import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; errors that a user can mend go to stderr."""
    args = _parser().parse_args(arguments)
    # torch takes seconds to load, so `--help` must not import it.
    from gemma_mtp_edu import bench, demo
    from gemma_mtp_edu.bundled import DamagedPairError
    from gemma_mtp_edu.pairs import PairNotFoundError, load_pair
    from gemma_mtp_edu.releases import UnsupportedReleaseError

    try:
        if args.command == "bench":
            plan = bench.QUICK if args.quick else bench.Plan(gammas=tuple(args.gammas))
            bench.run(load_pair(args.pair), plan, args.out)
        else:
            demo.run(args.prompt, args.pair, gamma=args.gamma, max_new_tokens=args.max_new_tokens)
    except (PairNotFoundError, DamagedPairError, UnsupportedReleaseError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gemma_mtp_edu", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run assisted generation and show every round")
    demo.add_argument("--prompt", required=True, help="what to ask the model")
    demo.add_argument("--pair", default="pocket", help="pocket, E2B, a hub id or a folder")
    demo.add_argument("--gamma", type=int, help="drafts per round")
    demo.add_argument("--max-new-tokens", type=int, default=256, help="tokens to write at most")
    measure = commands.add_parser("bench", help="time plain and assisted decoding side by side")
    measure.add_argument("--pair", default="pocket", help="pocket, E2B, a hub id or a folder")
    measure.add_argument("--quick", action="store_true", help="one prompt each, four drafts, once")
    measure.add_argument(
        "--gammas", type=int, nargs="+", default=[1, 2, 4, 8, 12], help="draft lengths"
    )
    measure.add_argument("--out", type=Path, help="write all numbers to this JSON file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
