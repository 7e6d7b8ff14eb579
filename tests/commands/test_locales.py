"""Whatever the locale, code has one digest, files have the same bytes, and what is printed is UTF-8."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from real.records.jobs import trained_jobs
from real.records.manifest import MANIFEST
from real.records.provenance import DRAWN
from tests.support import tiny_scale as tiny
from tests.support.checkout import PUBLISHED, copy_checkout
from tests.support.paths import ROOT
from tests.support.processes import environment

# Python's own escapes from a locale that knows ASCII alone are turned off, and a text without an encoding is told of
AS_IT_IS = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1", "PYTHONPATH": str(ROOT)}
TEMPLATES = {"C": "ANSI_X3.4-1968", "en_US.ISO-8859-1": "ISO-8859-1"}
IDENTITIES = """
import json
from real.commands.exhibits import all_jobs
from real.system.code import DATA, code_digest
from tests.support import tiny_scale as tiny
experiment = tiny.experiment()
found = {job.name: job.origin(experiment).identity for job in all_jobs(experiment)}
print(json.dumps({**found, "data": code_digest("real.tasks.sources", "real.tasks.datasets", wings=DATA)}))
"""
COMMANDS = """
import json, sys
from real.commands.command_line import main
print([main(command) for command in json.loads(sys.argv[1])])
"""
MADE = ("benchmarks", "claims", "training_dynamics", "report")
"""of the tables, figures and pages: with a Greek letter, with a template, with a picture, and all on one page"""


@pytest.fixture(scope="module", params=TEMPLATES)
def locale(request, tmp_path_factory) -> dict[str, str]:
    """Variables of a locale that is not UTF-8; made here, where the machine has none of ISO-8859-1."""
    name, folder = request.param, tmp_path_factory.mktemp("locales")
    if name == "C":
        return {**AS_IT_IS, "LC_ALL": name}
    if shutil.which("localedef") is None:
        pytest.skip("localedef isn't here to make an ISO-8859-1 locale")
    made = subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / name], capture_output=True)
    if made.returncode != 0:
        pytest.skip("localedef can make no ISO-8859-1 locale here")
    return {**AS_IT_IS, "LC_ALL": name, "LOCPATH": str(folder)}


def run(*arguments: str, **variables: str) -> tuple[int, bytes, bytes]:
    """Exit code of a Python program in the current folder, and what it printed, as bytes."""
    done = subprocess.run([sys.executable, *arguments], env=environment(**variables), capture_output=True)
    return done.returncode, done.stdout, done.stderr


def without_an_encoding(said: bytes) -> list[bytes]:
    """What Python tells of texts of this package that were opened without an encoding."""
    return [line for line in said.splitlines() if b"EncodingWarning" in line and f"{ROOT}/real/".encode() in line]


def test_the_locale_of_these_tests_is_another_than_utf_8(locale):
    code, out, _ = run("-c", "import locale; print(locale.getpreferredencoding())", **locale)
    assert (code, out.decode().strip()) == (0, TEMPLATES[locale["LC_ALL"]])


def test_digests_of_code_and_identities_of_all_jobs_are_those_of_utf_8(tiny_copy, locale):
    code, before, _ = run("-c", IDENTITIES, PYTHONUTF8="1", PYTHONPATH=str(ROOT))
    assert code == 0
    code, now, said = run("-c", IDENTITIES, **locale)
    assert code == 0, said.decode()
    assert json.loads(now) == json.loads(before)
    assert len(json.loads(now)) > len(trained_jobs(tiny_copy))
    assert without_an_encoding(said) == []


def test_verbs_print_and_exhibits_are_the_same_bytes_as_under_utf_8(tiny_copy, locale):
    verbs = [["plan", "--scale", "smoke"], *([verb, *tiny.CONFIG] for verb in ("plan", "status", "verify"))]
    verbs += [*(["make", name, *tiny.CONFIG] for name in MADE), ["manifest", *tiny.CONFIG]]
    told, written = [], []
    for variables in ({"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}, locale):
        code, out, said = run("-c", COMMANDS, json.dumps(verbs), **variables)
        assert (code, out.splitlines()[-1]) == (0, str([0] * len(verbs)).encode()), said.decode()
        told.append(out)
        # which hold times
        unstable = {MANIFEST, "report.html"}
        files = [path for path in tiny.RESULTS.rglob("*") if path.is_file() and path.name not in unstable]
        written.append({str(path): path.read_bytes() for path in files if path.parent.name != DRAWN})
    assert told[1] == told[0]
    assert "–".encode() in out, "nothing beyond ASCII was printed"
    assert written[1] == written[0]
    assert "τ".encode() in (tiny.RESULTS / "report.html").read_bytes(), "nothing beyond ASCII was written"
    assert without_an_encoding(said) == []


def test_a_refusal_is_one_sentence_although_the_locale_cannot_write_a_name_in_it(tiny_copy, locale):
    Path("τ.yaml").write_text("methods: [ρεαλ]\n", encoding="utf-8")
    code, _, said = run("-m", "real", "plan", "--config", "paper_configs/smoke.yaml", os.fsdecode("τ.yaml"), **locale)
    lines = [line for line in said.splitlines() if line.startswith(b"real: ")]
    assert (code, len(lines)) == (1, 1), said.decode()


@pytest.mark.slow
def test_snakemake_makes_the_published_tables_with_the_same_bytes(tmp_path, monkeypatch, locale):
    monkeypatch.chdir(copy_checkout(tmp_path / "checkout"))
    command = ("-m", "snakemake", "benchmarks", "claims", "--cores", "1", *PUBLISHED)
    found = []
    for variables in ({"PYTHONUTF8": "1"}, {**locale, "PYTHONPATH": ""}):
        code, out, said = run(*command, **variables)
        assert code == 0, said.decode()
        folder = Path("results/published")
        pages = [*folder.glob("tables/*"), *folder.glob("claims.*")]
        found.append({path.name: path.read_bytes() for path in pages})
        assert b"Nothing to be done" not in out + said
        for path in pages:
            path.unlink()
    assert found[1] == found[0]
    assert "τ".encode() in found[1]["claims.html"]
