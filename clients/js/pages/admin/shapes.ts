/** What the hub answers to admins, as far as the dashboard reads it. */

export interface Presence {
  totalOnline: number;
  byRole: Record<string, number>;
  connections: number;
  sessions: number;
  byTransport: Record<string, number>;
  nodes: Record<string, number>;
  users: { userId: string; roles: string[]; connections: number }[];
  partial?: boolean;
}

export interface Stats {
  notifications: number;
  complete: boolean;
  byType: Record<string, number>;
  byChannel: Record<string, Record<string, number>>;
  byStatus: Record<string, number>;
  overTime: { at: string; notifications: number; deliveries: Record<string, number> }[];
  latencyMs: { count: number; p50: number | null; p99: number | null };
  queue: { depth: number; oldestDueAt: string | null; ageSeconds: number };
}

export interface Delivery {
  id: string;
  notificationId: string;
  userId: string;
  channel: string;
  status: string;
  attempts: number;
  dueAt: string | null;
  reason: string | null;
  error: string | null;
  provider: string | null;
  maybeDuplicate: boolean;
  at: string;
}

export interface LogRow {
  id: string;
  user_id: string | null;
  event: string;
  payload: Record<string, unknown>;
  delivered: boolean;
  error: string | null;
  created_at: string;
  channel: string;
  attempts: number;
}

export interface Step {
  deliveryId: string | null;
  channel: string;
  step: string;
  at: string;
  attempt: number | null;
  provider: string | null;
  outcome: string | null;
  durationMs: number | null;
  detail: string | null;
  dueAt: string | null;
}

export interface Key {
  id: string;
  name: string | null;
  scopes: string[];
  prefix: string;
  createdAt: string;
  revokedAt: string | null;
  secret?: string;
}

export interface Note {
  id: string;
  actor: string;
  action: string;
  target: string | null;
  details: Record<string, unknown>;
  at: string;
}

export interface Suppression {
  channel: string;
  id: string;
  hint: string;
  reason: string;
  createdAt: string;
}

export interface Rules {
  channels: string[];
  severity: string;
  mutable: boolean;
  ttlDays: number | null;
  digest: { window: number; key: string } | null;
  throttle: { most: number; seconds: number } | null;
  escalate: Record<string, number>;
}

export interface TypeRow {
  type: string;
  wire: string;
  aliases: string[];
  registered: boolean;
  /** What holds. */
  rules: Rules;
  /** What the hub and its operator say. */
  default: Rules;
  sources: Record<keyof Rules, "hub" | "file" | "tenant">;
  overridden: boolean;
  override: Partial<Rules> | null;
  updatedAt: string | null;
  updatedBy: string | null;
}

export interface TemplateRow {
  type: string;
  channel: string;
  locales: string[];
  overridden: boolean;
  overrides: { locale: string | null }[];
}

export interface Template {
  source: string;
  overridden: boolean;
  warnings?: string[];
}

export interface Preview {
  subject: string | null;
  text: string | null;
  html: string | null;
  embed: unknown;
  title: string | null;
  message: string | null;
}
