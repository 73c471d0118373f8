import { join } from "node:path";
import { PgdbaError } from "../../errors.ts";
import { readTextIfThere } from "../../shared/read-file.ts";
import { writeWhole } from "../../shared/write-file.ts";
import { statSync } from "node:fs";
import { stateDirOf } from "../config.ts";
import type { Front } from "../front.ts";

const VARIABLE = "PGDBA_MCP_TOKEN";
const SHORTEST = 24;

/**
 * The token of the HTTP door: the variable's, else that of `mcp.token` in the state folder, which is made where it is not there. @throws PgdbaError
 * invalid_config for one that others can read, or that is short enough to be guessed
 */
export async function tokenOf(front: Front): Promise<{ token: string; from: string }> {
  const said = front.env[VARIABLE];
  if (said) return { token: checked(front, said, VARIABLE), from: VARIABLE };
  const file = join(stateDirOf(front), "mcp.token");
  const text = readTextIfThere(file, { maxBytes: 4_096 });
  if (text === undefined) {
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
    await writeWhole(file, `${token}\n`, { mode: 0o600 });
    return { token: checked(front, token, file), from: file };
  }
  if ((statSync(file).mode & 0o077) !== 0)
    throw new PgdbaError("invalid_config", `${file} can be read by others`, {
      hint: `chmod 600 ${file}`,
    });
  return { token: checked(front, text.trim(), file), from: file };
}

function checked(front: Front, token: string, from: string): string {
  front.secrets.add(token);
  if (token.length >= SHORTEST && /^[\w.~+/=-]+$/.test(token)) return token;
  throw new PgdbaError("invalid_config", `The token of ${from} is no good one`, {
    hint: `Use at least ${SHORTEST} letters and digits; without one, pgdba makes it.`,
  });
}
