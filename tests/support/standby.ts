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
  copyLive(primary.dataDir, dataDir);
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

/** The server goes on meanwhile: files change and go away, which tar tells by exit code 1, and recovery puts right. */
function copyLive(from: string, to: string): void {
  const script = `mkdir -m 0700 "$2" && chown --reference="$1" "$2" && tar -C "$1" -cf "$2.tar" . 2>/dev/null
    [ $? -le 1 ] && tar -C "$2" -xpf "$2.tar" && rm "$2.tar"`;
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script, "sh", from, to]);
  if (exitCode !== 0) throw new Error(`the copy failed: ${stderr}`);
}
