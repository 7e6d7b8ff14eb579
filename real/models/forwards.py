"""Which forward a checkpoint is run by: the lean one (lean.py), where it equals transformers' on it, or transformers'.

Both are compared once per checkpoint, where it enters; the verdict travels in provenance.json and holds for as long as
config.json is the same. Who has it needs no transformers, whose import takes as long as a short job.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from real.models.batched_sampler import sample
from real.models.checkpoints import CheckpointError, load_model, loading, refuse_more_than_data
from real.models.lean import Model, log_probs
from real.models.lean_checkpoints import CONFIG, read_lean
from real.models.packing import plan
from real.system.code import ROOT, versions
from real.system.errors import ExpectedError
from real.system.files import file_digest

# nats, in float32, between log-probs of the two forwards
BOUND = 1e-4
PROMPT_TOKENS = (5, 9)
ROLLOUTS, RESPONSE_TOKENS = 2, 6


@dataclass(frozen=True)
class Verdict:
    """Which forward a checkpoint is run by.

    Attributes:
        largest_difference: nats between log-probs of both; None: the lean one can't run the checkpoint.
        library: that the lean one was compared with, and its version.
        config_sha256: of the config.json that this holds for.
    """

    forward: Literal["lean", "library"]
    largest_difference: float | None
    library: str
    config_sha256: str


def settled(folder: Path, known: Verdict | None, trust_remote_code: bool = False) -> Verdict:
    """``known``, where it holds for the checkpoint, else :func:`compare`."""
    refuse_more_than_data(folder, trust_remote_code)
    return known if known and known.config_sha256 == file_digest(folder / CONFIG) else compare(folder)


def open_model(
    folder: Path, known: Verdict | None = None, dtype: torch.dtype | None = None, trust_remote_code: bool = False
) -> Model:
    """The model of a checkpoint folder on the CPU, by the forward that the verdict names.

    Args:
        known: None, or of another config.json: the forwards are compared now.
        dtype: None: the stored one.
        trust_remote_code: whether Python code that it brings along may be run.

    Raises:
        CheckpointError: it is more than data, can't be loaded, or lacks weights. DamagedError: a configuration that is
            no JSON.
    """
    verdict = settled(folder, known, trust_remote_code)
    if verdict.forward == "lean":
        with loading(folder):
            model = read_lean(folder, dtype)
        if model is not None:
            return model
    elif verdict.largest_difference is not None:
        tqdm.write(
            f"{folder}: is run by transformers, which is slower, because log-probs of the lean forward differ from its "
            f"own by {verdict.largest_difference:.2g} (up to {BOUND:g} is rounding); please report this"
        )
    return load_model(folder, dtype=dtype, trust_remote_code=trust_remote_code)


def compare(folder: Path) -> Verdict:
    """Run two prompts with sampled responses by both forwards, on the CPU in float32.

    Raises:
        CheckpointError: it can't be loaded, or lacks weights. DamagedError: a configuration that is no JSON.
    """
    library, sha256 = f"transformers {versions('transformers').get('transformers')}", file_digest(folder / CONFIG)
    with torch.no_grad():
        # one model after the other: two at once may be more than memory holds
        found = _lean_log_probs(folder)
        if found is None:
            return Verdict("library", None, library, sha256)
        expected = _library_log_probs(folder, found.prompts, found.responses)
    # weights that are not finite have log-probs that are not, by both alike; training says so
    same = found.log_prob.isnan() & expected.isnan()
    difference = float((found.log_prob - expected).masked_fill(same, 0.0).abs().max())
    return Verdict("lean" if difference <= BOUND else "library", difference, library, sha256)


def compare_apart(folder: Path) -> Verdict:
    """As :func:`compare`, in a process of its own, so that this one doesn't import transformers.

    Raises:
        CheckpointError: that process failed.
    """
    paths = filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *paths])}
    command = [sys.executable, "-m", __name__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CheckpointError(
            f"{folder}: its two forwards could not be compared ({said}); check that transformers can be imported, and "
            "run the same command again"
        )
    return Verdict(**json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class _Found:
    """N prompts, their responses of T tokens, and log-probs, (2, N, T), by decoding and by the packed forward."""

    prompts: list[list[int]]
    responses: list[list[int]]
    log_prob: torch.Tensor


def _lean_log_probs(folder: Path) -> _Found | None:
    """What the lean forward samples; None: it can't run the checkpoint."""
    with loading(folder):
        model = read_lean(folder, torch.float32)
    if model is None:
        return None
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(model.shape.vocabulary, (n,), generator=generator).tolist() for n in PROMPT_TOKENS]
    uniform = torch.rand(len(prompts) * ROLLOUTS, RESPONSE_TOKENS, generator=generator)
    sampled = sample(model, prompts, uniform, 1.0, 1.0, ends=[])
    rows = [prompt for prompt in prompts for _ in range(ROLLOUTS)]
    packed = log_probs(model, plan(rows, sampled.response, sampled.mask.sum(dim=1), model.dtype), 1.0)
    both = torch.stack([sampled.log_prob, packed.view(sampled.log_prob.shape)])
    return _Found(rows, sampled.response.tolist(), both)


def _library_log_probs(folder: Path, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> torch.Tensor:
    """(N, T) log-probs of responses of equal length, each row run by itself."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model: Any = load_model(folder, dtype=torch.float32).eval()
    found = []
    for prompt, response in zip(prompts, responses, strict=True):
        logits = model(input_ids=torch.tensor([prompt + response]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        found.append(logits.float().log_softmax(dim=-1).gather(1, torch.tensor(response)[:, None]).squeeze(1))
    return torch.stack(found)


def main(folder: str) -> int:
    """Print the verdict on a folder as a line of JSON."""
    try:
        verdict = compare(Path(folder))
    except ExpectedError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(verdict)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
