import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import { Stop } from "../../../engine/run/stop.ts";
import type { Json, ProbeResult, StepContext } from "../../../engine/types.ts";
import { fail, Harness, leaping, untilAborted, withHarness } from "./harness.ts";

/** A job that goes on beside the engine, as far as one test tells it. */
class Job {
  state: ProbeResult["state"] = "not_done";
  seen: { verb: string; noted: Json | undefined; attached: StepContext["attached"] }[] = [];
  /** What `run` does once the job runs. */
  follow: (ctx: StepContext) => Promise<Json> = (ctx) => untilAborted(ctx, null) as Promise<Json>;

  at(h: Harness, id = "job"): void {
    const see = (verb: string, ctx: StepContext) => {
      this.seen.push({ verb, noted: ctx.noted, attached: ctx.attached });
      h.calls.push(`${verb} ${ctx.step.path}`);
    };
    h.on[id] = async (ctx) => {
      see("run", ctx);
      if (!ctx.attached) {
        ctx.note({ name: ctx.step.job });
        this.state = "running";
      }
      return this.follow(ctx);
    };
    h.on[`${id}~probe`] = (ctx) => {
      see("probe", ctx);
      const state = this.state;
      if (state === "running") return { state };
      if (state === "failed")
        return { state, error: new PgdbaError("command_failed", "it broke") } as never;
      if (state === "unknown") return { state, reason: "the host is gone" };
      return state === "done" ? { state, output: { probed: true } } : { state: "not_done" };
    };
    h.on[`${id}~stop`] = (ctx) => {
      see("stop", ctx);
      this.state = "not_done";
      return null;
    };
    h.on[`${id}~undo`] = (ctx, output) => {
      see(`undo ${JSON.stringify(output ?? null)}`, ctx);
      return null;
    };
  }
}

const verbs = (h: Harness) => h.calls.filter((call) => !/^(look|act|undo job)/.test(call));
const TEXT = "steps: [{id: job, fake.job: {}}, {id: after, fake.look: {}}]";

test("a note is on disk before the step goes on, and its probe and next attempt find it; the job is attached to, not started again", () =>
  withHarness(async (h) => {
    const job = new Job();
    job.at(h);
    const step = h.on["job"]!;
    await h.killedIn(TEXT, "job");
    // What the killed process had done: the harness' own death comes before it.
    h.on["job"] = step;
    job.follow = async () => ({ followed: true });
    h.journal.saw("run-1", "job", "note", { value: { name: "run-1/job" } });
    job.state = "running";
    const ran = await h.resume(TEXT);
    expect(ran).toMatchObject({ exit: 0 });
    expect(verbs(h)).toEqual(["probe job", "run job"]);
    const noted = { name: "run-1/job" };
    expect(job.seen).toEqual([
      { verb: "probe", noted, attached: undefined },
      { verb: "run", noted, attached: { job: "run-1/job", note: noted } },
    ]);
  }));

test("a job that outlasts its time is stopped before it is taken back; one that can't be stopped is waited for", () =>
  withHarness(async (h) => {
    const job = new Job();
    job.at(h);
    const ran = await h.run("steps: [{id: job, fake.job: {}, timeout: 300ms}]");
    expect(ran).toMatchObject({ exit: 5, error: { code: "timeout" } });
    expect(verbs(h)).toEqual(["run job", "probe job", "stop job", "probe job", "undo null job"]);

    h.calls.length = 0;
    const slow = new Job();
    slow.at(h, "slow");
    let asked = 0;
    const probe = h.on["slow~probe"]!;
    h.on["slow~probe"] = (ctx, input) => {
      if (++asked === 4) slow.state = "done";
      return probe(ctx, input);
    };
    const waited = await h.run("steps: [{id: slow, fake.lasting: {}, timeout: 300ms}]");
    expect(waited).toMatchObject({ exit: 5, error: { code: "timeout" } });
    expect(verbs(h).filter((call) => call === "probe slow")).toHaveLength(4);
    // It did its work after all, so that the inverse knows its output.
    expect(verbs(h).at(-1)).toBe('undo {"probed":true} slow');
  }));

