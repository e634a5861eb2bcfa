"""From a file's rows to canonical edges: what is asked for is kept, each edge once, and every row is accounted for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.errors import UserError
from ml_core.families.hgt.accounting import Account, Ledger
from ml_core.families.hgt.data import MANY_NAMES, Relation
from ml_core.families.hgt.readers.rows import Rows
from ml_core.families.hgt.settings import PRIMEKG_TYPES, GraphSettings


@dataclass(frozen=True)
class Edges:
    """Canonical edges between numbers of `Rows.nodes`.

    **Shapes**, e edges: group [e] int32, index into relations and into the ledger's accounts (some have no edges),
    ascending; head and tail [e] int32. type_names: the kept types in the order in which they will be numbered.
    """

    relations: list[Relation]
    group: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    ledger: Ledger
    type_names: list[str]

    def __len__(self) -> int:
        return len(self.head)


def canonicalise(rows: Rows, *, settings: GraphSettings) -> Edges:
    """Leave out what is not asked for, loops, duplicates and reverse duplicates; say how often.

    An edge between two types runs as most of the file's rows do, or, where the directions are equally frequent, from
    the type that is named first. One within a type is undirected, and runs from the lower number, unless its relation
    is in `directed_relations`. Raises UserError where a requested type or relation is not there or loses all its rows.
    """
    type_names, node_type = _node_types(rows, settings=settings)
    _are_there(settings.include_node_types, type_names, what="node type", field="include_node_types")
    _are_there(settings.include_relations, rows.relations, what="relation", field="include_relations")
    relations, ledger, group = _accounts(rows, type_names=type_names, node_type=node_type, settings=settings)

    wanted_types = set(settings.include_node_types or type_names)
    wanted_relations = set(settings.include_relations or rows.relations)
    out_of_relations = np.array([account.relation not in wanted_relations for account in ledger.accounts])
    out_of_types = np.array([not {account.head, account.tail} <= wanted_types for account in ledger.accounts])
    out_of_types &= ~out_of_relations
    ledger.drop("excluded_relation", group[out_of_relations[group]])
    ledger.drop("excluded_node_type", group[out_of_types[group]])
    kept = ~(out_of_relations | out_of_types)[group]
    group, head, tail = group[kept], rows.head[kept], rows.tail[kept]

    loops = head == tail
    ledger.drop("self_loop", group[loops])
    if loops.any():
        group, head, tail = group[~loops], head[~loops], tail[~loops]
    edges = _each_once(
        group, head=head, tail=tail, node_type=node_type, relations=relations, types=type_names, book=ledger
    )
    _nothing_lost(ledger, settings=settings)
    return Edges(relations, *edges, ledger, [name for name in type_names if name in wanted_types])


def _node_types(rows: Rows, *, settings: GraphSettings) -> tuple[list[str], np.ndarray]:
    """All types, those of the settings first, and [n] int16 each node's index into them."""
    there = set(rows.nodes["node_type"].unique())
    order = [*settings.include_node_types, *PRIMEKG_TYPES, *sorted(there)]
    names = [name for name in dict.fromkeys(order) if name in there]
    codes = rows.nodes["node_type"].map({name: number for number, name in enumerate(names)})
    return names, codes.to_numpy(np.int16)


def _are_there(wanted: list[str], there: list[str], *, what: str, field: str) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        listed = ", ".join(sorted(there)[:MANY_NAMES]) + (", ..." if len(there) > MANY_NAMES else "")
        raise UserError(
            f"graph.{field}: the file has no {what} '{missing[0]}'; it has {listed}; name some of these, or give an "
            "empty list to keep all."
        )


