"""A sample that no stage has seen, as reads on the panel of a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.errors import UserError
from ml_core.families.tissuebert.evidence import Reads
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.hdf5_writer import Rows
from ml_core.families.tissuebert.inference import predict_rows
from ml_core.families.tissuebert.likelihoods import split_counts
from ml_core.families.tissuebert.samples import kind_of, read_sample
from ml_core.families.tissuebert.settings import RegionsSettings


def read_new(path: Path, regions: Regions, *, build: str | None, settings: RegionsSettings) -> Regions:
    """`regions` with this sample's rows alone.

    UserError where the file is not there, is of another build, or has nothing on the panel.
    """
    if not path.is_file():
        raise UserError(f"{path}: does not exist, expected the reads or counts of a sample; give another --sample.")
    if build is not None and build != regions.build:
        raise UserError(
            f"{path}: is of build {build}, but the model learnt {regions.build}; give the sample on that build."
        )
    kind = kind_of(path)
    rows = read_sample(
        path, panel=regions, min_observed=settings.min_observed, min_mapping_quality=settings.min_mapping_quality
    )
    return with_rows(regions, rows, name=path.name, kind=kind)


def with_rows(regions: Regions, rows: Rows, *, name: str, kind: str) -> Regions:
    """The panel of `regions` with one sample of these rows, in memory."""
    sample = {"name": name, "donor": name, "tissue": "", "kind": kind, "coverage": np.nan, "synthetic": False}
    return replace(
        regions,
        states=rows.states,
        row_region=np.asarray(rows.region, np.int32),
        row_sample=np.zeros(len(rows), np.int32),
        row_count=np.asarray(rows.count, np.uint16),
        n_meth=np.asarray(rows.n_meth, np.uint16),
        n_cov=np.asarray(rows.n_cov, np.uint16),
        sample_offset=np.array([0, len(rows)], np.int64),
        samples=pd.DataFrame([sample]),
    )


def reads_of(sample: Regions, *, model: Path | None) -> Reads:
    """What the sample's rows say, with the scores of the trained model in the folder `model` where one is given.

    Counts know no reads: each becomes a methylated and an unmethylated one of a CpG, and no model is asked.
    """
    rows = np.arange(len(sample))
    place, n_meth, n_cov, weight = split_counts(sample, rows)
    region = np.asarray(sample.row_region)[place].astype(np.int64)
    counted = bool((sample.samples["kind"] == "counts").any())
    scores = None if model is None or counted else predict_rows(model, sample, rows)[place]
    return Reads(region, n_meth.astype(np.int64), n_cov.astype(np.int64), weight.astype(float), scores)
