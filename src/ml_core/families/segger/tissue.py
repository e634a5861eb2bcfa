"""The simulator's geometry: cells as noisy ellipses with nuclei, and points drawn inside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.segger.geometry import Polygons

VERTICES = 24
HARMONICS = np.array([2, 3, 5])


@dataclass(frozen=True)
class Preset:
    """How crowded, elongated, irregular and blurred a tissue is. Lengths in um, shares of transcripts.

    spacing_um: distance between neighbouring nuclei. reach: the cell's radius, in nuclear radii. elongation: long /
    short axis of the cell. shift: how far the cell's centre lies from its nucleus, in cell radii. roughness: relative
    deviation of the outline from the ellipse. distinct: spread (log scale) of a gene's expression between cell types.
    """

    spacing_um: float
    nucleus_radius_um: float
    reach: float
    elongation: float
    shift: float
    roughness: float
    nuclear_share: float
    diffusion_um: float
    leaked_share: float
    background_share: float
    distinct: float

    def extent_um(self, cells: int) -> np.ndarray:
        """[2] width and height of the grid on which so many cells stand."""
        columns = grid_columns(cells)
        return np.array([columns, -(-cells // columns) * np.sqrt(3) / 2]) * self.spacing_um


PRESETS = {
    "easy": Preset(
        spacing_um=16.0, nucleus_radius_um=4.0, reach=1.7, elongation=1.2, shift=0.1, roughness=0.06,
        nuclear_share=0.4, diffusion_um=0.3, leaked_share=0.01, background_share=0.02, distinct=1.5,
    ),
    "hard": Preset(
        spacing_um=11.5, nucleus_radius_um=3.0, reach=2.3, elongation=1.9, shift=0.65, roughness=0.12,
        nuclear_share=0.35, diffusion_um=0.5, leaked_share=0.02, background_share=0.04, distinct=2.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tissue:
    """Outlines of `c` nuclei and of the cells around them.

    **Shapes**: nuclei and cells [c, VERTICES, 2] um; nucleus_centres and cell_centres [c, 2] um; z [c] um.
    """

    nuclei: np.ndarray
    cells: np.ndarray
    nucleus_centres: np.ndarray
    cell_centres: np.ndarray
    z: np.ndarray

    def moved_by(self, offset: np.ndarray) -> Tissue:
        """The same tissue elsewhere; offset [2] um."""
        places = (self.nuclei, self.cells, self.nucleus_centres, self.cell_centres)
        return Tissue(*(place + offset for place in places), self.z)


def grid_columns(cells: int) -> int:
    """Columns of the grid of a field that is about as wide as high."""
    return int(np.ceil(np.sqrt(cells)))


def grow(preset: Preset, *, cells: int, rng: np.random.Generator) -> Tissue:
    """`cells` cells on a jittered hexagonal grid, in a field that is about as wide as high."""
    row, column = np.divmod(np.arange(cells), grid_columns(cells))
    grid = np.stack([column + 0.5 * (row % 2), row * np.sqrt(3) / 2], axis=1) * preset.spacing_um + 100.0
    nucleus_centres = grid + rng.uniform(-0.15, 0.15, (cells, 2)) * preset.spacing_um
    nucleus_radius = preset.nucleus_radius_um * rng.uniform(0.8, 1.2, cells)
    nuclei = _outlines(
        nucleus_centres, radius=nucleus_radius, elongation=rng.uniform(1, 1.5, cells),
        direction=rng.uniform(0, np.pi, cells), roughness=preset.roughness / 2, rng=rng,
    )  # fmt: skip
    direction = rng.uniform(0, 2 * np.pi, cells)
    radius = nucleus_radius * preset.reach * rng.uniform(0.85, 1.15, cells)
    away = np.stack([np.cos(direction), np.sin(direction)], axis=1)
    cell_centres = nucleus_centres + away * (preset.shift * radius)[:, None]
    elongation = 1 + (preset.elongation - 1) * rng.uniform(0.6, 1.4, cells)
    bodies = _outlines(
        cell_centres, radius=radius, elongation=elongation, direction=direction, roughness=preset.roughness, rng=rng
    )
    return Tissue(nuclei, bodies, nucleus_centres, cell_centres, rng.uniform(8, 20, cells))


def as_polygons(outlines: np.ndarray) -> Polygons:
    """Outlines [c, vertices, 2] as flat polygons."""
    count, vertices, _ = outlines.shape
    return Polygons(outlines.reshape(-1, 2).astype(np.float32), np.arange(count + 1) * vertices)


def draw_inside(outlines: np.ndarray, *, centres: np.ndarray, of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A uniform point [n, 2] inside outline `of[i]`, for each i: a triangle by its area, then a point in it."""
    start = outlines - centres[:, None]
    end = np.roll(start, -1, axis=1)
    area = np.abs(start[..., 0] * end[..., 1] - start[..., 1] * end[..., 0])  # [c, vertices]
    triangle = draw_categories(area, of=of, rng=rng)
    a, b = rng.random((2, len(of)))
    flip = a + b > 1
    a, b = np.where(flip, 1 - a, a), np.where(flip, 1 - b, b)
    return centres[of] + a[:, None] * start[of, triangle] + b[:, None] * end[of, triangle]


def draw_categories(weights: np.ndarray, *, of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each i a column of `weights` [rows, columns] with the probabilities of row `of[i]`."""
    cumulative = np.cumsum(weights, axis=1)
    cumulative = cumulative / cumulative[:, -1:] + np.arange(len(weights))[:, None]
    found = np.searchsorted(cumulative.ravel(), of + rng.random(len(of)), side="right")
    return np.clip(found - of * weights.shape[1], 0, weights.shape[1] - 1)


def _outlines(
    centres: np.ndarray,
    *,
    radius: np.ndarray,
    elongation: np.ndarray,
    direction: np.ndarray,
    roughness: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Ellipses of the given mean radius [c] along `direction` [c], with a few random harmonics on the radius."""
    turn = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, (len(centres), len(HARMONICS), 1))
    height = rng.normal(0, roughness, (len(centres), len(HARMONICS), 1))
    wave = 1 + (height * np.cos(HARMONICS[None, :, None] * turn + phase)).sum(axis=1)
    wave = np.clip(wave, 0.5, 1.5) * radius[:, None]
    long, short = wave * np.cos(turn) * np.sqrt(elongation)[:, None], wave * np.sin(turn) / np.sqrt(elongation)[:, None]
    cos, sin = np.cos(direction)[:, None], np.sin(direction)[:, None]
    return centres[:, None] + np.stack([long * cos - short * sin, long * sin + short * cos], axis=2)
