"""No label reaches the input, negatives are exact, and a sample is a pure function of (seed, epoch, tile)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_core.families.segger.data import FULL, Graph
from ml_core.families.segger.pairs import PAIR
from ml_core.families.segger.samples import Batch, Negatives, TileSamples, join
from tests.unit.families.segger.tiny import Tiny

VIEW = "0.50"
NUCLEAR = PAIR - 1  # the column that says "in some nucleus"
TILES = np.arange(10)
OF_OWN = ("own", "compared")  # what may follow from a hidden label: the target, and the negatives drawn against it
OF_NEGATIVES = ("pair_nucleus", "pair", "ratio")  # their further columns hold those negatives


def fetch(samples: TileSamples, *tiles: int, seed: int = 0, epoch: int = 0) -> Batch:
    return samples.fetch(np.array(tiles), seed=seed, epoch=epoch)


def inputs_of(batch: Batch) -> Batch:
    """What a model sees of the judged transcripts' candidates: all but targets and negatives."""
    c = batch["candidates"].shape[1]
    cut = {name: batch[name][:, :c] for name in OF_NEGATIVES}
    return {name: value for name, value in (batch | cut).items() if name not in OF_OWN}


def assert_same_bits(one: Batch, other: Batch, *, but: tuple[str, ...] = ()) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if name not in but and not torch.equal(one[name], other[name])] == []


def relabelled(graph: Graph, rows: np.ndarray, *, view: str) -> Graph:
    """The graph in which each of `rows` lies in another of its candidates."""
    candidates = graph.views[view].candidates[rows]
    wrong = (candidates >= 0) & (candidates != graph.nucleus[rows][:, None])
    some = np.where(wrong.any(axis=1), candidates[np.arange(len(rows)), wrong.argmax(axis=1)], graph.nucleus[rows])
    nucleus = graph.nucleus.copy()
    nucleus[rows] = some
    assert (nucleus != graph.nucleus).any()
    return dataclasses.replace(graph, nucleus=nucleus)


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("folds", [0, 3])
def test_in_a_shrunken_view_the_labels_of_held_out_transcripts_reach_nothing_but_the_target(
    tiny: Tiny, folds: int
) -> None:
    held = np.flatnonzero(tiny.graph.held_out(VIEW))
    there = (tiny.graph.views[VIEW].candidates[held] == tiny.graph.nucleus[held][:, None]).any(axis=1)
    other = relabelled(tiny.graph, held[there], view=VIEW)
    before, after = (tiny.samples(view=VIEW, graph=graph, folds=folds) for graph in (tiny.graph, other))
    one, two = fetch(before, *range(len(before))), fetch(after, *range(len(after)))
    assert (one["own"] != two["own"]).any()
    assert_same_bits(inputs_of(one), inputs_of(two))


def test_in_a_shrunken_view_held_out_transcripts_are_known_to_be_nuclear_and_no_more(tiny: Tiny) -> None:
    unknown = dataclasses.replace(tiny.graph, nucleus=np.where(tiny.graph.held_out(VIEW), -1, tiny.graph.nucleus))
    profiles = tiny.profiles(tiny.graph, VIEW)
    one = fetch(tiny.samples(view=VIEW, profiles=profiles), *TILES)
    two = fetch(tiny.samples(view=VIEW, graph=unknown, profiles=profiles), *TILES)
    assert ((one["own"] >= 0) & ~one["inner"]).any()
    assert not ((two["own"] >= 0) & ~two["inner"]).any()
    told = [inputs_of(batch) for batch in (one, two)]
    assert (told[0]["nuclear"] != two["nuclear"]).any()
    for batch in told:
        batch["nuclear"] = torch.zeros_like(batch["nuclear"])
        batch["pair"] = batch["pair"].clone()
        batch["pair"][..., NUCLEAR] = 0
    assert_same_bits(*told)


def test_the_label_of_a_judged_nuclear_transcript_reaches_nothing_of_its_own_but_the_target(tiny: Tiny) -> None:
    """With members and own shares of the profiles as they are; other judged transcripts may hear of it through them."""
    profiles, compared = tiny.profiles(tiny.graph, FULL), 0
    for tile in tiny.splits.tiles_of("train"):
        before = fetch(tiny.samples(profiles=profiles), tile)
        for place in np.flatnonzero((before["inner"] & (before["own"] >= 0)).numpy())[:8]:
            row = before["transcript"][place].item()
            other = relabelled(tiny.graph, np.array([row]), view=FULL)
            sums = profiles.sums.copy()
            for graph, change in ((tiny.graph, -1), (other, 1)):
                nucleus, gene = graph.nucleus[row], graph.gene[row]
                sums[(profiles.members == nucleus).any(axis=1), gene] += change * profiles.own[nucleus, gene]
            after = fetch(tiny.samples(graph=other, profiles=dataclasses.replace(profiles, sums=sums)), tile)
            if after["own"][place] < 0:  # the other nucleus is of another split, where it could not be supervised
                continue
            compared += 1
            assert after["own"][place] != before["own"][place]
            one, two = inputs_of(before), inputs_of(after)
            assert_same_bits(one, two, but=("pair", "ratio", "best_ratio"))
            for name in ("pair", "ratio"):
                torch.testing.assert_close(one[name][place], two[name][place], rtol=0, atol=2e-5)
    assert compared > 20


