"""A genome of three clusters of CpGs, its panel, and files of reads on it, for tests."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from ml_core.families.tissuebert.panel import candidate_panel
from ml_core.families.tissuebert.panel_data import Panel
from ml_core.families.tissuebert.raw_files import RawFiles
from ml_core.families.tissuebert.settings import PanelSettings

# 0-based positions of the C of each CpG; those of chr1 have the numbers 1 to 11, those of chr2 12 to 16
CPGS = {"chr1": [50, 500, 510, 530, 560, 590, 900, 910, 915, 940, 1100], "chr2": [300, 320, 340, 350, 399]}
LENGTHS = {"chr1": 1300, "chr2": 700}
BED5 = "chr1\t501\t592\t2\t7\nchr1\t901\t942\t7\t11\nchr2\t301\t401\t12\t17\n"
BED3 = "chr1\t480\t620\nchr1\t890\t950\nchr2\t300\t401\n"


def sequence(chromosome: str) -> str:
    letters = np.random.default_rng(len(chromosome)).choice(list("ACT"), LENGTHS[chromosome])
    for place in CPGS[chromosome]:
        letters[place : place + 2] = ["C", "G"]
    return "".join(letters)


def fasta(names: tuple[str, ...] = ("chr1", "chr2"), *, width: int = 60) -> str:
    parts = []
    for name in names:
        text = sequence(name if name.startswith("chr") else f"chr{name}")
        parts.append(
            f">{name} made for tests\n" + "\n".join(text[at : at + width] for at in range(0, len(text), width))
        )
    return "\n".join(parts) + "\n"


def pat(path: Path, *rows: str) -> Path:
    path.write_bytes(gzip.compress("".join(f"{row}\n" for row in rows).encode()))
    return path


def panel_of(folder: Path, *, bed: str = BED5, genome: str | None = None, **settings: object) -> Panel:
    """The candidate panel of these files and one sample's sheet."""
    folder.mkdir(exist_ok=True)
    files = {"samples": folder / "samples.tsv", "panel": folder / "panel.bed", "fasta": folder / "genome.fa"}
    files["samples"].write_text("file\tdonor\ttissue\na.pat.gz\td1\tliver\n")
    files["panel"].write_text(bed)
    files["fasta"].write_text(genome or fasta())
    raw = RawFiles(files, {"a.pat.gz": folder / "a.pat.gz"}, "tiny1")
    return candidate_panel(raw, settings=PanelSettings(**settings))
