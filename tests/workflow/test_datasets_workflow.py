"""The targets `datasets` and `contamination` through the real DAG, with small files on a local server."""

import pytest
import yaml

from tests.support.checkout import PUBLISHED, copy_checkout, planned, snakemake
from tests.support.data_server import Served, data_server, entry, raw_file

TARGETS = ("datasets", "contamination")
TEXTS = {
    "amc": ["Find the sum of 1 and 2", "How many pears"],
    "minerva": ["What mass has a star"],
    "deepscaler": ["Count the plums", "find the sum of 1 and 2."],
    "dapo_math_17k": ["Count the apples"],
}
REPORT = "results/datasets/contamination_deepscaler.csv"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A server without dapo_math_17k's file, the folder that has all of them, and the sources."""
    folder = tmp_path_factory.mktemp("files")
    with data_server() as server:
        sources = {}
        for name, texts in TEXTS.items():
            content = raw_file(folder / f"{name}.parquet", texts, ["3"] * len(texts))
            url = server.url(name, Served(content))
            urls = [server.url("wrong", Served(b"wrong")), url] if name == "amc" else [url]
            split = "test" if name in ("amc", "minerva") else "train"
            sources[name] = entry(content, urls, split=split, file=f"{name}.parquet")
        del server.files["/dapo_math_17k"]
        yield server, folder, sources


@pytest.fixture
def without_mirror(monkeypatch):
    monkeypatch.delenv("REAL_DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.slow
def test_what_can_be_fetched_is_made_and_what_cannot_is_named(network, without_mirror, tmp_path):
    server, folder, sources = network
    checkout = copy_checkout(tmp_path / "project")
    (checkout / "datasets" / "sources.yaml").write_text(yaml.safe_dump(sources))

    done = snakemake(checkout, *TARGETS, "--cores", "2", "--keep-going")
    assert done.returncode != 0
    sentence = f"datasets/raw/dapo_math_17k.parquet: could not be fetched, tried {server.address}/dapo_math_17k (HTTP s"
    assert done.stdout.count(sentence) == 1
    assert "Traceback" not in done.stdout
    made = {path.name for path in (checkout / "datasets" / "prepared").iterdir()}
    assert made == {"amc.parquet", "minerva.parquet", "deepscaler.parquet"}
    assert "amc,deepscaler,equal,1,2,amc-0" in (checkout / REPORT).read_text()

    # what is there asks nothing of the network, at any scale, and forced too
    requests = server.requests.total()
    assert planned(checkout, REPORT) == planned(checkout, REPORT, *PUBLISHED) == {}
    assert planned(checkout, "gradient_magnitude") == {"gradient_magnitude": 1}
    (checkout / "datasets" / "prepared" / "amc.parquet").unlink()
    assert snakemake(checkout, "--cores", "1", "-R", "download_dataset", "--", REPORT).returncode == 0
    assert server.requests.total() == requests

    # a mirror in local.yaml brings what is missing and reruns nothing else
    (checkout / "paper_configs" / "local.yaml").write_text(yaml.safe_dump({"datasets": {"mirror": str(folder)}}))
    expected = {"download_dataset": 1, "prepare_dataset": 1, "contamination_report": 1}
    assert planned(checkout, *TARGETS) == {**expected, "datasets": 1, "contamination": 1}
    done = snakemake(checkout, *TARGETS, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert planned(checkout, *TARGETS) == {}

    # an altered file stops what reads it, and deleting it heals
    raw = checkout / "datasets" / "raw" / "minerva.parquet"
    raw.write_bytes(raw.read_bytes()[:-1])
    done = snakemake(checkout, "datasets", "--cores", "1")
    assert done.returncode != 0
    assert "datasets/raw/minerva.parquet: has sha256 " in done.stdout
    assert "delete the file and run the same command again" in done.stdout
    raw.unlink()
    assert snakemake(checkout, "datasets", "--cores", "1").returncode == 0


@pytest.mark.slow
def test_the_sources_facts_rerun_what_depends_on_them_and_their_urls_nothing(network, without_mirror, tmp_path):
    sources = network[2]
    checkout = copy_checkout(tmp_path / "project")
    stated = checkout / "datasets" / "sources.yaml"
    stated.write_text(yaml.safe_dump(sources))
    target = "datasets/prepared/minerva.parquet"
    assert snakemake(checkout, "--cores", "1", target).returncode == 0
    sources = {name: {**known, "urls": ["http://elsewhere"], "label": "Other"} for name, known in sources.items()}
    stated.write_text(yaml.safe_dump(sources))
    assert planned(checkout, target) == {}
    stated.write_text(yaml.safe_dump({**sources, "minerva": {**sources["minerva"], "unanswered": "drop"}}))
    assert planned(checkout, target) == {"prepare_dataset": 1}
    sources["minerva"]["sha256"] = "0" * 64
    stated.write_text(yaml.safe_dump(sources))
    assert planned(checkout, target) == {"download_dataset": 1, "prepare_dataset": 1}
    sources["minerva"]["sah256"] = "0" * 64
    stated.write_text(yaml.safe_dump(sources))
    done = snakemake(checkout, "--dry-run", target)
    assert "datasets/sources.yaml: minerva.sah256 is not a known key; did you mean 'sha256'?" in done.stdout
    assert "Traceback" not in done.stdout
