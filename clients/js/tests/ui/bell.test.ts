import { afterEach, expect, test, vi } from "vitest";
import "../../src/ui/bell";
import { provideClient } from "../../src/ui/clients";
import { notification } from "../samples";
import { part, placed, press, PretendHub, settled, several } from "./pretend";

afterEach(() => {
  document.body.replaceChildren();
  document.documentElement.lang = "";
  provideClient(null);
  vi.unstubAllGlobals();
});

const rows = (bell: HTMLElement): HTMLElement[] => [...part(bell, "notifications").querySelectorAll<HTMLElement>(".row")];
const titles = (bell: HTMLElement): (string | null | undefined)[] =>
  rows(bell).map((row) => row.querySelector(".name")?.textContent);
const focused = (bell: HTMLElement): HTMLElement => bell.shadowRoot?.activeElement as HTMLElement;

test("the badge is hidden at none, counts to nine and stops there", async () => {
  const hub = new PretendHub();
  const bell = placed("hub-bell", await hub.client());
  expect(part(bell, "badge").hidden).toBe(true);
  for (let count = 1; count <= 10; count += 1) {
    await hub.arrives(notification(100 + count));
    expect(part(bell, "badge").textContent).toBe(count < 10 ? String(count) : "9+");
  }
  expect(part(bell, "badge").hidden).toBe(false);
  expect(part(bell, "bell").getAttribute("aria-label")).toBe("Notifications, 10 unread, connected");
  expect(bell.dataset.testid).toBe("notification-center");
});

test("the dot is there while the client is online, and no longer", async () => {
  const hub = new PretendHub();
  const client = await hub.client();
  const bell = placed("hub-bell", client);
  expect(part(bell, "status-dot").hidden).toBe(false);
  hub.cut();
  await settled();
  expect(part(bell, "status-dot").hidden).toBe(true);
  expect(part(bell, "bell").getAttribute("aria-label")).toBe("Notifications, not connected");
  client.disconnect();
});

test("it shows the latest twenty, or as many as it is told", async () => {
  const hub = new PretendHub(...several(25));
  const client = await hub.client();
  expect(rows(placed("hub-bell", client))).toHaveLength(20);
  expect(titles(placed("hub-bell", client, { limit: "5" }))).toEqual([25, 24, 23, 22, 21].map((n) => `Title ${n}`));
});

test("what is opened is read, told to the page, and the panel closes", async () => {
  const hub = new PretendHub(notification(1, { title: "One", link: "/bookings/1" }));
  const bell = placed("hub-bell", await hub.client());
  const told: string[] = [];
  bell.addEventListener("hub-open", (event) => {
    event.preventDefault(); // the page goes there by itself
    told.push((event as CustomEvent).detail.id);
  });
  bell.show();
  const main = rows(bell)[0]?.querySelector<HTMLAnchorElement>("a.main");
  expect(main?.getAttribute("href")).toBe(new URL("/bookings/1", document.baseURI).href);
  const click = new MouseEvent("click", { bubbles: true, cancelable: true });
  main?.dispatchEvent(click);
  await settled();
  expect(told).toEqual(["n1"]);
  expect(click.defaultPrevented).toBe(true);
  expect(hub.asked).toContain("PATCH /notifications/n1/read");
  expect(part(bell, "badge").hidden).toBe(true);
  expect(bell.open).toBe(false);
});

test.each(["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "http://"])(
  "a link to %j is none",
  async (link) => {
    const hub = new PretendHub(notification(1, { link }));
    const bell = placed("hub-bell", await hub.client());
    expect(rows(bell)[0]?.querySelector("a")).toBeNull();
    expect(rows(bell)[0]?.querySelector("button.main")).not.toBeNull();
  },
);

test("what others write is text", async () => {
  const hostile = "<img src=x onerror=alert(1)>";
  const hub = new PretendHub(notification(1, { title: hostile, message: hostile }));
  const bell = placed("hub-bell", await hub.client());
  expect(titles(bell)).toEqual([hostile]);
  expect(bell.shadowRoot?.querySelector("img")).toBeNull();
});

test("the second tab shows the unread ones, and says when there are none", async () => {
  const hub = new PretendHub(...several(3));
  const bell = placed("hub-bell", await hub.client());
  part(bell, "tab-unread").click();
  expect(titles(bell)).toEqual(["Title 3", "Title 1"]);
  bell.show();
  part(bell, "mark-all").click();
  await settled();
  expect(rows(bell)).toHaveLength(0);
  expect(part(bell, "inbox-empty").textContent).toBe("You are all caught up");
  expect(part(bell, "mark-all").hidden).toBe(true);
  part(bell, "tab-all").click();
  expect(rows(bell)).toHaveLength(3);
});

test("the dot of a row marks it read, and unread again", async () => {
  const hub = new PretendHub(notification(1));
  const bell = placed("hub-bell", await hub.client());
  part(bell, "toggle-read").click();
  expect(part(bell, "badge").hidden).toBe(true); // before the hub has answered
  await settled();
  expect(part(bell, "toggle-read").title).toBe("Mark as unread");
  part(bell, "toggle-read").click();
  await settled();
  expect(hub.asked.slice(-2)).toEqual(["PATCH /notifications/n1/read", "PATCH /notifications/n1/unread"]);
  expect(part(bell, "badge").textContent).toBe("1");
});

test("a refusal is said, told to the page, and the mark is taken back", async () => {
  const hub = new PretendHub(notification(1));
  hub.answers["PATCH /notifications/n1/read"] = 503;
  const bell = placed("hub-bell", await hub.client());
  const told = new Promise((resolve) => bell.addEventListener("hub-error", (event) => resolve((event as CustomEvent).detail)));
  bell.show();
  part(bell, "toggle-read").click();
  expect(await told).toMatchObject({ code: "refused_here", status: 503 });
  await settled();
  expect(part(bell, "badge").textContent).toBe("1");
  expect(rows(bell)[0]?.classList.contains("unread")).toBe(true);
  expect(bell.shadowRoot?.querySelector("[role=alert]")?.textContent).toBe("That did not work. Please try again.");
});

test("arrows go through the rows, escape closes and gives the focus back", async () => {
  const hub = new PretendHub(...several(3));
  const bell = placed("hub-bell", await hub.client());
  const button = part(bell, "bell");
  button.focus();
  press(button, "ArrowDown");
  expect(bell.open).toBe(true);
  const places = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Home", "End"].map((key) => {
    press(focused(bell), key);
    return focused(bell).querySelector(".name")?.textContent;
  });
  expect(places).toEqual([3, 2, 1, 1, 2, 3, 1].map((n) => `Title ${n}`));
  press(focused(bell), "Escape");
  expect(bell.open).toBe(false);
  expect(focused(bell)).toBe(button);
});

