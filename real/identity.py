"""What a finished job was made from: digests that rerun it in the workflow and that its provenance keeps.

Both come from here, so that a result can be held against the present code and configuration later, also at protected
scales, whose finished runs no edit reruns.
"""

from real.config import ArithmeticScale, Experiment, TorchScale, digest, resolve
from real.provenance import code_digest

# verl's workers load modules by name, so all of that engine counts
TRAINERS = {"torch": "real.torch_engine.train", "verl": "real.verl_engine"}
SAMPLERS = {"torch": "real.torch_engine.transformers_sampler", "verl": "real.verl_engine"}


def base_identity(experiment: Experiment) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of the base model.

    Raises:
        ConfigError: a scale that trains nothing.
    """
    scale = experiment.trained
    if not isinstance(scale, ArithmeticScale):
        return {"config_digest": digest(scale.model), "code_digest": code_digest("real.checkpoints")}
    limit = scale.training.max_response_tokens
    return {
        "config_digest": digest(scale.task, scale.policy, scale.base, limit, scale.base_device),
        "code_digest": code_digest("real.torch_engine.supervised"),
    }


def run_identity(experiment: Experiment, method: str, seed: int) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of the one resolved run, so that an edit concerns only the runs it changes.

    Raises:
        ConfigError: unknown method, or a scale that trains nothing.
    """
    run = resolve(experiment, method, seed)
    return {"config_digest": digest(run), "code_digest": code_digest(TRAINERS[experiment.trained.engine])}


def evaluation_identity(experiment: Experiment) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of every evaluation of a scale.

    Raises:
        ConfigError: a scale that evaluates nothing.
    """
    scale = experiment.trained
    problems = scale.task if isinstance(scale, ArithmeticScale) else None
    machine = scale.device if isinstance(scale, TorchScale) else scale.cluster
    return {
        "config_digest": digest(problems, scale.evaluation, machine),
        "code_digest": code_digest("real.evaluate", SAMPLERS[scale.engine]),
    }
