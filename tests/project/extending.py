"""The worked examples of docs/extending.md, taken from the page and applied to a copy of the repository."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.checkout import copy_checkout
from tests.support.paths import ROOT
from tests.support.processes import environment

PAGE = (ROOT / "docs" / "extending.md").read_text()
# of a fenced block: its language, the file it names if any, its content
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.M | re.S)
# commands of the page that make the files which its later blocks change
MAKING = ("cp ", "python make_")


def sections() -> dict[str, str]:
    """The page's examples by heading."""
    return dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def files_of(example: str) -> list[set[str]]:
    """Of each diff of an example the files that it changes."""
    diffs = [content for language, _, content in BLOCK.findall(example) if language == "diff"]
    return [set(re.findall(r"^\+\+\+ b/(\S+)$", diff, re.M)) for diff in diffs]


def run(checkout: Path, *command: str, stdin: str | None = None) -> str:
    """What a program prints in the copy; it must succeed."""
    # git apply skips files below another repository's root
    variables = environment(GIT_CEILING_DIRECTORIES=str(checkout.parent))
    done = subprocess.run(command, cwd=checkout, env=variables, input=stdin, text=True, capture_output=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def extended_checkout(folder: Path) -> Path:
    """A copy of the repository with every example of the page applied, in its order."""
    checkout = copy_checkout(folder)
    shutil.copy(ROOT / "results" / "README.md", checkout / "results")  # which the copy goes without
    for language, name, content in BLOCK.findall(PAGE):
        if language == "diff":
            run(checkout, "git", "apply", "-", stdin=content)
        elif name:
            (checkout / name).write_text(content)
        else:
            for line in content.splitlines():
                if line.startswith(MAKING):
                    run(checkout, "bash", "-c", line)
    return checkout
