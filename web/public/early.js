// Runs before anything else, in every browser (ES5): a chosen theme or language does not flash, and a browser that is too old, or
// files that do not arrive, are told in a sentence instead of a white page.
(function () {
  try {
    var theme = localStorage.getItem("shouwang.theme");
    if (theme === "light" || theme === "dark") document.documentElement.setAttribute("data-theme", theme);
    var language = localStorage.getItem("shouwang.language");
    if (language === "en") document.documentElement.lang = "en";
  } catch (error) {
    // Storage may be forbidden; the page works without.
  }
})();

(function () {
  var OLD = "这部手机的浏览器太旧，打不开平安守望：请升级微信或手机系统，或者换一部手机打开。";
  var CUT_OFF = "网页没有加载完整：请检查手机网络，然后重新打开。";
  var BROKEN = "网页没能打开：请重新打开；如果还是不行，就是浏览器太旧，请升级微信或手机系统。";
  var shown = null;

  function isOld() {
    try {
      return !(
        "noModule" in document.createElement("script") && window.Promise && window.Proxy && window.WeakMap && window.fetch && window.AbortController &&
        window.ReadableStream && window.TextDecoder && window.URLSearchParams && window.IntersectionObserver && window.PointerEvent && Object.fromEntries && [].flatMap &&
        window.CSS && CSS.supports && CSS.supports("color", "var(--a)") && CSS.supports("display", "grid") && CSS.supports("width", "min(1px, 2px)")
      );
    } catch (error) {
      return true;
    }
  }

  function isUp() {
    var app = document.getElementById("app");
    return !!app && app.hasAttribute("data-v-app");
  }

  function say(words, again) {
    if (!document.body) return;
    if (!shown) {
      shown = document.createElement("div");
      shown.setAttribute("role", "alert");
      shown.style.cssText = "position:fixed;left:0;top:0;width:100%;height:100%;z-index:9999;box-sizing:border-box;padding:30% 24px 24px;background:#f3f6f7;color:#14242a;font:18px/1.7 sans-serif;text-align:center";
      document.body.appendChild(shown);
    }
    shown.textContent = words;
    if (!again) return;
    var button = document.createElement("button");
    button.textContent = "重新打开";
    button.style.cssText = "display:block;margin:24px auto;padding:12px 32px;border:0;border-radius:12px;background:#0f5e6b;color:#fff;font:18px sans-serif";
    button.onclick = function () { location.reload(); };
    shown.appendChild(button);
  }

  function fail(words) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", function () { fail(words); });
    else if (!isUp()) say(isOld() ? OLD : words, true);
  }

  function take() {
    if (shown && isUp() && !isOld()) {
      shown.parentNode.removeChild(shown);
      shown = null;
    }
  }

  // A script or a style that does not come says so on the way down; what is wrong within one, on the window.
  window.addEventListener("error", function (event) {
    var from = event.target;
    if (!from || !from.tagName) fail(BROKEN);
    else if (from.tagName === "SCRIPT" || from.rel === "stylesheet") fail(CUT_OFF);
  }, true);
  window.addEventListener("unhandledrejection", function () { fail(CUT_OFF); });
  document.addEventListener("DOMContentLoaded", function () {
    if (isOld()) return say(OLD, false);
    new MutationObserver(take).observe(document.getElementById("app"), { attributes: true });
  });
})();
