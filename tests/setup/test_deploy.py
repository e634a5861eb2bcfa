"""What deploy/ holds that can be looked at without the engines' libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from torch.distributed.run import get_args_parser

from ml_core.__main__ import _parser

SCRIPTS = ("torchrun/train.sh", "slurm/train.sbatch")
WORDS = ["hgt", "--config", "configs/full.yaml"]


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Stand-ins for what Slurm gives a job, and an interpreter that writes down what it is asked to run."""
    for name, script in {
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "scontrol": "echo node1; echo node2",
        "python": 'printf "%s\\n" "$@"',
    }.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    slurm = {"JOB_ID": "7", "JOB_NUM_NODES": "2", "JOB_NODELIST": "node[1-2]", "GPUS_ON_NODE": "4"}
    return {
        **os.environ,
        **{f"SLURM_{name}": value for name, value in slurm.items()},
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "GPUS": "4",
        "MACHINES": "2",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHON": str(tmp_path / "python"),
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_command_of_a_script_is_one_that_torchrun_and_the_shells_door_take(
    script: str, root: Path, cluster: dict[str, str]
) -> None:
    path = root / "deploy" / script
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    said = subprocess.run(["bash", str(path), *WORDS], env=cluster, capture_output=True, text=True, check=True).stdout
    module, *options = said.splitlines()[1:]
    assert module == "torch.distributed.run"
    asked = get_args_parser().parse_args(options)
    assert (asked.nnodes, asked.nproc_per_node) == ("2", "4")
    assert (asked.module, asked.training_script) == (True, "ml_core")
    ours = _parser().parse_args(asked.training_script_args)
    assert (ours.family, str(ours.config)) == ("hgt", "configs/full.yaml")
    assert asked.rdzv_endpoint == "node1:29500" if "slurm" in script else asked.master_addr == "127.0.0.1"


def test_postgres_changes_nothing_but_where_the_history_is(root: Path) -> None:
    ours, theirs = (
        yaml.safe_load((root / path).read_text()) for path in ("dagster.yaml", "deploy/postgres/dagster.yaml")
    )
    assert ours.pop("storage").keys() == {"sqlite"}
    assert theirs.pop("storage").keys() == {"postgres"}
    assert ours == theirs