test("a job that never ends, or of which nobody can tell, is not taken back beside itself: a person looks", () =>
  withHarness(async (h) => {
    const job = new Job();
    job.at(h, "slow");
    const text = "steps: [{id: slow, fake.lasting: {}, timeout: 300ms}]";
    const clock = leaping();
    const endless = await h.run(text, { clock });
    expect(endless).toMatchObject({ exit: 6, status: "needs_operator" });
    expect(verbs(h).some((call) => call.startsWith("undo"))).toBe(false);
    expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(300_000);

    job.state = "unknown";
    expect(await h.resume(text)).toMatchObject({ exit: 6 });
    job.state = "not_done";
    const done = await h.resume(text);
    expect(done).toMatchObject({ exit: 5, status: "undone" });
    expect(verbs(h)).toEqual(["probe slow", "undo null slow"]);
  }));

test("a job that ended with a failure is taken back at once, tried again by a retry, and not asked about after a crash", () =>
  withHarness(async (h) => {
    const job = new Job();
    job.at(h);
    const broken = () => {
      job.state = "failed";
      throw new PgdbaError("command_failed", "cp ended with exit code 1");
    };
    job.follow = async () => broken();
    const failed = await h.run("steps: [{id: job, fake.job: {}}]");
    expect(failed).toMatchObject({ exit: 5, error: { code: "command_failed" } });
    expect(verbs(h)).toEqual(["run job", "probe job", "undo null job"]);

    h.calls.length = 0;
    let tries = 0;
    job.follow = async () => (++tries < 2 ? broken() : { tries });
    const retry = "retry: {attempts: 2, on: 'true'}";
    const again = await h.run(`steps: [{id: job, fake.job: {}, ${retry}}]`);
    expect(again).toMatchObject({ exit: 0, steps: [{ attempts: 2 }] });
    expect(verbs(h)).toEqual(["run job", "probe job", "run job"]);

    h.calls.length = 0;
    const step = h.on["job"]!;
    await h.killedIn(TEXT, "job");
    h.on["job"] = step;
    job.state = "failed";
    const ran = await h.resume(TEXT);
    expect(ran).toMatchObject({
      exit: 5,
      error: { code: "command_failed", message: "it broke", step: "job" },
    });
    expect(verbs(h)).toEqual(["probe job", "probe job", "undo null job"]);
  }));

test("a job without an inverse is stopped nevertheless", () =>
  withHarness(async (h) => {
    const job = new Job();
    job.at(h);
    await h.run("steps: [{id: job, fake.job: {}, timeout: 300ms, undo: false}]");
    expect(verbs(h)).toEqual(["run job", "probe job", "stop job", "probe job"]);
  }));

test("a further attempt asks first: a job that still runs is followed, one that ended is taken as it is", () =>
  withHarness(async (h) => {
    const text =
      "steps: [{id: job, fake.job: {}, retry: {attempts: 3, backoff: 1ms}}]\noutput: {of: steps.job.output}\n";
    const job = new Job();
    job.at(h);
    let tries = 0;
    job.follow = async () => {
      if (++tries < 3)
        throw new PgdbaError("connection_failed", "the line broke", { retryable: true });
      return { followed: true };
    };
    expect(await h.run(text)).toMatchObject({ exit: 0, data: { of: { followed: true } } });
    expect(verbs(h)).toEqual(["run job", "probe job", "run job", "probe job", "run job"]);
    expect(job.seen[4]?.attached?.job).toBe("run-1/job");

    h.calls.length = 0;
    tries = 0;
    job.state = "not_done";
    job.follow = async () => {
      job.state = "done";
      throw new PgdbaError("connection_failed", "the line broke", { retryable: true });
    };
    expect(await h.run(text)).toMatchObject({ exit: 0, data: { of: { probed: true } } });
    expect(verbs(h)).toEqual(["run job", "probe job"]);

    job.follow = async () => {
      job.state = "unknown";
      throw new PgdbaError("connection_failed", "the line broke", { retryable: true });
    };
    job.state = "not_done";
    const ran = await h.run(text);
    expect(ran.error?.message).toContain(
      "nothing can tell whether the job of the last attempt still runs",
    );
    expect(ran.exit).toBe(6);
  }));

