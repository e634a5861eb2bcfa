"""One table of all samples: ASVs with sequence and tip, samples with metadata, rarefied to one depth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ml_core.errors import UserError
from ml_core.families.sequence.data import SampleTable, save_table
from ml_core.families.sequence.dna import known_sequences
from ml_core.families.sequence.graft import graft
from ml_core.families.sequence.merging import Merged, merge, tips_of
from ml_core.families.sequence.overlap import Account, summarise
from ml_core.families.sequence.phylogeny import Phylogeny, shear
from ml_core.families.sequence.rarefaction import rarefied
from ml_core.families.sequence.raw_files import files_of
from ml_core.families.sequence.readers.counts import read_counts
from ml_core.families.sequence.readers.fasta import read_fasta
from ml_core.families.sequence.readers.metadata import Metadata, read_metadata
from ml_core.families.sequence.readers.newick import read_tree
from ml_core.families.sequence.settings import TableSettings
from ml_core.families.sequence.table_figure import draw_table
from ml_core.families.sequence.tree_repair import repair
from ml_core.stages import StageRun
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
    account.asvs = {"the main table": len(tables[0].asv_ids), **_extra([len(table.asv_ids) for table in tables])}
    _asvs_accounted(merged, tips=tips, names=names, settings=settings, account=account)
    metadata = read_metadata(
        files["metadata"], sample_column=settings.sample_column, missing=frozenset(settings.missing_values)
    )
    account.remarks += metadata.remarks

    pool = _Pool(
        sample_ids=np.concatenate([table.sample_ids for table in tables]),
        study=np.repeat(np.arange(len(tables), dtype=np.int8), [len(table.sample_ids) for table in tables]),
        reads=np.concatenate([_row_sums(table.matrix) for table in tables]),
        whole=sparse.vstack(merged.matrices, format="csr")[:, tips >= 0],
    )
    account.samples = {"the main table": len(tables[0].sample_ids), **_extra([len(t.sample_ids) for t in tables])}
    account.metadata_rows = len(metadata.columns)
    pool = _known_samples(pool, metadata=metadata, settings=settings, account=account, path=files["metadata"])
    pool = _deep_enough(pool, settings=settings, account=account)
    account.reads = int(pool.reads.sum())
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
        metadata=_rows_of(
            metadata,
            samples=[name if study == 0 else None for name, study in zip(pool.sample_ids, pool.study, strict=True)],
        ),
        study=pool.study,
        depth=settings.depth,
        seed=settings.seed,
        tree=shear(phylogeny, tips[on_tree]),
    )


@dataclass(frozen=True)
class _Pool:
    """Samples of all tables: ids [n], study [n] int8, all reads [n], whole [n, a] counts of the ASVs on the tree."""

    sample_ids: np.ndarray
    study: np.ndarray
    reads: np.ndarray
    whole: sparse.csr_matrix

    def only(self, kept: np.ndarray) -> _Pool:
        return _Pool(self.sample_ids[kept], self.study[kept], self.reads[kept], self.whole[kept])


def _each(files: dict[str, Path], main: str, extra: str) -> list[Path]:
    """The main file, then the extra ones in their order."""
    further = sorted(
        (name for name in files if name.startswith(f"{extra}_")), key=lambda name: int(name.split("_")[-1])
    )
    return [files[name] for name in [main, *further] if name in files]


def _extra(counts: list[int]) -> dict[str, int]:
    return {f"extra table {number}": count for number, count in enumerate(counts) if number}


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
    merged: Merged, *, tips: np.ndarray, names: np.ndarray, settings: TableSettings, account: Account
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
    account.distinct_asvs, account.on_tree = len(tips) + nameless, len(tips) - len(outside)
    account.asvs_left_out = {"without a sequence": nameless, "no tip of the tree": len(outside)}
    account.noticed = merged.noticed


def _known_samples(pool: _Pool, *, metadata: Metadata, settings: TableSettings, account: Account, path: Path) -> _Pool:
    """Main samples that the metadata have, and extra samples that are in no table before theirs."""
    known = np.isin(pool.sample_ids, metadata.columns.index.to_numpy(object))
    unknown = (pool.study == 0) & ~known
    if not (known & (pool.study == 0)).any():
        raise UserError(
            f"{path}: has none of the table's {int((pool.study == 0).sum())} samples; the table's are called "
            + ", ".join(f"'{name}'" for name in pool.sample_ids[:EXAMPLES])
            + ", the metadata's "
            + ", ".join(f"'{name}'" for name in metadata.columns.index[:EXAMPLES])
            + "; give the metadata of this table, or name their column of ids in table.sample_column."
        )
    if unknown.any() and settings.without_metadata == "error":
        raise UserError(
            f"{path}: lacks {int(unknown.sum())} of the table's samples ('{pool.sample_ids[unknown][0]}' for one), "
            "expected all; add them, or set table.without_metadata=drop."
        )
    again = pd.Series(pool.sample_ids).duplicated().to_numpy()
    account.leave_out(pool.sample_ids[unknown], reason="not in the metadata", reads=pool.reads[unknown])
    account.leave_out(pool.sample_ids[again], reason="in an earlier table already", reads=pool.reads[again])
    return pool.only(~unknown & ~again)


def _deep_enough(pool: _Pool, *, settings: TableSettings, account: Account) -> _Pool:
    reads = _row_sums(pool.whole)
    shallow = reads < settings.depth
    if not (~shallow & (pool.study == 0)).any():
        main = reads[pool.study == 0]
        raise UserError(
            f"table: all {len(main)} samples have fewer than table.depth={settings.depth} reads of ASVs on the tree "
            f"(the median sample has {int(np.median(main))}, the largest {main.max()}); lower table.depth."
        )
    account.all_reads, account.all_study = reads, pool.study
    account.leave_out(pool.sample_ids[shallow], reason=f"fewer than {settings.depth} reads", reads=reads[shallow])
    return pool.only(~shallow)


def _rows_of(metadata: Metadata, *, samples: list[str | None]) -> pd.DataFrame:
    """Rows in the order of samples; nothing is known of a sample None."""
    rows = metadata.columns.reindex(samples).reset_index(drop=True)
    text = rows.select_dtypes(object).columns
    rows[text] = rows[text].astype(object).where(rows[text].notna(), None)
    return rows


def _row_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    """[n] int64."""
    return np.asarray(matrix.sum(axis=1, dtype=np.int64)).ravel()


def _trimmed(sequences: np.ndarray, *, max_bp: int, account: Account) -> np.ndarray:
    lengths = np.array([len(sequence) for sequence in sequences])
    kept = np.array([*(sequence[:max_bp] for sequence in sequences), None], object)[:-1]
    account.lengths_bp = lengths
    account.noticed["longer than max_bp, trimmed"] = int((lengths > max_bp).sum())
    account.noticed["shorter than the longest kept"] = int((lengths < min(max_bp, lengths.max())).sum())
    account.noticed["like another one after trimming"] = len(kept) - len(set(kept))
    return kept
