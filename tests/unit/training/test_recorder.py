"""CSV, TensorBoard and the progress bar: what they hold, what a resumption cuts, and that they only observe."""

import csv
import logging
import math
import time

import pytest
import torch
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ml_core.training import recorder
from ml_core.training.interrupt import Interrupted
from ml_core.training.recorder import CsvRecorder, ProgressRecorder, Recorder, Recorders
from tests.unit.training.toy import StopAtCheck, ToyTask, assert_same_training, toy_fit


def read(file):
    with file.open() as lines:
        return list(csv.DictReader(lines))


def without_times(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second", "memory_gb")} for row in rows]


class Drawn(ToyTask):
    """Draws the confusion matrix of its two classes."""

    def figures(self, predictions):
        figure = Figure(figsize=(1, 1))
        table = [[((predictions["truth"] == i) & (predictions["guess"] == j)).sum() for j in (0, 1)] for i in (0, 1)]
        figure.subplots().matshow(table)
        return {"confusion_matrix": figure}


# ---- CSV


def test_csv_rows_after_the_checkpoint_are_cut_on_resume_and_the_columns_stay(tmp_path):
    class DiesUnsaved(ToyTask):
        windows = 0

        def losses(self, batch, forward):
            DiesUnsaved.windows += self.model.training
            if DiesUnsaved.windows == 31:  # in epoch 2, five windows after the checkpoint at the end of epoch 1
                raise SystemExit
            return super().losses(batch, forward)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml_core.training.trainer._Run._save_completed_window", lambda run: None)
        with pytest.raises(SystemExit):
            toy_fit(tmp_path / "cut", task=DiesUnsaved())
    before = (tmp_path / "cut/logs/steps.csv").read_text().splitlines()
    assert len(before) == 1 + 15
    with (tmp_path / "cut/logs/steps.csv").open("a") as file:
        file.write("2,16,0.4")  # half a line, as a killed process leaves it

    toy_fit(tmp_path / "cut")
    toy_fit(tmp_path / "whole")
    for name in ("steps.csv", "metrics.csv"):
        resumed, whole = read(tmp_path / "cut/logs" / name), read(tmp_path / "whole/logs" / name)
        assert without_times(resumed) == without_times(whole)
        assert list(resumed[0]) == list(whole[0])
    assert [row["step"] for row in read(tmp_path / "cut/logs/steps.csv")] == [str(k) for k in range(1, 31)]


def test_a_row_with_new_columns_widens_the_file_and_a_row_without_leaves_them_empty(tmp_path):
    recorder = CsvRecorder(tmp_path, step=0, epoch=0)
    recorder.epoch({"epoch": 1, "train_loss": 0.5})
    recorder.epoch({"epoch": 2, "train_loss": 0.4, "val_loss": math.nan})
    recorder.close()
    recorder = CsvRecorder(tmp_path, step=9, epoch=2)
    recorder.epoch({"epoch": 3, "train_loss": 0.3})
    recorder.close()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,train_loss,val_loss",
        "1,0.5,",
        "2,0.4,nan",
        "3,0.3,",
    ]


def test_csv_holds_losses_metrics_rate_norm_time_speed_and_memory(tmp_path):
    toy_fit(tmp_path, log_every_steps=4)
    steps = read(tmp_path / "logs/steps.csv")
    assert [int(row["step"]) for row in steps] == [4, 8, 10, 12, 16, 20, 24, 28, 30]  # every 4, and each epoch's last
    wanted = "loss class_loss value_loss running_loss learning_rate gradient_norm seconds samples_per_second memory_gb"
    assert set(wanted.split()) <= set(steps[0])
    epochs = read(tmp_path / "logs/metrics.csv")
    wanted = (
        "epoch step train_loss train_class_loss val_loss val_value_loss val_accuracy learning_rate seconds memory_gb"
    )
    assert set(wanted.split()) <= set(epochs[0])
    assert all(float(row["samples_per_second"]) > 0 for row in steps + epochs)
    assert float(steps[-1]["running_loss"]) == pytest.approx(float(epochs[-1]["train_loss"]))


# ---- TensorBoard


def test_tensorboard_holds_scalars_histograms_and_the_confusion_matrix(tmp_path):
    changes = {"tensorboard": True, "histogram_every_epochs": 2, "log_every_steps": 5, "figure_every_epochs": 3}
    result = toy_fit(tmp_path, task=Drawn(), **changes)
    events = EventAccumulator(
        str(tmp_path / "logs/tensorboard"), size_guidance={"scalars": 0, "histograms": 0}
    ).Reload()
    tags = events.Tags()
    assert {"step/loss", "step/class_loss", "step/learning_rate", "step/gradient_norm"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("step/gradient_norm")] == [5, 10, 15, 20, 25, 30]
    measured = [event.value for event in events.Scalars("epoch/val_accuracy")]
    assert measured == pytest.approx([row["val_accuracy"] for row in result.history])
    assert {"weights/head.weight", "gradients/head.weight"} <= set(tags["histograms"])
    assert [event.step for event in events.Histograms("gradients/head.weight")] == [20]
    assert [event.step for event in events.Images("confusion_matrix")] == [30]


