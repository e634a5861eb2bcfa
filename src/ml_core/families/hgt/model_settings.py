"""Settings of the stage `model`: what trains on what, the network's sizes, its losses and its training."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, Self

import pydantic

from ml_core.settings import setting
from ml_core.training.settings import TrainingSettings


class ModelSettings(TrainingSettings):
    """Sizes and training as on a laptop; the presets `hgt-*` in configs/ have those of the seeds.

    An epoch hides a share of the training edges as targets and sends messages along the rest. The targets are dealt
    into `slices`, which are the samples: batch_size of them are judged with one encoding of the graph.
    """

    # ---- the network
    embedding_dim: int = setting(
        128,
        description="Vector of each node, learned: the first part of its embedding, and what the layers start from",
        unit="channels",
        ge=1,
    )
    hidden_dim: int = setting(
        128,
        description="Width of the layers, all heads together: the second part of the embedding",
        unit="channels",
        ge=1,
    )
    num_layers: int = setting(2, description="HGT layers", ge=1)
    num_heads: int = setting(4, description="Attention heads", ge=1)
    dropout: float = setting(0.2, description="Dropout of node states", ge=0, lt=1)
    vector_dropout: float = setting(0.2, description="Dropout of the vectors in the embedding's first part", ge=0, lt=1)
    node_features: Literal["learned", "random"] = setting(
        "learned",
        description="Vector of each node: learned, or drawn once and kept, which lets new nodes in; then the "
        "embedding is what the layers hear alone",
    )
    features: str | None = setting(
        None,
        description="Parquet file of further features (node_type, node_id, embedding: a list of numbers), for instance "
        "of texts; environment variables in the path are filled in",
    )
    decoder: Literal["distmult", "dot"] = setting(
        "distmult", description="Score of an edge: weighted by a vector of its relation, or the plain dot product"
    )

    # ---- what is learnt from
    mode: Literal["full", "edges", "neighbours"] = setting(
        "edges",
        description="full: target_share of the edges per epoch, on the whole graph; edges: at most edge_sample_size of "
        "each relation; neighbours: each slice on a sampled neighbourhood of its own, for graphs that do not fit",
    )
    slices: int = setting(2, description="Samples that an epoch's target edges are dealt into", unit="samples", ge=1)
    target_share: float = setting(
        0.3, description="Share of each relation's training edges that an epoch predicts and hides", gt=0, le=1
    )
    edge_sample_size: int = setting(
        2000, description="Mode edges: targets of each relation per epoch at most", unit="edges", ge=1
    )
    message_share: float = setting(
        0.3, description="Share of the other edges that send messages in an epoch, drawn anew each time", gt=0, le=1
    )
    message_whole: int = setting(
        20_000,
        description="Relations with at most so many training edges send along all that are not hidden",
        unit="edges",
        ge=0,
    )
    vector_share: float = setting(
        0.8,
        description="Share of max_epochs that learns the vectors alone at first, as DistMult, without messages; the "
        "layers begin with good ones then",
        ge=0,
        lt=1,
    )
    vector_edges: int = setting(
        1000,
        description="Training edges from which on a relation is among those that teach the vectors; the edges of a "
        "smaller one they would only learn by heart, and the layers would lean on that",
        unit="edges",
        ge=0,
    )
    neighbours: list[int] = setting(
        [10, 5], description="Mode neighbours: sources kept of each node and relation, one number per layer"
    )
    negatives: int = setting(
        512, description="Nodes that the targets of a relation share as wrong answers, on each side", ge=1
    )
    degree_share: float = setting(
        0.0, description="Share of them that is drawn by degree in the relation, not uniformly", ge=0, le=1
    )
    relation_balance: float = setting(
        1.0,
        description="How far small relations are lifted: a target counts n ** -balance; 0: each edge alike, 1: each "
        "relation alike",
        ge=0,
        le=1,
    )
    relation_weights: dict[str, float] = setting({}, description="Relation -> further factor of its loss")
    chunk_edges: int = setting(
        4096, description="Targets whose logits are held at a time", unit="edges", ge=1, affects_result=False
    )

    # ---- the contrastive loss
    contrastive_weight: float = setting(
        0.0, description="Weight of the contrastive loss beside the link loss, 0: none; the seeds' is 0.5", ge=0
    )
    contrastive_type: str = setting("disease", description="Node type that is contrasted")
    contrastive_by: str = setting("gene/protein", description="Node type whose shared neighbours make a pair alike")
    similarity_threshold: float = setting(
        0.1, description="Jaccard index of the training neighbours from which two nodes are a pair", ge=0, lt=1
    )
    contrastive_batch: int = setting(512, description="Nodes that are contrasted with each other", unit="nodes", ge=2)
    temperature: float = setting(0.2, description="Temperature of the contrastive softmax", gt=0)

    # ---- validation, checks
    validation_edges: int = setting(
        300, description="Validation edges asked of each relation at most", unit="edges", ge=1
    )
    parity: bool = setting(
        False,
        description="Before training, compare one step on the CPU with one on the device: loss, gradient norm, speed",
        affects_result=False,
    )

    # ---- other defaults than elsewhere
    max_epochs: int = setting(375, description="Drawings of targets at most", unit="epochs", ge=1)
    batch_size: int = setting(2, description="Slices judged with one encoding", unit="slices", ge=1)
    learning_rate: float = setting(
        0.04, description="Highest learning rate; the layers join in when a tenth of it is left", gt=0
    )
    learning_rates: dict[str, float] = setting(
        {"embedding": 0.1, "decoder": 0.1},
        description="Modules or parameters by name, with wildcards -> their own highest learning rate; each step moves "
        "few embeddings by little, and at the main rate they do not get anywhere",
    )
    weight_decay: float = setting(0.0, description="Decoupled weight decay of AdamW", ge=0)
    schedule: Literal["constant", "exponential", "cosine", "warmup_cosine", "onecycle"] = setting(
        "warmup_cosine", description="Course of the learning rate over all optimizer steps"
    )
    monitor: str = setting(
        "val_mrr", description="Which validation value chooses the best model: val_loss, val_mrr, val_mrr.<relation>"
    )
    monitor_mode: Literal["min", "max"] = setting("max", description="Whether low or high values of monitor are good")
    patience: int | None = setting(None, description="Validations without improvement until it stops; empty: never")
    validate_every_epochs: int = setting(75, description="Validate every so many epochs", unit="epochs", ge=1)
    histogram_every_epochs: int | None = setting(
        None, description="Histograms of weights and gradients this often; empty: none", affects_result=False
    )

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} cannot be shared out to num_heads {self.num_heads}")
        if self.mode == "neighbours" and len(self.neighbours) != self.num_layers:
            raise ValueError(
                f"neighbours has {len(self.neighbours)} numbers, expected one for each of num_layers {self.num_layers}"
            )
        if any(count < 1 for count in self.neighbours):
            raise ValueError("each number of neighbours must be at least 1")
        if self.mode != "neighbours" and self.target_share == 1:
            raise ValueError(
                f"target_share 1 leaves no edge to send messages along in mode {self.mode}; take less, or mode "
                "neighbours"
            )
        if any(not weight > 0 for weight in self.relation_weights.values()):
            raise ValueError("each of relation_weights must be above 0")
        return self

    @property
    def vector_epochs(self) -> int:
        """Epochs that learn the vectors alone; none where these are not learned."""
        return int(self.vector_share * self.max_epochs) if self.node_features == "learned" else 0

    def features_path(self) -> Path | None:
        return Path(os.path.expandvars(self.features)).expanduser() if self.features else None

    def result_fields(self) -> dict[str, Any]:
        """As always, but features count by their content, not by where they lie."""
        fields = super().result_fields()
        path = self.features_path()
        if path is not None and path.is_file():
            fields["features"] = hashlib.sha256(path.read_bytes()).hexdigest()
        return fields
