"""Which view of the nuclei serves for what: the ring test's own is never trained on."""

from __future__ import annotations

from ml_core.errors import UserError
from ml_core.families.segger.data import FULL, Graph
from ml_core.families.segger.settings import ModelSettings


def view_name(share: float) -> str:
    """Name of the view in which nuclei are the hulls of this inner share of their transcripts."""
    return f"{share:.2f}"


def training_views(graph: Graph, settings: ModelSettings) -> dict[str, float]:
    """View to the chance that a tile is trained on it. UserError where the graph has none to learn from."""
    shrunken = [name for name in graph.views if name not in (FULL, view_name(settings.test_view))]
    for share in (settings.test_view, settings.validation_view):
        if view_name(share) not in graph.views:
            raise UserError(
                f"model: the graph has no view {view_name(share)} (it has {', '.join(graph.views)}); "
                "add the share to graph.shrunken_shares, or set model.test_view and model.validation_view."
            )
    each = (1 - settings.full_view_share) / len(shrunken)
    return {FULL: settings.full_view_share, **dict.fromkeys(shrunken, each)}
