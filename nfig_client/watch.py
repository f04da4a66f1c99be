"""One watcher of one job, over as many connections as it takes: what it has seen, when to go on."""

from __future__ import annotations

from nfig_client.backoff import Backoff, Retries
from nfig_client.calls import Answer, Call, error_of, problem_in_stream
from nfig_client.errors import ApiError, ConnectionLostError, JobGoneError, NFIGError, Problem
from nfig_client.events import Event, TerminalEvent, read_data, read_event
from nfig_client.sse import EventParser, ServerEvent

_HUNG_UP = "the service hung up before the job's last event"


class Watch:
    """Told what a connection brings; says what to ask for next and how long to wait before."""

    def __init__(self, url: str, *, after: str | None, backoff: Backoff) -> None:
        self.ended = False
        self._url = url
        self._seen = after
        self._retries = Retries(backoff)
        self._parser = EventParser()
        self._failure: NFIGError | None = None

    def call(self) -> Call:
        """Opens the stream after the last event that was seen."""
        self._parser = EventParser()
        self._failure = None
        headers = {"accept": "text/event-stream"}
        if self._seen is not None:
            headers["last-event-id"] = self._seen
        return Call(method="GET", url=self._url, headers=headers)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes of the open stream complete. Raises ProtocolError."""
        comments = self._parser.comments
        found = [self._event(sent) for sent in self._parser.feed(chunk) if not self.ended]
        if self._parser.comments > comments:
            # A job may wait for hours behind a proxy that cuts what is silent.
            self._retries.reset()
        return [event for event in found if event is not None]

    def refused(self, answer: Answer) -> None:
        """There is no stream. Raises JobGoneError."""
        if answer.status == 204:
            self.ended = True
            return
        error = error_of(answer)
        if error is not None and error.status == 404:
            raise JobGoneError(_problem_of(error))
        self._failure = error

    def lost(self, error: ConnectionLostError) -> None:
        """The connection broke, or there was none."""
        self._failure = error

    def pause(self) -> float:
        """Seconds until the next connection. Raises what ended the last one for good."""
        if self.ended:
            return 0.0
        pause = self._retries.pause_after(self._failure or ConnectionLostError(_HUNG_UP))
        return max(pause, self._parser.retry_seconds or 0.0)

    def _event(self, sent: ServerEvent) -> Event | None:
        if sent.name == "error":
            self._failure = problem_in_stream(read_data(sent))
            return None
        event = read_event(sent)
        self._retries.reset()
        self._seen = sent.id or self._seen
        self.ended = isinstance(event, TerminalEvent)
        return event


def _problem_of(error: ApiError) -> Problem:
    return Problem(
        status=error.status,
        code=error.code,
        detail=error.message,
        field=error.field,
        request_id=error.request_id,
    )
