"""What a stage says about its artifact as Dagster's metadata, within limits: every event is kept for ever in sqlite."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import dagster as dg

from ml_core.artifacts import Artifact

MAX_FIGURE_BYTES = 60_000
MAX_FIGURE_WIDTH = 1000  # pixels: the UI's dialog cuts off what is wider than itself
MAX_TABLE_ROWS = 200
MANIFEST_NUMBERS = ("device", "seconds", "cpu_seconds", "peak_memory_gb", "created")


def artifact_metadata(artifact: Artifact, *, cached: bool, champion: str | None = None) -> dict[str, dg.MetadataValue]:
    """What a reader asks first stands first, for the UI shows 50 rows: headline, figures, tables, then numbers, origin.

    champion: why the artifact's model is put forward, or is not.
    """
    summary, directory = artifact.summary, artifact.directory
    found: dict[str, Any] = {"headline": dg.MetadataValue.text(summary.headline)} if summary.headline else {}
    if champion:
        found["champion"] = dg.MetadataValue.text(champion)
    found["cached"] = dg.MetadataValue.bool(cached)
    if (directory / "report.html").is_file():
        found["report"] = dg.MetadataValue.path(directory / "report.html")
    found["artifact"] = dg.MetadataValue.path(directory)
    for title, name in summary.figures.items():
        found[title] = figure(directory / name, title=title)
    for title, rows in summary.tables.items():
        if rows:
            found[title] = table(rows)
            if len(rows) > MAX_TABLE_ROWS:
                found[f"{title}: rows"] = dg.MetadataValue.text(f"{MAX_TABLE_ROWS} of {len(rows)} are shown")
    found |= {name: _scalar(value) for name, value in summary.numbers.items() if value is not None}
    return found | _origin(artifact)


def _origin(artifact: Artifact) -> dict[str, dg.MetadataValue]:
    """How the artifact was made, and what tells it from others."""
    manifest, logs = artifact.manifest, artifact.directory / "logs" / "tensorboard"
    found = {name: _scalar(manifest[name]) for name in MANIFEST_NUMBERS if manifest.get(name) is not None}
    if logs.is_dir():
        found["tensorboard"] = dg.MetadataValue.text(f"tensorboard --logdir '{logs}'")
    found["fingerprint"] = dg.MetadataValue.text(artifact.fingerprint)
    return found | {"digest": dg.MetadataValue.text(artifact.digest)}


def table(rows: list[dict[str, Any]]) -> dg.TableMetadataValue:
    """The first 200 rows; a column has the type of its values where they agree."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [{name: row.get(name) for name in columns} for row in rows[:MAX_TABLE_ROWS]]
    schema = dg.TableSchema([dg.TableColumn(name, type=_column_type([row[name] for row in shown])) for name in columns])
    records = [dg.TableRecord({k: "" if v is None else v for k, v in row.items()}) for row in shown]
    return dg.MetadataValue.table(records, schema=schema)


def figure(path: Path, *, title: str) -> dg.MarkdownMetadataValue:
    """A PNG inside the metadata, so that it is seen from wherever the UI is; the file where it cannot be shown."""
    if not path.is_file():
        return dg.MetadataValue.md(f"{path} is missing")
    encoded = base64.b64encode(small_png(path)).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})\n\n{path}")


def small_png(path: Path, *, limit: int = MAX_FIGURE_BYTES) -> bytes:
    """The image as PNG of at most `limit` bytes and 1000 pixels wide: as it is, or in 128 colours and ever smaller."""
    from PIL import Image  # takes 10 ms, and each of Dagster's commands imports this file

    original = path.read_bytes()
    with Image.open(io.BytesIO(original)) as opened:
        if len(original) <= limit and opened.format == "PNG" and opened.width <= MAX_FIGURE_WIDTH:
            return original
        image = opened.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB")
    share = min(1.0, MAX_FIGURE_WIDTH / image.width)
    while True:
        size = (max(1, int(image.width * share)), max(1, int(image.height * share)))
        small = image if share == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.quantize(128, method=Image.Quantize.MEDIANCUT).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= limit or size == (1, 1):
            return buffer.getvalue()
        share *= min(0.9, (limit / buffer.tell()) ** 0.5)


def _scalar(value: float | int | str | bool) -> dg.MetadataValue:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(float(f"{value:.6g}"))  # the report's metrics.json has all digits
    return dg.MetadataValue.text(str(value))


def _column_type(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int"
    return "float" if kinds and kinds <= {int, float} else "string"
