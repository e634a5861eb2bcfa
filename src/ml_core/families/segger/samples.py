"""Tiles as batches of tensors: which view a tile is seen in, which transcripts are masked and judged, which pairs compared.

Everything random is a pure function of (seed, epoch, tile), so that a resumed run sees what an uninterrupted one sees.

Two rules keep labels out of the input. A judged transcript hides its own gene token and its edge to its nucleus; its gene
enters only through the profiles, from which it is taken out itself. And in a shrunken view the transcripts outside the
inner part are held out of hulls, features and edges: they must find their nucleus as cytoplasmic transcripts must.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ml_core.families.segger import pairs
from ml_core.families.segger.data import FULL, Graph, Splits, Tiles
from ml_core.families.segger.expression import Profiles, nuclear_counts
from ml_core.families.segger.gather import Tile, gather

Batch = dict[str, torch.Tensor]
MOST_NEAR = 16  # nuclei next to a transcript's candidates from which near negatives are drawn


@dataclass(frozen=True)
class Negatives:
    """How many wrong nuclei stand against each right one, and of which kind.

    hard: other candidates of the same transcript; near: other nuclei around them; random: any nucleus of the tile. Where a
    transcript has too few candidates, near ones fill up, so that `ratio` is exact.
    """

    ratio: int = 5
    hard_share: float = 0.6
    near_share: float = 0.2

    @property
    def hard(self) -> int:
        return round(self.ratio * self.hard_share)

    @property
    def near(self) -> int:
        return round(self.ratio * self.near_share)


def profiles_of(graph: Graph, *, view: str, neighbours: int, prior: float, components: int, bank: np.ndarray | None = None) -> Profiles:
    """Profiles of the view's nuclei from its labelled transcripts; `bank` [nuclei] restricts who is pooled with whom."""
    labelled = graph.views[view].labelled
    size = {"nuclei": len(graph.views[view].polygons), "genes": len(graph.genes)}
    counts = nuclear_counts(graph.nucleus, graph.gene, labelled=labelled, **size)
    return Profiles.of(counts, neighbours=neighbours, prior=prior, components=components, bank=bank)


