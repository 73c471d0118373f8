import { expect, test } from "bun:test";
import { join } from "node:path";
import { binariesOf, debianPostgres } from "../../support/debian.ts";
import { clientOf, startServer } from "../../support/postgres.ts";

const script = join(import.meta.dir, "../../../deployments/docker/start/before_stop.sh");
const debian = debianPostgres();

function before(data: string, user: { uid: number; gid: number }) {
  return Bun.spawnSync(["sh", script, data], {
    env: { PATH: `${debian?.bin}:/usr/bin:/bin` },
    cwd: "/",
    ...user,
  });
}

test.skipIf(debian === undefined)(
  "before Patroni stops a server, it is stopped in good order, and clients are cut off",
  async () => {
    const server = await startServer({ version: debian!.version, binaries: binariesOf(debian!) });
    try {
      const client = await clientOf(server);
      await client.query("CREATE TABLE t AS SELECT 1 AS a");
      const data = server.dataDir;
      const owner = Bun.spawnSync(["stat", "-c", "%u %g", data]).stdout.toString().split(" ");
      const user = { uid: Number(owner[0]), gid: Number(owner[1]) };
      const ended = new Promise<void>((done) => client.once("end", done));
      expect(before(data, user).exitCode).toBe(0);
      await ended;
      const control = (): string =>
        Bun.spawnSync([join(debian!.bin, "pg_controldata"), data], { env: { LC_ALL: "C" } })
          .stdout.toString()
          .match(/cluster state: *(.*)/)![1]!;
      for (const ends = performance.now() + 10_000; control() !== "shut down"; await Bun.sleep(20))
        if (performance.now() > ends) throw new Error(control());
      // Patroni goes on, whatever it finds.
      expect(before(data, user).exitCode).toBe(0);
    } finally {
      await server.stop();
    }
  },
  60_000,
);
