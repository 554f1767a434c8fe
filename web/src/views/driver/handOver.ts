// How a link gets from this phone to somebody else's: the clipboard, and the phone's own share sheet where it has one.

export const canSend = typeof navigator.share === "function";

/** Whether it is in the clipboard now. Old web views, and pages without TLS, know the old way only. */
export async function copies(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiesOldWay(text);
  }
}

function copiesOldWay(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "sw-visually-hidden";
  document.body.append(area);
  area.select();
  area.setSelectionRange(0, text.length);
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
  }
}

/** Whether the person has sent it; closing the phone's sheet is no failure. */
export async function sends(message: ShareData): Promise<boolean> {
  try {
    await navigator.share(message);
    return true;
  } catch {
    return false;
  }
}
