"""vLLM as the evaluation's sampler: the same prompts, texts and counts as transformers', and no process left behind."""

import json
import multiprocessing.resource_tracker
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import torch
from conftest import LAUNCH_SECONDS
from safetensors.torch import load_file, save_file

from real.config import PAPER_EVALUATION, ConfigError, Policy
from real.engines.torch.policy import build_policy, save_checkpoint
from real.evaluation.evaluate import evaluate
from real.models.chat import sample_seed
from real.models.checkpoints import CheckpointError
from real.models.transformers_sampler import TransformersSampler
from real.models.vllm_sampler import EngineError, VllmSampler, _interruptible
from real.records.made_from import sampled_identity
from real.tasks.arithmetic import TOKEN_ID, VOCABULARY, held_out_problems
from real.tasks.problems import Problem
from tests.support.paths import ROOT

CONTEXT = 60
# the ends of what vLLM takes. At 0.01 the model is sampled greedily (with seed 108 the logits of the two likeliest
# tokens differ by 0.14 or more all along the tested responses); at 2 its choices are open
COLD, WARM = 0.01, 2.0
SETTINGS = PAPER_EVALUATION.model_copy(
    update={"samples": 3, "max_response_tokens": 16, "chunk_problems": 3, "temperature": WARM, "top_p": 0.95}
)
PROBLEMS = held_out_problems(0, 8, 4)["mix4", "test"]
CODE = sampled_identity({"library": "vllm"})["code_digest"]
# what `python -m real evaluate` needs to ask for the same
COMMAND = ["--config", "paper_configs/smoke.yaml", "--benchmarks", "mix4", "--samples", "3", "--temperature", str(WARM)]
COMMAND += ["--top-p", "0.95", "--max-response-tokens", "16", "--chunk-problems", "3", "--any-format"]


@pytest.fixture(autouse=True, scope="module")
def _vllm_on_cpu():
    """One GiB for keys and values, threads left where they are, nothing asked of a hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A random policy of the laptop's vocabulary with heads of 32 numbers, which vLLM's CPU attention has code for."""
    shape = Policy(hidden_size=64, layers=2, attention_heads=2, feed_forward_size=128)
    model = build_policy(shape, CONTEXT, seed=108)
    model.generation_config.eos_token_id = [TOKEN_ID["<eos>"], TOKEN_ID["?"]]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)
        model.model.norm.weight.mul_(2.0)
    folder = tmp_path_factory.mktemp("random") / "model"
    save_checkpoint(model, folder)
    return folder


@pytest.fixture(scope="module")
def sampler(checkpoint, _vllm_on_cpu):
    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu")) as sampler:
        yield sampler


@pytest.fixture
def settings(sampler):
    """Sets the sampler's settings for one test: its engine doesn't depend on them."""

    def change(**changes) -> VllmSampler:
        sampler.settings = SETTINGS.model_copy(update=changes)
        return sampler

    yield change
    sampler.settings = SETTINGS


def own_processes() -> list[psutil.Process]:
    """Descendants of this process, without the one that multiprocessing keeps for itself."""
    tracker = multiprocessing.resource_tracker._resource_tracker._pid
    return [child for child in psutil.Process().children(recursive=True) if child.pid != tracker]


def test_cold_responses_are_those_of_transformers_token_by_token(settings, checkpoint):
    cold = settings(temperature=COLD, top_p=1.0)
    expected = TransformersSampler(str(checkpoint), cold.settings, "cpu").sample(PROBLEMS, 1)
    assert cold.sample(PROBLEMS, 1) == expected
    assert {response.truncated for response in expected} == {True, False}


def test_every_response_ends_at_the_limit_or_an_end_token(sampler):
    responses = sampler.sample(PROBLEMS, 20)
    assert {response.truncated for response in responses} == {True, False}
    for response in responses:
        assert 1 <= response.tokens <= 16
        assert not response.truncated or response.tokens == 16
        assert not any(hidden in response.text for hidden in ("<eos>", "?", "<pad>"))
    assert any("</think>" in response.text for response in responses)


def test_a_sample_depends_on_its_problem_and_number_alone(sampler):
    every = sampler.sample(PROBLEMS, 3)
    assert sampler.sample(PROBLEMS, 3) == every
    assert sampler.sample(PROBLEMS[3:4], 3) == every[9:12]
    assert sampler.sample(PROBLEMS[::-1], 2)[-2:] == every[:2]
    assert len({response.text for response in every}) > len(PROBLEMS)


def test_seeds_of_63_bits_are_taken_and_differ(settings):
    assert max(sample_seed(seed, problem.problem_id, 0) for seed in (0, 1) for problem in PROBLEMS) >= 2**62
    assert settings(seed=1).sample(PROBLEMS, 1) != settings(seed=0).sample(PROBLEMS, 1)


