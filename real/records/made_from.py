"""What a base model, a run or an evaluation is made from: settings and code as digests, the same ones everywhere.

They rerun jobs in the workflow, are kept in ``provenance.json`` and ``manifest.json``, and hold a result against the
present code and configuration later, also at protected scales, whose finished runs no edit reruns.
"""

from collections.abc import Mapping
from typing import Any

from real.config import Experiment, Trained, VerlScale, digest, resolve
from real.system.code import code_digest

TRAINERS = {"torch": "real.engines.torch.train", "verl": "real.engines.verl"}
SAMPLERS = {"transformers": "real.models.transformers_sampler", "vllm": "real.models.vllm_sampler"}
LIBRARIES = {"torch": "transformers", "verl": "vllm"}


def base_settings(scale: Trained, seed: int | None = None) -> dict[str, Any]:
    """What a base model depends on of the configuration, as JSON can hold it.

    Args:
        seed: one of base.seeds; None: the first, or the only one of a published checkpoint.
    """
    # isinstance: it has neither task, policy nor base
    if isinstance(scale, VerlScale):
        return {"model": scale.model.model_dump(mode="json")}
    return {
        "task": scale.task.model_dump(mode="json"),
        "policy": scale.policy.model_dump(mode="json"),
        "base": scale.base.alone(scale.base.seed if seed is None else seed).model_dump(
            mode="json", exclude={"further_seeds"}
        ),
        "training": {"max_response_tokens": scale.training.max_response_tokens},
        "device": scale.base_device,
    }


def run_settings(experiment: Experiment, method: str, seed: int) -> dict[str, Any]:
    """The one resolved run, so that an edit concerns only the runs it changes.

    Raises:
        ConfigError: unknown method, or a scale that trains nothing.
    """
    return resolve(experiment, method, seed).model_dump(mode="json")


def evaluation_settings(scale: Trained) -> dict[str, Any]:
    """What every evaluation of a scale depends on of the configuration."""
    task, cluster = scale.own_task, scale.verl_cluster
    return {
        "evaluation": scale.evaluation.model_dump(mode="json"),
        "library": LIBRARIES[scale.engine],
        "device": scale.device,
        "task": task and task.model_dump(mode="json"),
        "cluster": cluster and cluster.model_dump(mode="json"),
    }


def base_identity(scale: Trained, seed: int | None = None) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of a base model, as :func:`base_settings` takes it."""
    made_by = "real.engines.torch.supervised" if scale.own_base else "real.models.checkpoints"
    return identity(base_settings(scale, seed), made_by)


def run_identity(experiment: Experiment, method: str, seed: int) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of one run."""
    return identity(run_settings(experiment, method, seed), TRAINERS[experiment.trained.engine])


def evaluation_identity(scale: Trained) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of every evaluation of a scale."""
    return sampled_identity(evaluation_settings(scale))


def sampled_identity(settings: Mapping[str, Any]) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of an evaluation with the given settings, ``library`` among them."""
    return identity(settings, "real.evaluation.evaluate", SAMPLERS[settings["library"]])


def identity(settings: Mapping[str, Any], *modules: str) -> dict[str, str]:
    """Both digests of what settings and the code of modules make."""
    return {"config_digest": digest(settings), "code_digest": code_digest(*modules)}
