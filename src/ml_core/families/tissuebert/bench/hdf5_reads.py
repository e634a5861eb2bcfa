"""Reads of regions.h5 at random beside a peer's layout, the loader, and the memory that writing takes.

The peer keeps a sample's regions in one gzipped chunk [1, regions, 150] and opens the file for each item. Both files
hold the same rows.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from ml_core.bench.case import Reach, Request, Row, Side
from ml_core.bench.turns import Contender, join, take_turns
from ml_core.families.tissuebert.batches import ReadMaker, TrainingBags
from ml_core.families.tissuebert.hdf5 import Regions, open_regions
from ml_core.families.tissuebert.hdf5_writer import RegionsWriter, Rows
from ml_core.families.tissuebert.sampler import BalancedSampler
from ml_core.families.tissuebert.tables import fit_tables
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, WINDOW_BP, tokenize
from ml_core.usage import peak_since_reset_gb, reset_peak

PEER_REGIONS, CPGS, TISSUES = 51_089, 8, 5
POSITIONS = 10 + 17 * np.arange(CPGS)
BATCH_ROWS, BAG_READS = 512, 32
SAMPLES, QUICK_SAMPLES, QUICK_REGIONS = 8, 2, 500
LEAST_TIMES, LEAST_ROWS = 1000.0, 200_000.0


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


def rows(request: Request) -> list[Row]:
    samples, regions = (QUICK_SAMPLES, QUICK_REGIONS) if request.quick else (SAMPLES, PEER_REGIONS)
    with tempfile.TemporaryDirectory() as name:
        grown = memory_gb(Path(name) / "memory.h5", samples=samples, regions=regions)
        (Path(name) / "memory.h5").unlink()
        found = measure(Path(name), samples=samples, regions=regions, peer_items=20, rounds=request.rounds)
    what = f"random rows of {found.rows:,}"
    peer = Side("a gzip chunk for each sample, opened per item", found.peer, "rows/s")
    return [
        Row(what, Side("ml_core", found.ours, "rows/s"), peer, ratio=found.ratio, reach=Reach(least=LEAST_TIMES)),
        Row(
            "training batches of them, with tables and hidden CpGs",
            Side("ml_core", found.loader, "rows/s"),
            reach=Reach(least=LEAST_ROWS),
            note=join(f"writing {found.rows:,} rows takes {grown:.3f} GB more"),
        ),
    ]


def measure(folder: Path, *, samples: int, regions: int, peer_items: int, rounds: int = 5) -> Speeds:
    """Write both files into `folder`, read them in turn, and load training batches from ours."""
    path, peer = folder / "regions.h5", folder / "peer.h5"
    write_ours(path, samples=samples, regions=regions)
    write_peer(peer, samples=samples, regions=regions)
    count = len(open_regions(path))
    wanted = np.random.default_rng(1).integers(0, count, (200, BATCH_ROWS))
    items = wanted.ravel()[:peer_items]
    ours, theirs, loader = take_turns(
        [
            Contender("ml_core", ours_of, (path, wanted), units=wanted.size),
            Contender("peer", peer_of, (peer, path, items), units=len(items)),
            Contender("loader", loader_of, (path, 200), units=200 * (BATCH_ROWS // BAG_READS) * BAG_READS),
        ],
        rounds=rounds,
    )
    assert np.array_equal(theirs.answers[0], ours.answers[0][: len(items)]), "the two files differ"
    return Speeds(count, ours.per_second, theirs.per_second, loader.per_second)


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


def ours_of(path: Path, wanted: np.ndarray) -> Callable[[], np.ndarray]:
    """One vectorised fetch a batch from the memory map; wanted [batches, rows]. Answers with the first batch."""
    opened = open_regions(path)

    def read() -> np.ndarray:
        first = np.asarray(opened.states[wanted[0]])
        for rows in wanted[1:]:
            np.asarray(opened.states[rows])
        return first

    return read


def peer_of(path: Path, ours: Path, wanted: np.ndarray) -> Callable[[], np.ndarray]:
    """The file is opened for each row."""
    opened = open_regions(ours)

    def read() -> np.ndarray:
        found = []
        for row in wanted:
            with h5py.File(path, "r") as file:
                found.append(file["states"][opened.row_sample[row], opened.row_region[row]])
        return np.stack(found)

    return read


def loader_of(path: Path, batches: int) -> Callable[[], None]:
    """Training batches as the model takes them: drawn, read, with tables and hidden CpGs."""
    opened: Regions = open_regions(path)
    samples = np.arange(len(opened.samples))
    bags = TrainingBags(
        ReadMaker(opened, places="cpgs", use_dna=True),
        BalancedSampler(opened, samples),
        fit_tables(opened, samples, folds=2, donor_correlation=0.02),
        bag_reads=BAG_READS,
        cpg_dropout=0.05,
    )
    size = BATCH_ROWS // BAG_READS

    def load() -> None:
        for number in range(batches):
            bags.fetch(np.arange(number * size, (number + 1) * size), seed=0, epoch=0)

    return load


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
    reset_peak()
    before = peak_since_reset_gb() or 0.0
    write_ours(path, samples=samples, regions=regions)
    pipe.send((peak_since_reset_gb() or 0.0) - before)
