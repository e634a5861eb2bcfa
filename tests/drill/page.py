"""The table of outcomes on a page, between two marks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- the drill's table begins -->", "<!-- the drill's table ends -->"


def write_table(page: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the outcomes anew. ValueError where the page has no marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{page}: has no '{BEGIN}' and '{END}'; put them where the table belongs.")
    page.write_text(f"{before}{BEGIN}\n{table(rows)}{END}{after}")


def table(rows: Sequence[dict[str, Any]]) -> str:
    good = sum(row["good"] for row in rows)
    lines = [
        f"{datetime.date.today()}: {good} of {len(rows)} good.",
        "",
        "| | fault | what was seen | the same run again | wrong afterwards | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        wrong = "; ".join(row["wrong"]) or "nothing"
        cells = [row["number"], row["fault"], row["seen"], row["next"], wrong, f"{row['seconds']:.0f}"]
        lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
