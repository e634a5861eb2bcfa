"""One table of every input row in input order: gene, quality, status, vendor's cell, nucleus; and all nuclei."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.segger.data import ROWS_AT_ONCE
from ml_core.families.segger.nuclei import Nuclei, nuclei_of, places_in
from ml_core.families.segger.readers import read_sample
from ml_core.families.segger.readers.columns import read_columns
from ml_core.families.segger.readers.sample import Sample
from ml_core.families.segger.reference import copy_reference
from ml_core.families.segger.settings import TranscriptsSettings
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

KEPT, LOW_QV, CONTROL = 0, 1, 2
STATUS = {KEPT: "kept", LOW_QV: "low_qv", CONTROL: "control"}


def build(run: StageRun) -> Summary:
    """Read the raw files, filter, find the nuclei, and write the tables that every later stage reads."""
    settings: TranscriptsSettings = run.settings
    raw = run.inputs["raw"]
    source = json.loads(raw.path("source.json").read_text())
    sample = read_sample(
        {name: raw.path(file) for name, file in source["files"].items()},
        platform=source["platform"],
        pixel_size_um=source["pixel_size_um"],
        negate_boundary_y=source["negate_boundary_y"],
    )
    prefix = control_prefix_of(sample.features, prefixes=settings.control_prefixes)
    genes = [name for name, control in zip(sample.features, prefix, strict=True) if control is None]
    gene = places_in(sample.features, genes)[sample.feature]
    status = np.where(gene < 0, np.int8(CONTROL), np.int8(KEPT))
    if sample.qv is not None:
        status[(status == KEPT) & (sample.qv < settings.min_qv)] = LOW_QV
    _refuse_nothing_kept(status, settings=settings)
    nuclei = nuclei_of(
        sample, kept=status == KEPT, shape=settings.nuclei, min_transcripts=settings.min_transcripts_per_nucleus
    )

    columns = _columns(sample, gene=gene, status=status, nuclei=nuclei)
    if "truth" in source["files"]:
        columns |= _truth(raw, sample=sample, nuclei=nuclei)
    _write_rows(run.directory / "transcripts.parquet", columns, rows=len(status))
    _write_names(run.directory, genes=genes, sample=sample)
    _write_nuclei(run.directory, nuclei, kept=status == KEPT)
    reference_genes = 0
    if "reference" in source["files"]:
        reference_genes = copy_reference(
            raw.path(source["files"]["reference"]), run.directory / "reference.parquet", genes=genes
        )
    return _summary(sample, status=status, prefix=prefix, genes=genes, nuclei=nuclei, reference_genes=reference_genes)


def control_prefix_of(features: list[str], *, prefixes: list[str]) -> list[str | None]:
    """For each feature the first prefix that makes it a control, or None for a gene."""
    return [next((prefix for prefix in prefixes if name.startswith(prefix)), None) for name in features]


def _columns(
    sample: Sample, *, gene: np.ndarray, status: np.ndarray, nuclei: Nuclei
) -> dict[str, Callable[[slice], pa.Array]]:
    """The table's columns, each made for the rows that are asked for."""
    vendor_nucleus = places_in(sample.cells, nuclei.ids)
    features = pa.array(sample.features)

    def optional(values: np.ndarray | None, rows: slice, *, missing: Any) -> np.ndarray:
        return np.full(len(status[rows]), missing) if values is None else values[rows]

    def feature(rows: slice) -> pa.DictionaryArray:
        code = sample.feature[rows]
        return pa.DictionaryArray.from_arrays(pa.array(code, mask=code < 0), features)

    return {
        "transcript_id": lambda rows: pa.array(sample.transcript_id[rows]),
        "x_um": lambda rows: pa.array(sample.xy[rows, 0]),
        "y_um": lambda rows: pa.array(sample.xy[rows, 1]),
        "z_um": lambda rows: pa.array(sample.z[rows]),
        "feature": feature,
        "gene": lambda rows: pa.array(gene[rows]),
        "qv": lambda rows: pa.array(optional(sample.qv, rows, missing=np.float32(np.nan))),
        "status": lambda rows: pa.array(status[rows]),
        "vendor_cell": lambda rows: pa.array(optional(sample.cell, rows, missing=np.int32(-1))),
        "vendor_nucleus": lambda rows: pa.array(vendor_nucleus[optional(sample.cell, rows, missing=np.int32(-1))]),
        "nucleus": lambda rows: pa.array(nuclei.of[rows]),
    }


def _truth(raw: Artifact, *, sample: Sample, nuclei: Nuclei) -> dict[str, Callable[[slice], pa.Array]]:
    """The simulator's true cell of every transcript, and the nucleus of that cell."""
    truth = read_columns(raw.path("truth.parquet"), required=("transcript_id", "cell"))
    cell = truth.integers("cell", np.int32)
    assert np.array_equal(truth.integers("transcript_id", np.uint64), sample.transcript_id), (
        "truth is in another order than the transcripts"
    )
    nucleus_of_cell = places_in(pq.read_table(raw.path("true_cells.parquet"))["cell_id"].to_pylist(), nuclei.ids)
    return {
        "true_cell": lambda rows: pa.array(cell[rows]),
        "true_nucleus": lambda rows: pa.array(nucleus_of_cell[cell[rows]]),
    }


