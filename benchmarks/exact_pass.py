"""What exactness costs: an update with and without REAL's extra pass, and what that is of a training step.

    python -m benchmarks.exact_pass torch                        # the torch engine's update, about a minute
    python -m benchmarks.exact_pass precision [--device cuda]    # objectives and weights against float64
    python -m benchmarks.exact_pass share                        # of a training step at the paper's geometry
    make exact-pass                                              # verl's worker on the CPU, about a minute

    # in the GPU environment, on one GPU of 80 GB
    torchrun --standalone --nproc-per-node=1 -m benchmarks.exact_pass verl --device cuda --shape 1.5b

REAL's gradient of a mini-batch needs every score of the mini-batch, so a pass without gradients comes before the
micro-batches' forward and backward passes (real/exact.py). *With* is the engine's own update. *Without* back-propagates
the very same weights, remembered from the pass, through the same rows and micro-batches, and steps the same optimizer:
what a trainer would do that knew the weights for nothing, so that the difference is the pass and nothing else. On verl
a third side is DAPO's update by verl's own loss, which needs no pass: what a baseline costs on the same rows.

All sides run in one process and take turns; the one that begins changes. The learning rate is 0, so that every turn
sees the same policy, although the optimizer does all of its work. Times are medians; a ratio is the median over turns
with a 95 % bootstrap interval. Where the last size is the whole mini-batch, the engines skip the pass. ``error`` is how
far the gradient with the pass is from that at the first size, norm over norm: the exactness that is paid for.

The CUDA part has not been run by us. `--device cpu` runs the same lines on a tiny model.
"""

import argparse
import random
import sys
from collections.abc import Callable

import torch

from benchmarks.exact_precision import print_precision
from benchmarks.turns import clock_of, milliseconds, ratio, relative_error, take_turns
from real.config import Run, load, resolve
from real.engines.torch.policy import build_policy, token_log_probs
from real.engines.torch.update import Batch, accumulate_gradient
from real.exact import surrogate
from real.models.device import prepare_torch
from real.objectives import make_objective
from real.planning.costs import exact_pass_share, load_costs
from real.tasks.arithmetic import VOCABULARY, TrainingPrompts, encode

DRIFT = 0.3  # standard deviation of the tokens' log-ratios, in nats


def some_mini_batch(run: Run, policy: torch.nn.Module) -> Batch:
    """A laptop-scale mini-batch of responses of the longest length; every group is two-sided, so all rows are live."""
    training, generator = run.training, torch.Generator().manual_seed(0)
    source = TrainingPrompts(run.task.training_families, 0, run.task.test_problems, run.task.validation_problems)
    texts = source.draw(training.mini_batch_prompts, random.Random(0))
    prompts = [encode(text) for text in texts for _ in range(training.rollouts)]
    shape = (len(prompts), training.max_response_tokens)
    response, mask = torch.randint(len(VOCABULARY), shape, generator=generator), torch.ones(shape)
    with torch.no_grad():
        log_prob = token_log_probs(policy, prompts, response, mask, training.temperature)
    old = log_prob - DRIFT * torch.randn(shape, generator=generator)
    group = torch.arange(training.mini_batch_prompts).repeat_interleave(training.rollouts)
    return Batch(prompts, response, mask, old, old, group, torch.arange(len(prompts)) % 2.0)


def torch_sides(run: Run, policy: torch.nn.Module, batch: Batch, size: int) -> dict[str, Callable[[], object]]:
    """An update with the pass, as the engine makes it, and one without, in micro-batches of ``size`` rows."""
    objective, temperature = make_objective("real"), run.training.temperature
    optimizer = torch.optim.AdamW(policy.parameters(), lr=0.0, fused=True)
    weights = accumulate_gradient(policy, batch, objective, 0.0, temperature, size).weights

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(policy.parameters(), run.training.gradient_clip)
        optimizer.step()

    def with_pass() -> None:
        optimizer.zero_grad()
        accumulate_gradient(policy, batch, objective, 0.0, temperature, size)
        step()

    def without_pass() -> None:
        optimizer.zero_grad()
        for rows in torch.arange(len(batch.prompts)).split(size):
            part = batch.select(rows)
            log_prob = token_log_probs(policy, part.prompts, part.response, part.mask, temperature)
            surrogate(log_prob, weights[rows]).backward()
        step()

    return {"with": with_pass, "without": without_pass}


