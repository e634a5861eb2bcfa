"""Writes regions.h5 sample by sample in bounded memory: rows are spooled, and copied when their number is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import h5py
import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.regions_file import DATASETS, KINDS, OF_ROWS, SEQUENCE_SOURCES, VERSION, write_table

BLOCK_ROWS = 65_536
CHUNK_ROWS = 4_096


@dataclass(frozen=True)
class Rows:
    """Rows of one sample: region [n] int, ascending; states [n, 150] uint8; count, n_meth, n_cov [n] int."""

    region: np.ndarray
    states: np.ndarray
    count: np.ndarray
    n_meth: np.ndarray
    n_cov: np.ndarray

    def __len__(self) -> int:
        return len(self.region)


class RegionsWriter:
    """`with RegionsWriter(path, ...) as writer: writer.start_sample(...); writer.append(rows)`.

    dna_tokens [regions, 150], cpg_position [regions, most CpGs], n_cpg [regions] and the frames `regions` and `tissues`
    are those of `hdf5.Regions`. The file takes its name when everything is in it; after an error there is none.
    `compress` makes it small by gzip; it is then read into memory as a whole.
    """

    def __init__(
        self,
        path: Path,
        *,
        dna_tokens: np.ndarray,
        cpg_position: np.ndarray,
        n_cpg: np.ndarray,
        regions: pd.DataFrame,
        tissues: pd.DataFrame,
        build: str,
        sequence_source: str,
        panel_digest: str,
        cpgs: int = 0,
        compress: bool = False,
    ) -> None:
        assert sequence_source in SEQUENCE_SOURCES, sequence_source
        self._path, self._compress = path, compress
        self._of_regions = {"dna_tokens": dna_tokens, "cpg_position": cpg_position, "n_cpg": n_cpg}
        self._tables = {"region": regions, "tissue": tissues}
        self._attributes = {
            "version": VERSION,
            "build": build,
            "sequence_source": sequence_source,
            "panel_digest": panel_digest,
            "cpgs": cpgs,
        }
        self._samples: list[dict[str, Any]] = []
        self._first_rows: list[int] = []
        self._rows = 0
        self._last_region = -1

    def __enter__(self) -> Self:
        folder = tempfile.TemporaryDirectory(prefix=f".{self._path.name}.", dir=self._path.parent)
        self._folder = folder
        self._spools: dict[str, IO[bytes]] = {name: (Path(folder.name) / name).open("w+b") for name in OF_ROWS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                whole = Path(self._folder.name) / "whole.h5"
                self._write(whole)
                whole.replace(self._path)
        finally:
            for spool in self._spools.values():
                spool.close()
            self._folder.cleanup()

    def start_sample(
        self, *, name: str, donor: str, tissue: str, kind: str = "reads", coverage: float, synthetic: bool = False
    ) -> None:
        """Rows appended from here on are this sample's."""
        assert kind in KINDS, kind
        if any(sample["name"] == name for sample in self._samples):
            raise UserError(f"regions: there are two samples '{name}', expected names of their own; rename one.")
        self._samples.append(
            {
                "name": name,
                "donor": donor,
                "tissue": tissue,
                "kind": kind,
                "coverage": coverage,
                "synthetic": synthetic,
            }
        )
        self._first_rows.append(self._rows)
        self._last_region = -1

    def append(self, rows: Rows) -> None:
        """Further rows of the sample; their regions go on where the last ones ended."""
        if not len(rows):
            return
        assert rows.region[0] >= self._last_region, "rows of a sample must come sorted by region"
        assert (np.diff(rows.region) >= 0).all(), "rows of a sample must be sorted by region"
        columns = {
            "states": rows.states,
            "row_region": rows.region,
            "row_sample": np.full(len(rows), len(self._samples) - 1),
            "row_count": rows.count,
            "n_meth": rows.n_meth,
            "n_cov": rows.n_cov,
        }
        for name, values in columns.items():
            dtype = DATASETS[name][0]
            if values.size and int(values.max()) > np.iinfo(dtype).max:
                raise UserError(
                    f"regions: sample '{self._samples[-1]['name']}' has {int(values.max()):,} in {name} of a region, "
                    f"at most {np.iinfo(dtype).max:,} can be kept; take a part of its reads."
                )
        for name, values in columns.items():
            self._spools[name].write(np.ascontiguousarray(values, DATASETS[name][0]).tobytes())
        self._rows += len(rows)
        self._last_region = int(rows.region[-1])

    def _write(self, path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.attrs.update(self._attributes)
            for name, values in self._of_regions.items():
                file.create_dataset(name, data=np.ascontiguousarray(values, DATASETS[name][0]))
            file.create_dataset("sample_offset", data=np.array([*self._first_rows, self._rows], np.int64))
            columns = ("name", "donor", "tissue", "kind", "coverage", "synthetic")
            write_table(file, "sample", pd.DataFrame(self._samples, columns=columns))
            for name, table in self._tables.items():
                write_table(file, name, table)
            for name in OF_ROWS:
                self._copy(file, name)

    def _copy(self, file: h5py.File, name: str) -> None:
        dtype, dimensions = DATASETS[name]
        shape = (self._rows, *(each for each in dimensions[1:] if isinstance(each, int)))
        options: dict[str, Any] = {}
        if self._compress and self._rows:
            options = {
                "chunks": (min(CHUNK_ROWS, self._rows), *shape[1:]),
                "compression": "gzip",
                "shuffle": True,
            }
        dataset = file.create_dataset(name, shape, dtype, **options)
        start = 0
        for block in self._blocks(name, dtype, shape[1:]):
            dataset[start : start + len(block)] = block
            start += len(block)

    def _blocks(self, name: str, dtype: Any, rest: tuple[int, ...]) -> Iterator[np.ndarray]:
        spool = self._spools[name]
        spool.seek(0)
        size = np.dtype(dtype).itemsize * int(np.prod(rest))
        while block := spool.read(BLOCK_ROWS * size):
            yield np.frombuffer(block, dtype).reshape(-1, *rest)
