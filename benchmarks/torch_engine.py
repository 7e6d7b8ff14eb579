"""The torch engine's speed: against TRL's GRPOTrainer, against ``model.generate``, and on a larger model's shape.

    python -m benchmarks.torch_engine            # a freshly initialised laptop-scale policy
    python -m benchmarks.torch_engine --model base=results/laptop/base/model \\
        --model trained=results/laptop/runs/real/seed0/model           # policies that stop at <eos>
    python -m benchmarks.torch_engine --large    # an update of a model of SmolLM2-135M's shape, about five minutes
    python -m benchmarks.torch_engine --try-peer-settings    # which of TRL's settings is fastest here

Measured: generated tokens per CPU-second, on one thread, of whole outer steps: prompts, 32 x 8 rollouts of at most 40
tokens, grading, log-probs, four AdamW updates of 64 rollouts, metrics. Both sides start from one checkpoint, get the
same prompts in the same order, and share objective (GRPO, clip 0.2), temperature, optimizer and gradient clip. They
take turns step by step in one process, so that both meet the same machine; products are OpenBLAS's in the engine's
turns and MKL's in the peer's. Medians, minima and maxima, of ratios too, are over turns. ``WARM_UP`` turns don't count,
nor does a turn in which torch_compile compiled: compilation is apart.

Equal lengths: both sides are told that <eos> is an id the model has no logit for, so every response has exactly
40 tokens and neither side pays for a logits processor; rewards alternate, so that every row has a gradient.
That is the harder case for the engine, which otherwise drops finished rows, pads less and doesn't back-propagate
one-sided groups. ``--model`` adds runs that stop at <eos>, counted up to and including it, with graded rewards.

``--large``: forward and backward pass of 16 rows, 2 prompts of 93 tokens x 8 rollouts of 11, by the lean forward, which
computes a prompt once for its rollouts, and by transformers' with a prompt per row, the same random weights in both.

The share of the limit: floating-point operations of matrix products in a step, as torch counts them, per second, over
those of the best matrix product of the step's own widths.

Left out: set-up, imports, checkpoints, validation (nothing of TRL's compares), vLLM (a server is no laptop's CPU
thread). Left in, as GRPOTrainer has no switch for it: a pass of its own for log pi_old, which the engine's sampler
returns. Nothing here asserts a speed.
"""

import argparse
import ctypes
import platform
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.trl_steps import (
    NEVER,
    PEER_SETTINGS,
    TURNS,
    Lap,
    Laps,
    as_the_engine_does,
    as_the_peer_would,
    engine_steps,
    sampling,
    steps,
    trl,
)
from benchmarks.turns import clock_of, take_turns
from real.config import Run, load, resolve
from real.engines.torch.policy import build_policy, load_checkpoint, save_checkpoint, token_log_probs
from real.models.device import prepare_torch
from real.models.lean import LeanModel, Model
from real.models.shapes import read_shape

PEERS = ("plain", "torch_compile")
# sizes of SmolLM2-135M
LARGE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 49_152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
}

# kinds of torch operators; the first match counts
KINDS = {
    "matrix products": r"aten::(mm|addmm|bmm|baddbmm)$",
    "attention kernels (matrix products, softmax)": r"aten::_?(scaled_dot_product|softmax|safe_softmax)",
    "concatenation (key-value cache, rotary halves)": r"aten::cat$",
    "copies, indexing, views, fills": r"aten::(copy_|clone|contiguous|_?to|fill_|zero|_?index|gather|scatter|select|"
    r"slice|pad|constant_pad|as_strided|view|_unsafe_view|reshape|transpose|t$|expand|empty|repeat|embedding|masked_fill|"
    r"new_|where|narrow|split|unsqueeze|squeeze|detach|alias|ones|full|arange|linear$|matmul$)",
    "optimizer": r"aten::_(fused|foreach)|Optimizer",
    "element-wise, reductions, random numbers": r"aten::",
    "autograd's bookkeeping": r"",
}


