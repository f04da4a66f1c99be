"""`python -m nfig`: the command line, for who knows the interpreter but not its scripts."""

from __future__ import annotations

from nfig.cli import app

if __name__ == "__main__":
    app()
