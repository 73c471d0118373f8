import { expect } from "bun:test";
import { Ajv } from "ajv";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject, JsonSchema } from "../../../engine/types.ts";
import { PostgresTarget } from "../../../providers/target/postgres.ts";
import compare from "../../../steps/report/compare.ts";
import type { Snapshot } from "../../../steps/report/collect/shape.ts";
import type { Trends } from "../../../steps/report/trends/trends.ts";
import snapshot from "../../../steps/report/snapshot.ts";
import { fakeContext, type Overrides } from "../../support/context.ts";
import { clientOf, type TestServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";

export interface Place {
  host: string;
  port: number;
  database?: string;
  user?: string;
  password?: string;
}

export function targetOf({
  host,
  port,
  database = "postgres",
  user = "postgres",
  password,
}: Place): PostgresTarget {
  const spec = {
    host,
    port,
    user,
    database,
    password: () => password,
    sslmode: "disable" as const,
    application_name: "test",
  };
  return new PostgresTarget({
    name: "test",
    cluster: null,
    labels: [],
    ownership: "none",
    expectedIdentity: null,
    spec,
  });
}

/** The step `report.snapshot` on a real server; its output has the shape it says. */
export async function read(place: Place, input: JsonObject = {}): Promise<Snapshot> {
  const target = targetOf(place);
  const ctx = fakeContext({
    target: through(target),
  });
  ctx.does.effect = "read";
  try {
    const output = (await snapshot.run(ctx, input)) as unknown as Snapshot;
    expectShape(snapshot.output, output);
    return output;
  } finally {
    await ctx.close();
    await target.close();
  }
}

export interface Compared {
  trends: Trends;
  file: string | null;
  keep: number;
  warnings: string[];
}

/** The step `report.compare`, with the state folder at `stateDir`. */
export async function compared(
  stateDir: string,
  now: Snapshot,
  input: JsonObject = {},
  run: Overrides["run"] = {},
): Promise<Compared> {
  const ctx = fakeContext({ run: { stateDir, ...run } });
  const output = (await compare.run(ctx, {
    snapshot: now as unknown as JsonObject,
    ...input,
  })) as unknown as Compared;
  expectShape(compare.output, output);
  return { ...output, warnings: ctx.recorded.warnings };
}

const ajv = new Ajv({ strict: false, allErrors: true });

export function expectShape(schema: JsonSchema, value: unknown): void {
  const fits = ajv.compile(schema);
  fits(value);
  expect(fits.errors ?? []).toEqual([]);
}

const folders: string[] = [];

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "pgdba-report-"));
  folders.push(made);
  return made;
}

export function removeFolders(): void {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
}

/** Each statement in one session, one after the other; what it did is counted when that ends. */
export async function run(
  server: TestServer,
  database: string,
  ...statements: string[]
): Promise<void> {
  const client = await clientOf(server, database);
  try {
    for (const sql of statements) await client.query(sql);
  } finally {
    await client.end();
  }
}
