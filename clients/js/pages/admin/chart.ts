/** Lines over time, by uPlot, in the colours of the page. A screen reader gets the latest values as a sentence. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { make } from "../dom";

export interface Line {
  label: string;
  /** A custom property of the page. */
  color: string;
  show(value: number): string;
}

const HEIGHT = 190;

export class Chart {
  readonly root: HTMLElement;
  readonly #place = make("div", { class: "plot", "aria-hidden": "true" });
  readonly #words = make("figcaption", { class: "unseen" });
  readonly #title: string;
  readonly #lines: Line[];
  readonly #least: number;
  #data: uPlot.AlignedData;
  #plot: uPlot | null = null;
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  readonly #size = new ResizeObserver(() => this.#fit());

  /** The axis ends at `least` or above. */
  constructor(title: string, lines: Line[], least: number) {
    this.#title = title;
    this.#least = least;
    this.#lines = lines;
    this.#data = [[], ...lines.map(() => [])];
    this.root = make("figure", { class: "chart", "aria-label": title }, this.#place, this.#words);
    this.#size.observe(this.#place);
    this.#dark.addEventListener("change", this.#redraw);
  }

  /** Seconds since 1970, and the values of each line. */
  set(times: number[], ...values: (number | null)[][]): void {
    this.#data = [times, ...values];
    this.#plot?.setData(this.#data);
    this.#rest();
    const latest = this.#lines.map(({ label, show }, at) => {
      const value = values[at]?.findLast((one) => one !== null);
      return `${label}: ${value === undefined || value === null ? "none yet" : show(value)}`;
    });
    this.#words.textContent = `${this.#title}, latest. ${latest.join(", ")}`;
  }

  remove(): void {
    this.#size.disconnect();
    this.#dark.removeEventListener("change", this.#redraw);
    this.#plot?.destroy();
  }

  readonly #redraw = (): void => {
    this.#plot?.destroy();
    this.#plot = null;
    this.#fit();
  };

  #fit(): void {
    const width = this.#place.clientWidth;
    if (width === 0) return;
    if (this.#plot) return this.#plot.setSize({ width, height: HEIGHT });
    const [soft, line] = [this.#color("--soft"), this.#color("--line")];
    const axis: uPlot.Axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const first = this.#lines[0];
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        cursor: { y: false, points: { size: 6 } },
        legend: { live: true },
        scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.15, this.#least)] } },
        axes: [axis, { ...axis, size: 58, values: (_, splits) => splits.map((value) => first?.show(value) ?? "") }],
        series: [
          {},
          ...this.#lines.map(({ label, color, show }): uPlot.Series => {
            const stroke = this.#color(color);
            return {
              label,
              stroke,
              width: 2,
              fill: stroke.replace("rgb(", "rgba(").replace(")", ", 0.12)"),
              points: { show: false },
              spanGaps: true,
              value: (_, value) => (value === null ? "–" : show(value)),
            };
          }),
        ],
      },
      this.#data,
      this.#place,
    );
    this.#plot.over.addEventListener("mouseleave", () => this.#rest());
    this.#rest();
  }

  /** The legend shows the latest values while nobody points at others. */
  #rest(): void {
    if (this.#plot && this.#data[0].length > 0) this.#plot.setLegend({ idx: this.#data[0].length - 1 });
  }

  /** What a custom property comes to here; its text may depend on the scheme. */
  #color(name: string): string {
    this.#place.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#place);
    this.#place.style.color = "";
    return color;
  }
}
