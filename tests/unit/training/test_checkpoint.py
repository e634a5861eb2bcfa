"""Checkpoints: roles, kills at every point of a save, damaged and hostile files, full disks."""

import ast
import errno
import io
import json
import os
import pickle
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch

import ml_core
from ml_core.errors import UserError
from ml_core.training import checkpoint as module
from ml_core.training.checkpoint import Checkpoint, CheckpointStore, Roles, cpu_copies, load_weights
from ml_core.training.interrupt import Interrupted
from tests.unit.training.toy import StopAtCheck, assert_same_training, exit_code_of, toy_fit

FILES = {"model.safetensors", "training.pt", "state.json"}


def save(store, name, value=0.0, **roles):
    content = Checkpoint({"w": torch.full((2,), value)}, {"optimizer": {"lr": value}}, {"state": {"step": value}})
    return store.save(name, content, Roles(**roles))


def store_in(directory, *, keep_top=2, mode="max"):
    return CheckpointStore(directory, keep_top=keep_top, mode=mode)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    store = store_in(tmp_path)
    path = save(store, "one", 1.5)
    loaded = store_in(tmp_path).load(path)
    assert torch.equal(loaded.weights["w"], torch.tensor([1.5, 1.5]))
    assert (loaded.training, loaded.record) == ({"optimizer": {"lr": 1.5}}, {"state": {"step": 1.5}})
    assert {file.name for file in path.iterdir()} == FILES


def test_each_role_keeps_its_directory_and_what_no_role_names_is_deleted(tmp_path):
    store = store_in(tmp_path, keep_top=2)
    save(store, "a", best_loss=True, best_metric=True, score=0.1)
    save(store, "b", best_metric=True, score=0.5)
    save(store, "c", every_n=True, score=0.3)
    save(store, "d", score=float("nan"))
    save(store, "e", score=0.2)
    save(store, "f")
    assert names(tmp_path) == ["a", "b", "c", "f", "index.json"]
    assert json.loads((tmp_path / "index.json").read_text()) == {
        "last": "f",
        "best_loss": "a",
        "best_metric": "b",
        "every_n": ["c"],
        "top_k": [{"name": "b", "score": 0.5}, {"name": "c", "score": 0.3}],
    }


def test_top_k_keeps_the_lowest_where_low_is_good(tmp_path):
    store = store_in(tmp_path, keep_top=2, mode="min")
    for name, score in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 4.0)):
        save(store, name, score=score)
    assert [entry["name"] for entry in store.index.top_k] == ["b", "c"]


def test_a_run_keeps_its_best_its_top_and_every_nth_epoch(tmp_path):
    result = toy_fit(tmp_path, max_epochs=6, keep_top=2, checkpoint_every_epochs=3, patience=None)
    index = json.loads((tmp_path / "checkpoints/index.json").read_text())
    assert index["every_n"] == ["epoch-0003-sample-000000000", "epoch-0006-sample-000000000"]
    losses = {f"epoch-{row['epoch']:04.0f}-sample-000000000": row["val_loss"] for row in result.history}
    ranked = sorted(losses, key=losses.__getitem__)
    assert [entry["name"] for entry in index["top_k"]] == ranked[:2]
    assert index["best_loss"] == index["best_metric"] == result.best.name == ranked[0]


def test_the_last_state_is_saved_within_an_epoch_when_the_minutes_are_over(tmp_path, monkeypatch):
    saved = []
    original = CheckpointStore.save
    monkeypatch.setattr(
        CheckpointStore, "save", lambda self, name, *rest: saved.append(name) or original(self, name, *rest)
    )
    toy_fit(tmp_path, max_epochs=1, checkpoint_every_minutes=1e-9)
    assert saved == [f"epoch-0000-sample-{4 * k:09d}" for k in range(1, 11)] + ["epoch-0001-sample-000000000"]


# ---- kills


def after(function):
    """The function, and then the end of the process."""

    def replacement(*arguments, **keywords):
        function(*arguments, **keywords)
        os._exit(9)

    return replacement


def instead(function):
    return lambda *arguments, **keywords: os._exit(9)


