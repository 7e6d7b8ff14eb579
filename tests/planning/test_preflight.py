"""Preflight: each check by the facts it is given, and all of them together on this machine."""

from pathlib import Path

import pytest

from real.commands.command_line import main
from real.config.paper_scale import Model
from real.planning.plan import plan
from real.planning.preflight import (
    attention_advice,
    attention_problems,
    check,
    dataset_problems,
    disk_findings,
    disk_is_too_small,
    gpu_problems,
    grant_problems,
    model_problems,
    platform_problems,
    ray_problems,
    require,
    version_problems,
)
from real.planning.probe import read_answers, read_free_bytes, read_imports, read_pins
from real.system.errors import ExpectedError
from real.system.gpus import Gpu
from real.tasks.sources import DatasetError
from tests.support.gpus import list_gpus
from tests.support.paths import ROOT
from tests.support.scales import shipped

H100 = Gpu("0", "GPU-6f2a", "NVIDIA H100 80GB HBM3", 81559, 81008, 9.0)
V100 = Gpu("1", "GPU-9b1c", "Tesla V100-SXM2-32GB", 32768, 4096, 7.0)
ODD = Gpu("2", "GPU-77aa", "NVIDIA Odd")  # of which nvidia-smi knows nothing more
LOCK = Path("requirements/gpu.lock")


def listed(problems):
    """A check, with its sentences in a list."""
    return lambda *facts, **named: list(problems(*facts, **named))


of_gpu, of_model, of_dataset = map(listed, (gpu_problems, model_problems, dataset_problems))
of_version, of_ray = map(listed, (version_problems, ray_problems))
of_attention, of_platform = map(listed, (attention_problems, platform_problems))


@pytest.fixture
def cluster():
    return shipped("1.5b").scale.cluster


FULL = "GPU 0 (NVIDIA H100) has 3.9 of 79.6 GiB free, but vLLM takes 47.8 (cluster.vllm_memory 0.6)"
NONE = "cluster.gpus_per_node is 1, but this job can see 0 GPUs"


