"""The simulator's samples as the files that a user would have: .pat.gz, a sheet, a panel, an atlas and a genome."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from ml_core.families.tissuebert.simulate import Simulated
from ml_core.families.tissuebert.simulated_genome import as_fasta
from ml_core.families.tissuebert.simulated_reads import Patterns

LEVEL = 4


def write(simulated: Simulated, directory: Path) -> dict[str, str]:
    """Canonical name -> file; equal bytes for equal settings. truth.npz, which no stage reads, has the class shares."""
    files = {"samples": "samples.tsv", "atlas": "atlas.tsv"}
    samples = simulated.samples.assign(file=[f"{name}.pat.gz" for name in simulated.samples["name"]])
    columns = ["file", "name", "donor", "tissue", "group", "coverage", "synthetic"]
    samples[columns].to_csv(directory / files["samples"], sep="\t", index=False)
    _write_atlas(simulated, directory / files["atlas"])
    if simulated.genome is not None:
        files |= {"fasta": "genome.fa", "panel": "panel.bed"}
        (directory / files["fasta"]).write_bytes(as_fasta(simulated.genome))
        panel = simulated.regions[["chromosome", "start", "end", "start_cpg", "end_cpg"]]
        panel.to_csv(directory / files["panel"], sep="\t", index=False, header=False)
    chromosomes = _chromosomes(simulated)
    for number, (name, patterns) in enumerate(simulated.reads(), 1):
        files[f"files_{number}"] = f"{name}.pat.gz"
        write_pat(directory / f"{name}.pat.gz", patterns, chromosomes=chromosomes)
    np.savez(directory / "truth.npz", fractions=simulated.atlas.fractions)
    return files | {"truth": "truth.npz"}


def write_pat(path: Path, patterns: Patterns, *, chromosomes: tuple[np.ndarray, np.ndarray]) -> None:
    """A .pat.gz of the fragments; chromosomes: (first CpG number of each, ascending, and their names)."""
    firsts, names = chromosomes
    chromosome = names[np.searchsorted(firsts, patterns.start_cpg, side="right") - 1]
    lines = [
        b"%s\t%d\t%s\t%d\n" % each
        for each in zip(chromosome, patterns.start_cpg.tolist(), patterns.pattern, patterns.count.tolist(), strict=True)
    ]
    with path.open("wb") as raw, gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as file:
        file.write(b"".join(lines))


def _chromosomes(simulated: Simulated) -> tuple[np.ndarray, np.ndarray]:
    first = simulated.regions.sort_values("start_cpg").drop_duplicates("chromosome")
    return first["start_cpg"].to_numpy(), np.array([name.encode() for name in first["chromosome"]], object)


def _write_atlas(simulated: Simulated, path: Path) -> None:
    """The true shares of unmethylated fragments, in the columns of a published atlas."""
    regions = simulated.regions
    table = regions[["chromosome", "start", "end", "start_cpg", "end_cpg", "target"]].copy()
    table.columns = ["chr", "start", "end", "startCpG", "endCpG", "target"]
    table["name"] = regions["chromosome"] + ":" + regions["start"].astype(str) + "-" + regions["end"].astype(str)
    table["direction"] = regions["direction"]
    for number, tissue in enumerate(simulated.atlas.tissues["name"]):
        table[tissue] = simulated.atlas.fractions[:, number, 0].round(4)
    table.to_csv(path, sep="\t", index=False)
