"""Every command that a page prints works as far as it can be tried here, and says what it needs beyond a CPU.

Snakemake's are dry runs; those of ``python -m real`` pass the real argument parser and the configuration's checks, and
plans are made; make's run under ``make -n``; files and flags that others name exist.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.docs_commands import Command, commands, module, try_package, unmarked
from tests.project.extending import MAKING, extended_checkout, run
from tests.project.test_docs import PAGES
from tests.support.checkout import copy_checkout, snakemakes
from tests.support.paths import ROOT

COMMANDS = [found for page in PAGES for found in commands(str(page.relative_to(ROOT)), page.read_text())]
OF_EXTENDING = [found for found in COMMANDS if found.page == "docs/extending.md"]
ELSEWHERE = [found for found in COMMANDS if found not in OF_EXTENDING]
# by the copy's own code, which has what the page adds
IN_A_COPY = """
from pathlib import Path
from tests.project.docs_commands import commands, module, try_package, unmarked
for command in commands("docs/extending.md", Path("docs/extending.md").read_text()):
    assert not unmarked(command), command.text
    if module(command) == "real":
        try_package(command)
"""


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory):
    """A copy of the repository, and one with the examples of docs/extending.md applied; with the commands for each."""
    folder = tmp_path_factory.mktemp("docs")
    return [
        (copy_checkout(folder / "project"), ELSEWHERE),
        (extended_checkout(folder / "extended"), OF_EXTENDING),
    ]


def of(program: str, found: list[Command]) -> list[Command]:
    return [command for command in found if command.words[0] == program]


def test_commands_of_every_kind_are_found():
    page = """
    make test  # with a comment

```bash
X=1 python -m real plan && . .venv/bin/activate && conda activate real
```

Of `pytest tests/test_x.py -k y` and `code`:

| `snakemake --cores all` | a cell |
"""
    assert {command.text for command in commands("page", f"Text.\n{page}")} == {
        "make test",
        "python -m real plan",
        "conda activate real",
        "pytest tests/test_x.py -k y",
        "snakemake --cores all",
    }
    assert len(COMMANDS) > 50


def test_a_need_is_found_by_the_configuration_and_must_be_said_beside_the_command(monkeypatch):
    monkeypatch.chdir(ROOT)

    def missing(page: str) -> list[set[str]]:
        return [unmarked(command) for command in commands("page", page)]

    text = "snakemake --cores all --configfile paper_configs/1.5b.yaml"
    assert missing(f"Text.\n\n```\n{text}\n```\n") == [{"GPU"}]
    assert missing(f"| `{text}` | 3,200 GPU-hours |\n| needs 8 GPUs | `make test` |\n") == [{"GPU"}, set()]
    for said in (
        f"Needs: 8 GPUs\n\n```\n{text}\n```\n",
        f"```\n{text}   # needs 8 GPUs\n```\n",
        f"| `{text}` | needs 8 GPUs |\n",
        f"## With GPUs\n\nText.\n\n```\n{text}\n```\n",
    ):
        assert missing(said) == [set()], said
    assert missing("`conda activate real` and `sbatch x`\n") == [{"conda"}, {"SLURM"}]
    with pytest.raises(ValueError, match="'curl -O x' stands among commands"):
        missing("```\nmake test\ncurl -O x\n```\n")


@pytest.mark.parametrize("command", ELSEWHERE, ids=lambda command: f"{command.page}: {command.text}")
def test_what_a_command_needs_beyond_a_cpu_is_said_beside_it(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert unmarked(command) == set(), f"{command.page}: {command.text}: write the line 'Needs: …' above it"


@pytest.mark.slow
def test_snakemakes_commands_show_their_jobs(checkouts):
    for checkout, found in checkouts:
        runs = {command.text: dry_run(command) for command in of("snakemake", found)}
        done = zip(runs, snakemakes(checkout, list(runs.values())), strict=True)
        assert {text: printed for text, (code, printed) in done if code} == {}


def dry_run(command: Command) -> list[str]:
    """The arguments of a dry run.

    ``…`` is a configuration after --configfile, and otherwise left out. Of SLURM's profile, whose plugin is installed
    where SLURM is, the jobs alone are tried.
    """
    words = list(command.words[1:])
    if "workflow/profiles/slurm" in words:
        at = words.index("--workflow-profile")
        words[at : at + 2] = []
    if words[-2:] == ["--configfile", "…"]:
        words[-1] = "paper_configs/smoke.yaml"
    words = [word for word in words if word != "…"]
    return ["--dry-run", *([] if "--cores" in words else ["--cores", "1"]), *words]


@pytest.mark.slow
def test_makes_commands_have_a_recipe(checkouts):
    for checkout, found in checkouts:
        for text, words in {command.text: command.words for command in of("make", found)}.items():
            done = subprocess.run([*words, "-n"], cwd=checkout, text=True, capture_output=True)
            assert done.returncode == 0, f"{text}: {done.stderr}"
            assert done.stdout, text


@pytest.mark.parametrize(
    "command",
    [found for found in ELSEWHERE if module(found) == "real"],
    ids=lambda found: f"{found.page}: {found.text}",
)
def test_a_command_of_the_package_parses_and_its_plan_is_made(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    try_package(command)


@pytest.mark.slow
def test_the_same_holds_for_the_extensions_in_their_own_copy(checkouts):
    run(checkouts[1][0], sys.executable, "-c", IN_A_COPY)


def test_modules_scripts_and_files_that_commands_name_exist_with_their_flags():
    for command in COMMANDS:
        name = module(command)
        if command.words[0] in ("python", "torchrun") and name != "real":
            if not name:
                assert command.text.startswith(MAKING), command.text
                continue
            found = importlib.util.find_spec(name)
            assert found, command.text
            source = Path(found.origin or "")
            folder = source.parent.rglob("*.py") if source.name == "__init__.py" else [source]
            code = "".join(path.read_text() for path in folder)
            for flag in re.findall(r"--[a-z-]+", command.text.partition(f"-m {name}")[2]):
                assert f'"{flag}"' in code, f"{command.text}: {name} has no {flag}"
        if command.words[0] in ("conda", "pip", "pytest", "sbatch"):
            for word in command.words[1:]:
                assert "/" not in word or (ROOT / word).exists(), command.text


def test_versions_and_names_in_commands_are_the_projects():
    makefile = (ROOT / "Makefile").read_text()
    version = re.search(r"TORCH_VERSION := (\S+)", makefile)
    assert version
    for command in COMMANDS:
        for word in command.words:
            if word.startswith("torch=="):
                assert word == f"torch=={version[1]}", command.text
        if command.words[:2] == ("conda", "activate"):
            assert f"name: {command.words[2]}\n" in (ROOT / "environment.yml").read_text()
        if command.words[:3] == ("conda", "env", "create"):
            assert (ROOT / command.values("-f", "--file")[0]).exists()
