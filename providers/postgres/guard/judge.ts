import { PgdbaError } from "../../../engine/errors.ts";
import { BUILTIN, CONSTRUCTOR, EXTENSIONS, runsText, SEQUENCES } from "./harmless.ts";
import { type Level, PLANNED, type Way } from "./pending.ts";

export interface FunctionRow {
  oid: string;
  name: string;
  schema: string;
  shown: string;
  builtin: boolean;
  volatile: boolean;
  set: boolean;
  aggregate: boolean;
  language: string;
  extension: string | null;
  /** Takes what SQL can't give, so that only the server calls it. */
  internal: boolean;
  symbol: string;
  takes_row: boolean;
  source: string | null;
  arguments: string | null;
  parts: string[];
  types: string[];
}

/** Planning evaluates neither volatile functions nor those that give sets, nor aggregates. */
export function happens(row: FunctionRow, level: Level): boolean {
  return level !== PLANNED || !(row.volatile || row.set || row.aggregate);
}

/** @throws PgdbaError step_refused when what a function does may outlive a rollback, or can't be told */
export function refuseUnsafe(row: FunctionRow, way: Way, { refuse, harmless }: Rule): void {
  const { builtin, extension, language, name, shown } = row;
  const whose = way.by === STATEMENT ? "it calls" : `${way.by} calls`;
  if (builtin && SEQUENCES.has(name)) {
    if (way.fills === true) return;
    throw refuse(`${whose} ${shown}, which moves a sequence for good`);
  }
  if ((builtin || extension !== null) && runsText(name, extension))
    throw refuse(`${whose} ${shown}, which runs what a text names`);
  if (builtin ? harmless.has(name) : EXTENSIONS[extension ?? ""]?.has(name)) return;
  if ((builtin || extension !== null) && row.internal) return;
  if (row.volatile)
    throw refuse(`${whose} ${shown}, which is volatile: what it does may outlive a rollback`);
  if (builtin || extension !== null || row.aggregate) return;
  if (language === "internal" && CONSTRUCTOR.test(row.symbol)) return;
  if (language !== "sql" && language !== "plpgsql")
    throw refuse(`${whose} ${shown}, a function in ${language}, whose doings can't be seen`);
  if (/\bexecute\b/i.test(row.source ?? ""))
    throw refuse(`${whose} ${shown}, which runs SQL that it makes up`);
}

export const STATEMENT = "the statement";

export type Refuse = (why: string) => PgdbaError;

/** By what a search judges. */
export interface Rule {
  refuse: Refuse;
  /** Volatile functions of the server's that may be called all the same. */
  harmless: ReadonlySet<string>;
}

export const EXECUTED: Rule = {
  harmless: BUILTIN,
  refuse: (why) =>
    new PgdbaError("step_refused", `The statement is not executed: ${why}`, {
      hint: "Leave analyze out for the plan with its estimates, or take the function, trigger or table out of the statement.",
    }),
};

export const ONLY_PLANNED: Rule = {
  harmless: BUILTIN,
  refuse: (why) =>
    new PgdbaError(
      "step_refused",
      `The statement is not planned: ${why}, and planning itself would run it`,
      {
        hint: "The planner evaluates functions that are not VOLATILE: look at who owns it, or take it out of the statement.",
      },
    ),
};
