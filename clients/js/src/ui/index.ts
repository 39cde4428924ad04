/** All elements: importing this defines them. Each module beside it defines its own alone. */
export { HubBell } from "./bell";
export { provideClient } from "./clients";
export { HubElement } from "./element";
export { HubInbox } from "./inbox";
export { HubPreferences } from "./preferences";
export { HubPresence } from "./presence";
export { HubToasts } from "./toasts";