class TileSamples:
    """Tiles of one split (or all) as samples of the trainer.

    Parameters
    ----------
    views: view to the chance that a tile is seen in it.
    profiles: of each view.
    tokens: [genes] int64, the model's token of each gene of the graph; `mask` is the token of a hidden gene.
    folds: 0 in training: a random `mask_share` of each tile is judged. Else each tile stands in the samples once for each
    view and fold, and a transcript is judged in exactly one fold: validation and prediction cover everything once.
    splits: None in prediction: then all that a tile owns is judged, and its halo crosses the borders of splits.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        tiles: Tiles,
        chosen: np.ndarray,
        splits: Splits | None,
        views: Mapping[str, float],
        profiles: Mapping[str, Profiles],
        tokens: np.ndarray,
        mask: int,
        negatives: Negatives,
        mask_share: float,
        folds: int = 0,
        dist_tx_um: float = 5.0,
        dist_bd_um: float = 15.0,
    ) -> None:
        self.graph, self.tiles, self.chosen, self.splits = graph, tiles, np.asarray(chosen), splits
        self.views, self.profiles, self.tokens, self.mask = dict(views), profiles, np.asarray(tokens), mask
        self.negatives, self.mask_share, self.folds = negatives, mask_share, folds
        self.dist_tx_um, self.dist_bd_um = dist_tx_um, dist_bd_um
        self.fold = np.random.default_rng(0).integers(0, max(folds, 1), len(graph.rows), dtype=np.int8)

    def __len__(self) -> int:
        return len(self.chosen) * (self.folds * len(self.views) if self.folds else 1)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        """The tiles side by side in one graph: transcript and nucleus indices are those within the batch."""
        return join([self.tile(int(index), seed=seed, epoch=epoch) for index in indices])

    def tile(self, index: int, *, seed: int, epoch: int) -> Batch:
        """Sample `index` as tensors; see `_tensors` for their shapes."""
        rng, names = np.random.default_rng([seed, epoch, index]), list(self.views)
        if self.folds:
            number, place = divmod(index, self.folds * len(names))
            fold, view = place // len(names), names[place % len(names)]
        else:
            chance = np.array(list(self.views.values()))
            number, fold, view = index, 0, names[int(rng.choice(len(names), p=chance / chance.sum()))]
        tile = gather(self.graph, tiles=self.tiles, index=int(self.chosen[number]), view=view, splits=self.splits)
        if self.folds:
            masked = self.fold[tile.transcripts] == fold
        else:
            masked = rng.random(len(tile.transcripts)) < self.mask_share
        judged = np.flatnonzero(masked & tile.supervised & (tile.candidates[:, 0] >= 0))
        return self._tensors(tile, masked=masked, judged=judged, profiles=self.profiles[view], full=view == FULL, rng=rng)

    def _tensors(
        self, tile: Tile, *, masked: np.ndarray, judged: np.ndarray, profiles: Profiles, full: bool, rng: np.random.Generator
    ) -> Batch:
        """**Shapes**, t transcripts, b nuclei, r judged transcripts, c candidates, x further nuclei of each:

        token [t], neighbours [t, k], step [t, k, 3], candidates [t, c], approach [t, c, GEOMETRY + 2], nucleus_shape [b, 5],
        belongs [2, e] (transcript, nucleus); judged [r], pair_nucleus [r, c + x] (-1 padded), pair [r, c + x, GEOMETRY +
        CONTEXT], ratio [r, c + x], best_ratio [r], own [r] (column of the own nucleus, -1 unknown), inner and free [r] bool, compared
        [r, c + x] bool (own and its negatives), transcript [r] (row of the graph).

        Free are the cytoplasmic transcripts of the full view: theirs are the distances that prediction meets. In a
        shrunken view the same transcripts would teach that cells reach further from their hulls than they do.
        """
        c = tile.candidates.shape[1]
        labelled = tile.labelled & ~masked & (tile.nucleus >= 0)
        toward = np.hypot(tile.offset[..., 0], tile.offset[..., 1])
        toward = np.where(tile.candidates >= 0, toward, np.inf)
        step = np.where((tile.neighbours >= 0)[..., None], tile.xy[tile.neighbours] - tile.xy[:, None], 0)
        length = np.hypot(step[..., 0], step[..., 1])
        density = pairs.local_density(length, tile.neighbours)
        shape_of = _padded(tile.features)
        geometry = pairs.geometry(
            tile.distance, toward, others=pairs.nearest_other(tile.distance), shape=shape_of[tile.candidates], density=density
        )
        approach = np.concatenate([geometry, tile.offset / self.dist_bd_um], axis=2)
        step = np.concatenate([step, length[..., None]], axis=2) / self.dist_tx_um

        own_nucleus = np.where(tile.supervised, tile.nucleus, -1)[judged]
        candidates = tile.candidates[judged]
        is_own = (candidates == own_nucleus[:, None]) & (own_nucleus >= 0)[:, None]
        own = np.where(is_own.any(axis=1), is_own.argmax(axis=1), -1)
        further, hard = self._draw_negatives(tile, judged, own=own, rng=rng)
        compared = np.concatenate([is_own | hard, further >= 0], axis=1)

        nuclei = np.concatenate([candidates, further], axis=1)
        away = np.hypot(*(tile.centroids[further] - tile.xy[judged][:, None]).transpose(2, 0, 1)) if len(tile.nuclei) else further
        away = np.where(further >= 0, away, np.inf)
        radius = np.exp(np.maximum(shape_of[further][..., 0], 0) / 2) / np.sqrt(np.pi)
        further_geometry = pairs.geometry(
            np.maximum(away - radius, 0.01),
            away,
            others=np.broadcast_to(tile.distance[judged, :1], further.shape),
            shape=shape_of[further],
            density=density[judged],
        )
        in_sample = np.where(nuclei >= 0, tile.nuclei[nuclei] if len(tile.nuclei) else -1, -1)
        circles = (tile.neighbours[judged], tile.around[judged])
        pair = np.concatenate(
            [
                np.concatenate([geometry[judged], further_geometry], axis=1),
                pairs.context(profiles.ratio, in_sample, tile.gene, circles=circles, candidates=c),
            ],
            axis=2,
        )
        counted_in = np.where(tile.labelled & (tile.nucleus >= 0), _padded(tile.nuclei, -1)[tile.nucleus], -1)[judged]
        ratio = profiles.ratio_of(tile.gene[judged], in_sample, counted_in=counted_in)
        inner = tile.labelled[judged]
        return _to_torch(
            token=np.where(masked, self.mask, self.tokens[tile.gene]),
            neighbours=tile.neighbours,
            step=step.astype(np.float32),
            candidates=tile.candidates,
            approach=approach.astype(np.float32),
            nucleus_shape=tile.features,
            belongs=np.stack([np.flatnonzero(labelled), tile.nucleus[labelled]]),
            judged=judged,
            pair_nucleus=nuclei,
            pair=pair,
            ratio=ratio,
            best_ratio=profiles.best_ratio[tile.gene[judged]],
            own=own,
            inner=inner,
            free=~inner & full,
            compared=compared,
            transcript=tile.transcripts[judged],
        )

    def _draw_negatives(
        self, tile: Tile, judged: np.ndarray, *, own: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Further nuclei [r, ratio] (-1 padded) and which candidates are hard negatives [r, c]; none without an own nucleus.

        With hard negatives each supervised transcript has exactly `ratio` wrong nuclei, unless the tile has only one.
        """
        candidates, ratio = tile.candidates[judged], self.negatives.ratio
        column = np.arange(candidates.shape[1])
        wrong = (candidates >= 0) & (column != own[:, None]) & (own >= 0)[:, None]
        order = np.where(wrong, rng.random(candidates.shape), 2.0).argsort(axis=1).argsort(axis=1)
        hard = wrong & (order < self.negatives.hard)
        further = np.full((len(judged), ratio), -1, np.int32)
        outside = self._not_candidates(tile, judged)  # [r, near] nuclei around, nearest first
        missing = np.where(own >= 0, ratio - hard.sum(axis=1), 0)
        if outside.shape[1] == 0:
            return further, hard
        own_nucleus = candidates[np.arange(len(judged)), own.clip(0)]
        slot = np.arange(ratio)
        random_from = missing[:, None] - (ratio - self.negatives.hard - self.negatives.near)
        near = np.take_along_axis(outside, rng.integers(0, outside.shape[1], further.shape), axis=1)
        anywhere = rng.integers(0, len(tile.nuclei), further.shape)
        anywhere = np.where(anywhere == own_nucleus[:, None], near, anywhere)
        drawn = np.where(slot < random_from, near, anywhere)
        return np.where(slot < missing[:, None], drawn, -1).astype(np.int32), hard

    def _not_candidates(self, tile: Tile, judged: np.ndarray) -> np.ndarray:
        """[r, near] the nuclei next to each transcript's candidates, themselves no candidates; none in a tile of few nuclei."""
        from scipy.spatial import cKDTree

        c = tile.candidates.shape[1]
        if len(tile.nuclei) <= c + 1 or not len(judged):
            return np.zeros((len(judged), 0), np.int32)
        count = min(len(tile.nuclei), c + MOST_NEAR)
        found = cKDTree(tile.centroids).query(tile.xy[judged], k=count)[1]
        taken = (found[:, :, None] == tile.candidates[judged][:, None, :]).any(axis=2)
        order = np.argsort(taken, axis=1, kind="stable")
        return np.take_along_axis(found, order, axis=1)[:, : count - c].astype(np.int32)


