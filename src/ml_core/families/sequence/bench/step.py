"""A pretraining step with each ASV of the block encoded once, beside the same network on padded slots.

The seed's sizes: 4 layers, width 128, a token for each nucleotide, 8 samples, at most 1,024 ASVs of each. Padded slots
are those of a layout [samples, slots, nucleotides] in which every slot is encoded, empty or not: as many slots as the
block's largest sample has, and as many as the cap allows. Of the latter a part is measured, for all of it needs more
memory than a laptop has, and the time is scaled: each slot is encoded by itself, so that its cost is always the same.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ml_core.artifacts import Artifact, Store
from ml_core.bench.case import Request, Row
from ml_core.bench.real import real_data
from ml_core.bench.turns import Contender, Timed, cheaper, take_turns
from ml_core.families.sequence.data import load_distances, load_table
from ml_core.families.sequence.encoder_stage import sizes
from ml_core.families.sequence.encoder_task import EncoderTask
from ml_core.families.sequence.family import FAMILY
from ml_core.families.sequence.model import SequenceEncoder
from ml_core.families.sequence.model_settings import EncoderSettings
from ml_core.families.sequence.samples import Block, EncoderSamples
from ml_core.families.sequence.tokens import PAD, A
from ml_core.running import run_stage

SEED = {"dim": 128, "asv_layers": 4, "patch_bp": 1, "block_samples": 8, "token_limit": 1024, "max_epochs": 1}
QUICK_SEED = {**SEED, "dim": 16, "asv_layers": 1, "heads": 2, "token_limit": 64}
# About as many ASVs of a sample and of a block as infants' stool has (ECAM: 158 to 217 of eight samples).
RAW = {"subjects": 12, "samples_per_subject": 4, "extra_samples": 0, "asvs": 200}
CHUNK = 128  # sequences encoded at a time where the whole block does not fit
ECAM = ("sequence", "ecam")
ONCE, LARGEST, CAPPED = "once", "largest", "capped"
PART = 2  # samples of the block that are measured of the layout with the cap's slots; one would have no distance
PART_SLOTS = 256  # ... and slots of these


def rows(request: Request) -> list[Row]:
    """On a simulated table; on the real one besides, where it is at hand."""
    seed = QUICK_SEED if request.quick else SEED
    with tempfile.TemporaryDirectory() as folder:
        table, distances = artifacts(Path(folder), RAW)
        once, capped = beside_the_cap(table, distances, seed, rounds=request.rounds)
        (largest,) = take_turns(
            [Contender("slots of the largest sample", step_of, (table, distances, seed, LARGEST))], rounds=1
        )
    found = [
        capped_row("simulated table", once, capped, seed),
        cheaper(f"the same, padded to the largest sample's {once.answers[0][1]} ASVs", once, largest, least=None),
    ]
    if (ecam := real_data(*ECAM)) and not request.quick:
        with tempfile.TemporaryDirectory() as folder:
            once, capped = beside_the_cap(*artifacts(Path(folder), of_files(ecam)), seed, rounds=request.rounds)
        found.append(capped_row("ECAM, infants' stool", once, capped, seed))
    return found


def beside_the_cap(table: Path, distances: Path, seed: Mapping[str, int], *, rounds: int) -> tuple[Timed, Timed]:
    """Each ASV once, and the slots of the cap, by one round of a part of them."""
    (once,) = take_turns([Contender("each ASV once", step_of, (table, distances, seed, ONCE))], rounds=rounds)
    side = Contender("slots of the cap", step_of, (table, distances, seed, CAPPED), units=part_of(seed))
    (capped,) = take_turns([side], rounds=1)
    return once, capped


def part_of(seed: Mapping[str, int]) -> float:
    """Share of the cap's slots that are measured."""
    return PART * min(PART_SLOTS, seed["token_limit"]) / (seed["block_samples"] * seed["token_limit"])


