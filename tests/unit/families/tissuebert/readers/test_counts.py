""".beta, bedMethyl and bedGraph: counts by CpG, strands summed, and what cannot be is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.bedmethyl import read_bedmethyl
from ml_core.families.tissuebert.readers.beta import read_beta


def test_beta_is_two_bytes_for_each_cpg(tmp_path: Path) -> None:
    (tmp_path / "a.beta").write_bytes(bytes([0, 3, 2, 2, 0, 0]))
    assert read_beta(tmp_path / "a.beta").tolist() == [[0, 3], [2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 bytes, expected counts as .beta"),
        (b"\x01\x02\x03", "has 3 bytes, expected counts as .beta"),
        (b"\x01\x02\x05\x03", "CpG 2 has 5 methylated of 3 reads"),
    ],
)
def test_a_beta_that_cannot_be_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.beta").write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_beta(tmp_path / "a.beta")


def methyl(start: int, *, code: str = "m", strand: str = "+", cov: int = 10, percent: float = 50) -> str:
    cells = ["chr1", start, start + 1, code, 0, strand, start, start + 1, "255,0,0", cov, percent]
    return "\t".join(map(str, cells)) + "\n"


def test_bedmethyl_sums_both_strands_and_takes_5mc_only(tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(
        methyl(100)
        + methyl(101, strand="-", cov=6, percent=100)
        + methyl(200, code="h", cov=90)
        + methyl(200, cov=4, percent=0)
        + methyl(300, cov=0, percent=0)
    )
    assert read_bedmethyl(path).to_numpy().tolist() == [["chr1", 100, 11, 16], ["chr1", 200, 0, 4]]


def test_bedgraph_of_bismark_has_reads_in_its_last_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.cov"
    path.write_text("track type=bedGraph\nchr1\t101\t101\t75\t3\t1\nchr2\t7\t8\t0\t0\t2\n")
    assert read_bedmethyl(path).to_numpy().tolist() == [["chr1", 100, 3, 4], ["chr2", 7, 0, 2]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("chr1\t1\t2\t0.5\n", "row 1 has 4 columns, expected counts as bedMethyl"),
        ("chr1\t9\t2\t75\t3\t1\n", "row 1 is not as expected .it starts at 9 and ends at 2"),
        (methyl(5) + methyl(8, percent=130), "row 2 is not as expected .it has 130.0 % of 10 reads"),
        ("chr1\t1\t2\t75\tthree\t1\n", "row 1 is not as expected"),
        ("chr1\t1\t2\t75\t-3\t1\n", "row 1 is not as expected .it has -3 and 1 reads"),
        ("# nothing\n", "has no CpGs"),
        ("", "is empty"),
    ],
)
def test_a_table_of_counts_that_cannot_be_is_refused_by_row(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.bed").write_text(content)
    with pytest.raises(UserError, match=said):
        read_bedmethyl(tmp_path / "a.bed")


def test_counts_are_whole_reads(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text(methyl(5, cov=3, percent=66.67))
    found = read_bedmethyl(tmp_path / "a.bed")
    assert found["meth"].tolist() == [2]
    assert np.issubdtype(found["meth"].dtype, np.integer)