def test_samples_follow_the_tempered_nucleus(settings, checkpoint):
    count, top_p = 1500, 0.8
    first = settings(max_response_tokens=1, top_p=top_p)
    observed = [response.text for response in first.sample(PROBLEMS[:1], count)]
    model = TransformersSampler(str(checkpoint), SETTINGS, "cpu").model
    logits = model(torch.tensor([first._prompt(PROBLEMS[0])])).logits[0, -1].double() / WARM
    ordered, ids = logits.softmax(-1).sort(descending=True)
    size = int((ordered.cumsum(0) < top_p).sum()) + 1
    expected = dict.fromkeys(observed, 0.0)
    for probability, token in zip((ordered[:size] / ordered[:size].sum()).tolist(), ids[:size].tolist(), strict=True):
        text = "" if token in (*first.ends, first.pad) else VOCABULARY[token]
        expected[text] = expected.get(text, 0.0) + probability
    assert 3 <= size < len(VOCABULARY) - 3
    for text, probability in expected.items():
        error = 4.5 * (probability * (1 - probability) / count) ** 0.5
        assert abs(observed.count(text) / count - probability) <= error, text


def run(sampler, output: Path) -> None:
    settings = SETTINGS.model_copy(update={"strict_format": False})
    evaluate(sampler, {"mix4": PROBLEMS}, settings, output, output / ".partial", processes=1, code=CODE)


def files(folder: Path) -> dict[str, bytes]:
    """Content by name, but for the work folder and the provenance, which tells times."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "provenance.json"]
    return {path.name: path.read_bytes() for path in paths}


class StopError(Exception):
    """Stands for a kill before a chunk is finished."""


def test_an_interrupted_evaluation_goes_on_to_identical_bytes(sampler, tmp_path, monkeypatch):
    run(sampler, tmp_path / "whole")
    chunks = []

    def stop_at_the_second(problems, samples):
        chunks.append(len(problems))
        if len(chunks) == 2:
            raise StopError
        return VllmSampler.sample(sampler, problems, samples)

    monkeypatch.setattr(sampler, "sample", stop_at_the_second)
    with pytest.raises(StopError):
        run(sampler, tmp_path / "resumed")
    run(sampler, tmp_path / "resumed")
    assert chunks == [3, 3, 3, 2]
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")


def command(checkpoint: Path, output: Path, *flags: str) -> list[str]:
    asked = ["--model", str(checkpoint), "--output", str(output), "--device", "cpu", "--sampler", "vllm", *flags]
    return [sys.executable, "-m", "real", "evaluate", *COMMAND, *asked]


def interrupt(arguments: list[str], number: signal.Signals, when: Callable[[psutil.Process], bool]) -> str:
    """Signal the command, and it alone, as soon as ``when``; its standard error. All its processes must end."""
    started = subprocess.Popen(arguments, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process, deadline = psutil.Process(started.pid), time.monotonic() + LAUNCH_SECONDS
    while not when(process):
        assert started.poll() is None, started.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    family = process.children(recursive=True)
    assert family
    os.kill(started.pid, number)
    errors = started.communicate(timeout=LAUNCH_SECONDS)[1]
    assert started.returncode == 130, errors
    left = psutil.wait_procs(family, timeout=30)[1]
    assert left == []
    return errors


def test_sigterm_ends_every_engine_and_the_same_command_goes_on(sampler, checkpoint, tmp_path):
    """With two engines until the signal and one after it, the rows are those of an evaluation in one piece."""
    output = tmp_path / "killed"
    errors = interrupt(
        command(checkpoint, output, "--gpus", "2"),
        signal.SIGTERM,
        when=lambda _: len(list(output.glob(".partial/chunks-*/*.chunk"))) > 0,
    )
    assert "run the same command again" in errors
    assert not files(output)
    done = subprocess.run(command(checkpoint, output), cwd=ROOT, text=True, capture_output=True, check=True)
    assert 1 <= done.stdout.count(" chunk ") < 3
    sampler.name = str(checkpoint)
    run(sampler, tmp_path / "whole")
    assert files(output) == files(tmp_path / "whole")


@pytest.mark.usefixtures("signals_as_a_terminal_gives_them")
def test_ctrl_c_while_an_engine_starts_leaves_no_process(checkpoint, tmp_path):
    def engine_started(process: psutil.Process) -> bool:
        return any("Engine" in child.name() for child in process.children(recursive=True))

    interrupt(command(checkpoint, tmp_path), signal.SIGINT, when=engine_started)


def starting_drops_it() -> None:
    with suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


def starting_makes_another_error_of_it() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException as error:
        raise RuntimeError("engine core failed to start") from error


def starting_takes_keyboard_interrupts_for_its_own() -> None:
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("signals_as_a_terminal_gives_them")
@pytest.mark.parametrize(
    "start", [starting_drops_it, starting_makes_another_error_of_it, starting_takes_keyboard_interrupts_for_its_own]
)
def test_ctrl_c_while_engines_start_interrupts_whatever_is_made_of_it(start):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), _interruptible():
        start()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_while_engines_start_is_itself():
    with pytest.raises(RuntimeError, match="too little memory"), _interruptible():
        raise RuntimeError("too little memory")


def test_two_engines_give_the_same_responses_and_end_with_the_sampler(sampler, checkpoint):
    expected, before = sampler.sample(PROBLEMS, 3), own_processes()
    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu", engines=2)) as two:
        assert two.identity == sampler.identity
        assert two.sample(PROBLEMS, 3) == expected
        names = [child.name() for child in own_processes() if child not in before]
        assert sum("EngineCore" in name for name in names) == 2, names
    assert own_processes() == before


def test_a_checkpoint_without_all_weights_is_refused_in_the_words_of_transformers(checkpoint, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    sentences = []
    for library in (VllmSampler, TransformersSampler):
        with pytest.raises(CheckpointError) as error:
            library(str(folder), SETTINGS, "cpu")
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert "no weights for 1 of the model's parameters, model.layers.1.mlp.down_proj.weight among them" in sentences[0]


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_checkpoint_that_is_more_than_data_is_refused_and_runs_nothing(checkpoint, tmp_path):
    marker, code, pickled = tmp_path / "ran", tmp_path / "code", tmp_path / "pickled"
    shutil.copytree(checkpoint, code)
    content = json.loads((code / "config.json").read_text())
    (code / "config.json").write_text(json.dumps({**content, "auto_map": {"AutoModelForCausalLM": "ours.Model"}}))
    (code / "ours.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(CheckpointError, match=rf"^{code}/config.json: names Python code \(auto_map\)"):
        VllmSampler(str(code), SETTINGS, "cpu")
    shutil.copytree(checkpoint, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({"trap": Trap(marker)}, pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=rf"^{pickled}: holds no weights as \*.safetensors; pickled ones"):
        VllmSampler(str(pickled), SETTINGS, "cpu")
    assert not marker.exists()


def test_an_engine_that_dies_while_it_samples_is_one_sentence_and_leaves_no_process(tmp_path):
    """Heads of 8 numbers: vLLM's attention has no code for them on a CPU, and says so with the first request."""
    shape = Policy(hidden_size=32, layers=1, attention_heads=4, feed_forward_size=64)
    save_checkpoint(build_policy(shape, CONTEXT, seed=0), tmp_path / "model")
    refused(tmp_path / "model", "vLLM stopped while it sampled (EngineCore encountered an issue.")


