// The types of the package. Relative imports get the endings that Node's resolution asks of modules.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const types = join(here, "dist", "types");
const compiler = join(here, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [compiler, "-p", join(here, "tsconfig.package.json")], { stdio: "inherit" });

for (const name of readdirSync(types, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const file = join(types, name);
  const ended = readFileSync(file, "utf8").replace(/((?:from|import\()\s*")(\.{1,2}\/[^"]+)(")/g, (_, head, path, tail) => {
    const there = join(dirname(file), path);
    return head + path + (existsSync(`${there}.d.ts`) ? ".js" : "/index.js") + tail;
  });
  writeFileSync(file, ended);
}
