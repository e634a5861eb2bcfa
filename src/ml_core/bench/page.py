"""The measured part of a page, between two comments: the prose around it stays. Figures stand beside the page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ml_core.bench.case import Row
from ml_core.bench.ledger import Ledger
from ml_core.bench.table import as_markdown, number
from ml_core.errors import UserError

BEGIN, END = "<!-- measured: `make bench` writes what stands between these two comments -->", "<!-- end of measured -->"
GROWTH = "growth-"
LIMITS = ("matmul_fp32_gflops", "matmul_bf16_gflops", "copy_gb_per_second")


def render(page: Path, ledger: Ledger) -> None:
    """Put table, growth and machine into the page, and draw its figures; a page without the comments gets them last.

    Raises UserError where the page holds one of the two comments alone.
    """
    text = page.read_text() if page.exists() else "# Performance\n"
    if (BEGIN in text) != (END in text):
        raise UserError(f"{page}: one of the comments around the measured part is missing: '{BEGIN}' and '{END}'.")
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.parent.mkdir(parents=True, exist_ok=True)
    figures = draw(page.parent / "images", ledger.rows)
    links = [os.path.relpath(figure, page.parent).replace(os.sep, "/") for figure in figures]
    aside = page.with_name(f".{page.name}")
    aside.write_text(f"{before}{BEGIN}\n\n{measured_part(ledger, links)}\n{END}{after}")
    os.replace(aside, page)


def measured_part(ledger: Ledger, links: Sequence[str]) -> str:
    """Machine, table of the cases, table of growth, figures."""
    growth = [row for row in ledger.rows if row.case.startswith(GROWTH) and row.series.get("size")]
    others = [row for row in ledger.rows if row not in growth]
    parts = [machine(ledger), as_markdown(others)]
    if growth:
        parts.append(growth_table(growth))
    parts += [f"![CPU time and memory of each stage by the size of the input]({link})" for link in links]
    return "\n".join(parts)


def machine(ledger: Ledger) -> str:
    found, days = ledger.machine, sorted(ledger.measured.values())
    versions = ", ".join(f"{name} {version}" for name, version in found.get("versions", {}).items())
    minutes = sum(ledger.seconds.values()) / 60
    judged = [row.reached for row in ledger.rows if row.reached is not None]
    when = f"Measured {days[0]} to {days[-1]} UTC, {minutes:.0f} minutes in all" if days else "Nothing measured"
    limits = ""
    if found:
        fp32, bf16, copied = (number(found[name]) for name in LIMITS)
        limits = (
            f"Limits of one thread, of the same run: matrix products {fp32} GFLOP/s in fp32 and {bf16} in bf16, "
            f"a copy {copied} GB/s.\n"
        )
    processor = f"on {found['processor']}, one thread; Python {found['python']}, {versions}" if found else ""
    return f"{when} {processor}.\n{limits}Reached: {sum(judged)} of {len(judged)} rows that are judged.\n"


def growth_table(rows: Iterable[Row]) -> str:
    """A line for each stage: what it costs at each size, and both exponents."""
    lines = [
        "| case | stage and input | CPU-s | exponent | GB more | exponent | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        of_time, of_memory = row.series["exponents"]
        seconds, memory = (
            " / ".join(number(each) for each in row.series[name]) for name in ("cpu_seconds", "grown_gb")
        )
        reached = {True: "yes", False: "**no**", None: "too little to judge"}[row.reached]
        lines.append(
            f"| {row.case} | {row.what} | {seconds} | {of_time:.2f} | {memory} | {of_memory:.2f} | {reached} |"
        )
    return "\n".join(lines) + "\n"


def draw(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """One figure for each family whose growth is among the rows."""
    cases = sorted({row.case for row in rows if row.case.startswith(GROWTH) and row.series.get("size")})
    if not cases:
        return []
    from ml_core.bench.growth_figure import draw_growth

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for case in cases:
        made.append(folder / f"{case}.png")
        draw_growth(made[-1], case=case, rows=[row for row in rows if row.case == case and row.series.get("size")])
    return made
