/** What a screen reader calls the dimmed page behind a sheet; Vant hands these on as attributes, though its types don't say so. */
export function named(label: string): Record<string, never> {
  return { "aria-label": label } as unknown as Record<string, never>;
}
