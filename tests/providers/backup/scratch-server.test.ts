import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ScratchServer } from "../../../providers/backup/recover/scratch-server.ts";
import { openBinaries } from "../../../providers/nodes/embedded/binaries.ts";
import { initdb } from "../../../providers/nodes/embedded/server.ts";
import { ordinaryUser } from "../../../providers/nodes/embedded/user.ts";

setDefaultTimeout(300_000);

const owner = ordinaryUser();
const base = await mkdtemp(join(tmpdir(), "ss-"));
afterAll(() => rm(base, { recursive: true, force: true }));

test("whoever wants a session of it waits until it takes connections, and no longer than it lives", async () => {
  if (owner) await chown(base, owner.uid, owner.gid);
  const binaries = await openBinaries(18, owner);
  const data = join(base, "data");
  await initdb({ binaries, user: owner, dataDir: data, superuser: "postgres", password: "p" });
  const server = new ScratchServer({
    data,
    programs: dirname(binaries.postgres),
    folder: join(base, "s"),
    owner,
    user: "postgres",
    settings: {},
  });
  expect(await server.open()).toBeNull();
  const waits = server.opened();
  await server.start();
  const session = await waits;
  expect((await session.ask("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  await expect(server.opened("nosuch")).rejects.toMatchObject({
    message: expect.stringContaining("nosuch"),
  });
  await session.close();
  await server.stop();
  await expect(server.opened()).rejects.toMatchObject({
    code: "connection_failed",
    message: expect.stringContaining("it ended (exit code 0)"),
  });
  const given = AbortSignal.abort(new Error("enough"));
  await expect(server.opened("postgres", given)).rejects.toThrow("enough");
});
