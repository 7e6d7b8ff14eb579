"""What is wrong with a file by the rules of its own format."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml
from safetensors import SafetensorError, safe_open

from real.system.files import DamagedError, read_csv, read_json, read_json_lines, read_table


def damage(path: Path) -> str | None:
    """What is wrong with a file by the rules of its own format; None if it can be read, or has no such rules."""
    try:
        if path.suffix in READERS:
            READERS[path.suffix](path)
    except DamagedError as error:
        return str(error).removeprefix(f"{path}: ").removesuffix("; ")
    except (SafetensorError, yaml.YAMLError, UnicodeDecodeError) as error:
        return f"is damaged ({' '.join(str(error).split())})"
    return None


READERS: dict[str, Callable[[Path], object]] = {
    ".parquet": partial(read_table, remedy=""),
    ".jsonl": partial(read_json_lines, remedy=""),
    ".json": partial(read_json, remedy=""),
    ".csv": partial(read_csv, remedy=""),
    ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
    ".safetensors": partial(safe_open, framework="np"),  # compares its header with its size
}
