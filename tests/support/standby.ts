import { chown, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientOf, type TestServer } from "./postgres.ts";

/** Makes `dataDir` a standby of `primary` by an online copy, its own postgresql.conf kept; for `prepare` of `startServer`. */
export async function cloneInto(dataDir: string, primary: TestServer): Promise<void> {
  const conf = await readFile(join(dataDir, "postgresql.conf"), "utf8");
  const { uid, gid } = await stat(dataDir);
  const client = await clientOf(primary);
  const [begin, end] =
    primary.version >= 15
      ? ["pg_backup_start('test', true)", "pg_backup_stop(false)"]
      : ["pg_start_backup('test', true, false)", "pg_stop_backup(false, false)"];
  await client.query(`select ${begin}`);
  await rm(dataDir, { recursive: true });
  if (Bun.spawnSync(["cp", "-a", primary.dataDir, dataDir]).exitCode !== 0)
    throw new Error("cp failed");
  const { rows } = await client.query(`select labelfile from ${end}`);
  await client.end();
  await rm(join(dataDir, "postmaster.pid"));
  const conninfo = `host=${primary.host} port=${primary.port} user=postgres password=${primary.password}`;
  await writeFile(join(dataDir, "postgresql.conf"), `${conf}\nprimary_conninfo = '${conninfo}'\n`);
  for (const [name, text] of [
    ["backup_label", rows[0].labelfile],
    ["standby.signal", ""],
  ]) {
    await writeFile(join(dataDir, name), text);
    await chown(join(dataDir, name), uid, gid);
  }
}
