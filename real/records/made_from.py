"""What every result of a scale is made from: settings and code as digests, the same ones wherever they are needed.

They rerun jobs in the workflow, are kept in ``provenance.json`` and ``manifest.json``, and hold a result against the
present code and configuration later, also at protected scales, whose finished runs no edit reruns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.config import ArithmeticScale, Experiment, ReportedScale, TorchScale, digest, resolve
from real.evidence.printed import evidence_line
from real.system.code import EVIDENCE, code_digest
from real.tasks.sources import SOURCES_FILE

# verl's workers load modules by name, so all of that engine counts
TRAINERS = {"torch": "real.engines.torch.train", "verl": "real.engines.verl"}
SAMPLERS = {"transformers": "real.models.transformers_sampler", "vllm": "real.engines.verl"}
LIBRARIES = {"torch": "transformers", "verl": "vllm"}
CLAIMS_FILE = "paper_configs/claims.yaml"
CAPTIONS = Path("workflow/report")


@dataclass(frozen=True)
class Drawn:
    """What a table, a figure or the claims are made from, besides the results they read.

    Attributes:
        module: whose code makes it.
        settings: what it shows of the configuration.
        printed: files in the repository that it reads, by content, because their times say nothing after a clone.
    """

    module: str
    settings: Callable[[Experiment], Any]
    printed: Callable[[Experiment], list[str]] = lambda _: []


def base_settings(experiment: Experiment, seed: int | None = None) -> dict[str, Any]:
    """What a base model depends on of the configuration, as JSON can hold it.

    Args:
        seed: one of base.seeds; None: the first, or the only one of a published checkpoint.

    Raises:
        ConfigError: a scale that trains nothing.
    """
    scale = experiment.trained
    if not isinstance(scale, ArithmeticScale):
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


def evaluation_settings(experiment: Experiment) -> dict[str, Any]:
    """What every evaluation of a scale depends on of the configuration.

    Raises:
        ConfigError: a scale that evaluates nothing.
    """
    scale = experiment.trained
    return {
        "evaluation": scale.evaluation.model_dump(mode="json"),
        "library": LIBRARIES[scale.engine],
        "device": scale.device,
        "task": scale.task.model_dump(mode="json") if isinstance(scale, ArithmeticScale) else None,
        "cluster": None if isinstance(scale, TorchScale) else scale.cluster.model_dump(mode="json"),
    }


def base_identity(experiment: Experiment, seed: int | None = None) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of a base model, as :func:`base_settings` takes it."""
    trained = isinstance(experiment.trained, ArithmeticScale)
    return identity(
        base_settings(experiment, seed), "real.engines.torch.supervised" if trained else "real.models.checkpoints"
    )


def run_identity(experiment: Experiment, method: str, seed: int) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of one run."""
    return identity(run_settings(experiment, method, seed), TRAINERS[experiment.trained.engine])


def evaluation_identity(experiment: Experiment) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of every evaluation of a scale."""
    return sampled_identity(evaluation_settings(experiment))


def sampled_identity(settings: Mapping[str, Any]) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of an evaluation with the given settings, ``library`` among them."""
    return identity(settings, "real.evaluation.evaluate", SAMPLERS[settings["library"]])


def drawn_identity(experiment: Experiment, rule: str) -> dict[str, str]:
    """``config_digest`` and ``code_digest`` of what a rule for a table, a figure or the claims makes.

    Args:
        rule: a name in :data:`DRAWN`.
    """
    drawn = DRAWN[rule]
    printed = [Path(file).read_text() for file in drawn.printed(experiment)]
    return {
        "config_digest": digest({"settings": drawn.settings(experiment), "printed": printed}),
        "code_digest": code_digest(drawn.module, wings=EVIDENCE),
    }


def identity(settings: Mapping[str, Any], *modules: str) -> dict[str, str]:
    """Both digests of what settings and the code of modules make."""
    return {"config_digest": digest(settings), "code_digest": code_digest(*modules)}


def _methods(experiment: Experiment) -> dict[str, Any]:
    return {name: method.model_dump() for name, method in experiment.methods.items()}


def _labels(experiment: Experiment) -> dict[str, str]:
    return {name: method.label for name, method in experiment.methods.items()}


def _trained(experiment: Experiment) -> list[Any]:
    """Which runs are shown."""
    scale = experiment.scale
    return [_labels(experiment), scale.methods, [] if isinstance(scale, ReportedScale) else scale.seeds]


def _evaluated(experiment: Experiment) -> list[Any]:
    """What is shown of evaluations."""
    scale = experiment.scale
    benchmarks = [] if isinstance(scale, ReportedScale) else scale.evaluation.benchmarks
    return [*_trained(experiment), benchmarks, scale.evidence]


def _hypotheses(experiment: Experiment) -> dict[str, Any] | None:
    scale = experiment.scale
    return scale.mechanism.model_dump() if isinstance(scale, TorchScale) and scale.mechanism else None


def _curves(experiment: Experiment) -> list[Any]:
    scale = experiment.scale
    prompts = scale.reported.prompts if isinstance(scale, ReportedScale) else scale.training.prompts
    return [evidence_line(scale), scale.figures.smoothing_steps, prompts]


def _printed_benchmarks(experiment: Experiment) -> list[str]:
    return experiment.scale.reported.benchmarks if isinstance(experiment.scale, ReportedScale) else []


def _printed_curves(experiment: Experiment) -> list[str]:
    return [experiment.scale.reported.training_dynamics] if isinstance(experiment.scale, ReportedScale) else []


DRAWN = {
    "benchmark_tables": Drawn("real.evidence.tables", _evaluated, _printed_benchmarks),
    "difference_tables": Drawn("real.evidence.tables", _evaluated),
    "pass_at_k_tables": Drawn("real.evidence.tables", _evaluated),
    "training_curves": Drawn("real.evidence.tables", _trained, _printed_curves),
    "learning_rate_table": Drawn("real.evidence.tables", _evaluated),
    "claims": Drawn(
        "real.evidence.claims.judge",
        lambda experiment: [_methods(experiment), *_evaluated(experiment)],
        lambda experiment: [CLAIMS_FILE, *_printed_benchmarks(experiment)],
    ),
    "training_dynamics": Drawn("figures.training_dynamics", _curves),
    "gradient_magnitude": Drawn("figures.gradient_magnitude", _methods),
    "gradient_measured": Drawn(
        "figures.gradient_measured", lambda experiment: [_methods(experiment), evidence_line(experiment.scale)]
    ),
    "mechanism_table": Drawn(
        "real.evidence.mechanism", lambda experiment: [*_evaluated(experiment), _hypotheses(experiment)]
    ),
    "mechanism_figure": Drawn("figures.mechanism", lambda experiment: evidence_line(experiment.scale)),
    "learning_rate_figure": Drawn("figures.learning_rate_sweep", lambda experiment: evidence_line(experiment.scale)),
    "report": Drawn(
        "real.evidence.report.write",
        lambda experiment: [_methods(experiment), *_evaluated(experiment)],
        lambda _: [*map(str, sorted(CAPTIONS.glob("*.rst"))), str(SOURCES_FILE)],
    ),
}
