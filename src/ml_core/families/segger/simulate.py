"""A sample whose truth is known, written as the bundle that a Xenium would write, with the truth beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.nearest import nearest_polygons
from ml_core.families.segger.settings import RawSettings
from ml_core.families.segger.tissue import (
    PRESETS,
    Preset,
    Tissue,
    as_polygons,
    draw_categories,
    draw_inside,
    grow,
)

EXPANSION_UM = 5.0  # vendors' cells are nuclei grown by a distance (Xenium Ranger's default since 2.0)
CONTROL_SHARE = 0.005
CONTROLS = [*(f"NegControlProbe_{i:05d}" for i in range(10)), *(f"BLANK_{i:04d}" for i in range(10))]
LEAK_UM = 6.0  # some transcripts are carried this far from their cell
STACKED_SHARE = 0.1  # where cells lie over each other, so much of the cytoplasm above a foreign nucleus remains
REFERENCE_CELLS_PER_TYPE = 25
REFERENCE_DEPTH = 2000
FIRST_TRANSCRIPT_ID = 281_474_976_710_656
FIELD_UM = 200.0


@dataclass(frozen=True)
class Molecules:
    """`n` transcripts: xy [n, 2] and z [n] um; gene [n] into the panel, then the controls; cell [n] (-1 background)."""

    xy: np.ndarray
    z: np.ndarray
    gene: np.ndarray
    cell: np.ndarray


FILES = {
    "transcripts": "transcripts.parquet",
    "nucleus_boundaries": "nucleus_boundaries.parquet",
    "reference": "reference.csv",
    "truth": "truth.parquet",
    "true_cells": "true_cells.parquet",
    "true_cell_boundaries": "true_cell_boundaries.parquet",
}


def simulate(directory: Path, *, settings: RawSettings) -> dict[str, str]:
    """Write the bundle; returns canonical name -> file. The same settings give the same bytes.

    Files: transcripts.parquet, nucleus_boundaries.parquet, reference.csv, and the truth: truth.parquet (transcript_id,
    cell), true_cells.parquet (cell, cell_id, cell_type), true_cell_boundaries.parquet.

    Several fields lie side by side and share the panel and the cell types, and nothing else: each has its own seed,
    [seed, number], and RNA of one field neither drifts nor is assigned into the next. Memory is that of one field.
    """
    rng = np.random.default_rng(settings.seed)
    preset = PRESETS[settings.preset]
    tissue = grow(preset, cells=settings.cells, rng=rng)
    profiles = type_profiles(preset, types=settings.cell_types, genes=settings.genes, rng=rng)
    with Tables(directory) as tables:
        _write_field(tables, tissue, profiles=profiles, number=0, first_transcript=0, settings=settings, rng=rng)
        for number in range(1, settings.fields):
            own = np.random.default_rng([settings.seed, number])
            there = grow(preset, cells=settings.cells, rng=own).moved_by(_place_of(number, preset, settings=settings))
            _write_field(
                tables, there, profiles=profiles, number=number, first_transcript=tables.rows(FILES["transcripts"]),
                settings=settings, rng=own,
            )  # fmt: skip
    reference_table(profiles, genes=gene_names(settings), rng=rng).to_csv(directory / FILES["reference"], index=False)
    return dict(FILES)


def gene_names(settings: RawSettings) -> list[str]:
    return [f"GENE{number:04d}" for number in range(settings.genes)]


def _place_of(number: int, preset: Preset, *, settings: RawSettings) -> np.ndarray:
    """[2] um from field 0 to this one, in as many columns of fields as rows."""
    row, column = divmod(number, int(np.ceil(np.sqrt(settings.fields))))
    return np.array([column, row]) * preset.extent_um(settings.cells)


def _write_field(
    tables: Tables,
    tissue: Tissue,
    *,
    profiles: np.ndarray,
    number: int,
    first_transcript: int,
    settings: RawSettings,
    rng: np.random.Generator,
) -> None:
    """Fill the tissue of field `number` with transcripts and write both."""
    preset = PRESETS[settings.preset]
    cell_type = rng.integers(0, settings.cell_types, settings.cells)
    molecules = _shuffled(
        _molecules(tissue, preset=preset, profiles=profiles, cell_type=cell_type, settings=settings, rng=rng), rng=rng
    )
    cell = number * settings.cells + np.arange(settings.cells, dtype=np.int32)  # over all fields
    ids = [cell_name(each) for each in cell.tolist()]
    nuclei = as_polygons(tissue.nuclei)
    n, features = len(molecules.cell), [*gene_names(settings), *CONTROLS]
    transcript_id = FIRST_TRANSCRIPT_ID + first_transcript + np.arange(n, dtype=np.uint64)
    tables.add(
        FILES["transcripts"],
        _transcripts(molecules, nuclei, transcript_id=transcript_id, ids=ids, features=features, rng=rng),
    )
    tables.add(FILES["nucleus_boundaries"], _vertices(tissue.nuclei, ids=ids))
    tables.add(FILES["true_cell_boundaries"], _vertices(tissue.cells, ids=ids))
    true_cell = np.append(cell, np.int32(-1))[molecules.cell]
    tables.add(FILES["truth"], {"transcript_id": transcript_id, "cell": true_cell})
    cell_types = [type_name(each) for each in cell_type.tolist()]
    tables.add(FILES["true_cells"], {"cell": cell, "cell_id": ids, "cell_type": cell_types})


def type_profiles(preset: Preset, *, types: int, genes: int, rng: np.random.Generator) -> np.ndarray:
    """Expression [types, genes], rows sum to 1: a common abundance per gene, a log-normal factor per type."""
    abundance = rng.lognormal(0, 0.7, genes)
    profile = abundance * rng.lognormal(0, preset.distinct, (types, genes))
    return profile / profile.sum(axis=1, keepdims=True)


def reference_table(profiles: np.ndarray, *, genes: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Dissociated cells of the same types: counts per gene and the column cell_type."""
    of = np.repeat(np.arange(len(profiles)), REFERENCE_CELLS_PER_TYPE)
    table = pd.DataFrame(rng.poisson(profiles[of] * REFERENCE_DEPTH), columns=genes)
    table["cell_type"] = [type_name(number) for number in of.tolist()]
    return table


