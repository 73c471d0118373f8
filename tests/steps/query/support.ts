import { Ajv } from "ajv";
import type { Json, JsonObject, StepType, Target } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { type FakeContext, fakeContext, type Overrides } from "../../support/context.ts";
import {
  clientOf,
  createDatabase,
  sharedServer,
  type TestServer,
  type Version,
} from "../../support/postgres.ts";
import { through } from "../../support/target.ts";

export interface Bench {
  server: TestServer;
  database: string;
  ctx: FakeContext;
  /** A fresh context on the same target, as another run has it. */
  again(run?: Overrides["run"]): FakeContext;
  /** Statements as the superuser, outside of any step. */
  sql(text: string): Promise<any[]>;
  close(): Promise<void>;
}

/** A target that a step can use, on the shared server of that version or another one; a database of its own unless one is named. */
export async function bench(
  where: Version | TestServer = 18,
  named?: string,
  as?: { user: string; password: string },
): Promise<Bench> {
  const server = typeof where === "number" ? await sharedServer(where) : where;
  const database = named ?? (await createDatabase(server));
  const { host, port } = server;
  const { user, password } = as ?? server;
  const target: Target = await resolveTarget({
    flags: { host, port, user, database },
    env: { PGPASSWORD: password, PGSSLMODE: "disable" },
    stateDir: "/nonexistent",
    onSecret: () => {},
  });
  const client = await clientOf(server, database);
  const again = (run: Overrides["run"] = {}) =>
    fakeContext({
      run,
      target: through(target),
    });
  const ctx = again();
  return {
    server,
    database,
    ctx,
    again,
    sql: async (text) => (await client.query(text)).rows,
    close: async () => {
      await ctx.close();
      await target.close();
      await client.end();
    },
  };
}

/** Runs a step as the engine would: the input must fit its schema, and the output too. */
export async function runStep(step: StepType, input: JsonObject, ctx: FakeContext): Promise<any> {
  const ajv = new Ajv({ strict: false, validateFormats: false, useDefaults: true });
  if (!ajv.validate(step.input, input)) throw new Error(ajv.errorsText());
  ctx.does.effect = typeof step.effect === "function" ? step.effect(input) : step.effect;
  ctx.does.rollsBack = step.rollsBack === true;
  const output = (await step.run(ctx, input)) as Json;
  if (!ajv.validate(step.output, output)) throw new Error(ajv.errorsText());
  return output;
}
