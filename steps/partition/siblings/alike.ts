import { quoteIdent, quoteLiteral } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import SIBLINGS from "../sql/siblings.sql" with { type: "text" };

const TIMEOUT_MS = 30_000;

export interface Granted {
  role: string;
  rights: string;
}

interface Siblings {
  grants: (Granted & { passes: boolean; all_have: boolean; having: number; of: number })[];
  options: { name: string; value: string }[];
  /** Row security of their own, which a new one does not have. */
  guarded: boolean;
}

export interface Alike {
  granted: Granted[];
  statements: string[];
  warnings: string[];
}

/** What makes a new partition like those beside it: the grants and storage parameters that all of them have. What only some have is told. */
export async function alike(
  pg: PgSession,
  { schema, table }: { schema: string; table: string },
  made: string,
): Promise<Alike> {
  const { rows } = await pg.query(SIBLINGS, [schema, table], { timeoutMs: TIMEOUT_MS });
  return alikeOf(rows[0] as unknown as Siblings, made);
}

function alikeOf({ grants, options, guarded }: Siblings, made: string): Alike {
  const given = guarded ? [] : grants.filter((one) => one.all_have);
  return {
    granted: given.map(({ role, rights }) => ({ role, rights })),
    statements: [
      ...(options.length === 0
        ? []
        : [
            `ALTER TABLE ${made} SET (${options.map(({ name, value }) => `${quoteIdent(name)} = ${quoteLiteral(value)}`).join(", ")})`,
          ]),
      ...given.map((one) => grant(one, made)),
    ],
    warnings: grants
      .filter((one) => !given.includes(one))
      .map((one) =>
        one.all_have
          ? `${one.role} may ${one.rights} the other partitions, whose row security ${made} does not have, and so not ${made}: with policies of its own, ${grant(one, made)}`
          : `${one.role} may ${one.rights} some of the other partitions only (${one.having} of ${one.of}), and so not ${made}: where it is to, ${grant(one, made)}`,
      ),
  };
}

function grant({ role, rights, passes }: Siblings["grants"][number], made: string): string {
  return `GRANT ${rights} ON ${made} TO ${role}${passes ? " WITH GRANT OPTION" : ""}`;
}
