import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import {
  errnoOf,
  readBytes,
  readHead,
  readIfThere,
  readText,
  readTextIfThere,
} from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-files-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const at = (name: string) => join(dir, name);

writeFileSync(at("text"), "\ufeffé\n");
writeFileSync(at("latin1"), Buffer.from([0xe9]));
writeFileSync(at("large"), "x".repeat(2000));
mkdirSync(at("folder"));
symlinkSync("text", at("link"));
symlinkSync("nowhere", at("dangling"));
symlinkSync("circle", at("circle"));
expect(Bun.spawnSync(["mkfifo", at("fifo")]).exitCode).toBe(0);
const socket = createServer().listen(at("socket"));
afterAll(() => socket.close());

function refusal(read: () => unknown): PgdbaError {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(PgdbaError);
    return error as PgdbaError;
  }
  throw new Error("it was read");
}

const expected = { maxBytes: 1000, code: "invalid_config", hint: "Mend it." } as const;

test("a regular file is read, also through a link and when it says that it is empty", () => {
  expect(readText(at("text"), expected)).toBe("é\n");
  expect(readText(at("link"), expected)).toBe("é\n");
  expect(readBytes(at("latin1"), expected)).toEqual(Buffer.from([0xe9]));
  expect(readText("/proc/self/comm", expected)).toMatch(/\n$/);
  expect(readBytes(at("large"), { maxBytes: 2000 })).toHaveLength(2000);
  expect(readHead(at("large"), 3)?.toString()).toBe("xxx");
});

test("what is not there is undefined, or an error where it must be", () => {
  expect(readIfThere(at("none"), expected)).toBeUndefined();
  expect(readTextIfThere(at("none"), expected)).toBeUndefined();
  expect(readHead(at("none"), 10)).toBeUndefined();
  expect(refusal(() => readText(at("none"), expected))).toMatchObject({
    code: "invalid_config",
    message: `${at("none")} does not exist`,
    hint: "Mend it.",
    data: { errno: "ENOENT" },
  });
});

test.each([
  ["fifo", "is a FIFO, not a file"],
  ["socket", "is a socket, not a file"],
  ["folder", "is a folder, not a file"],
  ["dangling", "is a link that leads nowhere"],
  ["circle", "can't be read: ELOOP"],
  ["large", "is larger than 1000 bytes"],
  ["latin1", "is not UTF-8 text"],
  ["text/below", "can't be read: ENOTDIR"],
])("%s is refused at once: it %s", (name, why) => {
  const error = refusal(() => readTextIfThere(at(name), expected));
  expect(error).toMatchObject({
    code: "invalid_config",
    message: `${at(name)} ${why}`,
    hint: "Mend it.",
  });
});

test("devices are not even opened, and a file of /proc without end is cut off at the limit", () => {
  expect(refusal(() => readIfThere("/dev/zero", expected)).message).toBe(
    "/dev/zero is a device, not a file",
  );
  expect(errnoOf(refusal(() => readIfThere("/proc/kallsyms", expected)))).toBe("EFBIG");
});

test("a file is written whole, for its owner alone, in the place of the old one", async () => {
  const file = at("written");
  writeFileSync(file, "old", { mode: 0o644 });
  const inode = lstatSync(file).ino;
  await writeWhole(file, "new");
  expect([readFileSync(file, "utf8"), lstatSync(file).mode & 0o777]).toEqual(["new", 0o600]);
  expect(lstatSync(file).ino).not.toBe(inode);
  await writeWhole(file, "newer", { mode: 0o640 });
  expect(lstatSync(file).mode & 0o777).toBe(0o640);
  expect(readdirSync(dir).filter((name) => name.startsWith(".pgdba-"))).toEqual([]);
});

test("a device, a FIFO, a folder and a link are never replaced", async () => {
  const results = await Promise.all(
    ["/dev/null", at("fifo"), at("folder"), at("link"), at("none/below")].map((file) =>
      writeWhole(file, "x").then(
        () => "written",
        (error: PgdbaError) => `${error.code}: ${error.message.slice(file.length)}`,
      ),
    ),
  );
  expect(results).toEqual([
    "io_failed:  is a device, not a file",
    "io_failed:  is a FIFO, not a file",
    "io_failed:  is a folder, not a file",
    "io_failed:  is a symbolic link, not a file",
    "io_failed: : ENOENT",
  ]);
  expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
  expect(readFileSync(at("text"), "utf8")).toBe("\ufeffé\n");
});

test("drafts of processes that were killed are removed, those of living ones are not", async () => {
  const folder = at("drafts");
  mkdirSync(folder);
  const child = Bun.spawn(["true"]);
  await child.exited;
  const name = (pid: number, id: string) => `.pgdba-0123abcd-${pid}-${id}.new`;
  const [dead, fresh, living] = [
    name(child.pid, "0a"),
    name(child.pid, "0b"),
    name(process.pid, "0c"),
  ];
  const long = new Date(Date.now() - 120_000);
  for (const draft of [dead, fresh, living]) writeFileSync(join(folder, draft), "secret");
  for (const draft of [dead, living]) utimesSync(join(folder, draft), long, long);
  await writeWhole(join(folder, "file"), "x");
  expect(readdirSync(folder).toSorted()).toEqual([fresh, living, "file"].toSorted());
});

test("a write that fails leaves the old file and no draft", async () => {
  const folder = at("fails");
  mkdirSync(folder);
  writeFileSync(join(folder, "file"), "old");
  const draft = join(folder, "taken");
  mkdirSync(draft);
  await expect(writeWhole(join(folder, "file"), "new", { draft })).rejects.toMatchObject({
    code: "io_failed",
  });
  expect(readFileSync(join(folder, "file"), "utf8")).toBe("old");
  chmodSync(draft, 0o700);
  expect(existsSync(draft)).toBe(true);
});
