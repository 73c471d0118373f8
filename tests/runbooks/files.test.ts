import { expect, test } from "bun:test";
import { builtIn } from "../support/command-lines.ts";

/** What speaks of files, and names none of the machine that pgdba runs on: those of nodes and object stores, and those that pgdba makes. */
const NO_FILE_HERE = [
  "backup/receive.repository",
  "backup/receive.key_env",
  "backup/restore.repository",
  "backup/setup.repository",
  "backup/setup.key_env",
  "cluster/init.data_size",
  "rehearsal/copy.copy",
  "rehearsal/restore.copy",
];

test("a parameter that names a file says so: shells complete it, approvals cover what is in it, and no agent gives it", async () => {
  const silent: string[] = [];
  for (const [name, { params }] of await builtIn())
    for (const [param, { type, format, secret, description = "" }] of Object.entries(params)) {
      if (type !== "string" || format === "file" || secret === true) continue;
      if (/\b(a|this|the) (file|folder|directory)\b|\bits configuration\b/i.test(description))
        silent.push(`${name}.${param}`);
    }
  expect(silent.toSorted()).toEqual(NO_FILE_HERE.toSorted());
});
