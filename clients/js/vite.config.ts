// Pages are built into the hub's own static directory, which it serves under /static/ (the demo also at /, the
// dashboard at /admin, the description of the API at /docs). The client stands there too, as a module for pages
// without a bundler.
import { defineConfig } from "vitest/config";
import { checks, here, slim, tight } from "./vite.shared.ts";

export default defineConfig({
  root: here("pages"),
  base: "/static/",
  plugins: [slim(), tight()],
  build: {
    outDir: here("../../hub/web/static"),
    emptyOutDir: true,
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 2500, // Swagger UI is one piece
    rollupOptions: {
      checks,
      input: {
        index: here("pages/index.html"),
        admin: here("pages/admin.html"),
        docs: here("pages/docs.html"),
        hub: here("src/everything.ts"),
        "hub-sw": here("src/worker.ts"),
      },
      preserveEntrySignatures: "exports-only",
      output: {
        entryFileNames: ({ name }) => ({ hub: "hub.mjs", "hub-sw": "hub-sw.js" })[name] ?? "assets/[name]-[hash].js",
      },
    },
  },
  test: {
    root: here("."),
    include: ["tests/**/*.test.ts"],
    environment: "happy-dom",
  },
});
