// One file for a script tag, old browsers included: everything, as `Hub`. Stands in the package and at /static/hub.js.
import { defineConfig } from "vite";
import { checks, here, slim, tight } from "./vite.shared.ts";

export default defineConfig({
  publicDir: false,
  plugins: [slim(), tight()],
  build: {
    outDir: here("../../hub/web/static"),
    emptyOutDir: false,
    target: "es2015",
    minify: true,
    lib: { entry: here("src/everything.ts"), formats: ["iife"], name: "Hub", fileName: () => "hub.js" },
    rollupOptions: { checks, output: { codeSplitting: false } },
  },
});
