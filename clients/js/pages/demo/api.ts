/** The development-only routes behind the demo: who one can be, a booking, and the sandbox's outbox. */

export interface Person {
  id: string;
  name: string;
  role: string;
  token: string;
}

export interface Hotel {
  id: string;
  name: string;
  users: Person[];
}

export interface Accepted {
  id: string;
  cursor: string;
  recipients: number;
  deliveries: { id: string; userId: string; channel: string; status: string }[];
}

export interface Mail {
  id: string;
  tenantId: string;
  channel: string;
  to: string;
  subject: string;
  text: string;
  html: string | null;
  at: string;
}

export async function hotels(): Promise<Hotel[]> {
  const { tenants } = (await request("/dev/demo")) as { tenants: Hotel[] };
  return tenants;
}

export async function book(tenant: string, type: string, guest: string): Promise<Accepted> {
  const body = JSON.stringify({ tenant, type, guest });
  const headers = { "Content-Type": "application/json" };
  return (await request("/dev/demo/booking", { method: "POST", headers, body })) as Accepted;
}

/** Newest first. */
export async function outbox(): Promise<Mail[]> {
  return (await request("/dev/outbox")) as Mail[];
}

async function request(path: string, init: RequestInit = {}): Promise<unknown> {
  const answer = await fetch(path, { cache: "no-store", ...init });
  if (answer.ok) return answer.json();
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
  throw new Error(problem.detail ?? `${path} answered ${answer.status}`);
}
