"""Reading YAML files: a bad file is one sentence that names it, and nothing in it is dropped or reread in silence.

YAML says more than a configuration should: of two equal keys it keeps the last, it reads ``010`` as eight and ``1:30``
as ninety, an alias may stand for a billion values, a tag for a Python object. All of these are refused.
"""

import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from real.system.errors import system_reason
from real.system.sentences import ConfigError, printable, shown

# PyYAML's readings of numbers that few would expect: octal and base 60
_SURPRISING_NUMBER = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_LONGEST_INTEGER = 2**63 - 1


class _RefusedError(yaml.YAMLError):
    """Valid YAML that means something else than it seems to; the message names the line and the remedy."""


class StrictLoader(yaml.SafeLoader):
    """YAML's plain values alone, each key once, each number as it is usually read."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: what they stand for is written out in a configuration."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            _refuse(event, f"*{event.anchor} is an alias; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse keys that are no text and keys that stand twice."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                _refuse(key_node, f"the key {shown(key)} is no text; put it in quotes")
            if key in lines:
                _refuse(key_node, f"the key {shown(key)} stands in line {lines[key]} already; remove one of the two")
            lines[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number, refused where it would be read in another base or fits no machine word."""
        if _SURPRISING_NUMBER.fullmatch(node.value):
            _refuse(
                node, f"YAML reads {node.value} as a number in another base; write it in plain digits, or in quotes"
            )
        whole = node.tag.endswith(":int")
        value: int | float = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        if whole and abs(value) > _LONGEST_INTEGER:
            _refuse(node, f"{node.value[:30]} is too large a number; write one below 2**63")
        return value


for _kind in ("int", "float"):
    StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", StrictLoader.construct_number)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigError: the file can't be read, is not valid YAML, is ambiguous or holds no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run from the root of the repository and check the name") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({system_reason(error)}); name a file that can") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply; correct its brackets and indentation") from None
    except _RefusedError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that can't be
        reason = printable(" ".join(str(error).split()))
        raise ConfigError(f"{path}: is not valid YAML ({reason}); correct it there") from None
    if content is None:
        raise ConfigError(f"{path}: is empty; write keys and values into it, or leave the file out")
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: expected a mapping of keys to values, found {type(content).__name__}; write 'key: value' lines"
        )
    return content


def _refuse(where: Any, problem: str) -> NoReturn:
    """Raise with the line at which a node or an event stands."""
    raise _RefusedError(f"line {where.start_mark.line + 1}: {printable(problem)}")
