"""Tiles as batches of tensors: in which view a tile is seen, which transcripts are judged, which pairs compared.

Everything random is a pure function of (seed, epoch, tile), so that a resumed run sees what an uninterrupted one sees.

Three rules keep labels out of the input. A judged transcript hides its own gene token and its edge to its nucleus; its
gene enters only through the profiles, from which it is taken out itself. And in a shrunken view the transcripts outside
the inner part are held out of hulls, features and edges: they must find their nucleus as cytoplasmic transcripts must.
That the stain has a judged transcript in some nucleus is told to its own decoder (the ring test asks in which), and to
nothing else: messages that said so of its neighbours would draw the nucleus' outline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ml_core.families.segger import pairs
from ml_core.families.segger.data import FULL, Graph, Splits, Tiles
from ml_core.families.segger.expression import Profiles
from ml_core.families.segger.gather import Tile, gather
from ml_core.families.segger.negatives import Negatives

RELEASE_EVERY = 128  # tiles; what is mapped of graph and profiles would else come to be all of both
Batch = dict[str, torch.Tensor]
Arrays = dict[str, np.ndarray]


class TileSamples:
    """Tiles of one split (or all) as samples of the trainer.

    Parameters
    ----------
    views
        View to the chance that a tile is seen in it.
    profiles
        Of each view.
    tokens
        [genes] int64, the model's token of each gene of the graph; `mask` is the token of a hidden gene.
    folds
        0 in training: a random `mask_share` of each tile is judged. Else each tile stands in the samples once for each
        view and fold, and a transcript is judged in exactly one fold: validation and prediction cover everything once.
    splits
        None in prediction: then all that a tile owns is judged, and its halo crosses the borders of splits.
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
        self._fetched = 0  # tiles since memory was handed back
        self.fold = np.random.default_rng(0).integers(0, max(folds, 1), len(graph.rows), dtype=np.int8)

    def __len__(self) -> int:
        return len(self.chosen) * (self.folds * len(self.views) if self.folds else 1)

    def release(self) -> None:
        """Hand the memory of what was read so far of graph and profiles back, where they are on disk."""
        self.graph.release()
        for profiles in self.profiles.values():
            profiles.release()

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        """The tiles side by side in one graph: transcript and nucleus indices are those within the batch.

        **Shapes**, t transcripts, b nuclei, r judged transcripts, c candidates, x further nuclei of each:

        - the graph: token [t], neighbours [t, k], step [t, k, 3], candidates [t, c], approach [t, c, GEOMETRY + 2],
          nucleus_shape [b, 5], belongs [2, e] (transcript, nucleus);
        - what is judged: judged [r], transcript [r] (row of the graph), pair_nucleus [r, c + x] (-1 padded), pair
          [r, c + x, PAIR], ratio [r, c + x], best_ratio [r], nuclear [r] bool (in some nucleus);
        - targets: own [r] (column of the own nucleus, -1 unknown), compared [r, c + x] bool (own and its negatives),
          inner and free [r] bool.
        """
        self._fetched += len(indices)
        if self._fetched >= RELEASE_EVERY:
            self._fetched = 0
            self.release()
        return join([self.tile(int(index), seed=seed, epoch=epoch) for index in indices])

    def tile(self, index: int, *, seed: int, epoch: int) -> Batch:
        """Sample `index` alone."""
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
        graph = self._graph(tile, masked=masked)
        density = pairs.local_density(graph["step"][..., 2] * self.dist_tx_um, tile.neighbours)
        candidates = self._candidate_geometry(tile, density=density)
        approach = np.concatenate([candidates, tile.offset / np.float32(self.dist_bd_um)], axis=2)
        known = _targets(tile, judged, full=view == FULL)
        further, hard = self.negatives.draw(tile, judged, own=known["own"], rng=rng)
        known["compared"] = np.concatenate([known.pop("is_own") | hard, further >= 0], axis=1)
        geometry = np.concatenate(
            [candidates[judged], _further_geometry(tile, judged, further=further, density=density[judged])], axis=1
        )
        asked = self._judged(tile, judged, further=further, geometry=geometry, profiles=self.profiles[view])
        return _to_torch({**graph, "approach": approach, **asked, **known})

    def _graph(self, tile: Tile, *, masked: np.ndarray) -> Arrays:
        """What messages pass over; a masked transcript has neither its token nor its edge to its nucleus."""
        member = tile.labelled & ~masked & (tile.nucleus >= 0)
        there = tile.neighbours >= 0
        step = np.where(there[..., None], tile.xy[tile.neighbours] - tile.xy[:, None], 0) / self.dist_tx_um
        return {
            "token": np.where(masked, self.mask, self.tokens[tile.gene]),
            "neighbours": tile.neighbours,
            "step": np.concatenate([step, np.hypot(step[..., :1], step[..., 1:])], axis=2).astype(np.float32),
            "candidates": tile.candidates,
            "nucleus_shape": tile.features,
            "belongs": np.stack([np.flatnonzero(member), tile.nucleus[member]]),
        }

    def _candidate_geometry(self, tile: Tile, *, density: np.ndarray) -> np.ndarray:
        centre = np.hypot(tile.offset[..., 0], tile.offset[..., 1])
        return pairs.geometry(
            tile.distance,
            np.where(tile.candidates >= 0, centre, np.inf),
            others=pairs.nearest_other(tile.distance),
            shape=_padded(tile.features)[tile.candidates],
            density=density,
        )

    def _judged(
        self, tile: Tile, judged: np.ndarray, *, further: np.ndarray, geometry: np.ndarray, profiles: Profiles
    ) -> Arrays:
        """The pairs of judged transcripts and what is known of each before learning."""
        candidates = tile.candidates[judged]
        nuclei = np.concatenate([candidates, further], axis=1)
        in_sample = _padded(tile.nuclei, -1)[nuclei]
        counted_in = _padded(tile.nuclei, -1)[np.where(tile.labelled, tile.nucleus, -1)[judged]]
        circles = (tile.neighbours[judged], tile.around[judged])
        gene = tile.gene[judged]
        nuclear = tile.nuclear[judged][:, None, None]
        told = pairs.context(
            profiles.ratio_in(tile.nuclei),
            nuclei,
            tile.gene,
            circles=circles,
            candidates=candidates.shape[1],
            own_gene=gene,
            taken_out=profiles.taken_out(gene, in_sample, counted_in=counted_in),
        )
        return {
            "judged": judged,
            "transcript": tile.transcripts[judged],
            "nuclear": tile.nuclear[judged],
            "pair_nucleus": nuclei,
            "pair": np.concatenate([geometry, told, np.broadcast_to(nuclear, (*nuclei.shape, 1))], axis=2),
            "ratio": profiles.ratio_of(gene, in_sample, counted_in=counted_in),
            "best_ratio": profiles.best_ratio[gene],
        }


