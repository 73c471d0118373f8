/** The text of postgresql.auto.conf with these settings, each once; null takes one out. Other lines stay as they are. Pure. */
export function withSettings(text: string, settings: Record<string, string | null>): string {
  const kept = text.split("\n").filter((line) => {
    const name = /^\s*([A-Za-z_][\w.]*)\s*(=|\s)/.exec(line)?.[1]?.toLowerCase();
    return name === undefined || !Object.hasOwn(settings, name);
  });
  const lines = Object.entries(settings).flatMap(([name, value]) =>
    value === null ? [] : [`${name} = '${value.replaceAll("'", "''")}'`],
  );
  return `${[kept.join("\n").trimEnd(), ...lines].join("\n")}\n`;
}
