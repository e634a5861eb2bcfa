"""Break the library on purpose, one fault at a time: each must turn a test red.

    python tests/mutation/mutate.py [part of a fault's name]

Each fault replaces one exact text in a copy of src/ml_core, and the tests that guard it run against the copy. A fault
that no test notices has survived, and the command ends with code 1. A new fault is one more entry in FAULTS.
Before that all these tests must be green on the library as it is: a test that is red anyway notices nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINING = "tests/unit/training"
FIND = "tests/unit/training/test_find.py"
CONTRACT = "tests/contract/test_families.py"
LAUNCH = "tests/unit/launch"
SEGGER = "tests/unit/families/segger"
HGT = "tests/unit/families/hgt"
SEQUENCE = "tests/unit/families/sequence"
TISSUEBERT = "tests/unit/families/tissuebert"


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
        "training/gradients.py",
        "count[term] / totals[term] for term in wanted",
        "1 / len(batches) for term in wanted",
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
        "restore_generators(states[processes.rank], machine.device)",
        "pass",
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
        "training/state.py",
        "step=self.step + (not skipped),",
        "step=self.step + 1,",
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
        "each rank divides by its own targets",
        "training/trainer.py",
        "self._agree([sum(c[t] for c in counts) for t in self.terms])",
        "[self._agree([]) or sum(c[t] for c in counts) for t in self.terms]",
        (f"{TRAINING}/test_processes.py::test_ranks_together_give_the_curve_of_one_process",),
    ),
    Fault(
        "gradients stay with their rank",
        "training/processes.py",
        "            dist.all_reduce(flat)\n",
        "",
        (f"{TRAINING}/test_processes.py::test_ranks_together_give_the_curve_of_one_process",),
    ),
    Fault(
        "every rank takes the whole window",
        "training/processes.py",
        "np.array_split(items, self.size)[self.rank]",
        "items",
        (f"{TRAINING}/test_plan.py::test_the_ranks_parts_of_a_window_are_the_window",),
    ),
    Fault(
        "a stop concerns only the rank that was asked",
        "training/trainer.py",
        "        if stops:\n",
        "        if asked:\n",
        (f"{TRAINING}/test_processes.py::test_a_stop_asked_of_one_rank_stops_all_with_one_checkpoint",),
    ),
    Fault(
        "only the first rank's generators are saved",
        "training/saving.py",
        '"generators": machine.processes.gather(capture_generators(machine.device)),',
        '"generators": [machine.processes.gather(capture_generators(machine.device))[0]],',
        (
            f"{TRAINING}/test_processes.py::test_a_run_stopped_and_resumed_by_two_ranks_is_bit_equal_to_their_uninterrupted_one",
        ),
    ),
    Fault(
        "validation sees one rank's part",
        "training/validation.py",
        "of_ranks = processes.collect(judged)",
        "of_ranks = processes.collect(judged) and [judged] * processes.size",
        (f"{TRAINING}/test_processes.py::test_ranks_together_give_the_curve_of_one_process",),
    ),
    Fault(
        "batch norm's statistics differ from rank to rank",
        "training/trainer.py",
        "        self.processes.average_statistics(self.task.model)\n",
        "",
        (f"{TRAINING}/test_processes.py::test_each_rank_draws_its_own_dropout_and_batch_norm_stays_equal",),
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
    Fault(
        "a run may be resumed for ever",
        "training/start.py",
        "if state.resume_count >= settings.resume_limit:",
        "if False:",
        (
            f"{TRAINING}/test_start.py::test_the_sixth_resumption_without_a_finished_epoch_is_refused_and_overwrites_nothing",
        ),
    ),
    Fault(
        "a run goes on with other settings",
        "training/start.py",
        "    if changes:\n",
        "    if False:\n",
        (f"{TRAINING}/test_start.py::test_going_on_with_something_else_is_refused_with_the_differences",),
    ),
    Fault(
        "weights to start from need not fit",
        "training/initial.py",
        "    if missing or unexpected:\n",
        "    if False:\n",
        (f"{TRAINING}/test_staged.py::test_tensors_that_are_not_accounted_for_are_refused_and_listed",),
    ),
    Fault(
        "a part thaws an epoch late",
        "training/freeze.py",
        "self._epochs.get(pattern, epoch + 1) <= epoch]",
        "self._epochs.get(pattern, epoch + 1) < epoch]",
        (f"{TRAINING}/test_staged.py::test_a_part_thaws_after_its_epochs_and_not_before",),
    ),
    Fault(
        "fp16 skips NaN in the data for ever",
        "training/trainer.py",
        "curable = state.skipped_in_a_row + 1 < self.settings.skip_limit",
        "curable = True",
        (f"{TRAINING}/test_overflow.py::test_ten_skipped_steps_in_a_row_are_an_error_that_names_step_and_samples",),
    ),
    Fault(
        "a window that ran out of memory leaves its traces",
        "training/trainer.py",
        "self.rollback.undo()  # and its gradients:",
        "pass",
        (f"{TRAINING}/test_memory.py::test_a_window_that_ran_out_leaves_no_trace_in_dropout_batch_norm_or_gradients",),
    ),
    Fault(
        "the halved forward pass is forgotten",
        "training/forward_size.py",
        "state.forward_size or settings.batch_size",
        "settings.batch_size",
        (f"{TRAINING}/test_memory.py::test_the_halved_size_survives_a_resumption",),
    ),
    Fault(
        "what is recomputed draws other dropout",
        "training/recomputing.py",
        "preserve_rng_state=True",
        "preserve_rng_state=False",
        (f"{TRAINING}/test_gradient_checkpointing.py::test_loss_and_every_gradient_are_bit_equal",),
    ),
    Fault(
        "what is recomputed moves batch norm twice",
        "training/recomputing.py",
        "        owner._buffers[name] = buffer.clone()\n",
        "        pass\n",
        (
            f"{TRAINING}/test_gradient_checkpointing.py::test_a_whole_training_is_bit_equal_with_dropout_and_batch_norm_inside",
        ),
    ),
    Fault(
        "compile without a graph goes on",
        "training/compiled.py",
        "        if not self.graphs:\n",
        "        if False:\n",
        (f"{TRAINING}/test_compiled.py::test_a_model_of_which_nothing_is_compiled_is_refused_after_its_first_window",),
    ),
    Fault(
        "rows after the checkpoint stay",
        "training/recorder.py",
        'keep=lambda row: int(row["step"]) <= step)',
        "keep=lambda row: True)",
        (f"{TRAINING}/test_recorder.py::test_csv_rows_after_the_checkpoint_are_cut_on_resume_and_the_columns_stay",),
    ),
    Fault(
        "figures reach no TensorBoard",
        "training/recorder.py",
        "        self._writer.add_figure(name, figure, step, close=False)\n",
        "        pass\n",
        (f"{TRAINING}/test_recorder.py::test_tensorboard_holds_scalars_histograms_and_the_confusion_matrix",),
    ),
    Fault(
        "SIGTERM ends a run without a checkpoint",
        "training/interrupt.py",
        "            for number in (signal.SIGINT, signal.SIGTERM):\n",
        "            for number in (signal.SIGINT,):\n",
        (
            f"{TRAINING}/test_interrupt.py::test_a_signal_ends_the_process_within_ten_seconds_and_the_next_run_goes_on_exactly",
        ),
    ),
    Fault(
        "launch: the last error of all ranks is shown",
        "launch/folder.py",
        "os.link(aside, folder / FIRST_ERROR)",
        "os.replace(aside, folder / FIRST_ERROR)",
        (f"{LAUNCH}/test_folder.py::test_only_the_first_error_is_kept",),
    ),
    Fault(
        "launch: a rank does not see that another has died",
        "launch/watch.py",
        "return any(lock.exists() and not is_alive(lock) and lock.exists() for lock in others)",
        "return False",
        (f"{LAUNCH}/test_watch.py",),
    ),
    Fault(
        "launch: a training on its way out is asked to stop, and dies before it says what it saved",
        "launch/watch.py",
        "if not is_on_the_way_out():",
        "if True:",
        (f"{LAUNCH}/test_watch.py",),
    ),
    Fault(
        "launch: a rank outlives the one that started it",
        "launch/watch.py",
        "super().is_orphan() or (self._rank is not None and not is_alive(self._folder / PARENT_LIVES))",
        "super().is_orphan()",
        (f"{LAUNCH}/test_watch.py",),
    ),
    Fault(
        "launch: the files of another rank than the first are kept",
        "launch/rank.py",
        "if own_rank() == 0:",
        "if own_rank() == 1:",
        (f"{LAUNCH}/test_parent.py::test_two_processes_make_one_artifact_and_only_the_first_prints",),
    ),
    Fault(
        "one Ctrl-C that arrives twice stops at once",
        "training/interrupt.py",
        "elif time.monotonic() - self._asked_at > SECONDS_OF_ONE_REQUEST:",
        "else:",
        (f"{TRAINING}/test_interrupt.py",),
    ),
    Fault(
        "find: the task itself is trained",
        "training/find.py",
        "copy.deepcopy(training.task)",
        "training.task",
        (f"{FIND}::test_the_model_an_optimizer_and_all_generators_are_bit_equal_afterwards",),
    ),
    Fault(
        "find: the generators are left where they are",
        "training/find.py",
        "        restore_generators(before, device)",
        "        pass",
        (f"{FIND}::test_the_model_an_optimizer_and_all_generators_are_bit_equal_afterwards",),
    ),
    Fault(
        "find: totals with and without a term are compared",
        "training/find.py",
        "weights.get(term, 1.0) * values[latest]",
        "weights.get(term, 1.0) * np.array([step.get(term, 0.0) for step in self.terms])",
        (f"{FIND}::test_a_term_that_a_window_lacks_counts_with_its_value_before",),
    ),
    Fault(
        "find: a smoothed loss that lags",
        "training/find.py",
        "i - reach) : i + reach + 1]",
        "i - 2 * reach) : i + 1]",
        (f"{FIND}::test_the_steepest_point_and_the_lowest_are_found_under_noise",),
    ),
    Fault(
        "find: every error is a full memory",
        "training/find.py",
        "        if not out_of_memory(error):\n",
        "        if False:\n",
        (f"{FIND}::test_another_error_is_not_taken_for_a_full_memory",),
    ),
    Fault(
        "find: Ctrl-C ends a search as if it were done",
        "training/find.py",
        "            if not should_stop():\n",
        "            if False:\n",
        (f"{FIND}::test_ctrl_c_is_not_taken_for_the_end_of_a_search",),
    ),
    Fault(
        "find: the advice forgets reference_batch_size",
        "finders.py",
        "reference / settings.window_size",
        "1.0",
        (f"{SEGGER}/test_finders.py::test_a_reference_batch_size_is_taken_out_of_the_advice",),
    ),
    Fault(
        "segger: a loss term counts transcripts that are no targets",
        "families/segger/task.py",
        'int(batch["free"].sum())',
        'len(batch["free"]) * int(batch["free"].any())',
        (f"{CONTRACT}::test_a_split_batch_is_the_whole_batch",),
    ),
    Fault(
        "segger: nothing is learnt",
        "families/segger/task.py",
        "        return self._losses(batch, forward(batch))",
        "        frozen = [p.sum() * 0 for p in self.model.parameters()]\n"
        "        return {n: v.detach() + sum(frozen) for n, v in self._losses(batch, forward(batch)).items()}",
        (f"{CONTRACT}::test_one_batch_of_all_classes_is_overfitted",),
    ),
    Fault(
        "segger: another input is the same training",
        "families/segger/train.py",
        "fingerprint={name: artifact.digest for name, artifact in run.inputs.items()},",
        "fingerprint={},",
        (f"{SEGGER}/test_finders.py::test_what_a_stage_would_train_is_what_it_trains",),
    ),
    Fault(
        "segger: a judged transcript shows its own gene",
        "families/segger/samples.py",
        '"token": np.where(masked, self.mask, self.tokens[tile.gene]),',
        '"token": self.tokens[tile.gene],',
        (f"{SEGGER}/test_samples.py::test_what_is_masked_has_neither_gene_nor_edge_to_its_nucleus",),
    ),
    Fault(
        "segger: a judged transcript keeps its edge to its nucleus",
        "families/segger/samples.py",
        "member = tile.labelled & ~masked & (tile.nucleus >= 0)",
        "member = tile.labelled & (tile.nucleus >= 0)",
        (f"{SEGGER}/test_samples.py::test_what_is_masked_has_neither_gene_nor_edge_to_its_nucleus",),
    ),
    Fault(
        "segger: a transcript vouches for itself",
        "families/segger/expression.py",
        "sums = np.maximum(self.sums[at, gene[:, None]] - part, 1e-6)",
        "sums = self.sums[at, gene[:, None]]",
        (f"{SEGGER}/test_expression.py::test_leaving_one_out_equals_profiles_made_without_it",),
    ),
    Fault(
        "segger: neighbours tell where a transcript was counted",
        "families/segger/pairs.py",
        "    total = total + alike[:, None] * taken_out[0] + (count - alike)[:, None] * taken_out[1]\n",
        "",
        (
            f"{SEGGER}/test_samples.py::test_the_label_of_a_judged_nuclear_transcript_reaches_nothing_of_its_own_but_the_target",
        ),
    ),
    Fault(
        "segger: held-out transcripts count as labelled",
        "families/segger/gather.py",
        "labelled=seen.labelled[transcripts],",
        "labelled=nucleus >= 0,",
        (
            f"{SEGGER}/test_samples.py::test_in_a_shrunken_view_the_labels_of_held_out_transcripts_reach_nothing_but_the_target",
        ),
    ),
    Fault(
        "segger: a tile sees transcripts of other splits",
        "families/segger/gather.py",
        "halo = halo[splits.transcript[halo] == splits.tile[index]]",
        "pass",
        (f"{SEGGER}/test_splits.py",),
    ),
    Fault(
        "segger: a tile sees nuclei of other splits",
        "families/segger/gather.py",
        "nuclei = nuclei[splits.nucleus[nuclei] == splits.tile[index]]",
        "pass",
        (f"{SEGGER}/test_splits.py",),
    ),
    Fault(
        "segger: profiles count transcripts of other splits",
        "families/segger/pooling.py",
        "labelled = labelled & (splits.transcript == splits.nucleus[graph.nucleus])",
        "pass",
        (f"{SEGGER}/test_train.py::test_profiles_in_training_do_not_know_what_a_nucleus_has_in_another_split",),
    ),
    Fault(
        "segger: stray RNA is counted in another split's surroundings",
        "families/segger/pooling.py",
        "(loose & (of == number), mine[of_mine == number])",
        "(loose, mine[of_mine == number])",
        (f"{SEGGER}/test_train.py::test_profiles_in_training_do_not_know_what_a_nucleus_has_in_another_split",),
    ),
    Fault(
        "segger: held-out transcripts surround nuclei by their labels",
        "families/segger/pooling.py",
        "np.asarray(graph.nucleus[rows]) < 0",
        "np.asarray(graph.nucleus[rows]) % 2 == 0",
        (
            f"{SEGGER}/test_samples.py::test_in_a_shrunken_view_the_labels_of_held_out_transcripts_reach_nothing_but_the_target",
        ),
    ),
    Fault(
        "segger: planted stray RNA stays in the profiles",
        "families/segger/stray.py",
        "part = own / (own + local)",
        "part = own / own",
        (f"{SEGGER}/test_stray.py",),
    ),
    Fault(
        "segger: stray RNA is a reason to be put into a cell",
        "families/segger/task.py",
        'torch.where(batch["nuclear"][:, None], lies_in, own)',
        "lies_in",
        (f"{SEGGER}/test_task.py::test_stray_rna_is_no_reason_to_be_put_into_a_cell_but_may_lie_in_a_nucleus",),
    ),
    Fault(
        "segger: profiles pool nuclei of other splits",
        "families/segger/pooling.py",
        'bank = splits.nucleus == SPLITS.index("train")',
        "bank = splits.nucleus >= 0",
        (
            f"{SEGGER}/test_train.py::test_each_split_is_sampled_from_its_own_tiles_and_profiles_pool_training_nuclei_only",
        ),
    ),
    Fault(
        "segger: the view of the ring test is trained on",
        "families/segger/views.py",
        "if name not in (FULL, view_name(settings.test_view))",
        "if name != FULL",
        (f"{SEGGER}/test_train.py::test_the_view_of_the_ring_test_is_never_trained_or_validated_on",),
    ),
    Fault(
        "segger: baselines see other nuclei than the model",
        "families/segger/evaluate.py",
        "    seen = graph.views[view]\n",
        "    seen = graph.views[FULL]\n",
        (f"{SEGGER}/test_report.py::test_in_the_ring_test_no_baseline_sees_a_held_out_label",),
    ),
    Fault(
        "segger: the own nucleus is drawn as a wrong one",
        "families/segger/negatives.py",
        "        anywhere = np.where(anywhere == own_nucleus[:, None], near, anywhere)\n",
        "",
        (f"{SEGGER}/test_samples.py::test_each_positive_has_exactly_the_asked_number_of_wrong_nuclei",),
    ),
    Fault(
        "segger: few candidates give few negatives",
        "families/segger/negatives.py",
        "self.ratio - hard.sum(axis=1), 0)",
        "self.ratio - self.hard, 0)",
        (f"{SEGGER}/test_samples.py::test_each_positive_has_exactly_the_asked_number_of_wrong_nuclei",),
    ),
    Fault(
        "segger: pairs reach into another tile of the batch",
        "families/segger/samples.py",
        '_shift(part["pair_nucleus"], b)',
        'part["pair_nucleus"]',
        (f"{SEGGER}/test_samples.py::test_tiles_of_a_batch_do_not_mix",),
    ),
    Fault(
        "segger: a tile is drawn anew each time",
        "families/segger/samples.py",
        "np.random.default_rng([seed, epoch, index])",
        "np.random.default_rng()",
        (f"{SEGGER}/test_samples.py::test_a_tile_is_drawn_alike_whatever_was_drawn_before",),
    ),
    Fault(
        "segger: every epoch masks the same transcripts",
        "families/segger/samples.py",
        "np.random.default_rng([seed, epoch, index])",
        "np.random.default_rng([seed, index])",
        (f"{SEGGER}/test_samples.py::test_a_tile_is_drawn_alike_whatever_was_drawn_before",),
    ),
    Fault(
        "segger: folds go by place in the tile",
        "families/segger/samples.py",
        "self.fold[tile.transcripts] == fold",
        "self.fold[: len(tile.transcripts)] == fold",
        (f"{SEGGER}/test_samples.py::test_in_a_fold_a_transcript_is_masked_in_every_tile_that_sees_it",),
    ),
    Fault(
        "segger: a padded pair can be chosen",
        "families/segger/model.py",
        "out[..., 0].masked_fill(nuclei < 0, NO_CANDIDATE)",
        "out[..., 0]",
        (f"{SEGGER}/test_model.py::test_padding_changes_nothing",),
    ),
    Fault(
        "segger: a padded neighbour is attended to",
        "families/segger/attend.py",
        ".masked_fill_(~there, NEVER)",
        "",
        (f"{SEGGER}/test_model.py::test_padding_changes_nothing",),
    ),
    Fault(
        "segger: a layer forgets the nuclei's own transcripts",
        "families/segger/receptive.py",
        "        if layer == 1:",
        "        if layer == 9:",
        (f"{SEGGER}/test_receptive.py",),
    ),
    Fault(
        "segger: attention's gradient leaves out what the softmax takes off",
        "families/segger/attend.py",
        "            of_logit.sub_(torch.mm(given * out[rows], total))  # what the softmax takes off\n",
        "",
        (f"{SEGGER}/test_attend.py",),
    ),
    Fault(
        "layers: dropout of attention is forgotten on the way back",
        "layers/attention.py",
        "                if len(kept):\n                    mask_(of_weights, kept[rows])\n",
        "",
        ("tests/unit/layers/test_attention.py",),
    ),
    Fault(
        "layers: hidden places are attended to",
        "layers/attention.py",
        "torch.where(there, torch.inf, HIDDEN_LOGIT)",
        "torch.where(there, torch.inf, torch.inf)",
        ("tests/unit/layers/test_attention.py",),
    ),
    Fault(
        "layers: dropout of the inner values is forgotten on the way back",
        "layers/feed_forward.py",
        "mask_(of_wide[some], keep[run][some])",
        "pass",
        ("tests/unit/layers/test_feed_forward.py",),
    ),
    Fault(
        "short gradients are stretched to the norm that they may have",
        "training/optimizer.py",
        ".clamp_(max=1.0)",
        "",
        (f"{TRAINING}/test_optimizer.py",),
    ),
    Fault(
        "hgt: messages are searched without being sorted",
        "families/hgt/train.py",
        "            sent.sort()\n",
        "",
        (f"{HGT}/test_samples.py",),
    ),
    Fault(
        "a stage keeps the last epoch's weights, not the best ones",
        "training/stage.py",
        "result.best / WEIGHTS",
        "result.last / WEIGHTS",
        (f"{TRAINING}/test_stage.py",),
    ),
    Fault(
        "a stage trains without its inputs' digests",
        "training/stage.py",
        "        fingerprint=dict(training.fingerprint),\n",
        "",
        (f"{TRAINING}/test_stage.py",),
    ),
    Fault(
        "a raw copy that differs is taken for verified",
        "raw_copy.py",
        "digest == sha256(Path(origin))",
        "True",
        ("tests/unit/test_raw_copy.py::test_a_copy_that_differs_from_its_original_fails_the_check",),
    ),
    Fault(
        "the epoch that was kept can be NaN",
        "training/outcome.py",
        "return value if np.isfinite(value) else -np.inf",
        "return value",
        ("tests/unit/training/test_outcome.py::test_the_best_epoch_is_the_first_of_equals_and_never_a_nan",),
    ),
    Fault(
        "segger: a damaged model is taken over",
        "families/segger/train.py",
        "    if damage:\n",
        "    if False:\n",
        (f"{SEGGER}/test_train.py::test_a_damaged_or_foreign_model_is_refused_in_one_sentence",),
    ),
    Fault(
        "segger: another model in the same folder is not seen",
        "families/segger/settings.py",
        "if manifest is not None and manifest.is_file():",
        "if False:",
        (f"{SEGGER}/test_train.py::test_another_model_in_the_same_folder_is_another_result",),
    ),
    Fault(
        "segger: neighbours are sought without a halo",
        "families/segger/graph.py",
        "seen = chunks.rows(chunk), chunks.rows(chunk, halo_strips=halo_strips)",
        "seen = chunks.rows(chunk), chunks.rows(chunk)",
        (f"{SEGGER}/test_chunks.py::test_chunks_of_any_size_give_the_graph_of_the_whole_sample",),
    ),
    Fault(
        "segger: the halo is a strip too narrow",
        "families/segger/strips.py",
        "math.ceil(distance_um / WIDTH_UM) + 1",
        "math.ceil(distance_um / WIDTH_UM) - 1",
        (f"{SEGGER}/test_chunks.py::test_chunks_of_any_size_give_the_graph_of_the_whole_sample",),
    ),
    Fault(
        "segger: candidates do not reach into the next chunk",
        "families/segger/nearest.py",
        "carried = best[owned.stop - owned.start :]",
        "carried = best[:0]",
        (f"{SEGGER}/test_chunks.py::test_chunks_of_any_size_give_the_graph_of_the_whole_sample",),
    ),
    Fault(
        "segger: equally far transcripts come in the order of the tree",
        "families/segger/graph.py",
        "_order_ties(index, distance, points=points, own=own, tree=tree)",
        "pass",
        (f"{SEGGER}/test_graph.py::test_equally_far_points_come_in_the_order_of_their_index",),
    ),
    Fault(
        "segger: surroundings end at a chunk's border",
        "families/segger/pooling.py",
        "halo_strips=strips_within(radius_um)",
        "halo_strips=0",
        (f"{SEGGER}/test_chunks.py::test_profiles_made_in_pieces_are_those_made_at_once",),
    ),
    Fault(
        "segger: fragments end where a piece of rows ends",
        "families/segger/fragments.py",
        "for start in range(0, len(rows), at_once):",
        "for start in range(0, min(len(rows), at_once), at_once):",
        (f"{SEGGER}/test_fragments.py",),
    ),
    Fault(
        "segger: rows come out in the graph's order",
        "families/segger/results.py",
        'values[found["place"]] = found[name]',
        'values[np.sort(found["place"])] = found[name]',
        (f"{SEGGER}/test_predict.py::test_a_nuclear_transcript_mostly_goes_to_its_nucleus",),
    ),
    Fault(
        "segger: the user's cut is not used",
        "families/segger/predict.py",
        "tuned if settings.score_cut is None else settings.score_cut",
        "tuned",
        (f"{SEGGER}/test_predict.py::test_a_cut_of_ones_own_overrides_the_models",),
    ),
    Fault(
        "segger: tokens go by the new sample's order",
        "families/segger/predict.py",
        "np.array([place.get(gene, mask) for gene in graph.genes])",
        "np.arange(len(graph.genes))",
        (f"{SEGGER}/test_predict.py::test_a_panel_in_another_order_gives_each_gene_its_own_token",),
    ),
    Fault(
        "segger: a tie is called a victory",
        "families/segger/pages.py",
        "if _show(value) == _show(known[best]):",
        "if False:",
        (f"{SEGGER}/test_pages.py::test_what_looks_equal_is_a_tie_and_no_victory",),
    ),
    Fault(
        "hgt: a target's reverse sends its message",
        "families/hgt/messages.py",
        "return self.keeping(~hidden[self.edge])",
        "return self.keeping(~hidden[self.edge] | (self.row_relation[self.source_row] >= len(self.graph.relations)))",
        (f"{HGT}/test_samples.py::test_no_target_sends_a_message_in_either_direction",),
    ),
    Fault(
        "hgt: nodes are told apart by their id alone",
        "families/hgt/readers/primekg.py",
        "type_code.astype(np.int64) * len(ids) + id_code",
        "id_code",
        (f"{HGT}/test_graph.py::test_ids_that_collide_across_types_lose_no_node_and_no_edge",),
    ),
    Fault(
        "hgt: known pairs count as wrong answers in the loss",
        "families/hgt/loss.py",
        "known[question.hit[0], question.hit[1]] = True",
        "pass",
        (f"{HGT}/test_loss.py::test_loss_and_gradients_equal_cross_entropy_written_out",),
    ),
    Fault(
        "hgt: values of the layers begin as random matrices",
        "families/hgt/conv.py",
        "self.value_by_relation.copy_(torch.eye(depth).expand_as(self.value_by_relation))",
        "nn.init.uniform_(self.value_by_relation, -bound, bound)",
        (f"{HGT}/test_model.py::test_before_training_a_drug_and_a_disease_with_the_same_genes_are_alike",),
    ),
    Fault(
        "hgt: vectors learn small relations by heart",
        "families/hgt/samples.py",
        "count if by_vectors or not vectors_alone else 0",
        "count",
        (f"{HGT}/test_samples.py::test_vectors_are_taught_alone_at_first_by_the_relations_that_are_large_enough",),
    ),
    Fault(
        "hgt: the regression on paths has seen the test edges",
        "families/hgt/metapaths.py",
        'training = np.asarray(splits.part[edges]) == SPLITS.index("train")',
        "training = np.ones(edges.stop - edges.start, bool)",
        (f"{HGT}/test_metapaths.py::test_held_out_edges_change_nothing",),
    ),
    Fault(
        "hgt: a pair's own edge is among its paths",
        "families/hgt/metapaths.py",
        "np.fill_diagonal(dense, 0)",
        "pass",
        (f"{HGT}/test_metapaths.py::test_paths_are_counted_as_one_by_one",),
    ),
    Fault(
        "hgt: equal scores get the best rank",
        "metrics/ranking.py",
        "1 + above + (at_least - above) / 2",
        "1 + above",
        ("tests/unit/metrics/test_ranking.py",),
    ),
    Fault(
        "hgt: an edge and its reverse are dealt out apart",
        "families/hgt/splits.py",
        "    if undirected and not together:\n",
        "    if not together:\n",
        (f"{HGT}/test_splits.py::test_both_directions_of_a_directed_relation_go_to_one_split",),
    ),
    Fault(
        "sequence: UniFrac over the sum of both samples, not their union",
        "families/sequence/unifrac.py",
        "apart, whole = both - 2 * shared, both - shared",
        "apart, whole = both - 2 * shared, both",
        (f"{SEQUENCE}/test_unifrac.py::test_it_equals_scikit_bio_whatever_the_tree_the_table_and_the_blocks",),
    ),
    Fault(
        "sequence: cutting the tree moves its root",
        "families/sequence/phylogeny.py",
        "    stays[-1] = True\n",
        "",
        (f"{SEQUENCE}/test_phylogeny.py::test_cutting_keeps_distances_between_tips_and_to_the_root",),
    ),
    Fault(
        "sequence: a tree with a lower root is joined as if it had the same",
        "families/sequence/graft.py",
        "depth=float(second.depth[above]) + offset",
        "depth=float(second.depth[above])",
        (f"{SEQUENCE}/test_graft.py::test_parts_are_joined_to_what_they_were_cut_from",),
    ),
    Fault(
        "sequence: a sample's draw of reads depends on its place in the table",
        "families/sequence/rarefaction.py",
        "[seed, zlib.crc32(str(name).encode())]",
        "[seed, row]",
        (f"{SEQUENCE}/test_rarefaction.py",),
    ),
    Fault(
        "sequence: each fold is dealt anew",
        "families/sequence/splits.py",
        "rng = np.random.default_rng(settings.seed)\n",
        "rng = np.random.default_rng([settings.seed, settings.fold])\n",
        (f"{SEQUENCE}/test_splits.py::test_no_group_is_in_two_splits_and_each_is_tested_once",),
    ),
    Fault(
        "sequence: an extra table brings samples of the main one back",
        "families/sequence/pooling.py",
        "pool.only(~unknown & ~again)",
        "pool.only(~unknown)",
        (f"{SEQUENCE}/test_table.py::test_extra_samples_share_asvs_and_tree_and_have_no_labels",),
    ),
    Fault(
        "tissuebert: a donor in two splits is not seen",
        "families/tissuebert/donors.py",
        "return sorted(counts[counts > 1].index)",
        "return sorted(counts[counts > 2].index)",
        (f"{TISSUEBERT}/test_donors.py::test_a_leak_is_found_and_unknown_samples_are_none",),
    ),
    Fault(
        "tissuebert: a copy of a sample in another split is not seen",
        "families/tissuebert/checks.py",
        "(alike > limit)",
        "(alike > 1 + limit)",
        (f"{TISSUEBERT}/test_checks.py::test_a_copy_in_another_split_is_found_and_nothing_else",),
    ),
    Fault(
        "tissuebert: a share of the CpGs is dropped, rounded down, instead of each by itself",
        "families/tissuebert/batches.py",
        "drawn.reshape(-1, width) < self.cpg_dropout",
        "drawn.reshape(-1, width) < int(width * self.cpg_dropout)",
        (f"{TISSUEBERT}/test_batches.py::test_each_observed_cpg_is_hidden_by_itself",),
    ),
    Fault(
        "tissuebert: reads vote",
        "families/tissuebert/scores.py",
        "np.add.at(summed, place.ravel(), log_likelihood * weight[:, None])",
        "np.add.at(summed, (place.ravel(), log_likelihood.argmax(1)), weight)",
        (f"{TISSUEBERT}/test_scores.py::test_pooling_sums_weighted_reads_of_an_owner_wherever_they_stand",),
    ),
    Fault(
        "tissuebert: regions are chosen by all donors",
        "families/tissuebert/panel.py",
        'train=splits.samples_in("train"))',
        "train=np.flatnonzero(splits.part >= 0))",
        (f"{TISSUEBERT}/test_stages.py::test_the_panel_is_chosen_without_the_judged_donors",),
    ),
    Fault(
        "tissuebert: a training read meets tables that know it",
        "families/tissuebert/tables.py",
        "self.log_rates[1 + self.fold[sample], region]",
        "self.log_rates[0 * sample, region]",
        (f"{TISSUEBERT}/test_batches.py::test_a_training_read_meets_tables_without_its_donor",),
    ),
    Fault(
        "tissuebert: the report counts synthetic copies",
        "families/tissuebert/asked.py",
        '~regions.samples["synthetic"].to_numpy(bool) & (regions',
        "(regions",
        (f"{TISSUEBERT}/test_levels.py::test_synthetic_copies_are_not_counted",),
    ),
    Fault(
        "tissuebert: a sample of few reads has some of them twice",
        "families/tissuebert/few_reads.py",
        "replace=False",
        "replace=True",
        (f"{TISSUEBERT}/test_levels.py::test_reads_are_drawn_without_replacement",),
    ),
    Fault(
        "tissuebert: the report is silent on a baseline that wins",
        "families/tissuebert/verdict.py",
        "return self.sign * self.theirs > self.sign * self.ours",
        "return False",
        (f"{TISSUEBERT}/test_verdict.py::test_a_winning_baseline_stands_first",),
    ),
    Fault(
        "tissuebert: a sample is reported although the gate is shut",
        "families/tissuebert/predict.py",
        "if not gate.reportable:",
        "if False:",
        (f"{TISSUEBERT}/test_predict.py::test_a_sample_of_few_reads_is_not_reported",),
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


def first_red(guards: Iterable[str], source: Path) -> str | None:
    """The first of these tests that fails with the package in `source`, or None."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *guards]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    red = [line.split(" - ")[0].split("::")[-1] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    if run.returncode != 1 or not red:
        sys.exit(f"{' '.join(guards)}: these tests did not run:\n{run.stdout}{run.stderr}")
    return red[0]


def main(part: str = "") -> int:
    faults = [fault for fault in FAULTS if part in fault.name]
    guards = dict.fromkeys(guard for fault in faults for guard in fault.guards)
    if red := first_red(guards, ROOT / "src"):
        sys.exit(f"{red}: is red without any fault; mend it first")
    survivors = 0
    for fault in faults:
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory)
            shutil.copytree(ROOT / "src/ml_core", source / "ml_core", ignore=shutil.ignore_patterns("__pycache__"))
            plant(fault, source / "ml_core")
            red = first_red(fault.guards, source)
        survivors += red is None
        print(f"{fault.name:55} {fault.file:25} {red or 'SURVIVED'}", flush=True)
    print(f"{len(faults)} faults, {survivors} survived; {len(guards)} guards, all green without a fault")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
