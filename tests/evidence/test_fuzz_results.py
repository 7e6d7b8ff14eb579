"""Readers of results: what was written comes back, and damage is named rather than read as data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example
from hypothesis import strategies as st

from real.records.manifest import Manifest, _digest, read_manifest
from real.system.files import (
    DamagedError,
    read_json,
    read_json_lines,
    read_table,
    write_json,
    write_json_lines,
    write_table,
)
from tests.support.fuzzing import fuzz

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(), plain, max_size=4)
tables = st.lists(
    st.fixed_dictionaries({"problem_id": st.text(st.characters(codec="utf-8")), "tokens": st.integers(0, 2**31)}),
    min_size=1,
    max_size=20,
).map(pd.DataFrame)
READERS: list[Callable[[Path], Any]] = [read_json, read_json_lines, read_table]


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A cut, a flipped bit, a hole, an insertion."""
    where, kind = draw(st.floats(0, 1)), draw(st.sampled_from(["cut", "flip", "hole", "insert"]))
    bit, new = draw(st.integers(0, 7)), draw(st.binary(min_size=1, max_size=8))

    def damage(content: bytes) -> bytes:
        at = min(int(where * len(content)), len(content) - 1)
        head, tail = content[:at], content[at:]
        flipped = bytes([tail[0] ^ 1 << bit])
        whole = {"cut": head, "flip": head + flipped + tail[1:], "hole": head + tail[len(new) :]}
        return whole.get(kind, head + new + tail)

    return damage


def read_or_named(read: Callable[[Path], Any], path: Path) -> Any:
    """What is read; None where the reader says that the file is damaged, in one line that begins with its name."""
    try:
        return read(path)
    except DamagedError as error:
        sentence = str(error)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    assert sentence.endswith("; delete it and run the command that made it again")
    return None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_any_bytes_are_read_as_what_they_say_or_named(path, read):
    @example(content=b"[" * 100_000 + b"\n")  # deeper than json's parser can go
    @example(content=b'{"a":' * 100_000 + b"\n")
    @example(content=b"9" * 5000 + b"\n")
    @example(content=b"PAR1" * 4)
    @fuzz(content=st.binary(max_size=200) | plain.map(lambda value: json.dumps(value).encode() + b"\n"))
    def any_bytes(content):
        path.write_bytes(content)
        value = read_or_named(read, path)
        if value is not None and read is read_json:
            assert repr(value) == repr(json.loads(content))
        if value is not None and read is read_json_lines:
            assert repr(value) == repr([json.loads(line) for line in content.decode().split("\n")[:-1]])

    any_bytes()


def test_what_is_written_is_read_again(path):
    @fuzz(value=mappings, lines=st.lists(mappings, max_size=4), table=tables)
    def written(value, lines, table):
        write_json(path, value)
        assert read_json(path) == value
        write_json_lines(path, lines)
        assert read_json_lines(path) == lines
        write_table(path, table)
        pd.testing.assert_frame_equal(read_table(path), table)

    written()


def test_a_damaged_mapping_is_named_or_still_whole(path):
    @fuzz(value=mappings, damage=damages())
    def damaged(value, damage):
        write_json(path, value)
        content = damage(path.read_bytes())
        path.write_bytes(content)
        found = read_or_named(read_json, path)
        if found is not None:  # JSON has no checksum: the manifest's finds what is another mapping now
            assert repr(found) == repr(json.loads(content))

    damaged()


def test_lines_that_are_cut_off_are_named_or_end_with_a_whole_line(path):
    @fuzz(lines=st.lists(mappings, min_size=1, max_size=4), where=st.floats(0, 1))
    def cut(lines, where):
        write_json_lines(path, lines)
        path.write_bytes(path.read_bytes()[: int(where * path.stat().st_size)])
        found = read_or_named(read_json_lines, path)
        assert found is None or found == lines[: len(found)]

    cut()


def test_a_table_that_is_cut_off_is_named(path):
    @fuzz(table=tables, where=st.floats(0, 1, exclude_max=True))
    def cut(table, where):
        write_table(path, table)
        path.write_bytes(path.read_bytes()[: int(where * path.stat().st_size)])
        assert read_or_named(read_table, path) is None

    cut()


def test_a_damaged_table_is_named_or_a_table(path):
    @fuzz(table=tables, damage=damages())
    def damaged(table, damage):
        write_table(path, table)
        path.write_bytes(damage(path.read_bytes()))
        found = read_or_named(read_table, path)
        assert found is None or isinstance(found, pd.DataFrame)

    damaged()


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a manifest.json, with its own digest."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3, unique=True))
    job = {"rule": "train", "config_digest": "0" * 16, "code_digest": "f" * 16, "made_by": draw(st.text(max_size=8))}
    file = {"job": names[0], "bytes": draw(st.integers(0, 2**40)), "sha256": draw(st.sampled_from("0a9")) * 64}
    content = {"experiment": "laptop", "config_files": [], "jobs": {names[0]: job}, "files": dict.fromkeys(names, file)}
    return {**content, "sha256": _digest(content)}


def test_a_damaged_manifest_is_named_or_says_what_was_written(path):
    """It carries its own digest, so that no damage can be read as another manifest."""

    @fuzz(content=manifests(), damage=damages())
    def damaged(content, damage):
        write_json(path, content)
        assert read_manifest(path) == Manifest.model_validate(content)
        path.write_bytes(damage(path.read_bytes()))
        try:
            found = read_manifest(path)
        except DamagedError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017, either outcome is right
        else:
            assert found == Manifest.model_validate(content)

    damaged()


def test_any_mapping_is_a_manifest_or_named(path):
    @example(value={"sha256": _digest({})})
    @fuzz(value=mappings)
    def any_mapping(value):
        write_json(path, {**value, "sha256": _digest({key: v for key, v in value.items() if key != "sha256"})})
        with pytest.raises(DamagedError, match=r"is of another version .* make it again with"):
            read_manifest(path)

    any_mapping()
