/**
 * The text/event-stream format (WHATWG HTML, 9.2.6) as a pure parser: decoded text in, events out. Knows no
 * network and no bytes (the decoder takes a byte order mark away).
 */

export interface StreamEvent {
  /** "message" when the hub named none. */
  name: string;
  data: string;
  /** The last id seen so far; "" before the first. */
  id: string;
}

export class EventStreamParser {
  #rest = "";
  #name = "";
  #data: string[] = [];
  #id = "";
  #afterReturn = false;
  readonly #emit: (event: StreamEvent) => void;

  constructor(emit: (event: StreamEvent) => void) {
    this.#emit = emit;
  }

  /** Takes the next piece of text, cut anywhere. */
  push(text: string): void {
    if (text === "") return;
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1); // a CRLF that was cut in two
    this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(): void {
    const [name, data] = [this.#name || "message", this.#data];
    this.#name = "";
    this.#data = [];
    if (data.length > 0) this.#emit({ name, data: data.join("\n"), id: this.#id });
  }
}
