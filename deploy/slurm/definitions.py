"""A code location whose assets are Slurm jobs, started over SSH by dagster-slurm: a family is one job on one node.

The cluster has a checkout of its own; where it is comes from the environment, see `compute` and docs/scaling.md.
"""

import os
from pathlib import Path

import dagster as dg
from dagster_slurm import BashLauncher, ComputeResource, SlurmQueueConfig, SlurmResource, SSHConnectionResource

from ml_core.families import find_families
from ml_core.stages import Family

PAYLOAD = Path(__file__).with_name("payload.py")  # what the job runs
QUEUE = {  # memory is the partition's for a GPU: dagster-slurm asks for none beside one
    "partition": "gpu",
    "time_limit": "12:00:00",
    "gpus_per_node": 1,
    "cpus": 8,
    "signal_before_timeout": "TERM@180",  # training saves; the same asset goes on from there
}
SECONDS_IN_QUEUE_AND_WORK = 7 * 86400  # then the asset fails


class OnSlurm(dg.Config):
    preset: str = ""  # run config of the family on the cluster's disk, in the shape of configs/; empty: the defaults
    until: str = ""  # the last stage that is run; empty: all of them
    data: str = ""  # data directory on the cluster's disk; empty: data/ of the checkout there


def on_slurm(family: Family) -> dg.AssetsDefinition:
    """The asset `<family>_on_slurm`: every stage of the family, in one job."""

    @dg.asset(name=f"{family.name}_on_slurm", group_name="slurm", description=f"{family.title}, as one Slurm job.")
    def run(context: dg.AssetExecutionContext, compute: ComputeResource, config: OnSlurm) -> dg.MaterializeResult:
        told = {"family": family.name, **config.model_dump()}
        done = compute.run(context, payload_path=str(PAYLOAD), extras=told, poll_timeout=SECONDS_IN_QUEUE_AND_WORK)
        return done.get_materialize_result()

    return run


def compute() -> ComputeResource:
    """The cluster: SLURM_HOST, SLURM_USER, SLURM_KEY; in SLURM_HOME stand env/bin/python and activate.sh."""
    ssh = SSHConnectionResource(
        host=os.environ.get("SLURM_HOST", "login.cluster.example"),
        user=os.environ.get("SLURM_USER", "bioassets"),
        key_path=os.environ.get("SLURM_KEY"),  # without: ssh-agent and ~/.ssh/config
    )
    return ComputeResource(
        mode="slurm",
        slurm=SlurmResource(ssh=ssh, queue=SlurmQueueConfig(**QUEUE)),
        default_launcher=BashLauncher(),
        pre_deployed_env_path=os.environ.get("SLURM_HOME", "/shared/bioassets"),
    )


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        assets=[on_slurm(family) for family in find_families().values()], resources={"compute": compute()}
    )