test("tab does not leave the open panel", async () => {
  const hub = new PretendHub(...several(2));
  const bell = placed("hub-bell", await hub.client(), { "view-all": "/inbox" });
  bell.show();
  const last = part(bell, "view-all");
  last.focus();
  press(last, "Tab");
  expect(focused(bell)).toBe(part(bell, "mark-all"));
  press(focused(bell), "Tab", true);
  expect(focused(bell)).toBe(last);
});

test("a row with the focus that goes away hands it to its neighbour", async () => {
  const hub = new PretendHub(notification(2, { title: "Two" }), notification(1, { title: "One" }));
  const bell = placed("hub-bell", await hub.client());
  bell.show();
  part(bell, "tab-unread").click();
  rows(bell)[0]?.querySelector<HTMLElement>(".act")?.focus();
  focused(bell).click();
  await settled();
  expect(titles(bell)).toEqual(["One"]);
  expect(focused(bell).getAttribute("aria-label")).toBe("Mark as read: One");
});

test("what arrives is said to a screen reader once, and does not move the focus", async () => {
  const hub = new PretendHub(...several(2));
  const bell = placed("hub-bell", await hub.client());
  bell.show();
  press(focused(bell), "ArrowDown");
  const before = focused(bell);
  await hub.arrives(notification(200, { title: "Fresh" }));
  expect(titles(bell)[0]).toBe("Fresh");
  expect(focused(bell)).toBe(before);
  expect(bell.shadowRoot?.querySelector("[aria-live]")?.textContent).toBe("New notification: Fresh");
});

test("the ages of what is shown go on while the panel is open", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
  const hub = new PretendHub(notification(1, { createdAt: new Date(Date.now() - 60_000).toISOString() }));
  const bell = placed("hub-bell", await hub.client());
  bell.show();
  const age = (): string | null | undefined => rows(bell)[0]?.querySelector("time")?.textContent;
  expect(age()).toBe("1 minute ago");
  await vi.advanceTimersByTimeAsync(2 * 3_600_000);
  expect(age()).toBe("2 hours ago");
  vi.useRealTimers();
});

test("it speaks the language of the page, and the page's own words", async () => {
  document.documentElement.lang = "de-AT";
  const hub = new PretendHub(notification(1));
  const client = await hub.client();
  const bell = placed("hub-bell", client);
  expect(part(bell, "mark-all").textContent).toBe("Alle als gelesen markieren");
  bell.setAttribute("lang", "vi");
  expect(part(bell, "tab-unread").textContent).toContain("Chưa đọc");
  bell.strings = { title: "Hộp thư" };
  expect(bell.shadowRoot?.querySelector("h2")?.textContent).toBe("Hộp thư");
  expect(rows(bell)).toHaveLength(1);
  bell.lang = "xx";
  expect(part(bell, "tab-all").textContent).toBe("All");
});

test("elements with the same hub and token share a connection, which ends with the last of them", async () => {
  const hub = new PretendHub(notification(1));
  const attributes = { url: "http://hub.test", token: "same" };
  const [one, other] = [placed("hub-bell", null, attributes), placed("hub-bell", null, attributes)];
  expect(one.client).not.toBeNull();
  expect(other.client).toBe(one.client);
  const client = one.client;
  document.body.append(one); // moved: it leaves and arrives
  await new Promise((resolve) => setTimeout(resolve));
  expect(client?.connection.status).not.toBe("idle");
  expect(one.client).toBe(client);
  one.remove();
  other.remove();
  await new Promise((resolve) => setTimeout(resolve));
  expect(client?.connection.status).toBe("idle");
  expect(hub.unread).toBe(1);
});

test("an element without client and token takes the page's", async () => {
  const hub = new PretendHub(notification(1));
  const bell = placed("hub-bell", null);
  expect(part(bell, "badge").hidden).toBe(true);
  provideClient(await hub.client());
  expect(part(bell, "badge").textContent).toBe("1");
});
