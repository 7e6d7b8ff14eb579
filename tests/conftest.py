"""Shared fixtures: hypothesis's profiles, a tiny scale, a tiny trained-format policy."""

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from transformers import AutoModelForCausalLM

from real.config import Experiment
from real.engines.torch.policy import build_policy, save_checkpoint
from real.engines.torch.supervised import train_base
from real.models.device import prepare_torch
from real.models.torch_sampler import TorchSampler
from tests.support import tiny_scale as tiny
from tests.support.fuzzing import EXAMPLES
from tests.support.random_checkpoint import SETTINGS, write_checkpoint
from tests.support.scales import shipped
from tests.support.workplaces import link_rooms

# continuous integration draws the same examples every time; elsewhere each run explores further
settings.register_profile("project", deadline=None, max_examples=40, derandomize="CI" in os.environ)
# make fuzz: new examples every time (the seed is printed), and all failures of a test rather than the first
settings.register_profile("fuzz", deadline=None, max_examples=1500, print_blob=True, report_multiple_bugs=True)
settings.load_profile("project")


def pytest_collection_modifyitems(items):
    """The files with most slow tests first, so that at the end no core is left alone with one of them."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_terminal_summary(terminalreporter):
    """Under ``make fuzz``: how many examples ran."""
    if settings.get_current_profile_name() == "fuzz":
        for test, count in EXAMPLES.items():
            terminalreporter.write_line(f"{count:7,} examples  {test}")
        terminalreporter.write_line(f"{sum(EXAMPLES.values()):7,} examples in all, of {len(EXAMPLES)} tests")


@pytest.fixture(autouse=True, scope="session")
def _deterministic_torch():
    prepare_torch("cpu")


@pytest.fixture
def signals_as_a_terminal_gives_them():
    """pytest's workers and a shell's background jobs, as these may be, ignore Ctrl-C, and so would what they start."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def smoke() -> Experiment:
    """The smoke scale."""
    return shipped("smoke")


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder in which the command line finds the configuration, and nothing else, as the current one."""
    link_rooms(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def policy(smoke):
    """A freshly initialised policy with visible preferences (its logits are spread out)."""
    model = build_policy(smoke.scale.policy, 64, seed=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)
    return model


@pytest.fixture
def library_policy(policy, tmp_path):
    """The same, as transformers loads it."""
    save_checkpoint(policy, tmp_path / "policy")
    return AutoModelForCausalLM.from_pretrained(tmp_path / "policy").eval()


@pytest.fixture(scope="session")
def base_folder(smoke, tmp_path_factory):
    """A base model of a few supervised steps."""
    folder = tmp_path_factory.mktemp("results")
    phase = smoke.scale.base.phases[0].model_copy(update={"steps": 20})
    scale = smoke.scale.model_copy(update={"base": smoke.scale.base.model_copy(update={"phases": [phase]})})
    train_base(scale, folder, checkpoint_every=8)
    return scale, folder


SECRETS = {"WANDB_API_KEY": "w4ndb-0123456789", "HF_TOKEN": "hf_0123456789", "AWS_SECRET_ACCESS_KEY": "aws-0123456789"}
SECRETS |= {"HUGGING_FACE_HUB_TOKEN": "hub-0123456789", "REAL_DATASETS_MIRROR_KEY": "mirror-0123456789"}


@pytest.fixture(scope="session")
def tiny_scale(tmp_path_factory):
    """A folder with a finished scale of a few steps, made while secrets were in the environment; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny.enter(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        tiny.finish()
    return folder


@pytest.fixture
def tiny_copy(tiny_scale, tmp_path, monkeypatch):
    """A copy of it to change, which is the current folder; the experiment."""
    shutil.copytree(tiny_scale, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    return tiny.experiment()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A random model with a chat template."""
    return write_checkpoint(tmp_path_factory.mktemp("random") / "model", seed=0)


@pytest.fixture(scope="session")
def sampler(checkpoint) -> TorchSampler:
    """It, ready to sample on the CPU."""
    return TorchSampler(str(checkpoint), SETTINGS, "cpu")
