"""Tables are merged by sequence, and no read is lost or gained."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from ml_core.errors import UserError
from ml_core.families.sequence.merging import merge, tips_of
from ml_core.families.sequence.readers.counts import Counts
from tests.unit.families.sequence.planted import sequences

SEQUENCES = sequences(8)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - a name, no secret


def table(asv_ids: list[str], *, seed: int = 0, samples: int = 3) -> Counts:
    counts = np.random.default_rng(seed).integers(0, 9, (samples, len(asv_ids))).astype(np.int32)
    names = np.array([f"s{seed}.{number}" for number in range(samples)], object)
    return Counts(names, np.array(asv_ids, object), sparse.csr_matrix(counts))


@given(st.sets(st.integers(0, 7), min_size=1), st.sets(st.integers(0, 7), min_size=1), st.booleans())
def test_each_read_stays_with_its_sequence(first: set[int], second: set[int], hashed: bool) -> None:
    ids = [[SEQUENCES[asv] for asv in sorted(each)] for each in (first, second)]
    names = [ids[0], [md5(each) for each in ids[1]] if hashed else [each.lower() for each in ids[1]]]
    tables = [table(each, seed=number) for number, each in enumerate(names)]
    merged = merge(tables, known={md5(each): each for each in SEQUENCES})
    assert merged.sequences.tolist() == sorted({*ids[0], *ids[1]})
    place = {sequence: at for at, sequence in enumerate(merged.sequences)}
    for own, before, after in zip(ids, tables, merged.matrices, strict=True):
        expected = np.zeros((3, len(place)))
        expected[:, [place[each] for each in own]] = before.matrix.toarray()
        np.testing.assert_array_equal(after.toarray(), expected)
        assert after.dtype == np.int32


def test_the_first_table_names_an_asv() -> None:
    merged = merge([table([SEQUENCES[0]]), table([md5(SEQUENCES[0])])], known={md5(SEQUENCES[0]): SEQUENCES[0]})
    assert merged.asv_ids.tolist() == [SEQUENCES[0]]


def test_asvs_of_one_sequence_are_added_up_and_counted() -> None:
    one = table([SEQUENCES[0], SEQUENCES[0].lower(), SEQUENCES[1]])
    merged = merge([one], known={})
    counts = one.matrix.toarray()
    place = merged.sequences.tolist().index(SEQUENCES[0])
    np.testing.assert_array_equal(merged.matrices[0].toarray()[:, place], counts[:, 0] + counts[:, 1])
    assert merged.noticed["the sequence of another ASV of its table, added to that"] == 1
    assert merged.noticed["lower-case letters"] == 1


def test_an_asv_without_a_sequence_is_left_out_and_named() -> None:
    merged = merge([table([SEQUENCES[0], "asv7"])], known={})
    assert merged.nameless == [["asv7"]]
    assert merged.sequences.tolist() == [SEQUENCES[0]]


def test_a_table_without_any_sequence_is_refused() -> None:
    with pytest.raises(UserError, match=r"none of its 2 ASVs has a sequence .'asv1' for one.*raw.sequences"):
        merge([table([SEQUENCES[0]]), table(["asv1", "asv2"])], known={})


@pytest.mark.parametrize("call", [str, str.lower, md5, lambda _: "asv1"], ids=["sequence", "lower", "md5", "id"])
def test_a_tip_is_found_however_it_is_called(call) -> None:
    found = tips_of(np.array(["asv1"], object), np.array(SEQUENCES[:1], object), tips={call(SEQUENCES[0]): 5, "x": 6})
    assert found.tolist() == [5]


def test_an_asv_that_no_tip_stands_for_is_told() -> None:
    assert tips_of(np.array(["asv1"], object), np.array(SEQUENCES[:1], object), tips={"x": 6}).tolist() == [-1]


def test_two_asvs_of_one_tip_are_refused() -> None:
    with pytest.raises(UserError, match="belong to one tip of the tree"):
        tips_of(
            np.array(["asv1", SEQUENCES[1]], object),
            np.array(SEQUENCES[:2], object),
            tips={"asv1": 3, SEQUENCES[1]: 4, SEQUENCES[0]: 5} | {md5(SEQUENCES[1]): 3} | {SEQUENCES[1]: 3},
        )
