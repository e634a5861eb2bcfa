"""Rows dealt out to buckets on disk: how an order is changed without holding what is ordered."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.families.segger.data import ArrayFile


class Buckets:
    """Arrays of equal length in a directory, one file each, in which every bucket has a range of rows of its own.

    sizes [b]: how many rows each bucket will get. Within a bucket rows keep the order in which they come.
    """

    def __init__(self, directory: Path, *, sizes: np.ndarray) -> None:
        self.directory, self.files = directory, dict[str, ArrayFile]()
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._free = self.starts[:-1].tolist()

    def __len__(self) -> int:
        return len(self.starts) - 1

    def deal(self, bucket: np.ndarray, **arrays: np.ndarray) -> None:
        """Append row i of the arrays [r, ...] to bucket[i]; bucket [r] int."""
        for name in arrays.keys() - self.files.keys():
            shape = (int(self.starts[-1]), *arrays[name].shape[1:])
            path = self.directory / f"{name}.npy"
            self.files[name] = ArrayFile.create(path, shape=shape, dtype=arrays[name].dtype)
        order = np.argsort(bucket, kind="stable")
        numbers, firsts, counts = np.unique(bucket[order], return_index=True, return_counts=True)
        for number, first, count in zip(numbers.tolist(), firsts.tolist(), counts.tolist(), strict=True):
            free = self._free[number]
            assert free + count <= self.starts[number + 1], f"bucket {number} gets more rows than it was made for"
            for name, values in arrays.items():
                self.files[name].write(free, values[order[first : first + count]])
            self._free[number] += count

    def read(self, number: int) -> dict[str, np.ndarray]:
        """All rows that a bucket has got; without any file nothing was dealt out at all."""
        rows = slice(int(self.starts[number]), self._free[number])
        return {name: file.read(rows) for name, file in self.files.items()}

    def write(self, number: int, **arrays: np.ndarray) -> None:
        """Put a bucket's rows back in another order."""
        for name, values in arrays.items():
            self.files[name].write(int(self.starts[number]), values)
