"""The measured part of a page, and the prose around it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ml_core.bench.case import Reach, Row, Side
from ml_core.bench.growth_fit import Cost, exponent, fitting, most, row_of
from ml_core.bench.ledger import Ledger
from ml_core.bench.ledger import row_of as row_from_json
from ml_core.bench.page import BEGIN, END, render
from ml_core.errors import UserError

MACHINE = {
    "processor": "planted",
    "python": "3.11",
    "matmul_fp32_gflops": 100.0,
    "matmul_bf16_gflops": 1000.0,
    "copy_gb_per_second": 10.0,
    "versions": {"torch": "2"},
}


def ledger() -> Ledger:
    costs = [Cost(1.0, 0.1, 0.3), Cost(2.0, 0.2, 0.3), Cost(4.0, 0.4, 0.3)]
    rows = [
        Row("step", Side("ours", 1.0), Side("peer", 2.0), ratio=2.0, reach=Reach(least=3), case="planted"),
        Row(**{**vars(row_of("graph", "cells", [10.0, 20.0, 40.0], costs)), "case": "growth-planted"}),
        Row(**{**vars(fitting("cells", [10.0, 20.0, 40.0], {"graph": costs})), "case": "growth-planted"}),
    ]
    return Ledger(None, MACHINE, rows, {"planted": "2026-11-27 12:00"}, {"planted": 60.0})


def test_the_page_keeps_its_prose_and_renders_twice_alike(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Speed\n\nProse above.\n\n{BEGIN}\nold\n{END}\n\nProse below.\n")
    render(page, ledger())
    once = page.read_text()
    assert once.startswith("# Speed\n\nProse above.\n")
    assert once.endswith("\n\nProse below.\n")
    assert "old" not in once
    assert "| planted | step | ours 1 CPU-s | peer 2 CPU-s | 2x | >= 3x | **no** |  |" in once
    assert "| growth-planted | graph, 10 to 40 cells | 1 / 2 / 4 | 1.00 | 0.1 / 0.2 / 0.4 | 1.00 | yes |" in once
    assert "Reached: 1 of 2 rows" in once
    render(page, ledger())
    assert page.read_text() == once


def test_the_figures_of_growth_stand_beside_the_page(tmp_path: Path) -> None:
    render(tmp_path / "page.md", ledger())
    assert (tmp_path / "images" / "growth-planted.png").read_bytes().startswith(b"\x89PNG")
    assert "(images/growth-planted.png)" in (tmp_path / "page.md").read_text()


def test_half_of_the_comments_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\nprose that a careless rendering would lose\n")
    with pytest.raises(UserError, match="one of the comments"):
        render(page, ledger())
    assert "careless" in page.read_text()


def test_rows_survive_their_json(tmp_path: Path) -> None:
    written = ledger()
    written.path = tmp_path / "rows.json"
    written.write()
    read = Ledger.read(written.path)
    assert [row.reached for row in read.rows] == [row.reached for row in written.rows]
    assert read.rows[0] == row_from_json({**vars(written.rows[0]), "ours": vars(written.rows[0].ours)} | {
        "beside": vars(written.rows[0].beside), "reach": vars(written.rows[0].reach)
    })  # fmt: skip


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_growth(power: float) -> None:
    sizes = [3.0, 6.0, 12.0]
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


def test_a_stage_that_takes_almost_nothing_is_not_judged() -> None:
    costs = [Cost(0.001, 0.0, 0.3), Cost(0.003, 0.0, 0.3), Cost(0.02, 0.001, 0.3)]
    assert row_of("raw", "cells", [1.0, 2.0, 4.0], costs).reached is None


def grown(*gigabytes: float) -> list[Cost]:
    return [Cost(1.0, each, 0.3) for each in gigabytes]


def test_what_fits_is_decided_by_the_stage_that_grows_fastest() -> None:
    """0.3 GB before, 0.4 more at 40 cells and 0.01 for each further one: (16 - 0.7) / 0.01 + 40 cells."""
    row = fitting("cells", [10.0, 20.0, 40.0], {"slow": grown(0.1, 0.102, 0.106), "fast": grown(0.1, 0.2, 0.4)})
    assert row.ours is not None
    assert row.ours.name == "limited by fast:"
    assert row.ours.value == pytest.approx(1570, rel=0.02)


def test_what_grows_with_the_square_is_not_taken_for_a_line() -> None:
    """0.0001 GB for each pair: 16 - 0.3 GB are 396 cells."""
    assert most([10.0, 20.0, 40.0], grown(0.01, 0.04, 0.16)) == pytest.approx(396, rel=0.01)


def test_what_does_not_grow_fits_always() -> None:
    assert most([10.0, 20.0, 40.0], grown(0.1, 0.1, 0.1)) == math.inf


def test_a_step_downwards_is_no_parabola() -> None:
    grown = [Cost(1, each, 0.0) for each in (0.257, 0.139, 0.204)]
    assert most([10.0, 20.0, 40.0], grown) == pytest.approx(40 + (16 - 0.204) / (0.065 / 20), rel=0.01)
