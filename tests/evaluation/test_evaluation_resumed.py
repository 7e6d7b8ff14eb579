"""What an evaluation has sampled is used again by the same evaluation, and by no other."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from real.config import ConfigError
from real.models.torch_sampler import TorchSampler
from real.system.work_folder import FolderInUseError, hold
from tests.support.processes import python, started, until
from tests.support.random_checkpoint import (
    PROBLEMS,
    SETTINGS,
    Counting,
    StopError,
    asking,
    files,
    run,
    with_settings,
    write_checkpoint,
)


def test_an_interrupted_evaluation_goes_on_to_identical_bytes(sampler, tmp_path):
    run(sampler, tmp_path / "whole")
    output = tmp_path / "resumed"
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=2), output)
    assert not files(output)
    first, second = sorted((output / ".partial").glob("chunks-*/*"))
    second.write_bytes(second.read_bytes()[:100])  # as after a crash of the machine
    (first.parent / "aime-4-x.parquet.partial").write_bytes(b"half")
    again = Counting(sampler)
    run(again, output)
    assert again.chunks == [["aime-2", "aime-3"], ["aime-4"]]
    assert files(output) == files(tmp_path / "whole")
    assert not (output / ".partial").exists()


def test_a_finished_benchmark_is_left_as_it_is_and_others_join_it(sampler, tmp_path):
    run(sampler, tmp_path)
    before = files(tmp_path)
    again = Counting(sampler)
    run(again, tmp_path)
    assert again.chunks == []
    assert files(tmp_path) == before
    run(again, tmp_path, asking("another", benchmark="amc"), benchmark="amc")
    run(again, tmp_path, PROBLEMS[:1])  # no longer the same problems
    assert again.chunks == [["amc-0"], ["aime-0"]]
    about = json.loads((tmp_path / "evaluation.json").read_text())
    assert {name: counts["samples"] for name, counts in about["benchmarks"].items()} == {"aime": 3, "amc": 3}


def test_chunks_of_another_checkpoint_are_never_used(sampler, tmp_path):
    other = TorchSampler(str(write_checkpoint(tmp_path / "model", seed=1)), SETTINGS, "cpu")
    assert other.identity["checkpoint"] != sampler.identity["checkpoint"]
    run(other, tmp_path / "whole")
    output = tmp_path / "resumed"
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=2), output)
    again = Counting(other)
    run(again, output)
    assert len(again.chunks) == 3
    assert files(output) == files(tmp_path / "whole")
    assert not (output / ".partial").exists()


def test_chunks_of_other_settings_or_problems_are_never_used(sampler, tmp_path):
    with pytest.raises(StopError):
        run(Counting(sampler, stop_at=2), tmp_path)
    again = Counting(sampler, stop_at=1)
    for problems, settings in (
        (asking("changed", "changed too"), SETTINGS),
        (PROBLEMS, with_settings(top_p=0.5)),
        (PROBLEMS, with_settings(seed=1)),
    ):
        again.chunks = []
        with pytest.raises(StopError):
            run(again, tmp_path, [*problems, *PROBLEMS[2:]], settings)
        assert len(again.chunks) == 1


def test_an_output_of_another_evaluation_is_not_overwritten(sampler, tmp_path):
    run(sampler, tmp_path)
    before = files(tmp_path)
    with pytest.raises(
        ConfigError, match=r"holds an evaluation of .*model that differs in settings\.temperature; choose"
    ):
        run(sampler, tmp_path, settings=with_settings(temperature=0.9))
    assert files(tmp_path) == before


def test_a_work_folder_in_use_stops_the_second_evaluation(sampler, tmp_path):
    with hold(tmp_path / ".partial"), pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()}"):
        run(sampler, tmp_path)


def command(checkpoint: Path, output: Path, *flags: str) -> list[str]:
    """The evaluation of 24 problems of the laptop's task in 24 chunks, by a random model."""
    settings = ["--benchmarks", "add3,mix6,mul3", "--chunk-problems", "1", "--max-response-tokens", "40", *flags]
    config = ["--config", "paper_configs/smoke.yaml", "--model", str(checkpoint), "--output", str(output)]
    return ["-m", "real", "evaluate", *config, *settings]


@pytest.mark.slow
def test_a_killed_process_is_resumed_by_the_same_command_to_identical_bytes(checkpoint, tmp_path):
    killed = started(*command(checkpoint, tmp_path / "a"), stdout=subprocess.DEVNULL)
    until(lambda: list(tmp_path.glob("a/.partial/chunks-*/add3-3-*.chunk")), killed, every=0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (tmp_path / "a" / ".partial").exists(), "it was killed before its end"
    done, whole = (python(*command(checkpoint, tmp_path / name)) for name in ("a", "b"))
    assert (done.returncode, whole.returncode) == (0, 0), done.stderr + whole.stderr
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert whole.stdout.count(" chunk ") == 24 > done.stdout.count(" chunk ")
    assert whole.stdout.count("pass@1") == 3
