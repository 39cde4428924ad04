/** The one shape of refusals, whichever way they came. */

/** A request the hub did not carry out. `code` is stable snake_case; `status` is HTTP's, 0 when there was no answer by HTTP. */
export class HubError extends Error {
  readonly code: string;
  readonly status: number;
  /** Seconds after which it may work, when the hub says so. */
  readonly retryAfter: number | null;

  constructor(message: string, code: string, status = 0, retryAfter: number | null = null) {
    super(message);
    this.name = "HubError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
