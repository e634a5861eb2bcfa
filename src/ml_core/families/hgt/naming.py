"""Nodes by what people call them."""

from __future__ import annotations

import difflib

import numpy as np

from ml_core.errors import UserError
from ml_core.families.hgt.data import KnowledgeGraph

SHOWN = 5  # close matches that an error names


def find_node(graph: KnowledgeGraph, node_type: str, text: str) -> int:
    """The node of this type whose id or name is `text`, capitals apart. UserError with close matches otherwise."""
    nodes = graph.nodes_of(node_type)
    ids = graph.node_ids[nodes.start : nodes.stop]
    names = graph.node_names[nodes.start : nodes.stop]
    found = np.flatnonzero(ids == text)
    wanted = text.casefold().strip()
    if not len(found):
        found = np.array([i for i, pair in enumerate(zip(ids, names, strict=True)) if wanted in _folded(pair)], int)
    if len(found) == 1:
        return int(nodes.start + found[0])
    if len(found) > 1:
        several = ", ".join(str(ids[i]) for i in found[:SHOWN])
        raise UserError(f"{node_type} '{text}': {len(found)} nodes have this name ({several}); give the id of one.")
    close = _close(wanted, names)
    hint = f"the closest are {', '.join(close)}" if close else f"no name of the {len(nodes)} is like it"
    raise UserError(f"{node_type} '{text}': no node has this name or id; {hint}.")


def _folded(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[0].casefold(), pair[1].casefold()


def _close(wanted: str, names: np.ndarray) -> list[str]:
    """Names that hold the text, shortest first, then names of nearly the same letters."""
    by_folded = {name.casefold(): name for name in names}
    holding = sorted((name for name in by_folded if wanted and wanted in name), key=lambda name: (len(name), name))
    similar = difflib.get_close_matches(wanted, by_folded, n=SHOWN, cutoff=0.6)
    return [by_folded[name] for name in dict.fromkeys([*holding[:SHOWN], *similar])][:SHOWN]
