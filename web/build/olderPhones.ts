// What the build does for the phones that families have: Safari of iOS 13 and Chromium 86 are the oldest that the pages run in.
// Syntax is lowered by the build's target; a gap between flexible boxes has to be written another way.
import type { Plugin as StylePlugin, Rule } from "postcss";

export const OLDEST = ["ios13", "chrome86"];

/** Safari on iPhones before 14.5: none other knows the first and lacks the second. */
export const NO_FLEX_GAP = "(-webkit-touch-callout: none) and (not (translate: none))";

const valueOf = (rule: Rule, name: string): string | undefined => {
  const found = rule.nodes.filter((node) => node.type === "decl" && node.prop === name).pop();
  return found?.type === "decl" ? found.value : undefined;
};

/** Splits `8px calc(1px + 2px)` at its spaces, but not within brackets. */
const parts = (value: string): string[] => value.match(/(?:[^\s(]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?)+/g) ?? [];

/** Margins between the children, in place of the `gap` of a flexible box whose display and gap stand in one rule. */
export function flexGaps(): StylePlugin {
  return {
    postcssPlugin: "flex-gaps",
    OnceExit(root, { AtRule, Rule, Declaration }) {
      const only = new AtRule({ name: "supports", params: NO_FLEX_GAP, source: root.source });
      root.walkRules((rule) => {
        const gap = valueOf(rule, "gap");
        if (!gap || !/^(inline-)?flex$/.test(valueOf(rule, "display") ?? "")) return;
        const [rowGap, columnGap = rowGap] = parts(gap);
        const isColumn = valueOf(rule, "flex-direction") === "column";
        const between = isColumn ? rowGap! : columnGap!;
        if (/^0[a-z]*$/.test(between)) return;
        // A mark before a bare text is its box's only element.
        const inner = isColumn ? [":not(:last-child)"] : [":not(:last-child)", "svg:first-child", "i:first-child"];
        const children = new Rule({
          selectors: rule.selectors.flatMap((selector) => inner.map((each) => `${selector} > ${each}`)),
          source: rule.source,
        });
        children.append(
          new Declaration({ prop: isColumn ? "margin-bottom" : "margin-right", value: between, source: rule.source }),
        );
        only.append(children);
      });
      if (only.nodes?.length) root.append(only);
    },
  };
}
