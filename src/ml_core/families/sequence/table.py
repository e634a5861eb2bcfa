"""One table of all samples: ASVs with sequence and tip, samples with metadata, rarefied to one depth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.sequence.data import SampleTable, save_table
from ml_core.families.sequence.dna import known_sequences
from ml_core.families.sequence.graft import graft
from ml_core.families.sequence.merging import Merged, merge, tips_of
from ml_core.families.sequence.overlap import Account, summarise
from ml_core.families.sequence.phylogeny import Phylogeny, shear
from ml_core.families.sequence.pooling import Pool, deep_enough, known_samples, pooled
from ml_core.families.sequence.rarefaction import rarefied
from ml_core.families.sequence.raw_files import files_of
from ml_core.families.sequence.readers.counts import Counts, read_counts
from ml_core.families.sequence.readers.fasta import read_fasta
from ml_core.families.sequence.readers.metadata import Metadata, read_metadata
from ml_core.families.sequence.readers.newick import read_tree
from ml_core.families.sequence.settings import TableSettings
from ml_core.families.sequence.table_figure import draw_table
from ml_core.families.sequence.tree_repair import repair
from ml_core.running import StageRun
from ml_core.summary import Summary

EXAMPLES = 3


def build(run: StageRun) -> Summary:
    """Read, merge, keep what all files know, rarefy, and account for what was left out."""
    settings: TableSettings = run.settings
    account = Account()
    table = read(files_of(run.inputs["raw"].directory), settings=settings, account=account)
    save_table(run.directory, table)
    draw_table(run.directory / "figures" / "table.png", table=table, account=account)
    return summarise(table, account=account, settings=settings)


def read(files: dict[str, Path], *, settings: TableSettings, account: Account) -> SampleTable:
    """The table of these files (canonical name -> path); `account` is filled with what was seen and left out."""
    phylogeny = _tree(files, settings=settings, account=account)
    names = phylogeny.names[phylogeny.tips]
    tables = [read_counts(path) for path in _each(files, "table", "extra_tables")]
    records = [read_fasta(path) for path in _each(files, "sequences", "extra_sequences")]
    known = known_sequences(records, tips=names)
    merged = merge(tables, known=known)
    tips = tips_of(merged.asv_ids, merged.sequences, tips=dict(zip(names, phylogeny.tips.tolist(), strict=True)))
    _asvs_accounted(tables, merged, tips=tips, names=names, settings=settings, account=account)
    metadata = read_metadata(
        files["metadata"], sample_column=settings.sample_column, missing=frozenset(settings.missing_values)
    )
    pool = pooled(tables, merged, on_tree=tips >= 0)
    account.samples = _by_table([len(table.sample_ids) for table in tables])
    account.metadata_rows, account.remarks = len(metadata.columns), metadata.remarks
    pool = known_samples(pool, metadata=metadata, settings=settings, account=account, path=files["metadata"])
    pool = deep_enough(pool, settings=settings, account=account)
    present = np.asarray(pool.whole.sum(axis=0)).ravel() > 0
    account.asvs_left_out["in no sample that is kept"] = int((~present).sum())
    whole = pool.whole[:, present]
    on_tree = np.flatnonzero(tips >= 0)[present]
    return SampleTable(
        sample_ids=pool.sample_ids,
        asv_ids=merged.asv_ids[on_tree],
        sequences=_trimmed(merged.sequences[on_tree], max_bp=settings.max_bp, account=account),
        counts=rarefied(whole, sample_ids=pool.sample_ids, depth=settings.depth, seed=settings.seed),
        whole=whole,
        metadata=_rows_of(metadata, pool=pool),
        study=pool.study,
        depth=settings.depth,
        seed=settings.seed,
        tree=shear(phylogeny, tips[on_tree]),
    )


def _each(files: dict[str, Path], main: str, extra: str) -> list[Path]:
    """The main file, then the extra ones in their order."""
    further = sorted(
        (name for name in files if name.startswith(f"{extra}_")), key=lambda name: int(name.split("_")[-1])
    )
    return [files[name] for name in [main, *further] if name in files]


def _by_table(counts: list[int]) -> dict[str, int]:
    return {f"extra table {number}" if number else "the main table": count for number, count in enumerate(counts)}


def _tree(files: dict[str, Path], *, settings: TableSettings, account: Account) -> Phylogeny:
    phylogeny: Phylogeny | None = None
    found: Counter[str] = Counter()
    for path in _each(files, "tree", "extra_trees"):
        further, faults = repair(read_tree(path), path=path, settings=settings)
        found.update(faults)
        if phylogeny is None:
            phylogeny = further
        else:
            phylogeny, joined = graft(phylogeny, further, path=path)
            found["joined_tips"] += joined
    assert phylogeny is not None  # raw refuses to go without
    account.tree = {"tips": len(phylogeny.tips), **found}
    return phylogeny


def _asvs_accounted(
    tables: list[Counts],
    merged: Merged,
    *,
    tips: np.ndarray,
    names: np.ndarray,
    settings: TableSettings,
    account: Account,
) -> None:
    nameless = sum(map(len, merged.nameless))
    if nameless and settings.without_sequence == "error":
        shown = ", ".join([name for each in merged.nameless for name in each][:EXAMPLES])
        raise UserError(
            f"table: {nameless} ASVs have no sequence ({shown}), expected one for each; add them to raw.sequences, or "
            "set table.without_sequence=drop."
        )
    outside = np.flatnonzero(tips < 0)
    shown = ", ".join(f"'{name}'" for name in merged.asv_ids[outside[:EXAMPLES]])
    if len(outside) == len(tips):
        raise UserError(
            f"table: none of its {len(tips)} ASVs is a tip of the tree; ASVs are called {shown}, tips "
            + ", ".join(f"'{name}'" for name in names[:EXAMPLES])
            + "; give the tree that belongs to the table, with tips called by id, sequence or md5."
        )
    if len(outside) and settings.outside_tree == "error":
        raise UserError(
            f"table: {len(outside)} of {len(tips)} ASVs are no tips of the tree ({shown}), expected all; give a tree "
            "that has them, or set table.outside_tree=drop."
        )
    account.asvs = _by_table([len(table.asv_ids) for table in tables])
    account.distinct_asvs, account.on_tree = len(tips) + nameless, len(tips) - len(outside)
    account.asvs_left_out = {"without a sequence": nameless, "no tip of the tree": len(outside)}
    account.noticed = merged.noticed


def _rows_of(metadata: Metadata, *, pool: Pool) -> pd.DataFrame:
    """A row for each sample; nothing is known of those of extra tables."""
    names = [name if study == 0 else None for name, study in zip(pool.sample_ids, pool.study, strict=True)]
    rows = metadata.columns.reindex(names).reset_index(drop=True)
    text = rows.select_dtypes(object).columns
    rows[text] = rows[text].astype(object).where(rows[text].notna(), None)
    return rows


def _trimmed(sequences: np.ndarray, *, max_bp: int, account: Account) -> np.ndarray:
    lengths = np.array([len(sequence) for sequence in sequences])
    kept = np.array([*(sequence[:max_bp] for sequence in sequences), None], object)[:-1]
    account.lengths_bp = lengths
    account.noticed["longer than max_bp, trimmed"] = int((lengths > max_bp).sum())
    account.noticed["shorter than the longest kept"] = int((lengths < min(max_bp, lengths.max())).sum())
    account.noticed["like another one after trimming"] = len(kept) - len(set(kept))
    return kept
