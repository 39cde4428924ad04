/** The form that makes something happen in the hotel. */
import { book } from "./api";
import type { Hotel } from "./api";
import { find, make } from "../dom";

const HAPPENINGS: Record<string, string> = {
  "booking.created": "A booking was made",
  "booking.confirmed": "The booking is confirmed",
  "booking.cancelled": "The booking is cancelled",
  "checkin.reminder": "Check-in is tomorrow",
  "payment.received": "A payment has arrived",
};

/** `hotel` is asked at every sending: the choice may have changed. */
export function booking(hotel: () => Hotel): void {
  const [form, answer] = [find<HTMLFormElement>("booking"), find("answer")];
  find("booking-type").replaceChildren(
    ...Object.entries(HAPPENINGS).map(([type, text]) => make("option", { value: type }, text)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    book(hotel().id, String(fields.get("type")), String(fields.get("guest"))).then(
      ({ cursor, deliveries }) => {
        answer.textContent = `Accepted at ${cursor}, ${deliveries.length} to be delivered`;
      },
      (fault: unknown) => {
        answer.textContent = `Refused: ${fault instanceof Error ? fault.message : String(fault)}`;
      },
    );
  });
}

/** The guests of another hotel. */
export function offerGuests(hotel: Hotel): void {
  const guests = hotel.users.filter((person) => person.role !== "ADMIN");
  find("booking-guest").replaceChildren(
    ...guests.map((guest) => make("option", { value: guest.id }, guest.name)),
  );
}
