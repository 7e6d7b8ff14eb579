"""vLLM's processes end with the command, whatever ends it, and while they start too."""

import signal
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from vllm_evaluations import CONTEXT, PROBLEMS, SETTINGS, command, interrupt, own_processes

from real.config import Policy
from real.engines.torch.policy import build_policy, save_checkpoint
from real.models.vllm_sampler import EngineError, VllmSampler, _interruptible


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
