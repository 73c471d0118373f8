/** Work that goes on beside the engine: processes of their own, and builds in the server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientOf, type TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  alive,
  at,
  cli,
  type Env,
  eventually,
  type Place,
  place,
  removePlaces,
  runbooks,
  Running,
  stepTypes,
} from "./support.ts";

setDefaultTimeout(300_000);

const pids: number[] = [];
afterAll(() => {
  for (const pid of pids.filter(alive)) process.kill(pid, "SIGKILL");
  removePlaces();
});

/** A process that has left its parents and its session behind, found again by its pid and when it began. */
const JOB = `
  effect: "change", risk: "change", idempotent: false, job: true,
  async run(ctx) {
    if (!ctx.attached) {
      ctx.note({ job: ctx.step.job });
      const script = 'echo x >> starts; setsid -f sh -c "echo \\\\$\\\\$ > job.pid; exec > /dev/null 2>&1; while [ ! -e release ]; do sleep 0.05; done; touch ended" ; while [ ! -s job.pid ]; do sleep 0.01; done; cat job.pid';
      const { stdout } = await ctx.spawn(["sh", "-c", script], { cwd: ctx.cwd, outlives: true });
      const pid = Number(stdout);
      ctx.note({ job: ctx.step.job, pid, start: await this.start(ctx, pid) });
    }
    ctx.log(ctx.attached ? "attached to " + ctx.attached.job : "following");
    while ((await this.start(ctx, ctx.noted.pid)) === ctx.noted.start) await ctx.clock.sleep(30, ctx.signal);
    return { attached: ctx.attached !== undefined };
  },
  async start(ctx, pid) {
    const { stdout } = await ctx.spawn(["cat", "/proc/" + pid + "/stat"]);
    const rest = stdout.slice(stdout.lastIndexOf(")") + 2).split(" ");
    return rest[0] === "Z" ? "" : rest[19] ?? "";
  },
  async probe(ctx) {
    if (ctx.noted?.pid === undefined) return { state: "unknown", reason: "it died while it was started" };
    if ((await this.start(ctx, ctx.noted.pid)) === ctx.noted.start) return { state: "running" };
    const { exit_code } = await ctx.spawn(["test", "-e", "ended"], { cwd: ctx.cwd });
    return exit_code === 0 ? { state: "done", output: { attached: true } } : { state: "not_done" };
  },
  async stop(ctx) {
    await ctx.spawn(["kill", String(ctx.noted.pid)]);
  },
  async undo(ctx) {
    const runs = (await this.start(ctx, ctx.noted.pid)) === ctx.noted.start;
    await ctx.spawn(["sh", "-c", "echo " + (runs ? "beside it" : "after it") + " > undone"], { cwd: ctx.cwd });
  },`;
const HEAD = "summary: s\nrisk: change\n";

function here(timeout = ""): Place {
  return place({
    ...stepTypes({ "t.job": JOB }),
    ...runbooks({
      "t/job": `${HEAD}steps:\n  - {id: job, t.job: {}${timeout}}\noutput: {attached: steps.job.output.attached}\n`,
    }),
  });
}

const text = (p: Place, file: string) => readFileSync(join(p.cwd, file), "utf8").trim();
const lastRun = async (p: Place) =>
  String(at((await cli(["runs"], p)).envelope, "data", "runs", 0, "id"));

async function started(p: Place): Promise<Running> {
  const running = new Running(["t", "job"], p);
  await running.said("job: following");
  pids.push(Number(text(p, "job.pid")));
  return running;
}

test("kill -9 while a step follows its job: the resumed run attaches to it, and starts no other", async () => {
  const p = here();
  const first = await started(p);
  first.signal("SIGKILL");
  await first.ended();
  const pid = pids.at(-1)!;
  expect(alive(pid)).toBe(true);
  const id = await lastRun(p);
  const again = new Running(["resume", id], p);
  await again.said(`job: attached to ${id}/job`);
  expect(alive(pid)).toBe(true);
  writeFileSync(join(p.cwd, "release"), "");
  const ran = await again.done();
  expect(ran.envelope).toMatchObject({ success: true, data: { attached: true } });
  expect(at(ran.envelope, "data", "run", "warnings")).toEqual([]);
  expect(text(p, "starts")).toBe("x");
});

