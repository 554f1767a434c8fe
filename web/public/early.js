// Runs before the first paint, so that a chosen theme or language does not flash.
(function () {
  try {
    var theme = localStorage.getItem("shouwang.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    var language = localStorage.getItem("shouwang.language");
    if (language === "en") document.documentElement.lang = "en";
  } catch (error) {
    // Storage may be forbidden; the page works without.
  }
})();
