/** What the package offers; nothing else is promised to stay. */
export { backoff } from "./backoff";
export { HubClient } from "./client";
export type { About, HubEvents, HubOptions } from "./client";
export type { Off } from "./emitter";
export { HubError } from "./errors";
export type { EventTypes, Preferences, PreferencesChange, ReadAll } from "./generated";
export type { Choice } from "./ladder";
export type { Connection, Status } from "./link";
export type { Notifications, Page, Selection } from "./notifications";
export type {
  ChannelState,
  Connected,
  DeliveryUpdate,
  Envelope,
  EventOf,
  InboxStats,
  Location,
  Notification,
  OnlineUser,
  Passage,
  Presence,
  Severity,
  Signals,
  Step,
} from "./protocol";
export type { PushOptions } from "./push";
export type { GetToken } from "./rest";
export { EMPTY, reduce } from "./store";
export type { Change, Inbox } from "./store";
export type { TransportName } from "./transport";
