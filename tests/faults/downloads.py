"""Downloads and conversions that are cut off, by a kill or by the other side."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import yaml

from tests.faults.place import LostError, Place, last_lines, must, must_be_one_sentence
from tests.faults.tries import Tried, judged, share_verdict
from tests.support.data_server import DataServer, Served, data_server, entry, raw_file

NAME = "amc"
RAW = Path("datasets/raw")
PREPARED = Path("datasets/prepared") / f"{NAME}.parquet"
TRANSFER_SECONDS = 3.0
ROWS = 4000


@contextmanager
def served(place: Place, seconds: float = TRANSFER_SECONDS) -> Iterator[tuple[DataServer, bytes]]:
    """A server whose file arrives over ``seconds``, and a sources.yaml that names it alone; the file's bytes."""
    content = raw_file(
        place.scratch / "file.parquet", [f"How many are {i} and {i + 1}" for i in range(ROWS)], ["3"] * ROWS
    )
    with data_server() as server:
        url = server.url(NAME, Served(content, seconds=seconds))
        sources = {NAME: entry(content, [url], rows=ROWS)}
        (place.checkout / "datasets" / "sources.yaml").write_text(yaml.safe_dump(sources))
        (place.checkout / "datasets" / "corrections.yaml").unlink(missing_ok=True)
        yield server, content


def download_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of a download, many times in a row: no unverified byte stands under the final name, the same command then
    fetches the file, and nothing else is left in its folder."""
    with served(place) as (server, content):

        def kills() -> Iterator[str]:
            for _ in range(tries):
                asked = server.requests.total()
                with place.real("download", NAME) as program:
                    program.wait_until(lambda asked=asked: server.requests.total() > asked)
                    moment = rng.uniform(0.0, 0.95 * TRANSFER_SECONDS)
                    program.wait(moment)
                    if program.ended:
                        raise LostError(f"ended unharmed with {program.end()}: {last_lines(program.text)}")
                must(
                    not (place.checkout / RAW / f"{NAME}.parquet").exists(),
                    "half a transfer stands under the final name",
                )
                yield f"download killed {moment:.1f} s into the transfer of {TRANSFER_SECONDS:.0f} s"
            server.files[f"/{NAME}"].seconds = 0.0

        yield from share_verdict(kills(), lambda: _fetched(place, content))


def preparation_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of the conversion of a dataset: the prepared file is absent or whole, and comes out the same."""
    with served(place, seconds=0.0) as (_, content):
        _fetched(place, content)
        path = place.checkout / PREPARED
        started = time.monotonic()
        place.must_complete(place.real("prepare", NAME))
        seconds = time.monotonic() - started
        whole = path.read_bytes()

        def kills() -> Iterator[str]:
            for _ in range(tries):
                path.unlink(missing_ok=True)
                moment = rng.uniform(0.0, 0.9 * seconds)
                with place.real("prepare", NAME) as program:
                    program.wait(moment)
                    ended = program.ended
                must(not path.exists() or path.read_bytes() == whole, "half a conversion stands under the final name")
                if not ended:
                    yield f"conversion killed {moment:.1f} s after its start"
            path.unlink(missing_ok=True)

        def check() -> None:
            place.must_complete(place.real("prepare", NAME))
            must(path.read_bytes() == whole, "the prepared file differs")
            must(
                [file.name for file in path.parent.iterdir()] == [path.name],
                "something is left beside the prepared file",
            )

        yield from share_verdict(kills(), check)


def mirror_vanished(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The mirror is gone, empty or altered, the server is dead, breaks off or sends other bytes: one sentence names the
    place and the reason, no file is left, and once the mirror is back the same command completes."""
    cases = (
        "folder gone",
        "server dead",
        "server breaks off",
        "file altered on the server",
        "file altered in the mirror",
    )
    for number in range(tries):
        case = cases[number % len(cases)]
        yield judged(place, f"mirror vanished: {case}", lambda case=case: _vanished(place, rng, case))


def _vanished(place: Place, rng: Random, case: str) -> None:
    shutil.rmtree(place.checkout / RAW, ignore_errors=True)
    mirror = place.scratch / "mirror"
    shutil.rmtree(mirror, ignore_errors=True)
    with served(place, seconds=0.0) as (server, content):
        mirror.mkdir()
        altered = bytearray(content)
        altered[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        environment = {"REAL_DATASETS_MIRROR": str(mirror)}
        words = [f"{NAME}.parquet: could not be fetched", "REAL_DATASETS_MIRROR"]
        match case:
            case "folder gone":
                mirror.rmdir()
                words = [f"{mirror}: the mirror is no folder", "REAL_DATASETS_MIRROR"]
            case "server dead":
                words.append("no connection")
            case "server breaks off":
                cut = content[: rng.randrange(len(content))]
                server.files[f"/{NAME}"] = Served(cut, promised=len(content))
                words.append("the connection broke off")
            case "file altered on the server":
                server.files[f"/{NAME}"] = Served(bytes(altered))
                words.append("has sha256")
            case "file altered in the mirror":
                (mirror / "file.parquet").write_bytes(altered)
                server.files.clear()
                words += ["has sha256", "HTTP status 404"]
        if case != "server dead":
            ended = place.finish(place.real("download", NAME, **environment))
    if case == "server dead":  # its port is closed by now
        ended = place.finish(place.real("download", NAME, **environment))
    must_be_one_sentence(ended, *words)
    _must_hold_only(place, [])
    mirror.mkdir(exist_ok=True)
    (mirror / "file.parquet").write_bytes(content)
    place.must_complete(place.real("download", NAME, **environment))
    must((place.checkout / RAW / f"{NAME}.parquet").read_bytes() == content, "the file differs from the mirror's")


def _fetched(place: Place, content: bytes) -> None:
    place.must_complete(place.real("download", NAME))
    must((place.checkout / RAW / f"{NAME}.parquet").read_bytes() == content, "the file differs from the server's")
    _must_hold_only(place, [f"{NAME}.parquet"])


def _must_hold_only(place: Place, names: list[str]) -> None:
    files = (path for path in (place.checkout / RAW).rglob("*") if path.is_file() and path.suffix != ".lock")
    found = [path.name for path in files]
    must(found == names, f"{RAW} holds {', '.join(found) or 'nothing'}, not {', '.join(names) or 'nothing'}")
