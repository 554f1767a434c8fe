// Runs the unit tests in web/tests: Vite makes modules of the TypeScript, as for the pages, and Node's own runner runs them.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const made = at("node_modules/.unit-tests");
const tests = readdirSync(at("tests")).filter((name) => name.endsWith(".test.ts"));

rmSync(made, { recursive: true, force: true });
await build({
  configFile: false,
  root: at("."),
  logLevel: "warn",
  resolve: { alias: { "@": at("src") } },
  build: {
    ssr: true,
    outDir: made,
    sourcemap: true,
    rolldownOptions: { input: tests.map((name) => at(`tests/${name}`)), output: { entryFileNames: "[name].mjs" } },
  },
});
const files = tests.map((name) => `${made}/${name.replace(/ts$/, "mjs")}`);
// One failing test says where and why; that all hold, one line says.
const { status, stdout, stderr } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-reporter=spec", ...files],
  { encoding: "utf8", env: { ...process.env, TZ: "America/New_York" } },
);
const count = /^ℹ pass (\d+)$/m.exec(stdout)?.[1] ?? "0";
if (status !== 0 || count === "0") {
  console.error(stdout + stderr);
  process.exit(1);
}
console.log(`The pages' unit tests hold: ${count}.`);
