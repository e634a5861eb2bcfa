"""What the graph, tiles and splits stages leave on disk, as memory-mapped arrays with their shapes."""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from ml_core.families.segger.geometry import Polygons

SPLITS = ("train", "validation", "test")
FULL = "full"
ROWS_AT_ONCE = 1 << 20  # transcripts that are held at a time where each is by itself


@dataclass(frozen=True)
class View:
    """The nuclei as a model sees them: whole ("full"), or shrunk to an inner share of their transcripts ("0.50").

    **Shapes**, n transcripts, m nuclei: polygons [m]; features [m, 5] float32 (`geometry.FEATURES`); centroids [m, 2]
    float32 um; candidates [n, k_bd] int32, nearest first, -1 padded; distance [n, k_bd] float32 um to the polygon, 0
    inside, inf padded; labelled [n] bool: transcripts that made this view's nuclei.
    """

    name: str
    polygons: Polygons
    features: np.ndarray
    centroids: np.ndarray
    candidates: np.ndarray
    distance: np.ndarray
    labelled: np.ndarray


@dataclass(frozen=True)
class Graph:
    """All kept transcripts, sorted along strips, and all nuclei.

    **Shapes**: rows [n] int64, the row in transcripts.parquet; xy [n, 2] and z [n] float32 um; gene [n] int32; nucleus
    [n] int32, the nucleus it lies in (-1 none); neighbours [n, k_tx] and around [n, k_context] int32, nearest first, -1
    padded; genes: names.
    """

    rows: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    gene: np.ndarray
    nucleus: np.ndarray
    neighbours: np.ndarray
    around: np.ndarray
    genes: list[str]
    views: dict[str, View]

    def held_out(self, view: str) -> np.ndarray:
        """[n] bool: nuclear transcripts outside a shrunken nucleus, whose nucleus is known and hidden."""
        return (self.nucleus >= 0) & ~self.views[view].labelled

    def release(self) -> None:
        """Hand the memory of what was read so far back; see `release`."""
        release(*vars(self).values(), *(each for view in self.views.values() for each in vars(view).values()))


def release(*arrays: object) -> None:
    """Hand the pages of those that are memory-mapped back to the system, whose cache keeps them: they can be read, or
    go on being written to their files, at any time.
    """
    for array in arrays:
        if isinstance(array, np.memmap) and isinstance(pages := array.base, mmap.mmap):
            pages.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class Tiles:
    """`t` tiles; tile i owns owned[owned_offsets[i]:owned_offsets[i + 1]] and sees the halo's slice as well.

    **Shapes**: owned [n] int32 and halo [h] int32, graph transcripts, ascending within a tile; offsets [t + 1] int64;
    boxes [t, 4] float32 um: least x, least y, greatest x, greatest y of the owned; regions [t, 4]: the tile's part of
    the plane.
    """

    owned: np.ndarray
    owned_offsets: np.ndarray
    halo: np.ndarray
    halo_offsets: np.ndarray
    boxes: np.ndarray
    regions: np.ndarray

    def __len__(self) -> int:
        return len(self.owned_offsets) - 1

    def owned_by(self, tile: int) -> np.ndarray:
        return self.owned[self.owned_offsets[tile] : self.owned_offsets[tile + 1]]

    def halo_of(self, tile: int) -> np.ndarray:
        return self.halo[self.halo_offsets[tile] : self.halo_offsets[tile + 1]]


@dataclass(frozen=True)
class Splits:
    """Which split everything belongs to: 0, 1, 2 as in `SPLITS`.

    **Shapes**: transcript [n] int8; supervised [n] bool: far from other splits, and not of a nucleus that is in two;
    nucleus [m] int8 by its centroid's tile; tile [t] int8; block [t] int32.
    """

    transcript: np.ndarray
    supervised: np.ndarray
    nucleus: np.ndarray
    tile: np.ndarray
    block: np.ndarray

    def tiles_of(self, split: str) -> np.ndarray:
        """Indices of the tiles of "train", "validation" or "test"."""
        return np.flatnonzero(self.tile == SPLITS.index(split))


def load_graph(directory: Path) -> Graph:
    """The graph stage's arrays, memory-mapped."""
    views = {path.name: load_view(path) for path in sorted((directory / "views").iterdir())}
    names = ("rows", "xy", "z", "gene", "nucleus", "neighbours", "around")
    return Graph(**_arrays(directory, names), genes=json.loads((directory / "genes.json").read_text()), views=views)


def load_view(directory: Path) -> View:
    """One view of the graph stage, memory-mapped."""
    polygons = Polygons(**_arrays(directory, ("xy", "offsets"), prefix="polygon_"))
    names = ("features", "centroids", "candidates", "distance", "labelled")
    return View(directory.name, polygons, **_arrays(directory, names))


def load_tiles(directory: Path) -> Tiles:
    """The tiles stage's arrays, memory-mapped."""
    return Tiles(**_arrays(directory, ("owned", "owned_offsets", "halo", "halo_offsets", "boxes", "regions")))


def load_splits(directory: Path) -> Splits:
    """The splits stage's arrays, memory-mapped."""
    return Splits(**_arrays(directory, ("transcript", "supervised", "nucleus", "tile", "block")))


def save_arrays(directory: Path, **arrays: np.ndarray) -> None:
    """One .npy per array, contiguous, so that it can be memory-mapped."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", np.ascontiguousarray(array))


def room_for(
    shape: tuple[int, ...], dtype: npt.DTypeLike, *, directory: Path | None = None, name: str = ""
) -> np.ndarray:
    """Zeros, in memory or in the file `name` of a directory."""
    if directory is None or 0 in shape:
        return np.zeros(shape, dtype)
    return np.lib.format.open_memmap(directory / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)


@dataclass(frozen=True)
class ArrayFile:
    """A .npy file that is written and read in pieces, so that it is never held: rows start at byte `offset`."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @classmethod
    def create(cls, path: Path, *, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Self:
        """A file of zeros, byte for byte as numpy would save it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        return cls(path, shape, array.dtype, array.offset)

    @classmethod
    def of(cls, path: Path) -> Self:
        """A file that is there."""
        array = np.load(path, mmap_mode="r")
        return cls(path, array.shape, array.dtype, array.offset)

    def write(self, start: int, values: np.ndarray) -> None:
        """Put `values` [r, ...] into the rows from `start` on."""
        assert values.dtype == self.dtype, f"{self.path.name} holds {self.dtype}, not {values.dtype}"
        with self.path.open("r+b") as file:
            file.seek(self.offset + start * self._row)
            file.write(np.ascontiguousarray(values).data)

    def read(self, rows: slice) -> np.ndarray:
        """The rows [r, ...], as an array of their own."""
        count = max(rows.stop - rows.start, 0)
        with self.path.open("rb") as file:
            file.seek(self.offset + rows.start * self._row)
            values = np.fromfile(file, self.dtype, count * self._row // self.dtype.itemsize)
        return values.reshape(count, *self.shape[1:])

    @property
    def _row(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def _arrays(directory: Path, names: tuple[str, ...], *, prefix: str = "") -> dict[str, np.ndarray]:
    return {name: np.load(directory / f"{prefix}{name}.npy", mmap_mode="r") for name in names}
