"""deploy/torchrun: the script, started on two "machines" that are this one, trains a family together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import yaml

from ml_core.artifacts import Store
from ml_core.families import get_family

FAMILY = get_family("hgt")


def test_two_machines_with_a_process_each_train_one_model(root: Path, tmp_path: Path) -> None:
    preset = tmp_path / "smallest.yaml"
    ops = {f"{FAMILY.name}_{stage}": {"config": dict(of)} for stage, of in FAMILY.smallest.items()}
    preset.write_text(yaml.safe_dump({"ops": ops}))
    words = [FAMILY.name, "--until", "model", "--config", str(preset), "--data", str(tmp_path / "data")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    machines = []
    for number in ("0", "1"):
        told = {"MACHINES": "2", "MACHINE": number, "GPUS": "1", "PORT": port, "PYTHON": sys.executable}
        environment = {**os.environ, **told, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root / "src")}
        command = [str(root / "deploy" / "torchrun" / "train.sh"), *words]
        machines.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    said = [machine.communicate(timeout=500) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert "model" in said[0][0]
    assert said[1][0] == ""
    model = Store(tmp_path / "data").current(FAMILY.name, "model")
    assert model is not None
    assert model.verify() == []
