"""Training, validation and test samples by group, folds alike in the target, and the proof that no group is in two."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.sequence.data import SPLITS, GroupSplits, SampleTable, load_table, save_splits
from ml_core.families.sequence.settings import SplitsSettings
from ml_core.families.sequence.splits_figure import draw_splits
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

TRAIN, VALIDATION, TEST, EXTRA = range(len(SPLITS))


def build(run: StageRun) -> Summary:
    """Deal groups into folds, one of them the test set, and count the groups that two splits share."""
    settings: SplitsSettings = run.settings
    table = load_table(run.inputs["table"].directory)
    splits = split(table, settings=settings)
    save_splits(run.directory, splits)
    values = table.column(settings.stratify_by, setting="splits.stratify_by") if settings.stratify_by else None
    draw_splits(run.directory / "figures" / "splits.png", splits=splits, values=values)
    return _summary(splits, values=values, settings=settings)


def split(table: SampleTable, *, settings: SplitsSettings) -> GroupSplits:
    """The split of each sample; samples of extra tables are in `extra`.

    With one seed the folds 0, 1, ... are disjoint and together all groups, so that each is tested once.
    """
    group = groups_of(table, column=settings.group_column)
    main = table.main
    names, of_sample = np.unique(group[main].astype(str), return_inverse=True)
    if len(names) < settings.folds + 1:
        raise UserError(
            f"splits: column '{settings.group_column}' has {len(names)} groups among {len(main)} samples, expected at "
            f"least {settings.folds + 1} for {settings.folds} folds and a validation set; lower splits.folds, or name "
            "another splits.group_column."
        )
    sizes = np.bincount(of_sample)
    stratum = _strata(table, of_sample=of_sample, column=settings.stratify_by)
    fold = _folds(sizes, stratum=stratum, settings=settings)
    part_of_group = np.full(len(names), TRAIN, np.uint8)
    part_of_group[fold == settings.fold] = TEST
    rest = np.flatnonzero(fold != settings.fold)
    part_of_group[rest[_validation(sizes[rest], stratum=stratum[rest], settings=settings)]] = VALIDATION
    part = np.full(len(table), EXTRA, np.uint8)
    part[main] = part_of_group[of_sample]
    return GroupSplits(part, group, fold=settings.fold, folds=settings.folds, seed=settings.seed)


def groups_of(table: SampleTable, *, column: str | None) -> np.ndarray:
    """[n] str objects, "" in extra tables; without a column each sample is a group of its own."""
    group = np.full(len(table), "", object)
    if column is None:
        group[table.main] = table.sample_ids[table.main]
        return group
    values = table.column(column, setting="splits.group_column").iloc[table.main]
    if values.isna().any():
        sample = table.sample_ids[table.main][values.isna().to_numpy()][0]
        raise UserError(
            f"splits: {int(values.isna().sum())} samples have no value in column '{column}' ('{sample}' for one), "
            "expected the group of each; complete the metadata, or name another splits.group_column."
        )
    group[table.main] = [_written(value) for value in values]
    return group


def _written(value: float | str) -> str:
    """A whole number without its decimal point, all digits kept."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def shared_groups(splits: GroupSplits) -> int:
    """Groups with samples in more than one split."""
    rows = pd.DataFrame({"part": splits.part, "group": splits.group})[splits.part != EXTRA]
    return int((rows.groupby("group")["part"].nunique() > 1).sum())


def _strata(table: SampleTable, *, of_sample: np.ndarray, column: str | None) -> np.ndarray:
    """[groups] float64 to sort groups by: the mean of a number, or the most frequent value's place; NaN: not known."""
    count = int(of_sample.max()) + 1
    if column is None:
        return np.zeros(count)
    values = table.column(column, setting="splits.stratify_by").iloc[table.main].reset_index(drop=True)
    if values.dtype == object:
        codes, _ = pd.factorize(values, sort=True)
        values = pd.Series(np.where(codes < 0, np.nan, codes))
        found = values.groupby(of_sample).agg(lambda each: each.mode().min())
    else:
        found = values.groupby(of_sample).mean()
    return found.reindex(range(count)).to_numpy(np.float64)


def _folds(sizes: np.ndarray, *, stratum: np.ndarray, settings: SplitsSettings) -> np.ndarray:
    """[groups] int64: groups alike in stratum are dealt out one to each fold; the deal most even in samples counts."""
    rng = np.random.default_rng(settings.seed)
    deals = []
    for _ in range(settings.draws):
        fold = np.empty(len(sizes), np.int64)
        order = np.lexsort((rng.random(len(sizes)), stratum))
        for start in range(0, len(order), settings.folds):
            alike = order[start : start + settings.folds]
            fold[alike] = rng.permutation(settings.folds)[: len(alike)]
        deals.append(fold)
    return min(deals, key=lambda fold: float(np.bincount(fold, sizes, settings.folds).std()))


def _validation(sizes: np.ndarray, *, stratum: np.ndarray, settings: SplitsSettings) -> np.ndarray:
    """Indices of groups: one of each run of groups alike in stratum; the draw nearest to the wanted share counts."""
    rng = np.random.default_rng([settings.seed, settings.fold])
    count = int(np.clip(round(settings.validation * len(sizes)), 1, len(sizes) - 1))
    draws = []
    for _ in range(settings.draws):
        order = np.lexsort((rng.random(len(sizes)), stratum))
        draws.append(np.array([rng.choice(run) for run in np.array_split(order, count)]))
    return min(draws, key=lambda chosen: abs(float(sizes[chosen].sum() / sizes.sum()) - settings.validation))


def _summary(splits: GroupSplits, *, values: pd.Series | None, settings: SplitsSettings) -> Summary:
    rows: list[dict[str, Number]] = []
    for name in SPLITS:
        mine = splits.samples_in(name)
        row: dict[str, Number] = {
            "split": name,
            "samples": len(mine),
            "groups": len(set(splits.group[mine]) - {""}),
        }
        if values is not None and values.dtype != object:
            row[f"mean {settings.stratify_by}"] = float(values.iloc[mine].mean())
        rows.append(row)
    shared = shared_groups(splits)
    summary = Summary(
        headline=f"Fold {settings.fold + 1} of {settings.folds}: "
        + ", ".join(f"{row['split']} {row['samples']:,} samples of {row['groups']} groups" for row in rows[:EXTRA])
        + (f", {rows[EXTRA]['samples']:,} extra samples" if rows[EXTRA]["samples"] else "")
        + ".",
        numbers={
            "split.shared_groups": shared,
            **{f"split.{row['split']}_samples": row["samples"] for row in rows},
            **{f"split.{row['split']}_groups": row["groups"] for row in rows[:EXTRA]},
        },
        tables={"Splits": rows},
        figures={"Samples of each split": "figures/splits.png"},
    )
    summary.check("no_shared_group", shared == 0, f"{shared} groups have samples in more than one split")
    summary.check(
        "all_splits_filled",
        all(row["samples"] for row in rows[:EXTRA]),
        ", ".join(f"{row['split']} has {row['samples']:,} samples" for row in rows[:EXTRA]),
    )
    return summary
