"""What the trained networks say of samples, and how good their pretraining is on samples that they never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import r2_score

from ml_core.families.sequence.baselines import nearest_sequence, position_majority
from ml_core.families.sequence.covariates import encode_covariates
from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.model import SequenceEncoder, embed_asvs, embed_samples
from ml_core.families.sequence.predictor import Questions
from ml_core.families.sequence.predictor_samples import cached_embeddings, rarefactions_of
from ml_core.families.sequence.predictor_task import PredictorTask
from ml_core.families.sequence.samples import MASKS
from ml_core.families.sequence.targets import CLASSIFICATION
from ml_core.families.sequence.tokens import MASK, mask_nucleotides, tokenize
from ml_core.summary import Number


@dataclass(frozen=True)
class Said:
    """said [n, outputs]: numbers in the target's units or chances; low and high [n]: the ends of the task's interval;
    of a class where 95 % of members and rarefactions lie, less than the whole uncertainty; single [n]: of the
    table's own rarefaction only."""

    said: np.ndarray
    point: np.ndarray
    low: np.ndarray
    high: np.ndarray
    single: np.ndarray

    def of(self, *, classes: bool) -> np.ndarray:
        """What is measured: chances [n, classes], or numbers [n]."""
        return self.said if classes else self.point


@torch.no_grad()
def predict_samples(
    task: PredictorTask, table: SampleTable, rows: np.ndarray, *, rarefactions: int, limit: int
) -> Said:
    """What the model says of samples, averaged over members and `rarefactions`, the table's own among them."""
    model = task.model.eval()
    draws = rarefactions_of(table, rows, count=rarefactions)
    embeddings = cached_embeddings(model, table, draws, limit=limit)
    covariates = torch.from_numpy(encode_covariates(table, rows, task.categories))
    nothing = torch.zeros(len(rows))
    replies = [
        model(Questions(each, None, answer=nothing, covariates=covariates, richness=nothing)).target
        for each in embeddings
    ]
    raw = torch.stack(replies).float().numpy()  # [draws, members, n, outputs]
    if task.target.kind == CLASSIFICATION:
        chance = np.asarray(torch.softmax(torch.from_numpy(raw), -1))
        said = chance.mean((0, 1))
        top = said.argmax(1)
        spread = np.take_along_axis(chance, top[None, None, :, None], axis=3)[..., 0]
        low, high = np.quantile(spread, [0.025, 0.975], axis=(0, 1))
        return Said(said, said.max(1), low, high, chance[0].mean(0))
    numbers = np.sort(task.target.decode(raw), axis=3)
    said = numbers.mean((0, 1))
    point, low, high = task.middle(said), said[:, 0], said[:, -1]
    if task.interval is not None:
        low, high = task.interval.around(point, low, high)
    return Said(said, point, low, high, task.middle(numbers[0].mean(0)))


@torch.no_grad()
def predicted_distances(model: SequenceEncoder, table: SampleTable, rows: np.ndarray, *, limit: int) -> np.ndarray:
    """UniFrac [n, n] between samples as the pretrained network says, from whole sequences."""
    counts = table.counts[rows].tocsr()
    used = np.unique(counts.indices)
    asvs = embed_asvs(model, tokenize(table.sequences[used], max_bp=model.max_bp))
    parts = list(embed_samples(model, counts[:, used].tocsr(), asvs, limit=limit))
    return np.concatenate(
        [np.concatenate([model.unifrac(ours, theirs).numpy() for theirs in parts], axis=1) for ours in parts]
    )


def distance_figures(said: np.ndarray, true: np.ndarray) -> dict[str, Number]:
    """R2 and mean absolute error over the pairs of different samples; matrices [n, n]."""
    above = np.triu_indices(len(true), 1)
    return {
        "pretrain.unifrac_r2": float(r2_score(true[above], said[above])),
        "pretrain.unifrac_mae": float(np.abs(said[above] - true[above]).mean()),
        "pretrain.unifrac_pairs": len(above[0]),
    }


@torch.no_grad()
def nucleotide_figures(
    model: SequenceEncoder, table: SampleTable, *, test: np.ndarray, learnt: np.ndarray, share: float, seed: int
) -> dict[str, Number]:
    """How many hidden nucleotides of the test samples' ASVs are named, each ASV once, beside both baselines.

    The baselines know the ASVs of the samples that pretraining learnt from, as the network does; `_unseen` counts only
    the ASVs that none of those has.
    """
    model.eval()
    asked, known = (np.unique(table.counts[rows].indices) for rows in (test, learnt))
    tokens, of_known = (tokenize(table.sequences[each], max_bp=model.max_bp) for each in (asked, known))
    length = max(tokens.shape[1], of_known.shape[1])
    tokens, of_known = (np.pad(each, ((0, 0), (0, length - each.shape[1]))) for each in (tokens, of_known))
    rng = np.random.default_rng([seed, MASKS])
    masked, hidden = mask_nucleotides(tokens, share=share, span_bp=1, of_sequences=1.0, rng=rng)
    right = np.zeros(hidden.shape, bool)
    for start in range(0, len(tokens), 256):
        part = slice(start, start + 256)
        states, embedding = model.asv(torch.from_numpy(masked[part]))
        logits = model.nucleotide(states, embedding, torch.from_numpy(hidden[part]))
        right[part][hidden[part]] = logits.argmax(1).numpy() + 1 == tokens[part][hidden[part]]
    assert (masked[hidden] == MASK).all()
    place = {asv: row for row, asv in enumerate(known)}
    itself = np.array([place.get(asv, -1) for asv in asked])
    new = itself < 0
    figures: dict[str, Number] = {
        "pretrain.masked_accuracy": float(right[hidden].mean()),
        "pretrain.masked_nucleotides": int(hidden.sum()),
        "pretrain.asvs": len(asked),
        "pretrain.asvs_unseen": int(new.sum()),
        "baseline.position_majority.masked_accuracy": position_majority(tokens, hidden, of_known),
        "baseline.nearest_asv.masked_accuracy": nearest_sequence(tokens, hidden, of_known, itself=itself),
    }
    if new.any():
        of_new = (tokens[new], hidden[new], of_known)
        figures |= {
            "pretrain.masked_accuracy_unseen": float(right[new][hidden[new]].mean()),
            "baseline.nearest_asv.masked_accuracy_unseen": nearest_sequence(*of_new, itself=itself[new]),
        }
    return figures


def intervals_cover(said: Said, true: np.ndarray, *, level: float) -> dict[str, Number]:
    """Share of the true numbers within low and high, beside the share that was asked for, and the mean width."""
    return {
        "test.interval_coverage": float(((true >= said.low) & (true <= said.high)).mean()),
        "test.interval_level": level,
        "test.interval_width": float((said.high - said.low).mean()),
    }
