"""NaN and infinity stop a run before they are trained on or saved, and batches without a two-sided group don't."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from real.commands.command_line import main
from real.config import resolve
from real.engines.finite import NotFiniteError, explained, require_finite
from real.engines.torch import train
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import build_policy, load_checkpoint, require_sound, save_checkpoint
from real.engines.torch.supervised import train_base
from real.engines.torch.update import accumulate_gradient
from real.objectives import make_objective
from real.system.work_folder import WorkFolder
from real.tasks.arithmetic import TrainingPrompts
from tests.support.scales import shipped

CPU = torch.device("cpu")


def with_training(run, **changes):
    return run.model_copy(update={"training": run.training.model_copy(update=changes)})


def some_batch(run, base):
    model = load_checkpoint(base, CPU)
    batch, _ = train.collect(model, None, TrainingPrompts(run.task.training_families, 0, 8, 4), run, step=1)
    batch.reward = torch.arange(len(batch.prompts)) % 2.0
    return model, batch


@pytest.fixture
def base(base_folder) -> Path:
    return base_folder[1] / "base" / "model"


@pytest.fixture
def poisoned(base, tmp_path) -> Path:
    """The base model with one weight that is NaN."""
    folder = tmp_path / "poisoned"
    shutil.copytree(base, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][3, 5] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_poisoned_base_model_stops_the_run_before_its_first_step(poisoned, smoke, tmp_path):
    with pytest.raises(NotFiniteError) as stopped:
        train.train(resolve(smoke, "real", 0), poisoned, tmp_path / "run", tmp_path / "work")
    text = str(stopped.value)
    assert text.startswith("real seed 0: step 0: the log-prob of a validation rollout's token is nan (")
    assert text.endswith(
        ", so the run stops; no step was saved yet, and the same command starts anew; should it end here again, make "
        f"the base model ({poisoned}) again: it is damaged"
    )
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "work" / "state.pt").exists()


def test_a_state_that_turns_bad_is_met_at_the_next_rollouts(base, smoke, tmp_path, monkeypatch):
    """A weight that becomes NaN between two steps: the rollouts show it, and nothing is updated or saved with it."""
    run = with_training(resolve(smoke, "gspo", 0), checkpoint_every=1)
    step_of, saved = train.train_step, {}

    def poison(learner, state, step):
        if step == 3:
            saved[step] = (tmp_path / "work" / "state.pt").read_bytes()
            with torch.no_grad():
                learner.model.lm_head.weight[5] = math.nan
        return step_of(learner, state, step)

    monkeypatch.setattr(train, "train_step", poison)
    with pytest.raises(
        NotFiniteError, match=r"^gspo seed 0: step 3: the log-prob of a rollout's token is nan \(.*state "
    ):
        train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert (tmp_path / "work" / "state.pt").read_bytes() == saved[3]


@pytest.mark.parametrize(("mini_batch_prompts", "rate"), [(2, 1e30), (8, 1e30), (2, 1e39), (8, 1e39)])
def test_a_huge_learning_rate_leaves_the_last_good_state_alone(base, smoke, tmp_path, mini_batch_prompts, rate):
    """With one mini-batch a step the broken policy shows after the step's last update: it isn't saved either."""
    run = with_training(
        resolve(smoke, "real", 0), learning_rate=rate, checkpoint_every=1, mini_batch_prompts=mini_batch_prompts
    )
    with pytest.raises(NotFiniteError) as stopped:
        train.train(run, base, tmp_path / "run", tmp_path / "work")
    text = str(stopped.value)
    assert text.startswith("real seed 0: step 2: the ")  # the first step's rate is 0
    assert "; the state after step 1 is kept, and the same command goes on from it; " in text
    assert text.endswith("should it end here again, lower training.learning_rate")
    state = WorkFolder(tmp_path / "work").load()
    assert state["metrics"][-1]["step"] == 1
    assert all(weights.isfinite().all() for weights in state["model"].values())
    before = load_checkpoint(base, CPU)
    assert all(torch.equal(state["model"][name], weights) for name, weights in before.state_dict().items())
    assert not (tmp_path / "run").exists()


def test_the_command_ends_with_one_sentence_and_code_1_and_resumes_from_the_good_state(base_folder, workplace, capsys):
    Path("fast.yaml").write_text("training: {learning_rate: 1.0e+30, checkpoint_every: 1}\n", encoding="utf-8")
    shutil.copytree(base_folder[1] / "base", "results/smoke+fast/base")
    command = ["train", "--config", "paper_configs/smoke.yaml", "fast.yaml", "--method", "real", "--seed", "0"]
    for resumes in (False, True):
        assert main(command) == 1
        printed = capsys.readouterr()
        assert ("resumes after step 1 of 6" in printed.out) == resumes
        assert printed.err.startswith("real: real seed 0: step 2: the ")
        assert len(printed.err.splitlines()) == 1
    assert not Path("results/smoke+fast/runs").exists()


def test_a_reference_that_is_nan_stops_before_the_optimizer_steps(base, smoke):
    run = resolve(smoke, "grpo", 0)
    model, batch = some_batch(run, base)
    batch.reference_log_prob = torch.full_like(batch.old_log_prob, math.nan)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = AdamW(model.parameters(), (0.9, 0.999), 0.01)
    with pytest.raises(FloatingPointError, match=r"^the loss is nan$"):
        train.update(model, optimizer, make_objective("grpo"), batch, run, step=2)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert not any(moment.any() for moment in optimizer.first), "no moment holds the NaN"


def test_a_gradient_that_overflows_stops_before_the_optimizer_steps(base, smoke):
    """The loss is finite, the backward pass isn't."""
    run = resolve(smoke, "real", 0)
    model, batch = some_batch(run, base)
    model.model.norm.weight.register_hook(lambda gradient: gradient * math.inf)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = AdamW(model.parameters(), (0.9, 0.999), 0.01)
    with pytest.raises(FloatingPointError, match=r"^the gradient's norm is (inf|nan)$"):
        train.update(model, optimizer, make_objective("real"), batch, run, step=2)
    assert all(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))
    assert not any(moment.any() for moment in optimizer.first)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_infinite_log_ratio_stops_before_the_backward_pass(base, smoke, bad):
    model, batch = some_batch(resolve(smoke, "real", 0), base)
    batch.old_log_prob[3, 0] = bad
    with pytest.raises(FloatingPointError, match=rf"^the log-ratio of a response token is {-bad} \(1 of "):
        accumulate_gradient(model, batch, make_objective("real"), 0.0, 0.6, 64)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_stands_where_the_mask_is_0_is_not_judged(base, smoke):
    model, batch = some_batch(resolve(smoke, "real", 0), base)
    batch.old_log_prob[batch.mask == 0] = math.nan
    assert batch.old_log_prob.isnan().any()
    assert accumulate_gradient(model, batch, make_objective("real"), 0.0, 0.6, 64).weights.any()


