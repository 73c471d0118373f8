import { join } from "node:path";
import type { Client } from "pg";
import { fromPostgres } from "../../postgres/errors.ts";
import { Asker } from "./asker.ts";
import { type Facts, type Read, readCatalogue, readFacts } from "./read-catalogue.ts";
import type { Catalogue, Limit, TableName } from "./catalogue.ts";
import { applySettings, createChecks, createObjects } from "./database.ts";
import { STORED } from "./ddl.ts";
import { type Hypothetical, makeIndexes, type Workshop } from "./hypothetical.ts";
import { type IndexDef, indexSql } from "./index-def.ts";
import { quoteName } from "./names.ts";
import type { PlanNode } from "./plan.ts";
import type { ExplainOptions, Planner } from "../planner.ts";
import { DATABASE, OWNER, SUPERUSER, type TwinServer } from "./server.ts";
import { majorOf, startTwinServer, type TwinServerOptions } from "./template.ts";
import { separatorWidth } from "./separators.ts";
import { btreeHeight, growFile, PAGE, writeBtree } from "./sizes.ts";
import { figuresWriter, restoreStatistics } from "./statistics.ts";

export { type Facts, type Read, readCatalogue, readFacts } from "./read-catalogue.ts";
export type { Catalogue, Limit, TableName } from "./catalogue.ts";
export { type IndexDef, type IndexKey, indexSql } from "./index-def.ts";
export type { Planner } from "../planner.ts";
export { indexesOf, nodesOf, type PlanNode, shapeOfPlan } from "./plan.ts";

export interface TwinOptions extends TwinServerOptions {
  /** Tables to clone; every table of the database without it. */
  tables?: readonly TableName[];
}

export interface TwinExplainOptions extends ExplainOptions {
  /** Planner settings for this one plan. */
  settings?: Readonly<Record<string, string>>;
}

/** `limits`: what it lacks, object by object. `close` ends its server and removes every file of it. */
export interface Twin extends Planner {
  explain(sql: string, options?: TwinExplainOptions): Promise<PlanNode>;
}

/**
 * Opens the planner's twin of a server: its schema, statistics and planner settings in an embedded PostgreSQL of its version (or
 * 18 where this machine has no other), without its data.
 * Tables are sparse files of the size the server reports, so that plans and costs are the server's; `read` is asked a dozen SELECTs
 * on the catalogues and nothing more. The statistics hold values of the user: they lie in files of mode 0600, in memory where the
 * machine has room, else below the state folder (or where the server's account can go), until `close`, the end of this process, or
 * the next twin.
 * @throws PgdbaError unsupported | io_failed | command_failed | timeout, or what `read` throws
 */
export async function openTwin(read: Read, options: TwinOptions): Promise<Twin> {
  const facts = await readFacts(read);
  const twin = startTwin(facts, options);
  try {
    return await twin.become(await readCatalogue(read, options.tables, facts));
  } catch (error) {
    await twin.discard();
    throw error;
  }
}

/** A twin whose server starts while the catalogue is still being read. */
export interface Starting {
  /** Makes it the twin of this. @throws PgdbaError as `openTwin` does */
  become(catalogue: Catalogue): Promise<Twin>;
  /** For when it is not wanted any more. */
  discard(): Promise<void>;
}

export function startTwin(facts: Facts, options: TwinServerOptions): Starting {
  const starting = startTwinServer(options, facts);
  // The error reaches those who wait for the twin, and nobody else.
  starting.catch(() => {});
  return {
    async become(catalogue) {
      const { server, lacks } = await starting;
      try {
        const lacking = lacks === null ? [] : [lackOf(lacks)];
        const isOther = options.version === undefined && server.version !== majorOf(catalogue);
        return await build(
          server,
          catalogue,
          isOther ? [...lacking, other(server, catalogue)] : lacking,
        );
      } catch (error) {
        await server.close();
        throw fromPostgres(error, "The planner's twin could not be built", "query_failed");
      }
    },
    async discard() {
      const started = await starting.catch(() => null);
      await started?.server.close();
    },
  };
}

