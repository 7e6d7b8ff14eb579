"""verl's dataset gives exactly the prompts of the torch engine, in its order; published sets keep all their answers."""

from pathlib import Path

import datasets
import pandas as pd
import pytest
import yaml
from omegaconf import open_dict
from runs import composed, run_of
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import hf_tokenizer

from real.config import Policy, VerlRun
from real.engines.torch.policy import build_policy
from real.engines.torch.train import collect
from real.engines.verl.prompts import write_prompts
from real.tasks.arithmetic import (
    BENCHMARKS,
    TrainingPrompts,
    answer_of,
    decode,
    held_out_problems,
    text_of,
    write_tokenizer,
)
from real.tasks.datasets import DatasetError, prepare
from real.tasks.sources import read_sources
from tests.support.data_server import INSTRUCTION, entry, raw_file


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The laptop's, as verl loads it from a checkpoint."""
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return hf_tokenizer(str(folder))


@pytest.fixture
def read_by_verl(tokenizer, tmp_path, monkeypatch):
    """verl's dataset of a file, under the run's own configuration; what it caches stays in the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets_cache")

    def read(run: VerlRun, paths: tuple[Path, Path], **changes) -> RLHFDataset:
        config = composed(run, train=paths[0]).data
        with open_dict(config):
            config.update({"cache_dir": str(tmp_path / "cache"), **changes})
        return RLHFDataset(config.train_files, tokenizer, config)

    return read


def test_the_laptops_task_has_the_prompts_of_the_torch_engine_in_its_order(tmp_path):
    """Those that its rollouts start from: step after step, prompt after prompt."""
    run = run_of("verl_smoke")
    short = run.training.model_copy(update={"max_response_tokens": 2})
    task = run.task
    source = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)
    shape = Policy(hidden_size=8, layers=1, attention_heads=1, feed_forward_size=8)
    model = build_policy(shape, 64, seed=0)
    expected = []
    for step in range(1, run.training.steps + 1):
        batch, _ = collect(model, None, source, run.model_copy(update={"training": short}), step)
        expected += [decode(ids) for ids in batch.prompts[:: run.training.rollouts]]

    frame = pd.read_parquet(write_prompts(run, tmp_path)[0])
    assert [prompt[0]["content"] for prompt in frame["prompt"]] == expected
    assert all(prompt[0]["role"] == "user" and len(prompt) == 1 for prompt in frame["prompt"])
    assert [row["ground_truth"].tolist() for row in frame["reward_model"]] == [[answer_of(text)] for text in expected]
    assert [row["index"] for row in frame["extra_info"]] == list(range(24)), "verl groups rollouts by this"
    assert set(frame["data_source"]) == {"train"}
    assert len(expected) == run.training.steps * run.training.prompts == 24


def test_another_seed_has_other_prompts_and_the_same_validation(tmp_path):
    run = run_of("verl_smoke")
    first = write_prompts(run, tmp_path / "a")
    second = write_prompts(run.model_copy(update={"seed": run.seed + 1}), tmp_path / "b")
    assert not pd.read_parquet(first[0])["prompt"].equals(pd.read_parquet(second[0])["prompt"])
    assert first[1].read_bytes() == second[1].read_bytes()


def test_validation_is_on_the_held_out_problems_alone(tmp_path):
    run = run_of("verl_smoke")
    train, validation = map(pd.read_parquet, write_prompts(run, tmp_path))
    held_out = held_out_problems(run.task.seed, run.task.test_problems, run.task.validation_problems)
    expected = [text_of(problem) for name in BENCHMARKS for problem in held_out[name, "validation"]]
    found = [prompt[0]["content"] for prompt in validation["prompt"]]
    assert found == expected
    assert len(set(found)) == 6 * run.task.validation_problems
    assert set(validation["data_source"]) == {"validation"}, "one name, so that verl reports one figure"
    everything = {text_of(problem) for part in held_out.values() for problem in part}
    assert not everything & {prompt[0]["content"] for prompt in train["prompt"]}


def test_verls_dataset_reads_the_file(tmp_path, read_by_verl):
    run = run_of("verl_smoke")
    paths = write_prompts(run, tmp_path)
    texts = [prompt[0]["content"] for prompt in pd.read_parquet(paths[0])["prompt"]]
    found = read_by_verl(run, paths)
    assert [found[at]["raw_prompt"] for at in range(len(found))] == [[{"role": "user", "content": t}] for t in texts]
    assert [found[at]["reward_model"]["ground_truth"] for at in range(len(found))] == [[answer_of(t)] for t in texts]
    assert [found[at]["index"] for at in range(len(found))] == list(range(24))
    assert found[0]["data_source"] == "train"


def test_verls_dataset_measures_prompts_in_the_policys_tokens(tmp_path, read_by_verl):
    """A limit that some prompts exceed leaves out exactly those; a prompt's characters are its tokens."""
    run = run_of("verl_smoke")
    paths = write_prompts(run, tmp_path)
    texts = [prompt[0]["content"] for prompt in pd.read_parquet(paths[0])["prompt"]]
    limit = sorted(map(len, texts))[len(texts) // 2]
    found = read_by_verl(run, paths, max_prompt_length=limit)
    kept = [text for text in texts if len(text) <= limit]
    assert 0 < len(kept) < len(texts)
    assert [found[at]["raw_prompt"][0]["content"] for at in range(len(found))] == kept


@pytest.fixture
def published(tmp_path, monkeypatch) -> VerlRun:
    """A 1.5B run in a folder with three prepared training problems and two of AIME, of the published files' shape."""
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "datasets" / "raw"
    raw.mkdir(parents=True)
    stated = {}
    for name, texts, answers in [
        ("deepscaler", ["first", "second", "third"], [["1"], ["a", "b"], ["\\frac{1}{2}"]]),
        ("aime", ["fourth", "fifth"], ["025", "7"]),
    ]:
        content = raw_file(raw / f"{name}.parquet", texts, answers)
        stated[name] = entry(content, ["http://unused"], rows=len(texts))
    (tmp_path / "datasets" / "sources.yaml").write_text(yaml.safe_dump(stated))
    for source in read_sources(tmp_path / "datasets" / "sources.yaml").values():
        prepare(source)
    return run_of("1.5b")


def test_a_published_set_keeps_its_prompts_and_every_answer(published, tmp_path):
    train, validation = map(pd.read_parquet, write_prompts(published, tmp_path / "prompts"))
    assert [list(prompt) for prompt in train["prompt"]] == [
        [{"role": "user", "content": f"{text} {INSTRUCTION}"}] for text in ("first", "second", "third")
    ]
    assert [row["ground_truth"].tolist() for row in train["reward_model"]] == [["1"], ["a", "b"], ["\\frac{1}{2}"]]
    assert [row["ground_truth"].tolist() for row in validation["reward_model"]] == [["025"], ["7"]]
    assert [row["problem_id"] for row in validation["extra_info"]] == ["aime-0", "aime-1"]


def test_a_set_that_is_not_prepared_is_named_with_the_command_that_does(published, tmp_path):
    (tmp_path / "datasets" / "prepared" / "aime.parquet").unlink()
    with pytest.raises(DatasetError, match=r"datasets/prepared/aime.parquet: no such file; prepare it with `snakemake"):
        write_prompts(published, tmp_path / "prompts")
    assert not (tmp_path / "prompts").exists()
