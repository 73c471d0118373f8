import type { Client } from "pg";
import type { Catalogue, Limit } from "./catalogue.ts";
import { type Ddl, domainChecks, HARMLESS_EXTENSIONS, schemasOf, statements } from "./ddl.ts";
import { quoteIdent } from "./names.ts";

/** A planner that a function of the cloned server keeps busy is given up after this long. */
const STATEMENT_TIMEOUT = "60s";

/** Makes all objects of `catalogue`, empty. What can't be made is reported. */
export async function createObjects(
  admin: Client,
  client: Client,
  catalogue: Catalogue,
): Promise<Limit[]> {
  const limits: Limit[] = [];
  await client.query("SET client_min_messages = error");
  await client.query("SET search_path = pg_catalog");
  await client.query("SET check_function_bodies = off");
  await client.query(`SET statement_timeout = '${STATEMENT_TIMEOUT}'`);
  for (const schema of schemasOf(catalogue))
    await client.query(`CREATE SCHEMA ${quoteIdent(schema)}`);
  for (const { name, schema } of catalogue.extensions) {
    if (!HARMLESS_EXTENSIONS.has(name)) continue;
    await admin
      .query(`CREATE EXTENSION ${quoteIdent(name)} SCHEMA ${quoteIdent(schema)} CASCADE`)
      .catch((error: Error) => {
        limits.push({ object: `extension ${name}`, reason: error.message });
      });
  }
  for (const group of statements(catalogue)) limits.push(...(await makeAll(client, group)));
  return limits;
}

/** Creates the CHECK constraints, which had to wait for the statistics. */
export function createChecks(client: Client, catalogue: Catalogue): Promise<Limit[]> {
  return makeAll(client, domainChecks(catalogue));
}

async function makeAll(client: Client, group: readonly Ddl[]): Promise<Limit[]> {
  const failed = await runAll(client, group);
  return failed
    .filter(({ ddl }) => ddl.minor !== true)
    .map(({ ddl, error }) => ({ object: ddl.object, reason: `not cloned: ${error.message}` }));
}

/** Repeats statements until no further one succeeds, since one may need an object of a later one. Gives those that never succeeded. */
async function runAll(
  client: Client,
  group: readonly Ddl[],
): Promise<{ ddl: Ddl; error: Error }[]> {
  let open = group.map((ddl) => ({ ddl, error: new Error("not tried") }));
  for (;;) {
    const failed: typeof open = [];
    for (const { ddl } of open) {
      try {
        await one(client, ddl.sql);
      } catch (error) {
        failed.push({ ddl, error: error as Error });
      }
    }
    if (failed.length === 0 || failed.length === open.length) return failed;
    open = failed;
  }
}

/** Runs one statement by the extended protocol, in which the server itself refuses a second one in the same text. */
export function one(client: Client, text: string): Promise<{ rows: Record<string, unknown>[] }> {
  return client.query({ text, queryMode: "extended" } as { text: string });
}

/** Settings as the cloned server has them. One that the twin's version no longer has is reported. */
export async function applySettings(
  client: Client,
  catalogue: Catalogue,
  version: number,
): Promise<Limit[]> {
  const limits: Limit[] = [];
  const renamed: Record<string, string> =
    version >= 16 ? { force_parallel_mode: "debug_parallel_query" } : {};
  for (const { name, value } of catalogue.settings) {
    // The role of the twin has another name than the one that is cloned.
    const own =
      name === "search_path" ? value.replaceAll('"$user"', quoteIdent(catalogue.user)) : value;
    await client
      .query("SELECT set_config($1, $2, false)", [renamed[name] ?? name, own])
      .catch((error: Error) => {
        limits.push({ object: `setting ${name}`, reason: error.message });
      });
  }
  return limits;
}
