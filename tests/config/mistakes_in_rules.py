"""The mistakes that a user can make between fields and files of a configuration, each with the sentence that answers.

``tests/config/test_bad_input.py`` makes every one of them and fails where a refusal of the code has none. In a sentence
``...`` stands for anything.
"""

import math
from collections.abc import Callable

from tests.config.mistakes_in_fields import (
    AT_LEAST_1,
    CLAIMS,
    COSTS,
    FINITE,
    LINE,
    LOCAL,
    METHODS,
    NUMBER,
    ONE_OR_MORE,
    OVERLAY,
    PAPER,
    REMOVED,
    REPORTED,
    SECTION,
    SMOKE,
    SOURCES,
    TEXT,
    TWICE,
    VERL,
    VERL_ONLY,
    Rows,
    crossed,
    hypothesis,
    model_facts,
)

ENTRY = {
    "label": "Sums",
    "split": "test",
    "file": "sums.parquet",
    "urls": ["https://example.org/sums.parquet"],
    "rows": 1,
    "bytes": 1,
    "sha256": 64 * "0",
    "git_blob": None,
    "unanswered": "error",
    "licence": "not stated",
}
RULES: Rows = {
    SMOKE: [
        (
            {"version": REMOVED},
            "has no key 'version', so it was made for an earlier form of this package; write its values into "
            "a copy of a scale file of this package, which has version: 1",
        ),
        (
            {"version": True},
            "version is true, but this package reads version 1 of the configuration's format; take the "
            "package that the file was made for, or write its values into a copy of a scale file of this "
            "package, which has version: 1",
        ),
        ({"training.steps": REMOVED}, "training.steps is missing; every scale file states every key: add it"),
        ({"training.lerning_rate": 1.0}, "training.lerning_rate is not a known key; did you mean 'learning_rate'?"),
        ({"scale": "datasets"}, "scale is 'datasets', but results/datasets has another use; choose another name"),
        (
            {"variants": {"base": {"method": "real"}}},
            "variants.base: the name belongs to the base model; choose another name",
        ),
        (
            {"variants": {"real": {"method": "grpo"}}},
            "variants.real has the name of a method of paper_configs/methods.yaml; choose another name",
        ),
        ({"variants": {"mine": {"method": "mine"}}}, "variants.mine: unknown method 'mine'; choose from ..."),
        ({"methods": ["reall"]}, "methods: unknown method 'reall'; choose from ...; did you mean 'real'?"),
        ({"seeds": [0, 1, 0]}, f"seeds has 0 {TWICE}"),
        ({"seeds": []}, f"seeds is []; {ONE_OR_MORE}"),
        ({"seeds": [9223372036854775808]}, "line 61: 9223372036854775808 is too large a number; write one below 2**63"),
        (
            {"seeds": ["0"]},
            "seeds.0 is the text '0', not a number; write it as 0 (YAML reads 2e-6 as text, 2.0e-6 as a number)",
        ),
        (
            {"training.mini_batch_prompts": 3},
            "training.mini_batch_prompts 3 must divide training.prompts 8; choose one of 1, 2, 4, 8",
        ),
        (
            {"training.mini_batch_prompts": 16},
            "training.mini_batch_prompts 16 must divide training.prompts 8; choose one of 1, 2, 4, 8",
        ),
        (
            {"training.gradient_sample_steps": [7]},
            "training.gradient_sample_steps has 7, outside 1 to training.steps 6; name steps of the run",
        ),
        ({"training.gradient_sample_steps": [3, 3]}, f"training.gradient_sample_steps has 3 {TWICE}"),
        (
            {"training.warmup_steps": 7},
            "training.warmup_steps 7 must be at most training.steps 6, or the learning rate is never "
            "reached; lower it, or raise the steps",
        ),
        (
            {"base.phases.0.warmup_steps": 151},
            "base.phases.0: phase.warmup_steps 151 must be at most phase.steps 150, or the learning rate is "
            "never reached; lower it, or raise the steps",
        ),
        (
            {"policy.hidden_size": 30},
            "policy.hidden_size 30 must be an even multiple of policy.attention_heads 2; set it to a "
            "multiple of 4, for example 32",
        ),
        (
            {"training.max_response_tokens": 36},
            "training.max_response_tokens is 36, but the longest correct answer of the task has 37 tokens; "
            "raise it to at least that",
        ),
        (
            {"evaluation.max_response_tokens": 36},
            "evaluation.max_response_tokens is 36, but the longest correct answer of the task has 37 tokens; "
            "raise it to at least that",
        ),
        (
            {"evaluation.benchmarks": ["add9"]},
            "evaluation.benchmarks: unknown benchmark 'add9'; choose from ...; did you mean 'add3'?",
        ),
        ({"evaluation.benchmarks": ["mix4", "mix4"]}, f"evaluation.benchmarks has 'mix4' {TWICE}"),
        ({"task.training_families": ["add2", "add2"]}, f"task.training_families has 'add2' {TWICE}"),
        ({"training.learning_rate": "nan"}, f"training.learning_rate is 'nan'; {NUMBER}"),
        ({"evidence": "two\nlines"}, f"evidence is 'two\\nlines'; {LINE}"),
        ({"training.dynamic_sampling": True}, f"training.dynamic_sampling {VERL_ONLY}"),
        ({"training.overlong_buffer_tokens": 8}, f"training.overlong_buffer_tokens {VERL_ONLY}"),
        ({"cluster": {"nodes": 1}}, f"cluster {VERL_ONLY}"),
        (
            {"model": {"name": "m"}},
            "model belongs to the verl engine on a published checkpoint, which this is not; remove it",
        ),
        ({"base.further_seeds": [1, 0]}, "base.further_seeds has base.seed 0; name other seeds"),
        (
            crossed(methods=["rael"]),
            "grid: unknown method 'rael'; choose from ...; did you mean 'real'?",
        ),
        (
            crossed(learning_rate=[1.0e-3, 1.001e-3]),
            "grid has real_lr1.0e-3 twice (rates are told apart by two digits); leave out one of them",
        ),
        (
            hypothesis(worse="dapo"),
            "mechanism.hypotheses.mine.worse: unknown method 'dapo'; choose from ...",
        ),
        (
            hypothesis(worse="real"),
            "mechanism.hypotheses.mine: better and worse are both 'real'; name two methods of the grid",
        ),
    ],
    VERL: [
        (
            {"methods": ["counterfactual"]},
            "methods: counterfactual has the objective 'counterfactual', which the torch engine alone trains; "
            "remove it",
        ),
        ({"training.staleness": 1}, "training.staleness belongs to the torch engine, which this is not; remove it"),
        (
            crossed(staleness=[1]),
            "variants.real_lr1.0e-3_k1.training: staleness belongs to the torch engine, which this is not; remove it",
        ),
        (
            hypothesis(),
            "mechanism belongs to the torch engine, which this is not; remove it",
        ),
        ({"training.temperature": 2.5}, "training.temperature is 2.5, but vLLM samples at 2.0 at most; lower it"),
        ({"evaluation.temperature": 3}, "evaluation.temperature is 3.0, but vLLM samples at 2.0 at most; lower it"),
        ({"device": "cpu"}, "device belongs to the torch engine, which this is not; remove it"),
        (
            {"model": {"name": "m", "revision": None}},
            "task stands beside model or data; a scale of the verl engine has either a checkpoint (model, "
            "data) or the laptop's task (task, policy, base): remove one of the two",
        ),
        ({"task": REMOVED}, "model is missing; every scale file states every key: add it"),
        (
            {"training.overlong_buffer_tokens": 40},
            "training.overlong_buffer_tokens 40 must be smaller than training.max_response_tokens 40; lower it",
        ),
        (
            {"cluster.tensor_parallel": 2},
            "cluster.tensor_parallel 2 must divide cluster.gpus_per_node 1; choose one of 1",
        ),
        (
            {"cluster.nodes": 2},
            "cluster.ray_address is null with cluster.nodes 2; start Ray on the nodes and give its address "
            "(docs/paper_scale.md), or set cluster.nodes to 1",
        ),
        (
            {"cluster.vllm_sequences": 2048},
            "cluster.vllm_batched_tokens 1024 must be at least cluster.vllm_sequences 2048, which vLLM "
            "demands; raise the one or lower the other",
        ),
        (
            {"cluster.gpus_per_node": 3},
            "training.mini_batch_prompts 4 times training.rollouts 8 must be a multiple of the run's 3 GPUs "
            "(cluster.nodes times cluster.gpus_per_node); change one of them",
        ),
        (
            {"cluster.micro_batch_tokens": None, "training.micro_batch_rows": 5},
            "training.micro_batch_rows 5 must divide the 32 rows that each GPU has of a mini-batch; or set "
            "cluster.micro_batch_tokens, which cuts them by length",
        ),
        (
            {"cluster.micro_batch_tokens": 40},
            "cluster.micro_batch_tokens 40 can't hold the longest row of 52 tokens (prompt and response "
            "limits); raise it to at least that",
        ),
    ],
    PAPER: [
        (
            {"cluster.micro_batch_tokens": 8192},
            "cluster.micro_batch_tokens 8192 can't hold the longest row of 9216 tokens (prompt and response "
            "limits); raise it to at least that",
        ),
        (
            {"evaluation.benchmarks": ["aime", "mix4"]},
            "evaluation.benchmarks: mix4 belongs to the laptop's task, which this scale lacks; choose from ...",
        ),
    ],
    REPORTED: [
        ({"seeds": [0]}, "seeds belongs to a scale that trains, which this is not; remove it"),
    ],
    METHODS: [
        (
            {"real.hyperparameters.beta": 1.0},
            "real: hyperparameters.beta: objective 'real' has no such hyper-parameter; it takes tau, "
            "one_sided; correct it",
        ),
        ({"real.hyperparameters.tau": 0}, "real: hyperparameters.tau: 0.0 is out of range; expected > 0; correct it"),
        ({"real.hyperparameters.tau": math.nan}, f"real.hyperparameters.tau is nan; {FINITE}"),
        ({"real.hyperparameters.tau": "0.5"}, "real: hyperparameters.tau: expected a number, got '0.5'; correct it"),
        (
            {"real.hyperparameters.one_sided": "keep"},
            "real: hyperparameters.one_sided: expected one of 'drop', 'train', got 'keep'; correct it",
        ),
        (
            {"real.hyperparameters.tau": REMOVED},
            "real: hyperparameters.tau is missing; objective 'real' takes it: add it",
        ),
        (
            {"grpo.hyperparameters.clip_low": 2.0},
            "grpo: hyperparameters.clip_low: 2.0 is out of range; expected 0.0 to 1.0; correct it",
        ),
    ],
    OVERLAY: [
        (
            {"variants.mine.hyperparameters": {"taus": 0.1}},
            "variants.mine: hyperparameters.taus: objective 'real' has no such hyper-parameter; it takes "
            "tau, one_sided; correct it",
        ),
        (
            {"variants.mine.training": {"learning_rat": 0.1}},
            "variants.mine.training: learning_rat is not a known key; did you mean 'learning_rate'?",
        ),
        (
            {"variants.mine.training": {"dynamic_sampling": True}},
            f"variants.mine.training: dynamic_sampling {VERL_ONLY}",
        ),
        (
            {"variants.mine.training": {"mini_batch_prompts": 3}},
            "variants.mine.training: training.mini_batch_prompts 3 must divide training.prompts 8; choose "
            "one of 1, 2, 4, 8",
        ),
        ({"training": {"steps": 0}}, f"training.steps is 0; {AT_LEAST_1}"),
        (
            {"version": 2},
            "version is 2, but this package reads version 1 of the configuration's format; take the package "
            "that the file was made for, or write its values into a copy of a scale file of this package, "
            "which has version: 1",
        ),
        ({"scale": "x"}, "is a scale file, but paper_configs/smoke.yaml is one already; give one scale, then overlays"),
    ],
    SOURCES: [
        (
            {"aime.sha256": None, "aime.git_blob": None},
            "aime: has neither sha256 nor git_blob, so nothing could verify it; give one",
        ),
        ({"add3": ENTRY}, "add3: has the name of a family of the laptop's task; choose another name"),
        ({"aime": 7}, f"aime is 7; {SECTION}"),
        ({"aime.urls": []}, f"aime.urls is []; {ONE_OR_MORE}"),
    ],
    COSTS: [
        ({"update_share.low": 0.5}, "update_share: low is 0.5, above high 0.32; write the less as low"),
        (model_facts(evaluation__low=3), "models.mine.evaluation: low is 3.0, above high 2.0; write the less as low"),
        (
            {"response_tokens.high": 8192},
            "response_tokens: high is 8192.0, but a mean lies below max_response_tokens 8192; lower it",
        ),
        ({"model_bytes.hihg": 4}, "model_bytes.hihg is not a known key; did you mean 'high'?"),
    ],
    CLAIMS: [
        (
            {"claims.real_entropy_stable.region": {}},
            "claims.real_entropy_stable.region: region has neither end; give above, below or both",
        ),
        (
            {"claims.real_entropy_stable.region": {"above": 2.0, "below": 1.0}},
            "claims.real_entropy_stable.region: region is empty: above 2.0 must be less than below 1.0; correct them",
        ),
        (
            {"scales.any.gpu_hours_per_run": [3.0, 1.0]},
            "scales.any.gpu_hours_per_run is [3.0, 1.0]; must be from and to: write the less first",
        ),
        (
            {"claims.real_entropy_stable.parameters.methd": "real"},
            "claims.real_entropy_stable: parameters.methd is not a known key; did you mean 'method'?",
        ),
        (
            {"claims.real_entropy_stable.parameters.start": REMOVED},
            "claims.real_entropy_stable: parameters.start is missing; add it",
        ),
    ],
    LOCAL: [
        ({"device": "gpu"}, "device is 'gpu'; must be 'cpu' or 'cuda': choose one; did you mean 'cpu'?"),
        ({"scale": "x"}, "is a scale file, but paper_configs/smoke.yaml is one already; give one scale, then overlays"),
    ],
}

