"""A running job's folder: locked while in use, its state written atomically, so that a killed job resumes.

Snakemake deletes the declared outputs of a failed job; this folder is undeclared and therefore survives. Both engines
use it: ``made_by.json`` says what its content belongs to, and content of another configuration or code is never mixed
with this one's, unless the user accepts that code by name.
"""

import io
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from real.system.code import accepting, commit_of, git_state
from real.system.errors import ExpectedError
from real.system.files import (
    DamagedError,
    read_json,
    read_sealed,
    sealed,
    write_atomically,
    write_json,
    write_json_lines,
)
from real.system.locks import HeldError, exclusive, watch_snakemake
from real.system.sentences import differing

MADE_BY = "made_by.json"


class FolderInUseError(ExpectedError):
    """Another process holds the folder; the message names it."""


class OtherRunError(ExpectedError):
    """The folder holds what another run or other code did, of a protected scale; the message says what differs."""


class WorkFolder:
    """State of one job in ``folder``: ``state.pt``, and in ``previous.pt`` the one before it.

    Attributes:
        abandoned: says whether the Snakemake that started the job is gone.
        made_by: what ``made_by.json`` is to hold once the job goes on.
    """

    def __init__(self, folder: Path, abandoned: Callable[[], bool] = lambda: False, made_by: Mapping[str, Any] = {}):
        self.folder, self.abandoned, self.made_by = folder, abandoned, made_by
        self.state, self.previous = folder / "state.pt", folder / "previous.pt"

    def states(self) -> dict[Path, bool]:
        """The states that are there, newest first: whether each is whole."""
        return {path: read_sealed(path) is not None for path in (self.state, self.previous) if path.exists()}

    def load(self) -> dict[str, Any] | None:
        """The last state that is whole; None if there is none. A damaged one is named, and deleted."""
        # imported here, as below: it takes seconds, and whoever only looks at a job needs none of it
        import torch

        damaged = [path for path, whole in self.states().items() if not whole]
        for path in damaged:
            path.unlink()
        left = next((path for path in (self.state, self.previous) if path.exists()), None)
        if damaged:
            names = " and ".join(str(path) for path in damaged)
            goes_on = f"the job goes on from {left}" if left else "there is no other state, so the job starts anew"
            print(f"{names}: damaged, not the bytes that were written; {goes_on}", flush=True)
        if left is None:
            return None
        return torch.load(io.BytesIO(read_sealed(left) or b""), map_location="cpu", weights_only=True)

    def goes_on_after(self, step: int) -> list[dict[str, Any]]:
        """Note in ``made_by.json``, before the first step, that the job continues after ``step``.

        Args:
            step: of the state that was found; 0: the job starts anew.

        Returns:
            The other versions of the code that did some of it, oldest first: ``code_digest``, ``commit``,
            ``last_step``.
        """
        if "earlier_code" not in self.made_by:
            return []
        earlier: list[dict[str, Any]] = []
        for version in self.made_by["earlier_code"]:
            # a state may have been lost since, and versions that saved none did nothing
            last = min(step, version.get("last_step", step))
            if last > (earlier[-1]["last_step"] if earlier else 0):
                earlier.append({**version, "last_step": last})
        if earlier and earlier[-1]["code_digest"] == self.made_by["code"]:
            earlier.pop()  # the present code again
        kept = {name: value for name, value in self.made_by.items() if name != "earlier_code"}
        write_json(self.folder / MADE_BY, {**kept, "earlier_code": earlier} if earlier else kept)
        for version in earlier:
            print(
                f"{self.folder}: until step {version['last_step']} by other code, which is accepted: "
                f"{version['code_digest']} ({version['commit']})",
                flush=True,
            )
        return earlier

    def save(self, state: Mapping[str, Any]) -> None:
        """Make ``state``, of tensors and plain values, the last one and keep the one before; one is always whole.

        Raises:
            WriteError: the disk is full or refuses; what was saved before is kept.
        """
        import torch

        # in memory first: torch.save's own error of a full disk is obscure
        content = io.BytesIO()
        torch.save(dict(state), content)
        data = sealed(content.getvalue())

        def write(unfinished: Path) -> None:
            unfinished.write_bytes(data)
            if self.state.exists():
                _keep_as(self.previous, self.state)

        write_atomically(self.state, write)

    def note(self, **lines: Sequence[Mapping[str, Any]]) -> None:
        """Write ``<name>.jsonl`` of each: what the last state has measured, for whoever looks; no resume reads it."""
        for name, of_steps in lines.items():
            write_json_lines(self.folder / f"{name}.jsonl", of_steps)

    def remove(self) -> None:
        """Delete the folder once the job's results are in place; not where the next Snakemake will delete them."""
        if self.abandoned():
            print(
                f"{self.folder}: is kept, because the Snakemake that started this job is gone: the next one takes the "
                "results for incomplete and starts the job again, which then writes them from here and trains nothing",
                flush=True,
            )
        else:
            _delete(self.folder)


