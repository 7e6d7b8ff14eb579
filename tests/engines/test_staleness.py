"""Off-policy by a fixed delay: which weights sample each step, what they are compared with, and what a resume keeps."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from real.config import resolve
from real.engines.torch import train
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import load_checkpoint, save_checkpoint, token_log_probs
from real.engines.torch.update import Batch, accumulate_gradient
from real.objectives import make_objective
from real.system.work_folder import WorkFolder
from real.tasks.arithmetic import TrainingPrompts
from tests.support.kills import files_of, killed_after_save

pytestmark = pytest.mark.usefixtures("signals_as_a_terminal_gives_them")

CPU = torch.device("cpu")
STEPS = 6
SAVED = (2, 4, 6)


@dataclass
class Trace:
    """What a run did; entry t of ``weights`` is after step t, entry t − 1 of the other lists of step t."""

    run: train.TorchRun
    weights: list[dict[str, torch.Tensor]]
    batches: list[Batch] = field(default_factory=list)
    log_ratios: list[torch.Tensor] = field(default_factory=list)
    validated: list[dict[str, torch.Tensor]] = field(default_factory=list)
    states: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def metrics(self) -> list[dict]:
        return [json.loads(line) for line in self.files["metrics.jsonl"].splitlines()]


def stale_run(smoke, staleness, method="dapo", **changes):
    """A run whose steps move the policy visibly."""
    run = resolve(smoke, method, 0)
    training = run.training.model_copy(update={"staleness": staleness, "learning_rate": 5e-3, **changes})
    return run.model_copy(update={"training": training})


def copied(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def policy_with(base: Path, weights: dict[str, torch.Tensor]):
    model = load_checkpoint(base, CPU)
    model.load_state_dict(weights)
    return model


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def prompts_of(run) -> TrainingPrompts:
    task = run.task
    return TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)


@pytest.fixture(autouse=True, scope="module")
def _correct_is_what_has_an_even_length():
    """The base model of a few steps solves too little for its policy to move by what it solves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_rewards", lambda rollouts, _: 1.0 - rollouts.mask.sum(dim=1) % 2)
        yield


@pytest.fixture
def base(base_folder) -> Path:
    return base_folder[1] / "base" / "model"


@pytest.fixture(scope="module")
def traces(base_folder, smoke, tmp_path_factory) -> dict[int, Trace]:
    """Runs by staleness, recorded from outside."""
    base = base_folder[1] / "base" / "model"
    return {k: traced(stale_run(smoke, k), base, tmp_path_factory.mktemp(f"stale{k}")) for k in (0, 1, 2)}


def traced(run, base, folder) -> Trace:
    trace = Trace(run, [copied(load_checkpoint(base, CPU))])
    collect, update, validate, save = train.collect, train.update, train.validate, WorkFolder.save

    def collected(*arguments):
        batch, rollouts = collect(*arguments)
        trace.batches.append(batch)
        return batch, rollouts

    def updated(model, *arguments):
        seen = update(model, *arguments)
        trace.weights.append(copied(model))
        trace.log_ratios.append(seen[0][1].log_ratio)
        return seen

    def validated(model, *arguments):
        trace.validated.append(copied(model))
        return validate(model, *arguments)

    def saved(self, state):
        save(self, state)
        trace.states.append(self.load())

    with pytest.MonkeyPatch.context() as patch:
        for name, replacement in {"collect": collected, "update": updated, "validate": validated}.items():
            patch.setattr(train, name, replacement)
        patch.setattr(WorkFolder, "save", saved)
        train.train(run, base, folder / "run", folder / "work")
    trace.files = files_of(folder / "run")
    return trace


def test_without_staleness_a_run_is_to_the_byte_a_loop_that_knows_of_no_other_policy(traces, base, tmp_path):
    trace = traces[0]
    run, model = trace.run, load_checkpoint(base, CPU)
    optimizer = AdamW(model.parameters(), (0.9, 0.999), run.training.weight_decay)
    objective = make_objective(run.settings.objective, **run.settings.hyperparameters)
    for step in range(1, STEPS + 1):
        batch, rollouts = train.collect(model, None, prompts_of(run), run, step)
        line = train.step_metrics(
            rollouts, batch, train.update(model, optimizer, objective, batch, run, step), run, step
        )
        if step % run.training.validation_every == 0:
            line["val_pass_at_1"] = train.validate(model, run, step)
        assert trace.metrics[step] == line
        assert same(trace.weights[step], model.state_dict())
    save_checkpoint(model, tmp_path / "model")
    assert files_of(tmp_path / "model") == {
        name.removeprefix("model/"): data for name, data in trace.files.items() if name.startswith("model/")
    }


def test_without_staleness_the_model_itself_samples_and_no_weights_are_kept(traces, base):
    learner = train.Learner(traces[0].run, base)
    assert learner.sampling_policy() is learner.model
    assert [state.keys() & {"past"} for state in traces[0].states] == [set()] * len(SAVED)


@pytest.mark.parametrize("staleness", [1, 2])
def test_the_rollouts_of_a_step_and_their_old_log_probs_are_the_policys_of_k_steps_before(traces, base, staleness):
    """And prompts, random numbers, groups and grading are those of the step: ``collect`` depends on (seed, step)."""
    trace = traces[staleness]
    temperature = trace.run.training.temperature
    for step, found in enumerate(trace.batches, start=1):
        past = policy_with(base, trace.weights[max(0, step - 1 - staleness)])
        expected, _ = train.collect(past, None, prompts_of(trace.run), trace.run, step)
        assert found.prompts == expected.prompts
        for name in ("response", "mask", "old_log_prob", "group", "reward"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), (step, name)
        with torch.no_grad():
            own = token_log_probs(past, found.prompts, found.response, found.mask, temperature)
        torch.testing.assert_close(found.old_log_prob, own, rtol=1e-4, atol=1e-4)
    assert len(trace.batches) == STEPS


