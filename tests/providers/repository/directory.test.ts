import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { repositoryContract } from "./contract.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-repository-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const text = (words: string) => new TextEncoder().encode(words);

async function made(name: string) {
  const path = join(base, name);
  await makeRepository({ kind: "directory", path });
  return { path, repository: await openRepository({ kind: "directory", path }) };
}

repositoryContract({
  kind: "directory",
  async begin() {
    const { path } = await made("contract");
    return () => openRepository({ kind: "directory", path });
  },
  async end() {
    // Nothing half written is left.
    expect(readdirSync(join(base, "contract", ".pgdba-repository"))).toEqual([]);
  },
});

test("a folder that is no repository holds nothing: it may only not be mounted", async () => {
  const { path, repository } = await made("unmounted");
  await repository.create("a/b", text("1"));
  renameSync(path, `${path}-away`);
  mkdirSync(path);
  const failing = [
    () => repository.read("a/b"),
    () => repository.stat("a/b"),
    () => repository.create("a/c", text("2")),
    () => Array.fromAsync(repository.list("a/")),
    () => repository.remove(["a/b"]),
    () => repository.space(),
    () => openRepository({ kind: "directory", path }),
  ];
  for (const attempt of failing)
    await expect(attempt()).rejects.toMatchObject({ code: "repository_failed", retryable: true });
  expect(readdirSync(path)).toEqual([]);
  rmSync(path, { recursive: true });
  for (const attempt of failing)
    await expect(attempt()).rejects.toMatchObject({ code: "repository_failed", retryable: true });
  renameSync(`${path}-away`, path);
  expect(await repository.stat("a/b")).toMatchObject({ bytes: 1 });
});

test("a folder with something else in it is not taken for a repository", async () => {
  const path = join(base, "other");
  mkdirSync(path);
  writeFileSync(join(path, "holiday.jpg"), "");
  await expect(makeRepository({ kind: "directory", path })).rejects.toMatchObject({
    code: "step_refused",
  });
  expect(readdirSync(path)).toEqual(["holiday.jpg"]);
  await expect(
    makeRepository({ kind: "directory", path: join(base, "no/parent") }),
  ).rejects.toMatchObject({
    code: "repository_failed",
  });
});

test.skipIf(process.geteuid!() !== 0)(
  "what root makes in it is its owner's, with the rights of the folder",
  async () => {
    const path = join(base, "owned");
    mkdirSync(path);
    chownSync(path, 12345, 23456);
    chmodSync(path, 0o750);
    await makeRepository({ kind: "directory", path });
    const repository = await openRepository({ kind: "directory", path });
    await repository.create("x/y/z", text("1"));
    for (const [name, mode] of [
      ["x/y/z", 0o640],
      ["x", 0o750],
      ["x/y", 0o750],
      [".pgdba-repository", 0o750],
    ] as const) {
      const found = statSync(join(path, name));
      expect([name, found.uid, found.gid, found.mode & 0o7777]).toEqual([name, 12345, 23456, mode]);
    }
  },
);

test("what a killed writer left behind is removed after a day", async () => {
  const { path, repository } = await made("killed");
  const left = (name: string) => join(path, ".pgdba-repository", name);
  for (const name of ["old.part", "young.part"]) writeFileSync(left(name), "half");
  const before = new Date(Date.now() - 25 * 3600_000);
  utimesSync(left("old.part"), before, before);
  await repository.create(
    "a/b",
    (async function* () {
      yield text("1");
    })(),
  );
  expect(readdirSync(join(path, ".pgdba-repository"))).toEqual(["young.part"]);
});
