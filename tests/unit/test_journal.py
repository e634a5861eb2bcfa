"""Lines that are whole, or are not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ml_core import journal


def test_lines_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lines.jsonl"
    assert journal.read(path) == []
    for number in range(3):
        journal.append(path, {"number": number, "text": "a\nb"})
    assert [row["number"] for row in journal.read(path)] == [0, 1, 2]


def test_half_a_line_of_a_killed_writer_neither_counts_nor_spoils_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    journal.append(path, {"number": 0})
    with path.open("a") as file:
        file.write('{"number": 1, "te')
    assert journal.read(path) == [{"number": 0}]
    journal.append(path, {"number": 2})
    assert journal.read(path) == [{"number": 0}, {"number": 2}]


def test_writers_at_once_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"

    def write(writer: int) -> None:
        for number in range(20):
            journal.append(path, {"writer": writer, "number": number})

    threads = [threading.Thread(target=write, args=[writer]) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(row["writer"], row["number"]) for row in journal.read(path)} == {
        (w, n) for w in range(4) for n in range(20)
    }


def test_what_is_no_json_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        journal.append(tmp_path / "lines.jsonl", {"number": float("nan")})
    assert journal.read(tmp_path / "lines.jsonl") == []