def compare(title: str, rows: int, laps: Laps) -> None:
    """Print rates of the engine and a peer, and their ratio."""
    clean = [pair for pair in laps if not any(lap.compiled for lap in pair)]
    if not clean:
        print(f"{title:58} every turn compiled something")
        return
    sides = list(zip(*clean, strict=True))
    length = " / ".join(f"{mean(lap.tokens for lap in side) / rows:.1f}" for side in sides)
    rates = "".join(f"{spread([lap.rate for lap in side]):>23}" for side in sides)
    ratios = spread([engine.rate / peer.rate for engine, peer in clean])
    left_out = f"  ({len(laps) - len(clean)} turns compiled)" if len(clean) < len(laps) else ""
    print(f"{title:58}{length:>13}{rates}{ratios:>22}{left_out}", flush=True)


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def shares(name: str, laps: Sequence[Lap]) -> None:
    """Print where the time of the fastest step goes; in others the profiler's own memory faults in."""
    lap = min(laps, key=lambda lap: lap.wall)
    seconds = dict.fromkeys(KINDS, 0.0)
    for event in lap.trace.key_averages() if lap.trace else []:
        kind = next(kind for kind, pattern in KINDS.items() if re.match(pattern, event.key))
        seconds[kind] += event.self_cpu_time_total / 1e6
    seconds["outside torch: Python, tokenizer, grader"] = lap.wall - sum(seconds.values())
    print(f"\n{name}: a step of {lap.wall:.2f} s, under the profiler")
    for kind, spent in seconds.items():
        print(f"  {kind:50}{spent / lap.wall:6.1%}")


def share_of_the_limit(run: Run, checkpoint: Path) -> None:
    """Print what part of the processor's rate of matrix products an outer step reaches."""
    made = engine_steps(run, checkpoint)
    next(made)
    spent = []
    for _ in range(TURNS):
        begin = time.process_time()
        next(made)
        spent.append(time.process_time() - begin)
    with FlopCounterMode(display=False) as counter:
        next(made)
    operations = counter.get_total_flops()
    limit = max(matrix_rate(rows, inner, outer) for rows, inner, outer in product_shapes(run))
    reached = operations / median(spent)
    print(
        f"matrix products of a step: {operations / 1e9:.1f} GFLOP in {median(spent):.3f} CPU-s, {reached / 1e9:.0f} "
        f"GFLOP/s, {reached / limit:.0%} of the {limit / 1e9:.0f} GFLOP/s of the best product of these widths"
    )


def product_shapes(run: Run) -> list[tuple[int, int, int]]:
    """(rows, inner, outer) of the products of an update's packed tokens with the policy's weights."""
    width, wide = run.policy.hidden_size, run.policy.feed_forward_size
    tokens = run.training.mini_batch_prompts * run.training.rollouts * run.training.max_response_tokens
    return [(rows, inner, outer) for rows in (256, tokens) for inner, outer in ((width, 2 * wide), (wide, width))]


def matrix_rate(rows: int, inner: int, outer: int) -> float:
    """Floating-point operations per CPU-second of one matrix product; the best of many."""
    left, right = torch.randn(rows, inner), torch.randn(inner, outer)
    best = float("inf")
    for _ in range(200):
        begin = time.process_time()
        for _ in range(10):
            torch.mm(left, right)
        best = min(best, (time.process_time() - begin) / 10)
    return 2 * rows * inner * outer / best


