"""The command bench: every case in a process of its own, one row after the other, as a table, JSON and a page."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ml_core.bench.case import Case, Row, failure
from ml_core.bench.finding import choose_cases, find_cases
from ml_core.bench.ledger import Ledger, row_of
from ml_core.bench.table import as_text
from ml_core.errors import UserError

DONE, CASE_FAILED = 0, 1
LIMITS = "ml_core.bench.limits:measure"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


def add_command(commands: Any) -> None:
    """Add it to the shell's parser."""
    bench = commands.add_parser("bench", help="measure speed and memory beside public peers and the machine's limits")
    bench.add_argument("names", nargs="*", metavar="NAME", help="a case, or how several begin (hgt); default: all")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, after each case")
    bench.add_argument("--page", type=Path, metavar="FILE", help="write the table and its figures into this page")
    bench.add_argument("--quick", action="store_true", help="small sizes, one round: does everything work here?")
    bench.add_argument("--list", action="store_true", help="name the cases and measure nothing")
    bench.set_defaults(command=bench_cases)


def bench_cases(options: argparse.Namespace) -> int:
    """Measure the cases that are named, print each row as it comes; 1 where one could not be measured.

    With names, the rows of other cases that stand in the JSON file stay; without, the file begins anew. `--page` shows
    all that stand there. Without a case to measure (`--list`) nothing is written.
    """
    chosen = choose_cases(options.names, find_cases())
    if options.list:
        for case in chosen:
            print(f"{case.name:20} {case.title}")
        return DONE
    if options.page and options.quick:
        raise UserError("--page shows what was measured in full; leave --quick out.")
    kept = Ledger.read(options.json) if options.names and options.json and options.json.is_file() else None
    ledger = Ledger(options.json) if kept is None or kept.quick != options.quick else kept
    ledger.quick = options.quick
    ledger.machine = run_aside(LIMITS, {}, quick=options.quick)
    failed = False
    for case in (bar := tqdm(chosen, unit="case", disable=None, file=sys.stderr)):
        bar.set_description(case.name)
        started = time.perf_counter()
        rows = measure(case, quick=options.quick)
        ledger.add(case.name, rows, seconds=time.perf_counter() - started)
        for row in rows:
            with tqdm.external_write_mode():
                print(as_text(row), flush=True)
        failed |= any(row.failed for row in rows)
    ledger.write()
    if options.page:
        from ml_core.bench.page import render

        render(options.page, ledger)
        print(f"page: {options.page}")
    return CASE_FAILED if failed else DONE


def measure(case: Case, *, quick: bool) -> list[Row]:
    """The case's rows; one that says why where its process failed. Quick ones are not judged."""
    try:
        rows = [row_of(found) for found in run_aside(case.run, case.options, quick=quick)]
    except CaseFailed as error:
        return [failure(case.name, str(error))]
    changed: dict[str, Any] = {"case": case.name} | ({"reach": None} if quick else {})
    return [replace(row, **changed) for row in rows]


class CaseFailed(RuntimeError):
    """What a case's process said when it ended with an error."""


def run_aside(function: str, options: Mapping[str, Any], *, quick: bool) -> Any:
    """What "module:function" returns in a process of its own, on one thread."""
    with tempfile.TemporaryDirectory(prefix="bioassets-bench-") as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, "-m", "ml_core.bench.work", function, str(out), json.dumps(dict(options))]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(_paths()), "TMPDIR": folder}
        result = subprocess.run(  # noqa: S603 - our own module
            [*command, *(["--quick"] if quick else [])],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0 or not out.is_file():
            raise CaseFailed(_last_line(result.stderr) or f"its process ended with status {result.returncode}")
        found = json.loads(out.read_text())
        if "failed" in found:
            raise CaseFailed(found["failed"])
        return found


def _paths() -> Sequence[str]:
    """Where this process finds ml_core, first; then what was asked for."""
    src = str(Path(__file__).resolve().parents[2])
    return [src, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != src)]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
