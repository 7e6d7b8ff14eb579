"""Evaluation: rows follow from checkpoint, problems and settings alone."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from real.commands.command_line import main
from real.config import ConfigError
from real.evaluation.evaluate import COLUMNS, evaluate, problems_of
from real.models.batched_sampler import sample
from real.models.chat import Response, sample_seed
from real.models.torch_sampler import TorchSampler
from real.tasks.arithmetic import held_out_problems
from real.tasks.datasets import load_problems, prepare
from real.tasks.fetching import fetch
from real.tasks.problems import MATH_BENCHMARKS
from real.tasks.sources import read_sources
from tests.support.paths import ROOT
from tests.support.random_checkpoint import (
    PROBLEMS,
    Counting,
    byte_tokenizer,
    files,
    run,
    with_settings,
)


def test_rows_of_the_laptop_task_follow_the_contract(base_folder, smoke, tmp_path):
    settings, task = smoke.scale.evaluation, smoke.scale.task
    laptop = TorchSampler(str(base_folder[1] / "base" / "model"), settings, "cpu")
    problems = problems_of(["mix4", "add3"], task)
    evaluate(laptop, problems, settings, tmp_path / "out", tmp_path / "work", processes=1, code="c0de")
    assert sorted(files(tmp_path / "out")) == ["add3.parquet", "evaluation.json", "mix4.parquet"]
    assert not (tmp_path / "work").exists()
    rows = pd.read_parquet(tmp_path / "out" / "mix4.parquet")
    assert list(rows) == list(COLUMNS)
    assert rows["problem_id"].tolist() == [problem.problem_id for problem in problems["mix4"] for _ in range(4)]
    assert rows["sample"].tolist() == [0, 1, 2, 3] * task.test_problems
    assert rows["correct"].equals(rows["status"] == "exact")
    # a token of the 31 per piece of the text, and <eos> unless the limit came first
    assert [len(laptop.tokenizer.encode(text)) for text in rows["response"]] == (
        rows["tokens"] - ~rows["truncated"]
    ).tolist()
    assert rows["tokens"].max() <= settings.max_response_tokens
    assert not rows["response"].str.contains("<eos>|<pad>").any()


def test_a_prompt_is_the_chat_template_with_the_assistants_turn_opened(sampler):
    assert byte_tokenizer().decode(sampler._prompt(PROBLEMS[1])) == "user: Σ of 1?<|turn|><think>"


def test_a_real_token_that_also_pads_stays_in_the_text(sampler, monkeypatch):
    """As 0 does where a model names neither pad nor end: it is "!" in Qwen's vocabulary."""
    monkeypatch.setattr(sampler.model.config, "pad_token_id", 0)
    first = sampler.tokenizer.decode([0])
    assert sampler._text([0, 1, 0, 257]) == sampler.tokenizer.decode([0, 1, 0])
    assert sampler._text([0, 0]) == first * 2
    assert sampler._text([257]) == sampler._text([]) == ""


@pytest.mark.parametrize(("strict", "text", "warnings"), [(True, "7", 1), (True, "</think>7", 0), (False, "7", 0)])
def test_a_benchmark_without_one_end_of_thinking_is_warned_of(sampler, tmp_path, capsys, strict, text, warnings):
    settings = with_settings(strict_format=strict)

    class Writing(Counting):
        def sample(self, problems, samples):
            return [Response(text, 3, False)] * (len(problems) * samples)

    run(Writing(sampler), tmp_path / "out", settings=settings)
    printed = "".join(capsys.readouterr())
    assert printed.count("aime: warning: not one response has </think>") == warnings


def test_responses_keep_think_tags_and_lose_end_tokens(sampler):
    texts = [response.text for response in sampler.sample(PROBLEMS, 40)]
    assert any("</think>" in text for text in texts)
    assert not any(end in text for text in texts for end in ("<eos>", "<|turn|>"))


