"""Both engines write the same line for the same rollouts, and a job's files survive being killed and resumed."""

import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from verl.utils.metric import reduce_metrics

from real.engines.finite import NotFiniteError
from real.engines.run_files import METRICS, metrics_line, samples_frame
from real.engines.torch.measure import gradient_samples, step_metrics
from real.engines.torch.update import Batch, Gradient
from real.engines.verl.journal import Journal, delete_older_checkpoints, step_line, timings_line, validation_score
from real.engines.verl.losses import RecordedRow
from real.engines.verl.trainer import check_finite
from real.engines.verl.worker import summary
from real.exact import token_weights
from real.models.batched_sampler import Rollouts
from real.objectives import OBJECTIVES, make_objective, sequence_score

GROUPS, ROLLOUTS, WIDTH = 4, 4, 9
RATE = 2.0e-6


def rollouts_of_a_step() -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """16 rows: batch, (N, T) log-ratios up to ±1 and entropies. Group 0 is all correct, group 1 all wrong."""
    generator = torch.Generator().manual_seed(0)
    rows = GROUPS * ROLLOUTS
    lengths = torch.randint(1, WIDTH + 1, (rows,), generator=generator)
    mask = (torch.arange(WIDTH)[None, :] < lengths[:, None]).float()
    reward = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0]]).flatten()
    log_ratio = (2 * torch.rand(rows, WIDTH, generator=generator) - 1) * mask
    entropy = torch.rand(rows, WIDTH, generator=generator) * mask
    group = torch.arange(GROUPS).repeat_interleave(ROLLOUTS)
    nothing = torch.zeros(rows, WIDTH)
    return Batch([[7]] * rows, nothing.long(), mask, nothing, nothing, group, reward), log_ratio, entropy


def seen_by_the_torch_engine(method: str, batch: Batch, log_ratio: torch.Tensor) -> list[tuple[Batch, Gradient]]:
    """Two mini-batches of two groups; gradient norms 1.5 and 2.5."""
    objective, half = make_objective(method), GROUPS * ROLLOUTS // 2
    seen = []
    for start, norm in ((0, 1.5), (half, 2.5)):
        rows = torch.arange(start, start + half)
        part = batch.select(rows)
        weights = token_weights(objective, log_ratio[rows], part.mask, part.group, part.reward)
        seen.append((part, Gradient(log_ratio[rows], weights, norm)))
    return seen


def rows_of_verl(seen: list[tuple[Batch, Gradient]]) -> list[list[RecordedRow]]:
    """The same, as a verl worker's loss records it."""
    found = []
    for part, gradient in seen:
        score = sequence_score(gradient.log_ratio.double() * part.mask, part.mask.double())
        columns = zip(part.group, part.reward, part.mask, score, gradient.weights, strict=True)
        found.append(
            [
                RecordedRow(
                    group=int(group),
                    label=int(reward),
                    length=int(mask.sum()),
                    score=float(value),
                    weight=float(weights.double().sum()),
                    unweighted=int(((weights == 0) & (mask == 1)).sum()),
                )
                for group, reward, mask, value, weights in columns
            ]
        )
    return found


@pytest.mark.parametrize("method", OBJECTIVES)
def test_both_engines_write_the_same_line_for_the_same_rollouts(method):
    batch, log_ratio, entropy = rollouts_of_a_step()
    seen = seen_by_the_torch_engine(method, batch, log_ratio)
    sampled = Rollouts(batch.response, batch.mask.long(), batch.old_log_prob, entropy, torch.zeros(len(entropy)))
    training = SimpleNamespace(rollouts=ROLLOUTS, learning_rate=RATE, warmup_steps=1)
    expected = step_metrics(sampled, batch, seen, SimpleNamespace(training=training), step=3)

    lists: dict[str, list[float]] = {"actor/grad_norm": [1.5, 2.5], "update/learning_rate": [RATE, RATE]}
    for rows in rows_of_verl(seen):
        for name, value in summary(rows, make_objective(method)).items():
            lists.setdefault(f"update/{name}", []).append(value)
    found = step_line(
        3,
        group=batch.group.tolist(),
        label=batch.reward.int().tolist(),
        length=batch.mask.sum(dim=1).int().tolist(),
        entropy=float(entropy.sum() / batch.mask.sum()),
        # as the trainer does: verl's own mean, and maximum where a name says so
        verl=reduce_metrics(lists),
    )
    assert tuple(found) == (*METRICS, "lost_groups")
    assert found.pop("lost_groups") == 0
    assert {key: value for key, value in found.items() if value is not None} == pytest.approx(
        {key: value for key, value in expected.items() if value is not None}, rel=1e-6
    )
    assert [key for key, value in found.items() if value is None] == ["val_pass_at_1"]
    # by hand, so that both can't be wrong alike
    assert (found["solve_all"], found["solve_none"], found["prompts"]) == (1, 1, 4)
    assert found["reward_mean"] == 7 / 16
    assert found["grad_norm"] == 2.0
    clips = method in ("grpo", "dapo", "gspo")
    assert (found["clipped_fraction"] > 0) == clips, "REAL's objectives clip nothing, one-sided groups don't count"
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("method", OBJECTIVES)
def test_both_engines_keep_the_same_gradient_samples(method, tmp_path):
    batch, log_ratio, _ = rollouts_of_a_step()
    objective, journal = make_objective(method), Journal(tmp_path)
    seen = seen_by_the_torch_engine(method, batch, log_ratio)
    samples = [gradient_samples(3, method, objective, *pair) for pair in seen]
    expected = pd.concat([samples_frame(**sample) for sample in samples], ignore_index=True)
    rows = [
        [row.score, row.label, abs(row.weight) * objective.normaliser(part.group, part.reward)]
        for (part, _), mini_batch in zip(seen, rows_of_verl(seen), strict=True)
        for row in mini_batch
    ]
    journal.keep_samples(3, method, rows)
    pd.testing.assert_frame_equal(journal.samples(), expected, rtol=1e-5, atol=1e-7)


