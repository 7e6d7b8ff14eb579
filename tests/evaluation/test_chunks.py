"""Chunks of a long job: whatever happens to one's file, it is read as it was written or done again."""

import pandas as pd
import pytest

from real.evaluation.chunks import Chunks
from real.system.files import WriteError

TABLE = pd.DataFrame({"problem_id": ["a-0", "a-1"], "tokens": [3, 4], "response": ["é", ""]})


@pytest.fixture
def chunks(tmp_path):
    kept = Chunks(tmp_path, "key", "a")
    kept.save("a-0", TABLE)
    return kept


def test_a_chunk_is_read_as_it_was_written(chunks):
    pd.testing.assert_frame_equal(chunks.load("a-0"), TABLE.assign(code="a"))
    assert chunks.load("a-1") is None


def test_no_bit_of_a_chunk_can_change_unnoticed(chunks, capsys):
    """Parquet's checksums leave its header, a third of a small file, to chance."""
    (path,) = chunks.folder.iterdir()
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
        assert chunks.load("a-0") is None
    assert capsys.readouterr().out.count(f"{path}: is damaged") == len(content)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 200])
def test_a_chunk_that_is_cut_off_is_done_again(chunks, length):
    (path,) = chunks.folder.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    assert chunks.load("a-0") is None


def test_a_chunk_that_cannot_be_written_ends_in_a_sentence(chunks):
    (chunks.folder / "a-1.chunk.partial").mkdir()
    with pytest.raises(WriteError, match=r"a-1\.chunk: could not be written \(Is a directory\)"):
        chunks.save("a-1", TABLE)
