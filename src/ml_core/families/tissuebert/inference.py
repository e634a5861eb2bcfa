"""What a trained model says of reads: log likelihoods by tissue, each distinct read computed once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ml_core.families.tissuebert.batches import ReadMaker
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.model_files import TrainedModel, load_model, refuse_other_panel
from ml_core.families.tissuebert.tables import log_rates_of
from ml_core.training.checkpoint import WEIGHTS

BLOCK_PLACES = 65_536  # of one forward pass: attention of profile full then takes about 0.3 GB


@dataclass(frozen=True)
class Scores:
    """likelihood [n, tissues] float32: log p(read | tissue, region) up to a constant of the read; tissue [n, tissues]
    float32: logits of the tissue head."""

    likelihood: np.ndarray
    tissue: np.ndarray


def predict_rows(directory: Path, regions: Regions, rows: np.ndarray) -> np.ndarray:
    """Log likelihoods [rows, tissues] float32 of rows of `regions`, up to a constant of each row, by a model artifact.

    Tissues are in the order of the model's training regions. UserError where the artifact has no trained model, or the
    reads are of another panel or build.
    """
    return score_rows(directory, regions, rows).likelihood


def score_rows(directory: Path, regions: Regions, rows: np.ndarray) -> Scores:
    """Both heads' answers of rows [n] of `regions`; errors as in `predict_rows`."""
    trained = trained_in(directory)
    refuse_other_panel(trained, regions, directory=directory)
    return score_with(trained, regions, rows)


def trained_in(directory: Path) -> TrainedModel:
    """As `load_model`, kept in memory while the weights on disk stay the same."""
    weights = Path(directory) / WEIGHTS
    stamp = weights.stat().st_mtime_ns if weights.is_file() else 0
    return _trained(Path(directory), stamp)


@functools.lru_cache(maxsize=2)
def _trained(directory: Path, stamp: int) -> TrainedModel:
    return load_model(directory)


def score_with(trained: TrainedModel, regions: Regions, rows: np.ndarray) -> Scores:
    """Answers of a model in memory."""
    rows = np.asarray(rows, np.int64)
    maker = ReadMaker(regions, places=trained.described["places"], use_dna=trained.described["use_dna"])
    log_rates = log_rates_of(trained.tables)
    distinct, place = _distinct(maker, rows)
    tissues = len(trained.tissues)
    likelihood, tissue = (np.empty((len(distinct), tissues), np.float32) for _ in range(2))
    start = 0
    with torch.inference_mode():
        for part in _blocks(distinct, width=maker.width):
            answers = trained.model(maker.make(part, log_rates=log_rates[regions.row_region[part]]))
            likelihood[start : start + len(part)] = answers.likelihood.float().numpy()
            tissue[start : start + len(part)] = answers.tissue.numpy()
            start += len(part)
    return Scores(likelihood[place], tissue[place])


def _distinct(maker: ReadMaker, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows without those that the model cannot tell from another one, and each row's place among them.

    Sorted by region: reads of a region lie together.
    """
    regions = maker.regions
    counted = np.asarray(regions.samples["kind"] == "counts")[regions.row_sample[rows]]
    keys = np.zeros((len(rows), maker.width + 9), np.uint8)
    region = regions.row_region[rows].astype(">u4")
    keys[:, :4] = region.view(np.uint8).reshape(-1, 4)
    keys[:, 8] = counted
    start = 0
    for part in _blocks(rows, width=maker.width):
        keys[start : start + len(part), 9:] = maker.states(part)
        start += len(part)
    totals = np.stack([regions.n_meth[rows], regions.n_cov[rows]], axis=1).astype(">u2")
    keys[:, 4:8] = np.where(counted[:, None], totals.view(np.uint8).reshape(-1, 4), 0)
    whole = np.ascontiguousarray(keys).view(f"V{keys.shape[1]}").ravel()
    _, first, place = np.unique(whole, return_index=True, return_inverse=True)
    return rows[first], place.ravel()


def _blocks(rows: np.ndarray, *, width: int) -> Iterator[np.ndarray]:
    """Rows in parts of `BLOCK_PLACES` places at most."""
    size = max(BLOCK_PLACES // width, 1)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
