import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv } from "ajv";
import type { JsonObject, StepType, Target } from "../../../engine/types.ts";
import { type BackupPlace, backupPlace } from "../../../steps/backup/place.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { type FakeContext, fakeContext, type Overrides } from "../../support/context.ts";
import { clientOf, type TestServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";

export interface Bench {
  server: TestServer;
  stateDir: string;
  /** A context as another run has it. */
  run(more?: Overrides): FakeContext;
  place(): Promise<BackupPlace>;
  sql(text: string, database?: string): Promise<any[]>;
  close(): Promise<void>;
}

let runs = 0;

/** A bare server as a target, with a state folder of its own. */
export async function bench(
  server: TestServer,
  as: { user: string; password: string } = server,
): Promise<Bench> {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-backups-"));
  await chmod(stateDir, 0o700);
  const { host, port } = server;
  const env = { PATH: process.env["PATH"], PGPASSWORD: as.password, PGSSLMODE: "disable" };
  const target: Target = await resolveTarget({
    flags: { host, port, user: as.user, database: "postgres" },
    env,
    stateDir,
    onSecret: () => {},
  });
  const contexts: FakeContext[] = [];
  const run = (more: Overrides = {}): FakeContext => {
    const id = `r${++runs}`;
    const ctx = fakeContext({
      env,
      clock: {
        now: () => new Date(),
        monotonic: () => performance.now(),
        sleep: (ms) => Bun.sleep(ms),
      },
      ...more,
      run: { id, stateDir, ...more.run },
      step: { job: `${id}/step`, ...more.step },
      target: through(target),
    });
    contexts.push(ctx);
    return ctx;
  };
  return {
    server,
    stateDir,
    run,
    place: () => backupPlace(run()),
    async sql(text, database = "postgres") {
      const client = await clientOf(server, database);
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
    async close() {
      for (const ctx of contexts) await ctx.close();
      await target.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** Runs a step as the engine would: the input must fit its schema, and the output too. */
export async function runStep(step: StepType, input: JsonObject, ctx: FakeContext): Promise<any> {
  const ajv = new Ajv({ strict: false, validateFormats: false, useDefaults: true });
  if (!ajv.validate(step.input, input)) throw new Error(ajv.errorsText());
  ctx.does.effect = typeof step.effect === "function" ? step.effect(input) : step.effect;
  const output = await step.run(ctx, input);
  if (!ajv.validate(step.output, output)) throw new Error(ajv.errorsText());
  return output;
}

/** All files below a folder, with their modes. */
export async function filesOf(folder: string): Promise<{ name: string; mode: number }[]> {
  const files: { name: string; mode: number }[] = [];
  const { stat } = await import("node:fs/promises");
  for await (const name of new Bun.Glob("**/*").scan({ cwd: folder, dot: true })) {
    files.push({ name, mode: (await stat(join(folder, name))).mode & 0o777 });
  }
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
