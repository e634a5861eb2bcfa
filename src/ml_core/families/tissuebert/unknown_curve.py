"""How an unknown share that was found is read, after mixtures in which it was known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UnknownCurve:
    """Straight lines through (found, true), from (0, 0) to (1, 1); by default the share as it is found."""

    found: tuple[float, ...] = (0.0, 1.0)
    true: tuple[float, ...] = (0.0, 1.0)

    @classmethod
    def through(cls, found: np.ndarray, true: np.ndarray) -> UnknownCurve:
        """found [n] ascending, with repeats where shares could not be told apart, true [n] ascending. Those of which no
        more is found than of nothing at all say nothing, and are left out."""
        nothing = found[true == 0].max(initial=0.0)
        inner = (found > nothing) & (found < 1) & (true < 1)
        levels = np.unique(found[inner])
        means = [float(true[inner & (found == level)].mean()) for level in levels]
        return cls((0.0, *map(float, levels), 1.0), (0.0, *means, 1.0))

    def shares(self, whole: np.ndarray) -> np.ndarray:
        """Proportions [..., tissues + 1], the unknown one last, with that one read by the curve and the others in
        their relation to each other; sums stay 1."""
        before = whole[..., -1:]
        after = np.interp(before, self.found, self.true)
        known = whole[..., :-1] * (1 - after) / np.maximum(1 - before, 1e-12)
        found: np.ndarray = np.concatenate([known, after], axis=-1)
        return found


AS_FOUND = UnknownCurve()
