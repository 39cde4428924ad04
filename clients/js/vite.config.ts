// Pages are built into the hub's own static directory, which it serves under /static/ (the demo also at /).
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("pages"),
  base: "/static/",
  build: {
    outDir: here("../../hub/web/static"),
    emptyOutDir: true,
    rollupOptions: { input: { index: here("pages/index.html") } },
  },
  test: {
    root: here("."),
    include: ["tests/**/*.test.ts"],
    environment: "happy-dom",
  },
});
