"""The command line: `python -m gemma_mtp_edu demo | bench | doctor`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

from gemma_mtp_edu import __version__
from gemma_mtp_edu.lessons.language import catalogue, current, readable, speaking, tr
from gemma_mtp_edu.models.safety import without_tokens

GAMMAS = (1, 2, 4, 8, 12)
CONTEXTS = (64, 256, 1024)
# Options that nothing reads without a file of prompts.
_WITH_PROMPTS = ("drafter", "report", "repeats", "max_new_tokens", "contexts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; errors that a user can mend go to stderr."""
    # Even where no language can be had: the doctor says why.
    with speaking(readable()):
        args = _parser().parse_args(arguments)
    try:
        with _interrupts_told_apart():
            return _written(args)
    except KeyboardInterrupt:
        with speaking(readable()):
            print(tr("interrupted"), file=sys.stderr)
        return 130


@contextmanager
def _interrupts_told_apart() -> Iterator[None]:
    """Raise KeyboardInterrupt where there was one, whatever has become of it.

    A library that is loaded just then may turn it into an error of its own.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except BaseException as error:
        if noted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if noted:
        raise KeyboardInterrupt


def _written(args: argparse.Namespace) -> int:
    """Run a command, and say what is wrong where its output cannot be written."""
    try:
        code = _command(args)
        _flush()
    except BrokenPipeError:  # the reader has gone, as `| head` does
        _write_no_more()
        return 141
    except OSError as error:  # no room where the output goes
        if not _can_flush():
            _write_no_more()
        with speaking(readable()):
            return _failed(str(error))
    return code


def _command(args: argparse.Namespace) -> int:
    if args.command == "doctor":
        return _doctor(args)
    _say_what_language_there_is()
    with speaking(readable()):
        return _checked(args)


def _flush() -> None:
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:  # a program without a terminal may have none
            stream.flush()


def _can_flush() -> bool:
    try:
        _flush()
    except OSError:
        return False
    return True


def _write_no_more() -> None:
    """Keep Python from writing what is left at its end, which would fail again."""
    with suppress(OSError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _say_what_language_there_is() -> None:
    try:
        catalogue(current())
    except (OSError, ValueError) as error:
        print(f"{error}; going on in English", file=sys.stderr)


def _checked(args: argparse.Namespace) -> int:
    from gemma_mtp_edu.models.releases import UnsupportedReleaseError, check_transformers

    try:
        # First of all: some releases fail while they are loaded.
        check_transformers()
    except UnsupportedReleaseError as error:
        return _failed(str(error))
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    # torch takes seconds to load, so `--help` must not import it.
    from jinja2 import TemplateError
    from torch import OutOfMemoryError

    from gemma_mtp_edu import demo
    from gemma_mtp_edu.core.sharing import BusyModelError
    from gemma_mtp_edu.models.bundled import DamagedPairError
    from gemma_mtp_edu.models.releases import UnsupportedReleaseError

    try:
        if args.command == "bench":
            _bench(args)
        else:
            demo.run(args.prompt, args.pair, gamma=args.gamma, max_new_tokens=args.max_new_tokens)
    except OutOfMemoryError as error:
        return _failed(
            tr(
                "the device is out of memory ({error}): take a smaller pair or fewer tokens, or "
                "end what else uses it",
                error=error,
            )
        )
    except BrokenPipeError:  # nobody reads what is printed
        raise
    except (
        OSError, DamagedPairError, UnsupportedReleaseError, MemoryError, ArithmeticError,
        ValueError, BusyModelError, TemplateError,
    ) as error:  # fmt: skip
        return _failed(str(error))
    return 0


def _failed(problem: str) -> int:
    """Print what a user can mend, and return the exit code."""
    print(tr("error: {error}", error=without_tokens(problem)), file=sys.stderr)
    return 2


def _doctor(args: argparse.Namespace) -> int:
    """Print the report; exit code 1 where the course cannot run, or not all was checked."""
    from gemma_mtp_edu.examination import doctor
    from gemma_mtp_edu.findings import can_print

    ascii_only = not can_print("✓✗•")
    # A terminal without signs has no Japanese either; JSON writes all of it in ASCII.
    with speaking("en" if ascii_only and not args.json else None), _nothing_printed():
        report = doctor(seconds=args.seconds)
    print(report.to_json() if args.json else report.to_text(ascii_only=ascii_only))
    return report.exit_code


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Keep off the report what libraries write past Python's stdout, or to its first one."""
    _flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is none
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
        _flush()
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _bench(args: argparse.Namespace) -> None:
    from gemma_mtp_edu.measure import bench
    from gemma_mtp_edu.measure.result_lines import check_writable, write_text
    from gemma_mtp_edu.models.pairs import load_pair

    for path in (args.out, args.report):
        if path is not None:
            check_writable(path)
    gammas = tuple(args.gammas or ((4,) if args.quick else GAMMAS))
    repeats = 1 if args.quick else 3
    if args.prompts is None:
        _check_no_options_of_prompts(args)
        bench.run(load_pair(args.pair), bench.Plan(gammas, repeats), args.out)
        return
    if args.out is None:
        raise ValueError(
            tr("got --prompts without --out, need the file to write, as --out r.jsonl")
        )
    from gemma_mtp_edu.measure import scale
    from gemma_mtp_edu.measure.prompt_file import read_prompts

    page = args.report or args.out.with_suffix(".html")
    check_writable(page)
    _check_apart({"--prompts": args.prompts, "--out": args.out, "--report": page})
    prompts = read_prompts(args.prompts)
    plan = bench.Plan(
        gammas,
        repeats if args.repeats is None else args.repeats,
        bench.QUICK.max_new_tokens if args.max_new_tokens is None else args.max_new_tokens,
    )
    sweep = scale.Sweep(plan, tuple(CONTEXTS if args.contexts is None else args.contexts))
    pair = load_pair(args.pair, args.drafter, device=scale.process_device())
    results = scale.run(pair, prompts, sweep, args.out)
    if results is not None:
        from gemma_mtp_edu.measure.scale_report import report_page

        write_text(page, report_page(results))
        print(
            tr(
                "{count} results in {file}, report in {page}",
                count=len(results),
                file=args.out,
                page=page,
            )
        )


