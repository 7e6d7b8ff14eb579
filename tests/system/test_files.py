"""A file that can't be written is one sentence, whatever is in the way, and leaves what is there as it was."""

from pathlib import Path

import pandas as pd
import pytest

from real.system.files import WriteError, write_csv, write_json, write_json_lines, write_table, write_text, writing

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