def test_any_of_several_end_tokens_ends_a_response(sampler):
    prompts = [sampler._prompt(problem) for problem in PROBLEMS]
    rollouts = sample(sampler.model, prompts, torch.rand(200, 12, generator=torch.Generator().manual_seed(0)), 1.0, 1.0)
    last = [ids[length - 1].item() for ids, length in zip(rollouts.response, rollouts.mask.sum(dim=1), strict=True)]
    assert {257, 258} <= set(last)
    for ids, length, token, truncated in zip(
        rollouts.response.tolist(), rollouts.mask.sum(dim=1).tolist(), last, rollouts.truncated.tolist(), strict=True
    ):
        assert not {257, 258} & set(ids[: length - 1])
        assert truncated == (token not in (257, 258))
        assert not truncated or length == 12


def test_a_sample_depends_on_its_problem_and_number_alone(sampler):
    every = sampler.sample(PROBLEMS, 3)
    assert sampler.sample(PROBLEMS[3:4], 3) == every[9:12]
    assert sampler.sample(PROBLEMS[::-1], 2)[2:4] == every[9:11]


def test_seeds_differ_between_evaluations_problems_and_samples(sampler, checkpoint):
    seeds = {sample_seed(e, problem, k) for e in range(3) for problem in ("aime-1", "aime-11") for k in range(20)}
    assert len(seeds) == 120
    other = TorchSampler(str(checkpoint), with_settings(seed=1), "cpu")
    assert other.sample(PROBLEMS, 3) != sampler.sample(PROBLEMS, 3)


def test_samples_follow_the_tempered_nucleus(sampler, checkpoint):
    settings = with_settings(temperature=0.5, top_p=0.8, max_response_tokens=1)
    tokens = TorchSampler(str(checkpoint), settings, "cpu")
    tokens.ends = []  # so that every first token can be read from its text
    observed = pd.Series([response.text for response in tokens.sample(PROBLEMS[:1], 3000)]).value_counts() / 3000
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    logits = model(torch.tensor([sampler._prompt(PROBLEMS[0])])).logits[0, -1].double() / 0.5
    ordered, ids = logits.softmax(-1).sort(descending=True)
    size = int((ordered.cumsum(0) < 0.8).sum()) + 1
    expected = {}
    for probability, token in zip((ordered[:size] / ordered[:size].sum()).tolist(), ids[:size].tolist(), strict=True):
        text = sampler.tokenizer.decode([token])
        expected[text] = expected.get(text, 0.0) + probability
    assert size >= 3
    assert set(observed.index) <= set(expected)
    for text, probability in expected.items():
        assert abs(observed.get(text, 0.0) - probability) <= 4.5 * (probability * (1 - probability) / 3000) ** 0.5


def test_cold_sampling_is_greedy_decoding_of_the_checkpoint(checkpoint):
    cold = TorchSampler(str(checkpoint), with_settings(temperature=1e-4), "cpu")
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    for problem, response in zip(PROBLEMS, cold.sample(PROBLEMS, 1), strict=True):
        ids = torch.tensor([cold._prompt(problem)])
        mask = torch.ones_like(ids)
        greedy = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=12, pad_token_id=0)
        answer = greedy[0, ids.shape[1] :].tolist()
        assert response.tokens == len(answer)
        assert response.truncated == (answer[-1] not in (257, 258))
        assert response.text == cold.tokenizer.decode([token for token in answer if token not in (257, 258)])


def test_dropped_responses_leave_a_null_column_and_the_same_grades(sampler, tmp_path):
    kept = run(sampler, tmp_path / "kept")
    dropped = run(sampler, tmp_path / "dropped", settings=with_settings(keep_responses=False))
    assert list(dropped) == list(COLUMNS)
    assert dropped["response"].isna().all()
    assert kept["response"].notna().all()
    assert dropped.drop(columns="response").equals(kept.drop(columns="response"))


def test_grades_are_those_of_the_sampled_text(sampler, tmp_path):
    """A sampler whose answers are known: what is correct, what is missing, and what a lenient format accepts."""
    from real.models.chat import Response

    texts = [r"so</think>\boxed{7}", r"so</think>\boxed{8}", r"so \boxed{7}", "so</think>", "", r"\boxed{8}</think>7"]

    class Known(Counting):
        def sample(self, problems, samples):
            return [Response(text, 5, text == "") for text in texts]

    strict, lenient = (
        run(Known(sampler), tmp_path / str(i), PROBLEMS[:1], with_settings(samples=6, strict_format=format))
        for i, format in enumerate((True, False))
    )
    assert strict["status"].tolist() == ["exact", "wrong", "no_answer", "no_answer", "no_answer", "no_answer"]
    assert strict["correct"].tolist() == [True] + [False] * 5
    assert lenient["correct"].tolist() == [True, False, True, False, False, False]
    about = json.loads((tmp_path / "0" / "evaluation.json").read_text())["benchmarks"]["aime"]
    assert about["pass_at_1"] == pytest.approx(1 / 6)
    assert (about["truncated"], about["status"]) == (1, {"exact": 1, "no_answer": 4, "wrong": 1})
    assert about["ground_truths_not_understood"] == []


