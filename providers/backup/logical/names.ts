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

/** `schema.table` as people write it; a table of `public` without a schema. Null when the text is no such name. */
export function tableNamed(text: string): { schema: string; table: string } | null {
  const found = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(text);
  const plain = (part: string) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
  if (found?.[2] === undefined) return null;
  return { schema: plain(found[1] ?? "public"), table: plain(found[2]) };
}
