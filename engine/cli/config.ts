import { join } from "node:path";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { readTextIfThere } from "../shared/read-file.ts";
import type { Json, JsonSchema } from "../types.ts";
import type { Environment, Front } from "./front.ts";

/** The operator's own settings: `config.yaml` in the state folder. */
export interface Config {
  format?: "json" | "table" | "yaml";
  /** Allows step types from `.pgdba/steps/` of the current folder and of the state folder. */
  user_steps?: boolean;
}

export const CONFIG_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    format: {
      type: "string",
      enum: ["json", "table", "yaml"],
      description: "How envelopes are printed when no --format asks for another form",
    },
    user_steps: {
      type: "boolean",
      description: "Allows step types of your own, from `.pgdba/steps/` and the state folder",
    },
  },
};

/** Where everything of this user is kept: PGDBA_HOME, or `~/.pgdba`. */
export function stateDirOf(front: Pick<Front, "env" | "home">): string {
  return front.env["PGDBA_HOME"] || join(front.home, ".pgdba");
}

/** The machine-wide folder; PGDBA_ETC moves it. */
export function systemDirOf(env: Environment): string {
  return env["PGDBA_ETC"] || "/etc/pgdba";
}

/** At most what a document may have. */
const MAX_BYTES = 1024 * 1024;
const HINT = "Mend the file, or move it away.";

/** @throws PgdbaError invalid_config */
export async function loadConfig(stateDir: string): Promise<Config> {
  const file = join(stateDir, "config.yaml");
  const as = { maxBytes: MAX_BYTES, code: "invalid_config", hint: HINT } as const;
  const text = readTextIfThere(file, as);
  if (text === undefined) return {};
  const { parseDocument } = await import("../load/parse.ts");
  const { validate } = await import("../check/validate.ts");
  let data: Config;
  try {
    data = (parseDocument(text, file).data ?? {}) as Config;
  } catch (cause) {
    const { message, where, hint } = toPgdbaError(cause);
    throw new PgdbaError("invalid_config", `${file}: ${message}`, {
      where,
      hint: hint ?? HINT,
      cause,
    });
  }
  const problems = validate(CONFIG_SCHEMA, data as Json, "the configuration");
  if (problems.length > 0) {
    throw new PgdbaError(
      "invalid_config",
      `${file}: ${problems.map((p) => p.message).join("; ")}`,
      { hint: problems.find((p) => p.hint)?.hint ?? HINT },
    );
  }
  return data;
}
