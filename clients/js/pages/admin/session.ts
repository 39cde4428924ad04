/** Who looks, and how the hub is asked. The token lives in this tab's session storage and in no address. */

const KEY = "hub-admin-token";

export interface Fault {
  /** A path: `digest.window`. */
  field: string;
  message: string;
}

export class Refused extends Error {
  readonly status: number;
  readonly faults: readonly Fault[];

  constructor(message: string, status: number, faults: readonly Fault[] = []) {
    super(message);
    this.name = "Refused";
    this.status = status;
    this.faults = faults;
  }
}

export interface Rows<Row> {
  rows: Row[];
  /** The path of the next page. */
  next: string | null;
}

export class Session {
  readonly token: string;
  readonly tenant: string;
  readonly user: string;

  /** Reads the names in a token; the hub alone judges it. Throws `Refused` for what is no token. */
  constructor(token: string) {
    this.token = token.trim();
    const claims = claimsOf(this.token);
    if (!claims) throw new Refused("That is not a JWT. An API key cannot watch live; a token can.", 0);
    this.tenant = String(claims.tenant ?? claims.tenantId ?? claims.organizationId ?? "default");
    this.user = String(claims.sub ?? claims.userId ?? claims.id ?? "");
  }

  static kept(): Session | null {
    const token = sessionStorage.getItem(KEY);
    try {
      return token ? new Session(token) : null;
    } catch {
      return null;
    }
  }

  keep(): void {
    sessionStorage.setItem(KEY, this.token);
  }

  forget(): void {
    sessionStorage.removeItem(KEY);
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.ask("GET", path)).json()) as T;
  }

  async page<Row>(path: string): Promise<Rows<Row>> {
    const answer = await this.ask("GET", path);
    const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("Link") ?? "");
    return { rows: (await answer.json()) as Row[], next: next?.[1] ?? null };
  }

  async send<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    const answer = await this.ask(method, path, body, headers);
    return (answer.status === 204 ? null : await answer.json()) as T;
  }

  /** Throws `Refused` with what the hub says. */
  async ask(method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}`, ...more };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const init = { method, headers, cache: "no-store" as const, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const answer = await fetch(path, init).catch(() => {
      throw new Refused("The hub does not answer.", 0);
    });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    const faults = problem.errors ?? [];
    throw new Refused(told(faults) || problem.detail || `The hub answered ${answer.status}.`, answer.status, faults);
  }
}

interface Problem {
  detail?: string;
  errors?: Fault[];
}

export function told(faults: readonly Fault[]): string {
  return faults.map(({ field, message }) => `${field} ${message}`).join("; ");
}

function claimsOf(token: string): Record<string, unknown> | null {
  try {
    const part = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** A query string of what has a value. */
export function query(values: Record<string, FormDataEntryValue | null | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => typeof value === "string" && value !== "");
  const text = new URLSearchParams(given as [string, string][]).toString();
  return text && `?${text}`;
}
