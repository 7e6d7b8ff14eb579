"""The real stack on a CPU: Ray, vLLM rollouts, FSDP2, weight sync, checkpoints, merge, evaluation, on loopback."""

import json
import time

import pandas as pd
import pytest
from conftest import LAUNCH_SECONDS, end, left_behind
from launches import SCALE, lines
from watching import elsewhere, watch

from real.engines.run_files import METRICS
from real.engines.torch.policy import load_checkpoint

pytestmark = pytest.mark.slow


def test_the_dag_goes_on_from_a_killed_training_to_the_table(project):
    """The trainer is killed after step 2's checkpoint; the same command then resumes it, evaluates and tabulates."""
    results = project.folder / "results" / "verl_smoke"
    work, output = results / "work" / "real" / "seed0", results / "runs" / "real" / "seed0"
    command = ["-m", "snakemake", "--cores", "2", "--configfile", SCALE]
    first = project.start(*command, log=project.folder / "first.log")
    tracker, deadline = work / "checkpoints" / "latest_checkpointed_iteration.txt", time.time() + LAUNCH_SECONDS
    while not (tracker.exists() and tracker.read_text() == "2"):
        assert first.poll() is None, (project.folder / "first.log").read_text()[-4000:]
        assert time.time() < deadline, "no checkpoint of step 2"
        time.sleep(0.2)
    end(first)
    assert left_behind(first) == []
    before = {line["step"]: line for line in lines(work)}

    project.run("-m", "snakemake", "--unlock", "--configfile", SCALE)
    log = project.folder / "second.log"
    seen = watch(project.start(*command, log=log), log)
    assert {"train", "evaluate"} <= {said.partition(":")[0] for said in seen.values()}, "vLLM meets its client at one"
    assert elsewhere(seen) == []
    log = (results / "logs" / "train" / "real" / "seed0.log").read_text()
    assert log.count("training of real, seed 0 begins: into results/verl_smoke/runs/real/seed0") == 2
    assert 0 < log.index("real seed 0: step 1/3 ") < log.index("resumes after step 2 of 3"), "both attempts' lines"
    after = lines(output)
    assert [line["step"] for line in after] == [0, 1, 2, 3]
    assert all(tuple(line) == (*METRICS, "lost_groups") for line in after)
    assert [line["lost_groups"] for line in after] == [None, 0, 0, 0]
    assert after[:2] == [before[0], before[1]], "what was measured before the kill is kept"
    assert after[2] == {**before[2], "val_pass_at_1": after[2]["val_pass_at_1"]}
    assert [line["learning_rate"] for line in after] == [None, 0.0, 1.0e-3, 1.0e-3]
    assert after[-1]["score_abs_max"] > 0, "the last mini-batches of a step are off-policy"
    assert all(line["prompts"] == 8 and 0 <= line["val_pass_at_1"] <= 1 for line in after[1:])
    samples = pd.read_parquet(output / "gradient_samples.parquet")
    assert samples.groupby("step").size().to_dict() == {1: 64, 3: 64}
    assert set(samples["reward"]) <= {0, 1}
    assert not work.exists()

    trained = load_checkpoint(output / "model", "cpu")
    start = load_checkpoint(results / "base" / "model", "cpu")
    moved = [float((a - b).abs().max()) for a, b in zip(trained.parameters(), start.parameters(), strict=True)]
    assert max(moved) > 1e-3, "eight updates at 1e-3 move some parameter by more than one"

    evaluations = results / "evaluations" / "real" / "seed0"
    rates = {}
    for benchmark in ("add3", "mix4"):
        rows = pd.read_parquet(evaluations / f"{benchmark}.parquet")
        assert len(rows) == 8 * 4
        assert rows["tokens"].between(1, 40).all()
        rates[benchmark] = rows["correct"].mean()
    assert json.loads((evaluations / "evaluation.json").read_text())["sampler"]["library"] == "vllm"
    table = pd.read_csv(results / "tables" / "benchmarks.csv").set_index("method").loc["real"]
    assert table["mean"] == pytest.approx(sum(rates.values()) / 2)
    assert (results / "figures" / "training_dynamics.png").stat().st_size > 10_000
