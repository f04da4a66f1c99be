"""The `nfig-client` command, or what it lacks."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from nfig_client.cli import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("typer", "rich", "PIL"):
            sys.exit(f"nfig-client needs {missing}: pip install 'nfig-client[cli]'")
        raise
    app()


if __name__ == "__main__":
    main()
