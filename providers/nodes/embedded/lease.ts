import { join } from "node:path";
import { takeExclusively } from "../../../engine/shared/exclusive.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { Lease } from "../contract.ts";
import { type Home, makeDir } from "./home.ts";

/** All who could want it are processes of this machine, so that a lock of the file system tells whether its holder lives. */
export async function takeLease(
  home: Home,
  holder: string,
  what?: string,
): Promise<Lease | { heldBy: string }> {
  await makeDir(home);
  const { lockFile, file } = filesOf(home, what);
  const lock = await takeExclusively(lockFile);
  const before = readTextIfThere(file, { maxBytes: 64 * 1024 });
  const last = before === undefined ? undefined : (JSON.parse(before) as Record);
  if (lock === null) return { heldBy: last?.holder ?? "another process" };
  const epoch = (last?.epoch ?? 0) + 1;
  let held = true;
  try {
    await writeWhole(file, JSON.stringify({ epoch, holder } satisfies Record));
  } catch (error) {
    lock.release();
    throw error;
  }
  return {
    epoch,
    held: async () => (held ? "held" : { heldBy: "nobody: this run has given it back" }),
    async release() {
      held = false;
      lock.release();
    },
  };
}

/** The holder of this moment; null when nobody has it. */
export async function holderOf(home: Home, what?: string): Promise<string | null> {
  const { lockFile, file } = filesOf(home, what);
  const before = readTextIfThere(file, { maxBytes: 64 * 1024 });
  if (before === undefined) return null;
  const lock = await takeExclusively(lockFile);
  if (lock === null) return (JSON.parse(before) as Record).holder;
  lock.release();
  return null;
}

function filesOf(home: Home, what: string | undefined): { lockFile: string; file: string } {
  const name = what === undefined ? "lease" : `lease-${what}`;
  return { lockFile: join(home.dir, `${name}.lock`), file: join(home.dir, `${name}.json`) };
}

interface Record {
  epoch: number;
  holder: string;
}
