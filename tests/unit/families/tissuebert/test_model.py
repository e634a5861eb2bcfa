"""The network: its sizes, its equality with PyTorch's encoder, and likelihoods that begin as the tables'."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pydantic
import pytest
import torch
from torch import Tensor, nn

from ml_core.families.tissuebert.batches import ReadMaker, Reads
from ml_core.families.tissuebert.encoder import Encoder
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import fit_likelihoods
from ml_core.families.tissuebert.model import TissueBert
from ml_core.families.tissuebert.model_files import build_model
from ml_core.families.tissuebert.model_settings import PROFILES, ModelSettings
from ml_core.families.tissuebert.parity import as_stock
from ml_core.families.tissuebert.tables import log_rates_of
from ml_core.families.tissuebert.tokens import NO_CPG, PAD
from tests.unit.families.tissuebert.planted_model import REGIONS, plant

SMALL = {"dim": 16, "layers": 2, "heads": 2, "feed_dim": 32, "dropout": 0.0}


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return plant(tmp_path_factory.mktemp("model"), counts=True)


def model_of(regions: Regions, **changes: Any) -> TissueBert:
    torch.manual_seed(0)
    return build_model(regions, ModelSettings(**(SMALL | changes))).eval()


def reads_of(regions: Regions, rows: np.ndarray, *, places: str) -> Reads:
    log_rates = log_rates_of(fit_likelihoods(regions, np.arange(12)))
    return ReadMaker(regions, places=places, use_dna=True).make(rows, log_rates=log_rates[regions.row_region[rows]])


class Stock(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.stock = as_stock(encoder, dropout=0.0)

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        return self.stock(x, src_key_padding_mask=None if there is None else ~there)


def parameters(profile: str, *, tissues: int, regions: int, region_embedding: bool) -> int:
    sizes = PROFILES[profile]
    with torch.device("meta"):
        model = TissueBert(
            tissues=tissues,
            regions=regions,
            dim=sizes.dim,
            layers=sizes.layers,
            heads=sizes.heads,
            feed_dim=sizes.feed_dim,
            dropout=sizes.dropout,
            norm_first=False,
            region_embedding=region_embedding,
            region_rank=0,
        )
    return sum(each.numel() for each in model.parameters())


def test_profile_full_has_the_parameters_of_its_sizes() -> None:
    """Six layers of 512 and 2,048 are 18.9M by themselves: PyTorch's own have as many."""
    layer = nn.TransformerEncoderLayer(512, 8, 2048, device="meta")
    layers = 6 * sum(each.numel() for each in layer.parameters())
    assert layers == 18_914_304
    embeddings = (69 + 4 + 150) * 512 + 2 * 512
    heads = 512 * 512 + 512 + 22 * 513 + 7 * 513
    found = parameters("full", tissues=22, regions=2000, region_embedding=False)
    assert found == layers + embeddings + heads == 19_307_037
    assert parameters("full", tissues=22, regions=2000, region_embedding=True) == found + 2000 * 512


def test_profile_cpu_small_is_a_hundredth_of_it() -> None:
    assert 0.1e6 < parameters("cpu_small", tissues=22, regions=2000, region_embedding=False) < 0.4e6
    assert 0.1e6 < parameters("cpu_small", tissues=22, regions=2000, region_embedding=True) < 0.4e6


@pytest.mark.parametrize("places", ["cpgs", "bases"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_whole_network_equals_one_with_pytorchs_encoder(regions: Regions, places: str, norm_first: bool) -> None:
    model = model_of(regions, places=places, norm_first=norm_first)
    nn.init.normal_(model.likelihood.correct.weight)
    reads = reads_of(regions, np.arange(0, 400, 20), places=places)
    mine = model(reads)
    model.encoder = Stock(model.encoder)  # type: ignore[assignment]
    theirs = model(reads)
    assert torch.allclose(mine.tissue, theirs.tissue, atol=1e-5)
    assert torch.allclose(mine.likelihood, theirs.likelihood, atol=1e-5)


@pytest.mark.parametrize("places", ["cpgs", "bases"])
def test_places_where_nothing_stands_change_nothing(regions: Regions, places: str) -> None:
    model = model_of(regions, places=places)
    nn.init.normal_(model.likelihood.correct.weight)
    reads = reads_of(regions, np.arange(40), places=places)
    nothing = {"token": PAD, "state": NO_CPG, "place": 7}
    longer = {
        name: torch.cat([getattr(reads, name), torch.full((40, 3), value, dtype=torch.uint8)], 1)
        for name, value in nothing.items()
    }
    with torch.no_grad():
        short, padded = model(reads), model(dataclasses.replace(reads, **longer))
    assert torch.allclose(short.tissue, padded.tissue, atol=1e-5)
    assert torch.allclose(short.likelihood, padded.likelihood, atol=1e-5)


def test_an_untrained_model_says_of_reads_what_the_tables_say(regions: Regions) -> None:
    rows = np.arange(300)
    tables = fit_likelihoods(regions, np.arange(12))
    known = tables.log_likelihood(regions.row_region[rows], regions.n_meth[rows], regions.n_cov[rows])
    with torch.no_grad():
        found = model_of(regions)(reads_of(regions, rows, places="cpgs")).likelihood.numpy()
    apart = found - known  # a constant of each row: in how many orders its CpGs can stand
    assert np.ptp(apart, axis=1).max() < 1e-3


def test_summed_counts_weigh_as_reads_and_favour_the_tissue_they_are_from(regions: Regions) -> None:
    rows = regions.rows_of(len(regions.samples) - 1)
    reads = reads_of(regions, rows, places="cpgs")
    assert reads.counts.all()
    with torch.no_grad():
        summed = model_of(regions)(reads).likelihood.sum(0)
    assert int(summed.argmax()) == 3


def test_a_regions_directions_change_likelihoods_only_where_they_are_learnt(regions: Regions) -> None:
    rows = np.arange(50)
    reads = reads_of(regions, rows, places="cpgs")
    moved, plain = model_of(regions, region_rank=3), model_of(regions)
    with torch.no_grad():
        assert torch.allclose(moved(reads).likelihood, plain(reads).likelihood, atol=1e-4)
        assert moved.likelihood.directions is not None
        moved.likelihood.directions.normal_()
        assert not torch.allclose(moved(reads).likelihood, plain(reads).likelihood, atol=1e-2)
    assert moved.likelihood.of_region is not None
    assert moved.likelihood.of_region.num_embeddings == REGIONS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": 10, "heads": 4}, "expected a multiple"),
        ({"tissue_weight": 0, "likelihood_weight": 0, "bag_weight": 0}, "at least one loss"),
    ],
)
def test_settings_that_cannot_be_built_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        ModelSettings(**changes)
