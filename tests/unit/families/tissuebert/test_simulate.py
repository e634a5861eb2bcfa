"""Simulated reads are those of their tissue, donors differ, CpGs of a fragment agree, and files say what was drawn."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_core.families.tissuebert.cpg_index import index_genome
from ml_core.families.tissuebert.readers.fasta import Fasta
from ml_core.families.tissuebert.settings import RawSettings
from ml_core.families.tissuebert.simulate import simulate
from ml_core.families.tissuebert.simulated_files import write
from ml_core.families.tissuebert.simulated_reads import (
    Layout,
    Patterns,
    as_patterns,
    chains,
    donor_fractions,
    draw_fragments,
    thinned,
)

SMALL = {"regions": 24, "tissues": 5, "donors": 3, "depth": 6.0}


def small(**changes: object) -> RawSettings:
    return RawSettings(**{**SMALL, **changes})


def test_22_tissues_with_blood_at_27_percent_and_several_donors_of_each() -> None:
    samples = simulate(RawSettings(regions=10)).samples
    share = samples["tissue"].value_counts(normalize=True)
    assert len(share) == 22
    assert share["blood"] == pytest.approx(0.27, abs=0.01)
    assert samples.groupby("tissue")["donor"].nunique().min() == 6
    assert not samples["name"].duplicated().any()


def test_regions_carry_numbers_and_places_of_the_genome(tmp_path: Path) -> None:
    made = simulate(small())
    files = write(made, tmp_path)
    index = index_genome(Fasta(tmp_path / files["fasta"]))
    for region, n_cpg in zip(made.regions.itertuples(), made.layout.n_cpg, strict=True):
        first, places = index.within(region.chromosome, region.start - 1, region.end)
        assert first == region.start_cpg
        assert len(places) == n_cpg == region.end_cpg - region.start_cpg
        assert 5 <= n_cpg <= 14
        assert places[0] == region.start - 1


def test_equal_settings_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        write(simulate(small(seed=seed)), tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert (tmp_path / "a" / "genome.fa").read_bytes() != (tmp_path / "c" / "genome.fa").read_bytes()


def test_a_marker_is_unmethylated_in_its_target_and_not_elsewhere() -> None:
    atlas = simulate(small(regions=200)).atlas
    names = atlas.tissues["name"].tolist()
    of_target = np.array([names.index(each) if each else -1 for each in atlas.target])
    for letter, kind in (("U", 0), ("M", 2)):
        markers = np.flatnonzero(atlas.direction == letter)
        own = atlas.fractions[markers, of_target[markers], kind]
        others = (atlas.fractions[markers, :, kind].sum(axis=1) - own) / (len(names) - 1)
        assert own.mean() > 0.75
        assert others.mean() < 0.35
    plain = atlas.fractions[atlas.target == "", :, 0]
    assert plain.std(axis=1).mean() < 0.1
    np.testing.assert_allclose(atlas.fractions.sum(axis=2), 1)


def test_two_tissues_are_hard_to_tell_apart_and_others_are_not() -> None:
    atlas = simulate(RawSettings(regions=400)).atlas
    share = pd.DataFrame(atlas.fractions[:, :, 0], columns=atlas.tissues["name"])
    apart = np.sqrt(((share.to_numpy()[:, :, None] - share.to_numpy()[:, None, :]) ** 2).sum(axis=0))
    np.fill_diagonal(apart, np.inf)
    names = share.columns
    one, other = np.unravel_index(apart.argmin(), apart.shape)
    assert {names[one], names[other]} == {"colon", "small_intestine"}
    assert apart.min() < 0.7 * np.sort(apart.ravel())[2]


def test_donors_vary_about_their_tissue_as_a_beta_binomial_does() -> None:
    fractions = np.tile([0.3, 0.1, 0.6], (20_000, 1))
    shares = donor_fractions(fractions, concentration=30.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(shares.mean(axis=0), fractions[0], atol=0.005)
    expected = fractions[0] * (1 - fractions[0]) / 31
    np.testing.assert_allclose(shares.var(axis=0), expected, rtol=0.05)


def test_neighbouring_cpgs_of_a_fragment_agree_and_the_more_the_nearer() -> None:
    rng = np.random.default_rng(0)
    kind = np.ones(40_000, int)  # mixed fragments: where independent CpGs would differ most

    def agreement(distance: int, reach_bp: float) -> float:
        positions = np.tile(np.array([0, distance]), (len(kind), 1))
        states = chains(kind, positions=positions, reach_bp=reach_bp, rng=rng)
        return float((states[:, 0] == states[:, 1]).mean())

    near, far, never = agreement(10, 100.0), agreement(100, 100.0), agreement(10, 1e-6)
    fresh = never
    assert near == pytest.approx(np.exp(-0.1) + (1 - np.exp(-0.1)) * fresh, abs=0.01)
    assert far == pytest.approx(np.exp(-1) + (1 - np.exp(-1)) * fresh, abs=0.01)
    assert fresh > 0.55  # they share the fragment's own chance even then


def test_fragments_are_as_deep_and_as_methylated_as_they_were_asked_to_be() -> None:
    layout = Layout.of([np.array([0, 30, 60, 90])] * 300, start_cpg=np.arange(300) * 10 + 1)
    shares = np.tile([0.7, 0.0, 0.3], (300, 1))
    found = draw_fragments(shares, layout=layout, depth=20, settings=small(), rng=np.random.default_rng(0))
    assert found.count.sum() == pytest.approx(300 * 20, rel=0.05)
    letters = b"".join(pattern * count for pattern, count in zip(found.pattern, found.count.tolist(), strict=True))
    assert letters.count(b"C") / len(letters) == pytest.approx(0.7 / 15 + 0.3 * 14 / 15, abs=0.03)
    assert set(letters) == set(b"CT")
    lengths = np.array([len(each) for each in found.pattern])
    assert set(lengths) == {1, 2, 3, 4}  # fragments begin anywhere, so that many cover a part
    assert (found.start_cpg % 10 + lengths <= 5).all()


def test_patterns_begin_and_end_with_a_covered_cpg_and_alike_ones_are_counted() -> None:
    layout = Layout.of([np.array([0, 5, 9])] * 2, start_cpg=np.array([11, 31]))
    covered = np.array([[0, 1, 1], [0, 1, 1], [1, 0, 1], [1, 0, 0]], bool)
    methylated = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], bool)
    found = as_patterns(np.array([0, 0, 1, 1]), covered=covered, methylated=methylated, layout=layout)
    assert found.start_cpg.tolist() == [12, 31, 31]
    assert found.pattern.tolist() == [b"CT", b"C", b"T.C"]
    assert found.count.tolist() == [2, 1, 1]


def test_wide_patterns_are_counted_and_sorted_as_bytes_are() -> None:
    rng = np.random.default_rng(0)
    layout = Layout.of([np.arange(0, 225, 5)] * 2, start_cpg=np.array([1, 51]))
    region = np.sort(rng.integers(0, 2, 400))
    covered = np.ones((400, 45), bool)
    covered[:, 40:] = rng.random((400, 5)) < 0.5
    methylated = np.repeat(rng.random((400, 3)) < 0.5, 15, axis=1)
    found = as_patterns(region, covered=covered, methylated=methylated, layout=layout)
    pairs = list(zip(found.start_cpg.tolist(), found.pattern.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert found.count.sum() == 400
    assert found.count.max() > 1


def test_blood_is_deeper_so_that_mixtures_find_enough_of_it() -> None:
    made = simulate(small(depth=10.0, blood_deeper=3.0))
    reads = {name: patterns.count.sum() for name, patterns in made.reads()}
    tissue = made.samples.set_index("name")["tissue"]
    blood, other = (np.mean([reads[name] for name in reads if (tissue[name] == "blood") == own]) for own in (1, 0))
    assert blood / other == pytest.approx(3, rel=0.1)


def test_copies_are_part_of_their_donor_s_reads(tmp_path: Path) -> None:
    made = simulate(small(copies=1))
    reads = dict(made.reads())
    copies = made.samples[made.samples["synthetic"]]
    assert len(copies) * 2 == len(made.samples)
    for name, donor in zip(copies["name"], copies["donor"], strict=True):
        assert as_counts(reads[name]).keys() <= as_counts(reads[donor]).keys()
        assert all(count <= as_counts(reads[donor])[key] for key, count in as_counts(reads[name]).items())
    total = sum(reads[name].count.sum() for name in copies["name"])
    assert total == pytest.approx(sum(reads[name].count.sum() for name in copies["donor"]) / 2, rel=0.05)


def as_counts(patterns: Patterns) -> dict[tuple[int, bytes], int]:
    starts, counts = patterns.start_cpg.tolist(), patterns.count.tolist()
    return dict(zip(zip(starts, patterns.pattern.tolist(), strict=True), counts, strict=True))


def test_nothing_is_left_of_a_sample_thinned_to_nothing() -> None:
    patterns = Patterns(np.array([3]), np.array([b"CT"]), np.array([9]))
    assert len(thinned(patterns, share=0.0, rng=np.random.default_rng(0)).count) == 0


def test_files_of_the_sheet_are_there_and_hold_the_reads(tmp_path: Path) -> None:
    made = simulate(small())
    files = write(made, tmp_path)
    sheet = pd.read_csv(tmp_path / files["samples"], sep="\t")
    for name, file, reads in zip(sheet["name"], sheet["file"], made.reads(), strict=True):
        lines = gzip.decompress((tmp_path / file).read_bytes()).decode().splitlines()
        assert reads[0] == name
        found = {tuple(line.split("\t")[1:3]): int(line.split("\t")[3]) for line in lines}
        assert found == {(str(start), text.decode()): n for (start, text), n in as_counts(reads[1]).items()}
        assert {line.split("\t")[0] for line in lines} == {"chr1", "chr2"}


def test_an_atlas_file_gives_the_tissues_and_their_shares(tmp_path: Path) -> None:
    path = tmp_path / "atlas.tsv"
    head = "chr\tstart\tend\tstartCpG\tendCpG\ttarget\tname\tdirection\tA\tB\tC\n"
    rows = [
        f"chr7\t{1000 * k}\t{1000 * k + 90}\t{50 * k}\t{50 * k + 6}\tA\tm{k}\tU\t0.9\t0.1\tNA\n" for k in range(1, 40)
    ]
    path.write_text(head + "".join(rows))
    made = simulate(RawSettings(atlas=str(path), donors=2, depth=20))
    assert made.genome is None
    assert made.samples["tissue"].unique().tolist() == ["A", "B", "C"]
    share = {}
    for name, patterns in made.reads():
        long = np.char.str_len(patterns.pattern) >= 4
        low = np.char.count(patterns.pattern, b"C") <= 0.25 * np.char.str_len(patterns.pattern)
        share[name[0]] = patterns.count[long & low].sum() / patterns.count[long].sum()
    assert share["A"] == pytest.approx(0.9, abs=0.08)
    assert share["B"] == pytest.approx(0.1, abs=0.08)
    assert share["C"] == pytest.approx(0.5, abs=0.1)  # not known: as the others are
    assert write(made, tmp_path)["atlas"] == "atlas.tsv"
