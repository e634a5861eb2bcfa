"""Reads become rows as a plain loop over reads and regions would make them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.families.tissuebert.panel_data import Panel
from ml_core.families.tissuebert.rows import CpgStates, Numbered, counted, merged, overlaps
from ml_core.families.tissuebert.tokens import cpg_certain, tokenize
from ml_core.families.tissuebert.windows import padded

STARTS, ENDS = np.array([8, 2, 20]), np.array([12, 7, 26])  # not in order: regions need not be sorted


def panel() -> Panel:
    letters = np.full((3, 150), ord("A"), np.uint8)
    places = [np.arange(end - start) * 11 + 5 for start, end in zip(STARTS, ENDS, strict=True)]
    for row, own in zip(letters, places, strict=True):
        for place in [*own, 120]:  # a CpG at 120 is in the window, but not the region's
            row[place : place + 2] = np.frombuffer(b"CG", np.uint8)
    position, n_cpg = padded(places)
    frame = pd.DataFrame({"chromosome": "chr1", "start": [0, 500, 900], "start_cpg": STARTS, "end_cpg": ENDS})
    nothing = pd.DataFrame()
    return Panel(frame, nothing, nothing, tokenize(letters), position, n_cpg, np.zeros((3, 1)), "b", "fasta", 0)


def split(reads: list[tuple[int, str, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    codes = {"T": 0, "C": 1, ".": 3}
    start, count = (np.array([read[which] for read in reads], np.int64) for which in (0, 2))
    state = np.array([codes[letter] for read in reads for letter in read[1]], np.uint8)
    return start, state, np.array([len(read[1]) for read in reads], np.int64), count


READS = st.lists(
    st.tuples(st.integers(1, 30), st.text("CT.", min_size=1, max_size=14), st.integers(1, 5)), min_size=1, max_size=25
)


@given(READS, st.integers(1, 4), st.integers(1, 7))
@hypothesis_settings(max_examples=150, deadline=None)
def test_rows_are_those_of_a_loop_over_reads_and_regions(
    reads: list[tuple[int, str, int]], least: int, chunk: int
) -> None:
    own = panel()
    windows = Numbered.of(own.regions, most=own.cpg_position.shape[1])
    expected: Counter[tuple[int, str]] = Counter()
    for start, pattern, count in reads:
        for region, (low, high) in enumerate(zip(STARTS.tolist(), ENDS.tolist(), strict=True)):
            part = "".join(pattern[cpg - start] if 0 <= cpg - start < len(pattern) else "." for cpg in range(low, high))
            if len(part) - part.count(".") >= least:
                expected[region, part] += count
    parts = [overlaps(*split(reads[at : at + chunk]), windows=windows) for at in range(0, len(reads), chunk)]
    found = merged(parts, windows=own, min_observed=least)
    as_text = {}
    for row in range(len(found)):
        places = own.cpg_position[found.region[row]][: own.n_cpg[found.region[row]]]
        text = "".join("TC?."[state] for state in found.states[row, places])
        as_text[int(found.region[row]), text] = int(found.count[row])
        assert found.n_meth[row] == text.count("C")
        assert found.n_cov[row] == text.count("C") + text.count("T")
        others = np.setdiff1d(np.arange(150), places)
        certain = cpg_certain(own.dna_tokens)[found.region[row]]
        np.testing.assert_array_equal(found.states[row, others], np.where(certain, 3, 2)[others])
    assert as_text == dict(expected)
    assert (np.diff(found.region) >= 0).all()


def test_counts_give_the_majority_s_states_and_the_sums() -> None:
    own = panel()
    meth, cov = np.zeros((3, 6), np.int64), np.zeros((3, 6), np.int64)
    cov[0, :4], meth[0, :4] = [10, 4, 0, 3], [9, 1, 0, 2]
    cov[2, :1] = 50
    found = counted(meth, cov, windows=own, min_observed=2)
    assert found.region.tolist() == [0]
    assert found.states[0, own.cpg_position[0, :4]].tolist() == [1, 0, 3, 1]
    assert (found.n_meth.tolist(), found.n_cov.tolist(), found.count.tolist()) == ([12], [17], [1])


def test_no_reads_are_no_rows() -> None:
    own = panel()
    empty = CpgStates(np.zeros(0, np.int64), np.zeros((0, 6), np.uint8), np.zeros(0, np.int64))
    assert len(merged([], windows=own, min_observed=1)) == len(merged([empty], windows=own, min_observed=1)) == 0
    assert merged([], windows=own, min_observed=1).states.shape == (0, 150)
