"""HPO's release files, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_core.errors import UserError
from ml_core.families.hgt.canonical import canonicalise
from ml_core.families.hgt.readers.hpo import read_hpo
from ml_core.families.hgt.settings import GraphSettings

ANNOTATIONS = """#description: "HPO annotations"
#version: 2025-01-16
database_id\tdisease_name\tqualifier\thpo_id\treference\taspect
OMIM:1\tFirst disease\t\tHP:2\tPMID:1\tP
OMIM:1\tFirst disease\t\tHP:2\tPMID:2\tP
OMIM:1\tFirst disease\t\tHP:3\tPMID:1\tI
ORPHA:7\tSecond disease\tNOT\tHP:2\tPMID:1\tP
"""
GENES = """ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id
10\tNAT2\tHP:2\tTall\t-\tOMIM:1
10\tNAT2\tHP:3\tShort\t-\tOMIM:1
"""
ONTOLOGY = """format-version: 1.2
data-version: hp/releases/2025-01-16

[Term]
id: HP:1
name: All

[Term]
id: HP:2
name: Tall
is_a: HP:1 ! All

[Term]
id: HP:3
name: Short
is_a: HP:1 {source="x"} ! All

[Term]
id: HP:4
name: Gone
is_a: HP:1 ! All
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    texts = {"phenotype.hpoa": ANNOTATIONS, "genes_to_phenotype.txt": GENES, "hp.obo": ONTOLOGY}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return dict(zip(("annotations", "genes", "ontology"), (tmp_path / name for name in texts), strict=True))


def test_every_row_becomes_an_edge_or_is_left_out_for_a_reason(files: dict[str, Path]) -> None:
    rows = read_hpo(files["annotations"], genes=files["genes"], ontology=files["ontology"])
    accounts = canonicalise(rows, settings=GraphSettings(include_node_types=[])).ledger.rows()
    assert {row["relation"]: (row["rows in"], row["edges kept"]) for row in accounts} == {
        "disease_phenotype_positive": (3, 1),
        "disease_phenotype_negative": (1, 1),
        "phenotype_protein": (2, 2),
        "disease_protein": (2, 1),
        "phenotype_phenotype": (2, 2),
    }
    positive = next(row for row in accounts if row["relation"] == "disease_phenotype_positive")
    assert (positive["no_symptom"], positive["duplicate"]) == (1, 1)
    assert dict(zip(rows.nodes["node_id"], rows.nodes["node_source"], strict=True))["ORPHA:7"] == "ORPHA"
    assert "HP:4" not in set(rows.nodes["node_id"])
    assert "version 2025-01-16" in str(rows.remarks["attribution"])


def test_a_phenotype_that_the_ontology_does_not_have_is_named(files: dict[str, Path]) -> None:
    files["genes"].write_text(GENES + "10\tNAT2\tHP:4\tGone\t-\tOMIM:1\n")
    with pytest.raises(UserError, match=r"'HP:4' is an endpoint without a node, expected a effect/phenotype of hp.obo"):
        read_hpo(files["annotations"], genes=files["genes"], ontology=files["ontology"])


def test_a_missing_column_is_named(files: dict[str, Path]) -> None:
    files["annotations"].write_text(ANNOTATIONS.replace("\taspect", "\tview"))
    with pytest.raises(UserError, match=r"phenotype.hpoa: has no column aspect"):
        read_hpo(files["annotations"], genes=files["genes"], ontology=files["ontology"])
