/**
 * A panel that opens beside its button: placed within the window, with Tab kept inside while it is open, closed by
 * Escape and by what happens outside. Knows nothing of what it shows.
 */

/** Between the button and its panel, and between the panel and the edge of the window; pixels. */
const GAP = 8;

export interface Popup {
  readonly open: boolean;
  /** Opens the panel and puts the focus into it. */
  show(): void;
  /** Closes the panel; the focus returns to the button when it was inside. */
  hide(): void;
}

/** Button and panel stand in the shadow of `host`; `turned` hears of opening and closing. */
export function popup(host: HTMLElement, button: HTMLElement, panel: HTMLElement, turned: (open: boolean) => void): Popup {
  const focused = (): Element | null | undefined => host.shadowRoot?.activeElement;
  const place = (): void => {
    const { left, right, top, bottom, width } = button.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    const { offsetWidth, style } = panel;
    const rightward = left + width / 2 < clientWidth / 2;
    const below = bottom + GAP;
    const fits = below + Math.min(panel.offsetHeight, 240) < innerHeight || top < innerHeight / 2;
    const room = fits ? innerHeight - below - GAP : top - 2 * GAP;
    style.left = `${Math.max(GAP, Math.min(rightward ? left : right - offsetWidth, clientWidth - offsetWidth - GAP))}px`;
    style.top = fits ? `${below}px` : "auto";
    style.bottom = fits ? "auto" : `${innerHeight - top + GAP}px`;
    style.maxHeight = `min(var(--hub-panel-height, 560px), ${Math.max(200, room)}px)`;
  };
  const outside = (event: Event): void => {
    if (!event.composedPath().includes(host)) self.hide();
  };
  /** Tab stays in the panel. */
  const trap = (event: KeyboardEvent): void => {
    const stops = [...panel.querySelectorAll<HTMLElement>("button, a")].filter(
      (stop) => stop.tabIndex >= 0 && !stop.closest("[hidden]"),
    );
    const first = stops[0];
    const last = stops.at(-1);
    const current = focused();
    const leaves = event.shiftKey ? current === first || current === panel : current === last;
    if (!leaves) return;
    event.preventDefault();
    (event.shiftKey ? last : first)?.focus();
  };
  const self: Popup = {
    get open() {
      return !panel.hidden;
    },
    show() {
      if (!panel.hidden || !host.isConnected) return;
      panel.hidden = false;
      panel.showPopover?.();
      button.setAttribute("aria-expanded", "true");
      place();
      panel.focus();
      document.addEventListener("pointerdown", outside);
      addEventListener("resize", place);
      addEventListener("scroll", place, { passive: true });
      turned(true);
    },
    hide() {
      if (panel.hidden) return;
      const inside = focused();
      panel.hidden = true;
      if (panel.isConnected) panel.hidePopover?.();
      button.setAttribute("aria-expanded", "false");
      if (inside) button.focus();
      document.removeEventListener("pointerdown", outside);
      removeEventListener("resize", place);
      removeEventListener("scroll", place);
      turned(false);
    },
  };
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      self.hide();
    } else if (event.key === "Tab") trap(event);
  });
  return self;
}