def test_a_step_without_wrong_answers_has_no_mean_of_theirs():
    row = RecordedRow(group=0, label=1, length=5, score=0.25, weight=0.0, unweighted=5)
    rows = [row, row]
    sums = {f"update/{name}": value for name, value in summary(rows, make_objective("real")).items()}
    line = step_line(1, [0, 0], [1, 1], [5, 5], 0.5, {**sums, "actor/grad_norm": 0.0, "update/learning_rate": 0.0})
    assert (line["score_positive_mean"], line["score_negative_mean"]) == (0.25, None)
    assert (line["clipped_fraction"], line["solve_all"], line["entropy"]) == (0.0, 1, 0.5)


def test_a_steps_line_is_replaced_and_stays_the_only_one(tmp_path):
    journal = Journal(tmp_path)
    assert journal.lines() == []
    for step in (0, 1, 2):
        journal.write(metrics_line(step=step, reward_mean=step / 4))
    journal.write(metrics_line(step=2, reward_mean=0.5, val_pass_at_1=0.75))
    found = journal.lines()
    assert [(line["step"], line["reward_mean"], line["val_pass_at_1"]) for line in found] == [
        (0, 0.0, None),
        (1, 0.25, None),
        (2, 0.5, 0.75),
    ]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3


def test_a_resumed_job_drops_what_it_does_again(tmp_path):
    """Killed in step 11 with the checkpoint of step 9."""
    journal = Journal(tmp_path)
    for step in range(12):
        journal.write(metrics_line(step=step, entropy=float(step)))
        journal.write(timings_line(step, {"gen": 2.0, "step": 5.5, "ref": 1.0}), "timings")
    for step in (2, 9, 10):
        journal.keep_samples(step, "real", [(0.1 * step, 1, 0.5), (-0.1, 0, 0.25)])
    assert journal.samples()["step"].tolist() == [2, 2, 9, 9, 10, 10]

    resumed = Journal(tmp_path)
    resumed.rewind(9)
    assert [line["step"] for line in resumed.lines()] == list(range(10))
    assert resumed.lines("timings")[-1] == {"step": 9, "sample_seconds": 2.0, "step_seconds": 5.5}
    samples = resumed.samples()
    assert samples["step"].tolist() == [2, 2, 9, 9]
    assert samples["score"].tolist() == pytest.approx([0.2, -0.1, 0.9, -0.1])
    assert samples["reward"].tolist() == [1, 0, 1, 0]
    resumed.write(metrics_line(step=10, entropy=0.5))
    assert resumed.lines()[-1]["entropy"] == 0.5


def test_jobs_that_resume_again_and_again_keep_as_many_checkpoints_as_one(tmp_path):
    """Five attempts of two saved steps each; the third is killed while it saves."""

    def save(step: int) -> None:
        (tmp_path / f"global_step_{step}" / "actor").mkdir(parents=True)

    def there() -> list[int]:
        return sorted(int(path.name.rpartition("_")[2]) for path in tmp_path.iterdir())

    newest = 0
    for attempt in range(5):
        delete_older_checkpoints(tmp_path, newest, keep=2)
        assert len(there()) <= 2
        for step in (newest + 1, newest + 2):
            save(step)
            if attempt == 2:
                break
            newest = step
            delete_older_checkpoints(tmp_path, newest, keep=2)
            assert there() == [step for step in (newest - 1, newest) if step > 0]
        assert newest in there(), "what the next attempt goes on from"
    assert there() == [7, 8]
    delete_older_checkpoints(tmp_path / "absent", 3, keep=2)
    (tmp_path / "global_step_1_mine").mkdir()
    delete_older_checkpoints(tmp_path, newest, keep=2)
    assert (tmp_path / "global_step_1_mine").exists(), "somebody's copy is left alone"


def test_a_job_without_samples_has_an_empty_table_of_the_same_columns(tmp_path):
    journal = Journal(tmp_path)
    empty = journal.samples()
    journal.keep_samples(1, "real", [(0.1, 1, 0.5)])
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == journal.samples().dtypes.to_dict()


def test_the_validation_score_is_mean_correctness_and_none_where_there_was_no_validation():
    verl = {
        "val-core/validation/acc/mean@8": 0.625,
        "val-core/validation/acc/best@8/mean": 0.9,
        "val-aux/x/acc/mean@8": 0.1,
    }
    assert validation_score(verl) == 0.625
    assert validation_score({"actor/grad_norm": 1.0, "val-aux/validation/score/mean@8": 0.5}) is None


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        (2, "no step was saved yet, and the same command starts anew"),
        (3, "the state after step 2 is kept, and the same command goes on from it"),
    ],
)
def test_a_step_that_is_not_finite_stops_the_run_with_the_torch_engines_sentence(step, kept):
    line = {"step": step, "grad_norm": math.nan, "entropy": 0.3, "score_abs_max": math.inf}
    check_finite({**line, "grad_norm": 1.0, "score_abs_max": 0.1}, "real seed 0", save_every=2)
    with pytest.raises(NotFiniteError) as stopped:
        check_finite(line, "real seed 0", save_every=2)
    assert str(stopped.value) == (
        f"real seed 0: step {step}: grad_norm is nan, score_abs_max is inf, so the run stops; {kept}; should it end "
        "here again, lower training.learning_rate"
    )
