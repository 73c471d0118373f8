import { PgdbaError } from "../../../engine/errors.ts";
import type { Doc, Finding } from "../../../engine/types.ts";
import { isConflict } from "../../../providers/postgres/errors.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import { refuseActing } from "../../../providers/postgres/guard/acting.ts";
import {
  lintReading,
  readReading,
  type Reading,
} from "../../../providers/postgres/guard/reading.ts";
import { asNamed, identifiersOf, placeIdentifiers } from "../../sql/input.ts";
import type { Check } from "./check.ts";
import type { Limits } from "../examine/limits.ts";

/** A check as it is about to be run. */
export interface Runnable {
  check: Check;
  sql: string;
  /** The statement that sets the search_path for it. */
  path: string;
}

/**
 * The checks that may do more than reading, each with the reason. Checks that come with pgdba were judged before
 * they were shipped (by `lint`, and by the tests on every version): they cost no round trip.
 */
export async function refuseChecks(
  pg: PgSession,
  runnable: readonly Runnable[],
  limits: Limits,
): Promise<Map<Check, PgdbaError>> {
  const refused = new Map<Check, PgdbaError>();
  const asked: (Runnable & { reading: Reading })[] = [];
  for (const one of runnable.filter(({ check }) => check.shipped !== true)) {
    try {
      asked.push({ ...one, reading: await readReading(one.sql, true) });
    } catch (error) {
      refused.set(one.check, refusal(error));
    }
  }
  const together = async (some: typeof asked): Promise<void> => {
    if (some.length === 0) return;
    try {
      for (const [check, error] of await judge(pg, some, limits)) refused.set(check, error);
    } catch (error) {
      if (!pg.alive() || limits.signal.aborted || isConflict(error)) throw error;
      // A check may name an object that this user may not even look for: the others are judged without it.
      if (some.length === 1 && some[0] !== undefined) refused.set(some[0].check, refusal(error));
      else for (const one of some) await together([one]);
    }
  };
  await together(asked);
  return refused;
}

async function judge(
  pg: PgSession,
  asked: readonly (Runnable & { reading: Reading })[],
  limits: Limits,
): Promise<Map<Check, PgdbaError>> {
  const refused = new Map<Check, PgdbaError>();
  const byPath = Map.groupBy(asked, ({ path }) => path);
  await pg.transaction({ readOnly: true, ...limits }, async (run: Run) => {
    for (const [path, some] of byPath) {
      await run(path);
      const found = await refuseActing(
        run,
        some.map(({ reading }) => reading),
      );
      for (const { check, reading } of some) {
        const error = found.get(reading);
        if (error !== undefined) refused.set(check, error);
      }
    }
  });
  return refused;
}

function refusal(error: unknown): PgdbaError {
  if (error instanceof PgdbaError) return error;
  throw error;
}

/** The places where a check's SQL does more than reading, as far as the text shows, and names in it that stand for nothing. */
export async function lintCheck(doc: Doc): Promise<Finding[]> {
  const { sql, variants = [], extension } = doc.data as unknown as Check;
  const texts: { path: (string | number)[]; text: string }[] = [
    { path: ["sql"], text: sql },
    ...variants.map((variant, at) => ({ path: ["variants", at, "sql"], text: variant.sql })),
  ];
  const found = await Promise.all(
    texts.map(async ({ path, text }) => {
      const unknown = identifiersOf(text).filter(
        (name) => name !== "extension" || extension === undefined,
      );
      const faults = await lintReading(placeIdentifiers(text, asNamed(text)), true);
      return [
        ...unknown.map((name) => ({
          path,
          rule: "missing-identifier",
          message: `:"${name}" has no meaning here`,
          hint: 'Only :"extension" does, in a check that says its `extension`.',
        })),
        ...faults.map((fault) => ({ path, ...fault })),
      ];
    }),
  );
  return found.flat();
}
