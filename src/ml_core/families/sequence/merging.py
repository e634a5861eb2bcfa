"""Tables over one set of ASVs: an ASV is its sequence, whatever each table calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ml_core.errors import UserError
from ml_core.families.sequence.dna import clean, is_sequence, md5
from ml_core.families.sequence.readers.counts import Counts


@dataclass(frozen=True)
class Merged:
    """**Shapes**, a ASVs: asv_ids [a] str objects, as the first table that has the ASV calls it; sequences [a] str
    objects, whole, ascending; matrices, one for each table [n_k, a] int32.

    noticed: what was odd about sequences -> ASVs. nameless: ASVs of each table without a known sequence, left out.
    """

    asv_ids: np.ndarray
    sequences: np.ndarray
    matrices: list[sparse.csr_matrix]
    noticed: Counter[str]
    nameless: list[list[str]]


def merge(tables: Sequence[Counts], *, known: Mapping[str, str]) -> Merged:
    """All tables over the union of their ASVs. `known`: name -> sequence, for ids that are no sequence themselves.

    ASVs of one table with the same sequence are added up and counted. UserError where no ASV of a table has a sequence.
    """
    noticed: Counter[str] = Counter()
    cleaned: dict[str, str] = {}
    names: dict[str, str] = {}  # sequence -> id
    written: list[list[str | None]] = []
    for table in tables:
        found: list[str | None] = []
        for name in table.asv_ids:
            sequence = name if is_sequence(name) else known.get(name)
            if sequence is not None and name not in cleaned:
                cleaned[name] = clean(sequence, name=name, noticed=noticed)
            found.append(cleaned.get(name))
            if name in cleaned:
                names.setdefault(cleaned[name], name)
        if not any(found):
            raise UserError(
                f"table: none of its {len(found)} ASVs has a sequence ('{table.asv_ids[0]}' for one), expected "
                "sequences as ids, or ids with raw.sequences; give the FASTA of the representative sequences."
            )
        noticed["the sequence of another ASV of its table, added to that"] += sum(
            each is not None for each in found
        ) - len(set(found) - {None})
        written.append(found)
    sequences = sorted(names)
    place = {sequence: at for at, sequence in enumerate(sequences)}
    matrices = [
        table.matrix.astype(np.int64) @ _columns([place.get(each or "", -1) for each in found], count=len(sequences))
        for table, found in zip(tables, written, strict=True)
    ]
    return Merged(
        asv_ids=np.array([names[sequence] for sequence in sequences], object),
        sequences=np.array(sequences, object),
        matrices=[_tidy(matrix) for matrix in matrices],
        noticed=+noticed,
        nameless=[
            [name for name, sequence in zip(table.asv_ids, found, strict=True) if sequence is None]
            for table, found in zip(tables, written, strict=True)
        ],
    )


def tips_of(asv_ids: np.ndarray, sequences: np.ndarray, *, tips: Mapping[str, int]) -> np.ndarray:
    """[a] each ASV's tip (its node) by id, sequence or md5, in upper or lower case, or -1. `tips`: name -> node.

    UserError where two ASVs would share a tip.
    """
    upper = {name.upper(): node for name, node in tips.items() if is_sequence(name)}
    found = []
    for name, sequence in zip(asv_ids, sequences, strict=True):
        places = (tips.get(name), upper.get(sequence), tips.get(md5(sequence)), upper.get(name.upper()))
        found.append(next((place for place in places if place is not None), -1))
    nodes = np.array(found, np.int64)
    used, first, count = np.unique(nodes, return_index=True, return_counts=True)
    if (count[used >= 0] > 1).any():
        name = asv_ids[first[(count > 1) & (used >= 0)][0]]
        raise UserError(
            f"table: ASV '{name}' and another one of a different sequence belong to one tip of the tree, expected a "
            "tip for each; look whether ids, sequences and tips belong together."
        )
    return nodes


def _columns(places: list[int], *, count: int) -> sparse.csr_matrix:
    """[ASVs of a table, count], one 1 in each row whose place is not -1."""
    rows = [row for row, place in enumerate(places) if place >= 0]
    ones = np.ones(len(rows), np.int64)
    return sparse.csr_matrix((ones, (rows, [places[row] for row in rows])), (len(places), count))


def _tidy(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix = matrix.astype(np.int32)
    matrix.sort_indices()
    return matrix
