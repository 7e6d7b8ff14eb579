"""A digest of code changes by what can change a number, and by nothing else."""

import shutil

import pytest

from real.commands.exhibits import exhibits
from real.records.made_from import SAMPLERS, TRAINERS
from real.system import code
from real.system.code import DATA, EVIDENCE, NUMERIC, code_digest, counted_modules
from tests.support.paths import ROOT

RUNS = {"torch run", "verl run"}
IN_TORCH = {"torch evaluation", "transformers evaluation"}
EVALUATIONS = {*IN_TORCH, "vllm evaluation"}
# module(s) and wings of each kind of result
RESULTS = {
    "base model": (("real.engines.torch.supervised",), NUMERIC),
    **{f"{engine} run": ((module,), NUMERIC) for engine, module in TRAINERS.items()},
    **{f"{name} evaluation": (("real.evaluation.evaluate", module), NUMERIC) for name, module in SAMPLERS.items()},
    "data": (("real.tasks.datasets",), DATA),
    **{exhibit.name: ((exhibit.make.__module__,), EVIDENCE) for exhibit in exhibits()},
}
SHOWN = {exhibit.name for exhibit in exhibits()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for room in ("real", "figures"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def digests(copy, monkeypatch):
    """A function: the digest of every kind of result, from the copy's code as it is now."""
    monkeypatch.setattr(code, "ROOT", copy)

    def ask() -> dict[str, str]:
        forget()
        return {name: code_digest(*modules, wings=wings) for name, (modules, wings) in RESULTS.items()}

    yield ask
    forget()


def forget() -> None:
    """One process asks once; here each edit is asked for."""
    for function in (code_digest, code._parsed, code._imports, code._tree):
        function.cache_clear()


@pytest.fixture
def changed(copy, digests):
    """A function: which results another text in the place of one in a file makes stale."""
    undo = []

    def edit(file: str, old: str, new: str) -> set[str]:
        path = copy / file
        before, text = digests(), path.read_text()
        assert old in text
        undo.append((path, text))
        path.write_text(text.replace(old, new, 1))
        after = digests()
        return {name for name in RESULTS if before[name] != after[name]}

    yield edit
    for path, text in undo:
        path.write_text(text)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("real/system/sentences.py", "choose from", "select from"),
        ("real/system/files.py", "is damaged", "is broken"),
        ("real/config/sections.py", "must divide", "has to divide"),
        ("real/models/checkpoints.py", "holds no Hugging Face checkpoint", "is no Hugging Face checkpoint"),
        ("real/objectives.py", "unknown objective", "no such objective"),
        ("real/objectives.py", "The six training objectives", "Six training objectives"),
        ("real/engines/alarms.py", "ENTROPY_COLLAPSE = 0.25", "ENTROPY_COLLAPSE = 0.5"),
        ("real/records/verify.py", "is listed, but not there", "is listed but gone"),
        ("real/planning/preflight.py", "BFLOAT16_CAPABILITY = 8.0", "BFLOAT16_CAPABILITY = 9.0"),
        ("real/commands/start.py", "begins: into", "starts: into"),
    ],
)
def test_words_settings_records_and_plans_make_nothing_stale(changed, file, old, new):
    assert changed(file, old, new) == set()


