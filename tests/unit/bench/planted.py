"""Cases that tests plant: what they measure takes no time."""

from __future__ import annotations

from collections.abc import Callable

from ml_core.bench.case import Reach, Request, Row, Side


def fine(request: Request) -> list[Row]:
    return [
        Row("planted", Side("ours", 1.0), Side("peer", 4.0), ratio=4.0, reach=Reach(least=3), rounds=request.rounds)
    ]


def broken(request: Request) -> list[Row]:
    raise RuntimeError("planted\nfault")


def counting(start: int) -> Callable[[], int]:
    """Answers with start, start + 1, ..."""
    calls = iter(range(start, start + 100))
    return lambda: next(calls)


def breaking() -> Callable[[], int]:
    raise ValueError("no such thing")
