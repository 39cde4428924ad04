/** What the browser can do and says about this page that matters to a line. Does nothing where there is no page. */

export interface Moments {
  offline(): void;
  online(): void;
  /** It is looked at again, perhaps after having been frozen. */
  visible(): void;
}

/** Returns how to stop. */
export function watchPage(moments: Moments): () => void {
  if (typeof addEventListener !== "function" || typeof document === "undefined") return () => {};
  const shown = (): void => {
    if (document.visibilityState === "visible") moments.visible();
  };
  const [offline, online] = [(): void => moments.offline(), (): void => moments.online()];
  addEventListener("offline", offline);
  addEventListener("online", online);
  addEventListener("pageshow", shown);
  document.addEventListener("visibilitychange", shown);
  return () => {
    removeEventListener("offline", offline);
    removeEventListener("online", online);
    removeEventListener("pageshow", shown);
    document.removeEventListener("visibilitychange", shown);
  };
}

/** Whether tabs can share one line. */
export function canShare(): boolean {
  return typeof navigator !== "undefined" && Boolean(navigator.locks) && typeof BroadcastChannel === "function";
}
