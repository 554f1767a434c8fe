// Whether the phone has a network at all, and who is told when it may have one again. What the phone says is a hint only: "yes"
// may still mean a dead zone.
import { onScopeDispose, ref } from "vue";

export const hasNetwork = ref(navigator.onLine);

const note = (): void => void (hasNetwork.value = navigator.onLine);
window.addEventListener("online", note);
window.addEventListener("offline", note);

/** Calls `act` when the network is back, and when the person is: as long as the component lives. */
export function whenBack(act: () => void): void {
  const onVisibility = (): void => void (document.hidden || act());
  window.addEventListener("online", act);
  document.addEventListener("visibilitychange", onVisibility);
  onScopeDispose(() => {
    window.removeEventListener("online", act);
    document.removeEventListener("visibilitychange", onVisibility);
  });
}