@contextmanager
def open_work_folder(
    folder: Path, made_by: Mapping[str, Any], protected: bool = False, accepted: Collection[str] = ()
) -> Iterator[WorkFolder]:
    """Create and lock ``folder`` for a job of this configuration and code.

    The job calls :meth:`WorkFolder.goes_on_after` once it knows what it goes on with.

    Args:
        made_by: what the state depends on by name: ``config``, a nested mapping, and digests, that of the code as
            ``code``.
        protected: refuse a folder of another configuration or code, rather than empty it and say so.
        accepted: digests of other code; the job continues from what it saved.

    Raises:
        FolderInUseError: another process holds it.
        OtherRunError: it is protected and belongs to another run.
    """
    with hold(folder) as abandoned:
        yield WorkFolder(folder, abandoned, _claim(folder, made_by, protected, accepted))


@contextmanager
def hold(folder: Path) -> Iterator[Callable[[], bool]]:
    """Create ``folder`` and lock it; a function that says whether the Snakemake that started this process is gone.

    Raises:
        FolderInUseError: another process holds it.
    """
    abandoned = watch_snakemake()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            # beside the folder, so that the folder can be removed while the lock is held
            held.enter_context(exclusive(folder))
        except HeldError as error:
            raise FolderInUseError(
                f"{folder}: is in use by process {error.pid}; wait for it to finish, or end it, and run the same "
                "command again"
            ) from None
        # its last holder may have removed it meanwhile, or been killed while it did
        folder.mkdir(exist_ok=True)
        shutil.rmtree(_finished(folder), ignore_errors=True)
        yield abandoned


def _claim(folder: Path, made_by: Mapping[str, Any], protected: bool, accepted: Collection[str]) -> Mapping[str, Any]:
    """Note what the folder's content belongs to, after a look at what it belonged to.

    Returns:
        What ``made_by.json`` says; of accepted code what it is to say, which is written once the step is known.
    """
    path = folder / MADE_BY
    mine = {**made_by, "commit": commit_of({"git": git_state()})}
    if not any(folder.iterdir()):
        write_json(path, mine)
        return mine
    try:
        found = read_json(path)
    except (FileNotFoundError, DamagedError):
        found = {}
    # what else the file holds, such as the commit, tells nobody's work apart
    changed = [name for name in made_by if name not in found] or sorted(
        differing({name: found[name] for name in made_by}, made_by)
    )
    if not changed:
        return found
    origin = found.get("commit", f"an unknown commit, {MADE_BY} there can't be read")
    code = found.get("code") if changed == ["code"] else None
    if code in accepted:
        return {**mine, "earlier_code": [*found.get("earlier_code", []), {"code_digest": code, "commit": origin}]}
    what = f"{folder}: holds the state of this run by another version ({origin}; {', '.join(changed)} differ)"
    if protected:
        by_name = f"{accepting([code])} to go on by this code, " if code else ""
        raise OtherRunError(
            f"{what}, and the scale is protected; go back to that commit and configuration to go on with it, {by_name}"
            "or delete the folder to start anew"
        )
    print(f"{what}; it is deleted and the run starts anew", flush=True)
    _delete(folder)
    folder.mkdir()
    write_json(path, mine)
    return mine


def _keep_as(second: Path, path: Path) -> None:
    """Give a file a second name, in place of what had it, so that a kill at any moment leaves the first one there.

    Where the file system has no hard links, the file is renamed.
    """
    link = second.with_name(f"{second.name}.partial")
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(path)
    except OSError:
        path.replace(second)
        return
    link.replace(second)
    link.unlink(missing_ok=True)  # where both were one file already, a rename does nothing


def _delete(folder: Path) -> None:
    # renamed first: what a kill leaves of it must not be read as a state
    shutil.rmtree(folder.rename(_finished(folder)))


def _finished(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.finished")
