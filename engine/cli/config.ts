import { join, resolve } from "node:path";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { readTextIfThere } from "../shared/read-file.ts";
import type { Json, JsonSchema } from "../types.ts";
import { globalFlags } from "./args.ts";
import { type Format, FORMATS } from "./format.ts";
import type { Environment, Front } from "./front.ts";

/** The operator's own settings: `config.yaml` in the state folder, or the file of `--config`. */
export interface Config {
  format?: Format;
  /** Allows step types from `.pgdba/steps/` of the current folder and of the state folder. */
  user_steps?: boolean;
}

export const CONFIG_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    format: {
      type: "string",
      enum: [...FORMATS],
      description:
        "The format of envelopes when neither --format nor PGDBA_FORMAT is given; `auto` is a table on a terminal, else json",
    },
    user_steps: {
      type: "boolean",
      description: "Allows step types of your own, from `.pgdba/steps/` and the state folder",
    },
  },
};

/** The folder of everything that is kept for this user: PGDBA_HOME, or `~/.pgdba`. */
export function stateDirOf(front: Pick<Front, "env" | "home">): string {
  return front.env["PGDBA_HOME"] || join(front.home, ".pgdba");
}

/** The machine-wide folders. PGDBA_ETC adds one: what the machine's administrator has laid down holds all the same. */
export function systemDirsOf(env: Environment): string[] {
  return [...new Set(["/etc/pgdba", ...(env["PGDBA_ETC"] ? [env["PGDBA_ETC"]] : [])])];
}

/** At most what a document may have. */
const MAX_BYTES = 1024 * 1024;
const HINT = "Mend the file, or move it away.";

/** The file that holds the configuration, and whether somebody named it. */
export function configFileOf(front: Pick<Front, "argv" | "cwd" | "env" | "home">): {
  file: string;
  named: boolean;
} {
  const named = globalFlags(front.argv).flags["config"];
  return typeof named === "string"
    ? { file: resolve(front.cwd, named), named: true }
    : { file: join(stateDirOf(front), "config.yaml"), named: false };
}

/** Without a file the configuration is empty; one that was named must be there. @throws PgdbaError invalid_config */
export async function loadConfig(
  front: Pick<Front, "argv" | "cwd" | "env" | "home">,
): Promise<Config> {
  const { file, named } = configFileOf(front);
  const as = { maxBytes: MAX_BYTES, code: "invalid_config", hint: HINT } as const;
  const text = readTextIfThere(file, as);
  if (text === undefined && named)
    throw new PgdbaError("invalid_config", `There is no configuration ${file}`, {
      hint: "Name a file that exists, or leave --config out.",
    });
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
