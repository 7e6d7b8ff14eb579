"""Our reading of tokenizer.json and of chat templates is transformers', and is taken only where it can be."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from real.models.tokenizer import TEMPLATE, LibraryTokenizer, WholeTokenizer, open_tokenizer, read_whole
from tests.support.random_checkpoint import byte_tokenizer, write_checkpoint

MESSAGES = [{"role": "system", "content": " be brief "}, {"role": "user", "content": "<Σ & 'x'>\n2?"}]
TEMPLATES = {
    "turns": "{% for message in messages %}\n    <{{ message.role }}>{{ message['content'] | trim }}\n{% endfor %}\n"
    "{% if add_generation_prompt %}\n<assistant>{% endif %}",
    "special tokens": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}",
    "tools and documents": "{% if tools is none and documents is none %}none{% endif %}{{ custom_tools is defined }}",
    "tojson": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ messages[0] | tojson(sort_keys=true) }}",
    "loop controls": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% break %}"
    "{% endfor %}",
    "generation": "{% set x = 1 %}{% for m in messages %}{% generation %}{% set x = 2 %}{{ m.content }}{{ loop.index }}"
    "{{ x }}{% endgeneration %}{{ x }}{% endfor %}",
    "namespace and macro": "{% macro turn(m) %}[{{ m.content }}]{% endmacro %}{% set ns = namespace(n=0) %}"
    "{%- for m in messages %}{% set ns.n = ns.n + 1 %}{{ turn(m) }}{% endfor %} {{ ns.n }}",
    "date": "{{ strftime_now('%Y') | length }}",
    "slices": "{{ messages[1:] | map(attribute='content') | join('|') }}{{ messages[-1]['content'].split('\\n')[-1] }}",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "model", seed=0)


@pytest.fixture(scope="module")
def both(folder) -> tuple[WholeTokenizer, PreTrainedTokenizerFast]:
    return read_whole(folder), PreTrainedTokenizerFast.from_pretrained(folder)


@given(st.text(max_size=40), st.lists(st.sampled_from(["<think>", "</think>", "<|turn|>", "<eos>", " ", "<pad"])))
def test_text_and_tokens_are_the_librarys(both, text, parts):
    ours, library = both
    written = text.join(parts) + text
    ids = library(written, add_special_tokens=False)["input_ids"]
    assert ours.encode(written) == ids
    assert ours.decode(ids) == library.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("generation_prompt", [True, False])
def test_a_template_writes_what_it_writes_by_the_library(both, template, generation_prompt):
    ours, library = both
    whole = WholeTokenizer(ours.core, ours.special, template)
    expected = library.apply_chat_template(
        MESSAGES, chat_template=template, add_generation_prompt=generation_prompt, tokenize=False
    )
    assert whole.write(MESSAGES, generation_prompt) == expected


def test_a_template_can_refuse_a_conversation(both):
    whole = WholeTokenizer(both[0].core, {}, "{{ raise_exception('no system role') }}")
    with pytest.raises(TemplateError, match="no system role"):
        whole.write(MESSAGES, True)


def test_the_template_may_stand_in_the_configuration_and_a_file_of_its_own_wins(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    edit(copy, chat_template="configured")
    assert read_whole(copy).write(MESSAGES, False).startswith("system:  be brief ")
    (copy / TEMPLATE).unlink()
    assert read_whole(copy).write(MESSAGES, False) == "configured"
    edit(copy, chat_template=None)
    assert not read_whole(copy).has_template


def edit(folder: Path, **changes) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_core(folder: Path, **changes) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit(folder, tokenizer_class="Qwen2Tokenizer"),
        lambda folder: edit(folder, tokenizer_class=None),
        lambda folder: edit(folder, extra_special_tokens=["<|turn|>"]),
        lambda folder: edit(folder, split_special_tokens=True),
        lambda folder: edit(folder, eos_token={"content": "<eos>", "lstrip": True}),
        lambda folder: edit(folder, pad_token="<never added>"),
        lambda folder: (
            edit(folder, chat_template=[{"name": "default", "template": "x"}]) or (folder / TEMPLATE).unlink()
        ),
        lambda folder: (folder / "added_tokens.json").write_text("{}"),
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
        lambda folder: (folder / "additional_chat_templates").mkdir(),
        lambda folder: (folder / "tokenizer_config.json").unlink(),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: edit_core(
            folder, truncation={"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
        ),
    ],
)
def test_what_tokenizer_json_alone_may_not_say_is_left_to_the_library(folder, tmp_path, change):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert isinstance(open_tokenizer(str(copy), None, False), WholeTokenizer)
    change(copy)
    assert read_whole(copy) is None


def test_the_librarys_tokenizer_is_asked_the_same_questions(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    edit(copy, split_special_tokens=False)
    library, ours = open_tokenizer(str(copy), None, False), read_whole(folder)
    assert isinstance(library, LibraryTokenizer)
    text = library.write(MESSAGES, True)
    assert text == ours.write(MESSAGES, True)
    assert library.encode(text) == ours.encode(text) == byte_tokenizer()(text)["input_ids"]
    assert library.decode(library.encode(text)) == text
    assert (library.end, library.has_template) == (ours.end, ours.has_template) == (257, True)
