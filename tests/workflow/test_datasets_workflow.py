"""The targets `datasets` and `contamination` through the real DAG, with small files on a local server."""

import json
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import PUBLISHED, copy_checkout, counts, dry_runs, planned, snakemake
from tests.support.data_server import Served, data_server, entry, raw_file

TARGETS = ("datasets", "contamination")
TEXTS = {
    "amc": ["Find the sum of 1 and 2", "How many pears"],
    "minerva": ["What mass has a star"],
    "deepscaler": ["Count the plums", "find the sum of 1 and 2."],
    "dapo_math_17k": ["Count the apples"],
    "gsm8k_train": ["How many pears"],  # JSON lines; the others are parquet
}
REPORT = "results/datasets/contamination_deepscaler.csv"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A server without dapo_math_17k's file, the folder that has all of them, and the sources."""
    folder = tmp_path_factory.mktemp("files")
    with data_server() as server:
        sources = {}
        for name, texts in TEXTS.items():
            file = folder / f"{name}.{'jsonl' if name == 'gsm8k_train' else 'parquet'}"
            if file.suffix == ".jsonl":
                file.write_text("".join(json.dumps({"question": text, "answer": "#### 3"}) + "\n" for text in texts))
                content = file.read_bytes()
            else:
                content = raw_file(file, texts, ["3"] * len(texts))
            url = server.url(name, Served(content))
            urls = [server.url("wrong", Served(b"wrong")), url] if name == "amc" else [url]
            split = "test" if name in ("amc", "minerva") else "train"
            sources[name] = entry(content, urls, split=split, file=file.name)
        del server.files["/dapo_math_17k"]
        yield server, folder, sources


@pytest.fixture(scope="module")
def fetched(network, tmp_path_factory):
    """A checkout in which what can be fetched was, and what Snakemake said about it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("fetched") / "project")
    write_sources(checkout, network[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REAL_DATASETS_MIRROR", raising=False)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield checkout, snakemake(checkout, *TARGETS, "--cores", "2", "--keep-going")


def write_sources(checkout: Path, sources: dict[str, dict], corrections: dict[str, dict] | None = None) -> None:
    (checkout / "datasets" / "sources.yaml").write_text(yaml.safe_dump(sources))
    path = checkout / "datasets" / "corrections.yaml"
    path.write_text(yaml.safe_dump(corrections)) if corrections else path.unlink(missing_ok=True)


@pytest.mark.slow
def test_what_can_be_fetched_is_made_and_what_cannot_is_named(network, fetched):
    address, (checkout, done) = network[0].address, fetched
    assert done.returncode != 0
    sentence = f"datasets/raw/dapo_math_17k.parquet: could not be fetched, tried {address}/dapo_math_17k (HTTP s"
    assert done.stdout.count(sentence) == 1
    assert "Traceback" not in done.stdout
    made = {path.name for path in (checkout / "datasets" / "prepared").iterdir()}
    assert made == {"amc.parquet", "minerva.parquet", "deepscaler.parquet", "gsm8k_train.parquet"}
    raw = {path.name for path in (checkout / "datasets" / "raw").iterdir() if path.is_file()}
    assert raw == {"amc.parquet", "minerva.parquet", "deepscaler.parquet", "gsm8k_train.jsonl"}
    assert "amc,deepscaler,equal,1,2,amc-0" in (checkout / REPORT).read_text()
    of_lines = (checkout / "results/datasets/contamination_gsm8k_train.csv").read_text()
    assert "amc,gsm8k_train,equal,1,2,amc-1" in of_lines


@pytest.mark.slow
def test_what_is_there_asks_nothing_of_the_network_at_any_scale_and_forced_too(network, fetched):
    server, checkout = network[0], fetched[0]
    requests = server.requests.total()
    runs = dry_runs(checkout, [REPORT], [REPORT, *PUBLISHED], ["gradient_magnitude"])
    assert list(map(counts, runs)) == [{}, {}, {"gradient_magnitude": 1}]
    (checkout / "datasets" / "prepared" / "amc.parquet").unlink()
    assert snakemake(checkout, "--cores", "1", "-R", "download_dataset", "--", REPORT).returncode == 0
    assert server.requests.total() == requests


@pytest.mark.slow
def test_the_sources_facts_rerun_what_depends_on_them_and_their_urls_nothing(network, fetched):
    checkout, target = fetched[0], "datasets/prepared/minerva.parquet"
    moved = {name: {**known, "urls": ["http://elsewhere"], "label": "Other"} for name, known in network[2].items()}
    for changes, jobs in (
        ({}, {}),
        ({"unanswered": "drop"}, {"prepare_dataset": 1}),
        ({"sha256": "0" * 64}, {"download_dataset": 1, "prepare_dataset": 1}),
    ):
        write_sources(checkout, {**moved, "minerva": {**moved["minerva"], **changes}})
        assert planned(checkout, target) == jobs, changes
    correction = {"found": "3", "corrected": "4", "reason": "a star"}
    for reason in ("a star", "another"):
        write_sources(checkout, moved, {"minerva": {"0": {**correction, "reason": reason}}})
        assert planned(checkout, target, "datasets/prepared/amc.parquet") == {"prepare_dataset": 1}
    write_sources(checkout, moved, {"minerva": {"0": {**correction, "found": 3}}})
    assert "datasets/corrections.yaml: minerva.0.found is 3; must be text" in snakemake(checkout, "--dry-run").stdout
    write_sources(checkout, {**moved, "minerva": {**moved["minerva"], "sah256": "0" * 64}})
    done = snakemake(checkout, "--dry-run", target)
    assert "datasets/sources.yaml: minerva.sah256 is not a known key; did you mean 'sha256'?" in done.stdout
    assert "Traceback" not in done.stdout
    write_sources(checkout, network[2])


@pytest.mark.slow
def test_a_mirror_brings_what_is_missing_and_what_is_altered_is_refused_until_deleted(network, fetched):
    checkout = fetched[0]
    (checkout / "paper_configs" / "local.yaml").write_text(yaml.safe_dump({"datasets": {"mirror": str(network[1])}}))
    done = snakemake(checkout, *TARGETS, "--cores", "2")
    assert done.returncode == 0, done.stdout
    missing = {"download_dataset": 1, "prepare_dataset": 1, "contamination_report": 1}
    assert counts(done.stdout) == {**missing, "datasets": 1, "contamination": 1}
    assert planned(checkout, *TARGETS) == {}

    raw = checkout / "datasets" / "raw" / "minerva.parquet"
    raw.write_bytes(raw.read_bytes()[:-1])
    done = snakemake(checkout, "datasets", "--cores", "1")
    assert done.returncode != 0
    assert "datasets/raw/minerva.parquet: has sha256 " in done.stdout
    assert "delete the file and run the same command again" in done.stdout
    raw.unlink()
    assert snakemake(checkout, "datasets", "--cores", "1").returncode == 0
