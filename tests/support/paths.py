"""Where the repository's own files lie, for every test."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAPER_CONFIGS = ROOT / "paper_configs"
