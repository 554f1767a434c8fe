// Does the phone have a network at all? What it says is a hint only: "yes" may still mean a dead zone.
import { ref } from "vue";

export const hasNetwork = ref(navigator.onLine);

const note = (): void => void (hasNetwork.value = navigator.onLine);
window.addEventListener("online", note);
window.addEventListener("offline", note);