function other({ version }: TwinServer, catalogue: Catalogue): Limit {
  const skips =
    version >= 18 ? ", which can use an index whose first columns are not asked for" : "";
  const reason = `the server is PostgreSQL ${majorOf(catalogue)}; this machine's twin plans as ${version} does${skips}`;
  return { object: "planner", reason };
}

function lackOf(locale: string): Limit {
  const reason = `this machine has no locale ${locale}; text is compared by ICU's, so ranges of text may be estimated differently`;
  return { object: "collation", reason };
}

async function build(
  server: TwinServer,
  catalogue: Catalogue,
  lacking: readonly Limit[],
): Promise<Twin> {
  const limits = [...catalogue.limits, ...lacking];
  const admin = await server.connect(SUPERUSER, DATABASE);
  const client = await server.connect(OWNER, DATABASE);
  limits.push(...(await createObjects(admin, client, catalogue)));
  const figures = figuresWriter(server.version, admin, client);
  limits.push(...(await restoreStatistics({ admin, client, version: server.version }, catalogue)));
  limits.push(...(await createChecks(client, catalogue)));
  const files = await growFiles(admin, server, catalogue);
  limits.push(...(await applySettings(client, catalogue, server.version)));
  let made = 0;
  const shop: Workshop = {
    client,
    figures,
    user: server.user,
    catalogue,
    files,
    pathOf: (relative) => join(server.dataDir, relative),
    newName: () => `pgdba_twin_${++made}`,
  };
  return new OpenTwin(server, admin, shop, limits);
}

/** Gives every table and index of the twin its file's size; the paths and pages of the tables. */
async function growFiles(
  admin: Client,
  server: TwinServer,
  catalogue: Catalogue,
): Promise<Map<string, { path: string; pages: number }>> {
  const { rows } = await admin.query<{ name: string; path: string }>(
    `SELECT format('%s.%s', n.nspname, c.relname) AS name, pg_relation_filepath(c.oid) AS path
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'i') AND c.oid >= 16384`,
  );
  const paths = new Map(rows.map((row) => [row.name, join(server.dataDir, row.path)]));
  const files = new Map<string, { path: string; pages: number }>();
  for (const table of catalogue.relations) {
    const name = `${table.schema}.${table.name}`;
    const path = paths.get(name);
    if (path === undefined || !STORED.has(table.kind)) continue;
    const pages = Math.ceil(table.bytes / PAGE);
    files.set(name, { path, pages });
    if (pages > 0) await growFile(path, pages, server.user);
  }
  const tables = new Map(catalogue.relations.map((relation) => [relation.oid, relation]));
  const nameOf = new Map(
    catalogue.columns.map((column) => [`${column.relid}.${column.num}`, column.name]),
  );
  for (const index of catalogue.indexes) {
    const path = paths.get(`${index.schema}.${index.name}`);
    const pages = Math.ceil(index.bytes / PAGE);
    if (path === undefined || index.partitioned || pages < 2) continue;
    const table = tables.get(index.relid);
    if (index.method === "btree" && table !== undefined) {
      const keys = index.columns
        .slice(0, index.key_columns)
        .map((num) => nameOf.get(`${index.relid}.${num}`) ?? null);
      const width = separatorWidth(catalogue, table, keys, pages);
      await writeBtree(path, Math.min(pages - 2, btreeHeight(pages, width)));
    }
    await growFile(path, pages, server.user);
  }
  return files;
}

/** Relations that one statement locks: fewer than `max_locks_per_transaction` allows with all their partitions. */
const LOCKED = 50;

