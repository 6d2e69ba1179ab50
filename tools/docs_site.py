"""What the documentation's site needs beside docs/: mkdocs calls these functions by their names.

Pages link to files of the project that are no pages; those come along. Scripts that mkdocs-material would
load from a server come from node_modules.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

LOG = logging.getLogger("mkdocs.hooks.docs_site")  # below the one whose warnings mkdocs counts
PROJECT = Path(__file__).resolve().parent.parent
MERMAID = "assets/vendor/mermaid.js"
SCRIPTS = {
    MERMAID: "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "assets/vendor/iframe-worker.js": "iframe-worker/shim/index.js",
}
"""Where they stand on the site, and where in node_modules."""

ROOT_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
"""Pages that stand above docs/."""

BESIDE = "project/"
"""Where files that pages link to stand on the site."""

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
LITERAL = re.compile(r"^::\n\n", re.MULTILINE)
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages above docs/, the files that pages link to, and the scripts."""
    for name, script in SCRIPTS.items():
        files.append(File.generated(config, name, abs_src_path=str(PROJECT / "node_modules" / script)))
    for name, above in ROOT_PAGES.items():
        files.append(File.generated(config, name, content=(PROJECT / above).read_text(encoding="utf-8")))
    linked = {
        found
        for page in files.documentation_pages()
        for _, link, _ in LINK.findall(page.content_string)
        if (found := _outside(page.src_uri, link)) is not None and (PROJECT / found).is_file()
    }
    for found in sorted(linked):
        if files.get_file_from_path(target := _on_site(found)) is None:
            files.append(File.generated(config, target, abs_src_path=str(PROJECT / found)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links out of docs/ to where the site has it; folders, which it cannot show, become plain text."""
    del config
    here = page.file.src_uri

    def turn(link: re.Match[str]) -> str:
        text, path, anchor = link[1], link[2], link[3] or ""
        outside = _outside(here, path)
        if outside is None:
            inside = PROJECT / "docs" / posixpath.dirname(here) / path
            return text if inside.is_dir() else link[0]
        if files.get_file_from_path(target := _on_site(outside)) is None:
            return text
        return f"[{text}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(turn, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load what draws diagrams where there are some, and warn, which fails the build, of foreign files."""
    del config
    if '<pre class="mermaid">' in output:
        script = get_relative_url(MERMAID, page.url)
        output = output.replace("</head>", f'<script src="{script}"></script></head>', 1)
    for foreign in LOADED.findall(output):
        LOG.warning("Doc file '%s' would load from elsewhere: %s", page.file.src_uri, foreign)
    return output


class PlainDocstrings(griffe.Extension):
    """Docstrings are plain text with examples; Markdown would read those as quotations, and "::" as words."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - griffe's signature
        """Put examples into fences."""
        if obj.docstring is not None:
            text = LITERAL.sub("", obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(lambda example: f"```pycon\n{example[0]}\n```", text)


def _outside(page: str, link: str) -> str | None:
    """The path below the project of what a page links to; None if it is in docs/, or on the web."""
    if re.match(r"[a-z]+:", link):
        return None
    folder = "" if page in ROOT_PAGES else posixpath.join("docs", posixpath.dirname(page))
    path = posixpath.normpath(posixpath.join(folder, link))
    return path if page in ROOT_PAGES or not path.startswith("docs/") else None


def _on_site(path: str) -> str:
    """Where the site has a file of the project."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    above = {file: page for page, file in ROOT_PAGES.items()} | {"README.md": "index.md"}
    return above.get(path, BESIDE + path)
