"""The shell's door: python -m ml_core COMMAND, see `COMMANDS`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_core import champion, seeds
from ml_core.artifacts import Artifact, Store
from ml_core.bench.command import add_command as add_bench
from ml_core.compare import compare_runs, compared_runs, score_of
from ml_core.errors import UserError
from ml_core.families import find_families, get_family
from ml_core.finders import add_commands
from ml_core.launch.company import follow, in_company, leading
from ml_core.launch.rank import own_rank, work
from ml_core.predict import add_command
from ml_core.presets import check_preset, choose_settings
from ml_core.promotion import consider
from ml_core.running import run_stage
from ml_core.stages import Stage, failed_checks
from ml_core.training.interrupt import Interrupted

COMMANDS = "list | run | seeds | champion | predict | find-lr | find-batch-size | compare | validate | bench"
DONE, CHECK_FAILED, USER_ERROR, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 a blocking check failed, 2 the user must mend something, 130 interrupted."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        return int(options.command(options))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt as error:
        print(f"interrupted{f': {error}' if str(error) else ''}", file=sys.stderr)
        return INTERRUPTED


def list_families(options: argparse.Namespace) -> int:
    store = Store(options.data)
    for family in find_families().values():
        print(f"{family.name}: {family.title}\n  {family.description}")
        for stage in family.stages:
            current = store.current(family.name, stage.name)
            there = f"{current.fingerprint} of {current.manifest['created'][:16]}" if current else "-"
            print(f"  {stage.name:12} {there:36} {stage.description}")
    return DONE


def run(options: argparse.Namespace) -> int:
    """Run stages; started by torchrun, rank 0 runs them and the other ranks take part where a model is trained."""
    if not in_company():
        return _run_stages(options)
    if own_rank() > 0:
        follow()
        return DONE
    with leading():
        return _run_stages(options)


def take_part_in(options: argparse.Namespace) -> int:
    """What `ml_core.launch` has torchrun start on each rank: `python -m ml_core work SPEC`. Not meant for people."""
    work(options.spec)
    return DONE


def _run_stages(options: argparse.Namespace) -> int:
    family = get_family(options.family)
    stages = [family[options.stage]] if options.stage else family.needed_for(options.until or family.stages[-1].name)
    settings = choose_settings(family, stages, config=options.config, overrides=options.set)
    store = Store(options.data)
    made: dict[str, Artifact] = {}
    for stage in stages:
        outcome = run_stage(family, stage, settings=settings[stage.name], store=store, inputs=made, force=options.force)
        made[stage.name] = outcome.artifact
        if not _print_outcome(stage, outcome.artifact, cached=outcome.cached):
            return CHECK_FAILED
    last = made[stages[-1].name]
    if stages[-1] is family.stages[-1] and (decision := consider(family, last, store)):
        print(f"champion: {decision.reason}")
    report = last.directory / "report.html"
    if report.is_file():
        print(f"report: {report}")
    return DONE


def compare(options: argparse.Namespace) -> int:
    family = get_family(options.family)
    rows = compare_runs(family, Store(options.data))
    if not rows:
        raise UserError(
            f"{family.name}: no report below {options.data}; make one: python -m ml_core run {family.name}."
        )
    if options.json:
        print(json.dumps(rows, indent=2))
        return DONE
    import pandas as pd

    print(pd.DataFrame(rows).set_index("report").T.to_string(na_rep="-"))
    runs = compared_runs(family, Store(options.data))
    if score := score_of(family, runs):
        from ml_core.compare_figure import draw_runs

        path = options.data / "compare" / f"{family.name}.png"
        draw_runs(path, runs=runs, score=score)
        print(f"figure: {path}")
    return DONE


def validate(options: argparse.Namespace) -> int:
    for path in options.files:
        print(f"{path}: {check_preset(path, find_families())} stages configured, all fields known")
    return DONE


def default_data_directory() -> Path:
    """BIOASSETS_DATA, else `data` in the checkout that this file lies in, else ./data where there is no checkout."""
    if os.environ.get("BIOASSETS_DATA"):
        return Path(os.environ["BIOASSETS_DATA"])
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / "data"


def _print_outcome(stage: Stage, artifact: Artifact, *, cached: bool) -> bool:
    """Print what came of a stage; False when a blocking check failed."""
    how = "cached" if cached else f"{artifact.manifest['seconds']:.1f} s"
    print(f"{stage.name:12} {how:>9}  {artifact.directory}")
    if artifact.summary.headline:
        print(f"{'':24}{artifact.summary.headline}")
    declared = {check.name: check for check in stage.checks}
    for result in artifact.summary.checks:
        if not result.passed:
            check = declared[result.name]
            word = "FAILED" if check.blocking else "warning"
            print(f"{'':24}{word} {result.name}: {result.message} {check.meaning} {check.remedy}")
    return not failed_checks(stage, artifact)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml_core", description="bioassets from the shell.")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", type=Path, default=default_data_directory(), metavar="DIR", help="data directory (%(default)s)"
    )
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML in Dagster's run-config shape, see configs/"
    )
    settings.add_argument(
        "--set", action="append", default=[], metavar="STAGE.FIELD=VALUE", help="override one field; repeatable"
    )
    commands = parser.add_subparsers(required=True, metavar=COMMANDS)

    listing = commands.add_parser("list", parents=[data], help="families, stages and their newest artifacts")
    listing.set_defaults(command=list_families)

    running = commands.add_parser(
        "run", parents=[data, settings], help="run a family's stages; unchanged work is not redone"
    )
    running.add_argument("family")
    which = running.add_mutually_exclusive_group()
    which.add_argument("--until", metavar="STAGE", help="this stage and all upstream of it (default: the last)")
    which.add_argument("--stage", metavar="STAGE", help="this stage alone, on the current artifacts upstream")
    running.add_argument("--force", action="store_true", help="run although nothing has changed")
    running.set_defaults(command=run)

    seeds.add_command(commands, data, settings)
    champion.add_command(commands, data)
    add_command(commands, data)
    add_commands(commands, data, settings)

    comparing = commands.add_parser(
        "compare", parents=[data], help="reports side by side with the settings that differ"
    )
    comparing.add_argument("family")
    comparing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    comparing.set_defaults(command=compare)

    validating = commands.add_parser("validate", help="check config files against every stage's settings")
    validating.add_argument("files", nargs="+", type=Path)
    validating.set_defaults(command=validate)

    add_bench(commands)

    working = commands.add_parser("work")
    working.add_argument("spec", type=Path)
    working.set_defaults(command=take_part_in)
    return parser


if __name__ == "__main__":
    sys.exit(main())
