"""The Human Phenotype Ontology's release files: diseases, genes, phenotypes and the phenotypes' is-a hierarchy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.hgt.readers.rows import Rows

DISEASE, GENE, PHENOTYPE = "disease", "gene/protein", "effect/phenotype"  # PrimeKG's names
SYMPTOM = "P"  # aspect of phenotype.hpoa; the others are inheritance, onset, modifiers and history
ATTRIBUTION = (
    "Human Phenotype Ontology, version {version} (hpo.jax.org; Gargano et al., Nucleic Acids Research 2024), "
    "used under its licence: hpo.jax.org/app/license."
)


def read_hpo(annotations: Path, *, genes: Path, ontology: Path) -> Rows:
    """Edges of disease_phenotype_positive and _negative, phenotype_protein, disease_protein and phenotype_phenotype.

    annotations: phenotype.hpoa, of whose aspects only symptoms make an edge (modes of inheritance and such do not), and
    in which the qualifier NOT makes it negative. genes: genes_to_phenotype.txt.
    ontology: hp.obo without its obsolete terms. An edge stands as often as the files say it. Raises UserError for a
    missing column and for a phenotype that the ontology does not have.
    """
    names, parents = _terms(ontology)
    annotated = _table(annotations, columns=["database_id", "disease_name", "qualifier", "hpo_id", "aspect"])
    coded = _table(genes, columns=["ncbi_gene_id", "gene_symbol", "hpo_id", "disease_id"])
    negated = annotated["qualifier"] == "NOT"
    positive, negative = annotated[~negated & (annotated["aspect"] == SYMPTOM)], annotated[negated]
    edges = [  # relation, type and ids of the heads, type and ids of the tails
        ("disease_phenotype_positive", DISEASE, positive["database_id"], PHENOTYPE, positive["hpo_id"]),
        ("disease_phenotype_negative", DISEASE, negative["database_id"], PHENOTYPE, negative["hpo_id"]),
        ("phenotype_protein", PHENOTYPE, coded["hpo_id"], GENE, coded["ncbi_gene_id"]),
        ("disease_protein", DISEASE, coded["disease_id"], GENE, coded["ncbi_gene_id"]),
        ("phenotype_phenotype", PHENOTYPE, parents["child"], PHENOTYPE, parents["parent"]),
    ]
    named = annotated.drop_duplicates("database_id").set_index("database_id")["disease_name"]
    symbols = coded.drop_duplicates("ncbi_gene_id").set_index("ncbi_gene_id")["gene_symbol"]
    tables = [
        pd.DataFrame({"node_id": named.index, "node_name": named.to_numpy(), "node_type": DISEASE}),
        pd.DataFrame(
            {"node_id": symbols.index, "node_name": symbols.to_numpy(), "node_type": GENE, "node_source": "NCBI"}
        ),
        pd.DataFrame(
            {"node_id": names.index, "node_name": names.to_numpy(), "node_type": PHENOTYPE, "node_source": "HPO"}
        ),
    ]
    nodes = pd.concat(tables, ignore_index=True)
    vocabulary = nodes["node_id"].str.split(":").str[0]  # OMIM:619340
    nodes["node_source"] = nodes["node_source"].where(nodes["node_source"].notna(), vocabulary)
    numbers = {kind: pd.Index(nodes.loc[nodes["node_type"] == kind, "node_id"]) for kind in (DISEASE, GENE, PHENOTYPE)}
    first = {DISEASE: 0, GENE: len(named), PHENOTYPE: len(named) + len(symbols)}

    def number(kind: str, ids: pd.Series) -> np.ndarray:
        at = numbers[kind].get_indexer(ids)
        if (at < 0).any():
            unknown = ids.iloc[int(np.argmax(at < 0))]
            raise UserError(
                f"{annotations.name}, {genes.name}: '{unknown}' is an endpoint without a node, expected a {kind} of "
                f"{ontology.name if kind == PHENOTYPE else annotations.name}; take files of the same release."
            )
        return (at + first[kind]).astype(np.int32)

    return Rows(
        relations=[name for name, *_ in edges],
        relation=np.repeat(np.arange(len(edges), dtype=np.int16), [len(heads) for _, _, heads, _, _ in edges]),
        head=np.concatenate([number(kind, ids) for _, kind, ids, _, _ in edges]),
        tail=np.concatenate([number(kind, ids) for _, _, _, kind, ids in edges]),
        nodes=nodes[["node_type", "node_id", "node_name", "node_source"]],
        left_out={
            ("disease_phenotype_positive", DISEASE, PHENOTYPE): {
                "no_symptom": len(annotated) - len(positive) - len(negative)
            },
        },
        remarks={"attribution": ATTRIBUTION.format(version=release_of(annotations))},
    )


def release_of(annotations: Path) -> str:
    """The release's date as phenotype.hpoa states it in its first lines; "unknown" where it does not."""
    with annotations.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                break
            if line.startswith("#version:"):
                return line.removeprefix("#version:").strip()
    return "unknown"


def _terms(path: Path) -> tuple[pd.Series, pd.DataFrame]:
    """Names by id of the terms that are not obsolete, and their (child, parent) pairs."""
    names, parents = {}, []
    for stanza in path.read_text(encoding="utf-8").split("\n\n["):
        found = re.search(r"^id: (\S+)\nname: (.*)$", stanza, re.MULTILINE)
        if not stanza.startswith("Term]") or not found or "\nis_obsolete: true" in stanza:
            continue
        names[found[1]] = found[2]
        parents += [(found[1], parent) for parent in re.findall(r"^is_a: (\S+)", stanza, re.MULTILINE)]
    if not names:
        raise UserError(f"{path}: has no terms, expected an ontology in OBO format; check the file.")
    return pd.Series(names), pd.DataFrame(parents, columns=["child", "parent"])


def _table(path: Path, *, columns: list[str]) -> pd.DataFrame:
    """These columns of a tab-separated file, after its lines of comments."""
    with path.open(encoding="utf-8") as file:
        comments = next((number for number, line in enumerate(file) if not line.startswith("#")), None)
    if comments is None:
        raise UserError(f"{path}: is empty, expected tab-separated columns {', '.join(columns)}; check the file.")
    there = pd.read_csv(path, sep="\t", skiprows=comments, nrows=0).columns
    missing = [name for name in columns if name not in there]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}, it has {', '.join(there)}; check the file.")
    return pd.read_csv(path, sep="\t", skiprows=comments, usecols=columns, dtype=str, keep_default_na=False)
