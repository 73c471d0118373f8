import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import type { JsonSchema } from "../types.ts";
import type { Environment, Front } from "./front.ts";

/** The operator's own settings: `config.yaml` in the state folder. */
export interface Config {
  format?: "json" | "table" | "yaml";
  /** Allows step types from `.pgdba/steps/` of the current folder and of the state folder. */
  user_steps?: boolean;
}

const SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    format: { type: "string", enum: ["json", "table", "yaml"] },
    user_steps: { type: "boolean" },
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

/** @throws PgdbaError invalid_config */
export async function loadConfig(stateDir: string): Promise<Config> {
  const file = join(stateDir, "config.yaml");
  if (!existsSync(file)) return {};
  const { parseDocument } = await import("../load/parse.ts");
  const { validate } = await import("../check/validate.ts");
  const { data } = parseDocument(readFileSync(file, "utf8"), file);
  const problems = validate(SCHEMA, data ?? {}, "the configuration");
  if (problems.length > 0) {
    throw new PgdbaError(
      "invalid_config",
      `${file}: ${problems.map((p) => p.message).join("; ")}`,
      {
        hint: problems.find((p) => p.hint)?.hint ?? "Mend the file, or move it away.",
      },
    );
  }
  return (data ?? {}) as Config;
}
