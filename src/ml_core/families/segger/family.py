"""Segger: transcripts of imaging-based spatial transcriptomics to cells. The whole story, stage by stage."""

from __future__ import annotations

from ml_core.families.segger.settings import (
    GraphSettings,
    ModelSettings,
    PredictionsSettings,
    RawSettings,
    ReportSettings,
    SplitsSettings,
    TilesSettings,
    TranscriptsSettings,
)
from ml_core.stages import Check, Family, Score, Stage

RAW = Stage(
    name="raw",
    settings=RawSettings,
    run="raw:build",
    observe="raw:observe",
    description="Verified, never altered copy of the sample's files: your own, a pinned public sample, or simulated.",
    checks=(
        Check(
            "verified_copy",
            "The copied bytes are not those of the source.",
            "Run again; if it persists, check the disk.",
        ),
    ),
    kinds=("file",),
)

TRANSCRIPTS = Stage(
    name="transcripts",
    settings=TranscriptsSettings,
    run="transcripts:build",
    inputs=("raw",),
    description="One table of every transcript, quality-filtered and counted, and the nuclei with their polygons.",
    checks=(
        Check(
            "schema",
            "Transcripts or nuclei are not what the later stages expect.",
            "Look at the counts in this stage's tables, and at the columns of your file.",
        ),
    ),
    kinds=("parquet",),
)

GRAPH = Stage(
    name="graph",
    settings=GraphSettings,
    run="graph:build",
    inputs=("transcripts",),
    description="Neighbours of each transcript, and its candidate nuclei in whole and in shrunken views.",
    checks=(
        Check(
            "candidates",
            "Most transcripts are far from every nucleus, so that there is little to assign them to.",
            "Check that boundaries and transcripts have the same unit and origin, or raise dist_bd_um.",
        ),
    ),
    kinds=("numpy",),
)

TILES = Stage(
    name="tiles",
    settings=TilesSettings,
    run="tiles:build",
    inputs=("graph",),
    description="Pieces of equal budget with a halo; each transcript is owned by exactly one.",
    checks=(
        Check(
            "owned_once", "A transcript would be trained on or predicted twice, or never.", "This is a bug: report it."
        ),
    ),
    kinds=("numpy",),
)

SPLITS = Stage(
    name="splits",
    settings=SplitsSettings,
    run="splits:build",
    inputs=("graph", "tiles"),
    description="Training, validation and test as contiguous spatial blocks with a guard band.",
    checks=(
        Check(
            "no_leakage",
            "Transcripts, nuclei or edges of one split are seen in another: every metric would be too good.",
            "This is a bug: report it with the settings of graph, tiles and splits.",
        ),
        Check(
            "all_splits_supervised",
            "A split has nothing to learn from or to be judged on.",
            "Lower guard_um or blocks, or give a larger sample.",
        ),
    ),
    kinds=("numpy",),
)

MODEL = Stage(
    name="model",
    settings=ModelSettings,
    run="train:train",
    inputs=("graph", "tiles", "splits"),
    description="GATv2 network trained on the training blocks, chosen on the validation blocks.",
    checks=(
        Check("finite", "The loss became NaN or infinite.", "Lower learning_rate, or look at the samples it names."),
        Check(
            "negative_ratio",
            "Positives and negatives are not in the asked ratio, so that scores are not comparable.",
            "Give larger tiles (tiles.transcripts_per_tile): these have too few nuclei to draw from.",
        ),
    ),
    kinds=("pytorch",),
    training="train:prepare",
)

PREDICTIONS = Stage(
    name="predictions",
    settings=PredictionsSettings,
    run="predict:predict",
    inputs=("transcripts", "graph", "tiles", "model"),
    description="Every input transcript with its cell, score and status; cells and exports.",
    checks=(
        Check(
            "all_transcripts",
            "Transcripts were lost or doubled between input and output.",
            "This is a bug: report it with the settings.",
        ),
        Check("finite_scores", "Some scores are not numbers.", "Train the model anew; look at its curves."),
    ),
    kinds=("parquet", "pytorch"),
)

REPORT = Stage(
    name="report",
    settings=ReportSettings,
    run="report:build",
    inputs=("transcripts", "graph", "tiles", "splits", "model", "predictions"),
    description="The four tests beside their baselines, with maps and curves, as one page.",
    checks=(
        Check(
            "ring_baseline_beaten",
            "Assigning by distance finds held-out nuclear transcripts better than the model does.",
            "Train longer, or look at the training curves and at the size of the sample.",
            blocking=False,
        ),
        Check(
            "biology_baseline_beaten",
            "A baseline's cells mix genes of different cell types less than the model's.",
            "Compare the curves over the share assigned, and the number of transcripts per nucleus.",
            blocking=False,
        ),
        Check(
            "calibrated",
            "Scores do not mean what they say: of transcripts scored 0.9, not nine in ten are right.",
            "Do not read scores as chances for this sample; the order still holds.",
            blocking=False,
        ),
    ),
    kinds=("html",),
)

FAMILY = Family(
    name="segger",
    title="Segger: transcripts to cells",
    description="Assigns transcripts of a Xenium, MERSCOPE or CosMx sample to cells, as link prediction on a graph.",
    package="ml_core.families.segger",
    stages=(RAW, TRANSCRIPTS, GRAPH, TILES, SPLITS, MODEL, PREDICTIONS, REPORT),
    key_metrics=(
        "ring.top1",
        "ring.auroc",
        "baseline.nearest_polygon.ring.top1",
        "biology.mecr_at_95",
        "biology.contamination_at_95",
        "baseline.likelihood.biology.mecr_at_95",
        "truth.transcript_accuracy",
        "truth.cell_f1",
        "baseline.nearest_polygon.truth.transcript_accuracy",
        "train.seconds",
    ),
    scores=(
        Score("biology.mecr_at_95", higher_is_better=False),
        Score("ring.top1", higher_is_better=True),  # of samples without a reference
    ),
    smallest={
        "raw": {"preset": "hard", "cells": 48, "genes": 40, "cell_types": 3},
        "graph": {"shrunken_shares": [0.4, 0.5, 0.6]},
        "tiles": {"min_tiles": 10, "halo_um": 10.0},
        "splits": {"guard_um": 4.0},
        "model": {"hidden_channels": 16, "num_mid_layers": 1, "out_channels": 8, "dropout": 0.1, "max_epochs": 2},
        "report": {"bootstrap_draws": 20},
    },
)
