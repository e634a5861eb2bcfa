"""A phylogeny as Newick text or QIIME 2 .qza, read by scikit-bio."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from skbio import TreeNode
from skbio.io import NewickFormatError

from ml_core.errors import UserError
from ml_core.families.sequence.phylogeny import Phylogeny
from ml_core.families.sequence.readers.archive import text


def read_tree(path: Path) -> Phylogeny:
    """Nodes in postorder with names and branch lengths (NaN where there is none). UserError where it is no Newick."""
    newick = text(path, members=("tree.nwk",), what="a tree as Newick")
    try:
        root = TreeNode.read(io.StringIO(newick), format="newick", convert_underscores=False, verify=False)
    except (NewickFormatError, ValueError, IndexError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"{path}: cannot be read as Newick ({reason}); check the path and the brackets.") from error
    nodes = list(root.postorder())
    number = {id(node): at for at, node in enumerate(nodes)}
    parent = np.array([-1 if node.parent is None else number[id(node.parent)] for node in nodes], np.int64)
    length = np.array([np.nan if node.length is None else float(node.length) for node in nodes])
    tips = [at for at, node in enumerate(nodes) if not node.children]
    unnamed = [at for at in tips if not nodes[at].name]
    if unnamed:
        raise UserError(f"{path}: {len(unnamed)} of {len(tips)} tips have no name, expected ids of ASVs; name them.")
    names = np.array([node.name if not node.children else "" for node in nodes], object)
    return Phylogeny(parent, length, names)
