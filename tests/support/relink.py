"""Records rewritten to fit edited files, as one would who forges every link: what is left to notice is in the files."""

from pathlib import Path

from real.records.custody import is_elsewhere
from real.records.provenance import DRAWN, RECORD, place_of
from real.system.files import file_digest, read_json, write_json

ORDER = ("base", "runs", "evaluations", DRAWN)


def relink(results: Path) -> None:
    """Rewrite what every record below ``results`` says of files, from the first job of the chain to the last."""
    records = [*results.rglob(RECORD), *(results / DRAWN).glob("*.json")]
    # of what is drawn the figure of a table comes after it, and the report last
    last = {"training_dynamics": 1, "report": 2}
    records.sort(key=lambda path: (ORDER.index(path.relative_to(results).parts[0]), last.get(path.stem, 0), str(path)))
    for path in records:
        record, place = read_json(path), place_of(path)
        for name, about in record["wrote"].items():
            if (place / name).exists():
                about |= {"bytes": (place / name).stat().st_size, "sha256": file_digest(place / name)}
        for name in record["read"]:
            if not is_elsewhere(name) and (results / name).exists():
                record["read"][name] = file_digest(results / name)
        write_json(path, record)
