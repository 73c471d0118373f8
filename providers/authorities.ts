import { readText } from "../engine/shared/read-file.ts";

/** All authorities that a system trusts are some 250 kB. */
const MAX_BYTES = 4 * 1024 * 1024;

/** The certificates of the authorities to trust, as PEM; `key` of the cluster's file names theirs. @throws PgdbaError invalid_config */
export function authoritiesIn(cafile: string | undefined, key: string): string | undefined {
  if (cafile === undefined) return undefined;
  return readText(cafile, {
    maxBytes: MAX_BYTES,
    code: "invalid_config",
    hint: `Check ${key} in the cluster's file: it must name the certificates of the authorities to trust.`,
  });
}
