"""Text to tokens and back, and prompts by a checkpoint's chat template.

By the tokenizers library and jinja2 alone, where tokenizer.json is the whole tokenizer: its class in
tokenizer_config.json says so, and no further key or file changes it. By transformers, whose import takes as long as a
short job, where anything else is there: classes that rebuild a tokenizer from its vocabulary, other files, several
templates.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as Core

from real.models.checkpoints import COMPLETE, loading
from real.system.files import read_json

Messages = Sequence[Mapping[str, str]]
# classes that are tokenizer.json and nothing else
_WHOLE = {"PreTrainedTokenizerFast", "TokenizersBackend"}
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# neither text to tokens nor back depends on these, as both are asked for here
_INDIFFERENT = {
    "tokenizer_class", "backend", "model_max_length", "padding_side", "truncation_side", "model_input_names",
    "clean_up_tokenization_spaces", "add_bos_token", "add_eos_token", "chat_template",
}  # fmt: skip
_OTHER_FILES = ("added_tokens.json", "special_tokens_map.json", "chat_template.json", "tekken.json")
TEMPLATE = "chat_template.jinja"
# from this size on the library mends pre-tokenizers of some models
_LARGE_VOCABULARY = 100_000


class Tokenizer(Protocol):
    """What samplers ask of a tokenizer.

    Attributes:
        packages: that what it does depends on.
        end: token id that ends a response; None: it names none.
        has_template: whether prompts can be written.
    """

    packages: tuple[str, ...]
    end: int | None
    has_template: bool

    def encode(self, text: str) -> list[int]:
        """Token ids, without any that the text doesn't write."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text, special tokens included."""

    def write(self, messages: Messages, generation_prompt: bool) -> str:
        """A conversation by the chat template, which may raise anything."""


def open_tokenizer(name: str, revision: str | None, trust_remote_code: bool) -> Tokenizer:
    """The tokenizer of a checkpoint, a folder or, with a revision, a hub id.

    Raises:
        CheckpointError: it can't be loaded.
    """
    with loading(name):
        whole = None if revision else read_whole(Path(name))
        return whole or LibraryTokenizer(name, revision, trust_remote_code)


def read_whole(folder: Path) -> "WholeTokenizer | None":
    """The tokenizer of a folder by tokenizer.json; None: that may not be all of it."""
    if not all((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        return None
    if any((folder / name).exists() for name in (*_OTHER_FILES, "additional_chat_templates")):
        return None
    config = read_json(folder / "tokenizer_config.json", COMPLETE)
    template = config.get("chat_template")
    if (folder / TEMPLATE).exists():
        template = (folder / TEMPLATE).read_text(encoding="utf-8")
    special = {key: config[key] for key in _SPECIAL if config.get(key) is not None}
    known = config.keys() <= {*_INDIFFERENT, *_SPECIAL} and config.get("tokenizer_class") in _WHOLE
    if not known or not all(isinstance(text, str) for text in special.values()):
        return None
    core = Core.from_file(str(folder / "tokenizer.json"))
    added = {token.content for token in core.get_added_tokens_decoder().values()}
    # the library would add tokens that are missing there
    if set(special.values()) - added or core.get_vocab_size() > _LARGE_VOCABULARY:
        return None
    if core.truncation or core.padding or not isinstance(template, str | None):
        return None
    return WholeTokenizer(core, special, template)


class WholeTokenizer:
    """A tokenizer that is tokenizer.json and nothing else; see :class:`Tokenizer`."""

    packages: tuple[str, ...] = ("tokenizers", "jinja2")

    def __init__(self, core: Core, special: Mapping[str, str], template: str | None) -> None:
        self.core, self.special, self.template = core, special, template
        self.end = core.token_to_id(special["eos_token"]) if "eos_token" in special else None
        self.has_template = template is not None

    def encode(self, text: str) -> list[int]:
        """See there."""
        ids: list[int] = self.core.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """See there."""
        return str(self.core.decode(list(ids), skip_special_tokens=False))

    def write(self, messages: Messages, generation_prompt: bool) -> str:
        """See there."""
        written = [dict(message) for message in messages]
        return self._compiled.render(
            messages=written, tools=None, documents=None, add_generation_prompt=generation_prompt, **self.special
        )

    @cached_property
    def _compiled(self) -> Any:
        return template_environment().from_string(self.template or "")


class LibraryTokenizer:
    """Whatever tokenizer transformers makes of a checkpoint; see :class:`Tokenizer`."""

    packages: tuple[str, ...] = ("transformers",)

    def __init__(self, name: str, revision: str | None, trust_remote_code: bool) -> None:
        # imported here: it takes seconds, and few checkpoints need it
        from transformers.models.auto import AutoTokenizer

        self.whole: Any = AutoTokenizer.from_pretrained(
            name, revision=revision or "main", trust_remote_code=trust_remote_code
        )
        self.end: int | None = self.whole.eos_token_id
        self.has_template = self.whole.chat_template is not None

    def encode(self, text: str) -> list[int]:
        """See there."""
        ids: list[int] = self.whole(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """See there."""
        return str(self.whole.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def write(self, messages: Messages, generation_prompt: bool) -> str:
        """See there."""
        written = [dict(message) for message in messages]
        return str(self.whole.apply_chat_template(written, add_generation_prompt=generation_prompt, tokenize=False))


def template_environment() -> ImmutableSandboxedEnvironment:
    """Jinja as chat templates expect it.

    Source: ``utils/chat_template_utils.py`` of transformers 5.10.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


class _Generation(Extension):
    """``{% generation %}`` marks what an assistant wrote; here it writes what stands in it."""

    tags = {"generation"}  # noqa: RUF012 (as jinja2 declares it)

    def parse(self, parser: Parser) -> nodes.Node:
        """The block, as a macro that is called at once: what is set in it ends with it."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Macro) -> str:
        return str(caller())


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)
