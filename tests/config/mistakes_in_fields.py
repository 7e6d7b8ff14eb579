"""The mistakes that a user can make in one field of a configuration file, each with the sentence that answers.

``tests/config/test_bad_input.py`` makes every one of them and fails where a field of the schema has none. In a sentence
``...`` stands for anything.
"""

import math
from typing import Any

SMOKE, VERL, PAPER, REPORTED = "smoke.yaml", "verl_smoke.yaml", "1.5b.yaml", "published.yaml"
METHODS, CLAIMS, SOURCES, OVERLAY, LOCAL = "methods.yaml", "claims.yaml", "sources.yaml", "mine.yaml", "local.yaml"
COSTS = "reported/costs.yaml"
REMOVED = ...
# by file: (value by dotted key, the sentence after the file's name)
Rows = dict[str, list[tuple[dict[str, Any], str]]]

AT_LEAST_0 = "must be at least 0: set it to that or more"
AT_LEAST_1 = "must be at least 1: set it to that or more"
NOT_NEGATIVE = "must be at least 0.0: set it to that or more"
SECTION = "must be a section: write its keys below it, indented"
FLAG = "must be true or false: write one of them, without quotes"
WHOLE = "must be a whole number: write it without a point and without quotes"
NUMBER = "must be a number: write it in digits, without quotes"
FINITE = "must be a finite number: write one, such as 1.0"
TEXT = "must be text: write it, in quotes where it looks like something else"
LINE = "it must be one line of printable text: write some"
NAME = "it names files and folders: use letters, digits, '.', '_' and '-' alone, ..., a letter or digit first"
ONE_OR_MORE = "must name 1 or more: add what is missing"
TWICE = "more than once; keep one of them"
VERL_ONLY = "belongs to the verl engine, which this is not; remove it"


def crossed(**changes: Any) -> dict[str, Any]:
    """A grid of two methods with some keys changed."""
    grid = [{"methods": ["real", "grpo"], "learning_rate": [1.0e-3]}]
    return {"grid": grid, **{f"grid.0.{key}": value for key, value in changes.items()}}


def hypothesis(**changes: Any) -> dict[str, Any]:
    """A grid, and a hypothesis about it with some keys changed."""
    mine = {"statement": "more", "better": "real", "worse": "grpo", "smallest_difference": 0.02, **changes}
    changed = {f"mechanism.hypotheses.mine.{key}": value for key, value in mine.items()}
    return {**crossed(), "mechanism": {"hypotheses": {"mine": {}}}, **changed}


def model_facts(**changes: Any) -> dict[str, Any]:
    """Facts about a model, with some of their keys changed; two underscores stand for a dot."""
    fact = {"low": 1, "high": 2, "source": "somebody"}
    time = {**fact, "hardware": "8 H100", "gpus": 8, "responses": 1024, "max_response_tokens": 8192}
    mine = {"parameters": 1, "steps": [time], "evaluation": dict(time), "one_response": fact}
    return {"models": {"mine": mine}, **{f"models.mine.{key.replace('__', '.')}": to for key, to in changes.items()}}