class OpenTwin implements Twin {
  readonly catalogue: Catalogue;
  readonly limits: readonly Limit[];
  readonly hides = true;
  readonly #server: TwinServer;
  readonly #admin: Client;
  readonly #shop: Workshop;
  readonly #made = new Map<string, Hypothetical | Error>();
  /** Indexes of the twin that are valid now, of those that are ever not. */
  readonly #state = new Map<number, boolean>();
  readonly #removable = new Map<string, number[]>();
  readonly #asker: Asker;
  /** The last of the queue: an index is not made while a plan is. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(server: TwinServer, admin: Client, shop: Workshop, limits: readonly Limit[]) {
    this.catalogue = shop.catalogue;
    this.limits = limits;
    this.#server = server;
    this.#admin = admin;
    this.#shop = shop;
    this.#asker = new Asker(shop.client, server.version);
  }

  explain(sql: string, options: TwinExplainOptions = {}): Promise<PlanNode> {
    return this.#exclusive(async () => {
      await this.#make(options.with ?? []);
      const wanted = (options.with ?? []).flatMap((def) => {
        const made = this.#made.get(indexSql(def));
        if (made === undefined || made instanceof Error) throw made;
        return made.oids;
      });
      const unwanted: number[] = [];
      for (const name of options.without ?? []) unwanted.push(...(await this.#existing(name)));
      await this.#show(new Set(wanted), new Set(unwanted));
      return this.#asker.plan(sql, Object.entries(options.settings ?? {}));
    });
  }

  sizes(defs: readonly IndexDef[]): Promise<(Hypothetical | null)[]> {
    return this.#exclusive(async () => {
      await this.#make(defs);
      return defs.map((def) => {
        const made = this.#made.get(indexSql(def));
        return made === undefined || made instanceof Error || made.duplicate ? null : made;
      });
    });
  }

  forget(defs: readonly IndexDef[]): Promise<void> {
    return this.#exclusive(async () => {
      const names: string[] = [];
      for (const def of defs) {
        const made = this.#made.get(indexSql(def));
        if (made === undefined || made instanceof Error) continue;
        names.push(quoteName(def.schema, made.name));
        for (const oid of made.oids) this.#state.delete(oid);
        this.#made.delete(indexSql(def));
      }
      // Each is locked until the end of the statement.
      for (let at = 0; at < names.length; at += LOCKED)
        await this.#shop.client.query(`DROP INDEX ${names.slice(at, at + LOCKED).join(", ")}`);
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#server.close();
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn.catch((error: unknown) => {
      throw fromPostgres(error, "The planner's twin could not answer", "query_failed");
    });
  }

  /** Makes those that are not there yet, and hides them. */
  async #make(defs: readonly IndexDef[]): Promise<void> {
    const open = new Map(
      defs.map((def) => [indexSql(def), def] as const).filter(([key]) => !this.#made.has(key)),
    );
    if (open.size === 0) return;
    await this.#show(new Set(), new Set());
    const made = await makeIndexes(this.#shop, [...open.values()]);
    for (const [at, key] of [...open.keys()].entries()) {
      const index = made[at];
      if (index === undefined) continue;
      this.#made.set(key, index);
      if (!(index instanceof Error)) for (const oid of index.oids) this.#state.set(oid, true);
    }
  }

  async #existing(name: string): Promise<number[]> {
    let oids = this.#removable.get(name);
    if (oids === undefined) {
      const found = this.catalogue.indexes.find(
        (index) => `${index.schema}.${index.name}` === name,
      );
      const { rows } = await this.#admin.query<{ oid: number }>(
        `SELECT coalesce(p.relid, c.oid)::oid AS oid FROM pg_class c LEFT JOIN LATERAL pg_partition_tree(c.oid) p ON true WHERE c.oid = to_regclass($1)`,
        [found === undefined ? name : quoteName(found.schema, found.name)],
      );
      oids = rows.map((row) => row.oid);
      this.#removable.set(name, oids);
      for (const oid of oids) this.#state.set(oid, true);
    }
    return oids;
  }

  /** Lets the planner see exactly `wanted` of the hypothetical indexes, and all of the real ones but `unwanted`. */
  async #show(wanted: ReadonlySet<number>, unwanted: ReadonlySet<number>): Promise<void> {
    const real = new Set([...this.#removable.values()].flat());
    const changed = [...this.#state].filter(
      ([oid, valid]) => valid !== (real.has(oid) ? !unwanted.has(oid) : wanted.has(oid)),
    );
    if (changed.length === 0) return;
    const oids = changed.map(([oid]) => oid);
    // The planner passes over an index that is not valid; this costs less than dropping it and making it again.
    await this.#admin.query(
      "UPDATE pg_index SET indisvalid = NOT indisvalid WHERE indexrelid = ANY ($1::oid[])",
      [oids],
    );
    for (const [oid, valid] of changed) this.#state.set(oid, !valid);
  }
}
