import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Glob } from "bun";
import { isPatroniSession, PATRONI_SESSION } from "../../../providers/patroni/signs.ts";

const ROOT = `${import.meta.dir}/../../..`;
/** Where a runbook, a check or a file of SQL tells sessions by the beginning of their names: those of pgdba itself, and those of Patroni. */
const BY_NAME = /application(?:_name)?(?:\.startsWith\(|\s+like\s+|\s*\^@\s*)'([A-Za-z]+)[%/]?'/g;

test("all who know sessions of Patroni by their names know them by the same", () => {
  expect(isPatroniSession("a")).toBe("a.application_name ^@ 'Patroni'");
  const found = new Map<string, string>();
  for (const path of new Glob("{runbooks,steps,providers}/**/*.{yaml,sql}").scanSync(ROOT))
    for (const [, name = ""] of readFileSync(`${ROOT}/${path}`, "utf8").matchAll(BY_NAME))
      if (name !== "pgdba") found.set(path, name);
  // It sees both ways in which they are written.
  for (const path of ["slot/list", "session/terminate"])
    expect(found.has(`runbooks/${path}.yaml`)).toBe(true);
  expect([...found].filter(([, name]) => name !== PATRONI_SESSION)).toEqual([]);
});

test("in TypeScript no other file writes the name", () => {
  const others = [...new Glob("{engine,steps,providers}/**/*.ts").scanSync(ROOT)].filter(
    (path) =>
      path !== "providers/patroni/signs.ts" &&
      /application_name[^\n]*Patroni/.test(readFileSync(`${ROOT}/${path}`, "utf8")),
  );
  expect(others).toEqual([]);
});