def _check_no_options_of_prompts(args: argparse.Namespace) -> None:
    given = [name for name in _WITH_PROMPTS if getattr(args, name) is not None]
    if given:
        raise ValueError(
            tr(
                "got {options} without --prompts, need a file of prompts to use them: give one as "
                "--prompts FILE, or leave them out",
                options=", ".join(f"--{name.replace('_', '-')}" for name in given),
            )
        )


def _check_apart(files: dict[str, Path]) -> None:
    """Raise where two options name one file: the later write would destroy the other's."""
    for (first, path), (second, other) in combinations(files.items(), 2):
        both = path.exists() and other.exists()
        if path.resolve() == other.resolve() or (both and path.samefile(other)):
            raise ValueError(
                tr(
                    "{first} and {second} are both {path}, need a file for each: one would "
                    "overwrite the other, so name another {second} (a report's name is that of "
                    "--out with .html unless you give one)",
                    first=first,
                    second=second,
                    path=path,
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
    files.add_argument("--repeats", type=int, help=tr("timed turns of each method"))
    files.add_argument("--max-new-tokens", type=int, help=tr("tokens to write at most"))
    files.add_argument(
        "--contexts", type=int, nargs="*",
        help=tr("context lengths at which costs and memory are measured"),
    )  # fmt: skip
    look = commands.add_parser(
        "doctor", help=tr("say what works here, and what to do about the rest")
    )
    look.add_argument("--json", action="store_true", help=tr("print the report as JSON"))
    look.add_argument("--seconds", type=_seconds, default=20.0, help=tr("time for the examination"))
    return parser


def _seconds(text: str) -> float:
    from gemma_mtp_edu.examination import checked_seconds

    try:
        return checked_seconds(float(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
