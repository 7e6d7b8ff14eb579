"""How every table is written: as a page, as Markdown and as LaTeX, each section under its heading."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from real.system.files import write_text

TABLE_STYLE = (
    ".box{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.35em .8em;text-align:right;border-bottom:1px solid #ddd;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
    "thead th{border-bottom:2px solid #222}td:first-child{white-space:normal;min-width:14em}"
)


def write_readable(stem: Path, title: str, sections: dict[Any, pd.DataFrame], *notes: str) -> None:
    """Write one table of several sections as ``stem``.html, .md and .tex; empty notes are left out."""
    notes = tuple(filter(None, notes))
    markdown, latex = [f"# {title}\n"], [f"% {title}. {' '.join(notes)}\n"]
    for heading, table in sections.items():
        escaped = table.map(lambda cell: str(cell).replace("|", r"\|"))
        markdown += [f"## {heading}\n", escaped.to_markdown(index=False, disable_numparse=True), ""]
        styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
        latex += [f"% {heading}", styled.to_latex(hrules=True)]
    markdown += [f"{note}\n" for note in notes]
    write_text(stem.with_suffix(".html"), html_page(title, sections, *notes))
    write_text(stem.with_suffix(".md"), "\n".join(markdown))
    write_text(stem.with_suffix(".tex"), "\n".join(latex))


def html_page(title: str, sections: dict[Any, pd.DataFrame], *notes: str) -> str:
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


def html_tables(sections: dict[Any, pd.DataFrame], *notes: str) -> str:
    """What stands below the title of :func:`html_page`: each table scrolls in a box of its own."""
    html = []
    for heading, table in sections.items():
        html += [
            f"<h2>{escape(str(heading), quote=False)}</h2>",
            f'<div class="box" role="region" tabindex="0" aria-label="{escape(str(heading))}">',
            table.to_html(index=False, border=0),
            "</div>",
        ]
    return "\n".join([*html, *(f"<p>{escape(note, quote=False)}</p>" for note in notes)])
