import { amount } from "../../../engine/shared/amount.ts";
import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { type Given, shortened, textOf, type Wanted } from "../../settings-file.ts";
import { addressProblem, fileProblems } from "../place/files.ts";
import { libraryProblems } from "./libraries.ts";
import type { Place } from "../place/place.ts";
import { nearestName, neededFor, type Setting } from "../../../providers/postgres/settings.ts";
import { belowPrimary, type Problem, together } from "../place/together.ts";
import { readValue } from "../../../providers/postgres/setting-value.ts";

/**
 * As `validated`, and then asks the server about what only it can judge (a time zone, a list of names): each value is set in a
 * transaction that is rolled back, where a session may do that.
 */
export async function validatedByServer(
  ctx: StepContext,
  pg: PgSession,
  place: Place,
  wanted: Wanted,
): Promise<Wanted> {
  const { signal } = ctx;
  const good = validated(pg, place, wanted);
  const problems: Problem[] = [];
  for (const [name, value] of good) {
    const context = place.settings.get(name.toLowerCase())?.context;
    if (value === null || (context !== "user" && context !== "superuser")) continue;
    try {
      await pg.transaction({ readOnly: true, signal }, (run) =>
        run("SELECT set_config($1, $2, true)", [name, textOf(value)]),
      );
    } catch (thrown) {
      const error = toPgdbaError(thrown);
      // A role that may not set it in a session may still be allowed to configure it.
      if (error.code === "query_failed")
        problems.push({ name, value, problem: `is refused by the server: ${error.message}` });
      else if (error.code !== "insufficient_privilege") throw error;
    }
  }
  const files = await fileProblems(ctx, pg, place, good);
  for (const [name, problem] of [...(await libraryProblems(pg, place, good, signal)), ...files])
    problems.push({ name, value: good.get(name) ?? null, problem });
  if (problems.length > 0) throw refusal(problems, wanted.size);
  return good;
}

/**
 * The wanted values by the settings' own names, after every one of them was found good: its name, type, unit, range, choices and
 * context, and what only holds for several together.
 * @throws PgdbaError invalid_param that names all that are bad, in its data too
 */
function validated(pg: PgSession, place: Place, wanted: Wanted): Wanted {
  const good: Wanted = new Map();
  const problems: Problem[] = [];
  for (const [name, value] of wanted) {
    const setting = place.settings.get(name.toLowerCase());
    const problem = setting === undefined ? unknown(name, place) : problemOf(place, setting, value);
    if (problem !== undefined) problems.push({ name, value, problem });
    else if (setting !== undefined) good.set(setting.name, value);
  }
  if (problems.length === 0)
    problems.push(...together(place, good), ...belowPrimary(pg, place, good));
  if (problems.length > 0) throw refusal(problems, wanted.size);
  return good;
}

function refusal(problems: Problem[], of: number): PgdbaError {
  return new PgdbaError(
    "invalid_param",
    `${problems.length} of ${amount(of, "setting")} can't be applied: ${problems.map(({ name, problem }) => `${shortened(name)} ${problem}`).join("; ")}`,
    {
      hint: "Nothing was changed. Correct these, then run again.",
      data: {
        problems: problems.map(({ name, value, problem }) => ({
          name: shortened(name),
          value: typeof value === "string" ? shortened(value) : value,
          problem,
        })),
      },
    },
  );
}

function unknown(name: string, { settings }: Place): string {
  const near = nearestName(
    name,
    [...settings.values()].map((setting) => setting.name),
  );
  if (near !== undefined) return `is not a setting of this server; did you mean ${near}?`;
  return name.includes(".")
    ? "is not known to this server: its extension is not loaded (shared_preload_libraries)"
    : "is not a setting of this server";
}

function problemOf(place: Place, setting: Setting, value: Given): string | undefined {
  if (neededFor(setting.context) === "never")
    return "is fixed when the server is built or the cluster is made";
  if (value !== null) {
    const read = readValue(setting, textOf(value));
    if ("problem" in read) return `${read.problem}, not ${shortened(JSON.stringify(value))}`;
    const address = setting.name === "listen_addresses" ? addressProblem(textOf(value)) : undefined;
    if (address !== undefined) return address;
  }
  return place.refuses(setting, value);
}
