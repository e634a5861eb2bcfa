"""One sample in four formats gives the same counts, and a file of another build says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.panel_data import Panel
from ml_core.families.tissuebert.samples import kind_of, read_sample
from tests.unit.families.tissuebert.small_panel import BED3, CPGS, panel_of, pat

ROWS = ("chr1\t1\tCCCT\t2", "chr1\t4\tTTTCCCC\t1", "chr1\t7\tC.TC\t3", "chr2\t12\tTTTTT\t4", "chr2\t14\tCCC\t1")


def counts_of_rows() -> tuple[np.ndarray, np.ndarray]:
    """(methylated, covered) by CpG number of the rows above."""
    meth, cov = np.zeros(16, int), np.zeros(16, int)
    for row in ROWS:
        _, start, pattern, count = row.split("\t")
        for at, letter in enumerate(pattern, int(start) - 1):
            meth[at] += int(count) * (letter == "C")
            cov[at] += int(count) * (letter != ".")
    return meth, cov


def sample(path: Path, panel: Panel, *, min_observed: int = 2) -> tuple[list[int], list[int], list[int]]:
    rows = read_sample(path, panel=panel, min_observed=min_observed)
    regions, counts = len(panel), np.asarray(rows.count)
    sums = (np.bincount(rows.region, counts * values, regions).astype(int) for values in (rows.n_meth, rows.n_cov))
    meth, cov = sums
    return rows.region.tolist(), meth.tolist(), cov.tolist()


def test_reads_and_counts_of_one_sample_agree(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, bed=BED3)
    meth, cov = counts_of_rows()
    _, *of_pat = sample(pat(tmp_path / "a.pat.gz", *ROWS), panel, min_observed=1)
    (tmp_path / "a.beta").write_bytes(np.stack([meth, cov], axis=1).astype(np.uint8).tobytes())
    _, *of_beta = sample(tmp_path / "a.beta", panel)
    lines, number = [], 0
    for chromosome, places in CPGS.items():
        for place in places:
            unmeth = cov[number] - meth[number]
            lines.append(f"{chromosome}\t{place}\t{place + 1}\t0\t{meth[number]}\t{unmeth}\n")
            number += 1
    (tmp_path / "a.bedgraph").write_text("".join(lines))
    _, *of_bedgraph = sample(tmp_path / "a.bedgraph", panel)
    assert of_pat == of_beta == of_bedgraph
    first = slice(1, 6)
    assert (of_pat[0][0], of_pat[1][0]) == (meth[first].sum(), cov[first].sum())
    assert [kind_of(Path(name)) for name in ("a.pat.gz", "a.beta", "a.bed", "a.bam")] == [
        "reads",
        "counts",
        "counts",
        "reads",
    ]


def test_the_numbers_of_a_bed5_and_of_the_genome_agree(tmp_path: Path) -> None:
    path = pat(tmp_path / "a.pat.gz", *ROWS)
    assert sample(path, panel_of(tmp_path / "a")) == sample(path, panel_of(tmp_path / "b", bed=BED3))


FAULTS = {
    "index out of range": (
        "chr2\t15\tCCC\t1",
        "row 2 has CpG 17, but there are 16 .build tiny1., expected files of one",
    ),
    "another chromosome": ("chr2\t3\tCCC\t1", "row 2 has CpG 3 on chr2, in the panel .build tiny1. it is on chr1"),
    "without chr": ("1\t3\tCCC\t1", "has '1' where the others have 'chr1', expected chromosome names of one kind"),
}


@pytest.mark.parametrize(("row", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_reads_of_another_build_are_refused(tmp_path: Path, row: str, said: str) -> None:
    panel = panel_of(tmp_path, bed=BED3)
    with pytest.raises(UserError, match=said):
        read_sample(pat(tmp_path / "a.pat.gz", "chr1\t1\tCCCT\t2", row), panel=panel, min_observed=1)


def test_a_sample_with_nothing_on_the_panel_is_refused(tmp_path: Path) -> None:
    panel = panel_of(tmp_path)
    with pytest.raises(UserError, match=r"has no read with 3 CpGs in any of the panel's 3 regions \(build tiny1\)"):
        read_sample(pat(tmp_path / "a.pat.gz", "chr1\t1\tCC\t2"), panel=panel, min_observed=3)
    with pytest.raises(UserError, match=r"has no chromosome 'chr1' \(it has chrX\)"):
        read_sample(pat(tmp_path / "a.pat.gz", "chrX\t1\tCC\t2"), panel=panel, min_observed=3)


def test_a_beta_of_another_genome_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.beta").write_bytes(bytes(2 * 15))
    for source, needs in (("fasta", "needs 16"), ("none", "needs at least 16")):
        panel = panel_of(tmp_path / source, sequence_source=source)
        with pytest.raises(UserError, match=rf"has 15 CpGs, the panel \(build tiny1\) {needs}"):
            read_sample(tmp_path / "a.beta", panel=panel, min_observed=1)


def test_counts_by_position_need_a_genome_and_its_chromosomes(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("1\t500\t501\t0\t3\t1\n")
    with pytest.raises(UserError, match="has '1' where the others have 'chr1'"):
        read_sample(tmp_path / "a.bed", panel=panel_of(tmp_path), min_observed=1)
    with pytest.raises(
        UserError, match="gives CpGs by position, which the panel does not know with sequence_source=none"
    ):
        read_sample(tmp_path / "a.bed", panel=panel_of(tmp_path, sequence_source="none"), min_observed=1)


def test_numbers_need_a_panel_that_has_them(tmp_path: Path) -> None:
    panel = panel_of(tmp_path)
    without = dataclasses.replace(panel, regions=panel.regions.assign(start_cpg=0, end_cpg=0))
    with pytest.raises(UserError, match="gives CpGs by number, which the panel does not have"):
        read_sample(pat(tmp_path / "a.pat.gz", *ROWS), panel=without, min_observed=1)


def test_without_dna_and_with_another_s_the_reads_are_the_same(tmp_path: Path) -> None:
    path = pat(tmp_path / "a.pat.gz", *ROWS)
    own = sample(path, panel_of(tmp_path / "own"))
    assert own == sample(path, panel_of(tmp_path / "none", sequence_source="none"))
    letters = np.random.default_rng(1).choice(list("ACGT"), 60_000, p=[0.35, 0.15, 0.15, 0.35])
    other = panel_of(tmp_path / "other", genome=">x\n" + "".join(letters) + "\n", sequence_source="surrogate")
    assert own == sample(path, other)
