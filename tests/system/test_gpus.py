"""GPU leases: jobs side by side get GPUs of their own, ended ones free them, and refusals name the holders."""

import math
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from real.commands.command_line import main
from real.models.device import default_device
from real.system.gpus import Gpu, GpuError, claim, installed, lease, read_gpus, visible, visible_of
from tests.support.gpus import list_gpus
from tests.support.paths import ROOT

UUIDS = ("GPU-aa11-22", "GPU-aabb-33", "GPU-cc44-55")
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
    facts = "NVIDIA H100 80GB HBM3, 81559, 81008, 9.0, 550.54"
    list_gpus(monkeypatch, tmp_path, *(f"{index}, {uuid}, {facts}" for index, uuid in enumerate(UUIDS)))
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
        with claim(FOUR, 3, tmp_path) as taken:
            assert taken == FOUR[1:]


def test_only_gpus_of_cuda_visible_devices_are_leased(machine, start):
    assert said(start(1, CUDA_VISIBLE_DEVICES="2,1")) == "2 2 False"
    assert said(start(1, CUDA_VISIBLE_DEVICES="2,1")) == "1 1 False"
    assert "0 of 2 free: GPU 2 by process" in said(start(1, CUDA_VISIBLE_DEVICES="2,1"))


@pytest.mark.parametrize("held", ["GPU-aabb-33", "GPU-aab", "1"])
@pytest.mark.parametrize("asked", ["GPU-aabb-33", "GPU-aab", "1"])
def test_a_gpu_is_the_same_by_its_uuid_by_the_uuids_beginning_and_by_index(machine, start, held, asked):
    """The second GPU is held, under any of its names; of it and the first, under any of theirs, the first is free."""
    holder = start(2, CUDA_VISIBLE_DEVICES=f"{held},{'2' if held == '1' else 'GPU-cc'}")
    assert said(holder).split()[0].split(",")[0] == held
    first = {"GPU-aabb-33": "GPU-aa11-22", "GPU-aab": "GPU-aa1", "1": "0"}[asked]
    third = {"GPU-aabb-33": "GPU-cc44-55", "GPU-aab": "GPU-c", "1": "2"}[asked]
    assert said(start(1, CUDA_VISIBLE_DEVICES=f"{asked},{first}")) == f"{first} {first} False"
    assert f"0 of 2 free: GPU 1 by process {holder.pid}" in said(start(1, CUDA_VISIBLE_DEVICES=f"{asked},{third}"))


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
        "    with claim(gpus, 2, Path(sys.argv[1])) as taken:\n"
        "        print(*[gpu.index for gpu in taken], flush=True); sys.stdin.read()\n"
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
        assert sorted(said(job) for job in jobs) == ["0 1", "2 3", "refused", "refused"]
    finally:
        for job in jobs:
            job.communicate()


def test_claims_in_different_folders_are_independent(tmp_path):
    with claim(FOUR, 4, tmp_path / "a") as a, claim(FOUR, 1, tmp_path / "b") as b:
        assert (a, b) == (FOUR, FOUR[:1])


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_not_leased(machine, monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible() == []
    assert default_device() == "cpu"
    with pytest.raises(GpuError, match="1 GPU is asked for, but none can be seen here"), lease(1):
        pass


@pytest.mark.parametrize(
    ("chosen", "seen"),
    [
        (None, "0 1 2"),
        ("2,0", "2 0"),
        (" 1 , 2", "1 2"),
        ("1, -1,0", "1"),
        ("1,7,0", "1"),
        ("1,,0", "1"),
        ("1,1", ""),
        ("gpu1", ""),
        ("GPU-cc44-55,GPU-aa11-22", "2 0"),
        ("GPU-c,GPU-aa1", "2 0"),
        ("GPU-c,GPU-aa,GPU-aa1", "2"),  # two GPUs begin so
        ("GPU-cc4,GPU-dd,GPU-aa1", "2"),
        ("GPU-cc4,GPU-c", ""),  # one GPU twice
        ("GPU-cc44-556", ""),
        ("gpu-cc", ""),
        ("2,GPU-aa1", "2"),
        ("GPU-c,0", "2"),
        ("MIG-3f,MIG-4e", "MIG-3f MIG-4e"),
        ("MIG-3f,0", "MIG-3f"),
    ],
)
def test_the_variable_means_what_it_means_to_cuda(machine, monkeypatch, chosen, seen):
    assert " ".join(gpu.index for gpu in visible_of(installed(), chosen)) == seen
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert " ".join(gpu.index for gpu in visible()) == seen


def test_nvidia_smis_answer_is_read_by_column_and_what_it_does_not_know_is_unknown(tmp_path, monkeypatch):
    odd = "1, GPU-77aa, NVIDIA Odd, [N/A], [Unknown Error], N/A, [N/A]"
    list_gpus(
        monkeypatch, tmp_path, "0, GPU-6f2a, NVIDIA H100, 81559, 81008, 9.0, 550.54", odd, "No devices were found"
    )
    first, second = read_gpus()
    assert first == Gpu("0", "GPU-6f2a", "NVIDIA H100", 81559, 81008, 9.0, "550.54")
    assert (second.index, second.uuid, second.name, second.driver) == ("1", "GPU-77aa", "NVIDIA Odd", "")
    assert all(math.isnan(value) for value in (second.total, second.free, second.capability))


def test_without_nvidia_smi_torch_is_asked_in_a_process_of_its_own(tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932,GPU-77")
    assert read_gpus() is None
    assert len(installed() or []) == torch.cuda.device_count()
    (tmp_path / "torch.py").write_text(
        "import os\n"
        "from types import SimpleNamespace as Facts\n"
        "assert 'CUDA_VISIBLE_DEVICES' not in os.environ and os.environ['CUDA_DEVICE_ORDER'] == 'PCI_BUS_ID'\n"
        "gpus = [Facts(uuid='77aa', name='Odd', total_memory=2**31, major=7, minor=5)]\n"
        "gpus += [Facts(uuid='8932f937-d72c', name='H100', total_memory=2**36, major=9, minor=0)]\n"
        "cuda = Facts(device_count=lambda: 2, get_device_properties=gpus.__getitem__)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    first, second = visible()
    assert (first.index, first.uuid, first.name) == ("1", "GPU-8932f937-d72c", "H100")
    assert (first.total, first.capability, first.driver) == (2**16, 9.0, "")
    assert math.isnan(first.free)
    assert (second.index, second.total, second.capability) == ("0", 2**11, 7.5)


def test_a_cuda_job_without_gpu_ends_in_one_sentence(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    command = ["evaluate", "--config", "paper_configs/smoke.yaml", "--model", "m", "--output", "unused"]
    assert main([*command, "--device", "cuda"]) == 1
    printed = capsys.readouterr().err
    assert "none can be seen here (nvidia-smi, torch, CUDA_VISIBLE_DEVICES=)" in printed
    assert printed.count("\n") == 1
