import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { clusterFile } from "../../../providers/registry/folder.ts";
import archive from "../../../steps/backup/archive.ts";
import { fakeContext } from "../../support/context.ts";
import { clientOf, sharedServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

test("archiving that a later run has set up is not taken from it by the dead one that is given up", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-set-since-"));
  const server = await sharedServer();
  const target = targetOf(server);
  const admin = await clientOf(server);
  const entry = (recorded_by: object) =>
    writeFile(
      clusterFile(stateDir, "orders"),
      stringify({ ownership: "connected", postgres: { host: "h", user: "u" }, recorded_by }),
      { mode: 0o600 },
    );
  const set = async () =>
    (
      await admin.query(
        "select setting from pg_file_settings where name = 'archive_timeout' and sourcefile like '%auto.conf'",
      )
    ).rows.map(({ setting }) => setting as string);
  const settings = { archive_timeout: "61s" };
  const run = async () => {
    const ctx = fakeContext({
      target: { ...through(target), cluster: "orders" },
      run: { stateDir },
    });
    await archive.run(ctx, { settings });
    return ctx;
  };
  try {
    await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
    await entry({ repository: "run-1" });
    const dead = await run();
    await entry({ repository: "run-later" });
    await archive.undo!(dead, { settings }, undefined);
    expect(await set()).toEqual(["61s"]);
    expect(dead.recorded.warnings).toEqual([
      expect.stringContaining("Run run-later has set archiving up since"),
    ]);
    await entry({ repository: "run-1" });
    await archive.undo!(dead, { settings }, undefined);
    expect(await set()).toEqual([]);
  } finally {
    await admin.query("alter system reset archive_timeout");
    await admin.end();
    await target.close();
    await rm(stateDir, { recursive: true });
  }
});
