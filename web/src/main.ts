import "@/olderPhones";
import { createApp } from "vue";
import "@/back";
import App from "@/App.vue";
import { loadConfig } from "@/api/config";
import { holdToken } from "@/api/links";
import { loadLanguage } from "@/i18n";
import { router } from "@/router";
import "@/design/tokens.css";
import "@/design/base.css";
import "@/design/vant.css";

// Before anything else is fetched, so that the secret of a link stands in the address bar for no longer than it must.
const bare = holdToken(window.location.pathname, window.location.hash);
if (bare !== null) window.history.replaceState(window.history.state, "", bare + window.location.search);

async function start(): Promise<void> {
  void loadConfig();
  await loadLanguage();
  createApp(App).use(router).mount("#app");
}

void start();
