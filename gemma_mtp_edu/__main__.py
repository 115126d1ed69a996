"""The command line: `python -m gemma_mtp_edu demo | bench | doctor`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gemma_mtp_edu import __version__
from gemma_mtp_edu.language import readable, speaking, tr
from gemma_mtp_edu.safety import without_tokens


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; errors that a user can mend go to stderr."""
    # Even where no language can be had: the doctor says why.
    with speaking(readable()):
        args = _parser().parse_args(arguments)
    if args.command == "doctor":
        return _doctor(args)
    from gemma_mtp_edu.releases import UnsupportedReleaseError, check_transformers

    try:
        # First of all: some releases fail while they are loaded.
        check_transformers()
    except UnsupportedReleaseError as error:
        print(tr("error: {error}", error=error), file=sys.stderr)
        return 2
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    # torch takes seconds to load, so `--help` must not import it.
    from gemma_mtp_edu import demo
    from gemma_mtp_edu.bundled import DamagedPairError
    from gemma_mtp_edu.releases import UnsupportedReleaseError

    try:
        if args.command == "bench":
            _bench(args)
        else:
            demo.run(args.prompt, args.pair, gamma=args.gamma, max_new_tokens=args.max_new_tokens)
    except (
        OSError, DamagedPairError, UnsupportedReleaseError, MemoryError, ArithmeticError, ValueError
    ) as error:  # fmt: skip
        print(tr("error: {error}", error=without_tokens(str(error))), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(tr("interrupted"), file=sys.stderr)
        return 130
    return 0


def _doctor(args: argparse.Namespace) -> int:
    """Print the report; exit code 1 where the course cannot run."""
    from gemma_mtp_edu.examination import doctor
    from gemma_mtp_edu.findings import can_print

    ascii_only = not can_print("✓✗•")
    # A terminal without signs has no Japanese either; JSON writes all of it in ASCII.
    with speaking("en" if ascii_only and not args.json else None):
        report = doctor(seconds=args.seconds)
    print(report.to_json() if args.json else report.to_text(ascii_only=ascii_only))
    return report.exit_code


def _bench(args: argparse.Namespace) -> None:
    from gemma_mtp_edu import bench
    from gemma_mtp_edu.pairs import load_pair
    from gemma_mtp_edu.result_lines import check_writable, write_text

    for path in (args.out, args.report):
        if path is not None:
            check_writable(path)
    if args.prompts is None:
        plan = bench.QUICK if args.quick else bench.Plan(gammas=tuple(args.gammas))
        bench.run(load_pair(args.pair), plan, args.out)
        return
    if args.out is None:
        raise ValueError(
            tr("got --prompts without --out, need the file to write, as --out r.jsonl")
        )
    from gemma_mtp_edu import scale
    from gemma_mtp_edu.prompt_file import read_prompts

    prompts = read_prompts(args.prompts)
    plan = bench.Plan((4,) if args.quick else tuple(args.gammas), 1 if args.quick else args.repeats)
    plan = replace(plan, max_new_tokens=args.max_new_tokens)
    sweep = scale.Sweep(plan, tuple(args.contexts))
    pair = load_pair(args.pair, args.drafter, device=scale.process_device())
    results = scale.run(pair, prompts, sweep, args.out)
    if results is not None:
        from gemma_mtp_edu.scale_report import report_page

        page = args.report or args.out.with_suffix(".html")
        write_text(page, report_page(results))
        print(
            tr(
                "{count} results in {file}, report in {page}",
                count=len(results),
                file=args.out,
                page=page,
            )
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gemma_mtp_edu",
        description=tr("The command line: `python -m gemma_mtp_edu demo | bench | doctor`."),
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help=tr("run assisted generation and show every round"))
    demo.add_argument("--prompt", required=True, help=tr("what to ask the model"))
    demo.add_argument("--pair", default="pocket", help=tr("pocket, E2B, a hub id or a folder"))
    demo.add_argument("--gamma", type=int, help=tr("drafts per round"))
    demo.add_argument("--max-new-tokens", type=int, default=256, help=tr("tokens to write at most"))
    measure = commands.add_parser("bench", help=tr("time plain and assisted decoding side by side"))
    measure.add_argument("--pair", default="pocket", help=tr("pocket, E2B, a hub id or a folder"))
    measure.add_argument(
        "--quick", action="store_true", help=tr("one prompt each, four drafts, once")
    )
    measure.add_argument(
        "--gammas",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8, 12],
        help=tr("draft lengths to measure"),
    )
    measure.add_argument("--out", type=Path, help=tr("write all numbers to this JSON file"))
    files = measure.add_argument_group(
        tr("a file of prompts"),
        tr(
            "measured one by one, alone or under torchrun; the same command goes on after "
            "a kill. --out then names a file of JSON lines"
        ),
    )
    files.add_argument("--prompts", type=Path, help=tr("one prompt, or JSON with one, to a line"))
    files.add_argument("--drafter", help=tr("hub id or folder of another drafter"))
    files.add_argument("--report", type=Path, help=tr("HTML page; by default beside --out"))
    files.add_argument("--repeats", type=int, default=3, help=tr("timed turns of each method"))
    files.add_argument("--max-new-tokens", type=int, default=48, help=tr("tokens to write at most"))
    files.add_argument(
        "--contexts", type=int, nargs="*", default=[64, 256, 1024],
        help=tr("context lengths at which costs and memory are measured"),
    )  # fmt: skip
    look = commands.add_parser(
        "doctor", help=tr("say what works here, and what to do about the rest")
    )
    look.add_argument("--json", action="store_true", help=tr("print the report as JSON"))
    look.add_argument("--seconds", type=float, default=20.0, help=tr("time for the examination"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
