"""What verl would let pass, or fail at hours later, is refused at once: in a sentence, before anything is written."""

import importlib.metadata
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
from omegaconf.errors import ConfigAttributeError
from runs import changed, composed, run_of
from transformers import AutoTokenizer, dynamic_module_utils
from verl.utils.tokenizer import hf_tokenizer

from real.config import VerlRun
from real.engines.run_files import metrics_line
from real.engines.verl import coverage, settings
from real.engines.verl.hooks import VERL_VERSION, VerlError, check_version
from real.engines.verl.kernels import settled
from real.engines.verl.train import (
    RAY_STARTS,
    RAY_TOO_LATE,
    check_base,
    check_platform,
    is_trained,
    on_a_started_ray,
    train,
)
from real.models.checkpoints import CheckpointError
from real.system.files import write_json_lines
from real.tasks.arithmetic import END_THINK, write_tokenizer


@pytest.fixture
def smoke() -> VerlRun:
    return run_of("verl_smoke")


def test_an_unknown_loss_is_refused(smoke, monkeypatch):
    """verl itself would notice at the first update, after the first rollouts."""
    monkeypatch.setitem(coverage.OWN_LOSSES, "real", ("real_surogate", "token-mean"))
    with pytest.raises(VerlError, match=r"^policy loss 'real_surogate' is not registered with verl; it has .*gspo"):
        composed(smoke)


def test_an_unknown_key_is_refused(smoke, monkeypatch):
    overrides = settings._overrides(smoke, settled(smoke, "sdpa"))
    overrides["actor_rollout_ref.actor.clip_ratio_lo"] = 0.2
    monkeypatch.setattr(settings, "_overrides", lambda *_: overrides)
    with pytest.raises(ConfigAttributeError, match="clip_ratio_lo"):
        composed(smoke)


def test_what_verl_refuses_is_said_in_a_sentence(smoke):
    with pytest.raises(VerlError, match=r"^verl refuses the configuration of real: .*train_batch_size"):
        composed(changed(smoke, training={"prompts": 2}, cluster={"micro_batch_tokens": None}))


def test_shaped_rewards_are_refused_where_labels_are_needed(smoke):
    with pytest.raises(VerlError, match=r"^training.overlong_buffer_tokens 8 shapes rewards, but real takes labels of"):
        composed(changed(smoke, training={"overlong_buffer_tokens": 8}))


