/** Data directories of test servers: a copy of one that initdb made, which costs a tenth of making it. */
import { existsSync } from "node:fs";
import {
  chown,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { geteuid } from "node:process";
import type { Binaries } from "../../providers/nodes/embedded/binaries.ts";
import { initdb, runAs } from "../../providers/nodes/embedded/server.ts";
import { type OrdinaryUser, spareBase } from "../../providers/nodes/embedded/user.ts";

/**
 * Makes `dataDir` as initdb with these arguments would, and gives the password of its superuser `postgres`. Servers whose arguments are
 * the same have one password; each has a system identifier of its own.
 */
export async function freshData(
  binaries: Binaries,
  user: OrdinaryUser | null,
  dataDir: string,
  args: string[],
): Promise<string> {
  const template = await templateOf(binaries, user, args);
  await runAs(user, ["cp", "-R", join(template, "data"), dataDir]);
  await identify(dataDir, crypto.getRandomValues(new BigUint64Array(1))[0]! >> 1n);
  return readFile(join(template, "password"), "utf8");
}

/** One per machine for as long as its temporary folder lives, whichever of the test processes comes first. */
async function templateOf(
  binaries: Binaries,
  user: OrdinaryUser | null,
  args: string[],
): Promise<string> {
  const base = await spareBase(
    [tmpdir(), "/tmp", "/var/lib/pgdba"].map((dir) => join(dir, `pgdba-initdb-${geteuid?.()}`)),
  );
  const built = (await stat(binaries.postgres)).mtimeMs;
  const key = new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([binaries.initdb, built, user?.uid, args]))
    .digest("hex");
  const template = join(base, `${binaries.version}-${key.slice(0, 12)}`);
  if (existsSync(template)) return template;
  const draft = await mkdtemp(join(base, "new-"));
  try {
    if (user !== null) await chown(draft, user.uid, user.gid);
    const password = crypto.randomUUID();
    const dataDir = join(draft, "data");
    await initdb({ binaries, user, dataDir, superuser: "postgres", password, args });
    await writeFile(join(draft, "password"), password, { mode: 0o600 });
    // The rename is atomic: the directory is never seen half made. Another process may have been faster.
    await rename(draft, template).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(template)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return template;
}

/** Where the first page of a segment has the identifier (`XLogLongPageHeaderData`, xlog_internal.h). */
const WAL_IDENTIFIER = 24;

/** Makes a data directory that no server has used yet another cluster than the one it is a copy of. */
async function identify(dataDir: string, identifier: bigint): Promise<void> {
  const control = join(dataDir, "global/pg_control");
  const bytes = await readFile(control);
  const end = checksumAt(bytes);
  bytes.writeBigUInt64LE(identifier, 0);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, end)), end);
  await writeFile(control, bytes);
  const folder = join(dataDir, "pg_wal");
  for (const name of await readdir(folder)) {
    if (!/^[0-9A-F]{24}$/.test(name)) continue;
    const file = await open(join(folder, name), "r+");
    const text = Buffer.alloc(8);
    text.writeBigUInt64LE(identifier);
    await file.write(text, 0, 8, WAL_IDENTIFIER);
    await file.close();
  }
}

/** Where `ControlFileData` has its checksum: behind all that it is of, whose length each version has its own. */
function checksumAt(control: Buffer): number {
  let crc = -1;
  for (let at = 0; at < 512; at++) {
    if (at > 200 && at % 4 === 0 && control.readUInt32LE(at) === ~crc >>> 0) return at;
    crc = step(crc, control[at]!);
  }
  throw new Error("pg_control has no checksum that we know");
}

/** CRC-32C, reflected. */
function crc32c(bytes: Uint8Array): number {
  return ~bytes.reduce(step, -1) >>> 0;
}

function step(crc: number, byte: number): number {
  let next = crc ^ byte;
  for (let bit = 0; bit < 8; bit++) next = (next >>> 1) ^ (next & 1 ? 0x82f63b78 : 0);
  return next;
}
