"""Put each fault into a copy of the package and see whether a test finds it: `make mutation`."""

import argparse
import sys
from pathlib import Path

from tools.mutation import store
from tools.mutation.faults import FAULTS, ROOT, Fault, StaleFaultError, mutated, read_faults
from tools.mutation.runner import PRELOADED, Run, copied, preload, run_fault, run_tests
from tools.mutation.table import TABLE, page


def main() -> int:
    """Run the faults, print a line for each, and return 1 unless all of them are caught."""
    args = _arguments()
    faults = [f for f in read_faults(args.faults) if _wanted(f, args.words)]
    try:
        for fault in faults:
            mutated(fault, args.root)
    except StaleFaultError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = args.root / "build/mutation.jsonl"
    known = {} if args.afresh else store.read(path)
    results = [(fault, known.get(store.key(fault, args.root))) for fault in faults]
    missing = [fault for fault, run in results if run is None or run.verdict != "caught"]
    if missing:
        preload(args.preload)
        with copied(args.root) as copy:
            if not _baseline(missing, copy):
                return 2
            runs = {fault: _report(fault, run_fault(fault, copy), path, args.root)
                    for fault in missing}  # fmt: skip
        results = [(fault, runs.get(fault, run)) for fault, run in results]
    done = [(fault, run) for fault, run in results if run is not None]
    if (args.faults, args.root) == (FAULTS, ROOT) and not args.words:
        TABLE.write_text(page(done), encoding="utf-8")
    caught = sum(run.verdict == "caught" for _, run in done)
    print(f"{caught} of {len(faults)} faults caught")
    return int(caught < len(faults))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose file or text has such a word")
    parser.add_argument("--faults", type=Path, default=FAULTS, help="the list")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout that is copied")
    parser.add_argument("--preload", nargs="*", default=PRELOADED, help="libraries to import once")
    parser.add_argument(
        "--afresh",
        action="store_true",
        help="also those that were caught with the same file and tests",
    )
    return parser.parse_args()


def _wanted(fault: Fault, words: list[str]) -> bool:
    return not words or any(word in f"{fault.file} {fault.old} {fault.why}" for word in words)


def _baseline(faults: list[Fault], copy: Path) -> bool:
    """Return whether all the tests pass without a fault; a test that always fails finds nothing."""
    for arguments in dict.fromkeys(fault.tests for fault in faults):
        run = run_tests(arguments, copy)
        if run.verdict != "missed":
            print(f"error: without any fault, {' '.join(arguments)} fails:\n{run.by}")
            return False
    return True


def _report(fault: Fault, run: Run, path: Path, root: Path) -> Run:
    store.write(path, store.key(fault, root), run)
    print(f"{run.verdict:7} {run.seconds:5.1f} s  {fault.file}: {fault.old.strip()}", flush=True)
    if run.verdict == "broken":
        print(run.by)
    return run


if __name__ == "__main__":
    sys.exit(main())