def test_the_gene_of_a_judged_transcript_reaches_its_own_score_only_through_the_ratio(tiny: Tiny) -> None:
    profiles, tile = tiny.profiles(tiny.graph, FULL), tiny.splits.tiles_of("train")[0]
    before = fetch(tiny.samples(profiles=profiles), tile)
    cytoplasmic = np.flatnonzero(before["free"].numpy())
    gene = tiny.graph.gene.copy()
    place = cytoplasmic[len(cytoplasmic) // 2]
    row = before["transcript"][place].item()
    gene[row] = (gene[row] + 1) % len(tiny.graph.genes)
    after = fetch(tiny.samples(graph=dataclasses.replace(tiny.graph, gene=gene), profiles=profiles), tile)
    assert_same_bits(before, after, but=("pair", "ratio", "best_ratio"))
    assert torch.equal(before["pair"][place], after["pair"][place])
    assert not torch.equal(before["ratio"][place], after["ratio"][place])
    others = torch.arange(len(before["judged"])) != place
    assert torch.equal(before["ratio"][others], after["ratio"][others])


@pytest.mark.parametrize("view", [FULL, VIEW])
def test_what_is_masked_has_neither_gene_nor_edge_to_its_nucleus(tiny: Tiny, view: str) -> None:
    batch = fetch(tiny.samples(view=view), *TILES)
    masked = batch["token"] == len(tiny.graph.genes)
    assert masked[batch["judged"]].all()
    assert not masked[batch["belongs"][0]].any()
    assert len(batch["belongs"][0]) > 100


def test_in_a_shrunken_view_no_edge_leads_from_a_held_out_transcript(tiny: Tiny) -> None:
    samples = tiny.samples(view=VIEW, splits=None, folds=2)
    for index in range(len(samples)):
        batch = fetch(samples, index)
        tile = index // 2
        rows = np.concatenate([tiny.tiles.owned_by(tile), tiny.tiles.halo_of(tile)])
        assert not tiny.graph.held_out(VIEW)[rows[batch["belongs"][0].numpy()]].any()


def test_cytoplasmic_transcripts_are_free_in_the_full_view_only(tiny: Tiny) -> None:
    full, shrunken = (fetch(tiny.samples(view=view), *TILES) for view in (FULL, VIEW))
    assert torch.equal(full["free"], torch.from_numpy(tiny.graph.nucleus[full["transcript"].numpy()] < 0))
    assert not shrunken["free"].any()


def test_with_splits_a_tile_holds_nothing_of_another_split(tiny: Tiny) -> None:
    """Counted from outside: whatever happens to another split's genes and nuclei, the batch stays as it is."""
    profiles = tiny.profiles(tiny.graph, FULL)
    view = tiny.graph.views[FULL]
    for split in range(3):
        chosen = np.flatnonzero(tiny.splits.tile == split)
        gene = np.where(tiny.splits.transcript == split, tiny.graph.gene, 0)
        features = np.where((tiny.splits.nucleus == split)[:, None], view.features, 0)
        views = {FULL: dataclasses.replace(view, features=features)}
        other = dataclasses.replace(tiny.graph, gene=gene, views=views)
        before, after = (fetch(tiny.samples(graph=graph, profiles=profiles), *chosen) for graph in (tiny.graph, other))
        assert_same_bits(before, after)
        assert (tiny.splits.transcript[before["transcript"]] == split).all()
        assert tiny.splits.supervised[before["transcript"]].all()


# ---------------------------------------------------------------- negatives


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 200),
    tile=st.integers(0, 100),
    ratio=st.integers(1, 9),
    hard=st.floats(0, 1),
    view=st.sampled_from([FULL, VIEW]),
)
def test_each_positive_has_exactly_the_asked_number_of_wrong_nuclei(
    tiny: Tiny, seed: int, epoch: int, tile: int, ratio: int, hard: float, view: str
) -> None:
    negatives, training = Negatives(ratio, hard, (1 - hard) / 2), tiny.splits.tiles_of("train")
    samples = tiny.samples(view=view, negatives=negatives)
    batch = fetch(samples, int(training[tile % len(training)]), seed=seed, epoch=epoch)
    assert len(batch["nucleus_shape"]) > 5, "the tile has too few nuclei for the test to mean anything"
    linked = batch["own"] >= 0
    nuclei, compared, own = batch["pair_nucleus"][linked], batch["compared"][linked], batch["own"][linked]
    c = batch["candidates"].shape[1]
    assert (compared.sum(dim=1) == ratio + 1).all()
    assert compared.gather(1, own[:, None]).all()
    assert (nuclei[compared] >= 0).all()
    right = nuclei.gather(1, own[:, None])
    assert ((nuclei == right) & compared).sum() == len(own), "a transcript's own nucleus stands among its negatives"
    assert torch.equal(nuclei[:, :c], batch["candidates"][batch["judged"][linked]])
    hard_ones = compared[:, :c].sum(dim=1) - 1
    possible = (nuclei[:, :c] >= 0).sum(dim=1) - 1
    assert torch.equal(hard_ones, possible.clamp(max=negatives.hard))


