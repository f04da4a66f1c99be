// Calls of the service's API, and its errors as one kind of exception.

/** A refusal of the service, in its own words. */
export class ApiError extends Error {
  constructor({ status, message, code, field = null, requestId = null, retryAfter = null }) {
    super(message);
    Object.assign(this, { status, code, field, requestId, retryAfter });
  }

  /** Whether the same request may work later. */
  get isRetryable() {
    return this.status === 429 || this.status >= 500;
  }
}

/** From the body of an error, problem details or OpenAI's object. */
export function errorFrom(body, { status = 0, retryAfter = null } = {}) {
  const said = body?.error ?? body ?? {};
  return new ApiError({
    status: said.status ?? status,
    message: said.detail ?? said.message ?? `The service answered with status ${status}.`,
    code: said.code ?? "unknown",
    field: said.field ?? said.param ?? null,
    requestId: said.request_id ?? null,
    retryAfter: retryAfter === null ? null : Number(retryAfter),
  });
}

export class Api {
  /** `key` is a function, because the key may be typed later. */
  constructor({ key }) {
    this.key = key;
  }

  gateway = () => this.#json("playground/gateway.json");
  models = async () => (await this.#json("v1/models")).data;
  model = (id) => this.#json(`v1/models/${encodeURIComponent(id)}`);

  createJob(body, { signal } = {}) {
    const headers = { "content-type": "application/json", "idempotency-key": newKey() };
    return this.#json("v1/jobs", { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  /** Starts a variation; its answer is a stream that the caller may leave once it watches the job. */
  async vary(form, { signal } = {}) {
    const response = await this.fetch("v1/images/variations", { method: "POST", body: form, signal });
    return response.headers.get("x-nfig-job");
  }

  cancel = (id) => this.#json(`v1/jobs/${id}/cancel`, { method: "POST" });

  async picture(address) {
    return (await this.fetch(samePlace(address))).blob();
  }

  /** Raises ApiError unless the answer is a good one; a lost connection is a TypeError. */
  async fetch(address, { headers = {}, ...options } = {}) {
    const key = this.key();
    const authorization = key ? { authorization: `Bearer ${key}` } : {};
    const response = await fetch(address, { ...options, headers: { ...headers, ...authorization } });
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    const retryAfter = response.headers.get("retry-after");
    throw errorFrom(body, { status: response.status, retryAfter });
  }

  async #json(address, options) {
    return (await this.fetch(address, options)).json();
  }
}

/** An address of the service as this page reaches it, whatever name a proxy knows it by. */
export function samePlace(address) {
  const { pathname, search } = new URL(address);
  return pathname + search;
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
