"""A process that is killed right after it saved a state, and what its folders then hold."""

from pathlib import Path

from real.system.work_folder import WorkFolder


class KilledError(Exception):
    """Stands for a kill right after a state was saved."""


def files_of(folder: Path, *ignored: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("timings.jsonl", *ignored)
    }


def kill_after_save(monkeypatch, saves: int) -> None:
    """Let the process end, as it were, with the given save."""
    save, done = WorkFolder.save, []

    def save_and_stop(self, state):
        save(self, state)
        done.append(state)
        if len(done) == saves:
            raise KilledError

    monkeypatch.setattr(WorkFolder, "save", save_and_stop)
