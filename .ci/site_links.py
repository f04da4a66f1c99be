"""What MkDocs does not know: the pages also link to files of the repository beside docs/.

In the site such a link becomes its text and the file's path; GitHub and editors follow it as it is.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]*)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called for every page, with its text."""
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")

    def without_link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        if path.startswith("docs/"):
            return match[0]
        words = match[1].strip("`")
        return f"`{path}`" if path.endswith(words) else f"{match[1]} (`{path}`)"

    return LINK.sub(without_link, markdown)
