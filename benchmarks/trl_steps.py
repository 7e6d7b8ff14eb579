"""Outer steps of the torch engine and of TRL's GRPOTrainer, and sampling of both, in turns; for torch_engine.py."""

import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile
from transformers import GenerationConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast, TrainerCallback

from real.config import Run
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import load_checkpoint
from real.engines.torch.train import collect, step_metrics, update
from real.grading import grade_many
from real.models.batched_sampler import sample
from real.models.checkpoints import load_model
from real.models.device import prepare_torch
from real.models.products import give_back_mkl, take_openblas
from real.objectives import make_objective
from real.tasks.arithmetic import VOCABULARY, TrainingPrompts, answer_of, encode

try:
    import datasets
    import trl
except ImportError:
    sys.exit("The benchmark's peer is missing: pip install -r benchmarks/requirements.txt (see benchmarks/README.md)")

WARM_UP, TURNS = 2, 12
# an <eos> that can't be sampled: the first id after the vocabulary
NEVER = len(VOCABULARY)

# documented settings of GRPOConfig that could matter on a CPU; outcome in benchmarks/README.md
PEER_SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "half batches": {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 2, "steps_per_generation": 8},
    "eager attention": {"model_init_kwargs": {"attn_implementation": "eager"}},
    "static cache": {"cache_implementation": "static"},
    "torch_compile": {"torch_compile": True},
    "continuous batching": {"use_transformers_continuous_batching": True},
}


@dataclass
class Lap:
    """CPU time of one step, its wall time (the profiler's clock), its tokens and, where asked for, its trace.

    Attributes:
        compiled: torch compiled something meanwhile, in processes whose CPU time isn't counted here.
    """

    tokens: int
    seconds: float
    wall: float
    trace: profile | None
    compiled: bool

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds / 1000


class Timer:
    def __init__(self, traced: bool = False):
        self.traced = traced

    def start(self) -> None:
        self.trace = profile(activities=[ProfilerActivity.CPU]) if self.traced else None
        if self.trace:
            self.trace.start()
        self.graphs = counters["stats"]["unique_graphs"]
        self.begin, self.begin_wall = time.process_time(), time.perf_counter()

    def stop(self, tokens: int) -> Lap:
        seconds, wall = time.process_time() - self.begin, time.perf_counter() - self.begin_wall
        if self.trace:
            self.trace.stop()
        return Lap(tokens, seconds, wall, self.trace, counters["stats"]["unique_graphs"] > self.graphs)


Laps = list[tuple[Lap, Lap]]


class Turns(TrainerCallback):
    """After every outer step of the peer's trainer, lets the engine make one."""

    def __init__(self, engine: Iterator[int], updates: int, traced: bool):
        self.engine, self.updates, self.timer = engine, updates, Timer(traced)
        self.tokens = 0
        self.laps: Laps = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.updates == 0:
            as_the_peer_would()
            self.timer.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.updates == 0:
            peer = self.timer.stop(self.tokens)
            as_the_engine_does()
            self.timer.start()
            self.laps.append((self.timer.stop(next(self.engine)), peer))


def engine_steps(run: Run, checkpoint: Path) -> Iterator[int]:
    """Outer steps as ``real.engines.torch.train.train`` makes them; yields the tokens of each."""
    device = prepare_torch("cpu")
    training, settings = run.training, run.settings
    model = load_checkpoint(checkpoint, device)
    reference = load_checkpoint(checkpoint, device).requires_grad_(False) if settings.kl_coefficient > 0 else None
    objective = make_objective(settings.objective, **settings.hyperparameters)
    optimizer = AdamW(model.parameters(), (0.9, 0.999), training.weight_decay)
    prompts = training_prompts(run)
    for step in itertools.count(1):
        batch, rollouts = collect(model, reference, prompts, run, step)
        if is_endless(checkpoint):
            batch.reward = torch.tensor(alternating(len(batch.prompts)))
        seen = update(model, optimizer, objective, batch, run, step)
        step_metrics(rollouts, batch, seen, run, step)
        yield int(rollouts.mask.sum())


