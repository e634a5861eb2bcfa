"""What a stage says, as Dagster shows it, and how big it may become."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dagster_definitions.metadata import MAX_FIGURE_BYTES, MAX_FIGURE_WIDTH, MAX_TABLE_ROWS, figure, small_png, table
from tests.dagster.conftest import Run, materialization


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A PNG of 1200 x 900 that cannot be compressed."""
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_figure_too_large_is_made_small_and_stays_a_picture(noise: Path) -> None:
    assert noise.stat().st_size > 10 * MAX_FIGURE_BYTES
    small = small_png(noise)
    assert len(small) <= MAX_FIGURE_BYTES
    with Image.open(io.BytesIO(small)) as image:
        assert image.format == "PNG"
        assert abs(image.width / image.height - 1200 / 900) < 0.02


def test_a_chart_keeps_its_size_when_fewer_colours_are_enough(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 1000).astype(np.uint8), (750, 1))
    pixels = np.stack([ramp, ramp[::-1], np.arange(750, dtype=np.uint16)[:, None].astype(np.uint8) + 0 * ramp], axis=-1)
    path = tmp_path / "chart.png"
    Image.fromarray(pixels).save(path, compress_level=0)
    with Image.open(io.BytesIO(small_png(path))) as image:
        assert image.size == (1000, 750)


def test_a_figure_is_no_wider_than_the_dialog_that_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (1800, 600)).save(path)
    with Image.open(io.BytesIO(small_png(path))) as image:
        assert image.size == (MAX_FIGURE_WIDTH, 333)


def test_a_small_figure_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (10, 10)).save(path)
    assert small_png(path) == path.read_bytes()


def test_what_is_transparent_becomes_white(noise: Path) -> None:
    with Image.open(noise) as opened:
        image = opened.convert("RGBA")
    image.putalpha(0)
    image.save(noise)
    with Image.open(io.BytesIO(small_png(noise, limit=2000))) as small:
        assert small.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_figure_lies_inside_the_metadata_and_names_its_file(noise: Path) -> None:
    text = str(figure(noise, title="Noise").value)
    encoded = text.split("base64,")[1].split(")")[0]
    assert len(base64.b64decode(encoded)) <= MAX_FIGURE_BYTES
    assert text.endswith(str(noise))


def test_a_missing_figure_does_not_break_the_run(tmp_path: Path) -> None:
    assert "is missing" in str(figure(tmp_path / "none.png", title="None").value)


def test_a_table_has_at_most_200_rows_and_typed_columns() -> None:
    made = table([{"n": row, "share": row / 2 if row else None, "name": "x", "ok": True} for row in range(300)])
    assert len(made.records) == MAX_TABLE_ROWS
    assert {column.name: column.type for column in made.schema.columns} == {
        "n": "int",
        "share": "float",
        "name": "string",
        "ok": "bool",
    }


def test_a_stage_shows_its_numbers_its_whereabouts_and_what_it_cost(run: Run) -> None:
    result = run()
    found = {name: entry.value for name, entry in materialization(result, "table").metadata.items()}
    assert found["letters"] == 10
    assert found["even"] is True
    assert "missing" not in found
    assert found["headline"] == "10 letters."
    assert found["Letters: rows"] == "200 of 300 are shown"
    assert found["device"] == "cpu"
    assert {"seconds", "cpu_seconds", "peak_memory_gb", "digest", "fingerprint", "cached"} <= set(found)
    assert Path(found["artifact"]).is_dir()


def test_training_names_the_command_that_opens_its_curves(run: Run) -> None:
    found = materialization(run(), "model").metadata
    assert found["tensorboard"].value == f"tensorboard --logdir '{found['artifact'].value}/logs/tensorboard'"


def test_a_report_is_linked(run: Run) -> None:
    assert Path(materialization(run(), "report").metadata["report"].value).read_text().startswith("Tiny")


def test_figures_and_tables_stand_ahead_of_numbers(run: Run) -> None:
    """The UI shows the first 50 entries."""
    names = list(materialization(run(), "table").metadata)
    assert names[0] == "headline"
    assert names.index("Letters") < names.index("letters") < names.index("digest")
