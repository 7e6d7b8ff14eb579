"""Evaluation: rows follow from checkpoint, problems and settings alone, survive interruption; mistakes are named."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from real.arithmetic import held_out_problems
from real.checkpoints import CheckpointError
from real.command_line import main
from real.config import PAPER_EVALUATION, ConfigError
from real.data import load_problems, prepare
from real.evaluate import COLUMNS, evaluate, problems_of
from real.problems import MATH_BENCHMARKS, Problem
from real.sampling import sample_seed
from real.sources import fetch, read_sources
from real.torch_engine.sampler import sample
from real.torch_engine.transformers_sampler import TransformersSampler
from real.torch_engine.work_folder import FolderInUseError, hold

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = PAPER_EVALUATION.model_copy(
    update={"samples": 3, "max_response_tokens": 12, "chunk_problems": 2, "temperature": 1.0}
)
SPECIAL = ("<pad>", "<eos>", "<|turn|>", "<think>", "</think>")
CONTEXT = 5000


def with_settings(**changes):
    return SETTINGS.model_copy(update=changes)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token per byte and five special ones, without padding token; the template opens the thinking."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.add_special_tokens(list(SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}<|turn|>{% endfor %}"
        "{% if add_generation_prompt %}<think>{% endif %}"
    )
    return tokenizer


def write_checkpoint(folder: Path, seed: int) -> Path:
    """A random Qwen2 whose responses end early, and often close their thinking."""
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer()
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=CONTEXT, eos_token_id=257, **shape
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = [257, 258]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)
        model.lm_head.weight[257:] *= 4.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("random") / "model", seed=0)


@pytest.fixture(scope="module")
def sampler(checkpoint) -> TransformersSampler:
    return TransformersSampler(str(checkpoint), SETTINGS, "cpu")


def asking(*texts: str, benchmark: str = "aime") -> list[Problem]:
    return [
        Problem(f"{benchmark}-{i}", benchmark, ({"role": "user", "content": text},), ("7",), "test")
        for i, text in enumerate(texts)
    ]


PROBLEMS = asking("What is 3 + 4?", "Σ of 1?", "x²", "a longer question than the others", r"\frac{7}{1}")


def run(sampler, output: Path, problems=PROBLEMS, settings=SETTINGS, benchmark="aime") -> pd.DataFrame:
    evaluate(sampler, {benchmark: problems}, settings, output, output / ".partial", processes=1)
    return pd.read_parquet(output / f"{benchmark}.parquet")


def files(folder: Path) -> dict[str, bytes]:
    """Content by name, but for the work folder and the provenance, which tells times."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "provenance.json"]
    return {path.name: path.read_bytes() for path in paths}


def test_rows_of_the_laptop_task_follow_the_contract(base_folder, smoke, tmp_path):
    settings, task = smoke.scale.evaluation, smoke.scale.task
    laptop = TransformersSampler(str(base_folder[1] / "base" / "model"), settings, "cpu")
    problems = problems_of(["mix4", "add3"], task)
    evaluate(laptop, problems, settings, tmp_path / "out", tmp_path / "work", processes=1)
    assert sorted(files(tmp_path / "out")) == ["add3.parquet", "evaluation.json", "mix4.parquet"]
    assert not (tmp_path / "work").exists()
    rows = pd.read_parquet(tmp_path / "out" / "mix4.parquet")
    assert list(rows) == list(COLUMNS)
    assert rows["problem_id"].tolist() == [problem.problem_id for problem in problems["mix4"] for _ in range(4)]
    assert rows["sample"].tolist() == [0, 1, 2, 3] * task.test_problems
    assert rows["correct"].equals(rows["status"] == "exact")
    # a token of the 31 per piece of the text, and <eos> unless the limit came first
    assert [len(laptop.tokenizer(text)["input_ids"]) for text in rows["response"]] == (
        rows["tokens"] - ~rows["truncated"]
    ).tolist()
    assert rows["tokens"].max() <= settings.max_response_tokens
    assert not rows["response"].str.contains("<eos>|<pad>").any()


def test_a_prompt_is_the_chat_template_with_the_assistants_turn_opened(sampler):
    assert byte_tokenizer().decode(sampler._prompt(PROBLEMS[1])) == "user: Σ of 1?<|turn|><think>"


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
    other = TransformersSampler(str(checkpoint), with_settings(seed=1), "cpu")
    assert other.sample(PROBLEMS, 3) != sampler.sample(PROBLEMS, 3)


def test_samples_follow_the_tempered_nucleus(sampler, checkpoint):
    settings = with_settings(temperature=0.5, top_p=0.8, max_response_tokens=1)
    tokens = TransformersSampler(str(checkpoint), settings, "cpu")
    tokens.ends = []  # so that every first token can be read from its text
    observed = pd.Series([response.text for response in tokens.sample(PROBLEMS[:1], 3000)]).value_counts() / 3000
    logits = sampler.model(torch.tensor([sampler._prompt(PROBLEMS[0])])).logits[0, -1].double() / 0.5
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
    cold = TransformersSampler(str(checkpoint), with_settings(temperature=1e-4), "cpu")
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    for problem, response in zip(PROBLEMS, cold.sample(PROBLEMS, 1), strict=True):
        ids = torch.tensor([cold._prompt(problem)])
        mask = torch.ones_like(ids)
        greedy = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=12, pad_token_id=0)
        answer = greedy[0, ids.shape[1] :].tolist()
        assert response.tokens == len(answer)
        assert response.truncated == (answer[-1] not in (257, 258))
        assert response.text == cold.tokenizer.decode([token for token in answer if token not in (257, 258)])


