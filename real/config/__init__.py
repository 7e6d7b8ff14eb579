"""The experiment's configuration: one complete YAML per scale, overlays, methods, resolved to one run.

    experiment = load(["paper_configs/laptop.yaml"])                  # a scale, then overlays
    run = resolve(experiment, method="real", seed=0)                  # everything one training job needs

Every scale file states every key: no default, no inheritance. An unknown key, a wrong type or a number written as
text is an error of one sentence that names file and key. ``python -m real schema`` writes the JSON schema.
"""

from real.config.crossing import Hypothesis, TorchTraining
from real.config.loading import changed, digest, load, read, read_checked, resolve
from real.config.paper_scale import Cluster, VerlTraining
from real.config.runs import Experiment, Run, TorchRun, Trained, VerlRun
from real.config.schema import (
    UNTRAINED,
    ArithmeticScale,
    ReportedScale,
    TorchScale,
    TrainedScale,
    VerlArithmeticScale,
    VerlScale,
    json_schema,
)
from real.config.sections import PAPER_EVALUATION, Evaluation, Method, Phase, Policy, Task, Training
from real.system.sentences import ConfigError
