/** A program whose reader went away ends: a server that is killed leaves behind the one that it had called for a segment. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

setDefaultTimeout(60_000);
const base = mkdtempSync(join(tmpdir(), "pgdba-reader-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const main = join(import.meta.dir, "../../engine/main.ts");

test.each([
  ["wal get", "2>&1 >/dev/null", 200],
  ["wal push", "2>&1 >/dev/null", 1],
  ["work lists", "2>/dev/null </dev/null", 1],
])("%s", async (words, streams, status) => {
  const argv = [process.execPath, main, ...words.split(" "), "000000010000000000000001"];
  if (words === "wal get") argv.push(join(base, "to"));
  // What `true` was to read is gone before the program has anything to say.
  const shell = `( sleep 0.5; timeout -s KILL 20 "$@" ${streams}; echo $? >&3 ) | true`;
  const child = Bun.spawn(["bash", "-c", `exec 3>&1; ${shell}`, "sh", ...argv], { cwd: base });
  expect(Number(await new Response(child.stdout).text())).toBe(status);
});