class StopError(Exception):
    """Stands for a kill before a chunk is finished."""


class Counting:
    """A sampler that notes what it samples, and stops before chunk ``stop_at``."""

    def __init__(self, sampler, stop_at: int | None = None):
        self.name, self.identity, self.check = sampler.name, sampler.identity, sampler.check
        self.inner, self.stop_at, self.chunks = sampler, stop_at, []

    def sample(self, problems, samples):
        if len(self.chunks) == self.stop_at:
            raise StopError
        self.chunks.append([problem.problem_id for problem in problems])
        return self.inner.sample(problems, samples)


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
    other = TransformersSampler(str(write_checkpoint(tmp_path / "model", seed=1)), SETTINGS, "cpu")
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


def test_dropped_responses_leave_a_null_column_and_the_same_grades(sampler, tmp_path):
    kept = run(sampler, tmp_path / "kept")
    dropped = run(sampler, tmp_path / "dropped", settings=with_settings(keep_responses=False))
    assert list(dropped) == list(COLUMNS)
    assert dropped["response"].isna().all()
    assert kept["response"].notna().all()
    assert dropped.drop(columns="response").equals(kept.drop(columns="response"))


def test_grades_are_those_of_the_sampled_text(sampler, tmp_path):
    """A sampler whose answers are known: what is correct, what is missing, and what a lenient format accepts."""
    from real.sampling import Response

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


def test_an_unreachable_hub_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"nobody/nothing: no such folder, and the Hugging Face hub gave nothing"):
        TransformersSampler("nobody/nothing", SETTINGS, "cpu")


def command(checkpoint: Path, output: Path, *flags: str) -> list[str]:
    """The evaluation of 24 problems of the laptop's task in 24 chunks, by a random model."""
    settings = ["--benchmarks", "add3,mix6,mul3", "--chunk-problems", "1", "--max-response-tokens", "40", *flags]
    config = ["--config", "paper_configs/smoke.yaml", "--model", str(checkpoint), "--output", str(output)]
    return [sys.executable, "-m", "real", "evaluate", *config, *settings]


@pytest.mark.slow
def test_a_killed_process_is_resumed_by_the_same_command_to_identical_bytes(checkpoint, tmp_path):
    killed = subprocess.Popen(command(checkpoint, tmp_path / "a"), cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("a/.partial/chunks-*/add3-3-*.chunk")) and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (tmp_path / "a" / ".partial").exists(), "it was killed before its end"
    done = subprocess.run(command(checkpoint, tmp_path / "a"), cwd=ROOT, text=True, capture_output=True, check=True)
    whole = subprocess.run(command(checkpoint, tmp_path / "b"), cwd=ROOT, text=True, capture_output=True, check=True)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert whole.stdout.count(" chunk ") == 24 > done.stdout.count(" chunk ")
    assert whole.stdout.count("pass@1") == 3


def copied(checkpoint: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no Hugging Face checkpoint"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights as *.safetensors; pickled"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), "could not be loaded as a causal"),
        (lambda folder: (folder / "config.json").write_text("{}"), "could not be loaded as a causal language model"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "its tokenizer has no chat template"),
        (
            lambda folder: save_file(
                {k: v for k, v in load_file(folder / "model.safetensors").items() if k != "lm_head.weight"},
                folder / "model.safetensors",
                {"format": "pt"},
            ),
            "holds no weights for 1 of the model's parameters, lm_head.weight among them",
        ),
    ],
    ids=["no config", "no weights", "damaged weights", "no model", "no chat template", "weights missing"],
)
def test_an_unusable_checkpoint_is_one_sentence(checkpoint, tmp_path, spoil, sentence):
    folder = copied(checkpoint, tmp_path / "model")
    spoil(folder)
    with pytest.raises(CheckpointError) as error:
        TransformersSampler(str(folder), SETTINGS, "cpu")
    assert str(error.value).startswith(f"{folder}: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_prompt_that_does_not_fit_stops_before_any_sampling(sampler, tmp_path):
    long = asking("x" * (CONTEXT - 12 - len("user: ") - 2), "x" * (CONTEXT - 12 - len("user: ") - 1))
    sampler.check(long[:1])
    sentence = rf"aime-1 has {CONTEXT - 11} tokens .* limit is 12, .* context of {CONTEXT}; .* to at most 11"
    with pytest.raises(ConfigError, match=sentence):
        run(sampler, tmp_path / "out", long)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_another_model_is_named(sampler, monkeypatch):
    monkeypatch.setattr(sampler.model.config, "vocab_size", 259)
    with pytest.raises(CheckpointError, match="token 259, but its model has 259 embeddings"):
        sampler.check(PROBLEMS)


def test_a_chunk_too_large_for_the_device_says_which_key_to_lower(sampler, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("real.torch_engine.transformers_sampler.sample", out_of_memory)
    with pytest.raises(ConfigError, match="chunk_problems is 2: 6 responses of up to 12 tokens"):
        sampler.sample(PROBLEMS[:2], 3)


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
