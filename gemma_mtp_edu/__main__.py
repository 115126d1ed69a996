"""The command line: `python -m gemma_mtp_edu demo | doctor | bench | lab`."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from gemma_mtp_edu import __version__
from gemma_mtp_edu.lessons.language import current, marked, readable, speaking, tr
from gemma_mtp_edu.models.files import without_tokens

try:
    import typer
    from typer.main import get_command
except ImportError:  # then the doctor alone runs, and says what is absent
    from gemma_mtp_edu import doctor as checkup

    report = checkup()
    print(report.to_json() if "--json" in sys.argv else report)
    sys.exit(report.exit_code)

# What a user can mend, and gets in one line; by name, because torch and jinja2 take seconds to
# import. Anything else is a fault of ours and keeps its traceback.
_MENDABLE = {"OSError", "ValueError", "ArithmeticError", "MemoryError", "ImportError",
             "OutOfMemoryError", "TemplateError", "ClickException"}  # fmt: skip


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.replace(",", " ").split()))


_Pair = Annotated[str, typer.Option(help="pocket, E2B, a hub id or a folder")]
_Limit = Annotated[int, typer.Option(help="tokens to write at most")]
_Numbers = Annotated[Any, typer.Option(parser=_numbers, metavar="N ...", help="such as 1 2 4")]
app = typer.Typer(add_completion=False, help=f"{__doc__} Or `--version`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; errors that a user can mend go to stderr."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # closed, as by `>&-`
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:  # `--gammas 1 2` too, though typer's options take one value
        given = re.sub(r"(?<=\d)\0(?=\d+(\0|$))", ",", "\0".join(given)).split("\0")
    if given == ["--version"]:
        print(__version__)
        return 0
    try:
        current()
    except ValueError as error:
        print(f"warning: {error}; this is in English", file=sys.stderr)
    try:
        context = get_command(app).make_context("python -m gemma_mtp_edu", given)
        with speaking(readable()), context:
            code = int(context.command.invoke(context) or 0)
        sys.stdout.flush()
    except typer.Exit as left:  # of --help
        code = left.exit_code
    except BrokenPipeError:  # the reader has gone, as `| head` does
        code = 141
    except Exception as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        if not names & _MENDABLE:
            raise
        told = getattr(error, "format_message", error.__str__)()
        if "OutOfMemoryError" in names:
            told = f"the device is out of memory ({told}): take a smaller pair or fewer tokens"
        print(f"error: {without_tokens(told)}", file=sys.stderr)
        code = 2
    try:
        sys.stdout.flush()
    except OSError:  # it cannot be written, and Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


@app.command()
def demo(
    prompt: Annotated[str, typer.Option(help="what to ask the model")],
    pair: _Pair = "pocket",
    gamma: Annotated[int | None, typer.Option(help="drafts per round")] = None,
    max_new_tokens: _Limit = 256,
) -> None:
    """Generate with drafts, show every round, and what they save against plain generation."""
    from tqdm import tqdm

    from gemma_mtp_edu import load_pair, reference_generate
    from gemma_mtp_edu.show.views import text_view

    models, runs = load_pair(pair), []
    # The first two runs only warm up. A terminal gets a bar once they take more than two seconds.
    turns = [(limit, assisted) for limit in (8, max_new_tokens) for assisted in (False, True)]
    for limit, assisted in tqdm(turns, unit="run", delay=2, leave=False, disable=None):
        settings = {"gamma": gamma, "max_new_tokens": limit}
        runs.append(reference_generate(models, prompt, assisted=assisted, **settings))
    plain, run = runs[2:]
    one, other = (trace.seconds / len(trace.token_ids) for trace in (plain, run))
    n = run.provenance["threads"]
    cores = tr("{n} thread" if n == "1" else "{n} threads", n=n)
    told = {"run": run, "plain": plain, "ratio": one / other, "cores": cores}
    told |= {**run.provenance, "saved": plain.target_passes - run.target_passes}
    print(f"{tr('prompt')}: {prompt}\n\n{run.text}\n\n{text_view(run)}")
    if pair == "pocket" and 'Try "' in run.text:  # so end all answers that it cannot do something
        kinds = marked(
            "Six kinds of prompts work: JSON records; Python functions; sums and counting; texts "
            "to copy or change; lists and stories; questions about speculative decoding."
        )
        print(f"pocket: {tr(kinds)}")
    passes = tr("{run.target_passes} instead of {plain.target_passes} ({saved} saved)", **told)
    time = tr(
        "{run.seconds:.2f} s instead of {plain.seconds:.2f} s, {ratio:.2f}x ({pair} pair, {dtype}, "
        "{device}, {cores}, transformers {transformers})",
        **told,
    )
    same = plain.token_ids == run.token_ids
    text = tr("identical to plain generation" if same else "DIFFERENT to plain generation")
    print(f"{tr('target passes')}: {passes}\n{tr('time')}: {time}\n{tr('text')}: {text}")


@app.command()
def bench(
    pair: _Pair = "pocket",
    gammas: _Numbers = None,
    quick: Annotated[bool, typer.Option("--quick", help="one prompt, length and turn")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write; with prompts lines")] = None,
    prompts: Annotated[Path | None, typer.Option(help="file with one prompt to a line")] = None,
    drafter: Annotated[str | None, typer.Option(help="hub id or folder of another one")] = None,
    repeats: Annotated[int, typer.Option(help="timed turns of each method")] = 3,
    max_new_tokens: _Limit = 48,
    contexts: _Numbers = None,
) -> None:
    """Time plain and assisted decoding, ours and the library's.

    A file of --prompts is measured prompt by prompt, with costs at --contexts, alone or under
    torchrun; the same command goes on after a kill.
    """
    from gemma_mtp_edu import load_pair
    from gemma_mtp_edu.measure import bench, results
    from gemma_mtp_edu.models.registry import PROMPTS
    from gemma_mtp_edu.show import report as reports

    lengths = gammas or ((4,) if quick else (1, 2, 4, 8, 12))
    plan = bench.Plan(lengths, 1 if quick else repeats, max_new_tokens)
    if prompts is None:
        if contexts is not None:
            raise typer.BadParameter("--contexts needs --prompts, a file with prompts")
        if out:
            results.check_writable(out, bench.SCHEMA)
        some = {name: texts[:1] if quick else texts for name, texts in PROMPTS.items()}
        questions = [text for texts in PROMPTS.values() for text in texts]
        models = load_pair(pair, drafter, device=bench.process_device())
        if record := bench.bench(models, some, plan, questions=questions):
            print(reports.bench_text(record))
            if out:
                results.write_text(out, json.dumps(record, indent=1))
        return
    if out is None:
        raise typer.BadParameter("--prompts needs --out, the file to write, as --out r.jsonl")
    if prompts.resolve() == out.resolve():
        raise typer.BadParameter("--prompts and --out need a file each")
    read, places = bench.read_prompts(prompts), (64, 256, 1024) if contexts is None else contexts
    models = load_pair(pair, drafter, device=bench.process_device())
    found = bench.run(models, read, plan, contexts=places, out=out)
    if found is not None:  # else another process writes them
        rows = [{"context": "file", **row} for row in bench.rows_of(found)]
        print(reports.bench_text({"conditions": found[0]["conditions"], "rows": rows}))
        print(f"{len(found)} results in {out}")


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> int:
    """Say what works here, and what to do about the rest; exit code 1 where something does not."""
    from gemma_mtp_edu.checkup import doctor

    report = doctor()
    print(report.to_json() if as_json else report)
    return report.exit_code


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> int:
    """Open JupyterLab at the first lesson; options are handed on to it."""
    folder = Path(__file__).parents[1] / "notebooks" / ("ja" if current() == "ja" else "")
    lesson = folder / "00_first_run.ipynb"
    if not lesson.is_file():
        raise FileNotFoundError(f"no lessons at {folder}: run this in a clone of the course")
    command = [sys.executable, "-m", "jupyterlab", *context.args, str(lesson)]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal may lack the signs
            stream.reconfigure(errors="backslashreplace")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # A library that is being loaded may swallow KeyboardInterrupt; the doctor takes sys.stderr.
        signal.signal(signal.SIGINT, lambda *_: os.write(2, b"interrupted\n") and os._exit(130))
    sys.exit(main())
