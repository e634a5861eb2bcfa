"""The simulator is the same for the same settings, and what it plants can be found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.families.sequence.settings import RawSettings
from ml_core.families.sequence.simulate import Simulated, simulate
from ml_core.families.sequence.simulated_files import write
from ml_core.families.sequence.unifrac import within
from tests.unit.families.sequence.planted import table_of

SMALL = {"subjects": 10, "samples_per_subject": 6, "extra_samples": 7, "asvs": 80, "clades": 8, "reads": 1500}


def small(**settings: object) -> Simulated:
    return simulate(RawSettings(**{**SMALL, **settings}))


def test_equal_settings_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    written = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = write(small(seed=seed), folder)
        written.append({name: (folder / file).read_bytes() for name, file in files.items()})
    assert written[0] == written[1]
    assert all(written[0][name] != written[2][name] for name in written[0])


def test_the_files_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    made = small()
    files = write(made, tmp_path)
    found, account = table_of({name: tmp_path / file for name, file in files.items() if name != "truth"})
    assert account.samples_left_out == []
    assert account.tree["tips"] == len(made.sequences)
    place = {sequence: at for at, sequence in enumerate(made.sequences)}
    columns = [place[sequence] for sequence in found.sequences]
    assert made.extra is not None
    np.testing.assert_array_equal(
        found.whole.toarray(), np.concatenate([made.main.counts, made.extra.counts])[:, columns]
    )
    np.testing.assert_array_equal(found.metadata["trait"][:60], made.main.metadata["trait"])
    assert not set(made.main.metadata["subject"]) & set(made.extra.metadata["subject"])


def test_sequences_differ_and_relatives_are_alike(tmp_path: Path) -> None:
    made = small(chimera_share=0, n_share=0)
    assert len(set(made.sequences)) == len(made.sequences) == 80
    letters = np.array([list(sequence) for sequence in made.sequences])
    apart = (letters[:, None] != letters).mean(axis=2)
    tips = {name: tip for tip, name in zip(made.phylogeny.tips, made.phylogeny.names[made.phylogeny.tips], strict=True)}
    depth, parent = made.phylogeny.depth, made.phylogeny.parent
    on_tree = np.zeros_like(apart)
    for one, first in enumerate(made.sequences):
        for other, second in enumerate(made.sequences):
            a, b = tips[first], tips[second]
            while a != b:
                a, b = (parent[a], b) if a < b else (a, parent[b])
            on_tree[one, other] = depth[tips[first]] + depth[tips[second]] - 2 * depth[a]
    pairs = np.triu_indices(80, 1)
    assert np.corrcoef(apart[pairs], on_tree[pairs])[0, 1] > 0.8
    np.fill_diagonal(apart, 1)
    assert 0.85 < 1 - apart.min(axis=1).mean() < 0.99  # of the nearest relative's letters


def test_chimeras_and_reads_with_n_take_reads_and_add_none() -> None:
    plain, soiled = small(chimera_share=0, n_share=0), small(chimera_share=0.5, n_share=0.5)
    kinds = soiled.truth["kind"].value_counts()
    assert kinds["chimera"] > 3
    assert kinds["n"] > 3
    assert set(plain.truth["kind"]) == {"true"}
    np.testing.assert_array_equal(plain.main.counts.sum(axis=1), soiled.main.counts.sum(axis=1))
    assert (soiled.main.counts >= 0).all()
    with_n = np.array(["N" in sequence for sequence in soiled.sequences])
    np.testing.assert_array_equal(with_n, soiled.truth["kind"] == "n")


@pytest.mark.parametrize(("effect", "found"), [(3.0, True), (0.0, False)])
def test_samples_of_like_trait_are_alike_only_where_the_trait_has_an_effect(effect: float, found: bool) -> None:
    made = small(trait_effect=effect, subject_effect=0, extra_samples=0)
    log_counts = np.log1p(made.main.counts)
    apart = np.linalg.norm(log_counts[:, None] - log_counts, axis=2)
    trait = made.main.metadata["trait"].to_numpy()
    pairs = np.triu_indices(len(trait), 1)
    correlation = np.corrcoef(apart[pairs], np.abs(trait[:, None] - trait)[pairs])[0, 1]
    assert (correlation > 0.3) == found


def test_samples_of_a_subject_are_alike(tmp_path: Path) -> None:
    made = small(trait_effect=0, subject_effect=2.5, extra_samples=0)
    files = write(made, tmp_path)
    table, _ = table_of({name: tmp_path / file for name, file in files.items() if name != "truth"}, depth=200)
    apart = within(table.counts, tree=table.tree, metric="weighted_normalized", block_samples=64)
    subject = table.metadata["subject"].to_numpy()
    same = (subject[:, None] == subject) & ~np.eye(len(subject), dtype=bool)
    assert apart[same].mean() < 0.8 * apart[subject[:, None] != subject].mean()
