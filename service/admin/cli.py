"""The commands of `nfig-admin`: options in, one call each."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from service.admin import dead_jobs
from service.admin.checks.run import Process, run_checks
from service.admin.settings_page import settings_page
from service.gateway.access.keys import new_key

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What operators do by hand.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys, name="keys")
jobs = typer.Typer(
    no_args_is_help=True,
    help="Jobs that were given up, in the queue that the NFIG_* settings name.",
)
app.add_typer(jobs, name="jobs")

Tenant = Annotated[str, typer.Option(help="Whose key it is; a new name is a new tenant.")]
Days = Annotated[int | None, typer.Option(min=1, max=36_500, help="The key expires after these.")]
AppendTo = Annotated[
    Path | None,
    typer.Option(help="Keys file to append the entry to; the key alone is printed then."),
]
Jobs = Annotated[list[str] | None, typer.Argument(help="Ids of dead jobs.")]
All = Annotated[bool, typer.Option("--all", help="Every one there is.")]
OneProcess = Annotated[
    Process | None, typer.Argument(help="That is to run with these settings; by default both.")
]


@app.command("check")
def check(process: OneProcess = None) -> None:
    """Test the NFIG_* settings against the Redis and the engine that are there.

    A line per finding: pass, warn or fail. Status 1 if anything failed."""
    chosen: frozenset[Process] = frozenset([process] if process else ["gateway", "worker"])
    if asyncio.run(_print_findings(chosen))["fail"]:
        raise typer.Exit(1)


async def _print_findings(processes: frozenset[Process]) -> Counter[str]:
    grades: Counter[str] = Counter()
    async for finding in run_checks(processes):
        grades[finding.grade] += 1
        typer.echo(finding.line())
    typer.echo(f"{grades['pass']} passed, {grades['warn']} warnings, {grades['fail']} failed")
    return grades


@app.command("settings")
def settings() -> None:
    """Print the reference of all settings, in Markdown."""
    typer.echo(settings_page(), nl=False)


@keys.command("new")
def new(tenant: Tenant, days: Days = None, append_to: AppendTo = None) -> None:
    """Make a key. It is shown this once: the file knows its hash only."""
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    try:
        made = new_key(tenant, expires=expires)
        if append_to is not None:
            with append_to.open("a", encoding="utf-8") as file:
                file.write(f"\n{made.entry}")
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(made.key)
    if append_to is None:
        typer.echo(f"\nfor the file that NFIG_API_KEYS_FILE names:\n\n{made.entry}", err=True)


@jobs.command("dead")
def dead() -> None:
    """List them, oldest first: when, id, tenant, attempts, last worker, why."""
    for line in dead_jobs.listed():
        typer.echo(line)


@jobs.command("retry")
def retry(job_ids: Jobs = None, every: All = False) -> None:
    """Make a new job of each, with all attempts. The old one stays failed."""
    for line in dead_jobs.retried(_chosen(job_ids, every)):
        typer.echo(line)


@jobs.command("drop")
def drop(job_ids: Jobs = None, every: All = False) -> None:
    """Forget them."""
    for line in dead_jobs.dropped(_chosen(job_ids, every)):
        typer.echo(line)


def _chosen(job_ids: list[str] | None, every: bool) -> list[str] | None:
    """None for all."""
    if bool(job_ids) == every:
        raise typer.BadParameter("give ids of jobs, or --all")
    return job_ids or None
