/** Names for what is restored beside its original. PostgreSQL cuts a name after 63 bytes, and two that it cut may be one. */

const MOST_BYTES = 63;

/** `name` with the suffix, cut where it must be so that the suffix stays whole. */
export function withSuffix(name: string, suffix: string): string {
  const room = MOST_BYTES - Buffer.byteLength(suffix);
  let cut = "";
  let bytes = 0;
  for (const letter of name) {
    bytes += Buffer.byteLength(letter);
    if (bytes > room) break;
    cut += letter;
  }
  return `${cut}${suffix}`;
}

/** The name of what SQL may have in quotes. */
export const unquoted = (name: string): string =>
  name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;

/** `schema.table` as people write it; a table of `public` without a schema. Null when the text is no such name. */
export function tableNamed(text: string): { schema: string; table: string } | null {
  const found = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(text);
  if (found?.[2] === undefined) return null;
  return { schema: unquoted(found[1] ?? "public"), table: unquoted(found[2]) };
}
