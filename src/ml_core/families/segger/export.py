"""Predicted cells in the formats that other programs read."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import csr_array

from ml_core.errors import UserError
from ml_core.families.segger.outlines import cell_outlines


@dataclass(frozen=True)
class Predictions:
    """Every input transcript in input order, and the cell that it was assigned to.

    **Shapes**, n transcripts, c cells: transcript_id [n]; xy [n, 2] um; gene [n] int into `genes`, -1 for none; cell
    [n] int into `cell_ids`, -1 for none; score [n] float, chance of that cell; evidence [n] nats, how well the gene
    fits it; status [n] str; cell_ids [c]; genes: names.
    """

    transcript_id: np.ndarray
    xy: np.ndarray
    gene: np.ndarray
    genes: list[str]
    cell: np.ndarray
    cell_ids: list[str]
    score: np.ndarray
    evidence: np.ndarray
    status: np.ndarray


def write_segmentation(path: Path, *, predictions: Predictions) -> None:
    """Parquet with a row per input transcript: id, place, cell_id (null for none), score, evidence, status."""
    names = np.array([*predictions.cell_ids, None], object)
    table = pd.DataFrame({
        "row": np.arange(len(predictions.cell)),
        "transcript_id": predictions.transcript_id,
        "x_um": predictions.xy[:, 0],
        "y_um": predictions.xy[:, 1],
        "cell_id": pd.array(names[predictions.cell], dtype="string"),
        "score": predictions.score,
        "evidence": predictions.evidence,
        "status": predictions.status,
    })  # fmt: skip
    table.to_parquet(path, index=False)


def write_geojson(path: Path, *, predictions: Predictions, concave: bool = True) -> int:
    """Cell polygons (um) as a FeatureCollection; returns how many cells have one."""
    return _write_features(path, _outlines(predictions, concave=concave), ids=list(predictions.cell_ids))


def write_geoparquet(path: Path, *, predictions: Predictions, concave: bool = True) -> int:
    """Cell polygons (um) as GeoParquet. UserError without the extra "export"."""
    geopandas = _extra("geopandas")
    outlines = _outlines(predictions, concave=concave)
    there = np.flatnonzero(~shapely.is_missing(outlines))
    frame = geopandas.GeoDataFrame(
        {"cell_id": [predictions.cell_ids[cell] for cell in there]}, geometry=list(outlines[there])
    )
    frame.to_parquet(path)
    return len(there)


def write_anndata(path: Path, *, predictions: Predictions) -> None:
    """Cells x genes counts with the cells' centres in obsm["spatial"] (um). UserError without the extra "export"."""
    anndata = _extra("anndata")
    used = (predictions.cell >= 0) & (predictions.gene >= 0)
    shape = (len(predictions.cell_ids), len(predictions.genes))
    pairs = (predictions.cell[used], predictions.gene[used])
    counts = csr_array((np.ones(used.sum(), np.float32), pairs), shape=shape)
    cell, xy = predictions.cell[predictions.cell >= 0], predictions.xy[predictions.cell >= 0]
    sizes = np.bincount(cell, minlength=shape[0])
    sums = [np.bincount(cell, xy[:, axis], minlength=shape[0]) for axis in (0, 1)]
    table = anndata.AnnData(
        X=counts,
        obs=pd.DataFrame({"transcripts": sizes}, index=pd.Index(predictions.cell_ids, name="cell_id")),
        var=pd.DataFrame(index=pd.Index(predictions.genes, name="gene")),
        obsm={"spatial": np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]},
    )
    table.write_h5ad(path)


def write_xeniumranger(directory: Path, *, predictions: Predictions) -> tuple[Path, Path]:
    """The two files of `xeniumranger import-segmentation --transcript-assignment --viz-polygons --units microns`.

    Format: 10x Genomics, "Xenium Ranger: import-segmentation" (Baysor's output). Cells are named cell-1, cell-2, ... in
    the order of `cell_ids`. Cells without a polygon are left out of both files, as Xenium Ranger refuses them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    outlines = _outlines(predictions, concave=True)
    drawn = np.append(~shapely.is_missing(outlines), False)  # the last answers for -1
    names = np.array([*(f"cell-{number + 1}" for number in range(len(outlines))), ""], object)
    assigned = drawn[predictions.cell]
    table = pd.DataFrame({
        "transcript_id": predictions.transcript_id,
        "cell": np.where(assigned, names[predictions.cell], ""),
        "is_noise": np.where(assigned, 0, 1),
        "x": predictions.xy[:, 0],
        "y": predictions.xy[:, 1],
    })  # fmt: skip
    assignment, polygons = directory / "segmentation.csv", directory / "segmentation_polygons.json"
    table.to_csv(assignment, index=False)
    _write_features(polygons, outlines, ids=names[:-1].tolist())
    return assignment, polygons


def _outlines(predictions: Predictions, *, concave: bool) -> np.ndarray:
    cells = len(predictions.cell_ids)
    return cell_outlines(predictions.xy, cell=predictions.cell, cells=cells, concave=concave)


def _write_features(path: Path, outlines: np.ndarray, *, ids: list[str]) -> int:
    there = [(name, shape) for name, shape in zip(ids, outlines, strict=True) if shape is not None]
    features = [
        {"type": "Feature", "id": name, "properties": {"cell_id": name}, "geometry": shapely.geometry.mapping(shape)}
        for name, shape in there
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n")
    return len(features)


def _extra(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"this export needs {name}, which is not installed: pip install bioassets[export].") from error
