"""UniFrac of this family beside scikit-bio's: CPU time, largest difference, memory.

    python -m ml_core.families.sequence.bench.unifrac               500 samples beside scikit-bio, then 2,537 x 5,574
    python -m ml_core.families.sequence.bench.unifrac --table DIR   the artifact of a finished table stage

One thread. Samples of the simulated table have about 110 ASVs each, as UDCA's have at 2,000 reads. Memory is what the
computation adds to the peak of a process of its own, the matrix included.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ml_core.families.sequence.data import Tree, load_table
from ml_core.families.sequence.peer import as_scikit_bio, unifrac_of_scikit_bio
from ml_core.families.sequence.phylogeny import shear
from ml_core.families.sequence.settings import RawSettings, UnifracSettings
from ml_core.families.sequence.simulated_tree import evolve
from ml_core.families.sequence.unifrac import Metric, within

ASVS_PER_SAMPLE = 110
MOST_READS_OF_AN_ASV = 100
METRICS: tuple[Metric, ...] = ("unweighted", "weighted_normalized")
Problem = tuple[sparse.csr_matrix, Tree]


def simulated(samples: int, asvs: int) -> Problem:
    """A tree of the simulator and samples that have ASVs at random."""
    rng = np.random.default_rng(0)
    phylogeny = evolve(RawSettings(asvs=asvs, length_bp=40), rng=rng).phylogeny
    row = np.repeat(np.arange(samples), ASVS_PER_SAMPLE)
    column = rng.integers(asvs, size=len(row))
    reads = rng.integers(1, MOST_READS_OF_AN_ASV, size=len(row)).astype(np.int32)
    counts = sparse.csr_matrix((reads, (row, column)), (samples, asvs), dtype=np.int32)
    return counts, shear(phylogeny, phylogeny.tips)


def ours(counts: sparse.csr_matrix, tree: Tree, metric: Metric) -> np.ndarray:
    return within(counts, tree=tree, metric=metric, block_samples=UnifracSettings().block_samples)


def cpu_seconds(work: Callable[..., np.ndarray], *arguments: Any) -> tuple[float, np.ndarray]:
    started = time.process_time()
    result = work(*arguments)
    return time.process_time() - started, result


def peak_gb() -> float:
    """Highest resident memory of this process since the last reset (Linux)."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def _grown(problem: Problem, metric: Metric, peer: bool, pipe: Any) -> None:
    counts, tree = problem
    dense, their_tree = (counts.toarray(), as_scikit_bio(tree)) if peer else (None, None)
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = peak_gb()
    if dense is not None and their_tree is not None:
        unifrac_of_scikit_bio(dense, their_tree, metric)
    else:
        ours(counts, tree, metric)
    pipe.send(peak_gb() - before)


def memory_gb(problem: Problem, metric: Metric, *, peer: bool) -> float:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_grown, args=(problem, metric, peer, there))
    process.start()
    grown: float = here.recv()
    process.join()
    return grown


def beside_scikit_bio(problem: Problem, *, rounds: int) -> None:
    counts, tree = problem
    dense, their_tree = counts.toarray(), as_scikit_bio(tree)
    print(f"{counts.shape[0]:,} samples, {counts.shape[1]:,} ASVs, medians of {rounds} rounds, one thread")
    print(
        f"{'metric':22}{'ours CPU-s':>12}{'scikit-bio':>12}{'ratio':>8}{'difference':>12}{'ours GB':>10}"
        f"{'theirs GB':>11}"
    )
    for metric in METRICS:
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(rounds):
            mine, found = cpu_seconds(ours, counts, tree, metric)
            other, expected = cpu_seconds(unifrac_of_scikit_bio, dense, their_tree, metric)
            seconds["ours"].append(mine)
            seconds["theirs"].append(other)
        mine, other = (statistics.median(each) for each in seconds.values())
        apart = float(np.abs(found - expected).max())
        memory = [memory_gb(problem, metric, peer=peer) for peer in (False, True)]
        print(
            f"{metric:22}{mine:12.3f}{other:12.3f}{other / mine:8.1f}{apart:12.1e}{memory[0]:10.3f}{memory[1]:11.3f}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500, help="beside scikit-bio (%(default)s)")
    parser.add_argument("--asvs", type=int, default=5574, help="of both simulated tables (%(default)s)")
    parser.add_argument("--large", type=int, default=2537, help="samples without scikit-bio, 0 for none (%(default)s)")
    parser.add_argument("--table", type=Path, help="artifact of a table stage instead of simulated tables")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.table:
        table = load_table(options.table)
        beside_scikit_bio((table.counts[: options.samples], table.tree), rounds=options.rounds)
        large = (table.counts, table.tree)
    else:
        beside_scikit_bio(simulated(options.samples, options.asvs), rounds=options.rounds)
        large = simulated(max(options.large, 1), options.asvs)
    for metric in METRICS if options.large else ():
        seconds, _ = cpu_seconds(ours, *large, metric)
        shape = f"{large[0].shape[0]:,} x {large[0].shape[1]:,}"
        print(f"{shape}, {metric}: {seconds:.2f} CPU-s, {memory_gb(large, metric, peer=False):.3f} GB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
