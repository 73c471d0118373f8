import type { Run } from "../session.ts";

/** The catalogues are asked where nobody else's function or operator fits better than the server's own. */
export async function asCatalogue<T>(run: Run, work: () => Promise<T>): Promise<T> {
  const { rows } = await run("SHOW /* pgdba */ search_path");
  await run("SET /* pgdba */ LOCAL search_path = pg_catalog, pg_temp");
  const restore = () =>
    run("SELECT /* pgdba */ pg_catalog.set_config('search_path', $1, true)", [
      rows[0]?.["search_path"],
    ]);
  try {
    const result = await work();
    await restore();
    return result;
  } catch (error) {
    // This helps only when pgdba itself refused something; in a failed transaction there is nothing to restore.
    await restore().catch(() => {});
    throw error;
  }
}
