"""A connected sample of a graph's nodes, each type in its share, in which every relation has edges."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from ml_core.errors import UserError

GROWTH = 0.5  # share of the sample that a round adds at most
SEEDED = 8  # at first about one in so many of the nodes may stand there for the sake of a relation


def sample_nodes(
    node_type: np.ndarray, *, head: np.ndarray, tail: np.ndarray, group: np.ndarray, limit: int, seed: int
) -> np.ndarray:
    """[n] bool: `limit` nodes, fewer where the greatest connected component ends.

    It begins with edges of each relation near the greatest hub, joined to it by shortest paths, and grows by nodes that
    have most links into it. Nodes of a type are taken in proportion to their number, as far as the component has them;
    a relation that lies wholly outside it is kept by an edge of its own. UserError where `limit` is too small for that.

    **Shapes**, n nodes that each have an edge, e edges: node_type [n] int; head, tail, group [e] int.
    """
    n = len(node_type)
    if limit >= n:
        return np.ones(n, bool)
    rng = np.random.default_rng(seed)
    links = sparse.csr_array((np.ones(len(head), np.float32), (head, tail)), shape=(n, n))
    links = (links + links.T).tocsr()
    chosen = _seeds(links, head=head, tail=tail, group=group, limit=limit, rng=rng)
    targets = _shares(np.bincount(node_type), total=limit)
    while (free := limit - int(chosen.sum())) > 0:
        weight = links @ chosen.astype(np.float32)
        weight[chosen] = 0
        candidates = np.flatnonzero(weight)
        if not len(candidates):
            break
        order = candidates[np.argsort(rng.exponential(size=len(candidates)) / weight[candidates], kind="stable")]
        wanted = targets - np.bincount(node_type[chosen], minlength=len(targets))
        step = min(free, max(1, int(GROWTH * chosen.sum())))
        added = _first_of_each(order, node_type=node_type, most=np.maximum(wanted, 0))[:step]
        chosen[added if len(added) else order[:step]] = True  # other types, where those wanted are not within reach
    return chosen


def _seeds(
    links: sparse.csr_array,
    *,
    head: np.ndarray,
    tail: np.ndarray,
    group: np.ndarray,
    limit: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """[n] bool: edges of each relation, as many as `limit` allows, and their paths to the greatest hub."""
    n = links.shape[0]
    _, component = csgraph.connected_components(links, directed=False)
    within = component == np.bincount(component).argmax()
    hub = int(np.argmax(np.where(within, np.diff(links.indptr), 0)))
    order, before = csgraph.breadth_first_order(links, hub, directed=False)
    depth = np.full(n, n, np.int64)
    depth[hub] = 0
    for node in order[1:].tolist():
        depth[node] = depth[before[node]] + 1
    far = depth[head] + depth[tail] + rng.random(len(head))
    nearest = np.lexsort((far, group))
    groups, starts, counts = np.unique(group[nearest], return_index=True, return_counts=True)
    each = max(1, limit // (SEEDED * len(groups)))
    while True:
        edges = np.concatenate([nearest[s : s + min(each, c)] for s, c in zip(starts, counts, strict=True)])
        chosen = np.zeros(n, bool)
        chosen[hub] = True
        new = np.concatenate([head[edges], tail[edges]])
        while len(new := np.unique(new[~chosen[new]])):
            chosen[new] = True
            new = before[new]
            new = new[new >= 0]
        if chosen.sum() <= limit:
            return chosen
        if each == 1:
            raise UserError(
                f"graph.limit_nodes: {limit} nodes cannot hold an edge of each of {len(groups)} relations and stay "
                f"connected; take at least {int(chosen.sum())}, or name fewer in graph.include_relations."
            )
        each //= 2


def _shares(counts: np.ndarray, *, total: int) -> np.ndarray:
    """Whole numbers that sum to `total`, in proportion to counts, at least one for each type that has a node."""
    exact = counts / counts.sum() * total
    shares = np.where(counts > 0, np.maximum(np.floor(exact), 1), 0).astype(np.int64)
    rest = np.argsort(-(exact - shares), kind="stable")
    missing = total - int(shares.sum())
    shares[rest[: max(missing, 0)]] += 1
    return shares


def _first_of_each(order: np.ndarray, *, node_type: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The nodes of `order`, without those of a type of which `most` stand before them."""
    kinds = node_type[order]
    by_kind = np.argsort(kinds, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[by_kind] = np.arange(len(order)) - np.searchsorted(kinds[by_kind], kinds[by_kind])
    return order[rank < most[kinds]]
