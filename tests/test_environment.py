"""What can be checked of the environments without conda: shapes, specs, and that lock and installation satisfy them."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
CONDA_FILES = [ROOT / "environment.yml", *sorted((ROOT / "workflow" / "envs").glob("*.yaml"))]
# conda name -> PyPI name, where they differ
PYPI_NAME = {"pytorch": "torch", "matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
# imported name -> PyPI name, where they differ
DISTRIBUTION = {
    "yaml": "pyyaml",
    "math_verify": "math-verify",
    "latex2sympy2_extended": "latex2sympy2-extended",
    "packaging": "packaging",
}
# imported by an engine when a job needs it, and by its tests: of the GPU environment, not of the laptop's
OF_THE_ENGINE = {"vllm", "psutil"}
OWN = {"real", "figures", "tests", "benchmarks"}
SPEC = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[a-z0-9-]+\])?(?: (?P<versions>[<>=!][^ ]*))?$")


def conda_specs(path: Path) -> dict[str, str]:
    """PyPI name -> version specifier of a conda file's dependencies."""
    specs = {}
    lines = yaml.safe_load(path.read_text())["dependencies"]
    from_pip = [line for part in lines if isinstance(part, dict) for line in part["pip"]]
    for line in [*(line for line in lines if line != "pip" and isinstance(line, str)), *from_pip]:
        match = SPEC.match(line)
        assert match, f"{path.name}: {line!r} is no 'name >=version' spec"
        specs[PYPI_NAME.get(match["name"], match["name"])] = match["versions"] or ""
    return specs


def locked() -> dict[str, list[str]]:
    """Name -> versions in the lock (several where they depend on the Python version)."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements" / "cpu.lock").read_text(), re.M
    ):
        versions.setdefault(name, []).append(version)
    return versions


def imported(*folders: str) -> set[str]:
    """Top-level names that the Python files of the folders import, without the standard library and our own."""
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module.split(".")[0])
    return {DISTRIBUTION.get(name, name) for name in names - OWN - OF_THE_ENGINE - set(sys.stdlib_module_names)}


@pytest.mark.parametrize("path", CONDA_FILES, ids=lambda path: path.name)
def test_conda_files_have_channels_and_parseable_specs(path):
    content = yaml.safe_load(path.read_text())
    allowed = {"name", "channels", "dependencies"}
    assert set(content) <= allowed
    assert content["channels"][-1] == "nodefaults"
    assert set(content["channels"]) <= {"conda-forge", "bioconda", "nodefaults"}
    for specifier in conda_specs(path).values():
        SpecifierSet(specifier)


def test_environment_yml_is_named_as_the_readme_says():
    assert yaml.safe_load((ROOT / "environment.yml").read_text())["name"] == "real"


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
    assert imported("tests") - named - {"packaging"} == set()  # packaging comes with pytest


def test_the_rules_environment_is_environment_yml_without_the_tools():
    tools = {"snakemake", "pytest", "hypothesis"}
    full = {k: v for k, v in conda_specs(ROOT / "environment.yml").items() if k not in tools}
    assert conda_specs(ROOT / "workflow" / "envs" / "real.yaml") == full


def test_pyprojects_dependencies_are_locked_at_versions_they_allow():
    import tomllib

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


def test_makefile_installs_torch_by_a_line_of_its_own():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"\$\(PIP\) .*TORCH_INDEX_URL.* torch==\$\(TORCH_VERSION\)", makefile)
    version = re.search(r"^TORCH_VERSION := (\S+)", makefile, re.M)[1]
    assert importlib.metadata.version("torch").split("+")[0] == version
