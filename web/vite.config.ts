import { fileURLToPath } from "node:url";
import { VantResolver } from "@vant/auto-import-resolver";
import vue from "@vitejs/plugin-vue";
import Components from "unplugin-vue-components/vite";
import { defineConfig } from "vite";
import { OLDEST, flexGaps } from "./build/olderPhones.ts";
import { compressed, geography, ownVantIcons } from "./build/plugins.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const service = process.env.SHOUWANG_API ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [
    ownVantIcons(at("./src/design/vant-icons.css")),
    vue(),
    // `<van-button>` in a template imports that component and its style, and nothing else of Vant.
    Components({ dirs: [], dts: "components.d.ts", resolvers: [VantResolver()] }),
    geography(at("../geography")),
    compressed(),
  ],
  css: { postcss: { plugins: [flexGaps()] } },
  resolve: { alias: { "@": at("./src") } },
  build: {
    // What several pages share comes in one file: on a thin line each file more costs its turn on one of six connections.
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        codeSplitting: {
          groups: [{ name: "shared", test: /src[\\/](?!map|views[\\/]ops)|vant|@vue|vue-router/, minShareCount: 5 }],
        },
      },
    },
    target: OLDEST,
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: { proxy: Object.fromEntries(["/api", "/health", "/dev", "/docs"].map((path) => [path, service])) },
});
