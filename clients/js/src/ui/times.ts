/** How long ago something was, in words of a language. Knows no clock: it is told `now`. */

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago"; "now" for the last 45 seconds, and for clocks that are a little ahead. */
export function ago(iso: string, now: number, lang: string): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  const words = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
  if (Math.abs(seconds) < 45) return words.format(0, "second");
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length * 0.95 || unit === "minute") {
      return words.format(Math.round(seconds / length) || Math.sign(seconds), unit);
    }
  }
  return "";
}

/** The whole moment, for whoever hovers over it. */
export function moment(iso: string, lang: string): string {
  return new Date(iso).toLocaleString(lang, { dateStyle: "full", timeStyle: "short" });
}