def steps(run: Run, checkpoint: Path, setting: str, traced: bool = False) -> Laps:
    """Outer steps of the engine and, in turn, of GRPOTrainer."""
    training, settings = run.training, run.settings
    updates = training.prompts // training.mini_batch_prompts
    turns = Turns(engine_steps(run, checkpoint), updates, traced)

    def reward(prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        turns.tokens = sum(map(len, completion_ids))
        if is_endless(checkpoint):
            return alternating(len(completions))
        answers = [answer_of(prompt) for prompt in prompts]
        return [float(grade.correct) for grade in grade_many(completions, answers, processes=1, strict_format=True)]

    batches = {
        "per_device_train_batch_size": training.mini_batch_prompts * training.rollouts,
        "gradient_accumulation_steps": 1,
        "steps_per_generation": updates,
    }
    rollouts = {"num_generations": training.rollouts, "max_completion_length": training.max_response_tokens}
    loss = {"loss_type": "grpo", "epsilon": settings.hyperparameters["clip_low"], "beta": settings.kl_coefficient}
    rate = {"learning_rate": training.learning_rate, "lr_scheduler_type": "constant_with_warmup"}
    optimizer = {"optim": "adamw_torch_fused", "weight_decay": training.weight_decay}
    limits = {"warmup_steps": training.warmup_steps * updates, "max_grad_norm": training.gradient_clip}
    plain = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "use_bias_correction_kl": False}
    quiet = {"logging_strategy": "no", "save_strategy": "no", "report_to": [], "disable_tqdm": True}
    with tempfile.TemporaryDirectory() as output:
        config = trl.GRPOConfig(
            output_dir=output,
            max_steps=(WARM_UP + TURNS) * updates,
            shuffle_dataset=False,
            temperature=training.temperature,
            **(rollouts | loss | rate | optimizer | limits | plain | quiet | batches | PEER_SETTINGS[setting]),
        )
        rows = [{"prompt": prompt} for step in range(1, WARM_UP + TURNS + 1) for prompt in texts(run, step)]
        trainer = trl.GRPOTrainer(
            model=str(checkpoint),
            reward_funcs=reward,
            args=config,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=peer_tokenizer(checkpoint),
            callbacks=[turns],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        torch.compiler.reset()
        trainer.train()
    return turns.laps[WARM_UP:]


def sampling(run: Run, checkpoint: Path, cache: str) -> Laps:
    """``sample``, which also returns log-probs and entropies, and in turn ``generate``, which doesn't."""
    model = load_checkpoint(checkpoint, prepare_torch("cpu"))
    peer_model = load_model(checkpoint, dtype=torch.float32).eval()
    training, tokenizer = run.training, peer_tokenizer(checkpoint)
    limit, temperature = training.max_response_tokens, training.temperature
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    options = {"do_sample": True, "temperature": temperature, "top_k": 0, "cache_implementation": cache}
    config = GenerationConfig(max_new_tokens=limit, eos_token_id=eos, pad_token_id=pad, **options)
    timer, laps = Timer(), []
    for turn in range(WARM_UP + TURNS):
        prompts = texts(run, turn + 1)
        torch.manual_seed(turn)
        as_the_peer_would()
        timer.start()
        repeated = [prompt for prompt in prompts for _ in range(training.rollouts)]
        rows = tokenizer(repeated, padding=True, return_tensors="pt")
        inputs = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
        response = peer_model.generate(**inputs, generation_config=config)[:, inputs["input_ids"].shape[1] :]
        ended = (response == eos).int()
        peer = timer.stop(int((ended.cumsum(dim=1) - ended == 0).sum()))

        as_the_engine_does()
        timer.start()
        uniform = torch.rand(len(repeated), limit, generator=torch.Generator().manual_seed(turn))
        rollouts = sample(model, [encode(prompt) for prompt in prompts], uniform, temperature, 1.0)
        laps.append((timer.stop(int(rollouts.mask.sum())), peer))
    return laps[WARM_UP:]


def as_the_peer_would() -> None:
    """torch as it is: deterministic kernels and OpenBLAS's products are the engine's choice."""
    torch.use_deterministic_algorithms(False)
    give_back_mkl()


def as_the_engine_does() -> None:
    """See there; but for kernels that the processor chooses, which both sides have."""
    torch.use_deterministic_algorithms(True)
    take_openblas()


def training_prompts(run: Run) -> TrainingPrompts:
    task = run.task
    return TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)


def texts(run: Run, step: int) -> list[str]:
    """The prompts ``collect`` draws for an outer step."""
    return training_prompts(run).draw(run.training.prompts, random.Random(f"prompts {run.seed} {step}"))


def is_endless(checkpoint: Path) -> bool:
    """Whether no response of the checkpoint can end before the limit."""
    return GenerationConfig.from_pretrained(checkpoint).eos_token_id == NEVER


def alternating(count: int) -> list[float]:
    """Rewards that make every group two-sided, so that the engine can leave out no row's backward pass."""
    return [float(row % 2) for row in range(count)]


def peer_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """The tokenizer, with an <eos> outside the vocabulary where the checkpoint has one."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(checkpoint)
    if is_endless(checkpoint):
        tokenizer.add_special_tokens({"eos_token": "<never>"})
    return tokenizer
