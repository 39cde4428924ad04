// Pages are built into the hub's own static directory, which it serves under /static/ (the demo also at /, the
// dashboard at /admin, the description of the API at /docs).
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("pages"),
  base: "/static/",
  build: {
    outDir: here("../../hub/web/static"),
    emptyOutDir: true,
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 2500, // Swagger UI is one piece
    rollupOptions: { input: { index: here("pages/index.html"), admin: here("pages/admin.html"), docs: here("pages/docs.html") } },
  },
  test: {
    root: here("."),
    include: ["tests/**/*.test.ts"],
    environment: "happy-dom",
  },
});
