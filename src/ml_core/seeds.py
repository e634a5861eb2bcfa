"""The command seeds: train with several seeds on the same data, and give each figure's mean with its interval."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.families import get_family
from ml_core.presets import choose_settings
from ml_core.stages import Family, failed_checks, run_stage
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
    seeding.add_argument("--name", help="name of the files in DATA/seeds (default: the config's)")
    seeding.set_defaults(command=train_seeds)


def train_seeds(options: argparse.Namespace) -> int:
    """Run every stage once for each seed of the stages that train; the data, and so the test set, stay the same.

    Writes DATA/seeds/NAME.json with all figures and NAME.md with the family's key metrics, and prints the latter.
    """
    family, store = get_family(options.family), Store(options.data)
    if len(set(options.seeds)) < 2:
        raise UserError("--seeds: one seed gives no interval, expected at least 2 different ones.")
    reports: dict[int, Artifact] = {}
    code = DONE
    for seed in options.seeds:
        reports[seed], failed = _run(family, store, seed=seed, options=options)
        code = CHECK_FAILED if failed else code
    rows = figures({seed: report.summary.numbers for seed, report in reports.items()})
    name = options.name or (options.config.stem if options.config else family.name)
    folder = options.data / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    where = {str(seed): str(report.directory) for seed, report in reports.items()}
    (folder / f"{name}.json").write_text(json.dumps({"reports": where, "figures": rows}, indent=1) + "\n")
    shown = [row for metric in family.key_metrics for row in rows if row["figure"] == metric]
    text = f"## {name}\n\n{as_markdown(shown)}"
    (folder / f"{name}.md").write_text(text)
    print(f"\n{text}\nall figures: {folder / name}.json")
    return code


def figures(numbers: dict[int, dict[str, Number]]) -> list[Row]:
    """One row for each figure: its values, their mean and the interval of the mean (Student's t)."""
    first, *others = numbers.values()
    rows: list[Row] = []
    for name in first:
        values = [each.get(name) for each in (first, *others)]
        row: Row = {"figure": name, "values": ", ".join(_text(value) for value in values)}
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            known = [float(value) for value in values if value is not None]
            half = _quantile(len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
            mean = statistics.fmean(known)
            row |= {"mean": mean, "low": mean - half, "high": mean + half}
        rows.append(row)
    return rows


def as_markdown(rows: list[Row]) -> str:
    lines = [f"| figure | mean | {CONFIDENCE:.0%} interval | by seed |", "|---|---|---|---|"]
    for row in rows:
        interval = f"{_text(row['low'])} to {_text(row['high'])}" if "mean" in row else ""
        lines.append(f"| {row['figure']} | {_text(row.get('mean', ''))} | {interval} | {row['values']} |")
    return "\n".join(lines) + "\n"


def _run(family: Family, store: Store, *, seed: int, options: argparse.Namespace) -> tuple[Artifact, list[str]]:
    """The last stage's artifact with this seed, and the sentences of its failed blocking checks."""
    seeded = [f"{stage.name}.seed={seed}" for stage in family.stages if stage.trains]
    settings = choose_settings(family, family.stages, config=options.config, overrides=[*options.set, *seeded])
    made: dict[str, Artifact] = {}
    for stage in family.stages:
        outcome = run_stage(family, stage, settings=settings[stage.name], store=store, inputs=made)
        made[stage.name] = outcome.artifact
        seconds = "cached" if outcome.cached else f"{outcome.artifact.manifest['seconds']:.1f} s"
        print(f"seed {seed} {stage.name:12} {seconds:>9}  {outcome.artifact.summary.headline}", flush=True)
    last = family.stages[-1]
    failed = failed_checks(last, made[last.name])
    for sentence in failed:
        print(f"seed {seed} {last.name}: {sentence}")
    return made[last.name], failed


def _quantile(freedom: int) -> float:
    from scipy import stats  # type: ignore[import-untyped]

    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))


def _text(value: Number) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