def test_a_base_model_that_diverges_stops_with_its_phase_and_keeps_its_last_state(smoke, tmp_path):
    phases = [smoke.scale.base.phases[0].model_copy(update={"steps": 4, "warmup_steps": 0})]
    phases.append(phases[0].model_copy(update={"learning_rate": 1e30}))
    scale = smoke.scale.model_copy(update={"base": smoke.scale.base.model_copy(update={"phases": phases})})
    with pytest.raises(NotFiniteError) as stopped:
        train_base(scale, tmp_path, checkpoint_every=2)
    assert str(stopped.value).startswith(
        "base: step 6: the loss is nan, so the run stops; the state after step 4 is kept"
    )
    assert str(stopped.value).endswith("lower base.phases[1].learning_rate")
    state = WorkFolder(tmp_path / "work" / "base").load()
    assert state["done"] == 4
    assert all(weights.isfinite().all() for weights in state["model"].values())
    assert not (tmp_path / "base").exists()


def test_a_policy_that_is_not_finite_is_not_sound(policy):
    response, mask = torch.tensor([[5, 1]]), torch.ones(1, 2)
    require_sound(policy, [[3, 4]], response, mask, 1.0)
    with torch.no_grad():
        policy.model.embed_tokens.weight[30] = -math.inf  # of a token that these rows don't hold
    with pytest.raises(FloatingPointError, match=r"^the updated parameter model.embed_tokens.weight is -inf \(32 of"):
        require_sound(policy, [[3, 4]], response, mask, 1.0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.fill_(1e30)  # finite, and yet good for nothing
    with pytest.raises(FloatingPointError, match=r"^the updated policy's log-prob is nan \(2 of 2 values\)$"):
        require_sound(policy, [[3, 4]], response, mask, 1.0)


def test_finite_numbers_pass_and_errors_of_other_kinds_are_left_alone():
    require_finite("value", torch.tensor([0.0, 3e38, -3e38]))
    require_finite("value", 0.0)
    with pytest.raises(ZeroDivisionError), explained("run", 1, None, "wait"):
        raise ZeroDivisionError


@pytest.fixture
def clueless(smoke, tmp_path) -> Path:
    """A base model that no step has trained: it answers nothing right, so every group is all wrong."""
    save_checkpoint(build_policy(smoke.scale.policy, 64, seed=0), tmp_path / "clueless")
    return tmp_path / "clueless"


def untimed(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["real", "grpo", "dapo", "gspo", "real_bce", "real_product"])
def test_a_run_of_one_sided_batches_alone_divides_nothing_by_zero_and_says_so(
    clueless, smoke, tmp_path, capsys, method
):
    run = resolve(smoke, method, 0)
    train.train(run, clueless, tmp_path / "run", tmp_path / "work")
    lines = untimed(tmp_path / "run")
    assert [line["solve_none"] for line in lines[1:]] == [8] * 6
    values = [value for line in lines for value in line.values() if value is not None]
    assert all(math.isfinite(value) for value in values)
    assert all((line["grad_norm"] == 0) == (method != "grpo") for line in lines[2:]), "GRPO has its KL term"
    printed = capsys.readouterr().out
    name = f"{method} seed 0"
    assert printed.count(f"{name}: alarm, step 1: all 8 groups are one-sided (0 all correct, 8 all wrong)") == 1
    assert f"{name}: 24 of 24 mini-batches had no two-sided group, and so no gradient of the objective\n" in printed


def test_one_sided_mini_batches_are_counted_over_an_interruption(base, smoke, tmp_path, monkeypatch, capsys):
    """The count of a run that was killed in between equals the count by the rewards of all its steps."""
    run, collect, one_sided = resolve(smoke, "real", 0), train.collect, []

    def counted(*arguments):
        batch, rollouts = collect(*arguments)
        solved = batch.reward.reshape(4, 2, 8).sum(dim=2)  # mini-batch, group, rollout
        one_sided.append(int(((solved % 8) == 0).all(dim=1).sum()))
        return batch, rollouts

    monkeypatch.setattr(train, "collect", counted)
    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, "save", stop_after(WorkFolder.save))
        with pytest.raises(InterruptedError):
            train.train(run, base, tmp_path / "run", tmp_path / "work")
    train.train(run, base, tmp_path / "run", tmp_path / "work")
    assert len(one_sided) == 6
    assert f"real seed 0: {sum(one_sided)} of 24 mini-batches had no two-sided" in capsys.readouterr().out


def stop_after(save):
    def wrapped(self, state):
        save(self, state)
        raise InterruptedError

    return wrapped


def test_an_objective_that_trains_on_one_sided_groups_counts_none(clueless, tmp_path, capsys):
    """`one_sided: train` takes Eq. 8 literally: such groups have a gradient."""
    overlay = tmp_path / "literal.yaml"
    variant = {"literal": {"method": "real", "hyperparameters": {"one_sided": "train"}}}
    overlay.write_text(yaml.safe_dump({"methods": ["real", "literal"], "variants": variant}))
    train.train(resolve(shipped("smoke", overlay), "literal", 0), clueless, tmp_path / "run", tmp_path / "work")
    assert "literal seed 0: 0 of 24 mini-batches had no two-sided group" in capsys.readouterr().out
