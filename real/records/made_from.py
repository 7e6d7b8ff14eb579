"""What a base model, a run or an evaluation is made from: settings and code as digests, the same ones everywhere.

They rerun jobs in the workflow, are kept in ``provenance.json`` and ``manifest.json``, and hold a result against the
present code and configuration later, also at protected scales, whose finished runs no edit reruns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from real.config import Experiment, VerlScale, digest, resolve
from real.system.code import NUMERIC, code_digest

TRAINERS = {"torch": "real.engines.torch.train", "verl": "real.engines.verl"}
# by what --sampler names: torch with the forward that the checkpoint is run by, or with transformers' in any case
SAMPLERS = {
    "torch": "real.models.torch_sampler",
    "transformers": "real.models.torch_sampler",
    "vllm": "real.models.vllm_sampler",
}
LIBRARIES = {"torch": "torch", "verl": "vllm"}


@dataclass(frozen=True)
class Origin:
    """What a result is made from.

    Attributes:
        settings: what it depends on of the configuration, as JSON can hold it.
        modules: those whose code makes it, as far as they stand in ``wings``.
    """

    settings: Mapping[str, Any]
    modules: tuple[str, ...]
    wings: Sequence[str] = NUMERIC

    @property
    def identity(self) -> dict[str, str]:
        """``config_digest`` and ``code_digest``."""
        return {"config_digest": digest(self.settings), "code_digest": code_digest(*self.modules, wings=self.wings)}


def base_origin(experiment: Experiment, seed: int | None = None) -> Origin:
    """Of the base model of one of base.seeds; None: of the first, or of a published checkpoint."""
    scale = experiment.trained
    # isinstance: it has neither task, policy nor base
    if isinstance(scale, VerlScale):
        return Origin({"model": scale.model.model_dump(mode="json")}, ("real.models.checkpoints",))
    settings = {
        "task": scale.task.model_dump(mode="json"),
        "policy": scale.policy.model_dump(mode="json"),
        "base": scale.base.alone(seed).model_dump(mode="json", exclude={"further_seeds"}),
        "training": {"max_response_tokens": scale.training.max_response_tokens},
        "device": scale.base_device,
    }
    return Origin(settings, ("real.engines.torch.supervised",))


def run_origin(experiment: Experiment, method: str, seed: int) -> Origin:
    """Of the one resolved run, so that an edit concerns only the runs it changes; raises as :func:`resolve`."""
    settings = resolve(experiment, method, seed).learnt_from()
    return Origin(settings, (TRAINERS[experiment.trained.engine],))


def evaluation_origin(experiment: Experiment | None, **given: Any) -> Origin:
    """Of every evaluation of a scale; of one with ``given`` settings in their place, ``library`` among them."""
    settings: dict[str, Any] = {}
    if experiment:
        scale = experiment.trained
        task, cluster = scale.own_task, scale.verl_cluster
        settings = {
            "evaluation": scale.evaluation.model_dump(mode="json"),
            "library": LIBRARIES[scale.engine],
            "device": scale.device,
            "task": task and task.model_dump(mode="json"),
            "cluster": cluster and cluster.model_dump(mode="json"),
        }
    settings |= given
    return Origin(settings, ("real.evaluation.evaluate", SAMPLERS[settings["library"]]))
