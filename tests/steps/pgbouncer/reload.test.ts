import { beforeAll, describe, expect, test } from "bun:test";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import reload from "../../../steps/pgbouncer/reload.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, onPooler, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.reload", () => {
  let at: Followed;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("what was written into the configuration holds from then on", async () => {
    const context = onPooler(at, "change");
    const value = async () =>
      (await at.console("SHOW CONFIG")).find(({ key }) => key === "query_wait_timeout")?.["value"];
    expect(await value()).toBe("30");
    await appendFile(join(at.pooler.base, "ini"), "query_wait_timeout = 31\n");
    expect(await reload.plan!(context, {})).toEqual({ would_reload: ["pool1"] });
    expect(await value()).toBe("30");
    expect(await reload.run(context, {})).toEqual({ reloaded: ["pool1"] });
    expect(await value()).toBe("31");
    const reads = reload.run(onPooler(at, "read"), {});
    expect(await reads.catch((error: unknown) => error)).toMatchObject({ code: "step_refused" });
  });
});
