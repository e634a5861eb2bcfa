"""Readers, one per instrument; `read_sample` chooses by the columns where the settings do not."""

from __future__ import annotations

from pathlib import Path

from ml_core.errors import UserError
from ml_core.families.segger.readers import cosmx, merscope, xenium
from ml_core.families.segger.readers.columns import column_names
from ml_core.families.segger.readers.sample import Sample

SIGNS = {"xenium": xenium.REQUIRED, "merscope": merscope.REQUIRED, "cosmx": cosmx.REQUIRED}


def read_sample(files: dict[str, Path], *, platform: str, pixel_size_um: float, negate_boundary_y: bool) -> Sample:
    """The sample in `files` (canonical name -> path). Raises UserError where the platform cannot be told."""
    transcripts = files["transcripts"]
    name = platform_of(transcripts) if platform == "auto" else platform
    if name == "xenium":
        return xenium.read(transcripts, nucleus_boundaries=files.get("nucleus_boundaries"))
    if name == "merscope":
        return merscope.read(transcripts, boundaries=files.get("cell_boundaries"), negate_boundary_y=negate_boundary_y)
    return cosmx.read(transcripts, pixel_size_um=pixel_size_um)


def platform_of(transcripts: Path) -> str:
    """The platform whose required columns a transcripts file has."""
    present = set(column_names(transcripts))
    for name, required in SIGNS.items():
        if present >= set(required):
            return name
    expected = "; ".join(f"{name}: {', '.join(required)}" for name, required in SIGNS.items())
    raise UserError(
        f"{transcripts}: has the columns {', '.join(sorted(present)[:20])}, which are those of no known platform "
        f"({expected}); "
        "rename the columns, or set raw.platform to see which one is missing."
    )
