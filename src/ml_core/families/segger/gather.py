"""One tile as a small graph of its own: local indices, and nothing of another split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.segger.data import FULL, Graph, Splits, Tiles


@dataclass(frozen=True)
class Tile:
    """A tile's subgraph in one view; its first `owned` transcripts are its own, the others its halo.

    **Shapes**, t transcripts, b nuclei: transcripts [t] int32 into the graph; nuclei [b] int32 into the sample's
    nuclei; xy [t, 2] um, z [t] um, gene [t] int32; neighbours [t, k_tx] and around [t, k_context] int32, local, -1
    for none or outside; candidates [t, k_bd] int32, local, -1 padded; distance [t, k_bd] um to the polygon, inf
    padded; offset [t, k_bd, 2] um from the transcript to the nucleus' centroid, 0 padded; features [b, 5]; centroids
    [b, 2] um; nucleus [t] int32, local, the nucleus it lies in or -1; nuclear [t] bool: it lies in some nucleus, here
    or not; labelled [t] bool: nuclear and not held out in this view; supervised [t] bool: owned and allowed by the
    splits.
    """

    index: int
    owned: int
    transcripts: np.ndarray
    nuclei: np.ndarray
    xy: np.ndarray
    z: np.ndarray
    gene: np.ndarray
    neighbours: np.ndarray
    around: np.ndarray
    candidates: np.ndarray
    distance: np.ndarray
    offset: np.ndarray
    features: np.ndarray
    centroids: np.ndarray
    nucleus: np.ndarray
    nuclear: np.ndarray
    labelled: np.ndarray
    supervised: np.ndarray


def gather(graph: Graph, *, tiles: Tiles, index: int, view: str = FULL, splits: Splits | None = None) -> Tile:
    """Tile `index` of the graph. With `splits` it holds transcripts, nuclei and edges of the tile's own split only."""
    seen = graph.views[view]
    owned, halo = tiles.owned_by(index), tiles.halo_of(index)
    if splits is not None:
        halo = halo[splits.transcript[halo] == splits.tile[index]]
    transcripts = np.concatenate([owned, halo])
    candidates, nucleus = seen.candidates[transcripts], graph.nucleus[transcripts]
    nuclei = np.unique(np.append(candidates, nucleus))
    nuclei = nuclei[nuclei >= 0]
    if splits is not None:
        nuclei = nuclei[splits.nucleus[nuclei] == splits.tile[index]]
    xy = graph.xy[transcripts]
    local = _local(candidates, members=nuclei)
    centroids = seen.centroids[nuclei]
    there = local >= 0
    supervised = np.arange(len(transcripts)) < len(owned)
    if splits is not None:
        supervised &= splits.supervised[transcripts]
    return Tile(
        index=index,
        owned=len(owned),
        transcripts=transcripts,
        nuclei=nuclei,
        xy=xy,
        z=graph.z[transcripts],
        gene=graph.gene[transcripts],
        neighbours=_local(graph.neighbours[transcripts], members=transcripts),
        around=_local(graph.around[transcripts], members=transcripts),
        candidates=local,
        distance=np.where(there, seen.distance[transcripts], np.float32(np.inf)),
        offset=np.where(there[:, :, None], _at(centroids, local) - xy[:, None], np.float32(0)),
        features=seen.features[nuclei],
        centroids=centroids,
        nucleus=_local(nucleus, members=nuclei),
        nuclear=nucleus >= 0,
        labelled=seen.labelled[transcripts],
        supervised=supervised,
    )


def _local(values: np.ndarray, *, members: np.ndarray) -> np.ndarray:
    """Place in `members` of each value, -1 where it is not among them; any shape of int32."""
    if not len(members):
        return np.full(values.shape, -1, np.int32)
    low = members.min()
    place = np.full(members.max() - low + 2, -1, np.int32)  # the last entry answers for everything outside
    place[members - low] = np.arange(len(members), dtype=np.int32)
    shifted = values - low
    return place[np.where((shifted >= 0) & (shifted < len(place)), shifted, len(place) - 1)]


def _at(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    return rows[index] if len(rows) else np.zeros((*index.shape, rows.shape[1]), rows.dtype)
