"""The `nfig` command: make data, train, evaluate, ablate, publish, sample, vary, export, bench.

Anything wrong with what the user gave ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import typer

from nfig.cli import ablation, bench, data, models, train

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(models.app)
app.add_typer(ablation.app)
app.add_typer(bench.app)
app.add_typer(train.app, name="train")
app.add_typer(data.app, name="data")
