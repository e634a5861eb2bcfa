"""Predicted cells in the formats that other programs read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from scipy.sparse import csr_array, vstack

from ml_core.errors import UserError
from ml_core.families.segger.outlines import cell_outlines


@dataclass(frozen=True)
class Rows:
    """Some input transcripts in input order, from row `start` on.

    **Shapes**, r transcripts: transcript_id [r]; xy [r, 2] um; gene [r] int, -1 for none; cell [r] int, -1 for none;
    score [r] float32, chance of that cell; evidence [r] float32 nats, how well the gene fits it; status [r] str.
    """

    start: int
    transcript_id: np.ndarray
    xy: np.ndarray
    gene: np.ndarray
    cell: np.ndarray
    score: np.ndarray
    evidence: np.ndarray
    status: np.ndarray


@dataclass(frozen=True)
class Block:
    """All transcripts of `count` cells from number `first` on: xy [r, 2] um, gene [r], cell [r], the first one 0."""

    first: int
    count: int
    xy: np.ndarray
    gene: np.ndarray
    cell: np.ndarray


class Predictions(Protocol):
    """Every input transcript and the cell that it was assigned to, piece by piece."""

    cell_ids: list[str]
    genes: list[str]

    def rows(self) -> Iterator[Rows]:
        """All transcripts, in input order."""

    def blocks(self) -> Iterator[Block]:
        """All cells, in order, with their transcripts in input order."""


def write_segmentation(path: Path, *, predictions: Predictions) -> None:
    """Parquet with a row per input transcript: id, place, cell_id (null for none), score, evidence, status."""
    names = np.array([*predictions.cell_ids, None], object)
    with ExitStack() as files:
        writer: pq.ParquetWriter | None = None
        for rows in predictions.rows():
            frame = pd.DataFrame({
                "row": np.arange(rows.start, rows.start + len(rows.cell)),
                "transcript_id": rows.transcript_id,
                "x_um": rows.xy[:, 0],
                "y_um": rows.xy[:, 1],
                "cell_id": pd.array(names[rows.cell], dtype="string"),
                "score": rows.score,
                "evidence": rows.evidence,
                "status": rows.status,
            })  # fmt: skip
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or files.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table)


def write_cells(path: Path, *, predictions: Predictions, nuclei: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell: id, transcripts, genes, centre and area of its nucleus (empty for fragments)."""
    transcripts, genes = (np.zeros(len(predictions.cell_ids), np.int64) for _ in range(2))
    for block in predictions.blocks():
        mine = slice(block.first, block.first + block.count)
        transcripts[mine] = np.bincount(block.cell, minlength=block.count)
        pairs = np.unique(block.cell.astype(np.int64) * len(predictions.genes) + block.gene)
        genes[mine] = np.bincount(pairs // len(predictions.genes), minlength=block.count)
    centre = nuclei[["x_um", "y_um", "area_um2"]].reindex(range(len(transcripts)))
    cells = pd.DataFrame({
        "cell_id": pd.array(predictions.cell_ids, dtype="string"),
        "transcripts": transcripts,
        "genes": genes,
        "nucleus_x_um": centre["x_um"].to_numpy(),
        "nucleus_y_um": centre["y_um"].to_numpy(),
        "nucleus_area_um2": centre["area_um2"].to_numpy(),
    })  # fmt: skip
    cells.to_parquet(path, index=False)
    return cells


def write_geojson(path: Path, *, predictions: Predictions, concave: bool = True) -> int:
    """Cell polygons (um) as a FeatureCollection; returns how many cells have one."""
    outlines = _outlines(predictions, concave=concave)
    return int(_write_features(path, outlines, ids=list(predictions.cell_ids)).sum())


def write_geoparquet(path: Path, *, predictions: Predictions, concave: bool = True) -> int:
    """Cell polygons (um) as GeoParquet. UserError without the extra "export"."""
    geopandas = _extra("geopandas")
    outlines = np.concatenate([np.zeros(0, object), *_outlines(predictions, concave=concave)])
    there = np.flatnonzero(~shapely.is_missing(outlines))
    frame = geopandas.GeoDataFrame(
        {"cell_id": [predictions.cell_ids[cell] for cell in there]}, geometry=list(outlines[there])
    )
    frame.to_parquet(path)
    return len(there)


def write_anndata(path: Path, *, predictions: Predictions) -> None:
    """Cells x genes counts with the cells' centres in obsm["spatial"] (um). UserError without the extra "export"."""
    anndata = _extra("anndata")
    cells, genes = len(predictions.cell_ids), len(predictions.genes)
    counts, sizes, sums = [csr_array((0, genes), dtype=np.float32)], np.zeros(cells, np.int64), np.zeros((cells, 2))
    for block in predictions.blocks():
        mine = slice(block.first, block.first + block.count)
        ones = np.ones(len(block.cell), np.float32)
        counts.append(csr_array((ones, (block.cell, block.gene)), shape=(block.count, genes)))
        sizes[mine] = np.bincount(block.cell, minlength=block.count)
        for axis in (0, 1):
            sums[mine, axis] = np.bincount(block.cell, block.xy[:, axis], minlength=block.count)
    table = anndata.AnnData(
        X=vstack(counts, format="csr"),
        obs=pd.DataFrame({"transcripts": sizes}, index=pd.Index(predictions.cell_ids, name="cell_id")),
        var=pd.DataFrame(index=pd.Index(predictions.genes, name="gene")),
        obsm={"spatial": sums / np.maximum(sizes, 1)[:, None]},
    )
    table.write_h5ad(path)


def write_xeniumranger(directory: Path, *, predictions: Predictions) -> tuple[Path, Path]:
    """The two files of `xeniumranger import-segmentation --transcript-assignment --viz-polygons --units microns`.

    Format: 10x Genomics, "Xenium Ranger: import-segmentation" (Baysor's output). Cells are named cell-1, cell-2, ... in
    the order of `cell_ids`. Cells without a polygon are left out of both files, as Xenium Ranger refuses them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    assignment, polygons = directory / "segmentation.csv", directory / "segmentation_polygons.json"
    names = np.array([*(f"cell-{number + 1}" for number in range(len(predictions.cell_ids))), ""], object)
    drawn = _write_features(polygons, _outlines(predictions, concave=True), ids=names[:-1].tolist())
    drawn = np.append(drawn, False)  # the last answers for -1
    with assignment.open("w", newline="") as file:
        for rows in predictions.rows():
            assigned = drawn[rows.cell]
            table = pd.DataFrame({
                "transcript_id": rows.transcript_id,
                "cell": np.where(assigned, names[rows.cell], ""),
                "is_noise": np.where(assigned, 0, 1),
                "x": rows.xy[:, 0],
                "y": rows.xy[:, 1],
            })  # fmt: skip
            table.to_csv(file, index=False, header=rows.start == 0)
    return assignment, polygons


def _outlines(predictions: Predictions, *, concave: bool) -> Iterator[np.ndarray]:
    """Outlines [count] of one block of cells after the other."""
    for block in predictions.blocks():
        yield cell_outlines(block.xy, cell=block.cell, cells=block.count, concave=concave)


def _write_features(path: Path, outlines: Iterable[np.ndarray], *, ids: list[str]) -> np.ndarray:
    """Write those cells that have an outline; returns which do, [cells] bool."""
    drawn, cell, before = np.zeros(len(ids), bool), 0, ""
    with path.open("w") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for block in outlines:
            for name, shape in zip(ids[cell : cell + len(block)], block, strict=True):
                if shape is not None:
                    geometry, properties = shapely.geometry.mapping(shape), {"cell_id": name}
                    feature = {"type": "Feature", "id": name, "properties": properties, "geometry": geometry}
                    file.write(before + json.dumps(feature))
                    drawn[cell], before = True, ", "
                cell += 1
        file.write("]}\n")
    return drawn


def _extra(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"this export needs {name}, which is not installed: pip install bioassets[export].") from error
