import { expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { clusterFile } from "../../../providers/registry/folder.ts";
import archive from "../../../steps/backup/archive.ts";
import { isSetSince } from "../../../steps/backup/archive/set-since.ts";
import { fakeContext } from "../../support/context.ts";
import { clientOf, sharedServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

test("archiving that a later run has set up is not taken from it by the dead one that is given up", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-set-since-"));
  const server = await sharedServer();
  const target = targetOf(server);
  const admin = await clientOf(server);
  const set = async () =>
    (
      await admin.query(
        "select setting from pg_file_settings where name = 'archive_timeout' and sourcefile like '%auto.conf'",
      )
    ).rows.map(({ setting }) => setting as string);
  const settings = { archive_timeout: "61s" };
  const run = async (id: string) => {
    const ctx = fakeContext({
      target: { ...through(target), cluster: "orders" },
      run: { stateDir, id },
    });
    await archive.run(ctx, { settings });
    return ctx;
  };
  try {
    const dead = await run("run-1");
    const later = await run("run-later");
    await archive.forget!(later, { settings });
    await archive.undo!(dead, { settings }, undefined);
    expect(await set()).toEqual(["61s"]);
    expect(dead.recorded.warnings).toEqual([
      expect.stringContaining("A later run has set the archiving since"),
    ]);
    // Whoever comes after it puts back what is there now.
    await admin.query("alter system set archive_timeout = '62s'");
    const failed = await run("run-2");
    await archive.undo!(failed, { settings }, undefined);
    expect(await set()).toEqual(["62s"]);
    // A dead run is no part of what was there before, and what somebody has written since by hand is.
    await archive.forget!(failed, { settings });
    await run("run-3");
    await archive.undo!(await run("run-4"), { settings }, undefined);
    expect(await set()).toEqual(["62s"]);
    await run("run-5");
    await admin.query("alter system set archive_timeout = '63s'");
    await archive.undo!(await run("run-6"), { settings }, undefined);
    expect(await set()).toEqual(["63s"]);
  } finally {
    await admin.query("alter system reset archive_timeout");
    await admin.end();
    await target.close();
    await rm(stateDir, { recursive: true });
  }
});

test("the repository that a later run has recorded is that one's", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-set-since-"));
  const ctx = fakeContext({ target: { cluster: "orders" }, run: { stateDir } });
  try {
    await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
    await writeFile(
      clusterFile(stateDir, "orders"),
      stringify({
        ownership: "connected",
        postgres: { host: "h", user: "u" },
        recorded_by: { repository: "run-later" },
      }),
      { mode: 0o600 },
    );
    expect([await isSetSince(ctx, "run-1"), await isSetSince(ctx, "run-later")]).toEqual([
      true,
      false,
    ]);
    expect(ctx.recorded.warnings).toEqual([
      expect.stringContaining("Run run-later has set archiving up since"),
    ]);
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
