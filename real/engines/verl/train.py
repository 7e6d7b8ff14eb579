"""One run on verl: prompts and configuration written, ``run_ppo`` called, the last checkpoint made a Hugging Face one.

Interrupted, it resumes from its last checkpoint when it is called again. Left out, and why: vLLM's rollouts arrive in
an order that depends on timing, so a run is not reproducible bit by bit; seeds and versions are recorded all the same.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from real.config import VerlRun, digest
from real.engines.finite import NotFiniteError
from real.engines.run_files import made_by
from real.engines.verl.hooks import VerlError, check_version
from real.engines.verl.journal import TRACKER, Journal
from real.models.checkpoints import first_line, refuse_more_than_data
from real.system.code import ROOT
from real.system.files import write_table
from real.system.work_folder import open_work_folder
from real.tasks.arithmetic import END_THINK

RAY_STARTS = 3
# where verl's merger puts LoRA's adapter, in the merged model's folder
ADAPTER = "lora_adapter"
# of the exception that ray.init raises
RAY_TOO_LATE = "timed out during startup"

Result = TypeVar("Result")


def train(
    run: VerlRun, base: Path, output: Path, work_folder: Path, protected: bool = False, accepted: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Train one (method, seed) from the checkpoint ``base`` into ``output``.

    Files and arguments are those of :func:`real.engines.torch.train.train`.

    Returns:
        for provenance.json: ``earlier_code``, as there, and ``kernels``, which ones made the steps after ``step``.

    Raises:
        FolderInUseError, OtherRunError, NotFiniteError: as there.
        VerlError: another version of verl, or a configuration or checkpoint that it can't run.
        DatasetError: a dataset that is not prepared.
    """
    check_version()
    check_platform(run)
    check_base(base, run.cluster.trust_remote_code, run.training.strict_format)
    with open_work_folder(work_folder, made_by(run, base, "real.engines.verl"), protected, accepted) as work:
        earlier = work.goes_on_after(last_checkpoint(work_folder))
        if is_trained(work_folder, run.training.steps):
            print(f"{run.method} seed {run.seed}: all {run.training.steps} steps were done before", flush=True)
        else:
            # ranks on several machines need torch's own way to meet
            with rendezvous() if run.cluster.ray_address is None else nullcontext():
                run_verl(run, base, work_folder)
        last = work_folder / "checkpoints" / f"global_step_{run.training.steps}" / "actor"
        merge_checkpoint(last, work_folder / "model")
        write_results(work_folder, output)
        found = {"earlier_code": earlier, "kernels": Journal(work_folder).lines("kernels")}
        work.remove()
    return found


