"""The command seeds: train with several seeds, and on several folds, and give each figure's mean with its interval."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from typing import Any

import yaml

from ml_core.errors import UserError
from ml_core.families import get_family
from ml_core.presets import Values, read_preset, with_overrides
from ml_core.seed_runs import Planned, run_all
from ml_core.stages import Family
from ml_core.summary import Number

DONE, CHECK_FAILED = 0, 1
CONFIDENCE = 0.95
Row = dict[str, Number]


def add_command(commands: Any, data: argparse.ArgumentParser, settings: argparse.ArgumentParser) -> None:
    """Add it to the shell's parser. `data` and `settings` carry the options that it shares with `run`."""
    seeding = commands.add_parser(
        "seeds", parents=[data, settings], help="train with several seeds; mean and interval of each figure"
    )
    seeding.add_argument("family")
    seeding.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="(%(default)s)")
    seeding.add_argument(
        "--across",
        metavar="STAGE.FIELD=[VALUE, ...]",
        help="do so for each of these values (splits.fold=[0, 1, 2]); the interval is then that of their means",
    )
    seeding.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes, each a run at a time (%(default)s)"
    )
    seeding.add_argument("--name", help="name of the files in DATA/seeds (default: the config's)")
    seeding.set_defaults(command=train_seeds)


def train_seeds(options: argparse.Namespace) -> int:
    """Run every stage once for each seed of the stages that train, and for each value of `--across`.

    The data stay the same, and so does the test set, unless `--across` is what chooses it. A stage whose seed the
    config names keeps it, and is trained once for all seeds. Writes DATA/seeds/NAME.json with all figures and NAME.md
    with the family's key metrics, and prints the latter.
    """
    family = get_family(options.family)
    if len(set(options.seeds)) < 2:
        raise UserError("--seeds: one seed gives no interval, expected at least 2 different ones.")
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}, expected 1 or more.")
    given = with_overrides(read_preset(options.config, family) if options.config else {}, options.set, family)
    stages = stages_to_seed(family, given)
    varied = _varied(options.across)
    planned = [  # seed by seed, so that neighbours differ in what `--across` varies, and train different things
        Planned(
            name=" ".join([*override, f"seed {seed}"]),
            family=family.name,
            data=options.data,
            config=options.config,
            overrides=(*options.set, *override, *(f"{stage}.seed={seed}" for stage in stages)),
        )
        for seed in options.seeds
        for override in varied
    ]
    finished = run_all(planned, jobs=options.jobs)
    numbers = [each.report.summary.numbers for each in finished]
    groups = [numbers[first :: len(varied)] for first in range(len(varied))]
    rows = figures(groups)
    name = options.name or (options.config.stem if options.config else family.name)
    folder = options.data / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    where = {run.name: str(each.report.directory) for run, each in zip(planned, finished, strict=True)}
    (folder / f"{name}.json").write_text(json.dumps({"reports": where, "figures": rows}, indent=1) + "\n")
    known = {str(row["figure"]): row for row in rows if set(str(row["values"])) - set("-, ")}
    shown = [known[metric] for metric in family.shown_metrics(known)]
    text = f"## {name}\n\n{as_markdown(shown)}"
    (folder / f"{name}.md").write_text(text)
    print(f"\n{text}\nall figures: {folder / name}.json")
    return CHECK_FAILED if any(each.failed for each in finished) else DONE


def stages_to_seed(family: Family, given: Values) -> list[str]:
    """Names of the stages that train and whose seed is not among the field values that are given."""
    return [stage.name for stage in family.stages if stage.trains and "seed" not in given.get(stage.name, {})]


def figures(groups: list[list[dict[str, Number]]]) -> list[Row]:
    """One row for each figure of the first run: its values, their mean and the interval of the mean (Student's t).

    The runs of one group differ by their seed alone. Of several groups the values are their means, for seeds on one
    test set are no trials of others; of a single group they are its runs.
    """
    rows: list[Row] = []
    for name in groups[0][0]:
        of_groups = [[run.get(name) for run in group] for group in groups]
        counted = all(_is_number(value) for group in of_groups for value in group)
        if counted:
            means = [statistics.fmean(group) for group in of_groups]  # type: ignore[arg-type]
            values = of_groups[0] if len(groups) == 1 else means
        else:
            values = [value for group in of_groups for value in group]
        row: Row = {"figure": name, "values": ", ".join(_text(value) for value in values)}
        if counted:
            known = [float(value) for value in values]  # type: ignore[arg-type]
            half = _quantile(len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
            mean = statistics.fmean(known)
            row |= {"mean": mean, "low": mean - half, "high": mean + half}
        rows.append(row)
    return rows


def as_markdown(rows: list[Row]) -> str:
    lines = [f"| figure | mean | {CONFIDENCE:.0%} interval | each |", "|---|---|---|---|"]
    for row in rows:
        interval = f"{_text(row['low'])} to {_text(row['high'])}" if "mean" in row else ""
        lines.append(f"| {row['figure']} | {_text(row.get('mean', ''))} | {interval} | {row['values']} |")
    return "\n".join(lines) + "\n"


def _varied(across: str | None) -> list[list[str]]:
    """The overrides of each group of runs: none of a single group."""
    if across is None:
        return [[]]
    target, equals, text = across.partition("=")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not equals or not isinstance(values, list) or len(values) < 2:
        raise UserError(f"--across {across}: expected STAGE.FIELD=[VALUE, ...] with two values at least.")
    return [[f"{target}={json.dumps(value)}"] for value in values]


def _is_number(value: Number) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quantile(freedom: int) -> float:
    from scipy import stats  # type: ignore[import-untyped]

    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))


def _text(value: Number) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