def torch_engine(turns: int) -> None:
    """Print the table of the torch engine."""
    prepare_torch("cpu")
    run = resolve(load(["paper_configs/laptop.yaml"]), "real", 0)
    policy = build_policy(run.policy, 64, 0)
    batch = some_mini_batch(run, policy)
    print(f"torch engine, torch {torch.__version__}, one thread, {turns} turns: {len(batch.prompts)} rows of 40 tokens")
    print("rows per micro-batch | with, CPU ms | without, CPU ms | with / without | error")
    first = None
    for size in (8, 16, 32, len(batch.prompts)):
        sides = torch_sides(run, policy, batch, size)
        seconds = take_turns(sides, turns, clock_of("cpu"))
        sides["with"]()
        gradient = [parameter.grad.clone() for parameter in policy.parameters()]
        first = first or gradient
        cells = [milliseconds(seconds[name]) for name in ("with", "without")]
        error = f"{relative_error(gradient, first):.1e}"
        print(size, *cells, ratio(seconds["with"], seconds["without"]), error, sep=" | ", flush=True)


def share_of_a_step() -> None:
    """Print what the pass adds to a training step at the paper's geometry, and from what that follows."""
    costs = load_costs()
    share = costs.update_share
    print(f"updates take {share.low:.0%} to {share.high:.0%} of a step: {share.source}")
    for name in ("1.5b", "7b"):
        scale = load([f"paper_configs/{name}.yaml"]).scale
        training, checkpointing = scale.training, scale.cluster.gradient_checkpointing
        updates = training.prompts // training.mini_batch_prompts
        part = "1/4" if checkpointing else "1/3"
        added = exact_pass_share(training, checkpointing, costs) * 100
        print(
            f"{name}: {updates - 1} of {updates} mini-batches need the pass, a forward pass is {part} of an update's "
            f"FLOPs: the pass adds {added.low:.1f} to {added.high:.1f} % to a step"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    engine = verbs.add_parser("torch", help="the torch engine's update")
    engine.add_argument("--turns", type=int, default=30)
    precision = verbs.add_parser("precision", help="objectives and weights against float64")
    precision.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    precision.add_argument("--response-tokens", type=int, default=4000)
    verbs.add_parser("share", help="the pass's share of a training step, by arithmetic")
    verl = verbs.add_parser("verl", help="verl's worker; under torchrun, in an environment that has verl")
    verl.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    verl.add_argument("--shape", choices=("tiny", "1.5b"), default="tiny", help="of a randomly initialised model")
    verl.add_argument("--prompt-tokens", type=int, help="of every row (tiny: 10, 1.5b: 256)")
    verl.add_argument("--response-tokens", type=int, help="of every row (tiny: 40, 1.5b: 4000)")
    verl.add_argument("--rows", type=int, nargs="+", help="rows per micro-batch (tiny: 4 8 16 32, 1.5b: 1 2 4 8)")
    # 32 rows: what each of the paper's eight GPUs has of a mini-batch
    verl.add_argument("--groups", type=int, default=4, help="of 8 rows each")
    verl.add_argument(
        "--attention", nargs="+", default=["sdpa"], help="transformers' names of kernels, as cluster.attention"
    )
    verl.add_argument(
        "--head", choices=("logits", "torch", "triton"), default="logits", help="or verl's fused linear cross-entropy"
    )
    verl.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    if options.verb == "torch":
        torch_engine(options.turns)
    elif options.verb == "precision":
        print_precision(options.device, options.response_tokens)
    elif options.verb == "share":
        share_of_a_step()
    else:
        try:
            from benchmarks.exact_pass_verl import verl_worker
        except ImportError as missing:
            sys.exit(
                f"verl's worker needs packages that this environment lacks ({missing.name}); use `make exact-pass`"
            )
        for at, row in enumerate(verl_worker(options)):
            if at == 0:
                print(*row, sep=" | ")
            print(*row.values(), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