def capped_row(table: str, once: Timed, capped: Timed, seed: Mapping[str, int]) -> Row:
    asvs, _ = once.answers[0]
    what = (
        f"pretraining step, {table}, {seed['asv_layers']} layers, width {seed['dim']}, {seed['block_samples']} samples "
        f"with {asvs} different ASVs; padded to {seed['token_limit']:,} slots"
    )
    note = f"{part_of(seed):.1%} of the slots measured once, {CHUNK} sequences at a time, and scaled"
    return cheaper(what, once, capped, least=6, note=note)


def of_files(folder: Path) -> dict[str, Any]:
    """Settings of the stage `raw` for a table, a tree and metadata of the usual names."""
    names = {"table": "table.biom", "tree": "tree.nwk", "metadata": "metadata.tsv"}
    return {"source": "path", **{setting: str(folder / name) for setting, name in names.items()}}


def artifacts(folder: Path, raw: Mapping[str, Any]) -> tuple[Path, Path]:
    """A table and its distances."""
    store, made = Store(folder), dict[str, Artifact]()
    for name in ("raw", "table", "unifrac"):
        stage = FAMILY[name]
        settings = stage.settings(**(raw if name == "raw" else {}))
        made[name] = run_stage(FAMILY, stage, settings=settings, store=store, inputs=made).artifact
    return made["table"].directory, made["unifrac"].directory


def step_of(table_in: Path, distances_in: Path, seed: dict[str, int], layout: str) -> Callable[[], tuple[int, int]]:
    """Forward and backward pass; answers with the ASVs that are encoded once, and the slots of the largest sample."""
    table, distances = load_table(table_in), load_distances(distances_in)
    settings = EncoderSettings(**seed)
    samples = EncoderSamples(table, distances, table.main, settings=settings, fixed=False)
    torch.manual_seed(0)
    model = SequenceEncoder(**sizes(table, distances, settings)).train()
    weights = {"unifrac": settings.unifrac_weight, "nucleotide": settings.nucleotide_weight}
    task = EncoderTask(model, weights=weights)
    (block,) = samples.fetch(np.array([0]), seed=0, epoch=0)
    counted = len(block.sets.tokens), block.sets.slot.shape[1]
    if layout == LARGEST:
        block = in_slots(block, slots=counted[1])
    elif layout == CAPPED:
        model.asv.chunk = CHUNK
        block = in_slots(first_samples(block), slots=min(PART_SLOTS, settings.token_limit))

    def step() -> tuple[int, int]:
        task.model.zero_grad(set_to_none=True)
        losses = task.losses([block], task.model)
        total = sum((task.weights.get(name, 1.0) * loss for name, loss in losses.items()), start=torch.zeros(()))
        total.backward()
        return counted

    return step


def in_slots(block: Block, *, slots: int) -> Block:
    """The same block with a copy of its ASVs for each slot of each sample, empty ones of padding: [n * slots, l]."""
    sets = block.sets
    count, there = sets.slot.shape
    slot = torch.zeros(count, slots, dtype=torch.int64)
    reads = torch.zeros(count, slots)
    slot[:, :there], reads[:, :there] = sets.slot, sets.reads
    filled = (reads > 0).flatten()

    def copied(of_asvs: Tensor, *, empty: int) -> Tensor:
        copies = of_asvs[slot.flatten()].clone()
        copies[~filled] = empty
        return copies

    tokens, masked = copied(sets.tokens, empty=PAD), copied(block.masked, empty=PAD)
    hidden = copied(block.hidden, empty=0)
    one_each = torch.arange(count * slots).view(count, slots)
    places = dataclasses.replace(sets, tokens=tokens, slot=one_each, reads=reads, asv=sets.asv[slot.flatten()])
    return dataclasses.replace(block, sets=places, masked=masked, hidden=hidden, answer=tokens[hidden].long() - A)


def first_samples(block: Block) -> Block:
    """The block of its first samples alone."""
    sets = dataclasses.replace(block.sets, slot=block.sets.slot[:PART], reads=block.sets.reads[:PART])
    return dataclasses.replace(block, sets=sets, distances=block.distances[:PART, :PART])
