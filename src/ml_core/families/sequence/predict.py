"""The family's answer to `python -m ml_core predict sequence`: the target of new samples, also of ASVs never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.sequence.data import SampleTable, Tree
from ml_core.families.sequence.dna import known_sequences
from ml_core.families.sequence.evaluate import predict_samples
from ml_core.families.sequence.merging import merge
from ml_core.families.sequence.predictor_stage import load_predictor
from ml_core.families.sequence.rarefaction import rarefied
from ml_core.families.sequence.readers.counts import read_counts
from ml_core.families.sequence.readers.fasta import read_fasta
from ml_core.families.sequence.readers.metadata import read_metadata
from ml_core.families.sequence.report_settings import PredictSettings
from ml_core.families.sequence.settings import TableSettings
from ml_core.families.sequence.targets import CLASSIFICATION
from ml_core.summary import Number, Summary

EXAMPLES = 3


def answer(settings: PredictSettings, artifacts: Mapping[str, Artifact]) -> Summary:
    """Rarefy to the model's depth, predict, and give each sample's target in its own units with its interval."""
    task, described = load_predictor(artifacts["predictor"].directory)
    max_bp = described["encoder"]["sizes"]["max_bp"]
    table, shallow, nameless = new_table(
        settings, depth=described["depth"], seed=described["seed"], max_bp=max_bp, covariates=list(task.categories)
    )
    rows = np.arange(len(table))
    said = predict_samples(
        task,
        table,
        rows,
        rarefactions=settings.rarefactions or described["rarefactions"],
        limit=described["encoder"]["token_limit"],
    )
    target = task.target
    shown: list[dict[str, Number]] = []
    for row in rows:
        name: dict[str, Number] = {"sample": str(table.sample_ids[row])}
        between: dict[str, Number] = {"low": float(said.low[row]), "high": float(said.high[row])}
        if target.kind == CLASSIFICATION:
            chance = {f"chance of {each}": float(said.said[row, k]) for k, each in enumerate(target.classes)}
            shown.append({**name, target.column: target.classes[int(said.said[row].argmax())], **chance})
        else:
            shown.append({**name, target.column: float(said.point[row]), **between})
    left = f"; {len(shallow)} samples have fewer than {table.depth} reads and were left out" if shallow else ""
    lost = f"; {nameless} ASVs without a known sequence were left out" if nameless else ""
    headline = f"{target.column} of {len(rows)} samples with {len(table.asv_ids)} ASVs{left}{lost}."
    return Summary(headline=headline, tables={"Predictions": shown})


def new_table(
    settings: PredictSettings, *, depth: int, seed: int, max_bp: int, covariates: list[str]
) -> tuple[SampleTable, list[str], int]:
    """The new samples as a table without a tree, the names of those too shallow, and how many ASVs have no sequence.

    Raises UserError where no sample is deep enough, or where covariates are asked for that the metadata lack.
    """
    path = Path(settings.table).expanduser()
    counts = read_counts(path)
    records = [read_fasta(Path(settings.sequences).expanduser())] if settings.sequences else []
    merged = merge([counts], known=known_sequences(records, tips=[]))
    whole = merged.matrices[0].tocsr()
    reads = np.asarray(whole.sum(axis=1)).ravel()
    deep = reads >= depth
    if not deep.any():
        raise UserError(
            f"{path}: its {len(reads)} samples have {int(reads.max(initial=0))} reads or fewer, expected at least the "
            f"{depth} that the model was trained with; sequence deeper, or train at a lower table.depth."
        )
    ids = counts.sample_ids[deep]
    whole = whole[deep]
    return (
        SampleTable(
            sample_ids=ids,
            asv_ids=merged.asv_ids,
            sequences=np.array([each[:max_bp] for each in merged.sequences], object),
            counts=rarefied(whole, sample_ids=ids, depth=depth, seed=seed),
            whole=whole,
            metadata=_covariates(settings, ids=ids, columns=covariates),
            study=np.zeros(len(ids), np.int8),
            depth=depth,
            seed=seed,
            tree=Tree(np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int32)),
        ),
        [str(name) for name in counts.sample_ids[~deep]],
        sum(map(len, merged.nameless)),
    )


def _covariates(settings: PredictSettings, *, ids: np.ndarray, columns: list[str]) -> pd.DataFrame:
    if not columns:
        return pd.DataFrame(index=range(len(ids)))
    if settings.metadata is None:
        raise UserError(
            f"predict sequence: this model also reads {', '.join(columns)}; give the samples' metadata by --metadata."
        )
    missing = frozenset(TableSettings().missing_values)
    found = read_metadata(Path(settings.metadata).expanduser(), sample_column=None, missing=missing)
    frame = found.columns
    absent = [column for column in columns if column not in frame]
    if absent:
        raise UserError(
            f"{settings.metadata}: has no column '{absent[0]}', which this model reads; it has "
            f"{', '.join(map(str, frame.columns))}."
        )
    counted = Counter(name for name in ids if name not in frame.index)
    if counted:
        shown = ", ".join(list(counted)[:EXAMPLES])
        raise UserError(f"{settings.metadata}: lacks {len(counted)} samples of the table ({shown}); add their rows.")
    return frame.loc[ids].reset_index(drop=True)
