from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from ml_core.report import Figure, KeyFigure, Report, Section, Table, cell, write_report

mpl.use("Agg")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    from matplotlib import pyplot as plt

    (tmp_path / "figures").mkdir()
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, 1], [0, 1])
    figure.savefig(tmp_path / "figures" / "line.png")
    plt.close(figure)
    section = Section(
        "Ring <test>",
        "Text & more.",
        [Table([{"model": "ours", "top-1": 0.96123}], "On blocks")],
        [Figure("figures/line.png", "A line")],
    )
    key = KeyFigure("top-1", "0.961", "nearest 0.955", good=True)
    report = Report(
        "Segger", "Better than nearest.", [key], [section], {"ring.top1": 0.96, "x": float("nan")}, {"device": "cpu"}
    )
    write_report(report, tmp_path)
    return tmp_path


def test_the_page_is_self_contained(written: Path) -> None:
    page = (written / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert not re.search(r"https?://", page)


def test_text_is_escaped(written: Path) -> None:
    page = (written / "report.html").read_text()
    assert "Ring &lt;test&gt;" in page
    assert "Text &amp; more." in page


HOSTILE = '<script>alert("x")</script>'


def test_names_that_come_from_data_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    """A gene, a tissue, a column of somebody's table can be called anything."""
    (tmp_path / "line.png").write_bytes(b"\x89PNG")
    table = Table([{HOSTILE: 1, "gene": HOSTILE, "share": 0.5}], HOSTILE)
    section = Section(HOSTILE, HOSTILE, [table], [Figure("line.png", HOSTILE)])
    key = KeyFigure(HOSTILE, HOSTILE, HOSTILE, good=False)
    write_report(Report(HOSTILE, HOSTILE, [key], [section], {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("&lt;script&gt;alert(") >= 12
    assert "<script>alert(" not in page
    assert '"x"' not in page
    markdown = (tmp_path / "report.md").read_text()
    assert "<script>" not in markdown
    assert json.loads((tmp_path / "metrics.json").read_text()) == {HOSTILE: HOSTILE}


def test_metrics_are_strict_json_with_nan_as_null(written: Path) -> None:
    assert json.loads((written / "metrics.json").read_text()) == {"ring.top1": 0.96, "x": None}


def test_markdown_holds_headline_tables_and_figures(written: Path) -> None:
    text = (written / "report.md").read_text()
    assert text.startswith("# Segger\n\nBetter than nearest.")
    assert "| ours | 0.9612 |" in text
    assert "![A line](figures/line.png)" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (True, "yes"), (12345, "12,345"), (0.96123, "0.9612"), (12345.6, "12,346"), ("a", "a")],  # noqa: RUF001
)
def test_cells_are_readable(value: float | str | None, shown: str) -> None:
    assert cell(value) == shown
