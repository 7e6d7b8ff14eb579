"""Which kernels the trainer runs: attention over packed rows, and the head that makes log-probs of hidden states.

    python -m real.engines.verl.kernels CHECKPOINT cuda bfloat16    # why each of ATTENTIONS but the last can't be used

``cluster.attention: auto`` takes the first of ATTENTIONS that passes a trial when the job starts: a forward and a
backward pass of one layer of the checkpoint's shape over two packed rows. Its gradient must be that of the rows by
themselves. The trial is a process of its own, so that nothing of it stays on the GPU. ``cluster.head: auto`` takes the
fused head. Head and attention change the gradient by rounding alone (tests/verl/test_exactness.py).
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from real.config import VerlRun
from real.engines.verl.hooks import VerlError
from real.models.checkpoints import first_line

# the best first. flash_attention_2: of flash-attn or, where that is missing, of the package `kernels`
ATTENTIONS = ("flash_attention_2", "flex_attention", "sdpa")
# verl's own linear cross entropy: its Triton kernel, and what the same is called on a CPU
FUSED_BACKENDS = {"cuda": "triton", "cpu": "torch"}
# tokens: sdpa's mask over a pack grows with the square of its length (benchmarks/README.md)
SDPA_PACK = 9216
TRIAL_ROWS, TRIAL_WORDS, TRIAL_SECONDS = (192, 64), 64, 300
# largest relative difference of a gradient; kernels that mix the rows are off by about 1
TRIAL_TOLERANCE = {"bfloat16": 0.05, "float32": 1e-3}


@dataclass(frozen=True)
class Kernels:
    """What the trainer runs.

    Attributes:
        attention: as transformers calls it; head: ``fused`` or ``logits``.
        micro_batch_tokens: at once per GPU; None: rows are counted instead.
        passed_over: why a better attention was not taken.
    """

    attention: str
    head: str
    micro_batch_tokens: int | None
    passed_over: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What the log says at the start."""
        head = {"fused": "fused with its loss", "logits": "logits, then verl's log-probs"}[self.head]
        pack = f", {self.micro_batch_tokens:,} tokens at once" if self.micro_batch_tokens else ""
        why = f" ({'; '.join(self.passed_over)})" if self.passed_over else ""
        return f"attention: {self.attention}{why}; head: {head}{pack}"

    def record(self) -> dict[str, Any]:
        """What provenance.json has."""
        return {**asdict(self), "passed_over": list(self.passed_over)}


def choose(run: VerlRun, base: Path) -> Kernels:
    """The kernels of a job that starts on this machine.

    Raises:
        VerlError: the trial itself failed.
    """
    cluster = run.cluster
    if cluster.attention != "auto":
        return settled(run, cluster.attention)
    failed = tried(base, cluster.device, cluster.precision)
    return settled(run, next(name for name in ATTENTIONS if name not in failed), failed)


def settled(run: VerlRun, attention: str, failed: dict[str, str] | None = None) -> Kernels:
    """The kernels of a run with this attention.

    Args:
        failed: reason by attention that would have been better.
    """
    cluster, longest = run.cluster, run.max_prompt_tokens + run.training.max_response_tokens
    tokens = cluster.micro_batch_tokens
    # a mask over the whole pack, which nobody asked for
    if tokens and attention == "sdpa" and cluster.attention == "auto":
        tokens = masked_pack(tokens, longest)
    head = "fused" if cluster.head == "auto" else cluster.head
    return Kernels(attention, head, tokens, tuple(f"{name}: {reason}" for name, reason in (failed or {}).items()))


def masked_pack(tokens: int, longest: int) -> int:
    """Tokens that run at once under a mask over all of them, of ``tokens`` that are allowed; a row is never cut."""
    return min(tokens, max(SDPA_PACK, longest))


def tried(base: Path, device: str, precision: str) -> dict[str, str]:
    """Why each attention that comes before the one that runs here can't be used, by trials in a process of their own.

    Raises:
        VerlError: the process ended otherwise than by an answer.
    """
    command = [sys.executable, "-m", "real.engines.verl.kernels", str(base), device, precision]
    set_it = "set cluster.attention to one that runs here"
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise VerlError(f"the trial of the attention kernels took more than {TRIAL_SECONDS} s; {set_it}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise VerlError(f"the trial of the attention kernels failed ({last}); {set_it}")
    found: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def trials(base: Path, device: str, precision: str) -> dict[str, str]:
    """The trials themselves, until one attention runs; the last needs none."""
    failed: dict[str, str] = {}
    for name in ATTENTIONS[:-1]:
        if (reason := trial(base, device, precision, name)) is None:
            break
        failed[name] = reason
    return failed


def trial(base: Path, device: str, precision: str, attention: str) -> str | None:
    """The trial itself: why the attention can't be used; None: it can."""
    # imported here: what only names kernels needs none of it
    import torch
    from transformers.models.auto import AutoConfig, AutoModelForCausalLM

    shape = AutoConfig.from_pretrained(base).to_dict()
    # by layer, and of the whole vocabulary
    for name in ("layer_types", "bos_token_id", "eos_token_id", "pad_token_id"):
        shape.pop(name, None)
    config = AutoConfig.for_model(**{**shape, "num_hidden_layers": 1, "vocab_size": TRIAL_WORDS})
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(TRIAL_WORDS, (length,), generator=generator) for length in TRIAL_ROWS]

    def gradient(name: str, packs: list[list[torch.Tensor]]) -> torch.Tensor:
        """Of the embedding, over all packs."""
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=name, dtype=getattr(torch, precision))
        model = model.to(device).train()
        for pack in packs:
            positions = torch.cat([torch.arange(len(row)) for row in pack])[None].to(device)
            logits = model(input_ids=torch.cat(pack)[None].to(device), position_ids=positions, use_cache=False).logits
            logits.float().square().sum().backward()
        return model.get_input_embeddings().weight.grad.float()

    try:
        found, expected = gradient(attention, [rows]), gradient("eager", [[row] for row in rows])
    except Exception as error:  # whatever a kernel raises where it can't run
        return first_line(error)
    difference = float((found - expected).norm() / expected.norm())
    if difference <= TRIAL_TOLERANCE[precision]:
        return None
    return f"its gradient over packed rows is off by {difference:.2g}"


if __name__ == "__main__":
    checkpoint, *how = sys.argv[1:]
    print(json.dumps(trials(Path(checkpoint), *how)))
