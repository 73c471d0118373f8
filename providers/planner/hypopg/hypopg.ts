import { PgdbaError } from "../../../engine/errors.ts";
import { movedBack } from "../../parameters/rewrite.ts";
import { hasParameters } from "../../parameters/spelling.ts";
import { planTyped } from "../../parameters/typed.ts";
import { exposureOf } from "../../postgres/exposure.ts";
import type { PgSession } from "../../postgres/session.ts";
import type { Catalogue, Limit } from "../twin/catalogue.ts";
import { type IndexDef, indexSql } from "../twin/index-def.ts";
import { estimatedBytes } from "../twin/index-size.ts";
import { quoteIdent } from "../twin/names.ts";
import {
  COUNT_PARAMETERS,
  genericStatements,
  type PlanNode,
  planOf,
  wholePlan,
  WITHOUT_PRUNING,
} from "../twin/plan.ts";
import type { ExplainOptions, Planner, Pretended } from "../planner.ts";

const EXTENSION = `SELECT n.nspname AS schema, e.extversion AS version FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'`;
const BACKEND = "SELECT pg_catalog.pg_backend_pid()";

/** A plan takes milliseconds; one that waits for a lock shall not hold up others. */
const LIMITS = { timeoutMs: 60_000, lockTimeoutMs: 2000 };
const EXPLAIN = "EXPLAIN /* pgdba */ (FORMAT JSON) ";
/** The name of an index in plans: `<13543>btree_orders_customer`. */
const HYPOTHETICAL = /^<(\d+)>/;
const REFUSED: ReadonlySet<string> = new Set(["query_failed", "unsupported"]);
/** Access methods that the extension can pretend (hypopg_index.c). */
const METHODS = new Set(["btree", "brin", "hash", "bloom"]);

/**
 * The server's own planner, with indexes that the extension hypopg makes it believe in, for this session only: nothing is written,
 * no other session sees them. One READ ONLY transaction a plan, so that no lock on a table outlives it.
 * @param session used by nobody else; `close` closes it
 * @throws PgdbaError unsupported where the extension is not installed
 */
export async function openHypopg(
  session: PgSession,
  catalogue: Catalogue,
  signal?: AbortSignal,
): Promise<Planner> {
  if (session.info.pooled) throw pooled();
  await refuseExposed(session, signal);
  const { rows } = await session.query(EXTENSION, [], { ...LIMITS, signal });
  const [found] = rows;
  if (found === undefined) {
    throw new PgdbaError("unsupported", "This database does not have the extension hypopg", {
      hint: "Install its package and run CREATE EXTENSION hypopg, or prove on the twin, which needs nothing on the server.",
    });
  }
  const [major = 0, minor = 0] = String(found["version"]).split(".").map(Number);
  return new Hypopg(session, catalogue, {
    major: Math.floor(session.info.version_num / 10_000),
    schema: quoteIdent(String(found["schema"])),
    version: String(found["version"]),
    hides: major > 1 || minor >= 4,
    signal,
  });
}

/**
 * The planner evaluates functions that are not VOLATILE, and of all that a workload calls nothing can be kept from being swapped for as
 * long as the advice takes: it is planned as a role as which others gain nothing.
 */
async function refuseExposed(session: PgSession, signal: AbortSignal | undefined): Promise<void> {
  const { mighty, exposed } = await session.transaction(
    { readOnly: true, ...LIMITS, signal },
    async (run) => {
      await run("SET LOCAL search_path = pg_catalog, pg_temp");
      return exposureOf(run);
    },
  );
  if (!mighty || !exposed) return;
  throw new PgdbaError(
    "step_refused",
    "A superuser does not plan statements that call objects of other users",
    {
      hint: "Planning can run functions: connect as a role that may only read the tables (--user), or prove on the twin.",
    },
  );
}

/** Indexes that the extension pretends stay in the server's session, which a pooler gives to others afterwards. */
function pooled(): PgdbaError {
  return new PgdbaError("unsupported", "A pooler stands between pgdba and the server", {
    hint: "hypopg keeps its indexes in the server's session: connect to the server itself, or prove on the twin.",
  });
}

interface About {
  /** The major version of the server. */
  major: number;
  schema: string;
  version: string;
  hides: boolean;
  signal: AbortSignal | undefined;
}

interface Made {
  /** Our name for it; the extension gives it another one each time. */
  name: string;
  bytes: number;
  /** While the server believes in it. */
  oid: number | null;
  /** The server has such an index already. */
  duplicate: boolean;
}

