import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import { isPublic, type Found, type Later, type Right, type Taken } from "./look.ts";

const WORDS = {
  table: "TABLE",
  sequence: "SEQUENCE",
  function: "ROUTINE",
  schema: "SCHEMA",
  database: "DATABASE",
  tables: "TABLES",
  sequences: "SEQUENCES",
  functions: "ROUTINES",
  schemas: "SCHEMAS",
} as const;

type What = Pick<Found, "keep" | "taken" | "kept" | "later">;

/** Those who keep it get it before it is taken, so that nobody lacks it for a moment. */
export function granting({ keep, kept, later }: What): string[] {
  return [
    ...together(kept, "role").map((all) => `GRANT ${listed(all)} TO ${roleOf(all[0].role)}`),
    ...later.flatMap((one) =>
      keep.map((role) => `${defaults(one)} GRANT ${rights(one)} TO ${roleOf(role)}`),
    ),
  ];
}

export function revoking({ taken, later }: What, from: string): string[] {
  return [
    ...asGrantor(taken, (all) => `REVOKE ${listed(all)} FROM ${roleOf(from)}`),
    ...later.map((one) => `${defaults(one)} REVOKE ${rights(one)} FROM ${roleOf(from)}`),
  ];
}

/** The way back: what was taken is given again as it was, and then what was given is taken. */
export function givingBack(what: What, from: string): string[] {
  const { keep, taken, kept, later } = what;
  return [
    ...asGrantor(
      taken,
      (all) => `GRANT ${listed(all)} TO ${roleOf(from)}${option(all[0].grantable)}`,
    ),
    ...later.map(
      (one) => `${defaults(one)} GRANT ${rights(one)} TO ${roleOf(from)}${option(one.grantable)}`,
    ),
    ...together(kept, "role").map((all) => `REVOKE ${listed(all)} FROM ${roleOf(all[0].role)}`),
    ...later.flatMap((one) =>
      keep.map((role) => `${defaults(one)} REVOKE ${rights(one)} FROM ${roleOf(role)}`),
    ),
  ];
}

type Some<T> = [T, ...T[]];

/** The rights on one thing that one statement can name. */
function together<T extends Right>(all: readonly T[], ...by: (keyof T)[]): Some<T>[] {
  const groups = Map.groupBy(all, (one) =>
    JSON.stringify([one.kind, one.oid, one.sub, ...by.map((key) => one[key])]),
  );
  return [...groups.values()] as Some<T>[];
}

/** A right belongs to who gave it: REVOKE by another one, a superuser too, leaves it where it is without a word. */
function asGrantor(all: readonly Taken[], write: (some: Some<Taken>) => string): string[] {
  return together(all, "grantor", "grantable").flatMap((some) => {
    const [{ grantor, owner }] = some;
    if (grantor === owner) return [write(some)];
    return [`SET LOCAL ROLE ${quoteIdent(grantor)}`, write(some), "RESET ROLE"];
  });
}

function listed(some: Some<Right>): string {
  const [{ kind, name, col }] = some;
  const column = col === null ? "" : ` (${quoteIdent(col)})`;
  return `${some.map(({ right }) => right + column).join(", ")} ON ${WORDS[kind]} ${name}`;
}

function defaults({ maker, schema }: Later): string {
  const where = schema === null ? "" : ` IN SCHEMA ${quoteIdent(schema)}`;
  return `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdent(maker)}${where}`;
}

const rights = ({ rights: words, kind }: Later): string => `${words} ON ${WORDS[kind]}`;
const roleOf = (role: string): string => (isPublic(role) ? "PUBLIC" : quoteIdent(role));
const option = (grantable: boolean): string => (grantable ? " WITH GRANT OPTION" : "");
