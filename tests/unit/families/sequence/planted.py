"""Small trees, tables and files, written as a user would have them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from ml_core.families.sequence.data import SampleTable, Tree
from ml_core.families.sequence.overlap import Account
from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder, shear
from ml_core.families.sequence.settings import TableSettings
from ml_core.families.sequence.simulated_files import write_biom
from ml_core.families.sequence.table import read

LENGTH_BP = 30
METADATA = "sample-id\tsubject\tmonth\tdiet\ns1\ta\t1\tmilk\ns2\ta\t2\tmilk\ns3\tb\t3.5\tsolid\ns4\tc\t4\tsolid\n"


def sequences(count: int, *, seed: int = 0) -> list[str]:
    """So many different sequences of LENGTH_BP letters."""
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("ACGT"), (count, LENGTH_BP))]


def random_phylogeny(tips: int, *, seed: int, names: list[str] | None = None) -> Phylogeny:
    """A tree whose inner nodes have two children or three, some branches of length 0; tips are called t0, t1, ..."""
    rng = np.random.default_rng(seed)
    parent, names = [-1] * tips, [*(names or [f"t{tip}" for tip in range(tips)])]
    alive = list(range(tips))
    while len(alive) > 1:
        joined = rng.permutation(alive)[: 2 if len(alive) == 2 or rng.random() < 0.8 else 3].tolist()
        for node in joined:
            parent[node] = len(parent)
        alive = [node for node in alive if node not in joined] + [len(parent)]
        parent.append(-1)
        names.append("")
    length = np.where(rng.random(len(parent)) < 0.1, 0.0, rng.exponential(0.3, len(parent)))
    length[np.array(parent) < 0] = 0.0
    return in_postorder(np.array(parent), length, np.array([*names, None], object)[:-1])


@st.composite
def problems(draw: st.DrawFn) -> tuple[sparse.csr_matrix, Tree]:
    """Counts [samples, ASVs] with empty rows and columns among them, and a tree of the ASVs."""
    tips, samples = draw(st.integers(2, 12)), draw(st.integers(1, 7))
    phylogeny = random_phylogeny(tips, seed=draw(st.integers(0, 10_000)))
    cells = st.lists(st.sampled_from([0, 0, 0, 1, 2, 7, 500]), min_size=tips * samples, max_size=tips * samples)
    counts = np.array(draw(cells), np.int32).reshape(samples, tips)
    return sparse.csr_matrix(counts), shear(phylogeny, phylogeny.tips)


def tip_distances(phylogeny: Phylogeny) -> dict[tuple[str, str], float]:
    """Between all pairs of tips, by name."""
    parent = phylogeny.parent.tolist()
    found = {}
    for one in phylogeny.tips.tolist():
        for other in phylogeny.tips.tolist():
            a, b = one, other
            while a != b:
                a, b = (parent[a], b) if a < b else (a, parent[b])
            depth = phylogeny.depth
            found[phylogeny.names[one], phylogeny.names[other]] = depth[one] + depth[other] - 2 * depth[a]
    return found


def artifact(path: Path, *, kind: str, member: str, data: bytes) -> Path:
    """A QIIME 2 artifact (.qza)."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1b4e28ba/metadata.yaml", f"uuid: 1b4e28ba\ntype: {kind}\nformat: null\n")
        archive.writestr(f"1b4e28ba/data/{member}", data)
    return path


def write_files(
    folder: Path,
    *,
    asv_ids: list[str] | None = None,
    tips: list[str] | None = None,
    counts: np.ndarray | None = None,
    metadata: str = METADATA,
) -> dict[str, Path]:
    """A table of 4 samples s1 to s4 and 5 ASVs, its tree and its metadata; canonical name -> file."""
    asv_ids = sequences(5) if asv_ids is None else asv_ids
    tips = asv_ids if tips is None else tips
    if counts is None:
        counts = np.random.default_rng(0).integers(20, 60, (4, len(asv_ids)))
    folder.mkdir(parents=True, exist_ok=True)
    files = {"table": folder / "table.biom", "tree": folder / "tree.nwk", "metadata": folder / "metadata.tsv"}
    samples = np.array([f"s{number + 1}" for number in range(len(counts))], object)
    write_biom(files["table"], counts, sample_ids=samples, asv_ids=np.array(asv_ids, object))
    files["tree"].write_text(newick(tips))
    files["metadata"].write_text(metadata)
    return files


def newick(tips: list[str], *, length: str = "0.1") -> str:
    """A ladder of these tips, every branch of this length."""
    text = f"{tips[0]}:{length}"
    for tip in tips[1:]:
        text = f"({text},{tip}:{length}):{length}"
    return text.rsplit(":", 1)[0] + ";\n"


def table_of(files: dict[str, Path], **settings: object) -> tuple[SampleTable, Account]:
    """The table of these files at depth 50, and its account."""
    account = Account()
    return read(files, settings=TableSettings(**{"depth": 50, **settings}), account=account), account
