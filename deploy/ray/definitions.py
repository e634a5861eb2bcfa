"""The code location of a Ray cluster: a Ray job for each stage, with a GPU for those that train."""

from __future__ import annotations

import dagster as dg
from dagster_ray import ray_executor

from dagster_definitions.definitions import build_definitions
from ml_core.families import find_families

TRAINING_JOB = {"num_gpus": 1, "num_cpus": 8}  # as many GPUs as the stage's `nproc`


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(
        find_families().values(),
        executor=ray_executor.configured({"ray": {}}),  # its address is the run launcher's, see dagster.yaml
        training_tags={"dagster-ray/config": TRAINING_JOB},
    )
