"""The configuration under random edits of valid files: an experiment that survives a rewrite, or a line per mistake."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example
from hypothesis import strategies as st

from real.config import ConfigError, load
from real.evidence.claims.schema import load_claims
from real.tasks.sources import read_sources
from tests.support.fuzzing import fuzz
from tests.support.paths import ROOT
from tests.support.workplaces import copy_configs

FILES = ("smoke.yaml", "verl_smoke.yaml", "1.5b.yaml", "published.yaml", "variants/tau_sweep.yaml", "methods.yaml")
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.sampled_from(["", " ", "../x", "base", "real", "2e-6", ".nan", "yes", "~", "\u202e", "1:30", "0x10"]),
    st.lists(st.integers(-1, 3), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.dates(),
    st.binary(max_size=4),
)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every (section, key) and (list, index) of a file's content."""
    for key, value in list(content.items() if isinstance(content, dict) else enumerate(content)):
        yield content, key
        if isinstance(value, (dict, list)):
            yield from places(value)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[str], str]:
    """Some edits of the values, then some of the text."""
    of_values = draw(st.lists(st.tuples(st.sampled_from(["delete", "set", "nest", "swap", "rename"]), odd), max_size=3))
    spots = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=12, max_size=12))
    of_text = draw(st.lists(st.sampled_from(["drop", "double", "swap", "indent", "insert"]), max_size=2))
    inserted = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6))
    new_key = draw(st.text(min_size=1, max_size=6))

    def edit(text: str) -> str:
        spot = iter(spots)
        content = yaml.safe_load(text)
        for kind, value in of_values:
            everywhere = list(places(content))
            section, key = everywhere[int(next(spot) * len(everywhere))]
            other, other_key = everywhere[int(next(spot) * len(everywhere))]
            if kind == "delete":
                del section[key]
            elif kind == "set":
                section[key] = value
            elif kind == "nest":
                section[key] = {str(key): copy.deepcopy(section[key])}
            elif kind == "rename" and isinstance(section, dict):
                section[new_key] = section.pop(key)
            elif kind == "swap":
                a, b = copy.deepcopy(section[key]), copy.deepcopy(other[other_key])
                section[key] = b
                other[other_key] = a
            if not content:
                break
        lines = (yaml.safe_dump(content, allow_unicode=True, sort_keys=False) if of_values else text).split("\n")
        for kind in of_text:
            at, other_at = (int(next(spot) * len(lines)) for _ in range(2))
            if kind == "drop" and len(lines) > 1:
                del lines[at]
            elif kind == "double":
                lines.insert(at, lines[at])
            elif kind == "swap":
                lines[at], lines[other_at] = lines[other_at], lines[at]
            elif kind == "indent":
                lines[at] = f"  {lines[at]}"
            elif kind == "insert":
                cut = int(next(spot) * (len(lines[at]) + 1))
                lines[at] = lines[at][:cut] + inserted + lines[at][cut:]
        return "\n".join(lines)

    return edit


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The configuration's files, as the working folder."""
    copy_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(read: Callable[[], Any], *files: Path) -> Any:
    """What is read; None where each line of the refusal begins with the name of one of the files."""
    try:
        return read()
    except ConfigError as error:
        refusal = str(error)
    assert all(line.startswith(tuple(map(str, files))) for line in refusal.split("\n")), refusal
    assert all(line.isprintable() for line in refusal.split("\n")), refusal
    return None


def test_an_edited_file_is_an_experiment_or_refused_line_by_line(folder):
    @example(file="smoke.yaml", edit=lambda text: "[" * 5000)
    @example(file="methods.yaml", edit=lambda text: text.replace("real:", "reel:"))
    @example(
        file="methods.yaml", edit=lambda text: text.replace("tau:", '"\\e":')
    )  # unprintable, in a sentence of ours
    @example(file="variants/tau_sweep.yaml", edit=lambda text: "methods: {real: 1}\n")  # a section for a list
    @example(file="smoke.yaml", edit=lambda text: f"{text}\ud7fc\nx: 1\n")  # unprintable, in PyYAML's own message
    @example(file="smoke.yaml", edit=lambda text: text + f"x: 0x{'f' * 5000}\n")  # an integer that can't be printed
    @example(file="smoke.yaml", edit=lambda text: text + "x: [&a [1], *a]\n")
    @fuzz(file=st.sampled_from(FILES), edit=edits())
    def edited(file, edit):
        path = Path("paper_configs", file)
        before = path.read_text(encoding="utf-8")
        path.write_text(edit(before), encoding="utf-8", errors="surrogatepass")
        scale = Path("paper_configs/smoke.yaml") if file in FILES[-2:] else path
        files = [str(scale), *([str(path)] if "variants" in file else [])]
        try:
            # a method that methods.yaml lacks now is a mistake of the scale that names it
            experiment = refused(lambda: load(files), path, *([scale] if file == "methods.yaml" else []))
            if experiment is not None and "variants" not in file and file != "methods.yaml":
                path.write_text(yaml.safe_dump(experiment.scale.model_dump(mode="json")), encoding="utf-8")
                assert load(files) == experiment
                assert "/" not in experiment.name
        finally:
            path.write_text(before, encoding="utf-8")

    edited()


def test_edited_claims_and_sources_are_read_or_refused_line_by_line(folder):
    claims, sources = Path("paper_configs/claims.yaml"), Path("sources.yaml")
    content = yaml.safe_load(claims.read_text(encoding="utf-8"))
    content["claims"] = dict(list(content["claims"].items())[8:12])
    known = (ROOT / "datasets" / "sources.yaml").read_text()
    texts = {claims: yaml.safe_dump(content), sources: known[: known.index("\nminerva:")]}

    @fuzz(share=0.5, edit=edits())
    def edited(edit):
        for path, read in ((claims, load_claims), (sources, read_sources)):
            path.write_text(edit(texts[path]), encoding="utf-8", errors="surrogatepass")
            refused(lambda read=read, path=path: read(path), path)

    edited()
