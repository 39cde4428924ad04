/** Drawings on a field of 24 by 24, and which of them stands for a type of event. */

export const BELL = "M18 9a6 6 0 1 0-12 0c0 6-2.5 7-2.5 8h17c0-1-2.5-2-2.5-8M10 20.5a2.2 2.2 0 0 0 4 0";
export const CLOSE = "M6 6l12 12M18 6L6 18";
export const CHECK = "M5 12.5l4.5 4.5L19 7.5";

const CALENDAR = "M4 10h16M8 3v4m8-4v4M6 5h12a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2Z";
const PERSON = "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 8c.6-3.5 3.5-5.5 7-5.5s6.4 2 7 5.5";
const CLOCK = "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-14v5l3.5 2";

/** By the whole type, or by its noun (`payment` for `payment.received`). */
export const ICONS: Record<string, string> = {
  booking: CALENDAR,
  "booking.confirmed": `${CALENDAR}M9 14.5l2.2 2.2 4-4`,
  "booking.cancelled": `${CALENDAR}M9.5 13l5 5m0-5l-5 5`,
  payment: "M3 10h18M7 15h3M5 6h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2Z",
  checkin: "M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4m-4-4l4-4-4-4m4 4H4",
  reminder: CLOCK,
  session: CLOCK,
  review: "M12 4l2.5 5.1 5.5.8-4 3.9.9 5.5-4.9-2.6-4.9 2.6.9-5.5-4-3.9 5.5-.8L12 4Z",
  subscription: "M4 11a8 8 0 0 1 14-4.5L20 8.5m0-4.5v4.5h-4.5M20 13a8 8 0 0 1-14 4.5L4 15.5m0 4.5v-4.5h4.5",
  system: "M12 16.5v-5m0-3.5v.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  job: "M12 21c4-4.5 6.5-7.5 6.5-11a6.5 6.5 0 0 0-13 0c0 3.5 2.5 6.5 6.5 11Zm0-8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  course: "M5 5a2 2 0 0 1 2-2h12v18H7a2 2 0 0 1-2-2V5Zm0 14a2 2 0 0 1 2-2h12",
  student: PERSON,
  customer: PERSON,
};

/** The drawing for a type; `own` are the page's, and come first. */
export function iconOf(type: string, own: Record<string, string> = {}): string {
  const noun = type.split(".", 1)[0] ?? type;
  return own[type] ?? own[noun] ?? ICONS[type] ?? ICONS[noun] ?? BELL;
}
