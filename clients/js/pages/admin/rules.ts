/** The rules of an event type: in words, and as the controls in which an admin says another. Knows neither hub nor view. */
import { make } from "../dom";
import type { Rules } from "./shapes";

export type Name = keyof Rules;

interface Rule {
  label: string;
  about: string;
  words(rules: Rules): string;
  /** What can be chosen whole, each with its value. */
  choices: Record<string, unknown>;
  /** What is filled in otherwise: its controls, showing what holds, and what they say. */
  own?: { controls(rules: Rules): Node[]; read(form: HTMLElement): unknown };
}

const CHANNELS = ["inApp", "email", "sms", "discord", "webpush"];
const OUTSIDE = CHANNELS.slice(1);
const UNITS: Record<string, number> = { seconds: 1, minutes: 60, hours: 3600, days: 86_400 };

/** 600: "10 min". */
export function lasting(seconds: number): string {
  const [unit, size] = unitOf(seconds);
  const short = { seconds: "s", minutes: "min", hours: "h", days: seconds === size ? "day" : "days" }[unit] ?? unit;
  return `${seconds / size} ${short}`;
}

function unitOf(seconds: number): [string, number] {
  return Object.entries(UNITS).findLast(([, size]) => seconds >= size && seconds % size === 0) ?? ["seconds", 1];
}

// -- controls ----------------------------------------------------------------------------------------
function labelled(text: string, ...controls: Node[]): HTMLElement {
  return make("label", { class: "field" }, make("span", {}, text), ...controls);
}

function whole(name: string, label: string, value: number | undefined): HTMLElement {
  return labelled(label, make("input", { type: "number", name, "data-testid": name, value: value === undefined ? "" : String(value) }));
}

/** Seconds, in the unit that suits them. */
function time(name: string, label: string, seconds: number | undefined): HTMLElement {
  const [unit, size] = seconds === undefined ? ["minutes", 60] : unitOf(seconds);
  const value = seconds === undefined ? "" : String(seconds / size);
  const units = Object.keys(UNITS).map((one) => make("option", { value: one, selected: one === unit }, one));
  return make(
    "div",
    { class: "field time" },
    labelled(label, make("input", { type: "number", name, "data-testid": name, "data-seconds": "", value })),
    make("select", { name: `${name}.unit`, "data-testid": `${name}.unit`, "aria-label": `Unit of: ${label}` }, ...units),
  );
}

const control = (form: HTMLElement, name: string): HTMLInputElement | null => form.querySelector(`[name="${name}"]`);

/** Undefined: nothing is written there. */
function number(form: HTMLElement, name: string): number | undefined {
  const found = control(form, name);
  return found && found.value !== "" ? found.valueAsNumber * (UNITS[control(form, `${name}.unit`)?.value ?? ""] ?? 1) : undefined;
}

// -- the rules ---------------------------------------------------------------------------------------
export const RULES: Record<Name, Rule> = {
  channels: {
    label: "Channels",
    about: "where it goes when the sender does not say",
    words: ({ channels }) => channels.join(", ") || "nowhere",
    choices: {},
    own: {
      controls: ({ channels }) => CHANNELS.map((name) => make("label", { class: "check" }, make("input", { type: "checkbox", name: "channels", value: name, checked: channels.includes(name) }), name)),
      read: (form) => [...form.querySelectorAll<HTMLInputElement>("[name=channels]:checked")].map(({ value }) => value),
    },
  },
  severity: {
    label: "Severity",
    about: "when the sender does not say; critical passes quiet hours and digests",
    words: ({ severity }) => severity,
    choices: Object.fromEntries(["info", "success", "warning", "error", "critical"].map((name) => [name, name])),
  },
  mutable: {
    label: "Muting",
    about: "whether people may switch it off",
    words: ({ mutable }) => (mutable ? "people may mute it" : "nobody can mute it"),
    choices: { "people may mute it": true, "nobody can mute it": false },
  },
  ttlDays: {
    label: "Shown for",
    about: "when the sender gives no end",
    words: ({ ttlDays }) => (ttlDays === null ? "as long as it is kept" : `${ttlDays} ${ttlDays === 1 ? "day" : "days"}`),
    choices: { "as long as it is kept": null },
    own: { controls: ({ ttlDays }) => [whole("ttlDays", "Days", ttlDays ?? undefined)], read: (form) => number(form, "ttlDays") },
  },
  digest: {
    label: "Digest",
    about: "what comes meanwhile leaves in one message by email, SMS and Discord",
    words: ({ digest }) => (digest ? `${lasting(digest.window)}${digest.key && `, for each ${digest.key}`}` : "none"),
    choices: { none: null },
    own: {
      controls: ({ digest }) => [
        time("digest.window", "Collected for", digest?.window),
        labelled("Apart for each value of the field", make("input", { name: "digest.key", "data-testid": "digest.key", value: digest?.key ?? "", placeholder: "hotelId", autocomplete: "off" })),
      ],
      read: (form) => ({ window: number(form, "digest.window"), key: control(form, "digest.key")?.value || undefined }),
    },
  },
  throttle: {
    label: "Throttle",
    about: "the most that one person gets on each outside channel",
    words: ({ throttle }) => (throttle ? `at most ${throttle.most} in ${lasting(throttle.seconds)}` : "none"),
    choices: { none: null },
    own: {
      controls: ({ throttle }) => [whole("throttle.most", "At most", throttle?.most), time("throttle.seconds", "In", throttle?.seconds)],
      read: (form) => ({ most: number(form, "throttle.most"), seconds: number(form, "throttle.seconds") }),
    },
  },
  escalate: {
    label: "Escalation",
    about: "channels that are tried too, unless it was seen by then",
    words: ({ escalate }) => Object.entries(escalate).map(([name, after]) => `${name} after ${lasting(after)}`).join(", ") || "none",
    choices: { none: {} },
    own: {
      controls: ({ escalate }) => OUTSIDE.map((name) => time(`escalate.${name}`, `${name} after`, escalate[name])),
      read: (form) => Object.fromEntries(OUTSIDE.map((name) => [name, number(form, `escalate.${name}`)]).filter(([, after]) => after !== undefined)),
    },
  },
};

export const NAMES = Object.keys(RULES) as Name[];
