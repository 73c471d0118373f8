import type { PgSession } from "../../../providers/postgres/session.ts";
import { shortened, textOf, type Wanted } from "../../settings-file.ts";
import type { Place } from "../place/place.ts";
import { foundOnServer, GRANTS_TO_LOOK, mayLook } from "../place/server-files.ts";
import { listElements } from "../../../providers/postgres/setting-value.ts";

/** With a name here that is no library, the server does not start, or no session does: not even one that could correct it. */
const PRELOADED = [
  "shared_preload_libraries",
  "session_preload_libraries",
  "local_preload_libraries",
] as const;

const LIBDIR = "SELECT setting FROM pg_catalog.pg_config() WHERE name = 'PKGLIBDIR'";

const SUFFIXES = ["", ".so", ".dylib", ".dll"];

/** Why libraries can't be preloaded, by setting: they are not installed, or this role may not look whether they are. */
export async function libraryProblems(
  pg: PgSession,
  { settings }: Place,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const problems = new Map<string, string>();
  for (const name of PRELOADED) {
    const value = wanted.get(name) ?? null;
    const libraries = value === null ? [] : listElements(textOf(value));
    if (libraries.length === 0) continue;
    const path = settings.get("dynamic_library_path")?.setting;
    if (path === undefined || !(await mayLook(pg, signal))) {
      const now = settings.get(name);
      // A library that is loaded already exists.
      const loaded = listElements(now?.reset_val ?? now?.setting ?? "");
      const unknown = libraries.filter((one) => !loaded.includes(one));
      if (unknown.length > 0)
        problems.set(
          name,
          `names ${shortened(unknown.join(", "))}, and ${pg.info.user} may not look whether the server has it (${GRANTS_TO_LOOK})`,
        );
      continue;
    }
    const libdir = String((await pg.ask(LIBDIR, [], { signal })).rows[0]?.["setting"]);
    const absent: string[] = [];
    for (const library of libraries) {
      const files = candidates(name, library, libdir, path);
      if ((await foundOnServer(pg, files, "file", signal)).size === 0) absent.push(library);
    }
    if (absent.length > 0) {
      const where = name === "local_preload_libraries" ? " (in $libdir/plugins)" : "";
      problems.set(
        name,
        `names a library that is not installed on the server${where}: ${shortened(absent.join(", "))}`,
      );
    }
  }
  return problems;
}

/** The files that the server tries for a library (dfmgr.c: expand_dynamic_library_name; miscinit.c: load_libraries). */
function candidates(setting: string, library: string, libdir: string, path: string): string[] {
  const expand = (one: string): string => one.replace(/^\$libdir(?=$|[/\\])/, () => libdir);
  const plain = !/[/\\]/.test(library);
  const at = (): string[] => {
    if (setting === "local_preload_libraries") {
      if (plain) return [`${libdir}/plugins/${library}`];
      // Anyone may set it, so that it reaches this folder only.
      return /^\$libdir\/plugins\/[^/\\]+$/.test(library) ? [expand(library)] : [];
    }
    if (!plain) return [expand(library)];
    return path.split(":").map((folder) => `${expand(folder)}/${library}`);
  };
  return at().flatMap((file) => SUFFIXES.map((suffix) => file + suffix));
}
