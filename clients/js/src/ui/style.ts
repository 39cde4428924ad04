/**
 * The look that all elements share. Each colour can be set by a custom property of the page (`--hub-accent`);
 * what is set for none comes from here, in light and dark: as the system wants it, or as `theme` says.
 */

const LIGHT = `
  --surface: var(--hub-surface, #fff);
  --hover: var(--hub-hover, #f4f5f8);
  --text: var(--hub-text, #1b2130);
  --muted: var(--hub-muted, #5a6376);
  --line: var(--hub-line, #e4e7ee);
  --accent: var(--hub-accent, #4f46e5);
  --on-accent: var(--hub-on-accent, #fff);
  --badge: var(--hub-badge, #d92d20);
  --on-badge: var(--hub-on-badge, #fff);
  --good: var(--hub-good, #15803d);
  --warn: var(--hub-warn, #a15c07);
  --bad: var(--hub-bad, #c4261d);
  --shadow: var(--hub-shadow, 0 2px 6px #1b213014, 0 16px 48px #1b21302e);
  color-scheme: light;`;
const DARK = `
  --surface: var(--hub-surface, #171a21);
  --hover: var(--hub-hover, #222632);
  --text: var(--hub-text, #eceef4);
  --muted: var(--hub-muted, #a0a8ba);
  --line: var(--hub-line, #2d3240);
  --accent: var(--hub-accent, #a5b4fc);
  --on-accent: var(--hub-on-accent, #1e1b4b);
  --badge: var(--hub-badge, #e5484d);
  --on-badge: var(--hub-on-badge, #fff);
  --good: var(--hub-good, #4ade80);
  --warn: var(--hub-warn, #fbbf24);
  --bad: var(--hub-bad, #fca5a5);
  --shadow: var(--hub-shadow, 0 2px 6px #0006, 0 16px 48px #000a);
  color-scheme: dark;`;

export const STYLE = `
:host {${LIGHT}
  font: var(--hub-font, 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif);
  color: var(--text);
}
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) {${DARK}} }
:host([theme="dark"]) {${DARK}}
:host([hidden]), [hidden] { display: none !important; }
*, ::before { box-sizing: border-box; }
button, a { font: inherit; color: inherit; }
button { margin: 0; border: 0; padding: 0; background: none; cursor: pointer; text-align: inherit; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
ul { list-style: none; }
ul, h2, p { margin: 0; padding: 0; }
.drawing { flex: none; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.link { padding: 4px 8px; border-radius: 7px; color: var(--accent); font-size: 13px; font-weight: 550; text-decoration: none; }
.link:hover { background: var(--hover); }
.empty { display: grid; justify-items: center; gap: 10px; padding: 44px 24px; color: var(--muted); text-align: center; }
.fault { padding: 9px 16px; background: color-mix(in srgb, var(--bad) 12%, var(--surface)); color: var(--bad); font-size: 13px; }
[data-severity="success"] { --tint: var(--good); }
[data-severity="warning"] { --tint: var(--warn); }
[data-severity="error"], [data-severity="critical"] { --tint: var(--bad); }
.icon { display: grid; place-items: center; flex: none; width: 34px; height: 34px; border-radius: 10px; color: var(--tint, var(--accent)); background: color-mix(in srgb, var(--tint, var(--accent)) 13%, transparent); }
`;

/** Rows of notifications, in the bell and in the inbox. */
export const ROWS = `
.row { position: relative; display: flex; align-items: flex-start; }
.row + .row { border-top: 1px solid var(--line); }
.row:hover, .row:focus-within { background: var(--hover); }
.row .main { display: flex; flex: 1; gap: 12px; min-width: 0; padding: 12px 4px 12px 16px; text-decoration: none; }
.row .main:focus-visible { outline-offset: -3px; border-radius: 8px; }
.row .what { display: block; flex: 1; min-width: 0; }
.row .name { display: block; font-weight: 500; overflow-wrap: anywhere; }
.row.unread .name { font-weight: 650; }
.row .text { display: -webkit-box; overflow: hidden; color: var(--muted); font-size: 13px; overflow-wrap: anywhere; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
.row .when { display: block; margin-top: 2px; color: var(--muted); font-size: 12px; }
.row .acts { display: flex; flex: none; padding: 10px 10px 0 0; }
.act { display: grid; place-items: center; width: 28px; height: 28px; border-radius: 8px; color: var(--muted); }
.act:hover { background: var(--line); color: var(--text); }
.dot { width: 9px; height: 9px; border: 2px solid var(--muted); border-radius: 50%; opacity: 0; }
.row:hover .dot, .row:focus-within .dot { opacity: 1; }
.unread .dot { border-color: var(--accent); background: var(--accent); opacity: 1; }
@media (hover: none) { .dot { opacity: 1; } }
`;
