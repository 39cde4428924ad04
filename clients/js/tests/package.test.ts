// @vitest-environment node
/** What is published: it resolves, its types too, it is small, and the file for script tags runs in old browsers. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parse } from "acorn";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tight } from "../vite.shared";

const ROOT = join(import.meta.dirname, "..");
const KB = 1024;
const consumer = mkdtempSync(join(tmpdir(), "consumer-"));
const installed = join(consumer, "node_modules", "realtime-hub-client");

beforeAll(() => {
  const env = { ...process.env, NODE_ENV: "production" };
  for (const part of ["package", "script"]) {
    execFileSync("npm", ["run", `build:${part}`, "--silent"], { cwd: ROOT, stdio: "pipe", env });
  }
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", consumer], { cwd: ROOT, encoding: "utf8" }),
  ) as [{ filename: string }];
  execFileSync("tar", ["xzf", packed.filename], { cwd: consumer });
  cpSync(join(consumer, "package"), installed, { recursive: true });
}, 120_000);
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

/** What a module loads at once, itself included. */
function loaded(name: string, known = new Set<string>()): Set<string> {
  if (known.has(name)) return known;
  known.add(name);
  const code = readFileSync(join(installed, "dist", name), "utf8");
  for (const [, path = ""] of code.matchAll(/(?:from|import)\s*["'](\.[^"']+)["']/g)) {
    loaded(join(dirname(name), path), known);
  }
  return known;
}

/** Bytes, compressed as files that lie ready are. */
function small(code: Buffer | string): number {
  return gzipSync(code, { level: 9 }).length;
}

function weight(names: Iterable<string>): number {
  return [...names].reduce((sum, name) => sum + small(readFileSync(join(installed, "dist", name))), 0);
}

test("the core with socket.io-client is at most 18 kB; what is not needed at first is not in it", () => {
  const core = loaded("index.js");
  expect(weight(core)).toBeLessThanOrEqual(18 * KB);
  expect([...core].filter((name) => /sse|tabs|webpush|native|polling/.test(name))).toEqual([]);
});

test("the bell is at most 8 kB more", async () => {
  const built = (await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    plugins: [tight()],
    mode: "production",
    define: { "process.env.NODE_ENV": '"production"' },
    build: {
      write: false,
      target: "es2022",
      lib: { entry: join(ROOT, "src", "ui", "alone.ts"), formats: ["es"] },
      rollupOptions: { external: /\/(client|protocol|errors)$/, output: { minify: true } },
    },
  })) as { output: { code: string }[] }[];
  expect(small(built[0]?.output[0]?.code ?? "")).toBeLessThanOrEqual(8 * KB);
});

test("the bell by its own name brings no other element", () => {
  const core = loaded("index.js");
  const more = [...loaded("bell.js")].filter((name) => !core.has(name));
  const code = more.map((name) => readFileSync(join(installed, "dist", name), "utf8")).join("");
  expect([...code.matchAll(/\(`(hub-(?:bell|inbox|toasts|preferences|presence))`,/g)].map(([, defined]) => defined)).toEqual(["hub-bell"]);
});

test("one stream alone does not bring the rest of the client", () => {
  expect(weight(loaded("sse.js"))).toBeLessThanOrEqual(5 * KB);
});

test("every export resolves, and can be loaded where there is no page", () => {
  const names = ["", "/element", "/bell", "/react", "/vue", "/sse"];
  // Peers are the reader's own; here they are those of this project.
  const script = names.map((name) => `import("realtime-hub-client${name}")`).join(", ");
  execFileSync("ln", ["-s", ...["react", "vue", "@vue"].map((name) => join(ROOT, "node_modules", name)), join(consumer, "node_modules")]);
  const seen = execFileSync(
    process.execPath,
    ["--input-type=module", "-e", `const all = await Promise.all([${script}]); console.log(all.every((one) => Object.keys(one).length > 0))`],
    { cwd: consumer, encoding: "utf8" },
  );
  expect(seen.trim()).toBe("true");
});

test("the types resolve as Node's and as a bundler's, and know the hub's events", () => {
  const code = `
import { HubClient, HubError } from "realtime-hub-client";
import { HubBell } from "realtime-hub-client/bell";
import { openEventStream } from "realtime-hub-client/sse";
const hub = new HubClient({ getToken: async () => "t" });
const off: () => void = hub.on("booking.created", (event, { replayed }) => { const id: string = event.id; const was: boolean = replayed; void [id, was]; });
hub.on("delivery:update", (update) => { const tries: number = update.attempts; void tries; });
hub.on("presence:join", ({ userId }) => { const who: string | null = userId; void who; });
// @ts-expect-error there is no such field
hub.on("notification:deleted", ({ room }) => room);
openEventStream({ endpoint: "/sse/bookings" }).close();
void [off, HubError, HubBell];
`;
  writeFileSync(join(consumer, "main.ts"), code);
  writeFileSync(join(consumer, "package.json"), '{"type": "module"}');
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]] as const) {
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", module, "--moduleResolution", resolution];
    expect(() => execFileSync(process.execPath, [compiler, ...options, "main.ts"], { cwd: consumer, encoding: "utf8" })).not.toThrow();
  }
}, 60_000);

test("the file for script tags is the language of 2015", () => {
  const code = readFileSync(join(ROOT, "..", "..", "hub", "web", "static", "hub.js"), "utf8");
  expect(() => parse(code, { ecmaVersion: 2015, sourceType: "script" })).not.toThrow();
});