def _write_rows(path: Path, columns: dict[str, Callable[[slice], pa.Array]], *, rows: int) -> None:
    """Write the table one row group after the other, so that it is never held beside what it is made from."""
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, rows))
        table = pa.table({name: make(part) for name, make in columns.items()})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None, "a sample has rows"
    writer.close()


def _write_names(directory: Path, *, genes: list[str], sample: Sample) -> None:
    (directory / "genes.json").write_text(json.dumps(genes, indent=0) + "\n")
    cells = {
        "vendor_cell": pa.array(np.arange(len(sample.cells), dtype=np.int32)),
        "cell_id": pa.array(sample.cells, pa.string()),
    }
    pq.write_table(pa.table(cells), directory / "vendor_cells.parquet")


def _write_nuclei(directory: Path, nuclei: Nuclei, *, kept: np.ndarray) -> None:
    polygons, count = nuclei.polygons, len(nuclei.ids)
    inside = nuclei.of[kept & (nuclei.of >= 0)]
    columns = {
        "nucleus": pa.array(np.arange(count, dtype=np.int32)),
        "cell_id": pa.array(nuclei.ids, pa.string()),
        "x_um": pa.array(polygons.centroids[:, 0]),
        "y_um": pa.array(polygons.centroids[:, 1]),
        "area_um2": pa.array(polygons.areas),
        "transcripts": pa.array(np.bincount(inside, minlength=count)),
        "boundary_source": pa.array([nuclei.source] * count, pa.string()),
    }
    pq.write_table(pa.table(columns), directory / "nuclei.parquet", compression="zstd")
    np.save(directory / "nuclei_xy.npy", polygons.xy)
    np.save(directory / "nuclei_offsets.npy", polygons.offsets)


def _refuse_nothing_kept(status: np.ndarray, *, settings: TranscriptsSettings) -> None:
    if not np.any(status == KEPT):
        raise UserError(
            f"transcripts: all {len(status):,} rows are filtered ({np.sum(status == LOW_QV):,} below min_qv "
            f"{settings.min_qv:g}, "
            f"{np.sum(status == CONTROL):,} controls); lower min_qv or mend control_prefixes."
        )


def _nuclear_without_nucleus(sample: Sample, nuclei: Nuclei, *, kept: np.ndarray) -> int:
    """Kept transcripts that the vendor calls nuclear, but whose nucleus has no polygon (at the edge of a cut, say)."""
    return 0 if sample.in_nucleus is None else int((sample.in_nucleus & kept & (nuclei.of < 0)).sum())


def _summary(
    sample: Sample,
    *,
    status: np.ndarray,
    prefix: list[str | None],
    genes: list[str],
    nuclei: Nuclei,
    reference_genes: int,
) -> Summary:
    n, kept = len(status), status == KEPT
    nuclear = kept & (nuclei.of >= 0)
    numbers: dict[str, Number] = {
        "transcripts.rows": n,
        **{f"transcripts.{name}": int(np.sum(status == code)) for code, name in STATUS.items()},
        "transcripts.genes": len(genes),
        "transcripts.nuclear_share": float(nuclear.sum() / kept.sum()),
        "transcripts.nuclei": len(nuclei.ids),
        "transcripts.nuclear_without_nucleus": _nuclear_without_nucleus(sample, nuclei, kept=kept),
        "transcripts.vendor_cells": len(sample.cells),
        "transcripts.boundaries_dropped": sample.boundaries.dropped if sample.boundaries else 0,
        "transcripts.reference_genes": reference_genes,
    }
    counts = np.bincount(sample.feature[sample.feature >= 0], minlength=len(sample.features))
    by_prefix: dict[str, int] = {}
    for name, count in zip(prefix, counts.tolist(), strict=True):
        if name is not None:
            by_prefix[name] = by_prefix.get(name, 0) + count
    summary = Summary(
        headline=f"{kept.sum():,} of {n:,} {sample.platform} transcripts kept, {len(nuclei.ids):,} nuclei "
        f"({nuclei.source}).",
        numbers=numbers,
        tables={
            "Filtered transcripts": [
                {"reason": "low_qv", "transcripts": int(np.sum(status == LOW_QV))},
                *({"reason": f"control {name}", "transcripts": count} for name, count in sorted(by_prefix.items())),
            ],
            "Schema found": [{"column": name, "type": kind} for name, kind in sample.schema.items()],
        },
    )
    summary.check(
        "schema",
        bool(nuclear.any()),
        f"{nuclear.sum():,} kept transcripts lie in {len(np.unique(nuclei.of[nuclear])):,} of {len(nuclei.ids):,} "
        "nuclei",
    )
    return summary
