"""Headers of every answer: the caller's request budget as OpenAI writes it, and what browsers need
to be told to stay safe."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.jobs.request_budget import RequestBudget

_ALWAYS = {
    "x-content-type-options": "nosniff",
    # A job's address is a permission to look at it: it must not travel to other sites.
    "referrer-policy": "no-referrer",
}
_NOT_A_PAGE = "default-src 'none'; frame-ancestors 'none'"
"""Nothing that we answer is a page, but for the documentation, which is HTML and knows itself."""


class ResponseHeadersMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Appended, not set: no route says any of it, so there is nothing to look for.
                for name, text in _ALWAYS.items():
                    headers.append(name, text)
                if not headers.get("content-type", "").startswith("text/html"):
                    headers.append("content-security-policy", _NOT_A_PAGE)
                headers.update(budget_headers(scope.get("state", {}).get("budget")))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def note_budget(scope: Scope, budget: RequestBudget | None) -> None:
    """What the answer to this request will say of the caller's limit, whatever else it says."""
    scope["state"]["budget"] = budget


def budget_headers(budget: RequestBudget | None) -> dict[str, str]:
    """`x-ratelimit-*`, as OpenAI documents them."""
    if budget is None:
        return {}
    return {
        "x-ratelimit-limit-requests": str(budget.limit),
        "x-ratelimit-remaining-requests": str(budget.remaining),
        "x-ratelimit-reset-requests": duration_text(budget.reset_seconds),
    }


def duration_text(seconds: float) -> str:
    """As OpenAI writes durations: `17ms`, `8.64s`, `6m0s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
