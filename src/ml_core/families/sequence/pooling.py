"""The samples of all tables together, and which of them are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ml_core.errors import UserError
from ml_core.families.sequence.merging import Merged
from ml_core.families.sequence.overlap import Account
from ml_core.families.sequence.readers.counts import Counts
from ml_core.families.sequence.readers.metadata import Metadata
from ml_core.families.sequence.settings import TableSettings

EXAMPLES = 3


@dataclass(frozen=True)
class Pool:
    """Samples of all tables: ids [n], study [n] int8, all reads [n], whole [n, a] counts of the ASVs on the tree."""

    sample_ids: np.ndarray
    study: np.ndarray
    reads: np.ndarray
    whole: sparse.csr_matrix

    def only(self, kept: np.ndarray) -> Pool:
        return Pool(self.sample_ids[kept], self.study[kept], self.reads[kept], self.whole[kept])


def pooled(tables: Sequence[Counts], merged: Merged, *, on_tree: np.ndarray) -> Pool:
    """All samples, the main table's first. on_tree: [all ASVs of `merged`] bool."""
    return Pool(
        sample_ids=np.concatenate([table.sample_ids for table in tables]),
        study=np.repeat(np.arange(len(tables), dtype=np.int8), [len(table.sample_ids) for table in tables]),
        reads=np.concatenate([_row_sums(table.matrix) for table in tables]),
        whole=sparse.vstack(merged.matrices, format="csr")[:, on_tree],
    )


def known_samples(pool: Pool, *, metadata: Metadata, settings: TableSettings, account: Account, path: Path) -> Pool:
    """Main samples that the metadata have, and extra samples that are in no table before theirs.

    UserError, naming the metadata's `path`, where no main sample is left, or the settings ask for all of them.
    """
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


def deep_enough(pool: Pool, *, settings: TableSettings, account: Account) -> Pool:
    """Samples with `settings.depth` reads or more of ASVs on the tree. UserError where no main sample has them."""
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
    kept = pool.only(~shallow)
    account.reads = int(kept.reads.sum())
    return kept


def _row_sums(matrix: sparse.csr_matrix) -> np.ndarray:
    """[n] int64."""
    return np.asarray(matrix.sum(axis=1, dtype=np.int64)).ravel()
