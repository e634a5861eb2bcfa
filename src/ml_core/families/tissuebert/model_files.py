"""The folder of a trained model: weights, tables, and what is needed to build the network again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml_core.errors import UserError
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, load_tables, save_tables
from ml_core.families.tissuebert.model import TissueBert
from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.training.checkpoint import WEIGHTS, load_weights

DESCRIPTION, TABLES = "model.json", "tables.npz"
HEADS = ("likelihood", "tissue")
REMEDY = "run the stage model"


@dataclass(frozen=True)
class TrainedModel:
    """model in eval mode; the tables of its training donors; described: model.json."""

    model: TissueBert
    tables: LikelihoodTables
    described: dict[str, Any]

    @property
    def tissues(self) -> list[str]:
        names: list[str] = self.described["tissues"]
        return names

    @property
    def heads(self) -> tuple[str, ...]:
        """Those that have something to say: the likelihood, which begins at the tables, and the tissue head where it
        was trained."""
        return HEADS if self.described["tissue_head"] else HEADS[:1]


def build_model(regions: Regions, settings: ModelSettings) -> TissueBert:
    """A new network for these regions and tissues."""
    return TissueBert(**network_of(regions, settings))


def network_of(regions: Regions, settings: ModelSettings) -> dict[str, Any]:
    """The arguments of `TissueBert`."""
    sizes = asdict(settings.sizes)
    del sizes["places"]
    return {
        "tissues": len(regions.tissues),
        "regions": len(regions.n_cpg),
        **sizes,
        **{name: getattr(settings, name) for name in ("norm_first", "region_embedding", "region_rank")},
    }


def save_description(
    directory: Path, *, regions: Regions, settings: ModelSettings, tables: LikelihoodTables, trained_on: dict[str, str]
) -> None:
    """Write model.json and tables.npz, beside which the weights stand."""
    described = {
        "network": network_of(regions, settings),
        "places": settings.sizes.places,
        "use_dna": settings.use_dna,
        "tissue_head": settings.tissue_weight > 0,
        "label_smoothing": settings.label_smoothing,
        "tissues": [str(name) for name in regions.tissues["name"]],
        "panel_digest": regions.panel_digest,
        "build": regions.build,
        "sequence_source": regions.sequence_source,
        "trained_on": trained_on,
    }
    (directory / DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n")
    save_tables(directory / TABLES, tables)


def load_model(directory: Path) -> TrainedModel:
    """The model of an artifact; UserError where it is not trained, or not whole."""
    for name in (DESCRIPTION, TABLES, WEIGHTS):
        if not (directory / name).is_file():
            raise UserError(f"{directory}: has no {name}, expected the folder of a trained model; {REMEDY}.")
    described: dict[str, Any] = json.loads((directory / DESCRIPTION).read_text())
    model = TissueBert(**described["network"])
    model.load_state_dict(load_weights(directory))
    return TrainedModel(model.eval(), load_tables(directory / TABLES), described)


def refuse_other_panel(trained: TrainedModel, regions: Regions, *, directory: Path) -> None:
    """UserError where the reads are of another panel or genome build than the model has learnt."""
    known = trained.described
    if regions.build != known["build"]:
        raise UserError(
            f"{regions.path}: is of build {regions.build}, but the model in {directory} learnt {known['build']}; "
            "give reads of that build."
        )
    if regions.panel_digest != known["panel_digest"] or len(regions.n_cpg) != known["network"]["regions"]:
        raise UserError(
            f"{regions.path}: has another panel than the model in {directory} learnt; read the sample on that "
            "panel, or train anew."
        )
