import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv } from "ajv";
import { systemClock } from "../../../engine/clock.ts";
import type { StepType } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { type FakeContext, fakeContext, type Overrides } from "../../support/context.ts";
import type { TestServer } from "../../support/postgres.ts";

const closers: (() => Promise<void>)[] = [];

/** Ends what `contextOn` and `newDir` have made. */
export async function cleanUp(): Promise<void> {
  for (const close of closers.toReversed()) await close();
  closers.length = 0;
}

export async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "pgdba-config-"));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** The context of a step of one run on a real server, with a real clock. */
export async function contextOn(
  server: Pick<TestServer, "host" | "port" | "password">,
  about: { stateDir: string; run?: string; path?: string; user?: string; password?: string } & Pick<
    Overrides,
    "cwd"
  >,
): Promise<FakeContext> {
  const { stateDir, run = "run-1", path = "apply", user = "postgres" } = about;
  const target = await resolveTarget({
    flags: { host: server.host, port: server.port, user, database: "postgres" },
    env: { PGPASSWORD: about.password ?? server.password, PGSSLMODE: "disable" },
    stateDir,
    onSecret: () => {},
  });
  closers.push(() => target.close());
  const ctx = fakeContext({
    clock: systemClock,
    run: { id: run, stateDir },
    step: { id: "apply", path },
    ...(about.cwd === undefined ? {} : { cwd: about.cwd }),
  });
  return Object.assign(ctx, { target });
}

/** Runs a step as the engine would: the input must fit its schema, and the output too. */
export async function runStep(step: StepType, ctx: FakeContext, input: object): Promise<any> {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  if (!ajv.validate(step.input, input)) throw new Error(ajv.errorsText());
  const output = await step.run(ctx, input as never);
  if (!ajv.validate(step.output, output)) throw new Error(ajv.errorsText());
  return output;
}

/** What ALTER SYSTEM has set, line by line. */
export async function autoConf(server: TestServer): Promise<string[]> {
  const text = await readFile(join(server.dataDir, "postgresql.auto.conf"), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}