FIELDS: Rows = {
    SMOKE: [
        (
            {"version": 2},
            "version is 2, but this package reads version 1 of the configuration's format; take the package "
            "that the file was made for, or write its values into a copy of a scale file of this package, "
            "which has version: 1",
        ),
        ({"scale": "../smoke"}, f"scale is '../smoke'; {NAME}"),
        ({"evidence": "  "}, f"evidence is '  '; {LINE}"),
        ({"protected": "no"}, f"protected is 'no'; {FLAG}"),
        ({"methods": ["real", "real"]}, f"methods has 'real' {TWICE}"),
        ({"variants": {"a b": {"method": "real"}}}, f"variants.a b is 'a b'; {NAME}"),
        ({"datasets": None}, f"datasets is null; {SECTION}"),
        ({"figures": []}, f"figures is []; {SECTION}"),
        ({"accept_code": ["0f"]}, "accept_code.0 is '0f'; must match ^[0-9a-f]{16}$: copy it whole"),
        ({"accept_code": [1234567890123456]}, f"accept_code.0 is 1234567890123456; {TEXT}"),
        ({"accept_code": ["0123456789abcdef"] * 2}, f"accept_code has '0123456789abcdef' {TWICE}"),
        ({"engine": "torhc"}, "engine must be 'torch', 'verl' or 'reported', found 'torhc'; choose one"),
        ({"seeds": [-1]}, f"seeds.0 is -1; {AT_LEAST_0}"),
        ({"training": 7}, f"training is 7; {SECTION}"),
        ({"evaluation": "fast"}, f"evaluation is 'fast'; {SECTION}"),
        ({"task": None}, f"task is null; {SECTION}"),
        ({"policy": [1]}, f"policy is [1]; {SECTION}"),
        ({"base": True}, f"base is true; {SECTION}"),
        ({"device": "gpu"}, "device is 'gpu'; must be 'cpu' or 'cuda': choose one; did you mean 'cpu'?"),
        ({"datasets.mirror": ""}, f"datasets.mirror is ''; {LINE}"),
        ({"figures.smoothing_steps": 0}, f"figures.smoothing_steps is 0; {AT_LEAST_1}"),
        ({"task.seed": -1}, f"task.seed is -1; {AT_LEAST_0}"),
        (
            {"task.training_families": ["mix7"]},
            "task.training_families: unknown family 'mix7'; choose from ...; did you mean 'mix6'?",
        ),
        ({"task.test_problems": 401}, "task.test_problems is 401; must be at most 400: set it to that or less"),
        ({"task.validation_problems": 0}, f"task.validation_problems is 0; {AT_LEAST_1}"),
        ({"policy.hidden_size": 4}, "policy.hidden_size is 4; must be at least 8: set it to that or more"),
        ({"policy.layers": 0}, f"policy.layers is 0; {AT_LEAST_1}"),
        ({"policy.attention_heads": 0}, f"policy.attention_heads is 0; {AT_LEAST_1}"),
        ({"policy.feed_forward_size": 4.5}, f"policy.feed_forward_size is 4.5; {WHOLE}"),
        ({"base.seed": 4294967296}, "base.seed is 4294967296; must be at most 4294967295: set it to that or less"),
        ({"base.batch_rows": 0}, f"base.batch_rows is 0; {AT_LEAST_1}"),
        ({"base.phases": []}, f"base.phases is []; {ONE_OR_MORE}"),
        ({"base.phases.0.steps": 0}, f"base.phases.0.steps is 0; {AT_LEAST_1}"),
        (
            {"base.phases.0.learning_rate": 0.0},
            "base.phases.0.learning_rate is 0.0; must be more than 0.0: set it to a number above that",
        ),
        ({"base.phases.0.warmup_steps": -1}, f"base.phases.0.warmup_steps is -1; {AT_LEAST_0}"),
        (
            {"base.phases.0.final_fraction": 1.5},
            "base.phases.0.final_fraction is 1.5; must be at most 1.0: set it to that or less",
        ),
        ({"base.phases.0.easy_fraction": -0.1}, f"base.phases.0.easy_fraction is -0.1; {NOT_NEGATIVE}"),
        ({"base.phases.0.direct": 2}, "base.phases.0.direct is 2; must be at most 1.0: set it to that or less"),
        ({"base.phases.0.skip": math.nan}, f"base.phases.0.skip is nan; {FINITE}"),
        ({"base.phases.0.left_to_right": "half"}, f"base.phases.0.left_to_right is 'half'; {NUMBER}"),
        ({"base.phases.0.misconception": math.inf}, f"base.phases.0.misconception is inf; {FINITE}"),
        ({"training.steps": 0}, f"training.steps is 0; {AT_LEAST_1}"),
        ({"training.prompts": -8}, f"training.prompts is -8; {AT_LEAST_1}"),
        ({"training.rollouts": 0}, f"training.rollouts is 0; {AT_LEAST_1}"),
        ({"training.mini_batch_prompts": True}, f"training.mini_batch_prompts is true; {WHOLE}"),
        ({"training.micro_batch_rows": 0}, f"training.micro_batch_rows is 0; {AT_LEAST_1}"),
        (
            {"training.temperature": 1e-30},
            "training.temperature is 1e-30; must be at least 0.01: set it to that or more",
        ),
        (
            {"training.max_response_tokens": "40"},
            "training.max_response_tokens is the text '40', not a number; write it as 40 (YAML reads 2e-6 as "
            "text, 2.0e-6 as a number)",
        ),
        (
            {"training.learning_rate": "2e-6"},
            "training.learning_rate is the text '2e-6', not a number; write it as 2.0e-06 (YAML reads 2e-6 "
            "as text, 2.0e-6 as a number)",
        ),
        ({"training.warmup_steps": 0.5}, f"training.warmup_steps is 0.5; {WHOLE}"),
        ({"training.weight_decay": -0.01}, f"training.weight_decay is -0.01; {NOT_NEGATIVE}"),
        ({"training.gradient_clip": math.inf}, f"training.gradient_clip is inf; {FINITE}"),
        ({"training.checkpoint_every": 0}, f"training.checkpoint_every is 0; {AT_LEAST_1}"),
        ({"training.validation_every": 0}, f"training.validation_every is 0; {AT_LEAST_1}"),
        ({"training.validation_samples": 0}, f"training.validation_samples is 0; {AT_LEAST_1}"),
        ({"training.gradient_sample_steps": ["three"]}, f"training.gradient_sample_steps.0 is 'three'; {WHOLE}"),
        ({"evaluation.benchmarks": []}, f"evaluation.benchmarks is []; {ONE_OR_MORE}"),
        ({"evaluation.samples": 0}, f"evaluation.samples is 0; {AT_LEAST_1}"),
        ({"evaluation.temperature": math.nan}, f"evaluation.temperature is nan; {FINITE}"),
        ({"evaluation.top_p": 0.0}, "evaluation.top_p is 0.0; must be more than 0.0: set it to a number above that"),
        ({"evaluation.max_response_tokens": 0}, f"evaluation.max_response_tokens is 0; {AT_LEAST_1}"),
        ({"evaluation.chunk_problems": 0}, f"evaluation.chunk_problems is 0; {AT_LEAST_1}"),
        ({"evaluation.seed": -5}, f"evaluation.seed is -5; {AT_LEAST_0}"),
        ({"evaluation.strict_format": 1}, f"evaluation.strict_format is 1; {FLAG}"),
        ({"evaluation.keep_responses": "false"}, f"evaluation.keep_responses is 'false'; {FLAG}"),
        ({"training.staleness": -1}, f"training.staleness is -1; {AT_LEAST_0}"),
        ({"base.further_seeds": [-1]}, f"base.further_seeds.0 is -1; {AT_LEAST_0}"),
        ({"grid": "all"}, "grid is 'all'; must be a list: write [a, b], or one '- a' per line"),
        (crossed(methods=[]), f"grid.0.methods is []; {ONE_OR_MORE}"),
        (
            crossed(learning_rate=[0.0]),
            "grid.0.learning_rate.0 is 0.0; must be more than 0.0: set it to a number above that",
        ),
        (crossed(staleness=[0.5]), f"grid.0.staleness.0 is 0.5; {WHOLE}"),
        ({"mechanism": []}, f"mechanism is []; {SECTION}"),
        ({"mechanism": {}, "mechanism.hypotheses": {}}, f"mechanism.hypotheses is {{}}; {ONE_OR_MORE}"),
        (hypothesis(statement=""), f"mechanism.hypotheses.mine.statement is ''; {LINE}"),
        (hypothesis(better="a/b"), f"mechanism.hypotheses.mine.better is 'a/b'; {NAME}"),
        (hypothesis(worse=1), f"mechanism.hypotheses.mine.worse is 1; {TEXT}"),
        (
            hypothesis(smallest_difference=-0.1),
            f"mechanism.hypotheses.mine.smallest_difference is -0.1; {NOT_NEGATIVE}",
        ),
    ],
    VERL: [
        ({"engine": "vrel"}, "engine must be 'torch', 'verl' or 'reported', found 'vrel'; choose one"),
        ({"training": None}, f"training is null; {SECTION}"),
        ({"cluster": []}, f"cluster is []; {SECTION}"),
        ({"training.dynamic_sampling": "yes"}, f"training.dynamic_sampling is 'yes'; {FLAG}"),
        ({"training.overlong_buffer_tokens": -1}, f"training.overlong_buffer_tokens is -1; {AT_LEAST_0}"),
        (
            {"cluster.device": "tpu"},
            "cluster.device is 'tpu'; must be 'cuda' or 'cpu': choose one; did you mean 'cpu'?",
        ),
        ({"cluster.nodes": 0}, f"cluster.nodes is 0; {AT_LEAST_1}"),
        ({"cluster.gpus_per_node": 0}, f"cluster.gpus_per_node is 0; {AT_LEAST_1}"),
        ({"cluster.ray_address": ""}, f"cluster.ray_address is ''; {LINE}"),
        ({"cluster.ray_cpus": 0}, f"cluster.ray_cpus is 0; {AT_LEAST_1}"),
        (
            {"cluster.precision": "float16"},
            "cluster.precision is 'float16'; must be 'bfloat16' or 'float32': choose one; did you mean 'bfloat16'?",
        ),
        (
            {"cluster.attention": "flash"},
            "cluster.attention is 'flash'; must be 'flash_attention_2' or 'sdpa': choose one",
        ),
        ({"cluster.micro_batch_tokens": 0}, f"cluster.micro_batch_tokens is 0; {AT_LEAST_1}"),
        ({"cluster.gradient_checkpointing": "on"}, f"cluster.gradient_checkpointing is 'on'; {FLAG}"),
        ({"cluster.offload": 0}, f"cluster.offload is 0; {FLAG}"),
        ({"cluster.tensor_parallel": 0}, f"cluster.tensor_parallel is 0; {AT_LEAST_1}"),
        (
            {"cluster.vllm_memory": 1.0},
            "cluster.vllm_memory is 1.0; must be less than 1.0: set it to a number below that",
        ),
        ({"cluster.vllm_batched_tokens": 0}, f"cluster.vllm_batched_tokens is 0; {AT_LEAST_1}"),
        ({"cluster.vllm_sequences": 0}, f"cluster.vllm_sequences is 0; {AT_LEAST_1}"),
        ({"cluster.vllm_eager": None}, f"cluster.vllm_eager is null; {FLAG}"),
        ({"cluster.reward_workers": 0}, f"cluster.reward_workers is 0; {AT_LEAST_1}"),
        ({"cluster.keep_checkpoints": 0}, f"cluster.keep_checkpoints is 0; {AT_LEAST_1}"),
        (
            {"cluster.wandb": False},
            "cluster.wandb is false; must be 'off', 'offline' or 'online': choose one (YAML reads yes, no, "
            "on and off as true or false unless they are in quotes)",
        ),
        ({"cluster.trust_remote_code": "no"}, f"cluster.trust_remote_code is 'no'; {FLAG}"),
    ],
    PAPER: [
        ({"model": "deepseek"}, f"model is 'deepseek'; {SECTION}"),
        ({"data": None}, f"data is null; {SECTION}"),
        ({"model.name": ""}, f"model.name is ''; {LINE}"),
        ({"model.revision": 1234567}, f"model.revision is 1234567; {TEXT}"),
        (
            {"data.train": "deepscalr"},
            "data.train is 'deepscalr'; must be 'deepscaler' or 'dapo_math_17k': choose one; did you mean "
            "'deepscaler'?",
        ),
        (
            {"data.validation": "aime24"},
            "data.validation: unknown benchmark 'aime24'; choose from ...; did you mean 'aime25'?",
        ),
        ({"data.max_prompt_tokens": 0}, f"data.max_prompt_tokens is 0; {AT_LEAST_1}"),
    ],
    REPORTED: [
        ({"engine": "report"}, "engine must be 'torch', 'verl' or 'reported', found 'report'; choose one"),
        ({"reported": []}, f"reported is []; {SECTION}"),
        ({"reported.benchmarks": []}, f"reported.benchmarks is []; {ONE_OR_MORE}"),
        ({"reported.training_dynamics": None}, f"reported.training_dynamics is null; {TEXT}"),
        ({"reported.prompts": 0}, f"reported.prompts is 0; {AT_LEAST_1}"),
    ],
    METHODS: [
        ({"real.label": ""}, f"real.label is ''; {LINE}"),
        (
            {"real.objective": "raal"},
            "real: objective: unknown objective 'raal'; choose from ...; did you mean 'real'?",
        ),
        ({"real.hyperparameters": 0.5}, f"real.hyperparameters is 0.5; {SECTION}"),
        ({"real.kl_coefficient": -0.1}, f"real.kl_coefficient is -0.1; {NOT_NEGATIVE}"),
        ({"real.source": REMOVED}, "real.source is missing; add it"),
    ],
    OVERLAY: [
        (
            {"variants.mine.method": "rael"},
            "variants.mine: unknown method 'rael'; choose from ...; did you mean 'real'?",
        ),
        (
            {"variants.mine.hyperparameters": {"tau": [1]}},
            "variants.mine.hyperparameters.tau is [1]; must be a single value, a number or text: write one",
        ),
        ({"variants.mine.label": ""}, f"variants.mine.label is ''; {LINE}"),
        (
            {"variants.mine.training": {"steps": [1]}},
            "variants.mine.training.steps is [1]; must be a single value, a number or text: write one",
        ),
    ],
    SOURCES: [
        ({"aime.label": ""}, f"aime.label is ''; {LINE}"),
        ({"aime.split": "validation"}, "aime.split is 'validation'; must be 'test' or 'train': choose one"),
        ({"aime.file": "../aime.parquet"}, f"aime.file is '../aime.parquet'; {NAME}"),
        ({"aime.urls": ["aime.parquet"]}, "aime.urls.0 is 'aime.parquet'; must match ^https?://\\S+$: copy it whole"),
        ({"aime.rows": 0}, f"aime.rows is 0; {AT_LEAST_1}"),
        (
            {"aime.bytes": "14575"},
            "aime.bytes is the text '14575', not a number; write it as 14575 (YAML reads 2e-6 as text, "
            "2.0e-6 as a number)",
        ),
        ({"aime.sha256": "36a2"}, "aime.sha256 is '36a2'; must match ^[0-9a-f]{64}$: copy it whole"),
        ({"aime.git_blob": 98}, f"aime.git_blob is 98; {TEXT}"),
        ({"aime.unanswered": "ignore"}, "aime.unanswered is 'ignore'; must be 'error' or 'drop': choose one"),
        ({"aime.licence": None}, f"aime.licence is null; {TEXT}"),
        ({"aime.name": "amc"}, "aime.name is not a known key; remove it: the entry's own key is its name"),
    ],
    COSTS: [
        ({"response_tokens": []}, f"response_tokens is []; {SECTION}"),
        ({"response_tokens.max_response_tokens": 0}, f"response_tokens.max_response_tokens is 0; {AT_LEAST_1}"),
        ({"dynamic_sampling": None}, f"dynamic_sampling is null; {SECTION}"),
        ({"update_share.low": 0}, "update_share.low is 0; must be more than 0.0: set it to a number above that"),
        (
            {"update_share.high": "0.5"},
            "update_share.high is the text '0.5', not a number; write it as 0.5 (YAML reads 2e-6 as text, 2.0e-6 as a "
            "number)",
        ),
        ({"update_share": REMOVED}, "update_share is missing; add it"),
        ({"response_bytes.source": " "}, f"response_bytes.source is ' '; {LINE}"),
        ({"response_bytes": 4}, f"response_bytes is 4; {SECTION}"),
        ({"state_bytes": "twelve"}, f"state_bytes is 'twelve'; {SECTION}"),
        ({"model_bytes": True}, f"model_bytes is true; {SECTION}"),
        ({"models": None}, f"models is null; {SECTION}"),
        (model_facts(parameters=1.5), f"models.mine.parameters is 1.5; {WHOLE}"),
        (model_facts(steps=[]), f"models.mine.steps is []; {ONE_OR_MORE}"),
        (model_facts(steps__0__hardware=8), f"models.mine.steps.0.hardware is 8; {TEXT}"),
        (model_facts(steps__0__gpus=0), f"models.mine.steps.0.gpus is 0; {AT_LEAST_1}"),
        (model_facts(steps__0__responses=REMOVED), "models.mine.steps.0.responses is missing; add it"),
        (model_facts(evaluation=7), f"models.mine.evaluation is 7; {SECTION}"),
        (
            model_facts(evaluation__max_response_tokens=0),
            f"models.mine.evaluation.max_response_tokens is 0; {AT_LEAST_1}",
        ),
        (model_facts(one_response=REMOVED), "models.mine.one_response is missing; add it"),
        ({"stated": []}, f"stated is []; {SECTION}"),
        ({"stated.laptop.rollouts": 0}, f"stated.laptop.rollouts is 0; {AT_LEAST_1}"),
        ({"stated.laptop.base": 73}, f"stated.laptop.base is 73; {SECTION}"),
        ({"stated.laptop.train": REMOVED}, "stated.laptop.train is missing; add it"),
        ({"stated.laptop.evaluate": [8, 10]}, f"stated.laptop.evaluate is [8, 10]; {SECTION}"),
    ],
    CLAIMS: [
        ({"scales": []}, f"scales is []; {SECTION}"),
        ({"claims": None}, f"claims is null; {SECTION}"),
        ({"scales.any.label": ""}, f"scales.any.label is ''; {LINE}"),
        ({"scales.any.config": 1}, f"scales.any.config is 1; {TEXT}"),
        ({"scales.any.base": "a/b"}, f"scales.any.base is 'a/b'; {NAME}"),
        (
            {"scales.any.gpu_hours_per_run": [1.0]},
            "scales.any.gpu_hours_per_run is [1.0]; must name 2 or more: add what is missing",
        ),
        ({"scales.any.cost": REMOVED}, "scales.any.cost is missing; add it"),
        ({"claims.real_entropy_stable.statement": ""}, f"claims.real_entropy_stable.statement is ''; {LINE}"),
        ({"claims.real_entropy_stable.source": None}, f"claims.real_entropy_stable.source is null; {TEXT}"),
        (
            {"claims.real_entropy_stable.published": "1.1"},
            "claims.real_entropy_stable.published is the text '1.1', not a number; write it as 1.1 (YAML "
            "reads 2e-6 as text, 2.0e-6 as a number)",
        ),
        (
            {"claims.real_entropy_stable.unit": "percent"},
            "claims.real_entropy_stable.unit is 'percent'; must be 'points', 'ratio', 'prompts' or 'plain': choose one",
        ),
        (
            {"claims.real_entropy_stable.measure": "curve_ration"},
            "claims.real_entropy_stable: measure: unknown measure 'curve_ration'; choose from ...; did you "
            "mean 'curve_ratio'?",
        ),
        (
            {"claims.real_entropy_stable.parameters": ["real"]},
            f"claims.real_entropy_stable.parameters is ['real']; {SECTION}",
        ),
        ({"claims.real_entropy_stable.region": 0.25}, f"claims.real_entropy_stable.region is 0.25; {SECTION}"),
        (
            {"claims.real_entropy_stable.scale": "1.6b"},
            "claims.real_entropy_stable.scale: unknown scale '1.6b'; choose from ...; did you mean '1.5b'?",
        ),
        (
            {"claims.real_entropy_stable.kind": "theory"},
            "claims.real_entropy_stable.kind is 'theory'; must be 'claim' or 'analogue': choose one",
        ),
        ({"claims.real_entropy_stable.rule": ""}, f"claims.real_entropy_stable.rule is ''; {LINE}"),
        (
            {"claims.real_entropy_stable.overlays": "ablations"},
            "claims.real_entropy_stable.overlays is 'ablations'; must be a list: write [a, b], or one '- a' per line",
        ),
        ({"claims.real_entropy_stable.cost": ""}, f"claims.real_entropy_stable.cost is ''; {LINE}"),
        ({"claims.real_entropy_stable.note": 7}, f"claims.real_entropy_stable.note is 7; {TEXT}"),
        ({"claims.real_entropy_stable.analogue": "yes"}, f"claims.real_entropy_stable.analogue is 'yes'; {SECTION}"),
        (
            {"claims.real_entropy_stable.analogue.statement": REMOVED},
            "claims.real_entropy_stable.analogue.statement is missing; add it",
        ),
        (
            {"claims.real_entropy_stable.analogue.parameters": {"start": [0.0, 2.0]}},
            "claims.real_entropy_stable: parameters.start.1 is 2.0; must be at most 1.0: set it to that or less",
        ),
        (
            {"claims.real_entropy_stable.analogue.region": {"abov": 1.0}},
            "claims.real_entropy_stable.analogue.region.abov is not a known key; did you mean 'above'?",
        ),
        (
            {"claims.real_entropy_stable.region.above": math.nan},
            f"claims.real_entropy_stable.region.above is nan; {FINITE}",
        ),
        (
            {"claims.real_entropy_stable.region.below": "2"},
            "claims.real_entropy_stable.region.below is the text '2', not a number; write it as 2.0 (YAML "
            "reads 2e-6 as text, 2.0e-6 as a number)",
        ),
    ],
}
