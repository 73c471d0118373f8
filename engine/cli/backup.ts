import { saidIn, VERIFIED_BACKUP } from "../check/danger.ts";
import type { LayerName, Library } from "../types.ts";

/** Those that lie nearer to the user come later. */
const LAYERS: readonly LayerName[] = ["builtin", "system", "user", "project", "extra"];

/**
 * The runbooks that say that they give a verified backup, of the highest layer that has any: one is run, and of several nobody can
 * tell which. One that can't be read gives nothing.
 */
export async function backupRunbooks(library: Library): Promise<string[]> {
  const found: { name: string; layer: number }[] = [];
  for (const { name, layer, outline } of library.entries("runbook")) {
    const given = outline?.gives ?? (await givenBy(library, name));
    if (given.includes(VERIFIED_BACKUP)) found.push({ name, layer: LAYERS.indexOf(layer) });
  }
  const highest = Math.max(...found.map(({ layer }) => layer));
  return found.filter(({ layer }) => layer === highest).map(({ name }) => name);
}

async function givenBy(library: Library, name: string): Promise<readonly string[]> {
  try {
    return saidIn((await library.load(name)).data).gives;
  } catch {
    return [];
  }
}
