"""Sides that take turns, each in a process of its own: CPU seconds, wall time and the memory of each."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from ml_core.bench.case import Reach, Row, Side
from ml_core.errors import UserError
from ml_core.usage import cpu_seconds, peak_since_reset_gb, reset_peak

SLOW_SECONDS = 20.0  # where a side takes longer there is one round behind the one that warms up
LONGEST = 300  # letters of an error in a row


@dataclass(frozen=True)
class Contender:
    """One side: `build(*arguments)`, a function of a module, returns what is timed, in a process of its own.

    units: how many of what is counted one call does; seconds are divided by it.
    """

    name: str
    build: Callable[..., Callable[[], Any]]
    arguments: tuple[Any, ...] = ()
    units: float = 1.0


@dataclass
class Timed:
    """Every round of a side but the first, which warms up and tells the memory. answers: of all of them."""

    name: str
    units: float = 1.0
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    memory_gb: float | None = None

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(self.cpu) / self.units

    @property
    def per_second(self) -> float:
        return 1 / self.cpu_seconds

    def side(self, *, rate: str | None = None) -> Side:
        """As it stands in a row: CPU seconds, or so many `rate` (rows/s) in one."""
        value, unit = (self.per_second, rate) if rate else (self.cpu_seconds, "CPU-s")
        return Side(self.name, value, unit, statistics.median(self.wall) / self.units, self.memory_gb)


class SideFailed(RuntimeError):
    """A side could not be built or broke off."""


def take_turns(contenders: Sequence[Contender], *, rounds: int) -> list[Timed]:
    """A round that warms up, then `rounds` of them, in another order each time; one where a side is slow."""
    timed = [Timed(each.name, each.units) for each in contenders]
    with ExitStack() as stack:
        processes = [stack.enter_context(_Process(each)) for each in contenders]
        number = 0
        while number <= rounds:
            for place in range(len(contenders)):
                at = (place + number) % len(contenders)
                cpu, wall, grown, answer = processes[at].once_more()
                timed[at].answers.append(answer)
                if number:
                    timed[at].cpu.append(cpu)
                    timed[at].wall.append(wall)
                else:
                    timed[at].memory_gb = grown
                    rounds = min(rounds, 1) if wall > SLOW_SECONDS else rounds
            number += 1
    return timed


def cheaper(what: str, ours: Timed, beside: Timed, *, least: float | None, note: str = "") -> Row:
    """How many times the CPU time of ours the other side takes."""
    return Row(
        what,
        ours.side(),
        beside.side(),
        ratio=beside.cpu_seconds / ours.cpu_seconds,
        reach=None if least is None else Reach(least=least),
        note=join(_rounds_note(ours, beside), note),
        rounds=len(ours.cpu),
    )


def lighter(what: str, ours: Timed, beside: Timed, *, least: float) -> Row | None:
    """How many times the memory of ours the other side takes; None where memory cannot be read."""
    if not ours.memory_gb or beside.memory_gb is None:
        return None
    return Row(
        what,
        Side(ours.name, ours.memory_gb, "GB"),
        Side(beside.name, beside.memory_gb, "GB"),
        ratio=beside.memory_gb / ours.memory_gb,
        reach=Reach(least=least),
        rounds=1,
    )


def join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _rounds_note(*sides: Timed) -> str:
    count, slowest = len(sides[0].cpu), max(max(side.wall) for side in sides)
    if slowest <= SLOW_SECONDS:
        return ""
    return f"{count} round{'s' if count > 1 else ''} only, for one takes {slowest:.0f} s"


class _Process:
    """A contender's process, which waits until it is its turn."""

    def __init__(self, contender: Contender) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = contender.name
        self._pipe, there = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(contender.build, contender.arguments, there), name=contender.name, daemon=False
        )
        self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

    def once_more(self) -> tuple[float, float, float | None, Any]:
        """CPU seconds, wall seconds, GB grown, answer."""
        try:
            self._pipe.send(None)
            found = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise SideFailed(
                f"{self._name}: its process ended with status {self._process.exitcode} (-9: out of memory, most likely)"
            ) from None
        if isinstance(found, str):
            raise SideFailed(f"{self._name}: {found}")
        cpu, wall, grown, answer = found
        return cpu, wall, grown, answer


def _serve(build: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...], pipe: Any) -> None:
    """In the contender's process: build once, then run as often as asked."""
    try:
        step = build(*arguments)
        while True:
            try:
                pipe.recv()
            except EOFError:
                return
            reset_peak()
            before = peak_since_reset_gb()
            started, cpu_started = time.perf_counter(), cpu_seconds()
            answer = step()
            cpu, wall = cpu_seconds() - cpu_started, time.perf_counter() - started
            after = peak_since_reset_gb()
            pipe.send((cpu, wall, None if before is None or after is None else after - before, answer))
    except Exception as error:
        traceback.print_exc()
        pipe.send(one_sentence(error))


def one_sentence(error: Exception) -> str:
    """What went wrong, on one line that fits into a table."""
    said = " ".join(str(error).split())[:LONGEST]
    return said if isinstance(error, SideFailed | UserError) else f"{type(error).__name__}: {said}"
