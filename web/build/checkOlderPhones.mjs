// Fails where a built file holds what the oldest browsers that the pages are for do not have: Safari of iOS 13 and Chromium 86.
// node build/checkOlderPhones.mjs [folder]
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "acorn";
import postcss from "postcss";

const folder = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), "..", "dist");

/** Nodes of a syntax that is too new; each tells what it is. */
const SYNTAX = {
  ChainExpression: () => "?.",
  LogicalExpression: (node) => (node.operator === "??" ? "??" : ""),
  AssignmentExpression: (node) => (["??=", "||=", "&&="].includes(node.operator) ? node.operator : ""),
  Literal: (node) => literal(node),
  PropertyDefinition: () => "a field of a class",
  PrivateIdentifier: () => "#private",
  StaticBlock: () => "static {}",
  ExportAllDeclaration: (node) => (node.exported ? "export * as" : ""),
  ImportAttribute: () => "import with",
};

function literal(node) {
  if (node.bigint !== undefined) return "a big integer";
  if (node.regex && /[dv]/.test(node.regex.flags)) return `the flags ${node.regex.flags}`;
  if (/\(\?<[=!]/.test(node.regex?.pattern ?? (typeof node.value === "string" ? node.value : "")))
    return "a look-behind";
  return typeof node.value === "number" && /_/.test(node.raw) ? "1_000" : "";
}

/** What neither has: methods, by the names that they are called by, and what the window holds. */
const METHODS = new Set(
  (
    "at findLast findLastIndex toSorted toReversed toSpliced with replaceAll hasOwn groupBy any animate getAnimations replaceChildren randomUUID " +
    "throwIfAborted checkVisibility showModal startViewTransition"
  ).split(" "),
);
const GLOBALS = new Set(
  (
    "structuredClone BigInt WeakRef FinalizationRegistry AggregateError ResizeObserver requestIdleCallback Temporal CompressionStream " +
    "ClipboardItem ListFormat DisplayNames Segmenter RelativeTimeFormat"
  ).split(" "),
);
/** Those that may stand there all the same, and why. */
const REASONS = {
  findLast:
    "Vue's arrays have methods of these names, for who calls them: the pages' own code may not (tsconfig's lib)",
  findLastIndex: "the same",
  toSorted: "the same",
  toReversed: "the same",
  toSpliced: "the same",
  ResizeObserver: "src/olderPhones.ts",
  startViewTransition: "asked for first, by the router",
  animate: "asked for first: src/design/theme.ts",
};

function* walk(node) {
  if (Array.isArray(node)) for (const each of node) yield* walk(each);
  else if (node && typeof node.type === "string") {
    yield node;
    for (const key of Object.keys(node)) if (key !== "type" && typeof node[key] === "object") yield* walk(node[key]);
  }
}

function* scriptFaults(text, isScript) {
  const tree = parse(text, isScript ? { ecmaVersion: 5 } : { ecmaVersion: "latest", sourceType: "module" });
  for (const node of walk(tree)) {
    const found = SYNTAX[node.type]?.(node);
    if (found) yield found;
    const called = node.type === "NewExpression" || node.type === "CallExpression" ? node.callee : null;
    const method = called?.type === "MemberExpression" && !called.computed ? called.property.name : "";
    if ((METHODS.has(method) || GLOBALS.has(method) || GLOBALS.has(called?.name)) && !REASONS[method || called.name])
      yield `${method || called.name}()`;
    if (
      node.type === "MemberExpression" &&
      node.property.name === "reason" &&
      /signal$/i.test(node.object.property?.name ?? "")
    )
      yield "the reason of a signal";
  }
}

const NEW_VALUES = /\d(dvh|svh|lvh|dvw)\b|color-mix\(|\bclamp\(|\boklch\(|light-dark\(/;
const NEW_PROPERTIES =
  /^(inset(-.*)?|aspect-ratio|margin-inline|margin-block|padding-inline|padding-block|border-(start|end)-.*|translate|rotate|scale|animation-timeline)$/;
const NEW_SELECTORS = /:(is|where|has)\(|&/;
const NEW_AT_RULES = new Set(["layer", "container", "property", "scope", "starting-style"]);

function* styleFaults(text) {
  const asked = (node) =>
    node.parent && (node.parent.type === "atrule" && node.parent.name === "supports" ? true : asked(node.parent));
  const root = postcss.parse(text);
  const found = [];
  root.walk((node) => {
    if (asked(node)) return;
    if (node.type === "decl" && (NEW_PROPERTIES.test(node.prop) || NEW_VALUES.test(node.value)))
      found.push(`${node.prop}: ${node.value}`);
    if (node.type === "rule" && NEW_SELECTORS.test(node.selector)) found.push(node.selector);
    if (node.type === "atrule" && (NEW_AT_RULES.has(node.name) || (node.name === "media" && /[<>]/.test(node.params))))
      found.push(`@${node.name} ${node.params}`);
  });
  yield* found;
}

function* faultsOf(path) {
  const text = readFileSync(path, "utf8");
  try {
    if (path.endsWith(".js")) yield* scriptFaults(text, !path.includes("assets"));
    if (path.endsWith(".css")) yield* styleFaults(text);
  } catch (error) {
    yield String(error);
  }
}

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((path) => /\.(js|css)$/.test(path));
const faults = files.flatMap((path) =>
  [...new Set(faultsOf(path))].map((fault) => `${relative(folder, path)}: ${fault}`),
);
if (!files.length) faults.push(`${folder} holds no pages`);
for (const fault of faults) console.error(`too new for iOS 13 or Chromium 86: ${fault}`);
process.exit(faults.length ? 1 : 0);
