"""How every table is written: as a page, as Markdown, as LaTeX, and as JSON for the report; sections under headings."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import pandas as pd

from real.system.files import MAKE_AGAIN, DamagedError, read_json, write_csv, write_json, write_text

TABLE_STYLE = (
    ".box{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.35em .8em;text-align:right;border-bottom:1px solid #ddd;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
    "thead th{border-bottom:2px solid #222}td:first-child{white-space:normal;min-width:14em}"
)
Sections = Mapping[str, pd.DataFrame]


def write_tables(results: Path, name: str, title: str, numbers: pd.DataFrame, sections: Sections, *notes: str) -> None:
    """Write one table below a scale's results: ``numbers`` as CSV, and what a reader sees of them."""
    stem = results / "tables" / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_csv(stem.with_suffix(".csv"), numbers)
    write_readable(stem, title, sections, *notes)


def write_readable(stem: Path, title: str, sections: Sections, *notes: str) -> None:
    """Write one table of several sections as ``stem``.html, .json, .md and .tex; empty notes are left out."""
    notes = tuple(filter(None, notes))
    markdown, latex = [f"# {_plain(title)}\n"], [f"% {title}. {' '.join(notes)}\n"]
    for heading, table in sections.items():
        escaped = table.map(lambda cell: _plain(str(cell)).replace("|", r"\|")).rename(columns=_plain)
        markdown += [f"## {_plain(heading)}\n", escaped.to_markdown(index=False, disable_numparse=True), ""]
        styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
        latex += [f"% {heading}", styled.to_latex(hrules=True)]
    markdown += [f"{_plain(note)}\n" for note in notes]
    write_page(stem, title, sections, *notes)
    write_text(stem.with_suffix(".md"), "\n".join(markdown))
    write_text(stem.with_suffix(".tex"), "\n".join(latex))


def _plain(text: str) -> str:
    """Text that no reader of Markdown takes for HTML."""
    return escape(text, quote=False)


def write_page(stem: Path, title: str, sections: Sections, *notes: str) -> None:
    """Write ``stem``.html, and as ``stem``.json what :func:`read_page` gives."""
    tables = {heading: table.to_dict("split", index=False) for heading, table in sections.items()}
    write_text(stem.with_suffix(".html"), html_page(title, sections, *notes))
    write_json(stem.with_suffix(".json"), {"title": title, "sections": tables, "notes": notes})


def read_page(path: Path) -> tuple[str, Sections, list[str]]:
    """Title, sections and notes of a table that :func:`write_page` wrote as JSON.

    Raises:
        FileNotFoundError: no such file. DamagedError: it is damaged, or holds something else.
    """
    stored = read_json(path, keys=("title", "sections", "notes"))
    try:
        sections = {heading: pd.DataFrame(**table) for heading, table in stored["sections"].items()}
    except (AttributeError, TypeError, ValueError):
        raise DamagedError(f"{path}: holds no table of this version's; {MAKE_AGAIN}") from None
    return stored["title"], sections, stored["notes"]


def html_page(title: str, sections: Sections, *notes: str) -> str:
    """One table of several sections as a page by itself, each note a paragraph below; all text is escaped."""
    style = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:70em;color:#222}"
    title = escape(title, quote=False)
    html = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{style}{TABLE_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<main>{html_tables(sections, *notes)}</main>",
    ]
    return "\n".join([*html, "</html>\n"])


def html_tables(sections: Sections, *notes: str, level: int = 2) -> str:
    """What stands below the title of :func:`html_page`: each table scrolls in a box of its own.

    Args:
        level: of the headings.
    """
    html = []
    for heading, table in sections.items():
        html += [
            f"<h{level}>{escape(heading, quote=False)}</h{level}>",
            f'<div class="box" role="region" tabindex="0" aria-label="{escape(heading)}">',
            table.to_html(index=False, border=0),
            "</div>",
        ]
    return "\n".join([*html, *(f"<p>{escape(note, quote=False)}</p>" for note in notes)])
