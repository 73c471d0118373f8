/** The checks that the build has parsed are those of the files; what reads otherwise by now is parsed. */
import { expect, test } from "bun:test";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsedDocuments } from "../../../engine/generate/parsed-documents.ts";
import { type Layer, openLibrary } from "../../../engine/load/library.ts";
import type { Doc } from "../../../engine/types.ts";

const dir = join(import.meta.dir, "../../../runbooks");
const built = await parsedDocuments(dir);
const NAME = "health/checks/archive-off";
const plain = (doc: Doc) => ({ ...doc, at: null });

function libraryOf(...more: Layer[]) {
  return openLibrary([{ name: "builtin", dir, parsed: () => built }, ...more]);
}

test("every built-in check is the same as from its YAML, places included", async () => {
  const [fast, slow] = [libraryOf(), openLibrary([{ name: "builtin", dir }])];
  const names = slow.entries("check").map(({ name }) => name);
  expect(Object.keys(built)).toEqual(names);
  for (const name of names) {
    const [one, other] = [await fast.load(name), await slow.load(name)];
    expect(plain(one)).toStrictEqual(plain(other));
    expect(Object.getPrototypeOf(one.data)).toBeNull();
    for (const path of [["title"], ["sql"], ["remedy", "text"], []])
      expect(one.at(path)).toEqual(other.at(path));
  }
});

test("it is not parsed: the data is what the build has noted", async () => {
  const noted = { [NAME]: { ...built[NAME]!, data: { kind: "check", title: "as built" } } };
  const library = openLibrary([{ name: "builtin", dir, parsed: () => noted }]);
  expect((await library.load(NAME)).data).toEqual({ kind: "check", title: "as built" });
});

test("a file that was changed since, and one that the user puts over it, are read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pgdba-parsed-"));
  try {
    const text = readFileSync(join(dir, `${NAME}.yaml`), "utf8");
    mkdirSync(join(folder, "health/checks"), { recursive: true });
    writeFileSync(join(folder, `${NAME}.yaml`), text.replace(/^title: .*$/m, "title: Changed"));
    const changed = openLibrary([{ name: "builtin", dir: folder, parsed: () => built }]);
    expect((await changed.load(NAME)).data["title"]).toBe("Changed");
    const over = await libraryOf({ name: "user", dir: folder }).load(NAME);
    expect([over.data["title"], over.layer]).toEqual(["Changed", "user"]);
    writeFileSync(join(folder, `${NAME}.yaml`), `extends: ${NAME}\ntitle: Extended\n`);
    const extended = await libraryOf({ name: "user", dir: folder }).load(NAME);
    expect(extended.data).toMatchObject({ title: "Extended", sql: built[NAME]!.data["sql"] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
