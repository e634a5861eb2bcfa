"""How many nodes and edges PrimeKG (Chandak et al. 2023, Harvard Dataverse) has, by type and relation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeTypePlan:
    """source: the vocabulary of the ids; prefix: what an id begins with ("" where ids are bare numbers)."""

    name: str
    nodes: int
    source: str
    prefix: str = ""


@dataclass(frozen=True)
class RelationPlan:
    """edges: undirected, each counted once (PrimeKG's file has twice as many rows).

    shift: the simulator joins a community to the one that stands so many places further; 0 joins like to like.
    """

    name: str
    display: str
    head: str
    tail: str
    edges: int
    shift: int = 0


NODE_TYPES = (
    NodeTypePlan("biological_process", 28_642, "GO"),
    NodeTypePlan("gene/protein", 27_671, "NCBI"),
    NodeTypePlan("disease", 17_080, "MONDO"),
    NodeTypePlan("effect/phenotype", 15_311, "HPO"),
    NodeTypePlan("anatomy", 14_035, "UBERON"),
    NodeTypePlan("molecular_function", 11_169, "GO"),
    NodeTypePlan("drug", 7_957, "DrugBank", "DB"),
    NodeTypePlan("cellular_component", 4_176, "GO"),
    NodeTypePlan("pathway", 2_516, "REACTOME", "R-HSA-"),
    NodeTypePlan("exposure", 818, "CTD", "D"),
)

RELATIONS = (
    RelationPlan("protein_protein", "ppi", "gene/protein", "gene/protein", 321_075),
    RelationPlan("drug_protein", "target", "drug", "gene/protein", 25_653),
    RelationPlan("contraindication", "contraindication", "drug", "disease", 30_675, shift=1),
    RelationPlan("indication", "indication", "drug", "disease", 9_388),
    RelationPlan("off-label use", "off-label use", "drug", "disease", 2_568),
    RelationPlan("drug_drug", "synergistic interaction", "drug", "drug", 1_336_314),
    RelationPlan("phenotype_protein", "associated with", "effect/phenotype", "gene/protein", 3_330),
    RelationPlan("phenotype_phenotype", "parent-child", "effect/phenotype", "effect/phenotype", 18_736),
    RelationPlan("disease_phenotype_negative", "phenotype absent", "disease", "effect/phenotype", 1_193, shift=2),
    RelationPlan("disease_phenotype_positive", "phenotype present", "disease", "effect/phenotype", 150_317),
    RelationPlan("disease_protein", "associated with", "disease", "gene/protein", 80_411),
    RelationPlan("disease_disease", "parent-child", "disease", "disease", 32_194),
    RelationPlan("drug_effect", "side effect", "drug", "effect/phenotype", 64_784, shift=1),
    RelationPlan("bioprocess_bioprocess", "parent-child", "biological_process", "biological_process", 52_886),
    RelationPlan("molfunc_molfunc", "parent-child", "molecular_function", "molecular_function", 13_574),
    RelationPlan("cellcomp_cellcomp", "parent-child", "cellular_component", "cellular_component", 4_845),
    RelationPlan("molfunc_protein", "interacts with", "molecular_function", "gene/protein", 69_530),
    RelationPlan("cellcomp_protein", "interacts with", "cellular_component", "gene/protein", 83_402),
    RelationPlan("bioprocess_protein", "interacts with", "biological_process", "gene/protein", 144_805),
    RelationPlan("exposure_protein", "interacts with", "exposure", "gene/protein", 1_212),
    RelationPlan("exposure_disease", "linked to", "exposure", "disease", 2_304),
    RelationPlan("exposure_exposure", "parent-child", "exposure", "exposure", 2_070),
    RelationPlan("exposure_bioprocess", "interacts with", "exposure", "biological_process", 1_625),
    RelationPlan("exposure_molfunc", "interacts with", "exposure", "molecular_function", 45),
    RelationPlan("exposure_cellcomp", "interacts with", "exposure", "cellular_component", 10),
    RelationPlan("anatomy_anatomy", "parent-child", "anatomy", "anatomy", 14_032),
    RelationPlan("anatomy_protein_present", "expression present", "anatomy", "gene/protein", 1_518_203),
    RelationPlan("anatomy_protein_absent", "expression absent", "anatomy", "gene/protein", 19_887, shift=2),
    RelationPlan("pathway_pathway", "parent-child", "pathway", "pathway", 2_535),
    RelationPlan("pathway_protein", "interacts with", "pathway", "gene/protein", 42_646),
)

NODES = sum(plan.nodes for plan in NODE_TYPES)  # 129,375
