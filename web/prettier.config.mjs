// The form of the pages' code. A style keeps one rule a line, as it was written: Prettier would take a line for each property.
import { doc } from "prettier";

const asWritten = {
  parsers: {
    css: {
      parse: (text) => ({ text: text.trim() }),
      astFormat: "as-written",
      locStart: () => 0,
      locEnd: ({ text }) => text.length,
    },
  },
  printers: {
    "as-written": { print: ({ node }) => doc.utils.replaceEndOfLine(node.text) },
  },
};

export default { printWidth: 120, plugins: [asWritten] };
