"""The commands that a page prints: in fenced and indented blocks, in running text and in cells of tables.

What a command needs beyond a CPU and a registry stands beside it: in a comment, in the line above its block (``Needs: 8
GPUs``), in its own row or paragraph, or in the heading above.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from real.commands.command_line import _parser, main
from real.config import ReportedScale, load

PROGRAMS = ("make", "snakemake", "python", "python3", "torchrun", "conda", "pip", "pytest", "sbatch", "cp", ".")
# how a page says each need; the cost of a job in GPU-hours says nothing
NEEDS = {"GPU": r"\bGPUs?\b(?!-)", "SLURM": r"\bSLURM\b", "conda": r"(?i)\bconda\b"}
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}\S.*\n)+")
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
STANDS_FOR = {"K": "1", "N": "1", "<scale>": "laptop", "DIR": "folder", "DIR_OR_HUB": "folder", "FOLDER": "folder"}
STANDS_FOR |= {"python3": "python"}


class Command(NamedTuple):
    """One command, the text around it that may say what it needs, and whether it stands alone in a block."""

    page: str
    words: tuple[str, ...]
    around: str
    block: bool

    @property
    def text(self) -> str:
        return shlex.join(self.words)

    def values(self, *options: str) -> list[str]:
        """The words after an option, up to the next one."""
        found: list[str] = []
        for at, word in enumerate(self.words):
            if word in options:
                found += list(self.words[at + 1 :])
        ends = [at for at, word in enumerate(found) if word.startswith("-")]
        return found[: ends[0]] if ends else found


def commands(page: str, text: str) -> Iterator[Command]:
    """Every command of a page.

    Raises:
        ValueError: a block of commands with a line that is none.
    """
    blocks = [*FENCED.finditer(text), *INDENTED.finditer(FENCED.sub("", text))]
    for block in blocks:
        language, content = block.groups() if block.re is FENCED else ("", block[0])
        before = block.string[: block.start()]
        above = f"{heading(before)}\n{last_paragraph(before)}"
        if language in ("", "bash", "sh"):
            yield from in_block(page, content, above)
    prose = INDENTED.sub("", FENCED.sub("", text))
    for span in re.finditer(r"(?<!`)`([^`]+)`(?!`)", prose):
        inside = " ".join(span[1].split())
        if program(inside):
            around = f"{heading(prose[: span.start()])}\n{beside(prose, span.start(), span.end())}"
            yield from split(page, inside, around, block=False)


def in_block(page: str, content: str, above: str) -> Iterator[Command]:
    """The commands of a block, unless it holds none (output, a formula)."""
    lines = [line.strip() for line in content.replace("\\\n", " ").splitlines() if line.strip()]
    if not any(program(line) for line in lines):
        return
    comment = ""
    for line in lines:
        if line.startswith("#"):
            comment = line
            continue
        code, _, own = line.partition("  #")
        if not program(code):
            raise ValueError(f"{page}: {line!r} stands among commands, but starts with none of {', '.join(PROGRAMS)}")
        yield from split(page, code, f"{above}\n{comment}\n{own}", block=True)


def split(page: str, text: str, around: str, block: bool) -> Iterator[Command]:
    """The parts of a line that && joins, without assignments, redirections and what activates an environment."""
    for part in text.split("&&"):
        words = shlex.split(part.partition(">>")[0])
        while words and ASSIGNMENT.fullmatch(words[0]):
            words = words[1:]
        words = [STANDS_FOR.get(word, word) for word in words]
        if words and words[0] != ".":
            yield Command(page, tuple(words), around, block)


def program(text: str) -> bool:
    """Whether a line or a span of code is a command: a program of ours with something after it."""
    words = [word for word in text.split() if not ASSIGNMENT.fullmatch(word)]
    return len(words) > 1 and words[0] in PROGRAMS


def heading(before: str) -> str:
    """The nearest heading above."""
    return next((line for line in reversed(before.splitlines()) if line.startswith("#")), "")


def last_paragraph(before: str) -> str:
    """The line above a block."""
    return next((line for line in reversed(before.splitlines()) if line.strip()), "")


def beside(prose: str, start: int, end: int) -> str:
    """The row of a table, else the paragraph, without the command itself."""
    row = prose.rfind("\n", 0, start) + 1
    edge = "\n" if prose[row] == "|" else "\n\n"
    first = row if edge == "\n" else prose.rfind(edge, 0, start) + 1
    last = prose.find(edge, end)
    return prose[first:start] + prose[end : last if last >= 0 else None]


def configuration(command: Command) -> list[str]:
    """The configuration files that a command names."""
    scale = [f"paper_configs/{name}.yaml" for name in command.values("--scale")]
    return [*scale, *(word for word in command.values("--configfile", "--config") if word != "…")]


def needs(command: Command) -> set[str]:
    """What a command needs beyond a CPU, by its words and by the configuration it names (of the current folder)."""
    words = command.words
    if words[0] in ("conda", "sbatch"):
        return {"conda" if words[0] == "conda" else "SLURM"}
    if "workflow/profiles/slurm" in words:
        return {"SLURM"}
    if {"vllm", "cuda"} & set(words):
        return {"GPU"}
    trains = words[0] == "snakemake" or words[:4] in [("python", "-m", "real", verb) for verb in ("train", "evaluate")]
    files = configuration(command)
    if not trains or not files:
        return set()
    scale = load(files, local_file=Path("absent")).scale
    return {"GPU"} if not isinstance(scale, ReportedScale) and scale.gpus else set()


def module(command: Command) -> str:
    """What Python runs by ``-m``; nothing for a script."""
    runs = command.words[0] in ("python", "torchrun") and "-m" in command.words
    return command.words[command.words.index("-m") + 1] if runs else ""


def try_package(command: Command) -> None:
    """Parse a command of ``python -m real``, check the configuration that it names, and make the plan that it asks for.

    Running text may name a verb and leave out what it requires; a block may not.

    Raises:
        AssertionError, ConfigError: naming what is wrong.
    """
    arguments, said = list(command.words[3:]), io.StringIO()
    if files := configuration(command):
        load(files)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            parsed = _parser().parse_args(arguments)
        except SystemExit:
            assert not command.block, said.getvalue()
            assert "arguments are required" in said.getvalue(), said.getvalue()
            return
        if parsed.verb.__name__ == "plan" and files and not parsed.check:
            assert main(arguments) == 0, said.getvalue()


def unmarked(command: Command) -> set[str]:
    """The needs of a command that its page doesn't say."""
    return {need for need in needs(command) if not re.search(NEEDS[need], command.around)}
