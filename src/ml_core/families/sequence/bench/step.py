"""A pretraining step with each ASV of the block encoded once, beside the same network on padded slots.

    python -m ml_core.families.sequence.bench.step --table DIR --distances DIR    artifacts of finished stages

The seed's sizes: 4 layers, width 128, a token for each nucleotide, 8 samples, at most 1,024 ASVs of each. Padded slots
are those of a layout [samples, slots, nucleotides] in which every slot is encoded, empty or not: as many slots as the
block's largest sample has, and as many as the cap allows. Of the latter two of the eight samples are measured, and no
more, because all need more memory than a laptop has. One thread, CPU seconds of forward and backward pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ml_core.families.sequence.data import load_distances, load_table
from ml_core.families.sequence.encoder_stage import sizes
from ml_core.families.sequence.encoder_task import EncoderTask
from ml_core.families.sequence.model import SequenceEncoder
from ml_core.families.sequence.model_settings import EncoderSettings
from ml_core.families.sequence.samples import Block, EncoderSamples
from ml_core.families.sequence.tokens import PAD, A
from ml_core.usage import peak_memory_gb

SEED = {"dim": 128, "asv_layers": 4, "patch_bp": 1, "block_samples": 8, "token_limit": 1024, "max_epochs": 1}
CHUNK = 128  # sequences encoded at a time where the whole block does not fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="artifact of the stage table")
    parser.add_argument("--distances", type=Path, required=True, help="artifact of the stage unifrac")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table, distances = load_table(options.table), load_distances(options.distances)
    settings = EncoderSettings(**SEED)
    samples = EncoderSamples(table, distances, table.main, settings=settings, fixed=False)
    model = SequenceEncoder(**sizes(table, distances, settings)).train()
    weights = {"unifrac": settings.unifrac_weight, "nucleotide": settings.nucleotide_weight}
    task = EncoderTask(model, weights=weights)
    parameters = sum(each.numel() for each in model.parameters())
    print(f"{parameters:,} parameters, {options.rounds} blocks of {settings.block_samples} samples, one thread")
    once, padded = [], []
    for number in range(options.rounds):
        (block,) = samples.fetch(np.array([number]), seed=0, epoch=0)
        once.append(step(task, block))
        print(
            f"block {number}: {len(block.sets.tokens)} ASVs, largest sample {block.sets.slot.shape[1]}: "
            f"{once[-1]:.2f} s, peak {peak_memory_gb():.2f} GB"
        )
        padded.append(step(task, in_slots(block, slots=block.sets.slot.shape[1])))
        print(f"  a slot for each ASV of the largest sample: {padded[-1]:.2f} s, {padded[-1] / once[-1]:.1f} times")
    model.asv.chunk = CHUNK
    (block,) = samples.fetch(np.array([0]), seed=0, epoch=0)
    quarter = step(task, in_slots(first_two(block), slots=settings.token_limit))
    print(
        f"{settings.token_limit} slots, two samples of the {settings.block_samples}, {CHUNK} sequences at a time: "
        f"{quarter:.2f} s, {quarter / once[0]:.1f} times the whole block"
    )
    print(
        f"medians: once {statistics.median(once):.2f} s, padded to the largest {statistics.median(padded):.2f} s "
        f"({statistics.median(padded) / statistics.median(once):.1f} times)"
    )


def step(task: EncoderTask, block: Block) -> float:
    """CPU seconds of one forward and backward pass."""
    task.model.zero_grad(set_to_none=True)
    started = time.process_time()
    losses = task.losses([block], task.model)
    total = sum((task.weights.get(name, 1.0) * loss for name, loss in losses.items()), start=torch.zeros(()))
    total.backward()
    return time.process_time() - started


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


def first_two(block: Block) -> Block:
    """The block of its first two samples alone: fewer would have no distance."""
    sets = dataclasses.replace(block.sets, slot=block.sets.slot[:2], reads=block.sets.reads[:2])
    return dataclasses.replace(block, sets=sets, distances=block.distances[:2, :2])


if __name__ == "__main__":
    main()
