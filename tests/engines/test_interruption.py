"""Stopped at any moment by any signal, a training goes on to the bytes of an undisturbed one."""

import json
import os
import random
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from real.config import resolve
from real.engines.run_files import METRICS
from real.engines.torch import supervised, train
from real.engines.torch.supervised import train_base
from real.grading import pool
from real.system.interrupts import Stopped, graceful_stop, interruptible
from tests.support.kills import KilledError, files_of, killed_after_save

pytestmark = pytest.mark.usefixtures("signals_as_a_terminal_gives_them")


@pytest.fixture(scope="module")
def whole(base_folder, smoke, tmp_path_factory) -> dict[str, bytes]:
    """The files of an undisturbed run of REAL."""
    folder = tmp_path_factory.mktemp("whole")
    train.train(resolve(smoke, "real", 0), base_folder[1] / "base" / "model", folder / "run", folder / "work")
    return files_of(folder / "run")


@pytest.mark.parametrize("saves", [1, 2])
def test_a_killed_base_resumes_to_identical_bytes(base_folder, tmp_path, saves):
    scale, folder = base_folder
    with killed_after_save(saves):
        train_base(scale, tmp_path, checkpoint_every=8)
    train_base(scale, tmp_path, checkpoint_every=8)
    assert files_of(tmp_path / "base") == files_of(folder / "base")
    assert not (tmp_path / "work" / "base").exists()


@pytest.mark.parametrize("method", ["real", "grpo"])
def test_a_killed_run_resumes_to_identical_bytes(base_folder, smoke, tmp_path, method):
    base = base_folder[1] / "base" / "model"
    run = resolve(smoke, method, 0)
    train.train(run, base, tmp_path / "whole", tmp_path / "work1")
    with killed_after_save(1):
        train.train(run, base, tmp_path / "resumed", tmp_path / "work2")
    assert not (tmp_path / "resumed").exists()
    train.train(run, base, tmp_path / "resumed", tmp_path / "work2")
    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "whole")

    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(run.training.steps + 1))
    assert all(list(line) == list(METRICS) for line in lines)
    assert [line["step"] for line in lines if line["val_pass_at_1"] is not None] == [0, 3, 6]
    samples = pd.read_parquet(tmp_path / "whole" / "gradient_samples.parquet")
    assert list(samples) == ["step", "method", "score", "reward", "weight"]
    assert len(samples) == 2 * run.training.prompts * run.training.rollouts


def test_an_interrupted_run_goes_on_after_its_label_was_mended(base_folder, smoke, whole, tmp_path, capsys):
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "real", 0)
    with killed_after_save(2):
        train.train(run, base, tmp_path / "run", tmp_path / "work", protected=True)
    mended = run.model_copy(update={"settings": run.settings.model_copy(update={"label": "REAL, mended"})})
    train.train(mended, base, tmp_path / "run", tmp_path / "work", protected=True)
    assert "resumes after step 4 of 6" in capsys.readouterr().out
    assert files_of(tmp_path / "run") == whole


@pytest.mark.parametrize("damage", ["one", "both"])
def test_a_run_with_damaged_states_ends_in_the_same_bytes(base_folder, smoke, whole, tmp_path, capsys, damage):
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "real", 0)
    with killed_after_save(2):
        train.train(run, base, tmp_path / "run", tmp_path / "work")
    for name in ("state.pt", "previous.pt")[: 1 if damage == "one" else 2]:
        path = tmp_path / "work" / name
        data = path.read_bytes()
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    train.train(run, base, tmp_path / "run", tmp_path / "work")
    said = capsys.readouterr().out
    assert ("resumes after step 2 of 6" in said) == (damage == "one")
    assert ("the job starts anew" in said) == (damage == "both")
    assert files_of(tmp_path / "run") == whole


def test_a_job_killed_after_its_last_step_trains_nothing_again(
    base_folder, smoke, whole, tmp_path, monkeypatch, capsys
):
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "real", 0)
    with monkeypatch.context() as patch:
        patch.setattr(train, "save_checkpoint", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            train.train(run, base, tmp_path / "run", tmp_path / "work")
    monkeypatch.setattr(train, "train_step", None)
    train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert "all 6 steps were done before; the results are written from the saved state" in capsys.readouterr().out
    assert files_of(tmp_path / "run") == whole


def test_ctrl_c_at_every_step_of_a_run_loses_none(base_folder, smoke, whole, tmp_path, monkeypatch):
    """A real SIGINT in the middle of each step in turn: the step is finished, saved, named, and not done again."""
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "real", 0)
    collect = train.collect

    def interrupted(*arguments, **named):
        os.kill(os.getpid(), signal.SIGINT)
        return collect(*arguments, **named)

    for step in range(1, 6):
        with monkeypatch.context() as patch:
            patch.setattr(train, "collect", interrupted)
            with pytest.raises(Stopped, match=rf"^real seed 0: stopped after step {step} of 6, which is saved in"):
                train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert not (tmp_path / "run").exists()
    train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert files_of(tmp_path / "run") == whole


