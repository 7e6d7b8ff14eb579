"""A local HTTP server and small dataset files for the tests of downloads."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PIECES = 50  # of a content that takes its time
INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."


@dataclass
class Served:
    """What the server answers for one path."""

    content: bytes = b""
    status: int = 200
    promised: int | None = None  # Content-Length, if another than the content's
    failures: int = 0  # answer 503 this often first
    endless: bool = False  # repeat the content until nobody listens, without a Content-Length
    seconds: float = 0.0  # that the content takes to arrive


@dataclass
class DataServer:
    """Paths that are not in ``files`` are missing (404)."""

    address: str = ""
    files: dict[str, Served] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def url(self, path: str, served: Served | None = None) -> str:
        """The path's URL; ``served`` is put there first."""
        if served is not None:
            self.files[f"/{path}"] = served
        return f"{self.address}/{path}"


@contextmanager
def data_server() -> Iterator[DataServer]:
    """A server on a free port of this machine."""
    state = DataServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests[self.path] += 1
            served = state.files.get(self.path, Served(status=404))
            status = 503 if state.requests[self.path] <= served.failures else served.status
            self.send_response(status)
            length = len(served.content) if served.promised is None else served.promised
            if not served.endless:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with suppress(OSError):  # whoever asked may be gone
                size = -(-len(served.content) // PIECES) if served.seconds else len(served.content)
                for start in range(0, len(served.content), max(size, 1)):
                    self.wfile.write(served.content[start : start + size])
                    time.sleep(served.seconds / PIECES)
                while served.endless:
                    self.wfile.write(served.content)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def raw_file(path: Path, texts: list[str], answers: list[Any]) -> bytes:
    """Write a file of the released code's shape; returns its bytes."""
    rows = [
        {
            "data_source": "",
            "prompt": [{"content": f"{text} {INSTRUCTION}", "role": "user"}],
            "ability": "math",
            "reward_model": {"ground_truth": answer, "style": "rule"},
            "extra_info": {"index": index, "split": "test"},
        }
        for index, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def entry(content: bytes, urls: list[str], **changes: Any) -> dict[str, Any]:
    """An entry of sources.yaml for a file with this content."""
    return {
        "label": "A label",
        "split": "test",
        "file": "file.parquet",
        "urls": urls,
        "rows": None,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "git_blob": None,
        "unanswered": "error",
        "licence": "not stated",
        **changes,
    }
