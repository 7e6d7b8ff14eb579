"""Downloads against a local server: what is right arrives, what is wrong in any way is refused and named."""

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.system.files import WriteError
from real.system.locks import exclusive
from real.tasks.fetching import fetch
from real.tasks.sources import DatasetError, Source, labels, mirror_folder, read_sources, verify
from tests.support.data_server import Served, data_server, entry
from tests.support.paths import ROOT

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "connect to the network, or put file.parquet into a folder and name the folder in REAL_DATASETS_MIRROR"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    with data_server() as running:
        yield running


def source(*urls: str, **changes) -> Source:
    return Source(name="aime", **entry(CONTENT, list(urls), **changes))


def files(folder: Path) -> list[str]:
    """Every file below the folder but the locks, which stay."""
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]


def refused(wanted: Source, folder: Path, mirror: Path | None = None) -> str:
    """The sentence that ends a fetch, which leaves the folder as it was."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("other.parquet").write_bytes(b"another file")
    with pytest.raises(DatasetError) as caught:
        fetch(wanted, folder, mirror)
    assert files(folder) == ["other.parquet"]
    assert folder.joinpath("other.parquet").read_bytes() == b"another file"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_right_file_arrives_whole_and_readable_by_all(server, tmp_path):
    path = fetch(source(server.url("a", Served(CONTENT))), tmp_path / "raw")
    assert path == tmp_path / "raw" / "aime.parquet"
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert files(path.parent) == ["aime.parquet"]


def test_a_file_known_by_its_git_blob_id_alone_is_verified_by_it(server, tmp_path):
    known = {"sha256": None, "bytes": None, "git_blob": "ce013625030ba8dba906f756967f9e9ca394464a"}  # of "hello\n"
    assert fetch(source(server.url("a", Served(b"hello\n")), **known), tmp_path / "raw").read_bytes() == b"hello\n"
    sentence = refused(source(server.url("b", Served(b"hello")), **known), tmp_path / "other")
    assert "has git blob id b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0 and 5 bytes, not git blob id ce0136250" in sentence


def test_a_wrong_file_is_named_with_both_hashes_and_the_remedy(server, tmp_path):
    wrong = CONTENT[:-1] + b"?"
    sentence = refused(source(server.url("a", Served(wrong))), tmp_path)
    assert sentence.startswith(f"{tmp_path}/aime.parquet: could not be fetched, tried {server.address}/a (has sha256 ")
    assert f"{hashlib.sha256(wrong).hexdigest()} and 10240 bytes, not sha256 {SHA256} and 10240 bytes" in sentence
    assert REMEDY in sentence
    assert server.requests["/a"] == 1, "a wrong file is no accident of the network"


@pytest.mark.parametrize("promised", [len(CONTENT), 9000], ids=["broken off", "short"])
def test_a_truncated_file_is_refused(server, tmp_path, promised):
    sentence = refused(source(server.url("a", Served(CONTENT[:9000], promised=promised))), tmp_path)
    assert ("the connection broke off" in sentence) == (promised == len(CONTENT))
    assert ("and 9000 bytes, not" in sentence) == (promised == 9000)


def test_a_server_that_never_stops_sending_is_left_at_the_files_size(server, tmp_path):
    sentence = refused(source(server.url("a", Served(CONTENT, endless=True))), tmp_path)
    assert f"{server.address}/a (sends more than the file's 10240 bytes)" in sentence


def test_what_a_killed_download_left_is_removed_by_the_next(server, tmp_path):
    left = tmp_path / ".partial" / "aime"
    left.mkdir(parents=True)
    for name in ("tmp0123abcd", "fetched"):
        left.joinpath(name).write_bytes(CONTENT[:5000])
    assert fetch(source(server.url("a", Served(CONTENT))), tmp_path).read_bytes() == CONTENT
    assert files(tmp_path) == ["aime.parquet"]


def test_a_second_download_of_a_dataset_names_the_first(server, tmp_path):
    wanted = source(server.url("a", Served(CONTENT)))
    (tmp_path / ".partial").mkdir()
    with (
        exclusive(tmp_path / ".partial" / "aime"),
        pytest.raises(DatasetError, match=rf"aime.parquet: is being fetched by process {os.getpid()}; wait for it to"),
    ):
        fetch(wanted, tmp_path)
    assert server.requests["/a"] == 0
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_no_unverified_byte_stands_under_the_files_name(server, tmp_path, monkeypatch):
    """The name appears by one rename, of a file that is whole and verified."""
    renamed = []

    def replace(path: Path, target: Path) -> Path:
        assert not target.exists()
        renamed.append(path.read_bytes())
        return os_replace(path, target)

    os_replace = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    fetch(source(server.url("wrong", Served(b"wrong")), server.url("a", Served(CONTENT))), tmp_path)
    assert renamed == [CONTENT]


def test_no_password_of_a_url_is_printed(server, tmp_path, capsys, monkeypatch):
    address = server.address.replace("http://", "http://user:hunter2@")
    server.url("a", Served(CONTENT))
    sentence = refused(source(f"{address}/absent?token=hunter2"), tmp_path / "refused")
    assert f"tried {server.address.replace('//', '//***@')}/absent?*** (HTTP status 404)" in sentence
    fetch(source(f"{address}/a"), tmp_path)
    monkeypatch.setenv("REAL_DATASETS_MIRROR", f"{address}/mirror")
    with pytest.raises(DatasetError) as caught:
        mirror_folder()
    assert str(caught.value).startswith("http://***@127.0.0.1:")
    printed = capsys.readouterr()
    assert "from http://***@127.0.0.1:" in printed.out + printed.err
    assert "hunter2" not in printed.out + printed.err + sentence + str(caught.value)


def test_a_mirrors_link_to_a_device_is_refused_and_one_to_the_file_is_followed(server, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    mirror.joinpath("file.parquet").symlink_to("/dev/zero")
    sentence = refused(source(server.url("absent")), tmp_path / "refused", mirror)
    assert f"tried {mirror}/file.parquet (is no regular file)" in sentence
    mirror.joinpath("file.parquet").unlink()
    tmp_path.joinpath("elsewhere").write_bytes(CONTENT)
    mirror.joinpath("file.parquet").symlink_to(tmp_path / "elsewhere")
    path = fetch(source(server.url("absent")), tmp_path / "raw", mirror)
    assert path.read_bytes() == CONTENT
    assert not path.is_symlink(), "a link could be given another end later"


def test_a_full_disk_is_no_fault_of_the_place(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfile", full)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with pytest.raises(WriteError, match=r"aime.parquet: could not be written \(No space left on device\); make room"):
        fetch(source(server.url("a")), tmp_path / "raw", mirror)
    assert files(tmp_path / "raw") == []


def test_missing_files_and_closed_ports_are_listed_in_the_order_tried(server, tmp_path):
    with data_server() as gone:
        closed = gone.url("b")
    sentence = refused(source(server.url("a"), closed), tmp_path)
    assert f"tried {server.address}/a (HTTP status 404), {closed} (no connection); {REMEDY}" in sentence


def test_the_next_url_replaces_a_wrong_a_missing_and_a_truncated_file(server, tmp_path):
    urls = [
        server.url("wrong", Served(b"wrong")),
        server.url("missing"),
        server.url("truncated", Served(CONTENT[:100], promised=len(CONTENT))),
        server.url("right", Served(CONTENT)),
    ]
    assert fetch(source(*urls), tmp_path).read_bytes() == CONTENT


def test_a_passing_failure_is_retried(server, tmp_path):
    assert fetch(source(server.url("a", Served(CONTENT, failures=2))), tmp_path).read_bytes() == CONTENT
    assert server.requests["/a"] == 3


def test_what_is_fetched_needs_no_network(server, tmp_path):
    wanted = source(server.url("a", Served(CONTENT)))
    first = fetch(wanted, tmp_path).stat()
    assert fetch(wanted, tmp_path).stat() == first
    assert server.requests["/a"] == 1


def test_a_file_altered_on_disk_is_refused_and_left_for_its_owner_to_delete(server, tmp_path):
    wanted = source(server.url("a", Served(CONTENT)))
    path = fetch(wanted, tmp_path)
    path.write_bytes(CONTENT + b"?")
    with pytest.raises(
        DatasetError, match=f"^{path}: has sha256 .* and 10241 bytes, not sha256 {SHA256}.*; delete the"
    ):
        fetch(wanted, tmp_path)
    path.unlink()
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_changed_byte_or_lost_end_is_noticed(tmp_path_factory, content, data):
    path = tmp_path_factory.getbasetemp() / "changed"
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    known = data.draw(st.sampled_from([{}, {"sha256": None, "bytes": None, "git_blob": blob}]))
    wanted = Source(name="aime", **entry(content, ["http://unused"], **known))
    path.write_bytes(content)
    verify(path, wanted)
    position = data.draw(st.integers(0, len(content) - 1))
    other = bytes([content[position] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(content[:position] + data.draw(st.sampled_from([b"", other + content[position + 1 :]])))
    with pytest.raises(DatasetError, match="; delete the file and run the same command again"):
        verify(path, wanted)


def test_the_mirror_is_tried_first_and_verified_the_same_way(server, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    wanted = source(server.url("a", Served(CONTENT)))
    mirror.joinpath("file.parquet").write_bytes(CONTENT)
    assert fetch(wanted, tmp_path / "first", mirror).read_bytes() == CONTENT
    assert server.requests["/a"] == 0
    mirror.joinpath("file.parquet").write_bytes(b"wrong")
    assert fetch(wanted, tmp_path / "second", mirror).read_bytes() == CONTENT
    assert mirror.joinpath("file.parquet").read_bytes() == b"wrong", "a mirror is read, never written"
    wrong = refused(source(server.url("absent")), tmp_path / "third", mirror)
    assert f"tried {mirror}/file.parquet (has sha256" in wrong
    mirror.joinpath("file.parquet").unlink()
    assert f"{mirror}/file.parquet (no such file), http" in refused(
        source(server.url("absent")), tmp_path / "4", mirror
    )


def test_the_mirror_comes_from_the_environment_and_must_be_a_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("REAL_DATASETS_MIRROR", raising=False)
    assert mirror_folder() is None
    monkeypatch.setenv("REAL_DATASETS_MIRROR", "")
    assert mirror_folder() is None
    monkeypatch.setenv("REAL_DATASETS_MIRROR", str(tmp_path))
    assert mirror_folder() == tmp_path
    monkeypatch.setenv("REAL_DATASETS_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(
        DatasetError, match=r"absent: the mirror is no folder; correct REAL_DATASETS_MIRROR or datasets"
    ):
        mirror_folder()


def test_the_project_knows_the_papers_eight_files_at_pinned_commits():
    expected = {
        "aime": "AIME24",
        "aime25": "AIME25",
        "amc": "AMC23",
        "math": "MATH500",
        "minerva": "Minerva",
        "olympiad_bench": "OlympiadBench",
        "deepscaler": "DeepScaleR",
        "dapo_math_17k": "DAPO-Math-17k",
    }
    stated = read_sources(ROOT / "datasets" / "sources.yaml")
    sources = {name: stated[name] for name in expected}  # a benchmark that was added is not the paper's
    assert {name: labels(ROOT / "datasets" / "sources.yaml")[name] for name in expected} == expected
    assert sum(known.rows for known in sources.values() if known.split == "test") == 1590
    assert [name for name, known in sources.items() if known.sha256 is None] == ["deepscaler"]
    for known in sources.values():
        assert known.git_blob
        for url in known.urls:
            assert re.search(rf"/[0-9a-f]{{40}}/datasets/\w+/data/{re.escape(known.file)}$", url)


def test_gsm8k_comes_from_its_own_repository_as_json_lines():
    sources = read_sources(ROOT / "datasets" / "sources.yaml")
    folder = "openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data"
    for name, split, rows in (("gsm8k", "test", 1319), ("gsm8k_train", "train", 7473)):
        known = sources[name]
        assert known.urls == [f"https://raw.githubusercontent.com/{folder}/{split}.jsonl"]
        assert (known.split, known.rows) == (split, rows)
        assert (known.file, known.raw) == (f"gsm8k_{split}.jsonl", f"{name}.jsonl")
        assert known.licence.startswith("MIT ")


def test_a_file_of_json_lines_keeps_its_suffix_from_the_mirror_on(server, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    mirror.joinpath("theirs.jsonl").write_bytes(CONTENT)
    wanted = source(server.url("absent"), file="theirs.jsonl")
    assert fetch(wanted, tmp_path / "raw", mirror) == tmp_path / "raw" / "aime.jsonl"
    assert files(tmp_path / "raw") == ["aime.jsonl"]


def test_the_datasets_readme_states_what_the_sources_do():
    table = (ROOT / "datasets" / "README.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    rows = {row[1].strip("`"): row for row in cells if len(row) == 9}
    for name, wanted in read_sources(ROOT / "datasets" / "sources.yaml").items():
        assert rows[name][2:5] == [wanted.label, str(wanted.rows or "not known"), str(wanted.bytes or "not known")]
        assert rows[name][7] == wanted.licence


def test_the_folder_of_the_data_holds_no_package_that_would_shadow_the_datasets_library():
    assert not list((ROOT / "datasets").rglob("*.py"))
