"""The site that mkdocs makes of docs/: it needs no network, and a link that leads nowhere fails the build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.docs_site import MERMAID, SCRIPTS

PROJECT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of `folder/docs` with the project's settings, into `folder/site`."""
    settings = folder / "mkdocs.yml"
    ours = f"{PROJECT}/tools/docs_site.py"
    python = {"paths": [str(PROJECT)], "options": {"extensions": [f"{ours}:PlainDocstrings"]}}
    changed = {
        "INHERIT": f"{PROJECT}/mkdocs.yml",
        "site_dir": "site",
        "hooks": [ours],
        "plugins": {"mkdocstrings": {"handlers": {"python": python}}},
    }
    settings.write_text(json.dumps(changed))  # JSON is YAML
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(settings)],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The project's docs/, to be changed."""
    return Path(shutil.copytree(PROJECT / "docs", tmp_path / "docs"))


def test_the_site_loads_nothing_from_elsewhere(docs: Path) -> None:
    """Every script, style sheet and picture of every page is a file of the site, as is the search's index."""
    done = build(docs.parent)
    assert done.returncode == 0, done.stderr
    site = docs.parent / "site"
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(list(docs.rglob("*.md")))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*?\bsrc=\"([^\"]*)\"", text)
        loaded += re.findall(r"<link rel=\"(?:stylesheet|icon)\" href=\"([^\"]*)\"", text)
        assert loaded
        for source in loaded:
            at = site if page.name == "404.html" else page.parent
            assert (at / source.lstrip("/")).resolve().is_file(), (page, source)
        assert (MERMAID in text) == ('<pre class="mermaid">' in text)
    assert all((site / script).stat().st_size > 1000 for script in SCRIPTS)
    assert "refund" in (site / "search" / "search_index.js").read_text(encoding="utf-8")


def test_what_is_broken_fails_the_build(docs: Path) -> None:
    """A missing page or heading, a page outside the navigation, a picture from a server: each is named."""
    (docs / "lost.md").write_text("# Lost\n")
    with (docs / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](gone.md) [b](settings.md#gone) [c](#gone) ![d](https://pictures.example/d.png)\n")
    done = build(docs.parent)
    assert done.returncode == 1
    for named in (
        "lost.md",
        "'gone.md'",
        "'settings.md#gone'",
        "'#gone'",
        "would load from elsewhere: <img",
    ):
        assert named in done.stderr, done.stderr
    assert done.stderr.count("WARNING") == 5
