import PRIVILEGES from "../sql/widening-privileges.sql" with { type: "text" };
import { PgdbaError } from "../../../engine/errors.ts";
import { quoteIdent, quoteName } from "../../../providers/planner/twin/names.ts";
import { besideName } from "./beside.ts";
import type { Detail } from "./facts.ts";
import { type Ask, tableName } from "./find.ts";

/** Roles are quoted where they need it. */
export interface Grant {
  grantor: string;
  grantee: string;
  privilege: string;
  grantable: boolean;
  by_owner: boolean;
}

/** A column, or, without one, a sequence; names are quoted, but for that of the column. */
interface Thing {
  relation: string;
  column: string | null;
}

/** What is granted on the things that a swap makes anew: the columns, and the sequences of identities. */
export type Granted = readonly (Thing & { grants: readonly Grant[] })[];

async function grantsOn(ask: Ask, { relation, column }: Thing): Promise<Grant[]> {
  return (await ask(PRIVILEGES, [relation, column])).rows as unknown as Grant[];
}

/** Read under the locks, so that nobody grants anything more on what is about to go. */
export async function grantedOn(ask: Ask, details: readonly Detail[]): Promise<Granted> {
  const things: Thing[] = details.flatMap(({ column, owned }) => [
    { relation: tableName(column), column: column.name },
    ...owned
      .filter(({ identity }) => identity)
      .map(({ schema, name }) => ({ relation: quoteName(schema, name), column: null })),
  ]);
  const granted = [];
  for (const thing of things) granted.push({ ...thing, grants: await grantsOn(ask, thing) });
  return granted;
}

/**
 * Grants the same on the new ones, and nothing else: what a default privilege gave to a new sequence is taken away.
 * @throws PgdbaError step_refused when it does not come out the same
 */
export async function grantAgain(ask: Ask, granted: Granted): Promise<void> {
  for (const { grants, ...thing } of granted) {
    const given = await grantsOn(ask, thing);
    if (same(given, grants)) continue;
    for (const sql of revokeStatements(thing, given)) await ask(sql);
    for (const sql of grantStatements(thing, grants)) await ask(sql);
    if (!same(await grantsOn(ask, thing), grants))
      throw new PgdbaError(
        "step_refused",
        `The privileges on ${thing.relation}${thing.column === null ? "" : `, column ${thing.column},`} can't be granted again as they were`,
        { hint: "Nothing was done. Take them away and grant them again afterwards." },
      );
  }
}

const textOf = ({ grantor, grantee, privilege, grantable }: Grant): string =>
  JSON.stringify([grantor, grantee, privilege, grantable]);

function same(one: readonly Grant[], other: readonly Grant[]): boolean {
  const texts = (grants: readonly Grant[]) => grants.map(textOf).toSorted().join();
  return texts(one) === texts(other);
}

function revokeStatements({ relation, column }: Thing, grants: readonly Grant[]): string[] {
  const what =
    column === null
      ? `ALL ON SEQUENCE ${relation}`
      : `ALL (${quoteIdent(column)}) ON TABLE ${relation}`;
  return [...new Set(grants.map(({ grantee }) => `REVOKE ${what} FROM ${grantee} CASCADE`))];
}

/** Whatever was granted by somebody else than the owner is granted by them again. */
export function grantStatements({ relation, column }: Thing, grants: readonly Grant[]): string[] {
  return grants.flatMap(({ grantor, grantee, privilege, grantable, by_owner }) => {
    const what =
      column === null
        ? `${privilege} ON SEQUENCE`
        : `${privilege} (${quoteIdent(column)}) ON TABLE`;
    const sql = `GRANT ${what} ${relation} TO ${grantee}${grantable ? " WITH GRANT OPTION" : ""}`;
    return by_owner ? [sql] : [`SET LOCAL ROLE ${grantor}`, sql, "RESET ROLE"];
  });
}

/** Whoever may read each column of the table by a grant of its own reads the one beside it as well: `SELECT *` goes on. */
export async function readableBeside(
  ask: Ask,
  { column }: Pick<Detail, "column">,
): Promise<string[]> {
  const grants = await grantsOn(ask, { relation: tableName(column), column: column.name });
  const readers = grants.filter(({ privilege }) => privilege === "SELECT");
  return [...new Set(readers.map(({ grantee }) => grantee))].map(
    (grantee) => `GRANT SELECT (${besideName(column)}) ON TABLE ${tableName(column)} TO ${grantee}`,
  );
}