def test_another_clamp_makes_the_runs_of_both_trainers_stale_and_no_evaluation(changed):
    found = changed("real/objectives.py", "TOKEN_LOG_RATIO_BOUND = 40.0", "TOKEN_LOG_RATIO_BOUND = 41.0")
    assert found - SHOWN == RUNS
    assert found & SHOWN >= {"gradient_magnitude", "gradient_measured", "claims"}
    assert not found & {"benchmarks", "differences", "pass_at_k", "training_curves", "training_dynamics"}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("real/engines/verl/trainer.py", 'TRAINER = "real_sync"', 'TRAINER = "other_sync"', {"verl run"}),
        ("real/engines/verl/reward.py", "import", "import json\nimport", {"verl run"}),
        ("real/engines/verl/agent_loops.yaml", "name: ", "name: other_", {"verl run"}),
        ("real/engines/torch/train.py", "VALIDATION_CHUNK = 150", "VALIDATION_CHUNK = 100", {"torch run"}),
        ("real/engines/torch/policy.py", "BUCKET_ROWS = 16", "BUCKET_ROWS = 8", {"torch run", "base model"}),
        ("real/models/vllm_sampler.py", "import", "import json\nimport", {"vllm evaluation"}),
        ("real/models/torch_sampler.py", "import", "import json\nimport", IN_TORCH),
        ("real/models/packing.py", "BUCKET_ROWS = 16", "BUCKET_ROWS = 8", {"torch run", "base model", *EVALUATIONS}),
        ("real/evaluation/chunks.py", 'SUFFIX = ".chunk"', 'SUFFIX = ".part"', EVALUATIONS),
        ("real/grading/extraction.py", "import", "import json\nimport", RUNS | EVALUATIONS),
        # started by its name, so that no import tells of it
        ("real/grading/worker.py", "\nimport", "\nimport json\nimport", RUNS | EVALUATIONS),
        ("real/tasks/datasets.py", "import", "import re\nimport", {"data"}),
        ("real/tasks/corrections.py", 'NOTHING_CORRECTED = "none"', 'NOTHING_CORRECTED = ""', {"data"}),
        ("real/tasks/sources.py", '"git_blob", "unanswered"}', '"git_blob"}', {"data"}),
    ],
)
def test_code_that_can_change_a_number_makes_those_results_stale_that_it_makes(changed, file, old, new, stale):
    assert changed(file, old, new) - SHOWN == stale
    assert not changed(file, new, old) & SHOWN


def test_other_statistics_make_tables_claims_and_report_again_and_no_run(changed):
    found = changed("real/statistics/intervals.py", "HALF_WEIGHT = 2.0", "HALF_WEIGHT = 3.0")
    assert found >= {"benchmarks", "differences", "pass_at_k", "claims", "learning_rate_sweep", "mechanism", "report"}
    assert found <= SHOWN - {"gradient_magnitude"}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        (
            "figures/training_dynamics.py",
            "PAPER_ENTROPY_LIMIT = 0.5",
            "PAPER_ENTROPY_LIMIT = 0.6",
            {"training_dynamics"},
        ),
        ("figures/learning_rate_sweep.py", "1.03", "1.04", {"learning_rate_sweep"}),
        ("real/evidence/pass_at_k.py", "2**power", "3**power", {"pass_at_k"}),
        # no modules, but what a page is filled into
        ("real/evidence/report/page.html.j2", "<h2>Costs</h2>", "<h2>Cost</h2>", {"report"}),
        ("real/evidence/claims/page.html.j2", "<main>", "<main >", {"claims", "report"}),
        ("real/evidence/claims/table.html.j2", "<th>cost</th>", "<th>costs</th>", {"claims", "report"}),
        # imported inside functions, which hides nothing
        ("real/weights.py", "SEARCH_STARTS = 3", "SEARCH_STARTS = 4", {"claims", "gradient_magnitude"}),
    ],
)
def test_an_edit_of_one_exhibit_remakes_that_exhibit(changed, file, old, new, stale):
    found = changed(file, old, new)
    assert found >= stale
    assert found - stale <= {"gradient_measured", "mechanism"}, "which draw the curves of gradient_magnitude too"


def test_what_a_digest_covers_is_found_from_imports_wherever_they_stand():
    torch_run, vllm = (set(counted_modules(*RESULTS[name][0])) for name in ("torch run", "vllm evaluation"))
    assert {"real.objectives", "real.exact", "real.counterfactual", "real.grading.worker"} <= torch_run
    assert not [name for name in torch_run if name.startswith(("real.config", "real.system", "real.engines.verl"))]
    assert "real.models.chat" in vllm
    assert not [name for name in vllm if name.startswith("real.engines")]


def test_a_name_that_is_no_module_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"^real\.nothing: no such module"):
        code_digest("real.nothing")
