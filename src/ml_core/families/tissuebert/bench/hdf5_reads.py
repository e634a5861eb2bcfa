"""Reads of regions.h5 at random beside a peer's layout, the loader, and the memory that writing takes.

    python -m ml_core.families.tissuebert.bench.hdf5_reads                 1,021,780 rows: 20 samples, 51,089 regions
    python -m ml_core.families.tissuebert.bench.hdf5_reads --samples 6     fewer of them

The peer keeps a sample's regions in one gzipped chunk [1, regions, 150] and opens the file for each item. Both files
hold the same rows, and one run reads both, on one thread. Memory is what writing adds to the peak of a process of its
own (Linux).
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from ml_core.families.tissuebert.batches import ReadMaker, TrainingBags
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter, Rows
from ml_core.families.tissuebert.sampler import BalancedSampler
from ml_core.families.tissuebert.tables import fit_tables
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, WINDOW_BP, tokenize

PEER_REGIONS, CPGS, TISSUES = 51_089, 8, 5
POSITIONS = 10 + 17 * np.arange(CPGS)
BATCH_ROWS, BAG_READS = 512, 32


@dataclass(frozen=True)
class Speeds:
    """Rows of one run: read at random from either layout, and loaded as training batches, each per second."""

    rows: int
    ours: float
    peer: float
    loader: float

    @property
    def ratio(self) -> float:
        return self.ours / self.peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--regions", type=int, default=PEER_REGIONS)
    parser.add_argument("--peer-items", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grown = memory_gb(folder / "memory.h5", samples=options.samples, regions=options.regions)
        (folder / "memory.h5").unlink()
        found = measure(folder, samples=options.samples, regions=options.regions, peer_items=options.peer_items)
    print(f"{found.rows:,} rows; writing them takes {grown:.3f} GB beyond what the process had")
    print(f"random rows per second: {found.ours:,.0f}, a peer's layout {found.peer:,.1f}, ratio {found.ratio:,.0f}")
    print(f"loader, rows per second: {found.loader:,.0f}")


def measure(folder: Path, *, samples: int, regions: int, peer_items: int) -> Speeds:
    """Write both files into `folder`, read them in turn, and load training batches from ours."""
    path, peer = folder / "regions.h5", folder / "peer.h5"
    write_ours(path, samples=samples, regions=regions)
    write_peer(peer, samples=samples, regions=regions)
    opened = open_regions(path)
    rng = np.random.default_rng(1)
    ours = ours_per_second(opened, rng=rng, batches=200)
    theirs = peer_per_second(peer, opened, rng=rng, items=peer_items)
    return Speeds(len(opened), ours, theirs, loader_per_second(opened, batches=200))


def made(regions: int, sample: int) -> Rows:
    """A row for each region of one sample."""
    rng = np.random.default_rng([0, sample])
    at_cpgs = rng.integers(0, 2, (regions, CPGS)).astype(np.uint8)
    states = np.full((regions, WINDOW_BP), NO_CPG, np.uint8)
    states[:, POSITIONS] = at_cpgs
    one = np.ones(regions, np.int64)
    return Rows(np.arange(regions), states, one, (at_cpgs == METHYLATED).sum(1), CPGS * one)


def write_ours(path: Path, *, samples: int, regions: int) -> None:
    """regions.h5, sample by sample."""
    letters = np.full((regions, WINDOW_BP), ord("A"), np.uint8)
    letters[:, POSITIONS], letters[:, POSITIONS + 1] = ord("C"), ord("G")
    number = np.arange(regions)
    frame = pd.DataFrame({"chromosome": "chr1", "start": 200 * number, "end": 200 * number + WINDOW_BP})
    frame = frame.assign(start_cpg=CPGS * number + 1, end_cpg=CPGS * (number + 1) + 1, target="", direction="")
    with RegionsWriter(
        path,
        dna_tokens=tokenize(letters),
        cpg_position=np.tile(POSITIONS.astype(np.uint8), (regions, 1)),
        n_cpg=np.full(regions, CPGS, np.uint8),
        regions=frame.assign(block=number.astype(str)),
        tissues=pd.DataFrame({"name": [f"tissue{each}" for each in range(TISSUES)], "group": ""}),
        build="bench",
        sequence_source="fasta",
        panel_digest="bench",
    ) as writer:
        for sample in range(samples):
            name = f"sample{sample}"
            writer.start_sample(name=name, donor=name, tissue=f"tissue{sample % TISSUES}", coverage=1.0)
            writer.append(made(regions, sample))


def write_peer(path: Path, *, samples: int, regions: int) -> None:
    """The same states as [samples, regions, 150], one sample a chunk, gzip."""
    with h5py.File(path, "w") as file:
        shape = (samples, regions, WINDOW_BP)
        states = file.create_dataset("states", shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip")
        for sample in range(samples):
            states[sample] = made(regions, sample).states


def ours_per_second(opened: Regions, *, rng: np.random.Generator, batches: int) -> float:
    """One vectorised fetch a batch from the memory map."""
    wanted = rng.integers(0, len(opened), (batches, BATCH_ROWS))
    started = time.process_time()
    for rows in wanted:
        np.asarray(opened.states[rows])
    return wanted.size / (time.process_time() - started)


def peer_per_second(path: Path, opened: Regions, *, rng: np.random.Generator, items: int) -> float:
    """The file is opened for each row; AssertionError where a row differs from ours."""
    wanted = rng.integers(0, len(opened), items)
    found = []
    started = time.process_time()
    for row in wanted:
        with h5py.File(path, "r") as file:
            found.append(file["states"][opened.row_sample[row], opened.row_region[row]])
    seconds = time.process_time() - started
    assert np.array_equal(np.stack(found), opened.states[wanted]), "the two files differ"
    return items / seconds


def loader_per_second(opened: Regions, *, batches: int) -> float:
    """Training batches as the model takes them: drawn, read, with tables and hidden CpGs."""
    samples = np.arange(len(opened.samples))
    bags = TrainingBags(
        ReadMaker(opened, places="cpgs", use_dna=True),
        BalancedSampler(opened, samples),
        fit_tables(opened, samples, folds=2, donor_correlation=0.02),
        bag_reads=BAG_READS,
        cpg_dropout=0.05,
    )
    size = BATCH_ROWS // BAG_READS
    started = time.process_time()
    for number in range(batches):
        bags.fetch(np.arange(number * size, (number + 1) * size), seed=0, epoch=0)
    return batches * size * BAG_READS / (time.process_time() - started)


def memory_gb(path: Path, *, samples: int, regions: int) -> float:
    """What writing adds to the resident memory of a process, at its peak."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_grown, args=(path, samples, regions, there))
    process.start()
    grown: float = here.recv()
    process.join()
    return grown


def _grown(path: Path, samples: int, regions: int, pipe: Any) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = _peak_gb()
    write_ours(path, samples=samples, regions=regions)
    pipe.send(_peak_gb() - before)


def _peak_gb() -> float:
    lines: Iterator[str] = iter(Path("/proc/self/status").read_text().splitlines())
    line = next(each for each in lines if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


if __name__ == "__main__":
    main()
