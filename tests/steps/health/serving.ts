import { systemClock as clock } from "../../../engine/clock.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
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
export async function serving(place: TestServer, input: JsonObject = {}) {
  const listening = Promise.withResolvers<string>();
  const ctx = fakeContext({
    target: through(targetOf(place)),
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
