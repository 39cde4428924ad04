/** What the hub says of single fields of a form, beside each of them: seen, read out with the field, and gone when it changes. */
import { make } from "../dom";
import { lasting } from "./rules";
import { Refused, told } from "./session";
import type { Fault } from "./session";

/** The control that a fault is about: the one with its name, or the group that has it. */
function controlOf(form: HTMLFormElement, { field }: Fault): HTMLElement | null {
  for (let path = field; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const name = CSS.escape(path);
    const found = form.querySelector<HTMLElement>(`fieldset[data-field="${name}"], [name="${name}"]:not([type="checkbox"])`);
    if (found) return found;
  }
  return null;
}

/** The hub counts in seconds, also where the admin chose another unit. */
function words(control: HTMLElement, { message }: Fault): string {
  return "seconds" in control.dataset ? message.replace(/\d+/, (seconds) => lasting(Number(seconds))) : message;
}

function mark(control: HTMLElement, fault: Fault): void {
  const group = control instanceof HTMLFieldSetElement;
  const id = `fault-${fault.field}`;
  // Inside a label it would be a part of the name; hidden there, it is still what describes the control.
  const line = make("span", { class: "fault", id, "aria-hidden": !group && "true", "data-testid": "fault" }, words(control, fault));
  if (group) control.append(line);
  else (control.closest(".time") ?? control.closest(".field") ?? control.parentElement)?.append(line);
  control.setAttribute("aria-describedby", id);
  if (!group) control.setAttribute("aria-invalid", "true");
  control.addEventListener("input", () => clear(control), { once: true });
}

function clear(control: HTMLElement): void {
  document.getElementById(control.getAttribute("aria-describedby") ?? "")?.remove();
  control.removeAttribute("aria-describedby");
  control.removeAttribute("aria-invalid");
}

/** Nothing is wrong any more. */
export function forget(form: HTMLFormElement): void {
  for (const control of form.querySelectorAll<HTMLElement>("[aria-describedby^=fault-]")) clear(control);
}

/** Puts each fault beside its field and goes to the first. What is left to say; null: all of it is for the form to say. */
export function show(form: HTMLFormElement, refused: unknown): string | null {
  if (!(refused instanceof Refused) || refused.faults.length === 0) return null;
  const elsewhere: Fault[] = [];
  let first: HTMLElement | null = null;
  for (const fault of refused.faults) {
    const control = controlOf(form, fault);
    if (!control || control.hasAttribute("aria-describedby")) {
      elsewhere.push(fault);
      continue;
    }
    mark(control, fault);
    first ??= control;
  }
  const target = first instanceof HTMLFieldSetElement ? first.querySelector<HTMLElement>("input") : first;
  target?.focus();
  return elsewhere.length > 0 ? told(elsewhere) : "Not done: see what is marked.";
}
