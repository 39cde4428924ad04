/** What the package offers; nothing else is promised to stay. */
export { backoff } from "./backoff";
export { HubClient } from "./client";
export type { Connection, HubEvents, HubOptions, Received, Status } from "./client";
export type { Off } from "./emitter";
export type { ChannelState, Connected, DeliveryUpdate, Envelope, Notification, Severity, Signals } from "./protocol";
export { HubError } from "./rest";
export { EMPTY, reduce } from "./store";
export type { Change, Inbox } from "./store";
export type { TransportName } from "./transport";
