import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// `npm run dev` shows the pages of a manager that runs already: BRIDGEHEAD=https://localhost:7443 npm run dev
const manager = process.env.BRIDGEHEAD ?? "https://localhost:7443";

export default defineConfig({
  plugins: [svelte()],
  // The manager forbids inline scripts and styles: everything is a file. noVNC uses await at its top level.
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 600 },
  server: {
    proxy: {
      "/api": {
        target: manager,
        secure: false, // a person's own manager, whose certificate node doesn't know
        ws: true,
        headers: { origin: manager },
        changeOrigin: true,
      },
    },
  },
});
