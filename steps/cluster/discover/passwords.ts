/** Passwords of what is taken over, by the variables that hold them. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";

/** The variable that pgdba and libpq read a password from, when it is set. */
export function usual(env: StepContext["env"]): string | undefined {
  return ["PGDBA_PG_PASSWORD", "PGPASSWORD"].find((name) => (env[name] ?? "") !== "");
}

/** Has the passwords masked everywhere. @throws PgdbaError missing_secret with all variables that are not set */
export function announce(ctx: StepContext, names: readonly (string | null | undefined)[]): void {
  const given = names.filter((name) => name != null);
  const missing = given.filter((name) => (ctx.env[name] ?? "") === "");
  if (missing.length > 0) {
    throw new PgdbaError("missing_secret", `Not set: ${[...new Set(missing)].join(", ")}`, {
      hint: "These variables were named as those that hold passwords; set them in the environment.",
      data: { missing: [...new Set(missing)] },
    });
  }
  for (const name of given) ctx.secret(ctx.env[name]!);
}