def test_tensorboard_hides_what_was_written_after_the_checkpoint(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, tensorboard=True, arguments={"should_stop": StopAtCheck(7)})
    time.sleep(1.1)  # files of one second and process are read in the order of "9" and "10", which is no order of time
    toy_fit(tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "logs/tensorboard"), size_guidance={"scalars": 0}).Reload()
    assert [event.step for event in events.Scalars("step/loss")] == list(range(1, 31))


# ---- the bar and the log


def test_the_bar_shows_epoch_step_running_mean_loss_and_learning_rate(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = ProgressRecorder(epochs=5, steps_per_epoch=20)
    bar.step({"epoch": 2, "epoch_step": 7, "running_loss": 0.12345, "learning_rate": 3e-4})
    bar.close()
    shown = capsys.readouterr().err
    assert "epoch 2/5" in shown
    assert "7/20" in shown
    assert "loss 0.1235, lr 0.0003" in shown


def test_the_bar_is_redrawn_ten_times_a_second_at_most_and_first_in_each_epoch(monkeypatch):
    now, drawn = [0.0], []
    monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(recorder.tqdm, "set_postfix_str", lambda bar, text: drawn.append(bar.n))
    bar = ProgressRecorder(epochs=2, steps_per_epoch=9)
    for step, second in enumerate((0.0, 0.04, 0.09, 0.11, 0.12, 0.22), start=1):
        now[0] = second
        bar.step({"epoch": 1, "epoch_step": step, "running_loss": 1.0, "learning_rate": 1.0})
    bar.epoch({})
    bar.step({"epoch": 2, "epoch_step": 1, "running_loss": 1.0, "learning_rate": 1.0})
    bar.close()
    assert drawn == [1, 4, 6, 1]


def test_the_bar_is_silent_without_a_terminal(capsys):
    bar = ProgressRecorder(epochs=5, steps_per_epoch=20)
    bar.step({"epoch": 1, "epoch_step": 1, "running_loss": 1.0, "learning_rate": 1.0})
    bar.epoch({})
    assert capsys.readouterr().err == ""


def test_each_epoch_is_one_log_line_with_the_time_to_go(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="ml_core.training")
    toy_fit(tmp_path)
    lines = [record.message for record in caplog.records if record.message.startswith("epoch ")]
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1/3: train_loss ")
    assert "val_accuracy" in lines[0]
    assert "(best so far)" in lines[0]
    assert "at most 0:00:0" in lines[0]
    assert "device cpu: cpu was requested" in caplog.messages


# ---- observers


def test_recorders_change_nothing(tmp_path):
    with_all = toy_fit(tmp_path / "all", task=Drawn(), tensorboard=True, progress_bar=True, histogram_every_epochs=1)
    without = toy_fit(tmp_path / "none", log_every_steps=1000, figure_every_epochs=None, histogram_every_epochs=None)
    assert_same_training(with_all.last, without.last)


def test_several_recorders_hear_the_same(tmp_path):
    class Heard(Recorder):
        def __init__(self):
            self.calls = []

        def step(self, row):
            self.calls.append(("step", row["step"]))

        def epoch(self, row):
            self.calls.append(("epoch", row["epoch"]))

        def figure(self, name, figure, *, step):
            self.calls.append((name, step))

        def histograms(self, tensors, *, step):
            self.calls.append(("histograms", sorted(tensors)[0]))

        def close(self):
            self.calls.append(("close", 0))

    first, second = Heard(), Heard()
    changes = {"max_epochs": 1, "log_every_steps": 10, "histogram_every_epochs": 1}
    toy_fit(tmp_path, task=Drawn(), arguments={"recorder": Recorders([first, second])}, **changes)
    assert first.calls == second.calls
    assert [name for name, _ in first.calls] == ["step", "histograms", "confusion_matrix", "epoch", "close"]


def test_an_outsider_needs_only_the_rows_of_epochs(tmp_path):
    class Outsider(Recorder):
        rows: list[dict[str, float]] = []  # noqa: RUF012

        def epoch(self, row):
            self.rows.append(row)

    toy_fit(tmp_path, task=Drawn(), arguments={"recorder": Outsider()})
    assert [row["epoch"] for row in Outsider.rows] == [1, 2, 3]
    assert all(
        isinstance(value, (int, float)) and not isinstance(value, torch.Tensor) for value in Outsider.rows[0].values()
    )