/** A definition without the index's name and how full its pages are kept. */
function bodyOf(definition: string): string {
  return definition
    .replace(/^CREATE (UNIQUE )?INDEX (.*? )?ON /, "")
    .replace(/ WITH \([^)]*\)/, "");
}

class Hypopg implements Planner {
  readonly catalogue: Catalogue;
  readonly hides: boolean;
  readonly limits: Limit[];
  readonly #session: PgSession;
  readonly #about: About;
  readonly #made = new Map<string, Made>();
  readonly #hidden = new Set<number>();
  readonly #existing: ReadonlySet<string>;
  /** How a statement has to be asked for, once known. */
  readonly #known = new Map<string, { text: string; parameters: number }>();
  #prepared = 0;

  constructor(session: PgSession, catalogue: Catalogue, about: About) {
    this.catalogue = catalogue;
    this.hides = about.hides;
    this.#session = session;
    this.#about = about;
    this.#existing = new Set(
      catalogue.indexes.filter(({ valid }) => valid).map(({ definition }) => bodyOf(definition)),
    );
    // hypopg plans on the server itself, so it lacks nothing that a twin would lack; only missing tables count.
    this.limits = catalogue.limits.filter((limit) => limit.missing === true);
    if (!about.hides)
      this.limits.push({
        object: "removable indexes",
        reason: `hypopg ${about.version} can't hide an index (1.4 can), so no removal was tried; the twin can try it`,
      });
  }

  async explain(sql: string, options: ExplainOptions = {}): Promise<PlanNode> {
    await this.#show(options.with ?? []);
    await this.#hide(options.without ?? []);
    const plan = await this.#plan(sql);
    this.#rename(plan);
    return plan;
  }

  async sizes(defs: readonly IndexDef[]): Promise<(Pretended | null)[]> {
    const sizes: (Pretended | null)[] = [];
    for (const def of defs) {
      const made = await this.#make(def).catch((error: unknown) => {
        // An index that the server refuses does not exist. A lost session is another matter.
        if (error instanceof PgdbaError && REFUSED.has(error.code)) return null;
        throw error;
      });
      sizes.push(
        made === null || made.duplicate
          ? null
          : { bytes: made.bytes, names: [made.name], types: [] },
      );
    }
    return sizes;
  }

  /** hypopg makes indexes for each question anew, so there is nothing to forget. */
  async forget(): Promise<void> {}

  async close(): Promise<void> {
    await this.#session.close();
  }

  /** Lets the server believe in exactly these. */
  async #show(wanted: readonly IndexDef[]): Promise<void> {
    const keys = new Set(wanted.map(indexSql));
    const gone = [...this.#made].filter(([key, made]) => made.oid !== null && !keys.has(key));
    if (gone.length > 0) {
      await this.#ask(
        `SELECT ${this.#about.schema}.hypopg_drop_index(x) FROM pg_catalog.unnest($1::oid[]) x`,
        [gone.map(([, { oid }]) => oid)],
      );
      for (const [, made] of gone) made.oid = null;
    }
    for (const def of wanted) await this.#make(def);
  }

  async #make(def: IndexDef): Promise<Made> {
    const key = indexSql(def);
    const known = this.#made.get(key);
    if (known !== undefined && known.oid !== null) return known;
    if (!METHODS.has(def.method)) {
      const object = `${def.method} indexes`;
      if (!this.limits.some((limit) => limit.object === object))
        this.limits.push({ object, reason: "hypopg can't simulate one; the twin can" });
      throw new PgdbaError("unsupported", `hypopg can't simulate a ${def.method} index`);
    }
    const { schema } = this.#about;
    const [row] = await this.#ask(
      `SELECT c.indexrelid AS oid, ${schema}.hypopg_relation_size(c.indexrelid)::float8 AS bytes, ${schema}.hypopg_get_indexdef(c.indexrelid) AS definition FROM ${schema}.hypopg_create_index($1) c`,
      [`CREATE INDEX ${key}`],
    );
    const made = known ?? {
      name: `hypothetical_${this.#made.size + 1}`,
      bytes: 0,
      oid: null,
      duplicate: this.#existing.has(bodyOf(String(row?.["definition"]))),
    };
    made.oid = Number(row?.["oid"]);
    // The extension knows neither that equal keys share an entry nor how far a table has grown.
    made.bytes = estimatedBytes(this.catalogue, def) ?? Number(row?.["bytes"]);
    this.#made.set(key, made);
    return made;
  }

  /** Hides exactly these; of a partitioned index those of its partitions, as the planner looks at them. */
  async #hide(without: readonly string[]): Promise<void> {
    if (without.length > 0 && !this.hides)
      throw new PgdbaError("unsupported", `hypopg ${this.#about.version} can't hide an index`);
    const wanted = new Set(without.flatMap((name) => this.#leavesOf(name)));
    const { schema } = this.#about;
    const change = async (call: string, oids: number[]): Promise<void> => {
      if (oids.length > 0)
        await this.#ask(`SELECT ${schema}.${call}(x) FROM pg_catalog.unnest($1::oid[]) x`, [oids]);
    };
    const hide = [...wanted].filter((oid) => !this.#hidden.has(oid));
    const show = [...this.#hidden].filter((oid) => !wanted.has(oid));
    await change("hypopg_hide_index", hide);
    await change("hypopg_unhide_index", show);
    for (const oid of hide) this.#hidden.add(oid);
    for (const oid of show) this.#hidden.delete(oid);
  }

  #leavesOf(name: string): number[] {
    const { indexes } = this.catalogue;
    const leaves = (oid: number): number[] => {
      const parts = indexes.filter((index) => index.parent === oid);
      return parts.length === 0 ? [oid] : parts.flatMap((part) => leaves(part.oid));
    };
    return indexes
      .filter((index) => `${index.schema}.${index.name}` === name)
      .flatMap((index) => leaves(index.oid));
  }

  async #plan(sql: string): Promise<PlanNode> {
    const { text, parameters } = this.#known.get(sql) ?? (await this.#spelling(sql));
    if (parameters === 0)
      return movedBack(EXPLAIN.length, () => this.#batch([`${EXPLAIN}${text}`], 0));
    return wholePlan((pruning) => {
      const first = pruning ? [] : [WITHOUT_PRUNING];
      const statements = genericStatements(`pgdba_${++this.#prepared}`, text, parameters);
      return this.#batch([...first, ...statements], first.length + 2);
    });
  }

  /** Runs one READ ONLY transaction in one round trip; the server refuses a text with more than one statement. */
  async #batch(statements: readonly string[], answer: number): Promise<PlanNode> {
    const { columns, error } = await this.#session.readBatch([BACKEND, ...statements], {
      ...LIMITS,
      signal: this.#about.signal,
    });
    if (error !== null) throw error;
    this.#sameBackend(Number(columns[0]?.[0]));
    return planOf([{ "QUERY PLAN": columns[answer + 1]?.[0] }]);
  }

  /** Finds out how the server takes a statement, with types for parameters where it can't find them itself. */
  async #spelling(sql: string): Promise<{ text: string; parameters: number }> {
    const { major } = this.#about;
    const { value } = await planTyped(sql, major, async ({ text }) => {
      const parameters = hasParameters(text) ? await this.#countParameters(text) : 0;
      return { text, parameters };
    });
    this.#known.set(sql, value);
    return value;
  }

  async #countParameters(sql: string): Promise<number> {
    const name = `pgdba_${++this.#prepared}`;
    const before = `PREPARE ${name} AS `;
    return this.#session.transaction(
      { readOnly: true, ...LIMITS, signal: this.#about.signal },
      async (run) => {
        await movedBack(before.length, () => run(`${before}${sql}`));
        const { rows } = await run(COUNT_PARAMETERS, [name]);
        await run(`DEALLOCATE ${name}`);
        return Number(rows[0]?.["parameters"] ?? 0);
      },
    );
  }

  /** A pooler that hands out another server process for each transaction would lose the indexes, and nobody would notice. */
  #sameBackend(pid: number): void {
    if (pid !== this.#session.info.pid) throw pooled();
  }

  /** Under the names that `sizes` gave, since the extension makes up new ones each time. */
  #rename(plan: PlanNode): void {
    const oid = HYPOTHETICAL.exec(plan["Index Name"] ?? "")?.[1];
    if (oid !== undefined) {
      const made = [...this.#made.values()].find((one) => one.oid === Number(oid));
      if (made !== undefined) plan["Index Name"] = made.name;
    }
    for (const child of plan.Plans ?? []) this.#rename(child);
  }

  async #ask(sql: string, values: readonly unknown[]) {
    const { rows } = await this.#session.query(sql, values, {
      ...LIMITS,
      signal: this.#about.signal,
    });
    return rows;
  }
}
