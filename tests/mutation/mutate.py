"""Break the library on purpose, one fault at a time: each must turn a test red.

    python tests/mutation/mutate.py [part of a fault's name]

Each fault replaces one exact text in a copy of src/ml_core, and the tests that guard it run against the copy. A fault
that no test notices has survived, and the command ends with code 1. A new fault is one more entry in FAULTS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINING = "tests/unit/training"


@dataclass(frozen=True)
class Fault:
    name: str
    file: str  # below src/ml_core
    text: str  # must occur exactly once
    replacement: str
    guards: tuple[str, ...]  # pytest node ids, of which at least one must fail


FAULTS = [
    Fault(
        "each micro-batch counts the same (naive / N)",
        "training/trainer.py",
        "count[term] / totals[term] for term in terms",
        "1 / len(batches) for term in terms",
        (f"{TRAINING}/test_trainer.py::test_every_split_of_a_batch_gives_the_step_of_the_whole_batch",),
    ),
    Fault(
        "workers draw from the global generator",
        "data/loader.py",
        "generator=torch.Generator().manual_seed(seed),",
        "",
        (
            f"{TRAINING}/test_trainer.py::test_a_run_that_was_stopped_and_resumed_is_bit_equal_to_one_that_was_not",
            "tests/unit/data/test_loader.py::test_fetching_draws_nothing_from_the_global_generator",
        ),
    ),
    Fault(
        "generators are not restored",
        "training/start.py",
        'restore_generators(checkpoint.training["generators"], device)',
        "",
        (f"{TRAINING}/test_trainer.py::test_a_run_that_was_stopped_and_resumed_is_bit_equal_to_one_that_was_not",),
    ),
    Fault(
        "a checkpoint is written in its place",
        "training/checkpoint.py",
        'self.directory / f".writing-{name}"',
        "self.directory / name",
        (
            f"{TRAINING}/test_checkpoint.py::test_a_kill_while_saving_leaves_the_old_roles_or_the_new_ones_and_only_whole_checkpoints",
        ),
    ),
    Fault(
        "the index is written in its place",
        "training/checkpoint.py",
        'aside = file.with_name(f".{file.name}")',
        "aside = file",
        (
            f"{TRAINING}/test_checkpoint.py::test_a_kill_while_saving_leaves_the_old_roles_or_the_new_ones_and_only_whole_checkpoints",
        ),
    ),
    Fault(
        "NaN can be the best",
        "training/state.py",
        "if not math.isfinite(value):",
        "if False:",
        (
            f"{TRAINING}/test_state.py",
            f"{TRAINING}/test_trainer.py::test_patience_and_the_best_checkpoint_follow_the_monitored_value",
        ),
    ),
    Fault(
        "0.0 cannot be beaten, for it counts as no best yet",
        "training/state.py",
        "if best is None:",
        "if not best:",
        (f"{TRAINING}/test_state.py",),
    ),
    Fault(
        "an update with a loss that is not finite",
        "training/trainer.py",
        "if not all(math.isfinite(value) for value in values):",
        "if False:",
        (
            f"{TRAINING}/test_trainer.py::test_a_value_that_is_not_finite_stops_before_the_update_and_names_step_and_samples",
        ),
    ),
    Fault(
        "the schedule moves on a step that fp16 skipped",
        "training/trainer.py",
        "step=state.step + (not skipped),",
        "step=state.step + 1,",
        (f"{TRAINING}/test_precision.py",),
    ),
    Fault(
        "validation draws from training's generators",
        "training/generators.py",
        "        restore_generators(before, device)",
        "        pass",
        (f"{TRAINING}/test_trainer.py::test_validation_disturbs_nothing",),
    ),
    Fault(
        "a window broken off is not undone",
        "training/trainer.py",
        "        self.rollback.undo()\n",
        "",
        (f"{TRAINING}/test_trainer.py::test_whatever_breaks_off_a_window_the_last_completed_one_is_saved_exactly",),
    ),
    Fault(
        "frozen parts return to training mode",
        "training/freeze.py",
        "        module.eval()",
        "        pass",
        (f"{TRAINING}/test_freeze.py",),
    ),
    Fault(
        "code in a checkpoint is run",
        "training/checkpoint.py",
        "weights_only=True)",
        "weights_only=False)",
        (f"{TRAINING}/test_checkpoint.py::test_a_hostile_pickle_is_refused_and_does_not_run",),
    ),
    Fault(
        "a resumption is counted only when it saves",
        "training/start.py",
        'store.rewrite_record(path, {**record, "state": {**record["state"], "resume_count": state.resume_count}})',
        "",
        (f"{TRAINING}/test_start.py::test_a_run_that_dies_at_once_is_counted_too",),
    ),
]


def plant(fault: Fault, package: Path) -> None:
    """Replace the fault's text in a copy of the package. Ends the command if it does not occur exactly once."""
    file = package / fault.file
    source = file.read_text()
    if source.count(fault.text) != 1:
        found = source.count(fault.text)
        sys.exit(
            f"{fault.name}: {fault.file} holds {fault.text!r} {found} times, expected once; mend the entry in FAULTS"
        )
    file.write_text(source.replace(fault.text, fault.replacement))


def first_red(fault: Fault, source: Path) -> str | None:
    """The test that notices the fault in `source`, or None."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *fault.guards]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    red = [line.split(" - ")[0].split("::")[-1] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    if run.returncode != 1 or not red:
        sys.exit(f"{fault.name}: its tests did not run:\n{run.stdout}{run.stderr}")
    return red[0]


def main(part: str = "") -> int:
    survivors = 0
    for fault in (fault for fault in FAULTS if part in fault.name):
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory)
            shutil.copytree(ROOT / "src/ml_core", source / "ml_core", ignore=shutil.ignore_patterns("__pycache__"))
            plant(fault, source / "ml_core")
            red = first_red(fault, source)
        survivors += red is None
        print(f"{fault.name:55} {fault.file:25} {red or 'SURVIVED'}", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
