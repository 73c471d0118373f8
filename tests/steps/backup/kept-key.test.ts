import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { givenKey, keyOfStore } from "../../../steps/backup/archive/kept-key.ts";
import { fakeContext } from "../../support/context.ts";

test("of a key that is given, and of one that a file keeps, the part that is secret is masked by itself, too", () => {
  const folder = mkdtempSync(join(tmpdir(), "pgdba-kept-key-"));
  try {
    const file = join(folder, "repository");
    writeFileSync(file, "reader:s3cr3t-value\n", { mode: 0o600 });
    const kept = fakeContext();
    expect(keyOfStore(kept, { key_file: file })).toBe("reader:s3cr3t-value");
    const given = fakeContext({ env: { STORE: "reader:s3cr3t-value" } });
    expect(givenKey(given, "STORE")).toBe("reader:s3cr3t-value");
    for (const { recorded } of [kept, given])
      expect(recorded.secrets).toEqual(["reader:s3cr3t-value", "s3cr3t-value"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