def _targets(tile: Tile, judged: np.ndarray, *, full: bool) -> Arrays:
    """Own nucleus where it is known, and which transcripts are inner (in a hull of this view) or free.

    Free are the cytoplasmic transcripts of the full view: theirs are the distances that prediction meets. In a shrunken
    view the same transcripts would teach that cells reach further from their hulls than they do.
    """
    nucleus = tile.nucleus[judged]
    is_own = (tile.candidates[judged] == nucleus[:, None]) & (nucleus >= 0)[:, None]
    inner = tile.labelled[judged]
    own = np.where(is_own.any(axis=1), is_own.argmax(axis=1), -1)
    return {"own": own, "is_own": is_own, "inner": inner, "free": ~inner & full}


def _further_geometry(tile: Tile, judged: np.ndarray, *, further: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Features of nuclei that are no candidates; the polygon's distance is that to a circle of the same area."""
    shape = _padded(tile.features)[further]
    offset = _padded(tile.centroids)[further] - tile.xy[judged][:, None]
    centre = np.where(further >= 0, np.hypot(offset[..., 0], offset[..., 1]), np.inf)
    radius = np.exp(np.maximum(shape[..., 0], 0) / 2) / np.sqrt(np.pi)
    nearest = np.broadcast_to(tile.distance[judged, :1], further.shape)
    return pairs.geometry(np.maximum(centre - radius, 0.01), centre, others=nearest, shape=shape, density=density)


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


def _to_torch(arrays: Arrays) -> Batch:
    """float32, int64 and bool tensors."""
    kinds = {"f": np.float32, "i": np.int64, "b": np.bool_}
    return {name: torch.from_numpy(array.astype(kinds[array.dtype.kind])) for name, array in arrays.items()}
