/**
 * HTTP to the hub, signed with the present token. Every refusal becomes a `HubError` with the stable code of the
 * answer. Knows no connection and keeps nothing.
 */
import { HubError } from "./errors";

/** Gives the present token; asked before every connection and request. */
export type GetToken = () => string | null | Promise<string | null>;

export interface Answer<Body> {
  body: Body;
  headers: Headers;
}

export class Rest {
  readonly #url: string;
  readonly #getToken: GetToken;

  constructor(url: string, getToken: GetToken) {
    this.#url = url;
    this.#getToken = getToken;
  }

  /** `body` is sent as JSON. Throws `HubError`; what never reached the hub has the code `unreachable`. */
  async send<Body>(method: string, path: string, body?: unknown): Promise<Answer<Body>> {
    const token = await this.#getToken();
    const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer: Response;
    try {
      answer = await fetch(this.#url + path, {
        method,
        headers,
        cache: "no-store",
        // A click may mark and lead to another page: the mark is to outlive this one.
        keepalive: method !== "GET",
        ...(!token && { credentials: "include" }),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch (fault) {
      throw new HubError(String(fault), "unreachable");
    }
    if (!answer.ok) throw await problem(answer);
    const text = await answer.text();
    return { body: (text ? JSON.parse(text) : undefined) as Body, headers: answer.headers };
  }
}

/** What a refusing answer says. */
export async function problem(answer: Response): Promise<HubError> {
  const said = (await answer.json().catch(() => ({}))) as { detail?: string; code?: string };
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  return new HubError(said.detail ?? `HTTP ${answer.status}`, said.code ?? "unknown", answer.status, retryAfter);
}

/** A query with what is defined, or nothing. */
export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const pairs = Object.keys(values)
    .filter((name) => values[name] !== undefined && values[name] !== null)
    .map((name) => `${name}=${encodeURIComponent(String(values[name]))}`);
  return pairs.length > 0 ? `?${pairs.join("&")}` : "";
}
