import type { JobName, Jobs } from "./contract.ts";

/** The folder of a job: a name is any text, a folder's is not. */
export function folderOfJob(name: JobName): string {
  return sha256(name).slice(0, 32);
}

/** The same for a job that does the same. */
export function digestOfJob(
  argv: readonly string[],
  options: Parameters<Jobs["start"]>[3] = {},
): string {
  const { cwd = null, user = null, stdin = null } = options;
  return sha256(JSON.stringify([argv, cwd, user, stdin]));
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
