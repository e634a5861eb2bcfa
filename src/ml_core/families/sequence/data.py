"""What the table, unifrac and splits stages leave on disk, and what every later stage and predict read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from ml_core.errors import UserError

SPLITS = ("train", "validation", "test", "extra")  # extra: samples of further tables, without labels: pretraining only


@dataclass(frozen=True)
class Tree:
    """A rooted tree, its nodes in postorder: children before their parents, the root last.

    **Shapes**, m nodes, a ASVs: parent [m] int32 (-1 for the root); length [m] float64, of the branch above a node (0
    for the root); tip [a] int32, the node of each ASV.
    """

    parent: np.ndarray
    length: np.ndarray
    tip: np.ndarray

    def __len__(self) -> int:
        return len(self.parent)


@dataclass(frozen=True)
class SampleTable:
    """Counts of ASVs in samples, with sequences, tree and metadata in the same order.

    **Shapes**, n samples, a ASVs: sample_ids [n], asv_ids [a] and sequences [a] str objects (upper-case ACGTN,
    at most `table.max_bp` letters); counts [n, a] int32, each row rarefied to `depth` with `seed`: UniFrac and the
    baselines see these; whole [n, a] int32, the same samples before that; metadata n rows, columns as in the file:
    float64 where all known values are numbers (NaN: not known), else str objects (None: not known; nothing is known of
    an extra table's samples); study [n] int8, 0 for the main table, 1 and up for extra tables.
    """

    sample_ids: np.ndarray
    asv_ids: np.ndarray
    sequences: np.ndarray
    counts: sparse.csr_matrix
    whole: sparse.csr_matrix
    metadata: pd.DataFrame
    study: np.ndarray
    depth: int
    seed: int
    tree: Tree

    def __len__(self) -> int:
        return len(self.sample_ids)

    @cached_property
    def main(self) -> np.ndarray:
        """Indices of the samples of the main table, ascending."""
        return np.flatnonzero(np.asarray(self.study) == 0)

    def column(self, name: str, *, setting: str) -> pd.Series:
        """A column of the metadata, [n]; `setting` is the field that names it, for the error where there is none."""
        if name not in self.metadata:
            there = ", ".join(map(str, self.metadata.columns)) or "no columns"
            raise UserError(f"{setting}: the metadata have no column '{name}', they have {there}; name one of those.")
        return self.metadata[name]


@dataclass(frozen=True)
class Distances:
    """UniFrac between all samples of a table, in its order.

    **Shapes**: matrix [n, n] float32, memory-mapped: a batch's pairs are `matrix[np.ix_(samples, samples)]`; faith [n]
    float64, Faith's phylogenetic diversity in units of branch length.
    """

    matrix: np.ndarray
    faith: np.ndarray
    metric: str


@dataclass(frozen=True)
class GroupSplits:
    """The split of each sample; all samples of a group (a subject) are in one.

    **Shapes**: part [n] uint8 into `SPLITS`; group [n] str objects ("" in an extra table).
    """

    part: np.ndarray
    group: np.ndarray
    fold: int
    folds: int
    seed: int

    def samples_in(self, split: str) -> np.ndarray:
        """Indices of the samples of one of `SPLITS`, ascending."""
        return np.flatnonzero(np.asarray(self.part) == SPLITS.index(split))


def save_table(directory: Path, table: SampleTable) -> None:
    """Write arrays as .npy, samples, ASVs and metadata as Parquet, and table.json."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, matrix in (("counts", table.counts), ("whole", table.whole)):
        _save(directory, **{f"{name}_{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")})
    tree = table.tree
    _save(directory, tree_parent=tree.parent, tree_length=tree.length, tree_tip=tree.tip, study=table.study)
    samples = pd.DataFrame({"sample_id": table.sample_ids})
    samples.to_parquet(directory / "samples.parquet", index=False)
    pd.DataFrame({"asv_id": table.asv_ids, "sequence": table.sequences}).to_parquet(
        directory / "asvs.parquet", index=False
    )
    table.metadata.reset_index(drop=True).to_parquet(directory / "metadata.parquet", index=False)
    (directory / "table.json").write_text(json.dumps({"depth": table.depth, "seed": table.seed}) + "\n")


def load_table(directory: Path) -> SampleTable:
    """The table stage's artifact; arrays are memory-mapped."""
    described = json.loads((directory / "table.json").read_text())
    asvs = pd.read_parquet(directory / "asvs.parquet")
    sample_ids = pd.read_parquet(directory / "samples.parquet")["sample_id"].to_numpy(object)
    shape = (len(sample_ids), len(asvs))
    counts, whole = (
        sparse.csr_matrix(tuple(_load(directory, f"{name}_{part}") for part in ("data", "indices", "indptr")), shape)
        for name in ("counts", "whole")
    )
    return SampleTable(
        sample_ids=sample_ids,
        asv_ids=asvs["asv_id"].to_numpy(object),
        sequences=asvs["sequence"].to_numpy(object),
        counts=counts,
        whole=whole,
        metadata=pd.read_parquet(directory / "metadata.parquet"),
        study=_load(directory, "study"),
        depth=described["depth"],
        seed=described["seed"],
        tree=Tree(*(_load(directory, f"tree_{name}") for name in ("parent", "length", "tip"))),
    )


def create_distances(directory: Path, *, samples: int, faith: np.ndarray, metric: str) -> np.ndarray:
    """Write faith.npy and metric.json, and give distances.npy as a writable map [samples, samples] float32 to fill."""
    directory.mkdir(parents=True, exist_ok=True)
    _save(directory, faith=faith)
    (directory / "metric.json").write_text(json.dumps({"metric": metric}) + "\n")
    shape = (samples, samples)
    return np.lib.format.open_memmap(directory / "distances.npy", mode="w+", dtype=np.float32, shape=shape)


def load_distances(directory: Path) -> Distances:
    """The unifrac stage's artifact; arrays are memory-mapped."""
    metric = json.loads((directory / "metric.json").read_text())["metric"]
    return Distances(_load(directory, "distances"), _load(directory, "faith"), metric)


def save_splits(directory: Path, splits: GroupSplits) -> None:
    """Write splits.parquet and splits.json."""
    directory.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"part": splits.part, "group": splits.group}).to_parquet(directory / "splits.parquet", index=False)
    described = {"fold": splits.fold, "folds": splits.folds, "seed": splits.seed}
    (directory / "splits.json").write_text(json.dumps(described) + "\n")


def load_splits(directory: Path) -> GroupSplits:
    """The splits stage's artifact."""
    rows = pd.read_parquet(directory / "splits.parquet")
    described = json.loads((directory / "splits.json").read_text())
    return GroupSplits(rows["part"].to_numpy(np.uint8), rows["group"].to_numpy(object), **described)


def _save(directory: Path, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", np.ascontiguousarray(array))


def _load(directory: Path, name: str) -> np.ndarray:
    loaded: np.ndarray = np.load(directory / f"{name}.npy", mmap_mode="r")
    return loaded
