# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Images and manifests, checked without Docker or a cluster."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.lint import workspace

_ROOT = workspace.root()
_SCRIPTS = _ROOT / "twhin" / "scripts"
_DEPLOY = _ROOT / "deploy"
_SHELL_FILES = sorted([*_SCRIPTS.glob("*.sh"), *_DEPLOY.glob("slurm/*")])
# Writes its arguments, one a line, calls apart.
_RECORDER = '#!/bin/sh\nprintf "%s\\n" "$@" "" >> "$RECORD"\n'
_SOURCE = "/home/twhin/source"


class _Client:
    """A Docker client that only records how it is called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = folder / "client"
        self._program.write_text(_RECORDER)
        self._program.chmod(0o755)

    def run(
        self, script: str, *arguments: str, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a script of twhin/scripts with this client in place of Docker."""
        environment = {"PATH": os.environ["PATH"], "DOCKER": str(self._program)}
        return subprocess.run(
            [str(_SCRIPTS / script), *arguments],
            cwd=self._folder,
            env=environment | {"RECORD": str(self._folder / "record")} | variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """Returns the arguments of each call."""
        record = self._folder / "record"
        if not record.is_file():
            return []
        return [call.split("\n") for call in record.read_text().split("\n\n") if call]


@pytest.fixture(name="client")
def _client(tmp_path: Path) -> _Client:
    return _Client(tmp_path)


def test_images_are_built_from_the_root(client: _Client) -> None:
    done = client.run("build_images.sh", "cpu", BASE_IMAGE="mirror/debian:12.11-slim")

    assert done.returncode == 0, done.stderr
    assert client.calls() == [
        [
            "build",
            "--file",
            f"{_ROOT}/deploy/Dockerfile",
            "--build-arg",
            "DEVICE=cpu",
            "--build-arg",
            f"USER_ID={os.getuid() or 1000}",
            "--build-arg",
            "BASE_IMAGE=mirror/debian:12.11-slim",
            "--tag",
            "twhin:cpu",
            str(_ROOT),
        ]
    ]


def test_both_images_are_built_without_a_name(client: _Client) -> None:
    client.run("build_images.sh")

    tags = [call[call.index("--tag") + 1] for call in client.calls()]
    assert tags == ["twhin:cpu", "twhin:gpu"]
    assert all("--build-arg" in call for call in client.calls())


def test_unknown_image_is_refused(client: _Client) -> None:
    done = client.run("build_images.sh", "tpu")

    assert done.returncode == 2
    assert done.stderr == "build_images.sh: unknown image 'tpu'; known: cpu, gpu\n"
    assert client.calls() == []


@pytest.mark.parametrize(
    ("device", "options"), [("cpu", []), ("gpu", ["--gpus", "all"])]
)
def test_command_runs_on_the_working_directory(
    client: _Client, tmp_path: Path, device: str, options: list[str]
) -> None:
    client.run("docker_run.sh", "train", "--config=a b.yaml", DEVICE=device)

    assert client.calls() == [
        [
            "run",
            "--rm",
            "--volume",
            f"{tmp_path}:/work",
            "--workdir",
            "/work",
            "--shm-size=1g",
            *options,
            f"twhin:{device}",
            "python",
            "-m",
            "twhin.bin.train",
            "--config=a b.yaml",
        ]
    ]


def test_run_without_a_command_is_refused(client: _Client) -> None:
    done = client.run("docker_run.sh")

    assert done.returncode == 2
    assert done.stderr.startswith("docker_run.sh: no command; allowed: train, ")
    assert client.calls() == []


def test_shell_opens_on_the_repository(client: _Client) -> None:
    client.run("idocker.sh")

    assert client.calls() == [
        [
            "run",
            "--rm",
            "--interactive",
            "--tty",
            "--shm-size=1g",
            "--volume",
            f"{_ROOT}:{_SOURCE}",
            "--workdir",
            _SOURCE,
            "twhin:cpu",
            "bash",
        ]
    ]


@pytest.mark.parametrize(
    ("given", "tested"), [([], ["//..."]), (["//twhin/graph/..."],) * 2]
)
def test_tests_run_on_the_repository(
    client: _Client, given: list[str], tested: list[str]
) -> None:
    client.run("docker_test.sh", *given)

    assert client.calls() == [
        [
            "run",
            "--rm",
            "--shm-size=1g",
            "--volume",
            f"{_ROOT}:{_SOURCE}",
            "--workdir",
            _SOURCE,
            "twhin:cpu",
            "./bazelw",
            "test",
            *tested,
        ]
    ]


@pytest.mark.parametrize(("code", "num_requeued"), [(0, 0), (1, 0), (143, 1)])
def test_slurm_job_is_requeued_where_it_was_stopped(
    tmp_path: Path, code: int, num_requeued: int
) -> None:
    for name, text in {
        "srun": f'printf "%s\\n" "$@" > srun.arguments; exit {code}',
        "scontrol": '[ "$1" = show ] && echo node7 || echo "$@" >> requeued',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    done = subprocess.run(
        ["bash", str(_DEPLOY / "slurm" / "train.sbatch"), "/data/a.yaml", "/data/run"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_NODELIST": "node[7-8]",
            "SLURM_JOB_ID": "31",
            "SLURM_NNODES": "2",
        },
        check=False,
        timeout=30,
    )

    requeued = tmp_path / "requeued"
    lines = requeued.read_text().splitlines() if requeued.is_file() else []
    arguments = (tmp_path / "srun.arguments").read_text()
    assert done.returncode == code
    assert lines == ["requeue 31"] * num_requeued
    assert "--rdzv_endpoint=node7:29400 --rdzv_id=31" in arguments
    assert "--config='/data/a.yaml' --output_dir='/data/run'" in arguments


@pytest.mark.parametrize("path", _SHELL_FILES, ids=lambda path: path.name)
def test_shell_files_parse_and_stop_at_errors(path: Path) -> None:
    done = subprocess.run(["bash", "-n", str(path)], check=False, timeout=30)

    assert done.returncode == 0
    assert "\nset -euo pipefail\n" in path.read_text()
    assert path.parent != _SCRIPTS or os.access(path, os.X_OK)


def test_image_is_pinned_not_root_and_made_of_our_scripts() -> None:
    lines = [
        line.split(maxsplit=1)
        for line in (_DEPLOY / "Dockerfile").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    of = {word: [rest for first, rest in lines if first == word] for word, _ in lines}

    assert re.search(r"^BASE_IMAGE=debian:12\.\d+-slim$", "\n".join(of["ARG"]), re.M)
    assert of["FROM"] == ["${BASE_IMAGE}"]
    assert of["USER"] == ["twhin"]
    for copy in of["COPY"]:
        *sources, _ = [word for word in copy.split() if not word.startswith("--")]
        assert all((_ROOT / source).exists() for source in sources), copy
    for run in of["RUN"]:
        script = run.split()[0].removeprefix("/tmp/")
        assert (
            (_ROOT / script).is_file()
            or (_SCRIPTS / script).is_file()
            or run == "python tools/proto/generate.py"
            or run.startswith("useradd ")
        ), run


def test_sources_are_copied_after_the_dependencies() -> None:
    text = (_DEPLOY / "Dockerfile").read_text()

    assert text.index("install_python.sh") < text.index("COPY --chown=twhin . .")


def test_composed_server_is_confined() -> None:
    service = _manifests("compose.yaml")[0]["services"]["embeddings"]

    assert service["read_only"] is True
    assert service["healthcheck"]["test"][:2] == ["CMD", "python"]
    assert service["mem_limit"] == "8g"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [v for v in service["volumes"] if not v.endswith(":ro")] == []


def test_kubernetes_server_is_probed_bounded_and_confined() -> None:
    service, deployment = _manifests("kubernetes/server.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert (
        deployment["spec"]["template"]["metadata"]["labels"]
        == (service["spec"]["selector"])
    )
    assert service["spec"]["ports"][0]["targetPort"] in ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == ports["grpc"]
    assert f"--port={ports['grpc']}" in container["args"]
    assert f"--metrics_port={ports['metrics']}" in container["args"]
    assert {"requests", "limits"} <= container["resources"].keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert {v["name"] for v in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


def test_kubernetes_training_goes_on_after_failures() -> None:
    (job,) = _manifests("kubernetes/train.yaml")
    worker = job["spec"]["pytorchReplicaSpecs"]["Worker"]
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]

    assert worker["restartPolicy"] == "OnFailure"
    assert job["spec"]["elasticPolicy"]["minReplicas"] == worker["replicas"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    # The operator requires this name.
    assert container["name"] == "pytorch"
    mounted = container["volumeMounts"][0]["mountPath"]
    assert f"--output_dir={mounted}/run" in container["command"]


def _manifests(name: str) -> list[Any]:
    return list(yaml.safe_load_all((_DEPLOY / name).read_text()))
