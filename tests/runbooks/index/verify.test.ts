import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "pg";
import { wordsOf } from "../../support/command-lines.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("indexes of PostgreSQL %d are looked through", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`CREATE TABLE people (id int PRIMARY KEY, name text COLLATE "C"); CREATE INDEX by_name ON people (name);
      INSERT INTO people SELECT n, chr(64 + n % 26) || (CASE n / 26 % 2 WHEN 0 THEN 'a' ELSE 'B' END) || n FROM generate_series(1, 500) n;
      CREATE INDEX by_hash ON people USING hash (name)`);
  });
  afterAll(() => server.stop());

  test("without the extension it is told how to get it, and that it goes again", async () => {
    const { error } = (await server.run(["index", "verify"])).envelope;
    expect(error.message).toBe("The extension amcheck is not in the database postgres");
    expect(error.hint).toContain("pgdba extension create amcheck");
    const made = (await server.run(["extension", "create", "amcheck"])).envelope;
    expect(made.data).toMatchObject({ created: true, to_preload: false });
    const again = (await server.run(["extension", "create", "amcheck"])).envelope;
    expect(again.data).toMatchObject({ created: false });
  }, 300_000);

  test("sound ones are counted; one in the order of another collation is found, rebuilt and sound", async () => {
    const sound = (await server.run(["index", "verify"])).envelope.data;
    expect(sound).toMatchObject({ damaged: 0, unknown: 0, indexes: [] });
    expect(sound.sound).toBeGreaterThan(100);
    expect(sound.not_looked_at).toContain("by_hash");
    // As after an upgrade of the operating system: what is on disk has the order of before.
    await dba.query(`UPDATE pg_attribute SET attcollation = '"en-x-icu"'::regcollation WHERE attrelid = 'people'::regclass AND attname = 'name';
      UPDATE pg_index SET indcollation = (SELECT ('"en-x-icu"'::regcollation::oid)::text::oidvector) WHERE indexrelid = 'by_name'::regclass`);
    const { data } = (await server.run(["index", "verify", "--table", "people"])).envelope;
    expect(data.indexes[0]).toMatchObject({ index: "by_name", state: "damaged" });
    // Its own and the one of its large values.
    expect(data).toMatchObject({ damaged: 1, sound: 2 });
    const [, words] = /^`pgdba (maintenance reindex by_name) /.exec(data.next) ?? [];
    expect((await server.run(words!.split(" "))).envelope.data.rebuilt).toBe(1);
    const after = await server.run(["index", "verify", "by_name", "--rows"]);
    expect(after.envelope.data.indexes).toMatchObject([{ index: "by_name", state: "sound" }]);
  }, 300_000);

  test("a table's large values have an index of their own, which is read as well", async () => {
    await dba.query("CREATE TABLE documents (id int PRIMARY KEY, body text)");
    const { data } = (await server.run(["index", "verify", "--table", "documents"])).envelope;
    expect(data).toMatchObject({ sound: 2, damaged: 0 });
    expect(data.indexes.map((one: any) => one.of).toSorted()).toEqual([
      "documents",
      "documents, its large values (TOAST)",
    ]);
    expect(data.looked_at).toStartWith(
      "2 B-tree indexes of documents; documents, its large values",
    );
    // Zeroes, as a disk leaves them that lost its power.
    await dba.query(
      "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL; INSERT INTO documents SELECT g, repeat('x', 4000) FROM generate_series(1, 2000) g",
    );
    const [index] = (
      await dba.query(
        "SELECT indexrelid::regclass::text AS name, pg_relation_filepath(indexrelid) AS path FROM pg_index WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE relname = 'documents')",
      )
    ).rows;
    await server.restart(async () => {
      const file = openSync(join(server.dataDir, index.path), "r+");
      writeSync(file, Buffer.alloc(8192), 0, 8192, 8192 * 3);
      closeSync(file);
    });
    dba = await server.session("dba");
    const found = (await server.run(["index", "verify", "--table", "documents"])).envelope.data;
    expect(found).toMatchObject({ sound: 1, damaged: 1 });
    expect(found.indexes[0]).toMatchObject({ index: index.name, state: "damaged" });
    const [, words] = /^`pgdba (maintenance reindex \S+) /.exec(found.next) ?? [];
    expect((await server.run(words!.split(" "))).envelope.data.rebuilt).toBe(1);
    const after = (await server.run(["index", "verify", "--table", "documents"])).envelope.data;
    expect(after).toMatchObject({ sound: 2, damaged: 0 });
  }, 300_000);

  test("rows that an index does not have are found by the command that is told, and several are rebuilt by the next", async () => {
    await dba.query(`CREATE TABLE visits (id int PRIMARY KEY, card text); CREATE INDEX visits_card ON visits (card); CREATE INDEX "By, Id" ON visits (id);
      UPDATE pg_index SET indisready = false WHERE indexrelid IN ('visits_card'::regclass, '"By, Id"'::regclass)`);
    await dba.query("INSERT INTO visits SELECT n, 'c' || n FROM generate_series(1, 100) n");
    await dba.query(
      `UPDATE pg_index SET indisready = true WHERE indexrelid IN ('visits_card'::regclass, '"By, Id"'::regclass)`,
    );
    const told = async (text: string): Promise<string[]> =>
      wordsOf(/`pgdba (.*?)`/.exec(text)?.[1] ?? "");
    const first = (await server.run(["index", "verify", "--table", "visits"])).envelope.data;
    expect(first).toMatchObject({ damaged: 0, sound: 4 });
    expect(first.next).toStartWith(
      "Not looked at: whether each row is in the indexes. `pgdba index verify --table visits --rows ",
    );
    const second = (await server.run(await told(first.next))).envelope.data;
    expect(second).toMatchObject({ damaged: 2, sound: 2 });
    const rebuilt = (await server.run(await told(second.next))).envelope;
    expect(rebuilt.data).toMatchObject({ rebuilt: 2, failed: 0 });
    const names = ["visits_card", '"By, Id"'];
    const last = (await server.run(["index", "verify", ...names, "--rows"])).envelope.data;
    expect(last).toMatchObject({ damaged: 0, sound: 2, next: null });
  }, 300_000);

  test("what can't be read through is unknown, and neither sound nor damaged", async () => {
    await dba.query(
      "CREATE ROLE looker LOGIN; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO looker; CREATE TABLE big AS SELECT generate_series(1, 400000) AS n; CREATE INDEX by_n ON big (n)",
    );
    const { data } = (await server.run(["index", "verify", "by_n", "--rows", "--timeout", "1ms"]))
      .envelope;
    expect(data).toMatchObject({ damaged: 0, unknown: 1, sound: 0, next: null });
  }, 300_000);

  test("an extension that is needed stays, one that is not goes", async () => {
    await dba.query("CREATE EXTENSION hstore; CREATE TABLE settings (v hstore)");
    const refused = (await server.run(["extension", "drop", "hstore", "--yes"])).envelope.error;
    expect(refused.message).toStartWith("hstore is needed by column v of table settings");
    const { data } = (await server.run(["extension", "drop", "amcheck", "--yes"])).envelope;
    expect(data.extension).toBe("amcheck");
    const none = (await server.run(["extension", "create", "nothing_here"])).envelope.error;
    expect(none.message).toContain("no files of an extension nothing_here");
  }, 300_000);
});
