// "Chrome on Linux": what a browser calls itself, short enough for people.

const browsers: [RegExp, string][] = [
  [/Firefox\//, "Firefox"],
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Chrome\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const systems: [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS/, "macOS"],
  [/Linux/, "Linux"],
];

/** Programs that are no browser keep the first word of what they say: "curl/8.5". */
export function agentLabel(agent: string): string {
  const find = (table: [RegExp, string][]): string | undefined => table.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = find(browsers);
  if (!browser) return agent.startsWith("Mozilla/") ? "Browser" : (agent.split(/[\s;(]/)[0] ?? "").slice(0, 40);
  return [browser, find(systems)].filter(Boolean).join(" on ");
}