def join(parts: Sequence[Batch]) -> Batch:
    """Several tiles as one graph: indices move by the number of transcripts and nuclei before them."""
    transcripts = np.cumsum([0] + [len(part["token"]) for part in parts])
    nuclei = np.cumsum([0] + [len(part["nucleus_shape"]) for part in parts])
    moved = []
    for part, t, b in zip(parts, transcripts.tolist(), nuclei.tolist(), strict=False):
        moved.append(
            {
                **part,
                "neighbours": _shift(part["neighbours"], t),
                "candidates": _shift(part["candidates"], b),
                "belongs": part["belongs"] + torch.tensor([[t], [b]]),
                "judged": part["judged"] + t,
                "pair_nucleus": _shift(part["pair_nucleus"], b),
            }
        )
    return {name: torch.cat([part[name] for part in moved], dim=1 if name == "belongs" else 0) for name in parts[0]}


def _shift(index: torch.Tensor, by: int) -> torch.Tensor:
    return torch.where(index >= 0, index + by, index)


def _padded(rows: np.ndarray, value: Any = 0) -> np.ndarray:
    """`rows` with one more at the end, so that index -1 finds `value`."""
    return np.concatenate([rows, np.full((1, *rows.shape[1:]), value, rows.dtype)])


def _to_torch(**arrays: np.ndarray) -> Batch:
    out = {}
    for name, array in arrays.items():
        kind = array.dtype
        if kind == np.bool_ or kind == np.float32:
            out[name] = torch.from_numpy(np.ascontiguousarray(array))
        else:
            out[name] = torch.from_numpy(array.astype(np.float32 if kind.kind == "f" else np.int64))
    return out
