import { openLibrary } from "../load/library.ts";
import type { Parsed } from "../load/parsed.ts";

/**
 * The built-in checks as plain data. A health check reads all of them, and parsing their YAML costs more than judging them; a run
 * reads few runbooks, whose places are needed as well.
 */
export async function parsedDocuments(dir: string): Promise<Parsed> {
  const library = openLibrary([{ name: "builtin", dir }]);
  const parsed: Parsed = {};
  for (const { name } of library.entries("check")) {
    const { data, digest } = await library.load(name);
    if (!("extends" in data)) parsed[name] = { digest, data };
  }
  return parsed;
}
