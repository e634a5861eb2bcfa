"""regions.h5: all reads of all samples, one row each, read by memory map; the DNA of a region stands there once.

Peers keep one sample's regions in a gzipped chunk and open the file for each item; `bench/hdf5_reads.py` has both.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.regions_file import ATTRIBUTES, DATASETS, TABLES, VERSION, read_table

REMEDY = "make it anew with the stage regions"


@dataclass(frozen=True, eq=False)
class Regions:
    """An open regions.h5. Rows are sorted by (sample, region).

    **Shapes**: dna_tokens [regions, 150] uint8; states [rows, 150] uint8, 0 unmethylated, 1 methylated, 2 no CpG, 3 CpG
    not observed, a memory map (in memory where the file is compressed); row_region, row_sample [rows] int32;
    row_count [rows] uint16, identical fragments; n_meth, n_cov [rows] uint16, CpGs methylated and observed in one of
    them (in a sample of kind "counts": summed over the reads of the region); sample_offset [samples + 1] int64, first
    row of each sample; cpg_position [regions, most CpGs] uint8, 255 behind the last; n_cpg [regions] uint8.
    Frames: samples (name, donor, tissue, kind, coverage, synthetic), regions (chromosome, start, end: 0-based,
    half-open, of the window; start_cpg, end_cpg; target, direction; block: what it is a part of, a DMR or itself),
    tissues (name, group). cpgs: how many CpGs the build's numbering has, 0 where it is not known.
    """

    path: Path
    dna_tokens: np.ndarray
    states: np.ndarray
    row_region: np.ndarray
    row_sample: np.ndarray
    row_count: np.ndarray
    n_meth: np.ndarray
    n_cov: np.ndarray
    sample_offset: np.ndarray
    cpg_position: np.ndarray
    n_cpg: np.ndarray
    samples: pd.DataFrame
    regions: pd.DataFrame
    tissues: pd.DataFrame
    build: str
    sequence_source: str
    panel_digest: str
    cpgs: int

    def __len__(self) -> int:
        return len(self.row_region)

    def __reduce__(self) -> Any:
        """A worker opens the file itself instead of getting a copy of what is mapped."""
        return open_regions, (self.path,)

    @cached_property
    def tissue_of_sample(self) -> np.ndarray:
        """[samples] int64 into `tissues`; -1 where the tissue is not known."""
        return np.asarray(pd.Index(self.tissues["name"]).get_indexer(self.samples["tissue"]), np.int64)

    def rows_of(self, sample: int) -> np.ndarray:
        """Numbers of the sample's rows, ascending."""
        return np.arange(self.sample_offset[sample], self.sample_offset[sample + 1])


def open_regions(path: Path) -> Regions:
    """The file, opened once per process; UserError where it is truncated, of another version or not as it should be."""
    path = Path(path).resolve()
    if not path.is_file():
        raise UserError(f"{path}: does not exist, expected the regions of the samples (HDF5); {REMEDY}.")
    status = path.stat()
    return _open(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=8)
def _open(path: Path, state: tuple[int, int, int]) -> Regions:
    """`state` tells one content of the path from another."""
    try:
        with h5py.File(path, "r") as file:
            _refuse_version(path, file)
            _refuse_shapes(path, file)
            parts: dict[str, Any] = {name: file[name][()] for name in DATASETS if name != "states"}
            parts |= {f"{name}s": read_table(file, name) for name in TABLES}
            parts |= {name: file.attrs[name] for name in ATTRIBUTES if name != "version"}
            states = _states(path, file["states"])
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # h5py raises all of these
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: is damaged or truncated ({error}), expected regions in HDF5; {REMEDY}.") from error
    regions = Regions(path=path, states=states, **parts)
    _refuse_contradictions(regions)
    return dataclasses.replace(regions, cpgs=int(regions.cpgs))


def _refuse_version(path: Path, file: h5py.File) -> None:
    found = file.attrs.get("version")
    if found != VERSION:
        said = f"is of version {found}" if found is not None else "has no attribute 'version'"
        raise UserError(f"{path}: {said}, expected regions of version {VERSION}; {REMEDY}.")


def _refuse_shapes(path: Path, file: h5py.File) -> None:
    sizes: dict[str | int, int] = {}
    for name, (dtype, dimensions) in DATASETS.items():
        if name not in file:
            raise UserError(f"{path}: has no dataset '{name}', expected {', '.join(DATASETS)}; {REMEDY}.")
        found = file[name]
        wanted = tuple(
            each if isinstance(each, int) else sizes.setdefault(each, size)
            for each, size in zip(dimensions, found.shape, strict=False)
        )
        if found.dtype != dtype or found.shape != wanted or len(found.shape) != len(dimensions):
            raise UserError(
                f"{path}: dataset '{name}' is {found.dtype} {list(found.shape)}, expected {np.dtype(dtype)} "
                f"[{', '.join(map(str, dimensions))}] as in the other datasets; {REMEDY}."
            )


def _states(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    if dataset.chunks is not None or not dataset.size:
        whole: np.ndarray = dataset[()]
        return whole
    offset = dataset.id.get_offset()
    if offset is None or offset + dataset.size > path.stat().st_size:
        raise UserError(f"{path}: is truncated, the states end beyond the file; {REMEDY}.")
    return np.memmap(path, np.uint8, mode="r", offset=offset, shape=dataset.shape)


def _refuse_contradictions(regions: Regions) -> None:
    samples, rows, path = len(regions.samples), len(regions), regions.path
    offsets = regions.sample_offset
    wrong = None
    if len(offsets) != samples + 1 or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any():
        wrong = f"sample_offset does not divide {rows:,} rows among {samples} samples"
    elif len(regions.regions) != len(regions.n_cpg):
        wrong = f"the table of regions has {len(regions.regions)} rows, the datasets have {len(regions.n_cpg)}"
    elif not np.array_equal(np.repeat(np.arange(samples), np.diff(offsets)), regions.row_sample):
        wrong = "row_sample disagrees with sample_offset"
    elif rows and not 0 <= regions.row_region.min() <= regions.row_region.max() < len(regions.n_cpg):
        wrong = f"row_region has numbers outside 0 to {len(regions.n_cpg) - 1}"
    if wrong:
        raise UserError(f"{path}: is damaged ({wrong}); {REMEDY}.")
