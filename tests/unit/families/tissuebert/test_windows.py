"""Windows hold their CpGs at the places that the genome has, none twice, and files of two builds do not go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.fasta import Fasta
from ml_core.families.tissuebert.readers.panel import read_bed
from ml_core.families.tissuebert.regions_file import NO_PLACE
from ml_core.families.tissuebert.surrogate import with_surrogates
from ml_core.families.tissuebert.tokens import WINDOW_BP, cpg_places
from ml_core.families.tissuebert.windows import Windows, cut, runs
from tests.unit.families.tissuebert.small_panel import BED3, BED5, CPGS, fasta


def windows(folder: Path, *, bed: str, genome: str | None = "", min_cpgs: int = 4) -> Windows:
    (folder / "p.bed").write_text(bed)
    if genome is not None:
        (folder / "g.fa").write_text(genome or fasta())
    return cut(
        read_bed(folder / "p.bed"), fasta=Fasta(folder / "g.fa") if genome is not None else None, min_cpgs=min_cpgs
    )


def of_genome(found: Windows) -> list[list[int]]:
    """Positions of each window's CpGs on its chromosome."""
    return [
        (start + places[places != NO_PLACE].astype(int)).tolist()
        for start, places in zip(found.frame["start"], found.cpg_position, strict=True)
    ]


@pytest.mark.parametrize("bed", [BED5, BED3, BED5.replace("\t501\t", "\t500\t")], ids=["BED5", "BED3", "0-based"])
def test_cpgs_stand_where_the_genome_has_them(tmp_path: Path, bed: str) -> None:
    found = windows(tmp_path, bed=bed)
    assert of_genome(found) == [CPGS["chr1"][1:6], CPGS["chr1"][6:10], CPGS["chr2"]]
    assert found.frame["start_cpg"].tolist() == [2, 7, 12]
    assert found.frame["end_cpg"].tolist() == [7, 11, 17]
    assert found.n_cpg.tolist() == [5, 4, 5]
    places = cpg_places(found.letters)
    for row, position in zip(places, found.cpg_position, strict=True):
        assert np.flatnonzero(row).tolist() == position[position != NO_PLACE].tolist()
    assert found.cpgs == 16


def test_numbers_of_a_whole_genome_are_kept_where_the_fasta_is_a_part_of_it(tmp_path: Path) -> None:
    found = windows(tmp_path, bed="chr2\t301\t401\t12\t17\n", genome=fasta(("chr2",)))
    assert (found.frame["start_cpg"].tolist(), found.cpgs) == ([12], 0)


def test_windows_are_centred_on_their_cpgs(tmp_path: Path) -> None:
    found = windows(tmp_path, bed=BED5)
    for places in found.cpg_position:
        places = places[places != NO_PLACE].astype(int)
        assert abs(places[0] - (WINDOW_BP - 2 - places[-1])) <= 1


def test_near_the_end_of_a_chromosome_windows_move_inside(tmp_path: Path) -> None:
    found = windows(tmp_path, bed="chr1\t40\t620\nchr1\t1090\t1300\n", min_cpgs=1)
    assert found.frame["start"].min() == 0
    letters = "A" * 140 + "CG"
    found = windows(tmp_path, bed="chr3\t10\t152\n", genome=f">chr3\n{'T' * 10}{letters}\n", min_cpgs=1)
    assert found.frame["end"].tolist() == [152]


def test_long_regions_are_cut_and_cpgs_that_two_share_go_to_the_first(tmp_path: Path) -> None:
    found = windows(tmp_path, bed="chr1\t0\t1300\nchr1\t480\t620\nchr2\t310\t345\nchr2\t310\t401\n", min_cpgs=2)
    expected = [CPGS["chr1"][1:6], CPGS["chr1"][6:10], CPGS["chr2"][1:3], CPGS["chr2"][3:5]]
    assert of_genome(found) == expected
    assert found.frame["start_cpg"].tolist() == [2, 7, 13, 15]
    assert found.frame["block"].tolist() == ["chr1:0-1300", "chr1:0-1300", "chr2:310-345", "chr2:310-401"]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True))
def test_runs_are_whole_and_as_long_as_they_can_be(places: list[int]) -> None:
    positions = np.array(sorted(places))
    found = runs(positions)
    assert [low for low, _ in found[1:]] == [high for _, high in found[:-1]]
    assert (found[0][0], found[-1][1]) == (0, len(positions))
    for low, high in found:
        assert positions[high - 1] + 2 - positions[low] <= WINDOW_BP
        assert high == len(positions) or positions[high] + 2 - positions[low] > WINDOW_BP


def test_without_a_genome_cpgs_lie_at_equal_distances(tmp_path: Path) -> None:
    found = windows(tmp_path, bed=BED5, genome=None)
    assert found.n_cpg.tolist() == [5, 4, 5]
    assert of_genome(found)[2] == [300, 324, 349, 374, 399]
    assert set(found.letters.ravel()) == {ord("N")}


@given(seed=st.integers(0, 50))
@hypothesis_settings(max_examples=10, deadline=None)
def test_surrogates_have_as_many_cpgs_and_places_of_their_own(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("surrogate")
    letters = np.random.default_rng(seed).choice(list("ACGT"), 30_000, p=[0.35, 0.15, 0.15, 0.35])
    (folder / "other.fa").write_text(">x\n" + "".join(letters) + "\n")
    own = windows(folder, bed=BED5, genome=None)
    found = with_surrogates(own, fasta=Fasta(folder / "other.fa"), seed=seed)
    assert found.n_cpg.tolist() == own.n_cpg.tolist()
    assert found.frame.equals(own.frame)
    places = cpg_places(found.letters)
    for row, position in zip(places, found.cpg_position, strict=True):
        assert row[position[position != NO_PLACE]].all()
    assert len({each.tobytes() for each in found.letters}) == len(found)


def test_too_few_surrogates_are_told(tmp_path: Path) -> None:
    own = windows(tmp_path, bed=BED5, genome=None)
    (tmp_path / "poor.fa").write_text(">x\n" + "A" * 400 + "\n")
    with pytest.raises(UserError, match="has 0 windows of 150 bp with 4 CpGs, expected at least 1"):
        with_surrogates(own, fasta=Fasta(tmp_path / "poor.fa"), seed=0)


FAULTS = {
    "another build": (
        BED5.replace("501", "503"),
        fasta(),
        "chr1:503-592 begins with a CpG and has 5 CpGs, which is not",
    ),
    "other numbers": (BED5.replace("2\t7\n", "2\t9\n", 1), fasta(), "has 7 CpGs, which is not so in"),
    "without chr": (BED5, fasta(("1", "2")), "has '1' where the others have 'chr1'"),
    "with chr": (BED3.replace("chr", ""), fasta(), "has 'chr1' where the others have '1'"),
    "another chromosome": (BED3 + "chr9\t1\t99\n", fasta(), r"has no chromosome 'chr9' \(it has chr1, chr2\)"),
    "too short": (
        BED3 + "chr2\t600\t800\n",
        fasta(),
        "has chr2:0-700, but chr2:600-800 is asked for, expected a FASTA as",
    ),
    "no CpGs": ("chr1\t100\t300\n", fasta(), "none of its 1 regions has 4 CpGs within 150 bp"),
    "no numbers, no genome": (BED3, None, "has no CpG numbers .* and there is no genome to count in"),
}


@pytest.mark.parametrize(("bed", "genome", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_panel_and_genome_that_do_not_go_together_are_refused(
    tmp_path: Path, bed: str, genome: str | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        windows(tmp_path, bed=bed, genome=genome)
