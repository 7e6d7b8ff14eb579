"""GPU leases: jobs side by side get GPUs of their own, ended ones free them, and refusals name the holders."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from real.commands.command_line import main
from real.models.device import default_device
from real.system.gpus import Gpu, GpuError, claim, lease, visible
from tests.support.paths import ROOT

FOUR = [Gpu(str(i), f"GPU-{i}{i}") for i in range(4)]
# leases as a job does, prints what it sees, and holds it until it is told to end
HOLD = (
    "import os, sys; from real.system.gpus import GpuError, lease\n"
    "try:\n"
    "    with lease(int(sys.argv[1])) as ids:\n"
    "        print(','.join(ids), os.environ['CUDA_VISIBLE_DEVICES'], 'torch' in sys.modules, flush=True)\n"
    "        sys.stdin.read()\n"
    "except GpuError as error: print(error, flush=True)\n"
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of three GPUs, as nvidia-smi would list them, with locks of its own."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf '0, GPU-aa\\n1, GPU-bb\\n2, GPU-cc\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def start():
    """Start jobs that lease GPUs and hold them; ended with the test."""
    with ExitStack() as jobs:

        def start(count: int, **environment: str) -> subprocess.Popen:
            job = subprocess.Popen(
                [sys.executable, "-c", HOLD, str(count)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            jobs.callback(job.communicate)
            return job

        yield start


def said(job: subprocess.Popen) -> str:
    return job.stdout.readline().strip()


def test_jobs_side_by_side_lease_different_gpus(machine, start):
    jobs = [start(1) for _ in range(3)]
    assert sorted(said(job) for job in jobs) == ["0 0 False", "1 1 False", "2 2 False"]


def test_a_refusal_names_every_holder_and_what_to_do(machine, start):
    one = start(1)
    assert said(one) == "0 0 False"
    two = start(2)
    assert said(two) == "1,2 1,2 False"
    assert said(start(1)) == (
        f"1 GPU is asked for, but 0 of 3 free: GPU 0 by process {one.pid}, GPU 1 by process {two.pid}, GPU 2 by "
        f"process {two.pid}; wait for these processes to finish, or run fewer jobs at once "
        "(snakemake --resources gpu=3)"
    )


def test_a_killed_job_frees_its_gpu(machine, start):
    assert said(start(1)) == "0 0 False"
    killed = start(2)
    assert said(killed) == "1,2 1,2 False"
    killed.kill()
    killed.wait()
    assert said(start(2)) == "1,2 1,2 False"


def test_a_finished_lease_frees_its_gpus_and_puts_the_environment_back(machine, monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    for _ in range(2):
        with lease(3) as ids:
            assert ids == ["0", "1", "2"]
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2"
            assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # the order that nvidia-smi numbers by
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_a_refused_claim_holds_nothing(tmp_path):
    with claim(FOUR, 1, tmp_path):
        with pytest.raises(GpuError, match="3 of 4 free"), claim(FOUR, 4, tmp_path):
            pass
        with claim(FOUR, 3, tmp_path) as ids:
            assert ids == ["1", "2", "3"]


def test_only_gpus_of_cuda_visible_devices_are_leased(machine, start):
    assert said(start(1, CUDA_VISIBLE_DEVICES="2,1")) == "2 2 False"
    assert said(start(1, CUDA_VISIBLE_DEVICES="2,1")) == "1 1 False"
    assert "0 of 2 free: GPU 2 by process" in said(start(1, CUDA_VISIBLE_DEVICES="2,1"))


def test_a_gpu_is_the_same_by_index_and_by_uuid(machine, start):
    assert said(start(1, CUDA_VISIBLE_DEVICES="GPU-aa,GPU-bb")) == "GPU-aa GPU-aa False"
    assert said(start(1)) == "1 1 False"


def test_gpus_that_a_scheduler_assigned_are_used_as_they_are(machine, start):
    assert said(start(1)) == "0 0 False"
    assert said(start(2, CUDA_VISIBLE_DEVICES="0,1")) == "0,1 0,1 False"
    assert said(start(1)) == "2 2 False"  # the free one of the assigned is held for its job


def test_a_job_started_by_a_leasing_job_uses_its_gpu(machine, start):
    with lease(1) as ids:
        assert said(start(1)) == f"{ids[0]} {ids[0]} False"


def test_jobs_that_want_several_never_block_each_other(tmp_path):
    """Four jobs want two of four GPUs at the same moment: two get disjoint pairs, two are refused."""
    code = (
        "import sys; from pathlib import Path; from real.system.gpus import Gpu, GpuError, claim\n"
        "gpus = [Gpu(str(i), str(i)) for i in range(4)]\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try:\n"
        "    with claim(gpus, 2, Path(sys.argv[1])) as ids: print(','.join(ids), flush=True); sys.stdin.read()\n"
        "except GpuError: print('refused', flush=True)\n"
    )
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "locks")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        assert [said(job) for job in jobs] == ["ready"] * 4
        for job in jobs:
            job.stdin.write("\n")
            job.stdin.flush()
        assert sorted(said(job) for job in jobs) == ["0,1", "2,3", "refused", "refused"]
    finally:
        for job in jobs:
            job.communicate()


def test_claims_in_different_folders_are_independent(tmp_path):
    with claim(FOUR, 4, tmp_path / "a") as a, claim(FOUR, 1, tmp_path / "b") as b:
        assert (a, b) == (["0", "1", "2", "3"], ["0"])


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_not_leased(machine, monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible() == []
    assert default_device() == "cpu"
    with pytest.raises(GpuError, match="1 GPU is asked for, but none can be seen here"), lease(1):
        pass


def test_ids_after_an_invalid_one_do_not_count(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, -1,0")
    assert visible() == [Gpu("1", "GPU-bb")]


def test_without_nvidia_smi_torch_counts(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(visible()) == torch.cuda.device_count()


def test_a_cuda_job_without_gpu_ends_in_one_sentence(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    command = ["evaluate", "--config", "paper_configs/smoke.yaml", "--model", "m", "--output", "unused"]
    assert main([*command, "--device", "cuda"]) == 1
    printed = capsys.readouterr().err
    assert "none can be seen here (nvidia-smi, torch, CUDA_VISIBLE_DEVICES=)" in printed
    assert printed.count("\n") == 1
