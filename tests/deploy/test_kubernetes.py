"""deploy/kubernetes, read by dagster-k8s itself; a stand-in for the cluster runs the commands of the pods here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.launcher import LaunchRunContext

from ml_core.artifacts import Store
from tests.deploy.conftest import Instance, place_the_model, segger_config

IMAGE = "registry.example/bioassets:1"


class Cluster:
    """Takes jobs as the API would, and runs the command of their pod on this machine, unless it asks for a GPU."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.jobs: list[Any] = []
        self.failed: dict[str, str] = {}
        self._environment = environment

    def create_namespaced_job_with_retries(self, body: Any, namespace: str) -> None:
        assert namespace == "bioassets"
        self.jobs.append(body)
        (container,) = body.spec.template.spec.containers
        if container.args[:3] != ["dagster", "api", "execute_step"]:
            return  # a run: what it does is done here, by the test
        if "nvidia.com/gpu" in (container.resources.limits or {}):
            self.failed[body.metadata.name] = "no node has a GPU"
            return
        told = {each.name: each.value for each in container.env if each.value is not None}
        command = [sys.executable, "-m", *container.args]
        done = subprocess.run(
            command, env=self._environment | told | self.here(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.failed[body.metadata.name] = done.stderr

    def here(self) -> dict[str, str]:
        """What the pod has at other paths."""
        return {name: self._environment[name] for name in ("DAGSTER_HOME", "BIOASSETS_DATA")}

    def get_job_status(self, job_name: str, namespace: str, **more: Any) -> Any:
        return SimpleNamespace(failed=1 if job_name in self.failed else None, succeeded=None, active=None)

    def delete_job(self, **named: Any) -> bool:
        return True


@pytest.fixture
def cluster(instance: Instance, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    import kubernetes.config
    from dagster_k8s.client import DagsterKubernetesClient

    monkeypatch.setenv("BIOASSETS_IMAGE", IMAGE)
    monkeypatch.setenv("BIOASSETS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}:{root}")
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)  # no service account here
    opened = instance("kubernetes")
    cluster = Cluster(dict(os.environ))
    monkeypatch.setattr(DagsterKubernetesClient, "production_client", lambda **given: cluster)
    opened.run_launcher  # noqa: B018 - reads its config, and takes the stand-in
    return cluster


def plain(body: Any) -> dict[str, Any]:
    """A job as it would be sent to the API."""
    import kubernetes.client

    sent: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(body)
    return sent


def test_a_run_gets_a_pod_with_the_image_the_data_and_the_password(
    cluster: Cluster, job: Callable[[str, str], ReconstructableJob]
) -> None:
    found, instance = job("kubernetes", "segger"), dg.DagsterInstance.get()
    run = instance.create_run_for_job(
        job_def=found.get_definition(), job_code_origin=found.get_python_origin(), run_config=segger_config()
    )
    instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    (body,) = cluster.jobs
    pod = plain(body)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], pod["serviceAccountName"]) == (IMAGE, "bioassets")
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "bioassets-data"}} in pod["volumes"]
    assert {"name": "BIOASSETS_DATA", "value": "/data"} in container["env"]
    (password,) = (each for each in container["env"] if each["name"] == "DAGSTER_PG_PASSWORD")
    assert password["valueFrom"]["secretKeyRef"]["name"] == "bioassets-postgres"
    assert "nvidia.com/gpu" not in container["resources"].get("limits", {})
    assert container["args"][:3] == ["dagster", "api", "execute_run"]


def test_the_command_of_a_steps_pod_makes_the_artifact(
    cluster: Cluster, job: Callable[[str, str], ReconstructableJob], tmp_path: Path
) -> None:
    done = dg.execute_job(
        job("kubernetes", "segger"),
        instance=dg.DagsterInstance.get(),
        run_config=segger_config(),
        asset_selection=[dg.AssetKey("segger_raw")],
    )
    assert done.success, cluster.failed
    (body,) = cluster.jobs
    (container,) = plain(body)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "4Gi"}
    raw = Store(tmp_path / "data").current("segger", "raw")
    assert raw is not None
    assert raw.verify() == []


def test_a_stage_that_trains_gets_a_gpu_and_shared_memory(
    cluster: Cluster, job: Callable[[str, str], ReconstructableJob]
) -> None:
    place_the_model(job("kubernetes", "segger"))
    (body,) = cluster.jobs
    pod = plain(body)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": "1"}
    assert [each["mountPath"] for each in container["volumeMounts"]][-2:] == ["/data", "/dev/shm"]  # noqa: S108
    assert pod["terminationGracePeriodSeconds"] > 120
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_what_stands_in_the_cluster_fits_the_models_of_kubernetes(root: Path) -> None:
    import kubernetes.client
    from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

    wanted = {}
    for document in yaml.safe_load_all((root / "deploy" / "kubernetes" / "cluster.yaml").read_text()):
        kind = document["kind"]
        subjects = document.pop("subjects", None)  # its model is called RbacV1Subject, which dagster-k8s does not know
        model = getattr(kubernetes.client, f"V1{kind}")
        wanted[kind] = k8s_model_from_dict(model, k8s_snake_case_dict(model, document))
        for subject in subjects or []:
            kubernetes.client.RbacV1Subject(**subject)
    assert set(wanted) == {"PersistentVolumeClaim", "ServiceAccount", "Role", "RoleBinding", "Deployment"}
    instance = yaml.safe_load((root / "deploy" / "kubernetes" / "dagster.yaml").read_text())
    launcher = instance["run_launcher"]["config"]
    pod = wanted["Deployment"].spec.template.spec
    (claim, config_map) = pod.volumes
    assert claim.persistent_volume_claim.claim_name == launcher["volumes"][0]["persistent_volume_claim"]["claim_name"]
    assert config_map.config_map.name == launcher["instance_config_map"]
    assert pod.service_account_name == launcher["service_account_name"] == wanted["ServiceAccount"].metadata.name
    for container in pod.containers:
        secret = next(each for each in container.env if each.name == "DAGSTER_PG_PASSWORD").value_from.secret_key_ref
        assert (secret.name, secret.key) == (launcher["postgres_password_secret"], "postgresql-password")
