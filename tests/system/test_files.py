"""A file that can't be written is one sentence, whatever is in the way, and leaves what is there as it was."""

from pathlib import Path

import pandas as pd
import pytest

from real.system import files
from real.system.files import (
    WriteError,
    read_once,
    write_csv,
    write_json,
    write_json_lines,
    write_table,
    write_text,
    writing,
)

TABLE = pd.DataFrame({"a": [1]})
WRITERS = {
    "text": lambda path: write_text(path, "a"),
    "json": lambda path: write_json(path, {"a": 1}),
    "lines": lambda path: write_json_lines(path, [{"a": 1}]),
    "csv": lambda path: write_csv(path, TABLE),
    "parquet": lambda path: write_table(path, TABLE),
}


def refused(write, path: Path) -> str:
    with pytest.raises(WriteError) as error:
        write(path)
    return str(error.value)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, kind):
    (tmp_path / "folder").write_text("in the way", encoding="utf-8")
    path = tmp_path / "folder" / "file"
    assert refused(WRITERS[kind], path).startswith(f"{path}: could not be written (")
    assert (tmp_path / "folder").read_text(encoding="utf-8") == "in the way"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_in_the_place_of_the_file_or_none_above_it_is_named(tmp_path, kind):
    path = tmp_path / "file"
    path.mkdir()
    assert refused(WRITERS[kind], path).startswith(f"{path}: could not be written (")
    assert list(tmp_path.iterdir()) == [path]
    absent = tmp_path / "absent" / "file"
    assert refused(WRITERS[kind], absent).startswith(f"{absent}: could not be written (")


def test_a_folder_that_is_written_below_a_file_is_named(tmp_path):
    (tmp_path / "folder").write_text("in the way", encoding="utf-8")
    path, unfinished = tmp_path / "folder" / "model", tmp_path / "folder" / "model.partial"
    with pytest.raises(WriteError) as error, writing(path, unfinished):
        unfinished.mkdir(parents=True)
    assert str(error.value).startswith(f"{path}: could not be written (")


@pytest.fixture
def reader():
    """A reader of texts, and the names of the files that it opened."""
    opened = []

    @read_once
    def read(path: Path, ending: str = "") -> str:
        opened.append(path.name)
        return path.read_text(encoding="utf-8") + ending

    return read, opened


def test_a_file_is_read_once_for_each_further_argument_and_again_once_it_is_another(tmp_path, reader, monkeypatch):
    monkeypatch.setattr(files, "SETTLED_NS", -1)  # as if it had been there for a second
    (read, opened), path = reader, tmp_path / "file"
    path.write_text("first", encoding="utf-8")
    assert [read(path), read(path), read(path, "!"), read(path, ending="?")] == ["first", "first", "first!", "first?"]
    assert len(opened) == 3
    path.write_text("second", encoding="utf-8")
    assert [read(path), read(path)] == ["second", "second"]
    assert len(opened) == 4


def test_a_file_that_was_written_a_moment_ago_is_read_every_time(tmp_path, reader):
    (read, opened), path = reader, tmp_path / "file"
    path.write_text("a", encoding="utf-8")
    assert [read(path), read(path)] == ["a", "a"]
    assert len(opened) == 2
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(path)
