// Runs inside index.html before the first paint: the chosen theme, and whether somebody is probably logged in
// (the readable hint cookie, which opens nothing), so that the login form does not flash for them.
const root = document.documentElement;
try {
  const theme = localStorage.getItem("weaprous.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
} catch {
  // Storage is refused: the system's theme it is.
}
if (/(?:^|; )auth=true/.test(document.cookie)) root.classList.add("expected");
