import { marked } from "../own.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Run } from "../session.ts";
import { asCatalogue } from "./as-catalogue.ts";
import { addNames, placesOf } from "./guard.ts";
import { SUSPECTS } from "./questions.ts";
import { EXTENSIONS, READS, runsText, SEQUENCES } from "./harmless.ts";
import { type Rule, STATEMENT } from "./judge.ts";
import { type Called, quoted } from "./names.ts";
import type { Reading } from "./reading.ts";
import { Search } from "./search.ts";
import { wordsIn } from "./words.ts";

const READ: Rule = {
  harmless: READS,
  refuse: (why) =>
    new PgdbaError("step_refused", `The statement is not run: ${why}`, {
      hint: "A read step only reads: sql.execute does more, and query/change changes rows. A function that only reads must say so: ALTER FUNCTION … STABLE.",
      data: { rule: "acting-function" },
    }),
};

interface Suspect {
  what: "function" | "operator" | "relation" | "type" | "always" | "place";
  name: string;
  schema: string | null;
  builtin: boolean;
  volatile: boolean;
  extension: string | null;
}

/**
 * The statements that may do more than reading on this server, each with the reason. Names are looked up by the
 * search_path of the transaction that `run` is in. One question when everything that is named comes with the server.
 */
export async function refuseActing(
  run: Run,
  readings: readonly Reading[],
): Promise<Map<Reading, PgdbaError>> {
  const named = readings.flatMap(({ names }) => names ?? []);
  const relations = [...new Set(named.flatMap((names) => names.relations.map(quoted)))];
  const called = (key: "functions" | "operators"): string[] => [
    ...new Set(named.flatMap((names) => names[key].map(({ name }) => name))),
  ];
  const functions = [...called("functions"), ...named.flatMap(({ columns }) => columns)];
  const words = [...new Set(readings.flatMap(({ text }) => wordsIn(text).words))];
  const { rows } = await run(marked(SUSPECTS), [relations, functions, called("operators"), words]);
  const suspects = (rows as unknown as Suspect[]).filter(isSuspect);
  const places = (rows as unknown as Suspect[])
    .filter(({ what }) => what === "place")
    .map(({ name }) => name);
  const doubtful = readings.filter((one) => isDoubtful(one, suspects, places));
  const refused = new Map<Reading, PgdbaError>();
  if (doubtful.length === 0 || (await searched(run, doubtful)) === null) return refused;
  for (const one of doubtful) {
    const error = await searched(run, [one]);
    if (error !== null) refused.set(one, error);
  }
  return refused;
}

/** @throws PgdbaError step_refused when it may do more than reading on this server */
export async function assertReads(run: Run, reading: Reading): Promise<void> {
  const [error] = (await refuseActing(run, [reading])).values();
  if (error !== undefined) throw error;
}

/** The server's statements about its own functions, and those of extensions about their C functions, are believed. */
function isSuspect({ what, name, builtin, volatile, extension }: Suspect): boolean {
  if (what === "place") return false;
  if (what !== "function") return true;
  if (SEQUENCES.has(name) || runsText(name, extension)) return true;
  if (builtin) return volatile && !READS.has(name);
  if (extension === null) return true;
  return volatile && EXTENSIONS[extension]?.has(name) !== true;
}

function isDoubtful(
  { text, names }: Reading,
  suspects: readonly Suspect[],
  places: string[],
): boolean {
  if (names === null || suspects.length === 0) return false;
  const words = new Set(wordsIn(text).words);
  const columns = new Set(names.columns);
  const meant = (called: readonly Called[], { name, schema }: Suspect): boolean =>
    called.some(
      (one) =>
        one.name === name && (placesOf(one.schema, places)?.includes(String(schema)) ?? true),
    );
  return suspects.some((suspect) => {
    switch (suspect.what) {
      case "function":
        return (
          meant(names.functions, suspect) ||
          (columns.has(suspect.name) && places.includes(String(suspect.schema)))
        );
      case "operator":
        // A construct that the grammar writes in another way (CASE, IN, BETWEEN) is an operator too.
        return suspect.schema === null || meant(names.operators, suspect);
      case "relation":
        return names.relations.some((one) => quoted(one) === suspect.name);
      case "type":
        return words.has(suspect.name);
      default:
        return true;
    }
  });
}

/** Null when nothing stands against any of them. */
async function searched(run: Run, readings: readonly Reading[]): Promise<PgdbaError | null> {
  const search = new Search(run, READ);
  try {
    for (const { text, names, level } of readings) {
      if (names !== null) await addNames(run, search, names, level);
      search.addTypes(wordsIn(text).words, { by: STATEMENT, level });
    }
    const worst = readings.reduce(
      (most, { level }) => (level > most ? level : most),
      readings[0]?.level ?? 0,
    );
    await asCatalogue(run, () => search.finish(worst));
    return null;
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "step_refused") return error;
    throw error;
  }
}
