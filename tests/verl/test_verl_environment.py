"""`make test-verl` runs in its lock, without a GPU or CUDA, and with the Ray that the multi-node script asks for."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import ray
import torch
import transformers
import verl

from tests.support.paths import ROOT

LOCK = (ROOT / "requirements" / "verl_cpu.lock").read_text()
RAY = Path(sys.executable).with_name("ray")


def test_installed_versions_are_the_locked_ones():
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", LOCK, re.M))
    assert {name: importlib.metadata.version(name) for name in locked} == locked


def test_torch_is_the_cpu_build_and_nothing_of_cuda_is_installed():
    assert torch.__version__.endswith("+cpu")
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    assert [name for name in installed if name.startswith(("nvidia", "cuda", "torchvision", "torchaudio"))] == []


def test_the_engines_and_the_models_import_together():
    assert verl.__version__ == importlib.metadata.version("verl")
    assert ray.__version__ == importlib.metadata.version("ray")
    assert issubclass(transformers.Qwen2ForCausalLM, torch.nn.Module)


def test_ray_knows_the_options_of_the_multi_node_script():
    script = (ROOT / "workflow" / "profiles" / "slurm" / "multi_node.sbatch").read_text()
    command = script[script.index("ray symmetric-run") : script.index(' -- "$@"')]
    options = set(re.findall(r"--[a-z-]+", command))
    assert {"--address", "--min-nodes", "--dashboard-host"} <= options
    known = "".join(
        subprocess.run([RAY, verb, "--help"], text=True, capture_output=True, check=True).stdout
        for verb in ("symmetric-run", "start")
    )
    assert {option for option in options if f" {option} " not in known} == set()