def test_ctrl_c_at_random_steps_of_the_base_loses_none(base_folder, tmp_path, monkeypatch):
    scale, folder = base_folder
    rng, update = random.Random(0), supervised.train_step
    stops, steps = sorted(rng.sample(range(1, 20), 4)), []

    def update_and_interrupt(*arguments):
        steps.append(len(steps) + 1)
        if steps[-1] in stops:
            os.kill(os.getpid(), rng.choice([signal.SIGINT, signal.SIGTERM]))
        return update(*arguments)

    monkeypatch.setattr(supervised, "train_step", update_and_interrupt)
    for step in stops:
        with pytest.raises(Stopped, match=rf"^base: stopped after step {step} of 20, which is saved in"):
            train_base(scale, tmp_path)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    train_base(scale, tmp_path)
    assert len(steps) == 20, "no step was done twice"
    assert files_of(tmp_path / "base") == files_of(folder / "base")


def test_nothing_depends_on_the_global_random_numbers(base_folder, smoke, whole, tmp_path, monkeypatch):
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "real", 0)
    step_of = train.train_step

    def poisoned(learner, state, step):
        for poison in (torch.manual_seed, random.seed, np.random.seed):
            poison(1000 + step)
        torch.rand(step), random.random(), np.random.random(step)
        return step_of(learner, state, step)

    monkeypatch.setattr(train, "train_step", poisoned)
    train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert files_of(tmp_path / "run") == whole


def test_a_resumed_run_draws_the_prompts_and_the_numbers_of_an_uninterrupted_one(
    base_folder, smoke, tmp_path, monkeypatch
):
    base, run = base_folder[1] / "base" / "model", resolve(smoke, "dapo", 1)
    drawn = []
    sample = train.sample

    def recorded(model, ids, uniform, *rest):
        drawn.append((ids, uniform.tolist()))
        return sample(model, ids, uniform, *rest)

    monkeypatch.setattr(train, "sample", recorded)
    train.train(run, base, tmp_path / "whole", tmp_path / "work1")
    whole, drawn = list(drawn), []
    with killed_after_save(2):
        train.train(run, base, tmp_path / "run", tmp_path / "work2")
    drawn.clear()
    train.train(run, base, tmp_path / "run", tmp_path / "work2")
    assert drawn
    assert drawn == whole[-len(drawn) :]
    assert len({json.dumps(draw) for draw in whole}) == len(whole), "and no two steps draw the same"


def test_the_first_signal_asks_and_the_second_ctrl_c_ends():
    def loop() -> str:
        with interruptible(), graceful_stop() as stopping:
            before = stopping()
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)  # Snakemake's and the scheduler's, after the terminal's
            try:
                assert (before, stopping()) == (False, True)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            except KeyboardInterrupt as ended:
                return type(ended).__name__
        return "went on"

    assert loop() == "KeyboardInterrupt"


def test_sigterm_ends_any_other_command_as_ctrl_c_does_and_only_once():
    cleaned = []

    def command() -> None:
        with interruptible():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        command()
    assert cleaned == [True]


def test_a_grader_outlives_the_signals_that_ask_its_caller_to_end():
    """Else the step that is being finished would count answers as wrong whose grader died."""
    assert pool.decide([("x^2", r"x \cdot x")], 1) == {("x^2", r"x \cdot x"): True}
    grader = pool._idle[-1].process
    assert os.getpgid(grader.pid) != os.getpgid(0), "out of the terminal's reach"
    os.kill(grader.pid, signal.SIGTERM)
    assert pool.decide([("x^3", r"x \cdot x")], 1) == {("x^3", r"x \cdot x"): False}
    assert pool._idle[-1].process is grader


def test_a_ctrl_c_that_the_caller_ignores_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible(), graceful_stop() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stopping()
