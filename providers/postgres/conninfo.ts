/** libpq's connection string, each value quoted. */
export function conninfo(parts: Record<string, string | number>): string {
  return Object.entries(parts)
    .map(([name, value]) => `${name}='${String(value).replaceAll(/['\\]/g, "\\$&")}'`)
    .join(" ");
}
