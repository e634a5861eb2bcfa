"""The simulator's samples as the files that a user would have: BIOM, Newick and TSV, equal bytes for equal settings."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from ml_core.families.sequence.phylogeny import Phylogeny
from ml_core.families.sequence.simulate import Simulated

NEVER = "1970-01-01T00:00:00"  # instead of the time of writing


def write(simulated: Simulated, directory: Path) -> dict[str, str]:
    """Canonical name -> file. truth.parquet, which no stage reads, says what each ASV is."""
    files = {"table": "table.biom", "tree": "tree.nwk", "metadata": "metadata.tsv"}
    main, extra = simulated.main, simulated.extra
    write_biom(
        directory / files["table"],
        main.counts,
        sample_ids=main.metadata["sample_id"].to_numpy(object),
        asv_ids=simulated.sequences,
    )
    if extra is not None:
        files["extra_tables_1"] = "extra_tables_1.biom"
        write_biom(
            directory / files["extra_tables_1"],
            extra.counts,
            sample_ids=extra.metadata["sample_id"].to_numpy(object),
            asv_ids=simulated.sequences,
        )
    (directory / files["tree"]).write_text(newick(simulated.phylogeny) + "\n")
    main.metadata.to_csv(directory / files["metadata"], sep="\t", index=False)
    simulated.truth.to_parquet(directory / "truth.parquet", index=False)
    return files | {"truth": "truth.parquet"}


def write_biom(path: Path, counts: np.ndarray, *, sample_ids: np.ndarray, asv_ids: np.ndarray) -> None:
    """BIOM 2.1 of counts [n, a]; ASVs without reads are left out."""
    present = counts.any(axis=0)
    by_sample = sparse.csr_matrix(counts[:, present].astype(np.float64))
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        attributes = {
            "id": "No Table ID",
            "type": "OTU table",
            "format-url": "http://biom-format.org",
            "format-version": (2, 1),
            "generated-by": "ml_core",
            "creation-date": NEVER,
            "shape": by_sample.shape[::-1],
            "nnz": by_sample.nnz,
        }
        file.attrs.update(attributes)
        for axis, ids, matrix in (
            ("observation", asv_ids[present], by_sample.T.tocsr()),
            ("sample", sample_ids, by_sample),
        ):
            file.create_group(f"{axis}/metadata")
            file.create_group(f"{axis}/group-metadata")
            file.create_dataset(f"{axis}/ids", data=list(ids), dtype=text)
            for part in ("data", "indices", "indptr"):
                file.create_dataset(f"{axis}/matrix/{part}", data=getattr(matrix, part), compression="gzip")


def newick(phylogeny: Phylogeny) -> str:
    """Newick text; names must need no quotes."""
    below: list[list[str]] = [[] for _ in range(len(phylogeny))]
    for node in range(len(phylogeny)):
        inside = f"({','.join(below[node])})" if below[node] else ""
        written = f"{inside}{phylogeny.names[node]}"
        if phylogeny.parent[node] < 0:
            return f"{written};"
        below[phylogeny.parent[node]].append(f"{written}:{phylogeny.length[node]:.9g}")
    raise AssertionError("a phylogeny has a root")