def test_without_an_own_nucleus_nothing_is_compared(tiny: Tiny) -> None:
    batch = fetch(tiny.samples(), *TILES)
    unknown = batch["own"] < 0
    assert unknown.any()
    assert not batch["compared"][unknown].any()
    assert (batch["pair_nucleus"][unknown][:, batch["candidates"].shape[1] :] == -1).all()


def test_near_negatives_are_no_candidates(tiny: Tiny) -> None:
    samples = tiny.samples(negatives=Negatives(ratio=4, hard_share=0, near_share=1))
    batch = fetch(samples, *tiny.splits.tiles_of("train"))
    c = batch["candidates"].shape[1]
    nuclei = batch["pair_nucleus"][batch["own"] >= 0]
    assert (nuclei[:, c:] >= 0).all()
    assert not (nuclei[:, c:, None] == nuclei[:, None, :c]).any()


# ---------------------------------------------------------------- purity and joining


def test_two_tiles_fetched_together_are_the_two_side_by_side(tiny: Tiny) -> None:
    samples = tiny.samples()
    one, two = fetch(samples, 3, epoch=2), fetch(samples, 7, epoch=2)
    assert_same_bits(fetch(samples, 3, 7, epoch=2), join([one, two]))


def test_a_tile_is_drawn_alike_whatever_was_drawn_before(tiny: Tiny) -> None:
    views = {FULL: 0.5, VIEW: 0.5}
    samples = tiny.samples(views=views, profiles={view: tiny.profiles(tiny.graph, view) for view in views})
    first = fetch(samples, 4, seed=5, epoch=9)
    np.random.default_rng().random(3)
    fetch(samples, 1, 2, seed=5, epoch=8)
    assert_same_bits(fetch(samples, 4, seed=5, epoch=9), first)
    assert not torch.equal(fetch(samples, 4, seed=5, epoch=10)["token"], first["token"])
    assert not torch.equal(fetch(samples, 4, seed=6, epoch=9)["token"], first["token"])


def test_tiles_of_a_batch_do_not_mix(tiny: Tiny) -> None:
    samples = tiny.samples()
    batch, sizes = fetch(samples, 0, 5, 2), [fetch(samples, tile) for tile in (0, 5, 2)]
    of_tx = torch.repeat_interleave(torch.arange(3), torch.tensor([len(part["token"]) for part in sizes]))
    of_bd = torch.repeat_interleave(torch.arange(3), torch.tensor([len(part["nucleus_shape"]) for part in sizes]))

    def within(index: torch.Tensor, of: torch.Tensor, source: torch.Tensor) -> bool:
        return bool(((of[index.clamp_min(0)] == source[:, None]) | (index < 0)).all())

    assert within(batch["neighbours"], of_tx, of_tx)
    assert within(batch["candidates"], of_bd, of_tx)
    assert within(batch["pair_nucleus"], of_bd, of_tx[batch["judged"]])
    assert torch.equal(of_tx[batch["belongs"][0]], of_bd[batch["belongs"][1]])


# ---------------------------------------------------------------- folds


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_over_the_folds_each_transcript_with_a_candidate_is_judged_once(tiny: Tiny, folds: int) -> None:
    samples = tiny.samples(splits=None, folds=folds)
    assert len(samples) == folds * len(tiny.tiles)
    judged = fetch(samples, *range(len(samples)))["transcript"].numpy()
    assert np.array_equal(np.sort(judged), np.flatnonzero(tiny.graph.views[FULL].candidates[:, 0] >= 0))


def test_in_a_fold_a_transcript_is_masked_in_every_tile_that_sees_it(tiny: Tiny) -> None:
    samples = tiny.samples(splits=None, folds=3)
    for fold in range(3):
        for tile in TILES.tolist():
            batch = fetch(samples, tile * 3 + fold)
            rows = np.concatenate([tiny.tiles.owned_by(tile), tiny.tiles.halo_of(tile)])
            assert np.array_equal(batch["token"].numpy() == len(tiny.graph.genes), samples.fold[rows] == fold)
