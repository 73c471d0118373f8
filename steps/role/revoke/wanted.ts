import { PgdbaError } from "../../../engine/errors.ts";
import type { Wanted } from "./look.ts";

type Lists = Omit<Wanted, "from" | "schema" | "own">;
type Input = { [name in keyof Lists]?: readonly string[] | undefined } & {
  from: string;
  schema?: string | null | undefined;
  others_lose?: boolean | undefined;
};

/** @throws PgdbaError invalid_param where nobody can tell what is meant */
export function wantedOf(input: Input, own: readonly string[] = []): Wanted {
  const { tables = [], sequences = [], functions = [], makers = [], keep = [] } = input;
  const schema = input.schema ?? null;
  const named = Object.entries({ tables, sequences, functions }).flatMap(([kind, names]) =>
    names.length > 0 ? [kind] : [],
  );
  const given = [...new Set([...named, ...(input.on ?? [])])];
  const on = given.length > 0 || schema === null ? given : ["tables", "sequences"];
  const wide = on.filter((kind) => !["database", "future"].includes(kind));
  if (
    schema === null &&
    wide.length > 0 &&
    (makers.length === 0 || named.length > 0 || wide.includes("schema"))
  )
    throw usage(`No schema is named whose ${wide.join(", ")} are meant`);
  if (on.length === 0 && makers.length === 0)
    throw usage("It is not said what rights are to be taken of");
  if (on.includes("future") && makers.length === 0)
    throw usage("It is not said whose default privileges are meant");
  const rights = (input.rights ?? []).map((right) => right.toUpperCase());
  return { from: input.from, schema, on, tables, sequences, functions, rights, makers, keep, own };
}

function usage(message: string): PgdbaError {
  return new PgdbaError("invalid_param", message, {
    hint: "For example `pgdba role revoke PUBLIC billing --keep app`, `--on functions`, `--on database --rights CONNECT`, or `--on future --future-by owner`.",
  });
}
