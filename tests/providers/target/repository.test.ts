import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sourceOfRepository } from "../../../providers/registry/repository.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import { makeRepository } from "../../../providers/repository/open.ts";
import { TargetRepository } from "../../../providers/target/repository-access.ts";
import { accessFor } from "../../support/target.ts";

async function entryOf(text: string) {
  const home = mkdtempSync(join(tmpdir(), "pgdba-repository-"));
  mkdirSync(join(home, "clusters"));
  const file = join(home, "clusters", "one.yaml");
  writeFileSync(file, text);
  return { home, entry: (await readClusterFile("one", file))! };
}

const noNodes = () => Promise.reject(new Error("no nodes are needed"));
const HEAD = `ownership: connected
postgres: {host: db1, user: postgres}
version: 17
`;

test("an entry's repository is opened as narrow as the step, and its part is that of the cluster's life", async () => {
  const { home, entry } = await entryOf(
    `${HEAD}system_identifier: "7"\ncluster_id: mine\nrepository: {kind: directory, location: /nowhere, origins: ["7/17/first@2:0/3000000"]}\n`,
  );
  const source = sourceOfRepository(entry)!;
  expect(source).toEqual({
    place: { kind: "directory", path: "/nowhere" },
    location: "/nowhere",
    key: { system_identifier: "7", version: 17, cluster_id: "mine" },
    origins: [
      {
        key: { system_identifier: "7", version: 17, cluster_id: "first" },
        until: { timeline: 2, lsn: 0x3000000n },
      },
    ],
  });
  const target = new TargetRepository(() => "one", noNodes);
  await expect(target.use(source, accessFor())).rejects.toMatchObject({
    code: "repository_failed",
  });
  // One that was not there is opened again.
  const path = join(home, "backups");
  await makeRepository({ kind: "directory", path });
  const there = { ...source, place: { kind: "directory", path } as const };
  const { repository } = await target.use(there, accessFor());
  await repository.create("a", Buffer.from("b"));
  const reading = await target.use(there, accessFor("read"));
  expect(await reading.repository.stat("a")).toMatchObject({ bytes: 1 });
  await expect(reading.repository.remove(["a"])).rejects.toMatchObject({ code: "step_refused" });
  await target.close();
  rmSync(home, { recursive: true });
});

test("an object store's key is a file; what only nodes reach, and an entry without a part, are said", async () => {
  const { home, entry } = await entryOf(
    `${HEAD}system_identifier: "7"\ncluster_id: mine\nsecrets: {store: {file: secrets/one/store}}\nrepository: {kind: object_store, location: s3://bucket/some/where, endpoint: "https://s3.example", secret: store}\n`,
  );
  expect(sourceOfRepository(entry)!.place).toEqual({
    kind: "object_store",
    endpoint: "https://s3.example",
    bucket: "bucket",
    prefix: "some/where/",
    region: "us-east-1",
    key_file: join(home, "secrets", "one", "store"),
  });
  const none = await entryOf(`${HEAD}repository: {kind: directory, location: /nowhere}\n`);
  expect(sourceOfRepository(none.entry)).toBeUndefined();
  const target = new TargetRepository(() => "one", noNodes);
  await expect(target.use(undefined, accessFor())).rejects.toMatchObject({
    code: "capability_missing",
    hint: expect.stringContaining("backup setup"),
  });
  for (const one of [home, none.home]) rmSync(one, { recursive: true });
});
