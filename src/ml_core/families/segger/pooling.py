"""Profiles of a sample's nuclei, less the stray RNA of their surroundings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import SPLITS, Graph, Splits, room_for
from ml_core.families.segger.expression import Profiles, sparse_counts
from ml_core.families.segger.stray import surroundings
from ml_core.families.segger.strips import strips_of_boxes, strips_within

AT_ONCE = 2_000_000  # transcripts among which loose ones are sought together


def profiles_of(
    graph: Graph,
    *,
    view: str,
    neighbours: int,
    prior: float,
    components: int,
    stray_share: float,
    stray_um: float,
    most: int = 50_000,
    splits: Splits | None = None,
    directory: Path | None = None,
) -> Profiles:
    """Profiles of the view's nuclei from its labelled transcripts, less the stray RNA of their surroundings.

    With `splits` only nuclei of the training blocks are pooled, and of each only the transcripts in its own split, as
    of its surroundings: a nucleus on the border has some in another. Surroundings are transcripts in no nucleus, so
    that the held-out ones of a shrunken view are not among them. directory: as in `Profiles.of`.
    """
    seen, bank = graph.views[view], None
    labelled = np.asarray(seen.labelled)
    if splits is not None:
        bank = splits.nucleus == SPLITS.index("train")
        labelled = labelled & (splits.transcript == splits.nucleus[graph.nucleus])
    shape = (len(seen.polygons), len(graph.genes))
    around = room_for(shape, np.float32, directory=directory, name="around")
    _fill_surroundings(around, graph, centroids=seen.centroids, radius_um=stray_um, splits=splits)
    counts = sparse_counts(graph.nucleus, graph.gene, labelled=labelled, nuclei=shape[0], genes=shape[1])
    pooling = {"neighbours": neighbours, "prior": prior, "components": components, "bank": bank, "most": most}
    return Profiles.of(counts, **pooling, around=around, stray_share=stray_share, directory=directory)


def _fill_surroundings(
    around: np.ndarray, graph: Graph, *, centroids: np.ndarray, radius_um: float, splits: Splits | None
) -> None:
    """Loose transcripts by gene around each nucleus, [nuclei, genes], chunk by chunk of the sample."""
    chunks = Chunks.of_sorted(graph.xy, most=AT_ONCE)
    strip = strips_of_boxes(np.hstack([centroids, centroids]), left_um=chunks.left_um)[:, 0]
    chunk_of = np.searchsorted(chunks.borders[1:-1], strip, side="right")
    for chunk in range(len(chunks)):
        rows = chunks.rows(chunk, halo_strips=strips_within(radius_um))
        mine, loose = np.flatnonzero(chunk_of == chunk), np.asarray(graph.nucleus[rows]) < 0
        parts = [(loose, mine)]
        if splits is not None:
            of, of_mine = splits.transcript[rows], splits.nucleus[mine]
            parts = [(loose & (of == number), mine[of_mine == number]) for number in range(len(SPLITS))]
        for there, nuclei in parts:
            around[nuclei] = surroundings(
                graph.xy[rows], graph.gene[rows], loose=there, centroids=centroids[nuclei], radius_um=radius_um,
                genes=around.shape[1],
            )  # fmt: skip
