/** The bell alone, and the page's client for it. */
export { HubBell } from "./bell";
export { provideClient } from "./clients";
