"""What is known of a transcript and a nucleus before any learning: the features of a candidate edge."""

from __future__ import annotations

import numpy as np

GEOMETRY = 14  # features of `geometry`
CONTEXT = 4  # features of `context`
PAIR = GEOMETRY + CONTEXT + 1  # of a judged pair: both, and whether the stain says that the transcript is nuclear
FAR_UM = 20.0  # stands for "no such nucleus near": beyond every candidate


def geometry(
    distance: np.ndarray, centre: np.ndarray, *, others: np.ndarray, shape: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """Geometric features [n, k, GEOMETRY] of pairs, all of order one.

    distance [n, k] um to the polygon, inf where there is none; centre [n, k] um to the centroid; others [n, k] um to
    the nearest other candidate's polygon; shape [n, k, 5], the nucleus' `geometry.FEATURES`; density [n],
    `local_density` of the transcript. All scales in um.
    """
    d = np.minimum(distance, FAR_UM)
    gap = d - np.minimum(others, FAR_UM)
    log_area, circularity, per_um2 = shape[..., 0], shape[..., 3], shape[..., 4]
    count = per_um2 * np.exp(log_area)
    area = np.exp(np.maximum(log_area, 0))  # a hull of points in a line has none; 1 um2 keeps its features of order one
    radius = np.sqrt(area / np.pi)
    features = [
        d / 5,
        np.log(d + 0.3),
        gap / 5,
        np.tanh(gap),
        np.tanh(gap / 3),
        np.minimum(centre, 30.0) / radius / 3,
        (np.minimum(centre, 30.0) - radius) / 5,
        np.log(radius),
        np.log1p(count) / 3,
        circularity,
        d == 0,
        np.broadcast_to(density[:, None], d.shape),
        density[:, None] - np.log(count / area + 0.1),
        np.log(count / area + 0.1),
    ]
    return np.stack(features, axis=2).astype(np.float32)


def local_density(step_um: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Log of the transcripts per um2 around each transcript, [n]: from its farthest neighbour, averaged over the
    neighbours.

    step_um [n, k] distance to each neighbour; neighbours [n, k], -1 padded. Nuclei are denser than cytoplasm, so this
    tells a hidden nuclear transcript from a cytoplasmic one.
    """
    there = neighbours >= 0
    count = there.sum(axis=1)
    farthest = np.where(there, step_um, 0).max(axis=1)
    alone = np.log((count + 1) / (np.pi * np.maximum(farthest, 0.3) ** 2 + 1))
    around = np.where(there, alone[neighbours], 0).sum(axis=1)
    return ((alone + around) / (1 + count)).astype(np.float32)  # type: ignore[no-any-return]


def nearest_other(distance: np.ndarray) -> np.ndarray:
    """Distance to the nearest candidate but this one, [n, k]; distance [n, k] ascending, inf padded."""
    others = np.repeat(distance[:, :1], distance.shape[1], axis=1)
    others[:, 0] = distance[:, 1] if distance.shape[1] > 1 else np.inf
    return others


def neighbours_under_profile(
    ratio: np.ndarray,
    nuclei: np.ndarray,
    gene: np.ndarray,
    neighbours: np.ndarray,
    *,
    own_gene: np.ndarray,
    taken_out: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Mean log ratio of a transcript's neighbours' genes under each nucleus' profile, shrunk to 0 where there are few.

    ratio [m, g]; nuclei [n, k] (-1 padded), neighbours [n, k_tx] into gene [t], -1 padded. -> [n, k]
    own_gene [n] and taken_out ([n, k] twice, `Profiles.taken_out`) take the transcript itself out of the profiles: else
    a neighbour with its gene would tell where it was counted.
    """
    padded = np.concatenate([ratio, np.zeros((len(ratio), 1), ratio.dtype)], axis=1)
    of_neighbour = np.where(neighbours >= 0, gene[neighbours], ratio.shape[1])  # [n, k_tx]
    total = padded[nuclei.clip(0)[:, :, None], of_neighbour[:, None, :]].sum(axis=2)
    count, alike = (neighbours >= 0).sum(axis=1), (of_neighbour == own_gene[:, None]).sum(axis=1)
    total = total + alike[:, None] * taken_out[0] + (count - alike)[:, None] * taken_out[1]
    mean = total / (3 + count)[:, None]
    return np.where(nuclei >= 0, mean, 0).astype(np.float32)  # type: ignore[no-any-return]


def context(
    ratio: np.ndarray,
    nuclei: np.ndarray,
    gene: np.ndarray,
    *,
    circles: tuple[np.ndarray, ...],
    candidates: int,
    own_gene: np.ndarray,
    taken_out: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Context features [n, k, CONTEXT]: for each circle of neighbours their mean ratio, and how far it is below the
    best.

    Arguments as above; circles: the near neighbours and those further around; the first `candidates`
    columns of `nuclei` set the best.
    """
    features = []
    for neighbours in circles:
        told = neighbours_under_profile(ratio, nuclei, gene, neighbours, own_gene=own_gene, taken_out=taken_out)
        there = nuclei[:, :candidates] >= 0
        best = np.where(there, told[:, :candidates], -9.0).max(axis=1, keepdims=True)
        features += [told, told - best]
    return np.stack(features, axis=2)