def _accounts(
    rows: Rows, *, type_names: list[str], node_type: np.ndarray, settings: GraphSettings
) -> tuple[list[Relation], Ledger, np.ndarray]:
    """A relation and an account for each relation name and pair of types, and [m] int32 the one of each row."""
    t = len(type_names)
    head_type, tail_type = node_type[rows.head].astype(np.int32), node_type[rows.tail].astype(np.int32)
    forward = head_type <= tail_type  # the lower type number stands first
    pair = np.where(forward, head_type * t + tail_type, tail_type * t + head_type)
    code = rows.relation.astype(np.int32) * (t * t) + pair
    size = len(rows.relations) * t * t
    count, count_forward = np.bincount(code, minlength=size), np.bincount(code[forward], minlength=size)
    found = []
    for number in np.flatnonzero(count).tolist():
        name, low, high = rows.relations[number // (t * t)], number // t % t, number % t
        ends = (low, high) if 2 * count_forward[number] >= count[number] else (high, low)
        found.append((name, type_names[ends[0]], type_names[ends[1]], number))
    found.sort()
    index = np.full(size, -1, np.int32)
    index[[number for *_, number in found]] = np.arange(len(found))
    several = {name for name, *_ in found if sum(name == other for other, *_ in found) > 1}
    relations, accounts = [], []
    for name, head, tail, number in found:
        symmetric = head == tail and name not in settings.directed_relations
        relations.append(Relation(f"{name}:{head}:{tail}" if name in several else name, head, tail, symmetric))
        left_out = dict(rows.left_out.get((name, head, tail), {}))
        accounts.append(Account(name, head, tail, int(count[number]) + sum(left_out.values()), dropped=left_out))
    return relations, Ledger(accounts), index[code]


def _each_once(
    group: np.ndarray,
    *,
    head: np.ndarray,
    tail: np.ndarray,
    node_type: np.ndarray,
    relations: list[Relation],
    types: list[str],
    book: Ledger,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, head and tail of the distinct edges, sorted; duplicates are booked."""
    n = len(node_type)
    assert len(relations) * n * n < 2**62, "too many nodes for keys of 64 bits"
    head_type = np.array([types.index(relation.head) for relation in relations], np.int16)
    symmetric = np.array([relation.symmetric for relation in relations], bool)
    turned = np.where(symmetric[group], head > tail, node_type[head] != head_type[group])
    key = group.astype(np.int64) * n
    key += np.where(turned, tail, head)
    key *= n
    key += np.where(turned, head, tail)
    key *= 2
    key += turned
    key.sort()
    again = np.zeros(len(key), bool)
    again[1:] = key[1:] == key[:-1]
    book.drop("duplicate", key[again] // (2 * n * n))
    key = key[~again] >> 1
    again = np.zeros(len(key), bool)
    again[1:] = key[1:] == key[:-1]
    book.drop("reverse_duplicate", key[again] // (n * n))
    key = key[~again]
    group, key = (key // (n * n)).astype(np.int32), key % (n * n)
    book.keep(group)
    return group, (key // n).astype(np.int32), (key % n).astype(np.int32)


def _nothing_lost(ledger: Ledger, *, settings: GraphSettings) -> None:
    """UserError where a requested relation, or everything, has no edges left."""
    for name in settings.include_relations:
        mine = [account for account in ledger.accounts if account.relation == name]
        if not any(account.kept for account in mine):
            raise UserError(f"graph.include_relations: nothing is left of '{name}' ({_why(mine)}); {_REMEDY}")
    if not any(account.kept for account in ledger.accounts):
        raise UserError(f"graph: no edge is left ({_why(ledger.accounts)}); {_REMEDY}")


_REMEDY = "name both of its node types in graph.include_node_types, or give an empty list there to keep all."


def _why(accounts: list[Account]) -> str:
    reasons: dict[str, int] = {}
    for account in accounts:
        for reason, count in account.dropped.items():
            reasons[reason] = reasons.get(reason, 0) + count
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items()) or "none dropped"
    types = " and ".join(dict.fromkeys(name for account in accounts[:1] for name in (account.head, account.tail)))
    return f"{sum(account.rows_in for account in accounts):,} rows in, of {types}: {dropped}"
