"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml_core.errors import UserError
from ml_core.training.checkpoint import CheckpointStore, Roles, load_weights
from ml_core.training.compiled import CompiledForward
from ml_core.training.device import memory_gb
from ml_core.training.fetching import loader_of
from ml_core.training.forward_size import ForwardSize
from ml_core.training.gradients import not_finite, pass_back
from ml_core.training.interrupt import Interrupted, StopAsked, StopRequest
from ml_core.training.journal import Journal
from ml_core.training.judging import due, judge
from ml_core.training.machine import Machine
from ml_core.training.memory import advice, empty_cache, is_out_of_memory
from ml_core.training.optimizer import TrainedParts, clip_gradients
from ml_core.training.plan import Window, plan_epochs, windows
from ml_core.training.processes import FollowerDone, Processes
from ml_core.training.recomputing import recomputed
from ml_core.training.recorder import Recorder
from ml_core.training.rollback import Rollback
from ml_core.training.saving import Saving
from ml_core.training.schedule import build_schedule
from ml_core.training.settings import TrainingSettings
from ml_core.training.start import alone_in, begin, identify
from ml_core.training.state import FitResult, Row, TrainState
from ml_core.training.task import Batch, Samples, Task
from ml_core.training.validation import Validation, named

log = logging.getLogger("ml_core.training")


def fit(
    task: Task,
    *,
    train: Samples,
    validation: Samples | None,
    settings: TrainingSettings,
    directory: Path,
    recorder: Recorder | None = None,
    should_stop: Callable[[], bool] | None = None,
    fingerprint: dict[str, Any] | None = None,
) -> FitResult:
    """Train `task.model`, or go on with the run in `directory`, or return at once if that run is finished.

    `directory` receives checkpoints/, logs/metrics.csv (epochs), logs/steps.csv and logs/tensorboard/. `recorder`
    observes besides those. `fingerprint` holds what else must not change when a run goes on, such as its data's digest.

    Raises
    ------
    Interrupted
        After Ctrl-C, SIGTERM or `should_stop`, with the state saved at the end of the window in progress.
    UserError
        Settings that do not fit the run in `directory`, a loss that is not finite, a disk that is full, ...
    FollowerDone
        On every rank but the first, when several processes (torchrun) have finished training together.
    """
    cpu_start = time.process_time()
    processes = Processes.join()
    recomputing = recomputed(task.model, task.checkpointed) if settings.gradient_checkpointing else nullcontext()
    alone = alone_in(directory) if processes.leads else nullcontext()
    with alone, recomputing, StopRequest(should_stop) as stop:
        run = _Run(task, train, validation, settings, directory, recorder, stop, fingerprint, processes)
        run.train()
    if not processes.leads:
        raise FollowerDone
    last = run.store.require("last")
    best = run.store.path("best_metric") or last
    task.model.load_state_dict(load_weights(best))
    return FitResult(
        state=run.state,
        history=run.history,
        best=best,
        last=last,
        stop_reason=str(run.state.stop_reason),
        device=str(run.device),
        device_reason=run.machine.reason,
        precision=run.precision.name,
        seconds=run.state.seconds,
        cpu_seconds=time.process_time() - cpu_start,
        peak_memory_gb=memory_gb(run.device),
        resumed_from=run.resumed_from,
        compiled_graphs=run.compiled.graphs if run.compiled else 0,
    )


