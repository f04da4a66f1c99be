// The event log of a job, over as many connections as it takes.

import { ApiError, errorFrom } from "./api.js";
import { EventParser } from "./sse.js";

export const TERMINAL = new Set(["job.completed", "job.cancelled", "job.failed"]);
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
const MOST_FAILURES = 20;

/**
 * Yields `{name, data, id}`, every event once and in order, up to the terminal one.
 *
 * A connection that is lost is made anew and goes on after the last event that came.
 * `onConnection` hears "open" and "lost". Raises ApiError for what will not pass.
 */
export async function* watchJob(api, jobId, { signal, onConnection = () => {} }) {
  const place = { lastId: null, retryMs: null, failures: 0 };
  while (true) {
    try {
      for await (const event of connection(api, jobId, place, signal, onConnection)) {
        yield event;
        if (TERMINAL.has(event.name)) return;
      }
      if (place.isOver) return;
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof ApiError && !error.isRetryable) throw error;
      if (place.failures >= MOST_FAILURES) throw error;
    }
    place.failures += 1;
    onConnection("lost");
    await pause(place.retryMs ?? pauseMs(place.failures), signal);
  }
}

async function* connection(api, jobId, place, signal, onConnection) {
  const headers = { accept: "text/event-stream" };
  if (place.lastId !== null) headers["last-event-id"] = place.lastId;
  const options = { headers, signal, cache: "no-store" };
  const response = await api.fetch(`v1/jobs/${jobId}/events`, options);
  if (response.status === 204) {
    place.isOver = true;
    return;
  }
  onConnection("open");
  place.retryMs = null;
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const event of parser.push(value)) {
      const data = JSON.parse(event.data);
      if (event.name === "error") throw errorFrom(data);
      place.lastId = event.id;
      place.failures = 0;
      yield { name: event.name, data, id: event.id };
    }
    place.retryMs = parser.retryMs;
  }
}

/** Doubles, at random between half and all of it, so that many do not come back at once. */
function pauseMs(failures) {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
  return longest * (0.5 + Math.random() / 2);
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
