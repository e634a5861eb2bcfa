"""The optional scRNA-seq table: cells x genes with a column cell_type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.errors import UserError
from ml_core.families.segger.readers.columns import column_names, read_columns

CELL_TYPE = "cell_type"


def copy_reference(path: Path, target: Path, *, genes: list[str]) -> int:
    """Write cell_type and the columns of the panel's genes (float32) to `target`; returns how many of the genes it has.

    Raises UserError where there is no column cell_type or none of the genes.
    """
    present = set(column_names(path))
    shared = [name for name in genes if name in present]
    if not shared:
        raise UserError(
            f"{path}: has none of the panel's {len(genes):,} genes as a column, expected cells x genes; turn the "
            "table round."
        )
    columns = read_columns(path, required=(CELL_TYPE, *shared), text=(CELL_TYPE,))
    table = {
        CELL_TYPE: columns.column(CELL_TYPE),
        **{gene: pa.array(columns.numbers(gene, np.float32)) for gene in shared},
    }
    pq.write_table(pa.table(table), target, compression="zstd")
    return len(shared)