def type_name(number: int) -> str:
    return f"type_{number:02d}"


def cell_name(number: int) -> str:
    """A Xenium cell id: eight letters a..p (hexadecimal digits), then the data set's number."""
    return "".join("abcdefghijklmnop"[(number >> shift) & 15] for shift in range(28, -1, -4)) + "-1"


def _molecules(
    tissue: Tissue,
    *,
    preset: Preset,
    profiles: np.ndarray,
    cell_type: np.ndarray,
    settings: RawSettings,
    rng: np.random.Generator,
) -> Molecules:
    depth = rng.gamma(4.0, settings.transcripts_per_cell / 4.0, settings.cells)
    cell = np.repeat(np.arange(settings.cells), rng.poisson(depth))
    nuclear = rng.random(len(cell)) < preset.nuclear_share
    xy = np.where(
        nuclear[:, None],
        draw_inside(tissue.nuclei, centres=tissue.nucleus_centres, of=cell, rng=rng),
        draw_inside(tissue.cells, centres=tissue.cell_centres, of=cell, rng=rng),
    )
    foreign = nearest_polygons(xy, polygons=as_polygons(tissue.nuclei), k=1, max_distance_um=0.0)[0][:, 0]
    there = nuclear | (foreign < 0) | (foreign == cell) | (rng.random(len(cell)) < STACKED_SHARE)
    cell, xy = cell[there], xy[there]
    spread = np.where(rng.random(len(cell)) < preset.leaked_share, LEAK_UM, preset.diffusion_um)
    xy = xy + rng.normal(0, 1, xy.shape) * spread[:, None]
    own = profiles[cell_type] * rng.gamma(5.0, 1 / 5.0, (settings.cells, settings.genes))
    gene = draw_categories(own, of=cell, rng=rng)
    z = tissue.z[cell] + rng.normal(0, 2, len(cell))

    noise, controls = int(len(cell) * preset.background_share), int(len(cell) * CONTROL_SHARE)
    stray = noise + controls
    anywhere = rng.uniform(xy.min(axis=0), xy.max(axis=0), (stray, 2))
    stray_gene = draw_categories(profiles.mean(axis=0, keepdims=True), of=np.zeros(stray, np.int64), rng=rng)
    stray_gene[noise:] = settings.genes + rng.integers(0, len(CONTROLS), controls)
    return Molecules(
        np.concatenate([xy, anywhere]), np.concatenate([z, rng.uniform(5, 25, stray)]),
        np.concatenate([gene, stray_gene]), np.concatenate([cell, np.full(stray, -1)]),
    )  # fmt: skip


def _shuffled(molecules: Molecules, *, rng: np.random.Generator) -> Molecules:
    order = rng.permutation(len(molecules.cell))
    return Molecules(*(values[order] for values in vars(molecules).values()))


def _transcripts(
    molecules: Molecules,
    nuclei: Polygons,
    *,
    transcript_id: np.ndarray,
    ids: list[str],
    features: list[str],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The vendor's table: cells are nuclei grown by a distance, which is not the truth."""
    n = len(molecules.cell)
    xy = molecules.xy.astype(np.float32)
    index, distance = nearest_polygons(xy, polygons=nuclei, k=1, max_distance_um=EXPANSION_UM)
    qv = np.where(rng.random(n) < 0.9, np.minimum(rng.normal(36, 5, n), 40), rng.uniform(3, 25, n))
    field = (xy // FIELD_UM).astype(np.int64)
    return {
        "transcript_id": transcript_id,
        "cell_id": np.array([*ids, "UNASSIGNED"], object)[index[:, 0]],
        "overlaps_nucleus": (distance[:, 0] == 0).astype(np.uint8),
        "feature_name": np.array(features, object)[molecules.gene],
        "x_location": xy[:, 0],
        "y_location": xy[:, 1],
        "z_location": molecules.z.astype(np.float32),
        "qv": np.maximum(qv, 0).astype(np.float32),
        "fov_name": np.array([f"F{x}_{y}" for x, y in field.tolist()], object),
        "nucleus_distance": np.where(np.isfinite(distance[:, 0]), distance[:, 0], EXPANSION_UM).astype(np.float32),
    }


def _vertices(outlines: np.ndarray, *, ids: list[str]) -> dict[str, np.ndarray]:
    """Closed rings, one vertex a row, as in a Xenium bundle."""
    closed = np.concatenate([outlines, outlines[:, :1]], axis=1).astype(np.float32)
    names = np.repeat(np.array(ids, object), closed.shape[1])
    return {"cell_id": names, "vertex_x": closed[..., 0].ravel(), "vertex_y": closed[..., 1].ravel()}


class Tables:
    """Parquet files of a directory that take rows piece by piece; closed at the end of the `with` block."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._files = directory, ExitStack()
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def rows(self, file: str) -> int:
        """Rows that `file` has by now."""
        return self._rows[file]

    def add(self, file: str, columns: Mapping[str, Any]) -> None:
        """Append columns of equal length to `file`."""
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
        if file not in self._writers:
            writer = pq.ParquetWriter(self.directory / file, table.schema, compression="zstd")
            self._writers[file] = self._files.enter_context(writer)
        self._writers[file].write_table(table)
        self._rows[file] += len(table)