def test_an_engine_that_cannot_start_is_one_sentence_and_leaves_no_process(checkpoint, monkeypatch):
    """It asks for a hundred TiB for keys and values."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "100000")
    refused(checkpoint, "vLLM could not start with this checkpoint (Engine core initialization failed.")


def refused(folder: Path, sentence: str) -> None:
    before = own_processes()
    with closing(VllmSampler(str(folder), SETTINGS, "cpu")) as broken, pytest.raises(EngineError) as error:
        broken.sample(PROBLEMS[:1], 1)
    assert str(error.value).startswith(f"{folder}: {sentence}")
    assert "\n" not in str(error.value)
    assert own_processes() == before


def test_a_prompt_that_does_not_fit_is_refused_in_the_words_of_transformers(sampler, checkpoint):
    content = "+".join("1" * 23)
    long = [Problem("mix4-long", "mix4", ({"role": "user", "content": content},), ("3",), "test")]
    sentences = []
    for refusing in (sampler, TransformersSampler(str(checkpoint), SETTINGS, "cpu")):
        with pytest.raises(ConfigError) as error:
            refusing.check(long)
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert "has 45 tokens and the response limit is 16, together more than the model's context of 60" in sentences[0]


def test_what_vllm_cannot_do_is_refused_before_anything_starts(checkpoint, tmp_path):
    before = own_processes()
    for temperature in (0.005, 2.5):
        with pytest.raises(ConfigError, match=rf"temperature is {temperature}, but vLLM samples at 0\.01 to 2\.0"):
            VllmSampler(str(checkpoint), SETTINGS.model_copy(update={"temperature": temperature}), "cpu")
    with pytest.raises(ConfigError, match="'cuda' is asked for, but this vLLM samples on cpu"):
        VllmSampler(str(checkpoint), SETTINGS, "cuda")
    with pytest.raises(CheckpointError, match="holds no Hugging Face checkpoint"):
        VllmSampler(str(tmp_path), SETTINGS, "cpu")
    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu")) as idle:
        idle.check(PROBLEMS)
    assert own_processes() == before


def test_the_identity_names_what_a_response_depends_on(sampler):
    import vllm

    assert sampler.identity["library"] == "vllm"
    assert sampler.identity["dtype"] == "float32"
    assert sampler.identity["packages"]["vllm"] == vllm.__version__
    assert sampler.identity["checkpoint"].startswith("sha256:")
