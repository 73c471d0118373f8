import { statSync } from "node:fs";
import { toPgdbaError } from "../../engine/errors.ts";
import { errnoOf, readText } from "../../engine/shared/read-file.ts";
import type { ConnectionSpec } from "./connect.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * The password that libpq's password file has for a connection. The file is ignored when others may read it. Format: libpq documentation,
 * "The Password File".
 */
export function passwordIn(
  path: string,
  spec: Pick<ConnectionSpec, "host" | "port" | "database" | "user">,
  ignored: (why: string, missing: boolean) => void,
): string | undefined {
  let text: string;
  try {
    text = readText(path, { maxBytes: MAX_BYTES });
    if ((statSync(path).mode & 0o077) !== 0) {
      ignored(`${path} is ignored: others may read it; make it mode 0600`, false);
      return undefined;
    }
  } catch (error) {
    const why = `The password file is ignored: ${toPgdbaError(error).message}`;
    ignored(why, errnoOf(error) === "ENOENT");
    return undefined;
  }
  const host = spec.host.startsWith("/") ? "localhost" : spec.host;
  const wanted = [host, String(spec.port), spec.database, spec.user];
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const fields = [...line.replace(/\r$/, "").matchAll(/((?:\\.|[^\\:])*)(?::|$)/g)].map((match) =>
      unescape(match[1] ?? ""),
    );
    if (fields.length < 5) continue;
    const matches = wanted.every(
      (value, index) => fields[index] === "*" || fields[index] === value,
    );
    if (matches) return fields[4] === "" ? undefined : fields[4];
  }
  return undefined;
}

function unescape(field: string): string {
  return field.replace(/\\(.)/g, "$1");
}