class _Run:
    def __init__(
        self,
        task: Task,
        train: Samples,
        validation: Samples | None,
        settings: TrainingSettings,
        directory: Path,
        recorder: Recorder | None,
        stop: StopRequest,
        fingerprint: dict[str, Any] | None,
        processes: Processes,
    ) -> None:
        self.task, self.settings, self.stop, self.processes = task, settings, stop, processes
        self.machine = Machine.prepare(settings, processes, bf16_agrees_on_cpu=task.bf16_agrees_on_cpu)
        self.device, self.precision = self.machine.device, self.machine.precision

        # ---- what is trained
        task.model.to(self.device)
        self.compiled = CompiledForward(task.model) if settings.compile else None
        self.forward: Callable[..., Any] = self.compiled or task.model
        self.parts = TrainedParts(task.model, settings)
        self.optimizer = self.parts.optimizer
        self.rollback = Rollback(task.model, self.device)
        self.updating = False  # while the optimizer moves the weights, there is no completed window to save

        # ---- the samples
        self.plan = plan_epochs(train, seed=settings.seed, samples_per_epoch=settings.samples_per_epoch)
        self.loader = loader_of(train, settings, self.machine)
        self.validation: Validation | None = None
        if validation is None:
            log.info("no validation set: monitor and patience have no effect, and the last model is kept")
        else:
            self.validation = Validation(task, self.forward, validation, settings=settings, machine=self.machine)

        # ---- where it begins: the run's own checkpoint, another model's weights, or scratch
        self.store = CheckpointStore(directory / "checkpoints", keep_top=settings.keep_top, mode=settings.monitor_mode)
        sizes = {"training": len(train), "validation": self.validation.size if self.validation else 0}
        identity = identify(task.model, settings, sizes, fingerprint)
        start = begin(
            store=self.store,
            model=task.model,
            parts=self.parts,
            machine=self.machine,
            settings=settings,
            identity=identity,
        )
        processes.equal_weights(task.model)
        self.state, self.history, self.resumed_from = start.state, start.history, start.resumed_from
        self.terms: list[str] = []  # names of the loss terms, known from the first batch
        self.together = processes.size == 1  # whether all ranks take the way that this one takes after an error
        self.forward_size = ForwardSize(settings, start.state, device=self.device)
        self.saving = Saving(
            self.store,
            model=task.model,
            optimizer=self.optimizer,
            machine=self.machine,
            settings=settings,
            identity=identity,
            state=start.state,
        )
        steps_per_epoch = math.ceil(self.plan.size / settings.window_size)
        self.schedule = build_schedule(settings, steps=steps_per_epoch * self.state.schedule_epochs)
        self.journal = Journal(
            directory / "logs",
            state=self.state,
            settings=settings,
            steps_per_epoch=steps_per_epoch,
            device=self.device,
            recorder=recorder,
            silent=not processes.leads,
        )

    def train(self) -> None:
        """Epoch after epoch until a reason to stop. Whatever breaks it off, the last completed window is saved."""
        try:
            while self.state.stop_reason is None:
                if not self.state.validation_pending:
                    self._train_epoch()
                self._finish_epoch()
            self._agree([])  # a stop that came in the last window: the run is done, but what follows must not begin
        except StopAsked as asked:
            self._save_completed_window()
            raise Interrupted(asked.cause, self.store.path("last")) from None
        except BaseException as error:
            try:
                if self.together:
                    self._save_completed_window()
            except Exception:
                log.exception("the last completed window could not be saved; the checkpoint before it is whole")
            if is_out_of_memory(error):
                raise UserError(self._advice(error)) from error
            raise
        finally:
            self.journal.close()

    def _train_epoch(self) -> None:
        epoch = self.state.epoch
        self.parts.thaw(epoch)
        self.parts.freezing.train_mode()
        while not self.state.validation_pending:
            if shortage := self.forward_size.shortage_in(self._train_windows):
                self._split_from_now_on(shortage)
        if due(epoch + 1, self.settings.histogram_every_epochs):
            self.journal.histograms(self.task.model, step=self.state.step)

    def _train_windows(self) -> None:
        """The windows that are left of an epoch."""
        settings, epoch = self.settings, self.state.epoch
        epoch_windows = list(
            windows(
                self.plan.order(epoch),
                start=self.state.position,
                window_size=settings.window_size,
                batch_size=self.forward_size.samples,
                share=self.processes.share,
            )
        )
        batches = self.loader.batches([indices for window in epoch_windows for indices in window.batches], epoch=epoch)
        for window in epoch_windows:
            self._train_window(window, [next(batches) for _ in window.batches])
            if self.compiled:
                self.compiled.require_graph()
            if due(self.state.step, settings.clear_cache_every_steps):
                empty_cache(self.device)
        if self.processes.sum([self.saving.late(self.state)])[0]:  # before the validation, which may be long
            self._save(Roles(), self.state, self.history)

    def _train_window(self, window: Window, batches: list[Batch]) -> None:
        """One optimizer step over all micro-batches of a window, which are here before the first backward pass."""
        counts = [self.task.counts(batch) for batch in batches]
        totals = self._window_totals(counts)
        state, precision = self.state, self.precision
        self.rollback.mark()
        learning_rate = self.schedule.at(state.step)
        self.parts.set_learning_rate(learning_rate)
        self.parts.drop_gradients()
        passed = self.forward_size.agreed(
            lambda: pass_back(self.task, self.forward, batches, counts=counts, totals=totals, machine=self.machine),
            self.processes,
        )
        self.processes.sum_gradients(self.parts.parameters, list(passed.terms.values()))
        precision.unscale(self.optimizer)
        norm = clip_gradients(self.parts.parameters, clip_norm=self.settings.clip_norm)

        # The one point at which an accelerator is waited for.
        *values, gradient_norm = torch.stack([*passed.terms.values(), norm.to(self.device, torch.float32)]).tolist()
        means = dict(zip(passed.terms, values, strict=True))
        if not all(math.isfinite(value) for value in values):
            self._refuse("loss", passed.not_finite(window.batches))
        curable = state.skipped_in_a_row + 1 < self.settings.skip_limit
        skipped = not math.isfinite(gradient_norm) and curable and precision.overflowed()
        if not math.isfinite(gradient_norm) and not skipped:
            self._refuse("gradient norm", window.batches)

        self.updating = True
        if not skipped:
            precision.step(self.optimizer)
        self.processes.average_statistics(self.task.model)
        self.state = state.after_window(
            window.size,
            skipped=skipped,
            means=means,
            targets=totals,
            epoch_size=self.plan.size,
            forward_size=self.forward_size.halved,
            seconds=self.journal.seconds(),
        )
        self.rollback.forget()
        self.updating = False
        if not skipped and self.journal.wants(self.state):
            self.journal.step(
                self.state,
                self.task.loss_row(means),
                running_loss=self.task.total(self.state.mean_losses()),
                learning_rates=self.parts.rates(learning_rate),
                gradient_norm=gradient_norm,
            )

    def _window_totals(self, counts: list[dict[str, int]]) -> dict[str, int]:
        """Targets of each loss term in the whole window, on all ranks; before it, what they must do together."""
        if not self.terms:
            of_ranks = self.processes.gather(list(counts[0]) if counts else [])
            self.terms = next(terms for terms in of_ranks if terms)
        return dict(zip(self.terms, self._agree([sum(c[t] for c in counts) for t in self.terms]), strict=True))

    def _agree(self, numbers: list[int]) -> list[int]:
        """`numbers` summed over the ranks. If one was asked to stop, all stop; if it is time to save, all save."""
        asked = self.stop.asked()
        stops, saves, *totals = self.processes.sum([asked is not None, self.saving.late(self.state), *numbers])
        if stops:
            raise StopAsked(next(cause for cause in self.processes.gather(asked) if cause))
        if saves:
            self._save(Roles(), self.state, self.history)
        return totals

    def _split_from_now_on(self, shortage: Exception) -> None:
        """Undo the window that ran out of memory, and halve the samples of a forward pass for the rest of the run."""
        if self.updating:
            raise shortage  # in the optimizer's step: weights may have moved, and smaller passes would not help
        self.rollback.undo()  # and its gradients:
        self.parts.drop_gradients()
        self.forward_size.halve(shortage, self.state)

    def _finish_epoch(self) -> None:
        """Validate, judge, record, save: in this order, so that whatever is recorded twice is recorded alike."""
        settings, state, number = self.settings, self.state, self.state.epoch + 1
        values = named("train", self.task.loss_row(state.mean_losses()))
        if self.validation and (due(number, settings.validate_every_epochs) or number >= settings.max_epochs):
            figures = due(number, settings.figure_every_epochs)
            values |= self.validation.values(self.journal, step=state.step, figures=figures, stop_asked=self.stop.asked)
        judged = judge(state, values, settings)
        learning_rates = self.parts.rates(self.schedule.at(max(0, state.step - 1)))
        row = self.journal.epoch(state, values, learning_rates=learning_rates, better=judged.better)
        self._save(judged.roles, judged.state.replace(seconds=row["seconds"]), [*self.history, row])

    def _save(self, roles: Roles, state: TrainState, history: list[Row]) -> None:
        """Write a checkpoint; the run stands at `state` from the moment when it is on disk."""
        try:
            self.saving.save(state, history, roles)
        finally:
            if self.saving.saved is state:
                self.state, self.history = state, history

    def _save_completed_window(self) -> None:
        """Save the last completed window unless it is on disk already. A window broken off is undone first."""
        if self.updating:
            log.warning("stopped while the weights were moving; the run will go on from its last checkpoint")
            return
        self.rollback.undo()
        if self.saving.saved is not self.state:
            self._save(Roles(), self.state, self.history)

    def _refuse(self, what: str, batches: list[np.ndarray]) -> None:
        """Stop before the update, on every rank with the same sentence. `batches`: this rank's part of the culprits."""
        everyones = [part for parts in self.processes.gather(batches) for part in parts]
        self.together = True
        raise not_finite(what, everyones, state=self.state, scaled=self.precision.scaler is not None)

    def _advice(self, error: BaseException) -> str:
        state = self.state
        validating = state.validation_pending and not self.updating
        place = "validation after" if validating else f"step {state.step + 1} of"
        return advice(
            error,
            self.settings,
            where=f"{place} epoch {state.epoch + 1}",
            samples=self.settings.batch_size if validating else self.forward_size.samples,
            device=self.device,
            precision=self.precision.name,
            can_recompute=bool(self.task.checkpointed),
        )