test("a second attempt starts a job of another name", () =>
  withHarness(async (h) => {
    const names: string[] = [];
    h.on["job"] = (ctx) => {
      names.push(ctx.step.job);
      throw new PgdbaError("connection_failed", "no", { retryable: true });
    };
    h.on["job~probe"] = () => ({ state: "not_done" });
    await h.run("steps: [{id: job, fake.job: {}, retry: {attempts: 2, backoff: 1ms}}]");
    expect(names).toEqual(["run-1/job", "run-1/job@2"]);
  }));

test("a note is bounded, may hold no secret, must be JSON, and is not kept of a sensitive step", () =>
  withHarness(async (h) => {
    h.secrets.add("hunter2hunter2");
    const noting = (value: unknown) => (ctx: StepContext) => {
      ctx.note(value as Json);
      h.calls.push("went on");
      return null;
    };
    const refused: [unknown, string][] = [
      ["x".repeat(70_000), "limit_exceeded"],
      [{ password: "hunter2hunter2" }, "secret_exposed"],
      [undefined, "step_failed"],
    ];
    for (const [value, code] of refused) {
      h.on = { a: noting(value) };
      const ran = await h.run("steps: [{id: a, fake.keep: {}}]");
      expect(ran.error?.code).toBe(code as never);
    }
    expect(h.calls).not.toContain("went on");

    const text = "steps: [{id: p, sensitive: true, fake.probed: {}}]";
    const stop = new Stop();
    h.on = {
      p: (ctx) => {
        ctx.note({ row: "private" });
        expect(ctx.noted).toEqual({ row: "private" });
        stop.request("a test");
        stop.request("a test");
        return untilAborted(ctx, null);
      },
    };
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    expect(JSON.stringify(h.journal.db.query("SELECT * FROM saw").all())).not.toContain("private");
    h.on = { "p~probe": () => ({ state: "not_done" }) };
    h.calls.length = 0;
    const ran = await h.resume(text);
    expect(ran).toMatchObject({ status: "needs_operator" });
    expect(ran.error?.message).toContain("noted what was not kept");
    expect(h.calls).toEqual([]);
  }));

test("progress is an event, a few a second, none of it of a sensitive step, and nothing of it is in the envelope", () =>
  withHarness(async (h) => {
    const report = (ctx: StepContext) => {
      for (let done = 0; done <= 1000; done++) ctx.progress({ done, total: 1000, unit: "rows" });
      return null;
    };
    h.on = { a: report, b: report };
    const ran = await h.run(
      "steps: [{id: a, fake.keep: {}}, {id: b, sensitive: true, fake.keep: {}}]",
    );
    const said = h.events.filter((event) => event.kind === "step.progress");
    expect(
      said.map(({ path, done, total, unit, text }) => [path, done, total, unit, text]),
    ).toEqual([
      ["a", 0, 1000, "rows", null],
      ["a", 1000, 1000, "rows", null],
    ]);
    expect(JSON.stringify(ran.envelope)).not.toContain("rows");
  }));

test("an interruptible change is told at once, waited for, and taken back; in an undo it is let run to its end", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      cut: async (ctx) => {
        const told = untilAborted(ctx, null) as Promise<Json>;
        stop.request("SIGINT");
        await told.catch(() => {});
        h.calls.push("told");
        await Bun.sleep(20);
        h.calls.push("swept");
        throw ctx.signal.reason;
      },
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: cut, fake.cuttable: {}}]", {
      stop,
    });
    expect(h.calls).toEqual(["act a", "act cut", "told", "swept", "undo cut", "undo a"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted" });
    expect(ran.ended).toEqual(["a ok", "cut cancelled"]);

    h.calls.length = 0;
    const during = new Stop();
    h.on = {
      boom: fail(),
      back: async (ctx) => {
        during.request("SIGINT");
        await Bun.sleep(5);
        h.calls.push(`aborted ${ctx.signal.aborted}`);
        return null;
      },
    };
    await h.run(
      "steps: [{id: a, fake.keep: {}, undo: [{id: back, fake.cuttable: {}}]}, {id: boom, fake.look: {}}]",
      { stop: during },
    );
    expect(h.calls).toContain("aborted false");
  }));
