"""BAM: Bismark's tags and modified bases give the CpGs of fragments, mates together, reverse reads at the C."""

from __future__ import annotations

import builtins
import sys
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.readers.bam import read_bam
from ml_core.families.tissuebert.rows import CpgStates

PLACES = np.array([[100, 110, 120], [205, 210, -1]])
REGIONS = pd.DataFrame({"chromosome": ["chr1", "chr1"]})


def write(path: Path, reads: list[dict[str, Any]], *, chromosome: str = "chr1") -> Path:
    pysam = pytest.importorskip("pysam")
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": chromosome, "LN": 1000}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number, described in enumerate(reads):
            read = pysam.AlignedSegment(file.header)
            length = described.get("length", 30)
            read.query_name = described.get("name", f"r{number}")
            read.query_sequence = described.get("sequence", "A" * length)
            read.flag = described.get("flag", 0)
            read.reference_id, read.reference_start = 0, described["start"]
            read.mapping_quality = described.get("quality", 60)
            read.cigarstring = described.get("cigar", f"{length}M")
            for tag, value in described.get("tags", {}).items():
                read.set_tag(tag, value)
            file.write(read)
    return path


def read(path: Path) -> CpgStates:
    return read_bam(path, places=PLACES, regions=REGIONS, min_mapping_quality=20)


def as_rows(found: CpgStates) -> list[tuple[int, list[int]]]:
    return sorted(zip(found.region.tolist(), found.states.tolist(), strict=True))


def xm(length: int, **calls: str) -> str:
    signs = ["."] * length
    for place, sign in calls.items():
        signs[int(place[1:])] = sign
    return "".join(signs)


def test_calls_of_bismark_stand_at_the_c_on_either_strand(tmp_path: Path) -> None:
    forward = {"start": 95, "tags": {"XM": xm(30, _5="Z", _15="z", _20="h"), "XG": "CT"}}
    reverse = {"start": 95, "flag": 16, "tags": {"XM": xm(30, _6="z", _16="Z"), "XG": "GA"}}
    found = as_rows(read(write(tmp_path / "a.bam", [forward, reverse])))
    assert found == [(0, [0, 1, 3]), (0, [1, 0, 3])]


def test_insertions_and_deletions_are_followed(tmp_path: Path) -> None:
    inserted = {"start": 95, "length": 34, "cigar": "10M4I20M", "tags": {"XM": xm(34, _5="Z", _19="z")}}
    deleted = {"start": 95, "length": 26, "cigar": "10M4D16M", "tags": {"XM": xm(26, _5="Z", _11="z")}}
    assert as_rows(read(write(tmp_path / "a.bam", [inserted, deleted]))) == [(0, [1, 0, 3])] * 2


def test_mates_are_one_fragment_and_the_first_one_s_call_stays(tmp_path: Path) -> None:
    mates = [
        {"name": "pair", "flag": 99, "start": 95, "length": 20, "tags": {"XM": xm(20, _5="Z", _15="Z")}},
        {"name": "pair", "flag": 147, "start": 105, "length": 20, "tags": {"XM": xm(20, _5="z", _15="z")}},
        {"name": "pair", "flag": 147, "start": 200, "length": 20, "tags": {"XM": xm(20, _5="z")}},
    ]
    assert as_rows(read(write(tmp_path / "a.bam", mates))) == [(0, [1, 1, 0]), (1, [0, 3, 3])]


def test_modified_bases_are_read_with_their_chance(tmp_path: Path) -> None:
    bases = ["A"] * 30
    for place in (5, 15, 25):
        bases[place] = "C"
    tags = {"MM": "C+m?,0,0,0;", "ML": array("B", [250, 3, 128])}
    forward = {"start": 95, "sequence": "".join(bases), "tags": tags}
    bases = ["A"] * 30
    for place in (6, 16):
        bases[place] = "G"
    tags = {"MM": "C+m?,0,0;", "ML": array("B", [3, 250])}  # in the order of the read's own strand
    reverse = {"start": 95, "flag": 16, "sequence": "".join(bases), "tags": tags}
    found = as_rows(read(write(tmp_path / "a.bam", [forward, reverse])))
    assert found == [(0, [1, 0, 1]), (0, [1, 0, 3])]


def test_reads_that_are_badly_mapped_or_copies_are_left_out(tmp_path: Path) -> None:
    tags = {"XM": xm(30, _5="Z")}
    reads = [
        {"start": 95, "tags": tags, "quality": 19},
        {"start": 95, "tags": tags, "flag": 1024},
        {"start": 95, "tags": tags, "flag": 256},
        {"start": 500, "tags": tags},
    ]
    assert len(read(write(tmp_path / "a.bam", reads))) == 0


def test_reads_without_methylation_and_other_builds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="read 'r0' has neither the tag XM nor MM"):
        read(write(tmp_path / "a.bam", [{"start": 95}]))
    with pytest.raises(UserError, match="has '1' where the others have 'chr1'"):
        read(write(tmp_path / "b.bam", [], chromosome="1"))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bam", [{"start": 95, "tags": {"XM": xm(30, _5="Z")}}] * 500)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"a\.bam: is damaged or truncated"):
        read(path)


def test_without_pysam_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "pysam":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "pysam", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs pysam, which is not installed; install the extra"):
        read(tmp_path / "a.bam")
