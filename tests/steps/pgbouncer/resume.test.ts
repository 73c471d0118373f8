import { beforeAll, describe, expect, test } from "bun:test";
import pause from "../../../steps/pgbouncer/pause.ts";
import resume from "../../../steps/pgbouncer/resume.ts";
import { fakeContext } from "../../support/context.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, onPooler, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.resume", () => {
  let at: Followed;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("lets clients go to the primary of now; where nobody holds them back it changes nothing", async () => {
    const context = onPooler(at, "change");
    await pause.run(context, {});
    expect(await resume.plan!(context, {})).toEqual({ would_resume: ["pool1"] });
    const routes = [{ instance: "pool1", member: "pg1" }];
    expect(await resume.run(context, {})).toEqual({ resumed: ["pool1"], routes });
    expect(context.recorded.unchanged).toBe(0);
    expect(await resume.run(context, {})).toEqual({ resumed: [], routes });
    expect(context.recorded.unchanged).toBe(1);
  });

  test("another's pause is his, unless his name is given", async () => {
    await pause.run(onPooler(at, "change"), { holder: "run-7" });
    const refused = resume.run(onPooler(at, "change"), { holder: "operator" });
    expect(await refused.catch((error: unknown) => error)).toMatchObject({
      code: "step_refused",
      data: { holder: "run-7" },
    });
    const output = await resume.run(onPooler(at, "change"), { holder: "run-7" });
    expect(output).toMatchObject({ resumed: ["pool1"] });
  });
});

// PgBouncer tells of a pause by hand from 1.19 on.
test("who was held back at the console by hand goes on as well, and is told", async () => {
  const state = { clients: "wait", paused: null, route: { member: "pg1" } };
  const pgbouncer = {
    instances: [{ name: "pool1" }, { name: "pool2" }],
    follower: async (name: string) => ({
      ...state,
      clients: name === "pool1" ? state.clients : "go on",
    }),
    resume: async () => void (state.clients = "go on"),
  };
  const context = fakeContext({ target: { use: async () => pgbouncer } as never });
  expect(await resume.run(context, {})).toMatchObject({ resumed: ["pool1"] });
  expect(context.recorded.unchanged).toBe(0);
  state.clients = "wait";
  pgbouncer.resume = async () => {};
  expect(await resume.run(context, {})).toMatchObject({ resumed: [] });
});
