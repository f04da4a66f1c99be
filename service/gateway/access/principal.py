"""Who is asking, as every front door learns it from `Access`."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain import ANONYMOUS, PRIORITIES, Job, Priority
from service.errors import NotFound, PriorityNotAllowed
from service.jobs.queue import Owner


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a tenant may ask for. None leaves it to the limits of the whole service."""

    requests_per_minute: int | None = None
    """Requests that may become a job; all keys of the tenant together."""
    jobs_in_flight: int | None = None
    """Jobs of the tenant that wait or run at the same time."""
    images_per_request: int | None = None
    max_priority: Priority | None = None


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A caller whose key was good, or who needed none."""

    tenant: str
    limits: Limits = Limits()
    by_link: bool = False
    """It showed no key: it may look at the pictures and events of a job whose id it knows."""

    @property
    def owner(self) -> Owner:
        assert not self.by_link, "who only has a link may not submit"
        return Owner(tenant=self.tenant, max_jobs=self.limits.jobs_in_flight)

    def priority(self, wanted: Priority | None, *, field: str) -> Priority:
        """Who does not say gets normal, or what it may have at most.

        Raises PriorityNotAllowed, by the caller's name for the field.
        """
        most = PRIORITIES.index(self.limits.max_priority or PRIORITIES[0])
        if wanted is None:
            return PRIORITIES[max(most, PRIORITIES.index("normal"))]
        if PRIORITIES.index(wanted) < most:
            text = f"{field} must be {PRIORITIES[most]} or lower for you"
            raise PriorityNotAllowed(text, field=field)
        return wanted

    def require_sight_of(self, job: Job) -> None:
        """Raises NotFound for another tenant's job, just as for one that does not exist."""
        if not self.by_link and job.tenant != self.tenant:
            raise NotFound(f"there is no job {job.id}", field="job_id")


LINK_HOLDER = Principal(tenant=ANONYMOUS, by_link=True)
