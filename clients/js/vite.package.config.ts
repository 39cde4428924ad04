// What is published: modules for bundlers, with socket.io-client inside and React and Vue left outside.
import { defineConfig } from "vite";
import { checks, here, slim, tight } from "./vite.shared.ts";

export default defineConfig({
  publicDir: false,
  plugins: [slim(), tight()],
  build: {
    outDir: here("dist"),
    target: "es2022",
    minify: true,
    license: { fileName: "licenses.md" },
    lib: {
      entry: {
        index: here("src/index.ts"),
        bell: here("src/ui/alone.ts"),
        element: here("src/ui/index.ts"),
        react: here("src/react.ts"),
        vue: here("src/vue.ts"),
        sse: here("src/streams.ts"),
        worker: here("src/worker.ts"),
      },
      formats: ["es"],
    },
    rollupOptions: {
      checks,
      external: ["react", "vue"],
      output: { minify: true, entryFileNames: "[name].js", chunkFileNames: "chunks/[name]-[hash].js" },
    },
  },
});
