/**
 * Captures the plans of plans/: `bun tests/steps/query/capture.ts [name...]`. Real servers, real plans; the tests read the files, so
 * that they are fast and say the same everywhere. PGDBA_CAPTURE_JIT is the URL of an empty database of a server
 * built with LLVM, for the plans that show JIT (the embedded ones are not).
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Json, JsonObject } from "../../../engine/types.ts";
import { readFacts } from "../../../steps/query/plan/facts.ts";
import { parsePlan } from "../../../steps/query/plan/parse.ts";
import { connect } from "../../../providers/postgres/connect.ts";
import { type ConnectionSpec, openSession, specOf } from "../../providers/postgres/helpers.ts";
import { startServer, type TestServer, type Version } from "../../support/postgres.ts";
import { CASES, type Case, SCHEMA } from "./cases.ts";

const only = process.argv.slice(2);
const folder = join(import.meta.dir, "plans");
await mkdir(folder, { recursive: true });

const jit = process.env.PGDBA_CAPTURE_JIT;
const wanted = Object.entries(CASES).filter(([name]) => only.length === 0 || only.includes(name));
for (const version of [18, 13] as const) {
  const cases = wanted.filter(([, about]) => (about.version ?? 18) === version && !about.jit);
  if (cases.length > 0) await captureAll(version, cases);
}

if (jit !== undefined) {
  const { hostname, port, username, pathname } = new URL(jit);
  const database = pathname.slice(1);
  const server = { host: hostname, port: Number(port), user: username, database, password: "" };
  const cases = wanted.filter(([, about]) => about.jit);
  await captureOn(specOf(server as TestServer), 15, cases);
}

async function captureAll(version: Version, cases: [string, Case][]): Promise<void> {
  const server = await startServer({ version, settings: { autovacuum: "off", jit: "off" } });
  try {
    await captureOn(specOf(server), version, cases);
  } finally {
    await server.stop();
  }
}

/** Seeds the database and captures the plans of `cases` there. */
async function captureOn(
  spec: ConnectionSpec,
  version: number,
  cases: [string, Case][],
): Promise<void> {
  for (const text of SCHEMA) {
    const client = await connect(spec);
    await client.query(text);
    await client.end();
  }
  for (const [name, about] of cases) await capture(name, about, spec, version);
}

async function capture(
  name: string,
  about: Case,
  spec: ConnectionSpec,
  version: number,
): Promise<void> {
  const session = await openSession(spec);
  for (const statement of about.before ?? []) await session.query(statement);
  for (const [setting, value] of Object.entries(about.settings ?? {}))
    await session.query("SELECT set_config($1, $2, false)", [setting, value]);
  const options = about.estimate ? "VERBOSE, SETTINGS" : "ANALYZE, BUFFERS, WAL, VERBOSE, SETTINGS";
  let kept: JsonObject = {};
  await session
    .transaction({ readOnly: false }, async (run) => {
      const { rows } = await run(`EXPLAIN (FORMAT JSON, ${options})\n${about.sql}`);
      const explained = rows[0]?.["QUERY PLAN"] as Json;
      const facts = await readFacts(run, parsePlan(explained));
      kept = {
        version,
        sql: about.sql,
        settings: about.settings ?? {},
        facts: facts as unknown as JsonObject,
        explained,
      };
      throw new Error("leave nothing behind");
    })
    .catch((error: unknown) => {
      if (kept.explained === undefined) throw error;
    });
  await session.close();
  await Bun.write(join(folder, `${name}.json`), `${JSON.stringify(kept, null, 1)}\n`);
  process.stderr.write(`${name}\n`);
}
