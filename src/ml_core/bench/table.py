"""Rows in words: for the terminal, and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from ml_core.bench.case import Row, Side

HEAD = ("case", "what", "ours", "beside", "ratio", "reach", "reached", "note")


def as_text(row: Row) -> str:
    """One line for the terminal."""
    _, what, ours, beside, ratio, reach, reached, note = cells(row)
    parts = [f"{row.case:20} {what}: {ours or '-'}"]
    parts += [f"beside {beside}"] if beside else []
    parts += [ratio] if ratio else []
    parts += [f"(reach {reach}: {reached})"] if reach else []
    parts += [f"- {note}"] if note else []
    return " ".join(parts)


def as_markdown(rows: Iterable[Row]) -> str:
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    reached = {True: "yes", False: "**no**", None: ""}[row.reached]
    ratio = "" if row.ratio is None else f"{number(row.ratio)}x"
    return (row.case, row.what, side(row.ours), side(row.beside), ratio, row.reach_text, reached, row.note)


def side(found: Side | None) -> str:
    """`PyG HGTConv 1.2 CPU-s, 0.29 GB`; wall time where it differs by a fifth from CPU time."""
    if found is None:
        return ""
    parts = [f"{found.name} {number(found.value)} {found.unit}".rstrip()]
    if found.wall_seconds is not None and found.unit == "CPU-s" and found.wall_seconds > 1.2 * found.value:
        parts.append(f"{number(found.wall_seconds)} s wall")
    if found.memory_gb is not None and found.unit != "GB":
        parts.append(f"{number(found.memory_gb)} GB")
    return ", ".join(parts)


def number(value: float) -> str:
    """Three digits that count, or all those ahead of the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.0995 or value == 0 else f"{value:.2g}"