@pytest.mark.parametrize(
    ("chosen", "problems"),
    [
        (None, [FULL]),
        ("0", [FULL]),
        ("1", []),
        ("GPU-9b", []),
        ("MIG-3f", []),  # of which nothing is known
        ("", [NONE]),
        ("7", [NONE]),
    ],
)
def test_only_the_gpus_that_the_job_may_use_are_judged(monkeypatch, tmp_path, chosen, problems):
    full, free = "NVIDIA H100, 81559, 4000, 9.0, 550.54", "NVIDIA A100, 81920, 81000, 8.0, 550.54"
    list_gpus(monkeypatch, tmp_path, f"0, GPU-6f2a, {full}", f"1, GPU-9b1c, {free}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    monkeypatch.chdir(ROOT)
    found = [one.split(";")[0] for one in check(shipped("single_gpu"), inputs=False).problems]
    assert [one for one in found if one.startswith(("GPU ", "cluster.gpus", "nvidia-smi"))] == problems


def test_a_machine_without_driver_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(ROOT)
    problems = check(shipped("single_gpu"), inputs=False).problems
    assert "nvidia-smi can't be run, so no NVIDIA driver is here; run on a GPU machine, or choose a scale for CPUs" in (
        problems
    )


def test_missing_full_and_old_gpus_are_each_one_sentence(cluster):
    problems = of_gpu([H100, V100], cluster)
    assert [problem.split(",")[0] for problem in problems] == [
        "cluster.gpus_per_node is 8",
        "GPU 1 (Tesla V100-SXM2-32GB) has 4.0 of 32.0 GiB free",
        "GPU 1 (Tesla V100-SXM2-32GB) has compute capability 7.0",
    ]
    assert "vLLM takes 27.2 (cluster.vllm_memory 0.85)" in problems[1]


def test_enough_free_gpus_are_no_problem_and_no_driver_is_one(cluster):
    assert of_gpu([H100] * 8, cluster) == []
    assert of_gpu([ODD] * 8, cluster) == []
    assert len(of_gpu(None, cluster)) == 1
    elsewhere = cluster.model_copy(update={"ray_address": "10.0.0.1:6379"})
    assert of_gpu(None, elsewhere) == []
    assert of_gpu([], elsewhere) == []


def test_float32_needs_no_new_gpu_and_the_torch_engine_one_of_any_kind(cluster):
    old = Gpu("0", "GPU-1", "old", 100, 100, 7.0)
    single = cluster.model_copy(update={"gpus_per_node": 1, "precision": "float32"})
    assert of_gpu([old], single) == []
    assert of_gpu([old], None) == []
    assert len(of_gpu([], None)) == 1


def test_fewer_gpus_than_requested_are_refused_and_outside_the_workflow_nothing_is():
    assert grant_problems(8, None) == grant_problems(8, 8) == grant_problems(0, 0) == []
    (problem,) = grant_problems(8, 4)
    assert "granted 4 of the 8" in problem
    assert "--resources gpu=8" in problem


def test_disk_is_compared_with_the_need(monkeypatch, tmp_path):
    for name in ("paper_configs", "datasets"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    needed = plan(shipped("1.5b")).bytes_needed
    for free, problems in ((needed, []), (74.4e9, ["results/: 160 GB are needed at most, one job after the other"])):
        monkeypatch.setattr("real.planning.preflight.read_free_bytes", lambda folder, free=free: free)
        found, advice = disk_findings(shipped("1.5b"))
        assert ([problem.split(", and 74 GB are free")[0] for problem in found], advice) == (problems, [])


def test_a_disk_that_is_too_small_is_one_that_the_low_end_of_some_jobs_does_not_fit(monkeypatch, workplace):
    experiment, run = shipped("1.5b"), "runs/real/seed0"
    rows = {row.folder: row for row in plan(experiment).rows}
    most, stays = rows[run].peak.low, rows[run].kept.low
    two = [run, "runs/gspo/seed0"]
    for folders, needed in (([run], most), (two, most + stays), ([], 0)):
        for free in {needed, max(0, needed - 1)}:
            monkeypatch.setattr("real.planning.preflight.read_free_bytes", lambda folder, free=free: free)
            assert bool(disk_is_too_small(experiment, folders)) == (free < needed)
    monkeypatch.setattr("real.planning.preflight.read_free_bytes", lambda folder: 0)
    assert disk_is_too_small(shipped("laptop"), ["runs/real/seed0"]) == "", "nothing is estimated there"


def test_free_bytes_of_a_folder_that_is_still_to_come(tmp_path):
    assert read_free_bytes(tmp_path / "results" / "1.5b") > 0


def test_a_model_folder_needs_config_and_weights(tmp_path):
    def unasked(model):
        raise AssertionError("a folder needs no hub")

    model = Model(name=str(tmp_path), revision=None)
    assert "holds no config.json and no weights" in of_model(model, unasked)[0]
    (tmp_path / "config.json").write_text("{}")
    assert "holds no weights" in of_model(model, unasked)[0]
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert of_model(model, unasked) == []
    absent = Model(name=str(tmp_path / "absent"), revision=None)
    assert "is no such folder" in of_model(absent, unasked)[0]


def test_a_hub_id_is_asked_for_at_the_hub():
    model = Model(name="organisation/name", revision="abc0" * 10)
    assert of_model(model, lambda asked: None) == []
    assert of_model(model, lambda asked: f"lacks {asked.revision}") == [
        f"model.name: organisation/name lacks {'abc0' * 10}"
    ]


def test_each_dataset_is_loaded_once_and_reported_by_itself():
    asked = []

    def load_one(name):
        asked.append(name)
        if name != "aime":
            raise DatasetError(f"{name}: is damaged")

    assert of_dataset(["math", "aime", "aime", "amc"], load_one) == ["math: is damaged", "amc: is damaged"]
    assert asked == ["math", "aime", "amc"]


def test_a_prepared_dataset_that_was_never_made_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "sources.yaml").write_text((ROOT / "datasets" / "sources.yaml").read_text())
    (problem,) = of_dataset(["aime"])
    assert "prepare it with `snakemake datasets/prepared/aime.parquet --cores 1`" in problem


def test_versions_are_compared_with_the_lock_and_verl_with_the_engine(tmp_path):
    lock = tmp_path / "gpu.lock"
    lock.write_text(
        "torch==2.11.0 \\\n    --hash=sha256:aa\nvllm==0.24.0\nTransferQueue==0.1.11\n"
        "numpy==2.3.5 ; python_version < '3.12'\nnumpy==2.3.6 ; python_version >= '3.12'\nsix==1.0\n"
    )
    pins = read_pins(lock)
    assert pins["numpy"] == {"2.3.5", "2.3.6"}
    good = {"verl": "0.9.1", "torch": "2.11.0+cu130", "vllm": "0.24.0", "transferqueue": "0.1.11", "numpy": "2.3.6"}
    assert of_version(good, pins, LOCK, "gpu-env") == []
    other = {**good, "verl": "0.9.0", "vllm": "0.25.0", "numpy": "2.4.0"}
    problems = of_version(other, pins, LOCK, "gpu-env")
    assert [problem.split(", but")[0] for problem in problems] == [
        "verl is installed at 0.9.0",
        "vllm is installed at 0.25.0",
        "numpy is installed at 2.4.0",
    ]
    assert "needs 2.3.5 or 2.3.6 (requirements/gpu.lock)" in problems[2]
    del good["torch"]
    assert of_version(good, pins, LOCK, "gpu-env")[0].startswith("torch is not installed, but the engine needs")


def test_without_a_lock_verl_alone_is_checked(tmp_path):
    assert read_pins(tmp_path / "absent.lock") == {}
    assert of_version({"verl": "0.9.1"}, {}, LOCK, "gpu-env") == []
    assert "needs 0.9.1" in of_version({}, {}, LOCK, "gpu-env")[0]


def test_ray_is_asked_where_the_config_names_a_cluster():
    asked = []

    def silent(host, port):
        asked.append((host, port))
        return False

    for address in (None, "auto", "local"):
        assert of_ray(address, silent) == []
    assert asked == []
    assert "no Ray answers at ray://10.0.0.1:10001" in of_ray("ray://10.0.0.1:10001", silent)[0]
    assert asked == [("10.0.0.1", 10001)]
    assert of_ray("10.0.0.1:6379", lambda host, port: True) == []
    assert "is no host:port" in of_ray("headnode", silent)[0]


def test_a_port_answers_only_while_somebody_listens():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert read_answers("127.0.0.1", port)
    assert not read_answers("127.0.0.1", port)


def test_flash_attention_is_imported_only_where_it_is_asked_for():
    def absent(module):
        return f"No module named {module!r}"

    assert of_attention("sdpa", absent) == []
    assert of_attention("flash_attention_2", lambda module: None) == []
    (lacking,) = of_attention("flash_attention_2", absent)
    assert "(No module named 'flash_attn'; No module named 'kernels')" in lacking
    assert of_attention("flash_attention_2", lambda module: None if module == "kernels" else "no") == []
    assert read_imports("json") is None
    assert read_imports("no_such_module") == "ModuleNotFoundError: No module named 'no_such_module'"


def test_the_check_says_which_attention_is_tried_first():
    def only(*found):
        return lambda module: None if module in found else "missing"

    assert attention_advice("sdpa", only()) == attention_advice("flex_attention", only()) == []
    for found, first in [
        (("flash_attn", "kernels"), "flash_attention_2, by the package flash_attn"),
        (("kernels",), "flash_attention_2, by the package kernels"),
        ((), "flex_attention, because flash-attn is missing"),
    ]:
        (said,) = attention_advice("auto", only(*found))
        assert f"a job tries {first}" in said


def test_a_cpu_is_refused_outside_the_platform_of_the_tests():
    assert of_platform("cpu", "cpu") == of_platform("cuda", None) == []
    assert len(of_platform("cpu", None)) == 1


def test_all_problems_come_at_once(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    problems = check(shipped("verl_smoke"), granted_gpus=0).problems
    assert any(problem.startswith("cluster.device cpu runs only") for problem in problems)
    with pytest.raises(ExpectedError) as raised:
        require(shipped("verl_smoke"))
    assert str(raised.value).splitlines() == problems


def test_the_command_says_ready_or_lists_the_problems(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    assert main(["plan", "--scale", "smoke", "--check", "--gpus", "0"]) == 0
    assert capsys.readouterr().out == "ready\n"
    assert main(["plan", "--scale", "verl_smoke", "--check"]) == 1
    assert "VERL_PLATFORM=cpu" in capsys.readouterr().err