def write_results(work_folder: Path, output: Path) -> None:
    """The files of a finished run, from its work folder; the merged model is moved."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("metrics.jsonl", "timings.jsonl"):
        shutil.copyfile(work_folder / name, output / name)
    write_table(output / "gradient_samples.parquet", Journal(work_folder).samples())
    shutil.rmtree(output / "model", ignore_errors=True)
    shutil.move(work_folder / "model", output / "model")


def last_checkpoint(work_folder: Path) -> int:
    """The step that verl goes on after, which it names in the tracker; 0: it starts anew.

    Raises:
        VerlError: the tracker is damaged, so that verl would end in a traceback.
    """
    tracker = work_folder / TRACKER
    if not tracker.exists():
        return 0
    try:
        step = int(tracker.read_text(encoding="utf-8"))
    except ValueError:
        raise VerlError(
            f"{tracker}: is damaged, it holds no step; write the number of the last folder global_step_… into it"
        ) from None
    return step if tracker.with_name(f"global_step_{step}").is_dir() else 0


def is_trained(work_folder: Path, steps: int) -> bool:
    """Whether the last step's checkpoint is complete and validated: a job that was killed after it needn't train.

    verl names a step in the tracker once its checkpoint is complete; the journal's line has the validation after it.
    """
    validated = {line["step"] for line in Journal(work_folder).lines() if line["val_pass_at_1"] is not None}
    return last_checkpoint(work_folder) == steps and steps in validated


def run_verl(run: VerlRun, base: Path, work_folder: Path) -> None:
    """Call verl's ``run_ppo``, which goes on from the last checkpoint in ``work_folder``.

    Raises:
        NotFiniteError, VerlError: see :func:`train`.
    """
    config_environment(run)
    # imported here: verl takes half a minute to import, and the checks before need none of it
    import ray
    from verl.trainer.main_ppo import run_ppo

    from real.engines.verl.kernels import choose
    from real.engines.verl.prompts import write_prompts
    from real.engines.verl.settings import compose_config
    from real.engines.verl.trainer import TaskRunner

    kernels = choose(run, base)
    print(f"{run.method} seed {run.seed}: {kernels.sentence()}", flush=True)
    Journal(work_folder).write({"step": last_checkpoint(work_folder), **kernels.record()}, "kernels")
    config = compose_config(run, base, write_prompts(run, work_folder / "prompts"), work_folder, kernels)
    try:
        on_a_started_ray(lambda: run_ppo(config, ray.remote(TaskRunner)))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, NotFiniteError):
            raise NotFiniteError(str(error.cause)) from None
        traceback.print_exc()
        raise VerlError(
            f"{run.method} seed {run.seed}: stopped ({first_line(error.cause)}); the log above says where. "
            "What was done until the last checkpoint is kept: run the same command again to go on from it"
        ) from None
    finally:
        ray.shutdown()


def on_a_started_ray(work: Callable[[], Result]) -> Result:
    """Call ``work``, whose first act is to start Ray, and call it again where Ray came up too late.

    Ray gives its processes half a minute, by no setting of ours (ray/_private/node.py). A machine that is busy at that
    moment takes longer, and nothing is done yet that a second start could lose.

    Raises:
        VerlError: it came up too late ``RAY_STARTS`` times.
    """
    # imported here, as in run_verl
    import ray

    for attempt in range(1, RAY_STARTS + 1):
        try:
            return work()
        except Exception as error:  # Ray raises no narrower one
            if ray.is_initialized() or RAY_TOO_LATE not in str(error):
                raise
            print(f"Ray did not start within its half minute, attempt {attempt} of {RAY_STARTS}", flush=True)
    raise VerlError(
        f"Ray did not start within half a minute, {RAY_STARTS} times in a row, so nothing was done; see what keeps "
        "this machine busy and run the same command again"
    )


def check_platform(run: VerlRun) -> None:
    """Raise VerlError for a CPU outside the tests: verl 0.9.1 has no CPU platform of its own."""
    if run.cluster.device == "cpu" and os.environ.get("VERL_PLATFORM") != "cpu":
        raise VerlError(
            "cluster.device is 'cpu', which verl runs on only under the platform of the tests; use `make test-verl`, "
            "or set cluster.device: cuda"
        )


def check_base(base: Path, trust_remote_code: bool, strict_format: bool) -> None:
    """Raise VerlError for a checkpoint whose rewards would all be 0, CheckpointError for one that is more than data.

    verl 0.9.1 decodes responses without special tokens before they are graded, and its reward workers load the
    tokenizer with ``trust_remote_code=True`` whatever the configuration says (experimental/reward_loop).
    """
    if not (base / "config.json").exists():
        raise VerlError(
            f"{base}: holds no Hugging Face checkpoint (config.json is missing); make it with `python -m real base`"
        )
    refuse_more_than_data(base, trust_remote_code)
    if not strict_format:  # </think> is not asked for
        return
    # imported here: it takes seconds, and the checks above need none of it
    from transformers.models.auto import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=trust_remote_code)
    ids = tokenizer(END_THINK, add_special_tokens=False)["input_ids"]
    if END_THINK not in tokenizer.decode(ids, skip_special_tokens=True):
        raise VerlError(
            f"{base}: its tokenizer counts {END_THINK} among the special tokens, which verl removes before it grades, "
            "so that every reward would be 0; in a copy of the checkpoint set that token's `special` to false in "
            "tokenizer.json and tokenizer_config.json"
        )


def config_environment(run: VerlRun) -> None:
    """Set the environment variables that verl's processes inherit."""
    if run.cluster.wandb != "off":
        os.environ["WANDB_MODE"] = run.cluster.wandb
        # one W&B run for all attempts of one job
        os.environ.setdefault("WANDB_RUN_ID", digest(run))
        os.environ.setdefault("WANDB_RESUME", "allow")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if run.cluster.ray_address is None:
        # despite its name, off means on every system: Ray and vLLM bind to loopback, not to the machine's address,
        # where anybody could run code through them
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # gloo binds to what the machine's name resolves to
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # Ray's workers start in another folder; `real` is imported from here
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, paths)])


@contextmanager
def rendezvous() -> Iterator[None]:
    """Let the ranks of one machine meet in a file of this user's own: torch's TCPStore binds to every address.

    It has no option to bind elsewhere (torch 2.13), and answers whoever connects.
    """
    with tempfile.TemporaryDirectory(prefix="real-rendezvous-") as folder:
        os.environ["DIST_INIT_METHOD"] = f"file://{folder}/store"
        try:
            yield
        finally:
            del os.environ["DIST_INIT_METHOD"]


def merge_checkpoint(actor: Path, target: Path) -> None:
    """Make the shards of a verl checkpoint one Hugging Face checkpoint, by verl's own merger.

    Raises:
        VerlError: the merger failed; its last line says why. The shards are untouched.
    """
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    done = subprocess.run(
        [*command, "--local_dir", str(actor), "--target_dir", str(target)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0 or not (target / "config.json").exists():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerlError(f"{actor}: could not be merged ({reason}); its shards are intact, run the same command again")
    if (target / ADAPTER).exists():
        merge_adapter(target)


def merge_adapter(model: Path) -> None:
    """Add the adapter that verl's merger leaves beside the model to its weights, in float32, and delete it.

    The sum is stored in the precision of the weights, as vLLM had it while the run was trained.
    """
    # imported here: a run that trains all weights needs none of it
    from peft import PeftModel
    from transformers.models.auto import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    stored = base.dtype
    whole = PeftModel.from_pretrained(base.float(), model / ADAPTER).merge_and_unload()
    whole.to(stored).save_pretrained(model)
    shutil.rmtree(model / ADAPTER)