test("kill -9, and the job ends before the run is resumed: it is done", async () => {
  const p = here();
  const first = await started(p);
  first.signal("SIGKILL");
  await first.ended();
  writeFileSync(join(p.cwd, "release"), "");
  await eventually(() => existsSync(join(p.cwd, "ended")), "the job ends");
  const ran = await cli(["resume", await lastRun(p)], p);
  expect(ran.envelope).toMatchObject({ success: true });
  expect(text(p, "starts")).toBe("x");
});

test("a job that outlasts its timeout is ended before the step is taken back", async () => {
  const p = here(", timeout: 1s");
  const first = await started(p);
  const ran = await first.done();
  expect(ran).toMatchObject({ exit: 5, envelope: { error: { code: "timeout" } } });
  expect(alive(pids.at(-1)!)).toBe(false);
  expect(text(p, "undone")).toBe("after it");
});

test("a second signal leaves the job to `resume`, which ends it and takes the step back", async () => {
  const p = here();
  const first = await started(p);
  first.signal("SIGTERM");
  await first.said("SIGTERM: the step ends");
  first.signal("SIGTERM");
  expect((await first.done()).exit).toBe(130);
  const pid = pids.at(-1)!;
  expect(alive(pid)).toBe(true);
  const ran = await cli(["resume", await lastRun(p)], p);
  expect(ran.exit).toBe(130);
  expect(alive(pid)).toBe(false);
  expect(text(p, "undone")).toBe("after it");
});

let server: TestServer;
let env: Env;
beforeAll(async () => {
  server = await sharedServer();
  env = { CLUSTER_PASSWORD: server.password };
});

/** A build that is held up by the open transaction of somebody else. */
async function heldUp(table: string) {
  const db = await clientOf(server);
  await db.query(
    `CREATE TABLE ${table} (a int); INSERT INTO ${table} SELECT generate_series(1, 1000)`,
  );
  const other = await clientOf(server);
  await other.query(`BEGIN; UPDATE ${table} SET a = 0 WHERE a = 1`);
  const p = place({ "home/clusters/orders.yaml": clusterFile(server, "managed") });
  const definition = `CREATE INDEX ${table}_a ON public.${table} (a)`;
  const run = new Running(["index", "create", definition, "--cluster", "orders", "--yes"], p, {
    env,
  });
  const builders = async () =>
    (await db.query("SELECT 1 FROM pg_stat_progress_create_index")).rows.length;
  while ((await builders()) === 0) await Bun.sleep(20);
  const valid = async () =>
    (
      await db.query(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname = $1",
        [`${table}_a`],
      )
    ).rows.map((row) => row.indisvalid as boolean);
  const end = async () => {
    await other.end();
    await db.query(`DROP TABLE ${table}`);
    await db.end();
  };
  return { p, run, other, builders, valid, end };
}

test("the first Ctrl-C cancels a CREATE INDEX at once; nothing of it is left", async () => {
  const { run, other, builders, valid, end } = await heldUp("cut_off");
  // The terminal of a pipe: how far the server is.
  await run.said(/at \S*create\S*: waiting for .*, held up by process \d+/);
  run.signal("SIGINT");
  // The transaction that holds it up is still open.
  while ((await builders()) > 0) await Bun.sleep(20);
  await other.query("ROLLBACK");
  const ran = await run.done();
  expect(ran).toMatchObject({ exit: 130, envelope: { error: { code: "interrupted" } } });
  expect(await valid()).toEqual([]);
  await end();
});

test("kill -9 while the server builds an index: the resumed run waits for that build, and has its index", async () => {
  const { p, run, other, builders, valid, end } = await heldUp("left_alone");
  run.signal("SIGKILL");
  await run.ended();
  expect(await builders()).toBe(1);
  const again = new Running(["resume", await lastRun(p)], p, { env });
  await again.said(/held up by process \d+/);
  await other.query("ROLLBACK");
  const ran = await again.done();
  expect(ran.envelope).toMatchObject({ success: true, data: { created: true } });
  expect(await valid()).toEqual([true]);
  await end();
});