def large_update() -> None:
    """Print the ratio of an update of a larger model by the lean forward and by transformers'."""
    shape = read_shape(LARGE)
    assert shape is not None
    torch.manual_seed(0)
    lean = LeanModel(shape, LARGE)
    library = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**LARGE), dtype=torch.float32)
    lean.load_state_dict(library.state_dict(), strict=False)
    lean.tie()
    prompts = [row for row in torch.randint(shape.vocabulary, (2, 93)).tolist() for _ in range(8)]
    response = torch.randint(shape.vocabulary, (16, 11))

    def update(model: Model, prepare: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            prepare()
            model.zero_grad()
            token_log_probs(model, prompts, response, torch.ones(16, 11), 1.0).sum().backward()

        return run

    sides = {"real": update(lean, as_the_engine_does), "transformers": update(library, as_the_peer_would)}
    seconds = take_turns(sides, TURNS, clock_of("cpu"))
    ratios = [a / b for a, b in zip(seconds["transformers"], seconds["real"], strict=True)]
    print(
        f"update of 134.5M parameters, 16 rows of 93 + 11 tokens, CPU-seconds: real {spread(seconds['real'])}, "
        f"transformers with a prompt per row {spread(seconds['transformers'])}, ratio {spread(ratios)}"
    )


def keep_memory() -> None:
    """Tell glibc to keep freed memory, so that one side's page faults don't depend on what the other left behind."""
    if platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_threshold = ctypes.CDLL(None), -1, -3  # parameters of mallopt(3)
        libc.mallopt(mmap_threshold, 1 << 25)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def all_cases(run: Run, models: dict[str, Path], folder: Path) -> None:
    """Print the tables against TRL and ``generate``."""
    no_kl = run.model_copy(update={"settings": run.settings.model_copy(update={"kl_coefficient": 0.0})})
    rows = run.training.prompts * run.training.rollouts
    endless = folder / "endless"
    print("thousand tokens per CPU-second, median [minimum, maximum]\n")
    print(f"{'':58}{'tokens':>13}{'real':>23}{'peer':>23}{'ratio':>22}")
    for case, checkpoint in {
        "40 tokens": endless,
        **{f"{name} up to <eos>": at for name, at in models.items()},
    }.items():
        for peer in PEERS:
            compare(f"{case}, step without KL / TRL, {peer}", rows, steps(no_kl, checkpoint, peer))
        compare(f"{case}, step with KL / TRL, plain", rows, steps(run, checkpoint, "plain"))
        for cache in ("dynamic", "static"):
            compare(f"{case}, sampling / generate, {cache} cache", rows, sampling(run, checkpoint, cache))
    for case, checkpoint in {"40 tokens": endless, **models}.items():
        print(f"\n{case}: ", end="")
        share_of_the_limit(no_kl, checkpoint)
    for name, laps in zip(("real", "TRL"), zip(*steps(no_kl, endless, "plain", traced=True), strict=True), strict=True):
        shares(name, laps)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help="a checkpoint; repeatable")
    parser.add_argument("--large", action="store_true", help="only the update of a larger model")
    parser.add_argument("--try-peer-settings", action="store_true", help="only every entry of PEER_SETTINGS")
    options = parser.parse_args()
    keep_memory()
    device = prepare_torch("cpu")
    transformers.utils.logging.set_verbosity_error()  # it warns of the <eos> outside the vocabulary
    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, trl {trl.__version__}, one thread",
        flush=True,
    )
    if options.large:
        large_update()
        return
    models = {name: Path(folder) for name, _, folder in (given.partition("=") for given in options.model)}
    run = resolve(load(["paper_configs/laptop.yaml"]), "grpo", 0)
    with tempfile.TemporaryDirectory() as folder:
        model = load_checkpoint(next(iter(models.values())), device) if models else build_policy(run.policy, 64, 0)
        model.config.eos_token_id = model.generation_config.eos_token_id = NEVER
        save_checkpoint(model, Path(folder) / "endless")
        if options.try_peer_settings:
            no_kl = run.model_copy(update={"settings": run.settings.model_copy(update={"kl_coefficient": 0.0})})
            for name in PEER_SETTINGS:
                rows = run.training.prompts * run.training.rollouts
                compare(f"40 tokens, step without KL / TRL, {name}", rows, steps(no_kl, Path(folder) / "endless", name))
            return
        all_cases(run, models, Path(folder))


if __name__ == "__main__":
    main()