def only(kind, name):
    """Kill at the first call of `function` whose file is called `name`."""

    def wrap(function):
        killing = kind(function)

        def replacement(path, *rest, **keywords):
            return (killing if Path(path).name == name else function)(path, *rest, **keywords)

        return replacement

    return wrap


KILLS = {
    "after-the-weights": ("save_file", after),
    "before-the-sync": ("_sync", only(instead, "model.safetensors")),
    "in-the-sync-of-the-directory": ("_sync", only(after, ".writing-two")),
    "before-the-rename": ("os.rename", instead),
    "after-the-rename": ("os.rename", after),
    "before-the-index": ("_replace_text", instead),
    "before-the-index-is-renamed": ("os.replace", instead),
    "after-the-index": ("os.replace", after),
    "before-the-old-ones-go": ("CheckpointStore.sweep", instead),
}


def save_and_die(directory, kill):
    """Save checkpoint "two" in a process that is killed on the way."""
    name, wrap = KILLS[kill]
    owner = module
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    last = name.split(".")[-1]
    setattr(owner, last, wrap(getattr(owner, last)))
    save(store_in(directory), "two", 2.0, best_metric=True)


@pytest.mark.parametrize("kill", KILLS)
def test_a_kill_while_saving_leaves_the_old_roles_or_the_new_ones_and_only_whole_checkpoints(kill, tmp_path):
    save(store_in(tmp_path), "one", 1.0, best_loss=True, best_metric=True)
    assert exit_code_of(lambda: save_and_die(tmp_path, kill)) == 9

    visible = [path for path in tmp_path.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert all({file.name for file in path.iterdir()} == FILES for path in visible)  # a name without a dot is a promise
    store = store_in(tmp_path)
    new = kill in ("after-the-index", "before-the-old-ones-go")
    assert store.index.last == store.index.best_metric == ("two" if new else "one")
    assert torch.equal(load_weights(store.require("last"))["w"], torch.full((2,), 2.0 if new else 1.0))
    assert torch.equal(load_weights(store.require("best_loss"))["w"], torch.full((2,), 1.0))

    store.sweep()
    assert names(tmp_path) == (["index.json", "one", "two"] if new else ["index.json", "one"])
    following = "three" if new else "two"
    save(store, following, 2.0)
    assert store_in(tmp_path).index.last == following


def test_leftovers_of_a_kill_are_swept_at_the_next_start_of_the_run(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", arguments={"should_stop": StopAtCheck(5)})
    checkpoints = tmp_path / "cut/checkpoints"
    (checkpoints / ".writing-epoch-0000-sample-000000020").mkdir()
    shutil.copytree(next(checkpoints.glob("epoch-*")), checkpoints / "epoch-0000-sample-000000020")
    (checkpoints / ".index.json").write_text('{"last": "epo')
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "cut", arguments={"should_stop": StopAtCheck(1)})
    assert names(checkpoints) == ["epoch-0000-sample-000000016", "index.json"]
    assert_same_training(toy_fit(tmp_path / "cut").last, toy_fit(tmp_path / "whole").last)


# ---- what is read


class Hostile:
    def __reduce__(self):
        return (os.mkdir, (str(Hostile.target),))


def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, arguments={"should_stop": StopAtCheck(5)})
    (path,) = (tmp_path / "checkpoints").glob("epoch-*")
    Hostile.target = tmp_path / "owned"
    for content in (zipped(Hostile()), pickle.dumps(Hostile(), protocol=2)):
        (path / "training.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"training\.pt: holds more than tensors and numbers and was refused"):
            toy_fit(tmp_path)
        assert not Hostile.target.exists()


def zipped(content):
    """As `torch.save` packs it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize("file", ["training.pt", "model.safetensors", "state.json", "../index.json"])
def test_a_cut_or_missing_file_is_named(file, tmp_path):
    with pytest.raises(Interrupted):
        toy_fit(tmp_path, arguments={"should_stop": StopAtCheck(5)})
    (path,) = (tmp_path / "checkpoints").glob("epoch-*")
    whole = (path / file).read_bytes()
    (path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"{Path(file).name}: (cannot be read|holds more).*delete the run's directory"):
        toy_fit(tmp_path)
    if file != "../index.json":
        (path / file).unlink()
        with pytest.raises(UserError, match=rf"{file}: cannot be read"):
            toy_fit(tmp_path)


def test_no_file_of_the_product_loads_a_pickle():
    """`torch.load` only with weights_only=True; no pickle.load(s), no numpy allow_pickle=True, no torch.jit.load."""
    calls = []
    for file in Path(ml_core.__path__[0]).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                calls.append((file.name, ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}))
    loads = [keywords for _, name, keywords in calls if name == "torch.load"]
    assert loads
    assert all(keywords.get("weights_only") == "True" for keywords in loads)
    forbidden = {
        "pickle.load",
        "pickle.loads",
        "torch.jit.load",
        "joblib.load",
        "pickle.Unpickler",
        "pandas.read_pickle",
    }
    assert [call for call in calls if call[1] in forbidden or call[2].get("allow_pickle") == "True"] == []


def test_load_weights_reads_an_artifact_a_checkpoint_and_the_best_of_a_run(tmp_path):
    result = toy_fit(tmp_path / "run")
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    shutil.copy(result.best / "model.safetensors", artifact)
    expected = load_weights(result.best)
    for directory in (artifact, tmp_path / "run"):
        loaded = load_weights(directory)
        assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    with pytest.raises(UserError, match=r"holds no model\.safetensors and no finished checkpoint"):
        load_weights(tmp_path)


def test_tied_weights_are_copied_apart():
    shared = torch.ones(3)
    copies = cpu_copies({"a": shared, "b": shared, "c": shared[::2]})
    assert len({copy.data_ptr() for copy in copies.values()}) == 3
    assert all(copy.is_contiguous() for copy in copies.values())


# ---- full and closed disks


@pytest.mark.parametrize("limit", [10, 1_000], ids=["in-the-weights", "in-the-rest"])
def test_a_disk_that_takes_no_more_is_a_sentence_and_the_checkpoint_before_is_whole(limit, tmp_path):
    store = store_in(tmp_path)
    save(store, "one", 1.0)
    big = Checkpoint({"w": torch.zeros(10)}, {"optimizer": torch.zeros(10_000)}, {"state": {}})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UserError, match=r"two: the checkpoint could not be written .*GB free.*free some space"):
            store.save("two", big, Roles())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["index.json", "one"]
    assert torch.equal(load_weights(store_in(tmp_path).require("last"))["w"], torch.ones(2))


def test_a_directory_that_is_not_writable_is_named(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module, "save_file", refuse)
    with pytest.raises(UserError, match=r"one: the checkpoint could not be written .*make the directory writable"):
        save(store_in(tmp_path), "one")


def test_training_goes_on_exactly_after_the_disk_has_space_again(tmp_path, monkeypatch):
    calls = []

    def full(weights, path):
        calls.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", full)
        with pytest.raises(UserError, match="No space left on device"):
            toy_fit(tmp_path / "full")
    assert len(calls) == 2  # the epoch's own save, and the one that would have rescued its last window
    assert_same_training(toy_fit(tmp_path / "full").last, toy_fit(tmp_path / "whole").last)


def test_a_kill_between_the_metrics_row_and_the_checkpoint_does_not_double_the_row(tmp_path):
    """The real thing once: kill -9 at the end of an epoch, after its row is written and before it is saved."""
    assert exit_code_of(lambda: train_and_die(tmp_path / "cut")) == -signal.SIGKILL
    resumed, expected = toy_fit(tmp_path / "cut"), toy_fit(tmp_path / "whole")
    assert_same_training(resumed.last, expected.last)
    rows = (tmp_path / "cut/logs/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "1", "2", "3"]


def train_and_die(directory):
    original = module.save_file

    def kill_at_the_second_epoch(weights, path):
        if "epoch-0002" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        original(weights, path)

    module.save_file = kill_at_the_second_epoch
    toy_fit(directory)
