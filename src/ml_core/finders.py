"""The commands find-lr and find-batch-size: try, before a long training, what its first settings should be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_core.artifacts import Store
from ml_core.errors import UserError
from ml_core.families import get_family
from ml_core.presets import choose_settings
from ml_core.running import prepare_training
from ml_core.stages import Stage

if TYPE_CHECKING:
    from ml_core.training.task import Training

DONE = 0


def find_lr(options: argparse.Namespace) -> int:
    from ml_core.training.find import range_test
    from ml_core.training.find_figures import write_range_test

    stage, settings, training, folder = _training(options)
    found = range_test(training, settings, steps=options.steps, low=options.low, high=options.high)
    stem = folder / f"{stage.name}-learning-rate"
    write_range_test(found, stem)
    _print_paths(stem)
    if found.steepest is None or found.lowest is None:
        print(f"advice: at no rate from {options.low:g} to {options.high:g} the loss fell by more than its noise; give")
        print("        more --steps or another range, or look whether the data can be learnt at all.")
        return DONE
    # The trainer multiplies learning_rate by window / reference; what was found is the rate after that.
    reference = settings.reference_batch_size
    scale = 1.0 if reference is None else reference / settings.window_size
    meant = "" if reference is None else f", meant for {reference} samples"
    print(
        f"advice: --set {stage.name}.learning_rate={found.steepest * scale:.2g} (where the loss falls most steeply"
        f"{meant}); the rule 'a tenth of the rate with the lowest loss' says {found.lowest / 10 * scale:.2g}"
    )
    return DONE


def find_batch_size(options: argparse.Namespace) -> int:
    from ml_core.training.find import batch_sizes
    from ml_core.training.find_figures import write_batch_sizes

    stage, settings, training, folder = _training(options)
    found = batch_sizes(training, settings, limit_gb=options.memory_gb)
    stem = folder / f"{stage.name}-batch-size"
    write_batch_sizes(found, stem)
    _print_paths(stem)
    largest, fastest = found.largest, found.fastest
    print(
        f"advice: --set {stage.name}.batch_size={fastest.batch_size} is the fastest "
        f"({fastest.samples_per_second:.3g} samples/s); {largest.batch_size} is the largest that fits "
        f"({largest.memory_gb:.2f} GB; {found.ended}); choose accumulate_batches so that an optimizer step "
        f"still sees {settings.window_size} samples, or find the learning rate anew"
    )
    return DONE


def add_commands(commands: Any, data: argparse.ArgumentParser, settings: argparse.ArgumentParser) -> None:
    """Add both to the shell's parser. `data` and `settings` carry the options that they share with `run`."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("family")
    shared.add_argument("--stage", metavar="STAGE", help="the stage that trains (default: the first that does)")
    parents = [data, settings, shared]

    rate = commands.add_parser("find-lr", parents=parents, help="learning-rate range test of a stage that trains")
    rate.add_argument("--steps", type=int, default=100, help="optimizer steps (%(default)s)")
    rate.add_argument("--from", type=float, default=1e-6, dest="low", help="lowest rate (%(default)g)")
    rate.add_argument("--to", type=float, default=1.0, dest="high", help="highest rate (%(default)g)")
    rate.set_defaults(command=find_lr)

    size = commands.add_parser("find-batch-size", parents=parents, help="speed and memory of larger and larger batches")
    size.add_argument("--memory-gb", type=float, metavar="GB", help="most memory to take (default: what there is)")
    size.set_defaults(command=find_batch_size)


def _training(options: argparse.Namespace) -> tuple[Stage, Any, Training, Path]:
    """The stage, its settings, what it would train on the current artifacts upstream, and where the results go."""
    family = get_family(options.family)
    training_stages = [stage for stage in family.stages if stage.trains]
    if not training_stages and not options.stage:
        raise UserError(f"{family.name}: no stage trains a model, so that there is nothing to find.")
    stage = family[options.stage] if options.stage else training_stages[0]
    settings = choose_settings(family, [stage], config=options.config, overrides=options.set)[stage.name]
    store, folder = Store(options.data), options.data / "finders" / family.name
    training = prepare_training(family, stage, settings=settings, store=store, directory=folder)
    return stage, settings, training, folder


def _print_paths(stem: Path) -> None:
    for suffix in (".png", ".csv"):
        print(stem.with_suffix(suffix))
