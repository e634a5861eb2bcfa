"""The command predict: ask a trained family a question; its options are the fields of the family's own settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.families import find_families, get_family
from ml_core.promotion import champion_of
from ml_core.stages import Family, Prediction, failed_checks
from ml_core.summary import Number, Summary

DONE = 0
CHAMPION, CURRENT = "champion", "current"
Rows = list[dict[str, Number]]


def add_command(commands: Any, data: argparse.ArgumentParser) -> None:
    """Add it to the shell's parser. `data` carries the option --data."""
    predicting = commands.add_parser(
        "predict", help="ask a trained model", epilog="python -m ml_core predict FAMILY --help shows its options"
    )
    predicting.add_argument("family")
    predicting.add_argument("question", nargs=argparse.REMAINDER, metavar="...", help="the family's own options")
    predicting.set_defaults(command=lambda options: predict(options, data))


def predict(options: argparse.Namespace, data: argparse.ArgumentParser) -> int:
    """Print the answer; with --csv write its first table too."""
    family = get_family(options.family)
    if family.predict is None:
        able = ", ".join(name for name, other in find_families().items() if other.predict) or "none"
        raise UserError(f"{family.name}: takes no questions from the shell; those that do: {able}.")
    asked = _parser(family, family.predict, data).parse_args(options.question)
    fields = family.predict.settings.model_fields
    values = {name: value for name in fields if (value := getattr(asked, name)) is not None}
    settings = family.predict.settings.parse(values, where=f"predict {family.name}")
    store = Store(asked.data)
    artifacts = artifacts_of(family, answering(family, family.predict.stage, store, wanted=asked.artifact), store)
    answer: Summary = family.resolve(family.predict.run)(settings, artifacts)
    print(answer.headline)
    for title, rows in answer.tables.items():
        if rows:
            print(f"\n{title}\n{as_text(rows)}")
    if asked.csv is not None:
        _write(asked.csv, next(iter(answer.tables.values()), []))
    return DONE


def answering(family: Family, stage: str, store: Store, *, wanted: str) -> Artifact:
    """The artifact of `stage` that answers.

    wanted: champion (the newest where no report was made champion yet), current, or a fingerprint of the stage. Where
    the champion answers and is not the newest, a line on stderr says so.
    """
    newest = store.current(family.name, stage)
    if newest is None:
        raise UserError(
            f"{family.name}: stage '{stage}' has no artifact below {store.data}; run it first: "
            f"python -m ml_core run {family.name} --until {stage}."
        )
    best = champion_of(family, store)
    if wanted == CURRENT or (wanted == CHAMPION and best is None):
        return newest
    if wanted != CHAMPION or best is None:
        found = store.find(family.name, stage, wanted)
        if found is None:
            there = ", ".join(artifact.fingerprint for artifact in store.all(family.name, stage))
            raise UserError(f"--artifact {wanted}: expected {CHAMPION}, {CURRENT} or one of {stage}'s {there}.")
        return found
    behind = {name: artifact for (name, _), artifact in store.ancestors(best).items() if artifact}
    if stage not in behind:
        raise UserError(
            f"{family.name}: the artifact of {stage} behind the champion {best.fingerprint} is gone; take the newest "
            f"by --artifact {CURRENT}, or run the family again."
        )
    if behind[stage].fingerprint != newest.fingerprint:
        print(
            f"note: the champion's {stage} {behind[stage].fingerprint} answers, not the newest {newest.fingerprint} "
            f"(--artifact {CURRENT}); python -m ml_core champion {family.name} says why",
            file=sys.stderr,
        )
    return behind[stage]


def artifacts_of(family: Family, artifact: Artifact, store: Store) -> dict[str, Artifact]:
    """An artifact and all that it was made from, whatever became current since; by stage."""
    stage = artifact.manifest["stage"]
    found: dict[str, Artifact] = {}
    for (name, fingerprint), made in store.ancestors(artifact).items():
        if made is None:
            raise UserError(
                f"{store.stage_directory(family.name, name)}: artifact {fingerprint}, from which the {stage} that was "
                f"asked was made, is gone; run python -m ml_core run {family.name} --until {stage} again."
            )
        found.setdefault(name, made)
    for name, made in found.items():
        failed = failed_checks(family[name], made)
        if failed:
            raise UserError(f"{family.name} {name}: {failed[0]}")
    return found


def as_text(rows: Rows) -> str:
    """A table in columns; numbers to the right."""
    from ml_core.report import cell

    columns = list(rows[0])
    cells = [columns, *([cell(row[name]) for name in columns] for row in rows)]
    width = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [isinstance(rows[0][name], int | float) for name in columns]
    lines = [
        "  ".join(
            text.rjust(size) if to_the_right else text.ljust(size)
            for text, size, to_the_right in zip(line, width, right, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def _parser(family: Family, prediction: Prediction, data: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m ml_core predict {family.name}", description=prediction.description, parents=[data]
    )
    for name, field in prediction.settings.model_fields.items():
        shown = "" if field.is_required() or field.default is None else f" ({field.default})"
        text = f"{field.description}{shown}".replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=name.upper(), help=text)
    parser.add_argument(
        "--artifact",
        default=CHAMPION,
        metavar="WHICH",
        help=f"who answers: {CHAMPION}, {CURRENT} (the newest), or a fingerprint ({CHAMPION})",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the answer as a table, all digits")
    return parser


def _write(path: Path, rows: Rows) -> None:
    import pandas as pd

    try:
        pd.DataFrame(rows).to_csv(path, index=False)
    except OSError as error:
        raise UserError(f"--csv {path}: cannot be written ({error.strerror}); give another path.") from error
    print(f"\n{path}: {len(rows)} rows")
