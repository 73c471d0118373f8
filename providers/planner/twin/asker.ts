import type { Client } from "pg";
import { repositioned } from "../../parameters/rewrite.ts";
import { hasParameters } from "../../parameters/spelling.ts";
import { planTyped } from "../../parameters/typed.ts";
import { fromPostgres } from "../../postgres/errors.ts";
import { one } from "./database.ts";
import {
  COUNT_PARAMETERS,
  genericStatements,
  type PlanNode,
  planOf,
  wholePlan,
  WITHOUT_PRUNING,
} from "./plan.ts";

/** EXPLAIN knows the option from here on. */
const GENERIC_PLAN = 16;

const PREPARED = "pgdba_twin";

/** A statement as the server takes it, with the number of its parameters. */
interface Spelling {
  text: string;
  parameters: number;
}

/** Asks a twin's server for plans of single statements, which are never executed. */
export class Asker {
  readonly #client: Client;
  readonly #version: number;
  /** How a statement has to be asked for, once this is known. */
  readonly #known = new Map<string, Spelling>();

  constructor(client: Client, version: number) {
    this.#client = client;
    this.#version = version;
  }

  /** @throws the server's error when the statement can't be planned, or a setting has no such value */
  async plan(sql: string, settings: readonly [string, string][]): Promise<PlanNode> {
    let known = this.#known.get(sql);
    if (known === undefined && settings.length === 0) {
      const plan = await this.#atOnce(sql);
      if (plan !== null) return plan;
    }
    if (known === undefined) {
      known = await this.#spelling(sql);
      this.#known.set(sql, known);
    }
    const { text, parameters } = known;
    if (parameters === 0)
      return this.#with(settings, async () =>
        planOf((await one(this.#client, `EXPLAIN (FORMAT JSON) ${text}`)).rows),
      );
    // GENERIC_PLAN wants the simple protocol; `#spelling` has made sure that this is one statement.
    if (this.#version >= GENERIC_PLAN)
      return this.#with(settings, async () =>
        planOf((await this.#client.query(`EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${text}`)).rows),
      );
    return wholePlan((pruning) => this.#generic(known, settings, pruning));
  }

  /**
   * The plan of a text that the server takes as it stands, in one round trip instead of four: without a semicolon it can't be more than
   * one statement. Null when it has to be asked for in another way.
   */
  async #atOnce(sql: string): Promise<PlanNode | null> {
    if (this.#version < GENERIC_PLAN || sql.includes(";")) return null;
    const generic = hasParameters(sql);
    const answer = generic
      ? this.#client.query(`EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${sql}`)
      : one(this.#client, `EXPLAIN (FORMAT JSON) ${sql}`);
    try {
      const plan = planOf((await answer).rows);
      this.#known.set(sql, { text: sql, parameters: generic ? 1 : 0 });
      return plan;
    } catch {
      return null;
    }
  }

  async #generic(
    { text, parameters }: Spelling,
    settings: readonly [string, string][],
    pruning: boolean,
  ): Promise<PlanNode> {
    try {
      return await this.#within(settings, async () => {
        if (!pruning) await this.#client.query(WITHOUT_PRUNING);
        const answers = [];
        for (const sql of genericStatements(PREPARED, text, parameters))
          answers.push(await one(this.#client, sql));
        return planOf(answers[2]?.rows ?? []);
      });
    } finally {
      // A statement that can't be planned leaves its name behind.
      await this.#client.query("DEALLOCATE ALL");
    }
  }

  #with<T>(settings: readonly [string, string][], work: () => Promise<T>): Promise<T> {
    return settings.length === 0 ? work() : this.#within(settings, work);
  }

  /** In a transaction with these settings, which is rolled back. */
  async #within<T>(settings: readonly [string, string][], work: () => Promise<T>): Promise<T> {
    await this.#client.query("BEGIN");
    try {
      for (const [name, value] of settings)
        await this.#client.query("SELECT set_config($1, $2, true)", [name, value]);
      return await work();
    } finally {
      await this.#client.query("ROLLBACK");
    }
  }

  /** Finds out how the server takes a statement: PREPARE refuses a text that is several statements, or one that has no plan. */
  async #spelling(sql: string): Promise<Spelling> {
    const { value } = await planTyped(sql, this.#version, async ({ text }) => {
      const before = `PREPARE ${PREPARED} AS `;
      try {
        await one(this.#client, `${before}${text}`);
        const { rows } = await this.#client.query<{ parameters: number }>(COUNT_PARAMETERS, [
          PREPARED,
        ]);
        await this.#client.query(`DEALLOCATE ${PREPARED}`);
        return { text, parameters: rows[0]?.parameters ?? 0 };
      } catch (error) {
        const said = fromPostgres(error, "The planner's twin could not answer", "query_failed");
        throw repositioned(said, (position) => position - before.length);
      }
    });
    return value;
  }
}