@pytest.mark.parametrize("found", ["0.9.0", "0.9.2", None])
def test_another_verl_is_refused_before_anything_is_written(smoke, found, monkeypatch, tmp_path):
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    assert importlib.metadata.version("verl") == VERL_VERSION
    check_version()
    monkeypatch.setattr(importlib.metadata, "version", version)
    remedy = "make gpu-env" if found is None else rf"^verl {found} is installed, .*; install verl==0\.9\.1$"
    with pytest.raises(VerlError, match=remedy):
        train(smoke, tmp_path / "model", tmp_path / "run", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_a_cpu_is_refused_outside_the_tests(smoke, monkeypatch, tmp_path):
    check_platform(smoke)
    monkeypatch.delenv("VERL_PLATFORM")
    with pytest.raises(VerlError, match=r"^cluster.device is 'cpu', .*`make test-verl`, or set cluster.device: cuda$"):
        train(smoke, tmp_path / "model", tmp_path / "run", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
    check_platform(changed(smoke, cluster={"device": "cuda"}))


@pytest.fixture
def base(tmp_path) -> Path:
    """What check_base reads of a checkpoint, with the laptop's tokenizer."""
    folder = tmp_path / "model"
    write_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    (folder / "model.safetensors").touch()
    return folder


def test_a_folder_without_a_checkpoint_is_refused_before_anything_is_written(smoke, tmp_path):
    with pytest.raises(VerlError, match=rf"^{tmp_path}/model: holds no Hugging Face checkpoint"):
        train(smoke, tmp_path / "model", tmp_path / "run", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trusted", [False, True])
def test_a_tokenizer_that_hides_the_end_of_thinking_is_refused(base, trusted):
    check_base(base, trusted, strict_format=True)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": [END_THINK]})
    tokenizer.save_pretrained(base)
    with pytest.raises(VerlError, match=rf"^{base}: its tokenizer counts </think> among the special tokens, .* be 0;"):
        check_base(base, trusted, strict_format=True)
    check_base(base, trusted, strict_format=False)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "config.json"])
def test_code_in_a_checkpoint_is_refused_unless_it_is_trusted(base, name, tmp_path, monkeypatch):
    """verl's reward workers load the tokenizer as below, whatever the configuration says."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    kind = "AutoTokenizer" if name == "tokenizer_config.json" else "AutoConfig"
    code = {"AutoTokenizer": [None, "ours.Tokenizer"], "AutoConfig": "ours.Config"}[kind]
    content = json.loads((base / name).read_text())
    (base / name).write_text(json.dumps({**content, "auto_map": {kind: code}}))
    (base / "ours.py").write_text(
        f"from pathlib import Path\nfrom transformers import PreTrainedTokenizerFast, Qwen2Config\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class Tokenizer(PreTrainedTokenizerFast): pass\nclass Config(Qwen2Config): pass\n"
    )
    with pytest.raises(CheckpointError, match=rf"^{base / name}: names Python code \(auto_map\) that loading .* run;"):
        check_base(base, trust_remote_code=False, strict_format=True)
    assert not (tmp_path / "ran").exists()
    hf_tokenizer(str(base), trust_remote_code=True)
    assert (tmp_path / "ran").exists(), "so verl would have run it"
    check_base(base, trust_remote_code=True, strict_format=True)


def test_pickled_weights_are_refused_before_verl_sees_them(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=rf"^{base}: holds no weights as \*.safetensors; pickled ones"):
        check_base(base, trust_remote_code=True, strict_format=False)


def journal(work: Path, step: int, validation: float | None, checkpointed: str) -> Path:
    """A work folder whose last line is of ``step``, and whose tracker names a step."""
    lines = [metrics_line(step=at, val_pass_at_1=0.25) for at in range(step)]
    write_json_lines(work / "metrics.jsonl", [*lines, metrics_line(step=step, val_pass_at_1=validation)])
    (work / "checkpoints" / f"global_step_{checkpointed}").mkdir(parents=True, exist_ok=True)
    (work / "checkpoints" / "latest_checkpointed_iteration.txt").write_text(checkpointed)
    return work


def test_a_run_is_trained_once_its_last_checkpoint_is_complete_and_validated(tmp_path):
    """Killed before that, `run_ppo` has something left to do: a step, or the validation after the last checkpoint."""
    assert not is_trained(tmp_path, 3)
    assert not is_trained(journal(tmp_path, 3, 0.5, "2"), 3)
    assert not is_trained(journal(tmp_path, 3, None, "3"), 3)
    assert is_trained(journal(tmp_path, 3, 0.5, "3"), 3)


def starting(failures: int, reason: str) -> tuple[list[int], Callable[[], str]]:
    """Work that fails before Ray is up, as often as told; and the list that it counts its calls in."""
    calls: list[int] = []

    def work() -> str:
        calls.append(len(calls))
        if len(calls) <= failures:
            raise Exception(reason)
        return "done"

    return calls, work


def test_ray_is_started_again_where_it_came_up_too_late():
    """By the words of the installed Ray, whose patience of half a minute no setting changes."""
    assert RAY_TOO_LATE in inspect.getsource(ray._private.node)
    calls, work = starting(RAY_STARTS - 1, f"The current node {RAY_TOO_LATE}.")
    assert on_a_started_ray(work) == "done"
    assert len(calls) == RAY_STARTS


def test_a_ray_that_never_comes_up_is_said_in_a_sentence_and_other_failures_are_not_repeated():
    calls, work = starting(RAY_STARTS, f"The current node {RAY_TOO_LATE}.")
    with pytest.raises(VerlError, match=rf"^Ray did not start within half a minute, {RAY_STARTS} times"):
        on_a_started_ray(work)
    assert len(calls) == RAY_STARTS
    calls, work = starting(1, "CUDA out of memory")
    with pytest.raises(Exception, match="CUDA out of memory"):
        on_a_started_ray(work)
    assert len(calls) == 1
