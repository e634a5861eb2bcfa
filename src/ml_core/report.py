"""The report of a family: report.html (one self-contained file), report.md, metrics.json and figures/.

A report is a headline, a row of key figures, and sections of text, tables and figures. Figures are PNG files that the
stage has written below figures/; the page carries them inside itself, so that it can be sent by mail.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_core.summary import Number

Rows = list[dict[str, Number]]


@dataclass(frozen=True)
class Figure:
    """A PNG below the report's directory; `path` is relative to it."""

    path: str
    caption: str


@dataclass(frozen=True)
class Table:
    rows: Rows
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs of plain text, then tables, then figures."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class KeyFigure:
    """A number for the top of the page. `context` says what to hold it against; `good` colours it (None: neutral)."""

    label: str
    value: str
    context: str
    good: bool | None = None


@dataclass(frozen=True)
class Report:
    """Everything that the page shows. `facts` are provenance: data, device, seconds, digests."""

    title: str
    headline: str
    key_figures: Sequence[KeyFigure]
    sections: Sequence[Section]
    metrics: Mapping[str, Number]
    facts: Mapping[str, str] = field(default_factory=dict)


def write_report(report: Report, directory: Path) -> None:
    """Write metrics.json, report.md and report.html into `directory`, where the figures already lie."""
    import jinja2  # takes 20 ms, and each of Dagster's commands imports this file

    metrics = {name: _finite(report.metrics[name]) for name in sorted(report.metrics)}
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    (directory / "report.md").write_text(_markdown(report))
    loader = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    loader.filters |= {"cell": cell, "numeric": _is_number}
    images = {
        figure.path: _data_url(directory / figure.path) for section in report.sections for figure in section.figures
    }
    page = loader.get_template("report.html.jinja").render(report=report, metrics=metrics, images=images)
    (directory / "report.html").write_text(page)


def cell(value: Number) -> str:
    """A scalar as a reader wants it: 4 significant digits, thousands apart, a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"  # noqa: RUF001
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return value


def _markdown(report: Report) -> str:
    lines = [f"# {report.title}", "", report.headline, ""]
    lines += [f"- **{item.label}**: {item.value} ({item.context})" for item in report.key_figures]
    for section in report.sections:
        lines += ["", f"## {section.title}", "", section.text]
        for table in filter(lambda table: table.rows, section.tables):
            lines += ["", *_markdown_table(table.rows)] + ([f"*{table.caption}*"] if table.caption else [])
        lines += [f"\n![{figure.caption}]({figure.path})" for figure in section.figures]
    lines += ["", "## Provenance", "", *(f"- {name}: {value}" for name, value in report.facts.items())]
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", "\n".join(lines)) + "\n"  # a viewer would take it for HTML


def _markdown_table(rows: Rows) -> list[str]:
    columns = list(rows[0])
    body = ["| " + " | ".join(cell(row[column]).replace("|", "\\|") for column in columns) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]


def _data_url(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _is_number(value: Number) -> bool:
    """What stands to the right in its column: numbers, and the dash of a missing one."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _finite(value: Number) -> Number:
    return None if isinstance(value, float) and not math.isfinite(value) else value
