"""The code location of a Kubernetes cluster: a pod for each stage, with a GPU for those that train."""

from __future__ import annotations

import dagster as dg
from dagster_k8s import k8s_job_executor

from dagster_definitions.definitions import build_definitions
from ml_core.families import find_families

# As many GPUs as the stage's `nproc`. A pod has 64 MB of /dev/shm, too little for data loaders and NCCL: give it more.
TRAINING_POD = {
    "container_config": {
        "resources": {
            "requests": {"cpu": "8", "memory": "32Gi"},
            "limits": {"memory": "32Gi", "nvidia.com/gpu": "1"},
        },
        "volume_mounts": [{"name": "shm", "mount_path": "/dev/shm"}],  # noqa: S108 - the pod's own
    },
    "pod_spec_config": {
        "termination_grace_period_seconds": 150,  # of which training needs what one window takes, to save
        "volumes": [{"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": "8Gi"}}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    },
}


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(
        find_families().values(), executor=k8s_job_executor, training_tags={"dagster-k8s/config": TRAINING_POD}
    )