Edit = Callable[[str], str]


def add(text: str) -> Edit:
    """An edit that appends a line."""
    return lambda before: f"{before}{text}\n"


def put(text: str, new: str) -> Edit:
    """An edit that replaces a passage where it stands first."""
    return lambda before: before.replace(text, new, 1)


# what is done to the text of smoke.yaml, and the sentence
TEXTS: list[tuple[Edit, str]] = [
    (add("seeds: [0]"), "line 81: the key 'seeds' stands in line 8 already; remove one of the two"),
    (
        put("  seed: 0", "  seed: 0\n  seed: 1"),
        "line 14: the key 'seed' stands in line 13 already; remove one of the two",
    ),
    (put("s: 6", "s: 010"), "line 48: YAML reads 010 as a number in another base; write it in plain digits, ..."),
    (put("s: 6", "s: 1:30"), "line 48: YAML reads 1:30 as a number in another base; write it in plain digits, ..."),
    (put("s: 6", f"s: {2**63}"), f"line 48: {2**63} is too large a number; write one below 2**63"),
    (put("s: 6", f"s: {'9' * 5000}"), "is not valid YAML (Exceeds the limit ...); correct it there"),
    (put("[0, 1]", "&s [0, 1]\nx: *s"), "line 9: *s is an alias; write the value out"),
    (add("1: 2"), "line 81: the key 1 is no text; put it in quotes"),
    (add("off: 2"), "line 81: the key false is no text; put it in quotes"),
    (add("? [a]\n: 2"), "line 81: the key ['a'] is no text; put it in quotes"),
    (add("x: !!python/object/apply:os.mkdir [results]"), "is not valid YAML (...python/object...); correct it there"),
    (put("  steps: 6", "\tsteps: 6"), "is not valid YAML (...cannot start any token...); correct it there"),
    (put("seed: 0", "seed: 2024-13-45"), "is not valid YAML (month must be in 1..12); correct it there"),
    (put("scale: smoke", "scale: 2024-01-01"), f"scale is the date 2024-01-01; {TEXT}"),
    (lambda _: "# nothing\n", "is empty; write keys and values into it, or leave the file out"),
    (lambda _: "- 1\n", "expected a mapping of keys to values, found list; write 'key: value' lines"),
    (lambda _: "[" * 5000, "is nested too deeply; correct its brackets and indentation"),
    (add("x: \udcff"), "is not UTF-8 text (invalid start byte at byte ...); save it as UTF-8"),
    (add("x: \x00"), "is not valid YAML (...special characters are not allowed...); correct it there"),
]
