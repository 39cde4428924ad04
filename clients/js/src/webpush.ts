/**
 * Web push: a service worker that shows what comes, a subscription of the browser, and its copy at the hub. Needs
 * a secure page. Knows nothing of what is pushed.
 */
import { HubError } from "./errors";
import type { Rest } from "./rest";

const PATH = "/me/push-subscriptions";

/** Throws `HubError`: `push_unsupported`, `push_denied`, or what the hub says. */
export async function subscribe(rest: Rest, worker: string): Promise<void> {
  if (typeof Notification === "undefined" || !("serviceWorker" in navigator) || !("PushManager" in globalThis)) {
    throw new HubError("this browser has no web push, or the page is not secure", "push_unsupported");
  }
  if ((await Notification.requestPermission()) !== "granted") {
    throw new HubError("the person does not want to be pushed", "push_denied");
  }
  const { body } = await rest.send<{ publicKey: string }>("GET", `${PATH}/key`);
  const registration = await ready(await navigator.serviceWorker.register(worker));
  const known = await registration.pushManager.getSubscription();
  const mine =
    known ?? (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: body.publicKey }));
  await rest.send("POST", PATH, mine.toJSON());
}

/** Forgets it here and at the hub. */
export async function unsubscribe(rest: Rest, worker: string): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const registration = await navigator.serviceWorker.getRegistration(worker);
  const mine = await registration?.pushManager.getSubscription();
  if (!mine) return;
  // The same endpoint again is the same subscription: so its id is known without having been kept.
  const { body } = await rest.send<{ id: string }>("POST", PATH, mine.toJSON());
  await rest.send("DELETE", `${PATH}/${encodeURIComponent(body.id)}`);
  await mine.unsubscribe();
}

/** Its own `ready` waits for a worker of the page's own scope, which this one need not be. */
function ready(registration: ServiceWorkerRegistration): Promise<ServiceWorkerRegistration> {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (!worker || worker.state === "activated") return Promise.resolve(registration);
  return new Promise((done) => {
    worker.addEventListener("statechange", () => worker.state === "activated" && done(registration));
  });
}
