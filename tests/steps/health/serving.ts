import { join } from "node:path";
import { systemClock as clock } from "../../../engine/clock.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject, Target } from "../../../engine/types.ts";
import serve from "../../../steps/health/serve.ts";
import { libraryWith } from "../../runbooks/health/support.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import type { TestServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

const open: { ctx: FakeContext; ended: Promise<unknown> }[] = [];

/** For the end of a file of tests. */
export async function stopServing(): Promise<void> {
  for (const { ctx, ended } of open.splice(0)) {
    ctx.abort(new Error("the tests are over"));
    await ended;
    await ctx.target.close();
  }
}

/** The step on a real server, on a port of its own. */
export const serving = (place: TestServer, input: JsonObject = {}) =>
  servingOf(targetOf(place), input);

export async function servingOf(target: Target, input: JsonObject = {}) {
  const listening = Promise.withResolvers<string>();
  const ctx = fakeContext({
    target: through(target),
    library: libraryWith(),
    clock,
    log: (message) => listening.resolve(/http:\S+/.exec(message)?.[0] ?? message),
  });
  ctx.does.effect = "read";
  const ended = serve.run(ctx, { port: 0, ...input }).then(
    () => undefined,
    (error: unknown) => error as PgdbaError,
  );
  open.push({ ctx, ended });
  const url = await Promise.race([listening.promise, ended.then((error) => Promise.reject(error))]);
  return { url, ctx, ended };
}

/** Stops a server's processes with a signal, all of them; gives what lets them go on. */
export async function freeze({ dataDir }: TestServer): Promise<() => void> {
  const main = (await Bun.file(join(dataDir, "postmaster.pid")).text()).split("\n")[0]!;
  const pids = new Set([Number(main)]);
  const all = (signal: NodeJS.Signals) => {
    for (const pid of pids)
      try {
        process.kill(pid, signal);
      } catch (error) {
        // A session that had ended is gone as soon as its parent may clear up after it.
        if ((error as { code?: string }).code !== "ESRCH") throw error;
      }
  };
  // The kernel may leave out children while others of them end (proc(5)); what is stopped does not.
  for (let before = 0; pids.size > before;) {
    before = pids.size;
    all("SIGSTOP");
    const children = await Bun.file(`/proc/${main}/task/${main}/children`).text();
    for (const [pid] of children.matchAll(/\d+/g)) pids.add(Number(pid));
  }
  return () => all("SIGCONT");
}
