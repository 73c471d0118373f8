import { isIP } from "node:net";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { shortened, type Wanted } from "../../settings-file.ts";
import type { Place } from "./place.ts";
import { foundOnServer, GRANTS_TO_LOOK, mayLook } from "./server-files.ts";
import { valueAfter } from "./together.ts";
import { listElements } from "../../../providers/postgres/setting-value.ts";

/** Without one of these, where it is not empty, a server with ssl does not start. Relative to the data directory. */
const SSL_FILES = ["ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"];
const SOCKETS = "unix_socket_directories";

/** Files and folders that are to be there when the server starts and are not, by setting; what can't be looked at is warned of. */
export async function fileProblems(
  ctx: StepContext,
  pg: PgSession,
  place: Place,
  good: Wanted,
): Promise<Map<string, string>> {
  const after = (name: string): string => valueAfter(place, good, name);
  const turnsOn =
    good.has("ssl") && ["on", "true", "yes", "1"].includes(after("ssl").toLowerCase());
  const files = SSL_FILES.filter((name) => turnsOn || good.has(name)).flatMap((name) =>
    after(name) === "" ? [] : [{ name, paths: [after(name)], kind: "file" as const }],
  );
  // An abstract socket (@name) is in no folder.
  const folders = listElements(after(SOCKETS)).filter((path) => !path.startsWith("@"));
  const needed = [
    ...files,
    ...(good.has(SOCKETS) ? [{ name: SOCKETS, paths: folders, kind: "folder" as const }] : []),
  ].filter(({ paths }) => paths.length > 0);
  const problems = new Map<string, string>();
  if (needed.length === 0) return problems;
  if (!(await mayLook(pg, ctx.signal))) {
    const names = needed.map(({ name }) => name).join(", ");
    ctx.warn(
      `Whether the server has what ${names} ${needed.length === 1 ? "names" : "name"} is not checked: ${GRANTS_TO_LOOK}`,
    );
    return problems;
  }
  for (const { name, paths, kind } of needed) {
    const found = await foundOnServer(pg, paths, kind, ctx.signal);
    const absent = paths.filter((path) => !found.has(path));
    if (absent.length === 0) continue;
    // With ssl switched on, the server needs files that the new settings may not name: then `ssl` is at fault.
    problems.set(
      good.has(name) ? name : "ssl",
      `needs a ${kind} that is not on the server${good.has(name) ? "" : ` (${name})`}: ${shortened(absent.join(", "))}; the server would not start`,
    );
  }
  return problems;
}

/** A host's name by its form; what is all numbers is an address that is none. */
const NAME =
  /^(?=.*[a-z_])[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/** Why the server could not listen there, by the form alone; undefined when it may. */
export function addressProblem(text: string): string | undefined {
  const bad = listElements(text).filter(
    (one) => one !== "*" && isIP(one.replace(/%\w+$/, "")) === 0 && !NAME.test(one),
  );
  return bad.length === 0
    ? undefined
    : `names something that is neither an address nor a host: ${shortened(bad.join(", "))}; the server might not start`;
}