def test_problems_whose_ground_truths_are_not_understood_are_listed(sampler, tmp_path):
    truths = [("7",), (r"\frac{1",), ("7", r"\frac{1"), ("$(0,4]$",)]
    problems = [replace(PROBLEMS[0], problem_id=f"aime-{i}", ground_truths=texts) for i, texts in enumerate(truths)]
    run(Counting(sampler), tmp_path, problems, with_settings(samples=1))
    about = json.loads((tmp_path / "evaluation.json").read_text())["benchmarks"]["aime"]
    assert about["ground_truths_not_understood"] == ["aime-1", "aime-2"]


def test_flags_override_the_scale_and_the_scale_overrides_the_paper(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    scale = ["--config", "paper_configs/smoke.yaml", "--model", str(checkpoint), "--output", str(tmp_path)]
    assert main(["evaluate", *scale, "--benchmarks", "add3", "--samples", "2", "--any-format"]) == 0
    about = json.loads((tmp_path / "evaluation.json").read_text())
    assert about["model"] == str(checkpoint)
    assert about["settings"]["samples"] == 2
    assert about["settings"]["strict_format"] is False
    assert about["settings"]["max_response_tokens"] == 40  # the scale's, not the paper's 8192
    counts = about["benchmarks"]["add3"]
    assert len(pd.read_parquet(tmp_path / "add3.parquet")) == counts["samples"] == 16
    assert f"add3: pass@1 {counts['pass_at_1']:.3f} over 16 samples, " in capsys.readouterr().out


def test_a_family_of_the_task_without_its_scale_says_what_to_add():
    with pytest.raises(ConfigError, match=r"'mix4' belongs to the laptop's task; .* --config"):
        problems_of(["mix4"], None)


def test_the_tasks_problems_are_its_test_split(smoke):
    task = smoke.scale.task
    assert problems_of(["mix4"], task) == {"mix4": held_out_problems(0, 8, 4)["mix4", "test"]}


MIRROR = os.environ.get("REAL_DATASETS_MIRROR")


class Solving(Counting):
    """Boxes the right answer in the first sample of every problem, after what the model wrote."""

    def sample(self, problems, samples):
        responses = super().sample(problems, samples)
        for i, problem in enumerate(problems):
            written = responses[i * samples].text.replace("</think>", "")  # the released rules read up to the second
            answer = f"{written}</think>\\boxed{{{problem.ground_truths[0]}}}"
            responses[i * samples] = replace(responses[i * samples], text=answer)
        return responses


@pytest.mark.skipif(not MIRROR, reason="REAL_DATASETS_MIRROR names no folder with the real files")
@pytest.mark.parametrize("benchmark", MATH_BENCHMARKS)
def test_the_papers_test_sets_are_evaluated_as_they_are(sampler, tmp_path, benchmark):
    source = read_sources(ROOT / "datasets" / "sources.yaml")[benchmark]
    fetch(source, tmp_path / "raw", Path(MIRROR))
    prepare(source, tmp_path / "raw", tmp_path / "prepared")
    problems = load_problems(benchmark, tmp_path / "prepared", ROOT / "datasets" / "sources.yaml")
    rows = run(Solving(sampler), tmp_path / "out", problems, with_settings(samples=2, chunk_problems=16), benchmark)
    assert len(rows) == 2 * source.rows
    assert rows["problem_id"].tolist() == [problem.problem_id for problem in problems for _ in range(2)]
    assert rows["tokens"].between(1, 12).all()
    first, second = rows[rows["sample"] == 0], rows[rows["sample"] == 1]
    assert first["correct"].all(), first[~first["correct"]]
    assert not second["correct"].any()