@pytest.mark.parametrize("staleness", [1, 2])
def test_the_first_steps_sample_from_the_base_policy_and_later_ones_do_not(traces, base, staleness):
    """The learning rate of step 1 is 0, so the first weights that differ are those after step 2."""
    trace = traces[staleness]
    model = load_checkpoint(base, CPU)
    from_base = [
        torch.equal(
            batch.old_log_prob, train.collect(model, None, prompts_of(trace.run), trace.run, step)[0].old_log_prob
        )
        for step, batch in enumerate(trace.batches, start=1)
    ]
    assert same(trace.weights[0], trace.weights[1])
    assert not same(trace.weights[1], trace.weights[2])
    assert from_base == [step <= staleness + 2 for step in range(1, STEPS + 1)]


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_the_first_mini_batchs_log_ratio_is_what_the_updates_of_k_steps_made_of_it(traces, base, staleness):
    """Nothing on-policy; then log π of the policy that learns minus log π of the one that sampled."""
    trace = traces[staleness]
    rows = torch.arange(trace.run.training.mini_batch_prompts * trace.run.training.rollouts)
    largest = []
    for step in range(1, STEPS + 1):
        part = trace.batches[step - 1].select(rows)
        now, past = (
            token_log_probs(policy_with(base, weights), part.prompts, part.response, part.mask, 0.6).detach()
            for weights in (trace.weights[step - 1], trace.weights[max(0, step - 1 - staleness)])
        )
        found = trace.log_ratios[step - 1] * part.mask
        torch.testing.assert_close(found, now - past, rtol=1e-4, atol=1e-4)
        largest.append(float((found.sum(dim=1) / part.mask.sum(dim=1)).abs().max()))
    assert [score > 1e-3 for score in largest] == [staleness > 0 and step > 2 for step in range(1, STEPS + 1)], largest


@pytest.mark.parametrize("staleness", [0, 1, 2])
def test_validation_is_by_the_policy_that_learns(traces, staleness):
    trace = traces[staleness]
    assert len(trace.validated) == 3
    for step, weights in zip((0, 3, 6), trace.validated, strict=True):
        assert same(weights, trace.weights[step])


def test_a_saved_state_holds_the_weights_that_are_still_to_sample(traces):
    for staleness in (1, 2):
        trace = traces[staleness]
        for step, state in zip(SAVED, trace.states, strict=True):
            expected = [trace.weights[t] for t in range(step - staleness, step)]
            assert [same(one, other) for one, other in zip(state["past"], expected, strict=True)] == [True] * staleness


def test_staleness_changes_nothing_before_the_policy_has_moved_and_what_is_learnt_after(traces):
    """Steps 1 and 2 learn from the base policy's rollouts at any delay."""
    assert traces[0].metrics[:3] == traces[1].metrics[:3] == traces[2].metrics[:3]
    finals = [trace.weights[-1] for trace in traces.values()]
    assert not any(same(finals[i], finals[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


@pytest.mark.parametrize(
    ("method", "staleness", "saves"), [("dapo", 2, 1), ("dapo", 2, 2), ("grpo", 2, 2), ("real", 5, 1)]
)
def test_a_killed_stale_run_resumes_to_identical_bytes(base, smoke, tmp_path, method, staleness, saves):
    """With fewer weights kept than steps of delay, as many, and a reference model beside them."""
    run = stale_run(smoke, staleness, method, steps=8)
    train.train(run, base, tmp_path / "whole", tmp_path / "work1")
    with killed_after_save(saves):
        train.train(run, base, tmp_path / "resumed", tmp_path / "work2")
    assert not (tmp_path / "resumed").exists()
    train.train(run, base, tmp_path / "resumed", tmp_path / "work2")
    assert files_of(tmp_path / "resumed") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("method", ["real", "dapo", "gspo"])
def test_every_split_and_order_of_a_stale_mini_batch_gives_one_gradient(traces, base, smoke, method):
    trace, settings = traces[2], resolve(smoke, method, 0).settings
    model = policy_with(base, trace.weights[-2]).double()
    batch = trace.batches[-1]
    batch.reward = torch.arange(len(batch.prompts)) % 3 // 2 * 1.0
    objective = make_objective(settings.objective, **settings.hyperparameters)

    def gradient(rows: torch.Tensor, micro_batch_rows: int) -> list[torch.Tensor]:
        model.zero_grad()
        accumulate_gradient(model, batch.select(rows), objective, 0.05, 0.6, micro_batch_rows)
        return [parameter.grad.clone() for parameter in model.parameters()]

    in_order = torch.arange(len(batch.prompts))
    whole = gradient(in_order, 64)
    assert max(float(part.abs().max()) for part in whole) > 1e-3
    torch.testing.assert_close(gradient(in_order, 4), whole, rtol=1e-9, atol=1e-12)
    shuffled = in_order[torch.randperm(len(in_order), generator=torch.Generator().manual_seed(0))]
    torch.testing.assert_close(gradient(shuffled, 4), whole, rtol=1e-9, atol=1e-12)
